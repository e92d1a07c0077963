/* The position: the board with its buttons, the games and the languages. */

/* What a click on a cell sets, or null: a disc to edit, or a move. */
function clickOf({state, view, board, moves, whole, position}, cell) {
  if (view.recorded) return null;
  if (view.picks) return position.cells[cell] === EMPTY ? null : {cell};
  const move = board.moveOf.get(cell), ply = state.ply + 1;
  if (!position.legal.includes(move)) return null;
  return whole[state.ply] === move ? {ply} : {game: board.text([...moves, move]), ply};
}

function bigBoard(context) {
  const {view, position, board, moves, picked} = context, chosen = view.picks ? picked : -1;
  return drawBoard({
    size: board.size, cells: position.cells, chosen, names: true, act: cell => clickOf(context, cell),
    legal: view.picks ? [] : position.legal.map(move => board.moves[move]),
    last: moves.length ? board.moves[moves.at(-1)] : -1,
    label: view.picks ? "the board; choose a disc" : "the board; rings mark legal moves",
  });
}

function positionPanel(context, games) {
  const {state, content, board, whole, position, view} = context, {length} = whole;
  const mover = position.mover === BLACK ? "Black" : "White";
  const turn = position.legal.length ? `${mover} to move, ${position.legal.length} legal` : "The game is over";
  const step = (sign, ply, title) => button(sign, {ply: Math.max(0, Math.min(length, ply))}, {title});
  const steps = [step("«", 0, "to the start (Home)"), step("‹", state.ply - 1, "back (←)"),
    step("›", state.ply + 1, "on (→)"), step("»", length, "to the end (End)")];
  const own = [button("New", {action: "restart"}, {title: "from the start position"}),
    button("Random", {action: "finish"}, {title: "play on at random"})];
  const many = view.recorded ? Math.min(2, content.readable) : content.readable;
  const languages = content.languages.slice(0, many).map(({name}, index) => [index, name]);
  const kinds = content.probes.filter(([, target]) => target === "absolute").map(([kind]) => [kind, kind]);
  const chosen = games.findIndex(game => board.text(game) === state.game);
  const samples = [...(chosen < 0 ? [["", "your own"]] : []), ...games.map((_, index) => [index, `game ${index + 1}`])];
  const free = content.live && !view.recorded;
  return `${bigBoard(context)}<p class="turn">Ply ${state.ply} of ${length}. ${turn}.</p>
    ${buttons("plies", "", free ? [...steps, ...own] : steps)}
    <div class="controls">${choice("sample", samples, chosen < 0 ? "" : chosen, "Game")}
      ${choice("a", languages, state.a, "Language A")}${choice("b", languages, state.b, "Language B")}
      ${kinds.length > 1 && view === GameView ? choice("probe", kinds, state.probe, "Probe") : ""}</div>`;
}
