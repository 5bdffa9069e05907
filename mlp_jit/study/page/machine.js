// Runs the engine's kernels from their syntax trees (program.py), one statement at a time.

// A part of a flat array, by index, as NumPy has it. flat: { numbers, place(p) }, the place being what stands there.
export class View {
  constructor(flat, shape, strides, start = 0) {
    Object.assign(this, { flat, shape, strides, start });
  }

  static of(flat, ...shape) {
    return new View(flat, shape, shape.length === 2 ? [shape[1], 1] : [1]);
  }

  get size() {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  get T() {
    return new View(this.flat, [...this.shape].reverse(), [...this.strides].reverse(), this.start);
  }

  offset(indices) {
    return indices.reduce((p, index, axis) => p + index * this.strides[axis], this.start);
  }

  at(indices) {
    const p = this.offset(indices);
    if (indices.length === this.shape.length) return this.flat.numbers[p];
    return new View(this.flat, this.shape.slice(indices.length), this.strides.slice(indices.length), p);
  }

  set(indices, value) {
    this.flat.numbers[this.offset(indices)] = value;
  }

  place(indices) {
    return this.flat.place(this.offset(indices));
  }
}

const OPERATIONS = {
  "+": (x, y) => x + y,
  "-": (x, y) => x - y,
  "*": (x, y) => x * y,
  "/": (x, y) => x / y,
  "<": (x, y) => x < y,
  ">": (x, y) => x > y,
  "==": (x, y) => x === y,
};

export class Machine {
  // functions: those of numbers that the kernels call, by name.
  constructor(programs, functions) {
    this.programs = new Map(programs.map((program) => [program.name, program]));
    this.functions = functions;
    this.frames = [];
    this.loops = 0;
    this.equations = 0;
  }

  // One equation: yields each of its steps; l is the layer, where the equation is one layer's.
  *equation(name, given, l) {
    this.equations += 1;
    this.layer = l;
    yield* this.call(name, given);
  }

  *call(name, given) {
    const program = this.programs.get(name);
    const names = Object.fromEntries(program.parameters.map((parameter, p) => [parameter, given[p]]));
    this.frames.push({ program, names, indices: {}, loops: [], line: 0 });
    yield* this.block(program.body);
    this.frames.pop();
  }

  *block(statements) {
    const frame = this.frames.at(-1);
    for (const statement of statements) {
      if (statement.for) yield* this.loop(frame, statement);
      else if (statement.if) yield* this.block(this.value(frame, statement.if) ? statement.body : statement.else);
      else if (statement.set) yield* this.assign(frame, statement);
      else if (statement.call) {
        frame.line = statement.line;
        yield* this.call(
          statement.call,
          statement.arguments.map((argument) => this.value(frame, argument)),
        );
      }
    }
  }

  *loop(frame, { for: name, bounds, body }) {
    this.loops += 1;
    frame.loops.push(this.loops);
    const stop = this.value(frame, bounds[0]);
    for (let index = 0; index < stop; index++) {
      frame.names[name] = index;
      frame.indices[name] = index;
      yield* this.block(body);
    }
    delete frame.indices[name];
    frame.loops.pop();
  }

  *assign(frame, statement) {
    const { set: target, with: operator, line } = statement;
    const read = line ? this.reads(frame, statement.reads) : [];
    const value = this.value(frame, statement.value);
    this.store(frame, target, operator ? OPERATIONS[operator](this.value(frame, target), value) : value);
    if (line) yield this.step(frame, statement, read);
  }

  store(frame, target, value) {
    if (target[0] === "tuple") target.slice(1).forEach((name, p) => this.store(frame, name, value[p]));
    else if (target[0] === "at") this.array(frame, target).set(this.indices(frame, target), value);
    else frame.names[target] = value;
  }

  array(frame, [, array]) {
    return this.value(frame, array);
  }

  indices(frame, [, , ...indices]) {
    return indices.map((index) => this.value(frame, index));
  }

  value(frame, expression) {
    if (typeof expression === "number") return expression;
    if (typeof expression === "string") return frame.names[expression];
    const [kind, ...parts] = expression;
    if (kind === "call") {
      const [name, ...given] = parts;
      return this.functions[name](...given.map((part) => this.value(frame, part)));
    }
    const values = parts.map((part) => this.value(frame, part));
    if (kind === "at") return Array.isArray(values[0]) ? values[0][values[1]] : values[0].at(values.slice(1));
    if (kind === "tuple") return values;
    return kind in OPERATIONS ? OPERATIONS[kind](...values) : values[0][kind]; // shape, size, T
  }

  place(frame, expression) {
    if (expression[0] !== "at") return null;
    return this.array(frame, expression).place(this.indices(frame, expression));
  }

  reads(frame, reads) {
    return reads.map(([start, stop, expression]) => {
      return [start, stop, this.value(frame, expression), this.place(frame, expression)];
    });
  }

  // What has just run, as mlp_jit.study.walking.Step has it.
  step(frame, { line, text, target, set }, operands) {
    const place = this.place(frame, set);
    const indices = Object.assign({}, ...this.frames.map((each) => each.indices));
    const layered = [place, ...operands.map(([, , , where]) => where)].find((where) => /^\D+:\d+:\d/.test(where ?? ""));
    const l = this.layer ?? (layered && Number(layered.split(":")[1]));
    return {
      tag: frame.program.tag,
      function: frame.program.name,
      line,
      text,
      indices: l === undefined ? indices : { ...indices, l },
      operands,
      result: this.value(frame, set),
      place,
      target,
      callers: this.frames.slice(0, -1).map((caller) => [caller.program.name, caller.line]),
      equation: this.equations,
      loop: frame.loops.at(-1),
    };
  }
}
