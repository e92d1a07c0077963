/* What is shown, kept in the fragment of the page's address, so that a link opens the same view. */

const DEFAULTS = {
  view: "game", a: 0, b: 1, map: "identity", game: "", ply: -1, probe: "", layer: -1, cell: -1, edit: "flip", into: "a",
  strength: 3, once: 0, step: -1, lens: -1,
};

/* The fragment's text -> settings; what it does not say, or says wrongly, has its default. */
function parsed(fragment) {
  const given = new URLSearchParams(fragment.replace(/^#/, "")), state = {...DEFAULTS};
  for (const [key, value] of Object.entries(DEFAULTS)) {
    const text = given.get(key);
    if (text === null || text === "") continue;
    state[key] = typeof value === "number" ? (Number.isFinite(Number(text)) ? Number(text) : value) : text;
  }
  return state;
}

function fragmentOf(state) {
  const told = Object.entries(state).filter(([key, value]) => key in DEFAULTS && value !== DEFAULTS[key]);
  return "#" + new URLSearchParams(told.map(([key, value]) => [key, String(value)]));
}

/* The state with every value in its range. content: the page's. */
function bounded(state, content, board) {
  const within = (value, low, high, other) => Number.isInteger(value) && value >= low && value <= high ? value : other;
  const last = (state.view === "along" ? Math.min(2, content.readable) : content.readable) - 1;
  const kinds = content.probes.map(([kind]) => kind), moves = board.parse(state.game), whole = board.replay(moves).length - 1;
  const choice = (value, choices) => choices.includes(value) ? value : choices[0];
  return {
    ...state,
    view: choice(state.view, VIEWS.map(view => view.name)),
    a: within(state.a, 0, last, 0), b: within(state.b, 0, last, Math.min(1, last)),
    map: choice(state.map, Object.keys(content.maps)),
    game: board.text(moves.slice(0, whole)), ply: within(state.ply, 0, whole, whole),
    probe: choice(state.probe, [content.pairs.probe, ...kinds]),
    layer: within(state.layer, 0, content.model.n_layer, content.pairs.layer),
    cell: within(state.cell, 0, board.size ** 2 - 1, -1),
    edit: choice(state.edit, ["flip", "erase"]), into: choice(state.into, ["a", "b"]),
    strength: Math.min(8, Math.max(0, state.strength)), once: state.once ? 1 : 0,
    lens: within(state.lens, 0, content.model.n_layer, -1),
    step: within(state.step, 0, (content.along ? content.along.steps.length : 1) - 1, -1),
  };
}
