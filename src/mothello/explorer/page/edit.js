/* Interventions: the residual stream at the last token is moved along the direction of a linear probe of relative colors
   (0 theirs, 1 empty, 2 mine), as mothello.measures.causal does. */

const THEIRS = 0, MINE = 2;

/* What an edit of a cell asks for: relative classes before and after; null where there is no disc. */
function wanted(position, cell, kind) {
  const now = position.cells[cell];
  if (now === EMPTY) return null;
  const old = now === position.mover ? MINE : THEIRS;
  return {old, wish: kind === "erase" ? EMPTY : 2 - old};
}

/* The position with that disc flipped or erased, the same side to move. */
function altered(board, position, cell, kind) {
  const cells = Int8Array.from(position.cells);
  cells[cell] = kind === "erase" ? EMPTY : 2 - cells[cell];
  return {cells, mover: position.mover, legal: board.legal(cells, position.mover)};
}

/* The shift of x, strength times the shortest way to where the probe reads old and wish alike; none where it reads wish
   already. */
function shift(live, source, layer, cell, {old, wish}, x, strength) {
  const name = `probe.linear.relative.${source}.${layer}`, d = x.length;
  const weight = live.tensors.get(`${name}.W`), bias = live.tensors.get(`${name}.b`);
  const row = (3 * cell + old) * d, other = (3 * cell + wish) * d;
  let excess = bias[3 * cell + old] - bias[3 * cell + wish], squares = 0;
  for (let i = 0; i < d; i++) {
    const w = weight[row + i] - weight[other + i];
    excess += w * x[i];
    squares += w * w;
  }
  const scale = -strength * Math.max(0, excess) / Math.max(squares, 1e-12);
  return Float32Array.from(x, (_, i) => scale * (weight[row + i] - weight[other + i]));
}

/* An edit along the source's probes from a layer on (or there alone), and the lengths of its shifts by layer. */
function steering(live, source, cell, change, {layer, once, strength}) {
  const lengths = new Map();
  return {lengths, edit(at, x) {
    if (at < layer || (once && at > layer)) return;
    const by = shift(live, source, at, cell, change, x, strength);
    lengths.set(at, Math.sqrt(by.reduce((sum, value) => sum + value * value, 0)));
    by.forEach((value, i) => { x[i] += value; });
  }};
}

/* The control: shifts as long, in directions drawn once. */
function atRandom(lengths, seed) {
  const draw = gaussians(seed);
  return (layer, x) => {
    if (!lengths.has(layer)) return;
    const noise = Float64Array.from(x, draw), norm = Math.sqrt(noise.reduce((sum, value) => sum + value * value, 0));
    noise.forEach((value, i) => { x[i] += value / norm * lengths.get(layer); });
  };
}

/* Normal numbers by the Box-Muller transform of the generator mulberry32. */
function gaussians(seed) {
  let state = seed;
  const uniform = () => {
    state = state + 0x6D2B79F5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

/* False plus missed moves when the model names as many moves as are legal (Li et al. 2023). */
function topErrors(p, legal) {
  const order = [...p.keys()].sort((a, b) => p[b] - p[a] || a - b);
  const hits = order.slice(0, legal.length).filter(move => legal.includes(move)).length;
  return 2 * (legal.length - hits);
}
