/* The view Game: one game in two languages, and the board as a probe reads it inside the model. */

/* How many cells a reading has right. */
const right = (cells, truth) => truth.reduce((n, kind, cell) => n + (kind === cells[cell]), 0);

/* The largest of {name: number}, the first where several are. */
const bestOf = counts => Object.keys(counts).reduce((best, name) => counts[name] > counts[best] ? name : best);

/* A small board as a probe reads it. which: a or b. */
function smallBoard(context, {cells, sure}, which) {
  const truth = context.position.cells, n = right(cells, truth), label = `${n} of ${truth.length} cells right`;
  const wrong = Array.from(truth, (kind, cell) => kind !== cells[cell]);
  const picture = drawBoard({size: context.board.size, cells, sure, wrong, label});
  return figure(picture, `${n}/${truth.length}`, which);
}

/* A column of small boards per layer; the cells that A's probe has right at the chosen layer: of A's own state, and of B's
   by the map that its reading is drawn through. */
function readings(context, source) {
  const {state, content, moves, position} = context, map = content.maps[state.map], two = state.a !== state.b;
  const [own, other] = [state.a, state.b].map(language => source.boards(state.probe, state.a, language, moves));
  const columns = own.map((reading, layer) => {
    const {cells, sure} = other[layer], seen = {cells: through(map, cells), sure: through(map, sure)};
    const head = `class="layer" ${setting({layer})} aria-pressed="${layer === state.layer}"`;
    return `<div class="column${layer === state.layer ? " selected" : ""}">
      <button type="button" ${head}>${placeOf(layer)}</button>
      ${smallBoard(context, reading, "a")}${two ? smallBoard(context, seen, "b") : ""}</div>`;
  });
  const counts = Object.fromEntries(Object.entries(content.maps).map(([name, image]) =>
    [name, right(through(image, other[state.layer].cells), position.cells)]));
  return {grid: `<div class="grid">${columns.join("")}</div>`, own: right(own[state.layer].cells, position.cells), counts};
}

/* Buttons that redraw B's row through the maps of the opening, with what is right through each. */
function mapButtons({state, content}, counts) {
  const best = Math.max(...Object.values(counts));
  return buttons("maps", "Redraw B's row", Object.keys(content.maps).map(name => button(
    `${MAP_SIGNS[name]} <span>${counts[name]}</span>${counts[name] === best ? " ★" : ""}`, {map: name},
    {on: name === state.map, title: MAP_NAMES[name]})));
}

/* What the run's rows say of A's probe in B; empty without them. */
function overGames({state, content}) {
  const [a, b] = [state.a, state.b].map(language => content.languages[language].name), {pairs, layer, measured} = content.pairs;
  const pair = pairs.find(({source, language}) => source === a && language === b);
  if (!pair) return "";
  const games = `${measured ? "the run's measured" : `${content.scored} other`} games (${placeOf(layer)})`;
  const best = pair.map === "identity" ? "" : `, ${percent(pair.shares[pair.map])} ${MAP_NAMES[pair.map]}`;
  return ` Over ${games}: ${percent(pair.shares.identity)} as it is${best}.`;
}

/* The cells read right at this position and layer, in words. */
function sentence(context, {own, counts}) {
  const {state, position} = context, best = bestOf(counts);
  const told = `At this position, ${placeOf(state.layer)}, the probe of ${colored("a", context, state.a)} reads
    <b>${own} of ${position.cells.length}</b> cells in its own language`;
  if (state.a === state.b) return `<p class="sum">${told}.</p>`;
  const better = best === "identity" ? "" : `, <b>${counts[best]}</b> ${MAP_NAMES[best]}`;
  return `<p class="sum">${told}; in ${colored("b", context, state.b)} <b>${counts.identity}</b> as it is${better}.
    ${overGames(context)}</p>`;
}

/* The game as text, a column per move: its square, its word in A, its word in B. Tokens in common are underlined. */
function texts({state, content, board, whole, shared}) {
  const token = id => shared.has(id) ? `<u title="several languages write this token">${id}</u>` : id;
  const word = (which, language, move) =>
    `<span class="${which}">${content.languages[language].words[move].map(token).join("<i>·</i>")}</span>`;
  const columns = whole.map((move, index) => {
    const ply = index + 1, name = board.name(board.moves[move]);
    const when = ply === state.ply ? "now" : ply > state.ply ? "later" : "";
    const words = word("a", state.a, move) + (state.a === state.b ? "" : word("b", state.b, move));
    return `<button type="button" class="move ${when}" ${setting({ply})} aria-label="ply ${ply}, ${name}">
      <span>${name}</span>${words}</button>`;
  });
  return `<div class="text">${columns.join("")}</div>`;
}

const GameView = {
  name: "game", title: "Game", board: true,
  lead({shared}) {
    const common = shared.size ? " (tokens in common are underlined)" : " that share no token";
    return `One game in two artificial languages${common}. The small boards are what a probe, fitted on the first language
      alone, reads inside the model in either; if the second row is wrong as it is but right through a map, the model uses
      <em>one</em> board for both, mirrored.`;
  },
  results(context) {
    const {moves, state, source} = context, text = `<h2>The text the model reads</h2>${texts(context)}`;
    if (!moves.length) return text + NOTHING;
    if (!source.knows(moves)) return text + context.unknown;
    const read = readings(context, source), two = state.a !== state.b;
    const second = two ? `; second row: states of ${colored("b", context, state.b)}, read by the same probe and shown
      ${MAP_NAMES[state.map]}` : "";
    return `${text}<h2>The board inside the model</h2>
      <p class="note">First row: states of ${colored("a", context, state.a)}${second}. Pale discs: the probe is unsure.
      Framed cells: it is wrong.</p>
      ${two ? mapButtons(context, read.counts) : ""}${read.grid}${sentence(context, read)}`;
  },
};
