/* The view Intervene: a disc is edited inside the model, and its next move asked again. */

/* The disc whose edit makes most moves legal that were not, and, of such discs, fewest illegal; -1 where none does. */
function telling(board, position, kind) {
  let best = -1, most = 0;
  for (const cell of position.cells.keys()) {
    if (position.cells[cell] === EMPTY) continue;
    const {legal} = altered(board, position, cell, kind), kept = legal.filter(move => position.legal.includes(move)).length;
    const gained = legal.length - kept + kept / 100;
    if (legal.length > kept && gained > most) [best, most] = [cell, gained];
  }
  return best;
}

const COLORS = {[WHITE]: "white", [BLACK]: "black"};

/* What is done to which disc, in words. */
function editText(context, image, lengths) {
  const {state, position, board, picked} = context, color = position.cells[picked];
  const done = state.edit === "erase" ? "erased" : `flipped to ${COLORS[2 - color]}`;
  const into = colored(state.into, context, state.into === "a" ? state.a : state.b);
  const by = state.into === "a" ? "" : `, with the probe of ${colored("a", context, state.a)}; the board of B is taken
    ${MAP_NAMES[state.map]}, so its ${board.name(image)} is pushed`;
  const still = [...lengths.values()].every(length => length === 0);
  return `<p class="sum">The ${COLORS[color]} disc on <b>${board.name(picked)}</b> is ${done} inside a model that reads
    ${into}${by}.${still ? " The probe reads it so already: nothing is pushed." : ""}</p>`;
}

/* One answer: before, after the push, or after a random one; moves that the edit makes legal or illegal are marked. */
function editPane(context, title, {p}, shown, changed) {
  const {position, board} = context, errors = topErrors(p, changed.legal);
  const without = (some, others) => some.filter(move => !others.includes(move));
  const gained = without(changed.legal, position.legal), lost = without(position.legal, changed.legal);
  const on = moves => percent(moves.reduce((sum, move) => sum + p[move], 0));
  const rows = [["made legal", gained], ["made illegal", lost]].filter(([, moves]) => moves.length).map(([name, moves]) =>
    `<tr><td>${name}: ${moves.map(move => board.name(board.moves[move])).join(" ")}</td><td><b>${on(moves)}</b></td></tr>`);
  return `<div class="pane">${expectation(context, {p}, shown, title, context.picked, gained)}
    <table>${rows.join("")}<tr><td>errors among the ${changed.legal.length} likeliest</td><td><b>${errors}</b></td></tr></table>
    </div>`;
}

const InterveneView = {
  name: "intervene", title: "Intervene", board: true, picks: true,
  lead: () => `Click a disc on the board. The model's activation is pushed until the first language's probe reads that disc
    as flipped, or gone: if the model uses this board, it now expects the moves of the <em>changed</em> board. A random push
    of the same length should do nothing.`,
  controls(context) {
    const {state, content} = context, last = content.model.n_layer - 1;
    if (!content.live) return "";
    const into = [["a", content.languages[state.a].name], ["b", content.languages[state.b].name]];
    const maps = Object.keys(content.maps).map(name => [name, MAP_NAMES[name]]);
    return `<div class="controls">${[
      choice("edit", [["flip", "flip the disc"], ["erase", "erase the disc"]], state.edit, "Edit"),
      choice("into", state.a === state.b ? into.slice(0, 1) : into, state.into, "Model reads"),
      state.into === "b" ? choice("map", maps, state.map, "Board of B") : "",
      choice("layer", Array.from({length: last + 1}, (_, l) => [l, placeOf(l)]), Math.min(state.layer, last), "Push"),
      choice("once", [[0, "and after every later block"], [1, "there alone"]], state.once, "Where"),
      slider("strength", 0, 8, 0.25, `Strength ${state.strength}`),
    ].join("")}</div>`;
  },
  results(context) {
    const {state, content, board, position, moves, source, picked} = context;
    if (!content.live) return empty("This page holds recorded readings, not the model: it cannot be edited here.");
    if (!moves.length) return NOTHING;
    if (!position.legal.length) return OVER;
    const change = picked < 0 ? null : wanted(position, picked, state.edit);
    if (!change) return empty("Choose a disc on the board.");
    const own = state.into === "a", language = own ? state.a : state.b, image = own ? picked : content.maps[state.map][picked];
    const changed = altered(board, position, picked, state.edit), layer = Math.min(state.layer, content.model.n_layer - 1);
    const push = steering(source, state.a, image, change, {layer, once: Boolean(state.once), strength: state.strength});
    const [before, after] = [null, push.edit].map(edit => source.next(language, moves, edit).at(-1));
    const random = source.next(language, moves, atRandom(push.lengths, 1 + picked + 64 * state.ply)).at(-1);
    if (!changed.legal.length) return empty("On the changed board no move would be legal: choose another disc.");
    return `${editText(context, image, push.lengths)}<div class="panes three">
      ${editPane(context, "before", before, position, changed)}
      ${editPane(context, "after the push", after, changed, changed)}
      ${editPane(context, "random push, as long", random, changed, changed)}</div>
      <p class="note">Circles: before, the legal moves; then those of the changed board. Dashed: moves that the edit makes
      legal. Errors: moves named wrongly and missed, when the model names as many as the changed board allows.</p>`;
  },
};
