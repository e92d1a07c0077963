/* The views Game and Along training: boards as a probe reads them. */

const nameOf = (context, language) => escaped(context.content.languages[language].name);
const letter = (which, context, language) => `<b class="${which}">${nameOf(context, language)}</b>`;

/* Where a state is read. */
const placeOf = layer => layer ? `after block ${layer}` : "embedding";

/* How many cells a reading has right. */
const right = (cells, truth) => cells.reduce((n, kind, cell) => n + (kind === truth[cell]), 0);

/* One row of small boards per language and a column per layer, and what was counted at the chosen layer. */
function readings(context, source) {
  const {state, content, board, moves, position} = context, map = content.maps[state.map], truth = position.cells;
  const own = source.boards(state.probe, state.a, state.a, moves), other = source.boards(state.probe, state.a, state.b, moves);
  const columns = own.map((reading, layer) => {
    const seen = {cells: through(map, [...other[layer].cells]), sure: through(map, [...other[layer].sure])};
    const small = (shown, which) => {
      const n = right([...shown.cells], truth), wrong = [...shown.cells].map((kind, cell) => kind !== truth[cell]);
      const text = `${n} of ${truth.length} cells right`;
      return figure(drawBoard({size: board.size, ...shown, wrong, label: text}), `${n}/${truth.length}`, which);
    };
    const title = placeOf(layer);
    const head = `<button type="button" class="layer" ${setting({layer})} aria-pressed="${layer === state.layer}">${title}</button>`;
    return `<div class="column${layer === state.layer ? " selected" : ""}">${head}${small({cells: [...reading.cells], sure: [...reading.sure]}, "a")}${state.a === state.b ? "" : small(seen, "b")}</div>`;
  });
  const counts = Object.fromEntries(Object.entries(content.maps).map(([name, image]) =>
    [name, right(through(image, [...other[state.layer].cells]), truth)]));
  return {grid: `<div class="grid">${columns.join("")}</div>`, own: right([...own[state.layer].cells], truth), counts};
}

/* Buttons that redraw B's row through the maps of the opening, with what is right through each. */
function mapButtons({state, content}, counts) {
  const best = Math.max(...Object.values(counts));
  const each = Object.keys(content.maps).map(name => button(
    `${MAP_SIGNS[name]} <span>${counts[name]}</span>${counts[name] === best ? " ★" : ""}`, {map: name},
    {on: name === state.map, title: MAP_NAMES[name]}));
  return `<div class="buttons maps" role="group" aria-label="maps"><span>Redraw B's row</span>${each.join("")}</div>`;
}

/* "own 31 of 36, raw 21, 35 through main": at this position and layer. */
function sentence(context, {own, counts}) {
  const {state, position, content} = context, n = position.cells.length, best = Object.keys(counts).reduce((a, b) => counts[b] > counts[a] ? b : a);
  const place = placeOf(state.layer);
  const told = `At this position, ${place}, the probe of ${letter("a", context, state.a)} reads <b>${own} of ${n}</b> cells in its own language`;
  if (state.a === state.b) return `<p class="sum">${told}.</p>`;
  const pair = content.pairs.pairs.find(({source, language}) => source === content.languages[state.a].name && language === content.languages[state.b].name);
  const over = pair ? ` Over ${content.pairs.measured ? "the run's measured" : "other"} games (${placeOf(content.pairs.layer)}): ${percent(pair.shares.identity)} as it is, ${percent(pair.shares[pair.map])} ${MAP_NAMES[pair.map]}.` : "";
  return `<p class="sum">${told}; in ${letter("b", context, state.b)} <b>${counts.identity}</b> as it is, <b>${counts[best]}</b> ${best === "identity" ? "at best" : MAP_NAMES[best]}.${over}</p>`;
}

/* The game as text: a column per move, its word in A and in B; tokens that languages have in common are underlined. */
function texts({state, content, board, whole}, shared) {
  const word = language => move => content.languages[language].words[move].map(token =>
    shared.has(token) ? `<u title="several languages write this token">${token}</u>` : token).join("<span class=dot>·</span>");
  const columns = whole.map((move, i) => {
    const name = board.name(board.moves[move]), b = state.a === state.b ? "" : `<span class="b">${word(state.b)(move)}</span>`;
    const kind = i + 1 === state.ply ? "now" : i + 1 > state.ply ? "later" : "";
    return `<button type="button" class="move ${kind}" ${setting({ply: i + 1})} aria-label="ply ${i + 1}, ${name}"><span>${name}</span><span class="a">${word(state.a)(move)}</span>${b}</button>`;
  });
  return `<div class="text" aria-label="the game as text">${columns.join("")}</div>`;
}

const nothing = `<p class="empty">The model has read nothing yet. Play a move, step on with →, or choose a game.</p>`;

const GameView = {
  name: "game", title: "Game", board: true,
  lead: ({state, shared}) => `One game in two artificial languages${shared.size ? " (underlined tokens are common to several)" : " that share no token"}. The small boards are what a probe, fitted on the first language alone, reads inside the model in either of them; if the second row is wrong as it is but right through a map, the model uses <em>one</em> board for both, mirrored.`,
  results(context) {
    const {moves, state, shared} = context;
    const text = `<h2>The text the model reads</h2>${texts(context, shared)}`;
    if (!moves.length) return text + nothing;
    if (!context.source.knows(moves)) return text + context.unknown;
    const read = readings(context, context.source), two = state.a !== state.b;
    return `${text}<h2>The board inside the model</h2>
      <p class="note">First row: states of ${letter("a", context, state.a)}${two ? `; second row: states of ${letter("b", context, state.b)}, read by the same probe and shown ${MAP_NAMES[state.map]}` : ""}. Pale discs: the probe is unsure. Framed cells: it is wrong.</p>
      ${two ? mapButtons(context, read.counts) : ""}${read.grid}${sentence(context, read)}`;
  },
};

const AlongView = {
  name: "along", title: "Along training", board: true, recorded: true,
  available: content => content.along !== null,
  lead: () => "The same readings at earlier steps of the training: move the slider and watch the board appear, first in each language by itself, then across.",
  controls: ({content}) => slider("step", 0, content.along.steps.length - 1, 1, "Step of the training"),
  results(context) {
    const {state, content, moves} = context, {steps} = content.along, at = state.step < 0 ? steps.length - 1 : state.step;
    const table = content.along.shares.map(step => step[state.a][state.b]), best = Object.keys(content.maps).reduce((a, b, i) => table[table.length - 1][i] > table[table.length - 1][Object.keys(content.maps).indexOf(a)] ? b : a);
    const column = name => table.map(row => row[Object.keys(content.maps).indexOf(name)]), own = content.along.shares.map(step => step[state.a][state.a][0]);
    const lines = [["own language", "own", own], ...(state.a === state.b ? [] : [["other, as it is", "raw", column("identity")], ...(best === "identity" ? [] : [[`other, ${MAP_NAMES[best]}`, "best", column(best)]])])];
    const top = `<p class="sum">After <b>${steps[at].toLocaleString("en")}</b> of ${steps[steps.length - 1].toLocaleString("en")} steps; ${percent(content.along.legal[at][state.a])} of the next move's probability is on legal moves.</p>
      <h2>Cells read right, in percent, by step</h2>${chart(steps, lines, at, "cells read right by step")}`;
    if (!moves.length) return top + nothing;
    const source = context.along(at);
    if (!source.knows(moves)) return top + context.unknown;
    const read = readings(context, source);
    return `${top}<h2>The board inside the model at that step</h2>${state.a === state.b ? "" : mapButtons(context, read.counts)}${read.grid}
      <p class="note">Shown: ${content.along.games.length} recorded games in two languages at ${steps.length} kept steps, ${content.along.note}. Lines: ${content.along.scored} other games, ${placeOf(content.along.layer)}.</p>`;
  },
};
