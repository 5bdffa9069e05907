// What the page says and where its parts go. Letters with indices are written z_j in what has the class "math".

export const SHELL = `
<header>
  <h1>Backpropagation by index</h1>
  <p class="lead">A network small enough to read. Every <span class="math">z_j, a_j and δ_j</span> is a number on this
    page, computed by mlp_jit's loops; train it, stop it, and look.</p>
  <dl class="table">
    <div><dt><span class="tag">E1</span> forward</dt><dd class="math">z_j = b_j + Σ_i w_ij a_i, a_j = φ(z_j)</dd></div>
    <div><dt><span class="tag">E2</span> output delta</dt><dd class="math">δ_k = ∂ℓ/∂z_k</dd></div>
    <div><dt><span class="tag">E3</span> hidden delta</dt><dd class="math">δ_i = φ'(z_i) Σ_j w_ij δ_j</dd></div>
    <div><dt><span class="tag">E4</span> weight gradient</dt><dd class="math">∂L/∂w_ij = (1/N) Σ_n a_i δ_j</dd></div>
    <div><dt><span class="tag">E5</span> bias gradient</dt><dd class="math">∂L/∂b_j = (1/N) Σ_n δ_j</dd></div>
    <div><dt><span class="tag">E6</span> update</dt><dd class="math">θ ← θ − η ∂L/∂θ</dd></div>
  </dl>
</header>

<section class="live">
  <h2>The loop, live</h2>
  <p class="text">One step of training, as slowly as you like: XOR, a network 2-2-1, four samples, from the first
    weighted sum to the last updated weight. The source is the engine's own, and here it runs. The lit line has just
    been computed; its numbers stand under their names, and what it reads and writes is lit in the network and in the
    tables. The code counts from 0, the equations from 1: <span class="math">z_1</span> is z[n, 0]. Click a unit, a
    weight, a number or a line to run to where it is next computed.</p>
  <div data-part="walk"></div>
</section>

<section class="playground" aria-label="Playground">
  <div class="presets" data-part="presets" role="group" aria-label="Recorded runs"></div>
  <p class="says" data-part="says"></p>
  <div class="bench">
    <div class="side">
      <div class="controls" data-part="controls" role="group" aria-label="Setting"></div>
      <div class="buttons" data-part="buttons" role="group" aria-label="Training"></div>
      <dl class="figures">
        <div><dt>epoch</dt><dd><data data-part="epoch"></data></dd></div>
        <div><dt>loss</dt><dd><data data-part="loss"></data></dd></div>
        <div><dt>accuracy</dt><dd><data data-part="accuracy"></data></dd></div>
        <div><dt>parameters</dt><dd><data data-part="parameters"></data></dd></div>
      </dl>
      <p class="spoken" data-part="spoken" aria-live="polite"></p>
    </div>
    <div class="net" data-part="network"></div>
    <div class="pictures">
      <canvas class="plane" data-part="plane" role="img" aria-label="The network's answer over the plane of the inputs,
        the boundary where it changes, and the samples. Choose a sample by its number below."></canvas>
      <label class="pick"><span class="math">sample n</span>
        <input type="number" min="1" max="200" value="1" data-part="sample" aria-label="sample n">
        <span data-part="x"></span></label>
      <div data-part="curve"></div>
      <div data-part="legend"></div>
    </div>
  </div>
  <p class="source" data-part="source"></p>
</section>

<section class="numbers" aria-label="The numbers">
  <div class="unit" data-part="unit"></div>
  <div class="all"><h3>Every unit</h3>
    <div class="scroll" data-part="units" tabindex="0" role="region" aria-label="Every unit's numbers"></div></div>
</section>

<section class="why">
  <h2>Why E3 is what it is</h2>
  <p class="text">The chain rule by index, from L back to one weight of the network above, each link one line, with the
    engine's numbers for one sample. A raised number is the layer. The symbols of the chosen line are lit in the
    network; point at one to see it alone. The arrow keys go from line to line, a click on an edge chooses its
    weight.</p>
  <div data-part="why"></div>
</section>

<section>
  <h2>What the hidden layers see</h2>
  <p class="text">Each layer hands on its <span class="math">a_j</span> and nothing else. First the samples as each
    layer shows them to the next: all that the output can do is to draw the straight line in the last picture. Then
    each hidden unit, over the plane of the inputs.</p>
  <div class="representation" data-part="representation"></div>
</section>

<section>
  <h2>Activations</h2>
  <p class="text">φ drawn solid, its slope φ' dashed. δ is multiplied by φ' in every layer it passes (E3), so max φ' is
    the most that a layer can let through of each δ.</p>
  <div data-part="gallery"></div>
</section>

<section>
  <h2>The vanishing gradient</h2>
  <p class="text">Networks of sixteen units a layer, untrained, the quadrants as data. How long is δ at each layer, as a
    part of the output's? Measured by the engine, on a logarithmic axis.</p>
  <div class="instrument" data-part="vanishing"></div>
</section>

<section class="practice">
  <h2>Exercises</h2>
  <p class="text">A dozen, to be done with pencil and paper and a calculator: three digits that count are enough. A hint
    shows the next step of the derivation. A seed has the same numbers here and in Python: mlp_jit.study.exercises(seed)
    grades answers, too.</p>
  <div data-part="exercises"></div>
</section>

<section>
  <h2>Where the numbers come from</h2>
  <p class="text">The runs named at the top were trained by mlp_jit's loops engine, and the page holds θ after each of
    their epochs. For any other setting a JavaScript port of the same loops computes, with NumPy's random numbers: a
    seed means the same weights and shuffles in Python. On load the port repeats the recorded runs by itself. The loop
    at the top is the engine's source as a tree, which a small machine in JavaScript runs; each of its results is put
    beside the engine's.</p>
  <div data-part="check"><p class="note">Checking…</p></div>
  <p class="note" data-part="versions"></p>
  <h3>The present run in Python</h3>
  <pre class="snippet" data-part="snippet" tabindex="0" role="region" aria-label="The present run in Python"></pre>
</section>
`;
