/* The view Next move: the probability of every move, as the model gives it or as its head reads it from a lower layer. */

/* Probabilities of moves -> of cells. */
function onCells(board, p) {
  const cells = new Float64Array(board.size ** 2);
  p.forEach((value, move) => { cells[board.moves[move]] = value; });
  return cells;
}

/* A board with the probabilities of the next move; the position's legal moves have circles. gained: moves
   that are marked. */
function expectation({board}, found, position, title, chosen = -1, gained = []) {
  const legal = position.legal.map(move => board.moves[move]), label = `probabilities of the next move: ${title}`;
  const p = onCells(board, found.p), {cells} = position, fresh = gained.map(move => board.moves[move]);
  return figure(drawBoard({size: board.size, cells, p, legal, fresh, chosen, names: true, label}), title);
}

/* The layer whose answer is shown, by default the last. */
const lensLayer = (state, source) => state.lens < 0 ? source.layers - 1 : state.lens;

/* The expected loss at a position where every legal move is equally likely, next to the least possible. */
function lossHere({content}, {p}, legal) {
  if (!content.uniform) return "";
  const loss = -legal.reduce((sum, move) => sum + Math.log(Math.max(p[move], 1e-12)), 0) / legal.length;
  const reason = legal.length === 1 ? "one move is legal" : `${legal.length} legal moves are equally likely`;
  return `<p class="sum">Expected loss here ${loss.toFixed(2)} nats; the floor is ${Math.log(legal.length).toFixed(2)},
    since ${reason}.</p>`;
}

/* What one language's answer is. which: a or b. */
function answerPane(context, which, language) {
  const {source, moves, position, state} = context, layer = lensLayer(state, source), last = source.layers - 1;
  const by = source.next(language, moves), share = masses(by[layer], position.legal);
  const title = layer === last ? "the model's answer" : `the head's reading, ${placeOf(layer)}`;
  const rows = by.map((found, l) => `<tr${l === layer ? ' class="selected"' : ""}><td>${placeOf(l)}</td>
    <td>${percent(masses(found, position.legal).legal, 1)}</td></tr>`);
  return `<div class="pane ${which}"><h2>${colored(which, context, language)}</h2>
    ${expectation(context, by[layer], position, title)}
    ${bar([["legal", share.legal], ["illegal", share.illegal], ["another language", share.other], ["no word", share.malformed]])}
    ${layer === last ? lossHere(context, by[layer], position.legal) : ""}
    <table><tr><th>read from</th><th>on legal moves</th></tr>${rows.join("")}</table></div>`;
}

const NextView = {
  name: "next", title: "Next move", board: true,
  lead: () => `What the model expects as the next move, in either language: the darker a square, the likelier (in percent);
    circles mark the legal moves. It was never told the rules.`,
  controls: ({state, source}) => buttons("layer", "Read the answer", Array.from({length: source.layers}, (_, layer) => {
    const title = "the model's head applied to an earlier layer (logit lens)";
    const last = layer === source.layers - 1;
    return button(last ? "at the end" : placeOf(layer), {lens: layer}, {on: layer === lensLayer(state, source), title});
  })),
  results(context) {
    const {state, source, moves, position} = context;
    if (!moves.length) return NOTHING;
    if (!position.legal.length) return OVER;
    if (!source.knows(moves)) return context.unknown;
    const second = state.a === state.b ? "" : answerPane(context, "b", state.b);
    return `<div class="panes">${answerPane(context, "a", state.a)}${second}</div>`;
  },
};
