/* The views Next move and Intervene: what the model expects, as it is and after an edit. */

/* Probabilities of moves -> of cells. */
function onCells(board, p) {
  const cells = new Float64Array(board.size ** 2);
  p.forEach((value, move) => { cells[board.moves[move]] = value; });
  return cells;
}

function expectation(context, found, position, title, kind, chosen = -1) {
  const {board} = context, legal = position.legal.map(move => board.moves[move]);
  const picture = drawBoard({size: board.size, cells: position.cells, p: onCells(board, found.p), legal, chosen, names: true, label: `probabilities of the next move, ${title}`});
  return figure(picture, title, kind);
}

function floorText({content}, found, legal) {
  if (!content.uniform) return "";
  const floor = Math.log(legal.length), loss = -legal.reduce((sum, move) => sum + Math.log(Math.max(found.p[move], 1e-12)), 0) / legal.length;
  return `<p class="sum">Expected loss here ${loss.toFixed(2)} nats; the floor is ${floor.toFixed(2)}, since ${legal.length} legal move${legal.length === 1 ? " is" : "s are"} equally likely.</p>`;
}

const NextView = {
  name: "next", title: "Next move", board: true,
  lead: () => "What the model expects as the next move, in either language: the darker a square, the likelier (in percent); circles mark the legal moves. It was never told the rules.",
  controls: ({content, state, source}) => `<div class="buttons" role="group" aria-label="layer"><span>Read the answer from</span>${Array.from({length: source.layers}, (_, layer) =>
    button(layer === source.layers - 1 ? `block ${layer}, the answer` : layer ? `block ${layer}` : "embedding", {lens: layer}, {on: layer === lensLayer(state, source), title: "logit lens: the head applied to this layer"})).join("")}</div>`,
  results(context) {
    const {state, source, moves, position} = context, layer = lensLayer(state, source);
    if (!moves.length) return nothing;
    if (!position.legal.length) return `<p class="empty">The game is over.</p>`;
    if (!source.knows(moves)) return context.unknown;
    const pages = [["a", state.a], ["b", state.b]].slice(0, state.a === state.b ? 1 : 2).map(([which, language]) => {
      const by = source.next(language, moves), found = by[layer], share = masses(found, position.legal);
      const rows = by.map((each, l) => each && `<tr${l === layer ? ' class="selected"' : ""}><td>${l === source.layers - 1 ? `block ${l}` : l ? `block ${l}` : "embedding"}</td><td>${percent(masses(each, position.legal).legal, 1)}</td></tr>`).filter(Boolean);
      return `<div class="pane ${which}"><h2>${letter(which, context, language)}</h2>${expectation(context, found, position, layer === source.layers - 1 ? "the model's answer" : `read from ${layer ? `block ${layer}` : "the embedding"}`, which)}
        ${bar([["legal", share.legal], ["illegal", share.illegal], ["another language", share.other], ["no word", share.malformed]])}
        ${layer === source.layers - 1 ? floorText(context, found, position.legal) : ""}
        <table><tr><th>read from</th><th>on legal moves</th></tr>${rows.join("")}</table></div>`;
    });
    return `<div class="panes">${pages.join("")}</div>`;
  },
};

/* The layer whose answer is shown: by default the last. */
const lensLayer = (state, source) => state.lens < 0 ? source.layers - 1 : state.lens;

/* A disc whose edit changes the legal moves and leaves some. */
function telling(board, position, kind) {
  const before = position.legal.join();
  return [...position.cells.keys()].find(cell => {
    if (position.cells[cell] === EMPTY) return false;
    const {legal} = altered(board, position, cell, kind);
    return legal.length && legal.join() !== before;
  });
}

const InterveneView = {
  name: "intervene", title: "Intervene", board: true, picks: true,
  lead: () => "Click a disc on the board. The model's activation is pushed until the first language's probe reads that disc as flipped, or gone: if the model uses this board, it now expects the moves of the <em>changed</em> board. A random push of the same length should do nothing.",
  controls: context => {
    const {state, content} = context, layers = Array.from({length: content.model.n_layer}, (_, layer) => [layer, placeOf(layer)]);
    const into = [["a", nameOf(context, state.a)], ...(state.a === state.b ? [] : [["b", nameOf(context, state.b)]])];
    return `<div class="controls">${choice("edit", [["flip", "flip the disc"], ["erase", "erase the disc"]], state.edit, "Edit")}${choice("into", into, state.into, "Model reads")}
      ${state.into === "b" ? choice("map", Object.keys(content.maps).map(name => [name, MAP_NAMES[name]]), state.map, "Board of B") : ""}
      ${choice("layer", layers, Math.min(state.layer, content.model.n_layer - 1), "Push")}${choice("once", [[0, "and after every later block"], [1, "there alone"]], state.once, "Where")}${slider("strength", 0, 8, 0.25, "Strength")}</div>`;
  },
  results(context) {
    const {state, content, board, position, moves, source} = context;
    if (!content.live) return `<p class="empty">This page holds recorded readings of a large model, not the model itself: it cannot be edited here.</p>`;
    if (!moves.length) return nothing;
    if (!position.legal.length) return `<p class="empty">The game is over.</p>`;
    const cell = context.picked, change = cell >= 0 ? wanted(position, cell, state.edit) : null;
    if (!change) return `<p class="empty">Choose a disc on the board.</p>`;
    const language = state.into === "a" ? state.a : state.b, image = state.into === "a" ? cell : content.maps[state.map][cell];
    const changed = altered(board, position, cell, state.edit), layer = Math.min(state.layer, content.model.n_layer - 1);
    const push = steering(source, state.a, image, change, {layer, once: Boolean(state.once), strength: state.strength});
    const before = source.next(language, moves).at(-1), after = source.next(language, moves, push.edit).at(-1);
    const random = source.next(language, moves, atRandom(push.lengths, 1 + cell + 64 * state.ply)).at(-1);
    const panes = [["before", before, position], ["after the push", after, changed], ["random push, as long", random, changed]].map(([title, found, truth]) => {
      const n = topErrors(found.p, changed.legal);
      return `<div class="pane">${expectation(context, found, truth, title, "", cell)}<p class="sum">${percent(masses(found, changed.legal).legal)} on the changed board's legal moves; <b>${n}</b> error${n === 1 ? "" : "s"} among its ${changed.legal.length} likeliest.</p></div>`;
    });
    const color = {0: "white", 2: "black"}, told = state.edit === "erase" ? "erased" : `flipped to ${color[2 - position.cells[cell]]}`;
    const weak = [...push.lengths.values()].every(length => length === 0) ? " The probe reads it so already: nothing is pushed." : "";
    return `<p class="sum">The ${color[position.cells[cell]]} disc on <b>${board.name(cell)}</b> is ${told} for a model that reads ${letter(state.into, context, language)}${state.into === "b" ? `, with the probe of ${letter("a", context, state.a)} ${MAP_NAMES[state.map]} (${board.name(image)})` : ""}.${weak}</p>
      ${changed.legal.length ? "" : `<p class="note">On the changed board no move would be legal: choose another disc.</p>`}<div class="panes three">${panes.join("")}</div>
      <p class="note">Circles: before, the legal moves; then those of the changed board. Errors: moves named wrongly and missed, when as many are named as are legal.</p>`;
  },
};
