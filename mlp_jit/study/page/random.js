// NumPy's default generator, so that a seed means here what it means in Python: the same weights, the same shuffles.
// PCG64 is O'Neill's PCG XSL-RR 128/64 (2014); a shuffle is Fisher and Yates', its draws masked and some thrown away.

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_128 = (1n << 128n) - 1n;
const MASK_64 = (1n << 64n) - 1n;

export class Generator {
  // state and increment: hexadecimal strings, as np.random.default_rng(seed) starts with them.
  constructor({ state, increment }) {
    this.state = BigInt("0x" + state);
    this.increment = BigInt("0x" + increment);
    this.half = null; // the 32 bits left over from the last draw of 64
  }

  bits64() {
    this.state = (this.state * MULTIPLIER + this.increment) & MASK_128;
    const folded = (this.state >> 64n) ^ (this.state & MASK_64);
    const turn = this.state >> 122n;
    return ((folded >> turn) | (folded << (64n - turn))) & MASK_64;
  }

  bits32() {
    if (this.half !== null) {
      const half = this.half;
      this.half = null;
      return half;
    }
    const bits = this.bits64();
    this.half = Number(bits >> 32n);
    return Number(bits & 0xffffffffn);
  }

  // A number in [0, 1).
  random() {
    return Number(this.bits64() >> 11n) * 2 ** -53;
  }

  // A number in [-bound, bound).
  uniform(bound) {
    return -bound + 2 * bound * this.random();
  }

  // A whole number in [0, m).
  below(m) {
    const mask = 2 ** (32 - Math.clz32(m - 1)) - 1;
    for (;;) {
      const drawn = (this.bits32() & mask) >>> 0;
      if (drawn < m) return drawn;
    }
  }

  // 0..n-1, shuffled.
  permutation(n) {
    const order = Int32Array.from({ length: n }, (_, index) => index);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}
