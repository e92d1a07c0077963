/* The page itself: the state, what is computed from it, and what a reader does. */

const VIEWS = [GameView, NextView, InterveneView, LanguagesView, AlongView];

class App {
  constructor(content, tensors) {
    this.content = content;
    this.board = new Board(content.board);
    this.live = content.live ? new Live(content, tensors) : new Recorded(content.recorded, tensors, "recorded", content.games);
    this.earlier = new Map();
    this.tensors = tensors;
    this.shared = sharedTokens(content.languages.map((language, index) => new Language(language, index)));
    this.views = VIEWS.filter(view => !view.available || view.available(content));
    this.shown = {};
  }

  /* The readings at a kept step of the training. */
  along(at) {
    if (!this.earlier.has(at)) {
      this.earlier.set(at, new Recorded(this.content.along, this.tensors, `along.${at}`, this.content.along.games));
    }
    return this.earlier.get(at);
  }

  start() {
    this.state = this.bounded(parsed(location.hash));
    if (!this.state.game && !location.hash.includes("game=")) this.choose(0);
    document.addEventListener("click", event => this.clicked(event.target.closest("[data-set]")));
    document.addEventListener("keydown", event => this.pressed(event));
    document.addEventListener("input", event => this.entered(event.target));
    window.addEventListener("hashchange", () => {
      if (location.hash !== fragmentOf(this.state)) this.set(parsed(location.hash));
    });
    this.show();
  }

  bounded(state) {
    const known = bounded(state, this.content, this.board);
    return this.views.some(view => view.name === known.view) ? known : {...known, view: "game"};
  }

  /* Take a game of the page, at a telling place. */
  choose(index) {
    const game = this.games()[index];
    this.state = this.bounded({...this.state, game: this.board.text(game), ply: Math.round(game.length * 0.4)});
  }

  games() {
    return this.state.view === "along" ? this.content.along.games : this.content.games;
  }

  set(values) {
    const view = this.state.view;
    this.state = this.bounded({...this.state, ...values});
    if (this.state.view === "along" && view !== "along" && !this.along(0).knows(this.context().moves)) this.choose(0);
    this.show();
  }

  clicked(target) {
    if (!target) return;
    const values = JSON.parse(target.dataset.set);
    if (values.action) this[values.action]();
    else this.set(values);
  }

  entered(input) {
    const {key} = input.dataset || {};
    if (!key) return;
    if (key === "sample") {
      if (input.value !== "") { this.choose(Number(input.value)); this.show(); }
    } else {
      const number = typeof DEFAULTS[key] === "number";
      this.set({[key]: number ? Number(input.value) : input.value});
    }
  }

  pressed(event) {
    const {tagName, type} = event.target, {ply} = this.state;
    if (event.ctrlKey || event.metaKey || event.altKey || tagName === "SELECT" || type === "range") return;
    if ((event.key === "Enter" || event.key === " ") && tagName === "g") {
      event.preventDefault();
      this.clicked(event.target);
      return;
    }
    const whole = this.board.parse(this.state.game).length;
    const steps = {ArrowRight: Math.min(whole, ply + 1), ArrowLeft: Math.max(0, ply - 1), Home: 0, End: whole};
    const view = this.views[Number(event.key) - 1];
    if (event.key in steps) {
      event.preventDefault();
      this.set({ply: steps[event.key]});
    } else if (view) {
      this.set({view: view.name});
    }
  }

  /* Begin anew, from the start position. */
  restart() {
    this.set({game: "", ply: 0});
  }

  /* Play on at random to the end. */
  finish() {
    const moves = this.context().moves.slice();
    let position = this.board.replay(moves).at(-1);
    while (position.legal.length) {
      moves.push(position.legal[Math.floor(Math.random() * position.legal.length)]);
      position = this.board.play(position, moves.at(-1));
    }
    this.set({game: this.board.text(moves), ply: Math.min(moves.length, this.state.ply + 1)});
  }

  theme() {
    const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = (root.dataset.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  }

  /* Everything that a view shows follows from this. */
  context() {
    const {state, content, board, live, shared} = this, whole = board.parse(state.game), moves = whole.slice(0, state.ply);
    const position = board.replay(moves).at(-1), view = this.views.find(({name}) => name === state.view);
    const picked = view.picks && (state.cell < 0 || position.cells[state.cell] === EMPTY)
      ? telling(board, position, state.edit) ?? -1 : state.cell;
    const unknown = `<p class="empty">Only recorded games can be read here: choose one below the board.</p>`;
    return {state, content, board, source: live, shared, whole, moves, position, view, picked, unknown, along: at => this.along(at)};
  }

  show() {
    const context = this.context(), {view} = context;
    history.replaceState(null, "", fragmentOf(this.state));
    this.fill("tabs", this.views.map((one, i) => `<button type="button" role="tab" aria-selected="${one === view}" ${setting({view: one.name})} title="key ${i + 1}">${one.title}</button>`).join(""));
    this.fill("lead", view.lead(context));
    document.body.classList.toggle("wide", !view.board);
    this.fill("position", view.board ? positionPanel(context, this.games()) : "");
    this.fill("controls", view.controls ? view.controls(context) : "");
    this.fill("results", view.results(context));
    for (const input of document.querySelectorAll("input[data-key]")) {
      const value = this.state[input.dataset.key];
      input.value = input.dataset.key === "step" && value < 0 ? input.max : value;
    }
  }

  /* New content of a part of the page, where it has changed; the focus stays where it was. */
  fill(id, html) {
    if (this.shown[id] === html) return;
    const part = document.getElementById(id), focus = part.contains(document.activeElement) ? document.activeElement : null;
    const name = focus && (focus.getAttribute("data-set") || focus.getAttribute("data-key")), label = focus && focus.getAttribute("aria-label");
    part.innerHTML = html;
    this.shown[id] = html;
    const same = name && [...part.querySelectorAll("[data-set], [data-key]")].find(other =>
      [other.getAttribute("data-set"), other.getAttribute("data-key")].includes(name) || (label && other.getAttribute("aria-label") === label));
    if (same) same.focus();
  }
}

/* The board with its buttons, the games and the languages. */
function positionPanel(context, games) {
  const {state, content, board, whole, moves, position, view, picked} = context, {length} = whole;
  const act = view.picks ? cell => position.cells[cell] === EMPTY ? null : {cell}
    : view.recorded ? () => null
    : cell => position.legal.map(move => board.moves[move]).includes(cell)
      ? {game: board.text([...moves, board.moveOf.get(cell)]), ply: state.ply + 1} : null;
  const following = cell => {
    const set = act(cell), next = set && set.game !== undefined && whole[state.ply] === board.moveOf.get(cell);
    return next ? {ply: state.ply + 1} : set;
  };
  const legal = view.picks ? [] : position.legal.map(move => board.moves[move]), last = moves.length ? board.moves[moves.at(-1)] : -1;
  const picture = drawBoard({size: board.size, cells: position.cells, legal, last, act: following, names: true, chosen: view.picks ? picked : -1, label: "the board; click a marked square to play"});
  const turn = position.legal.length ? `${position.mover === BLACK ? "Black" : "White"} to move, ${position.legal.length} legal` : "The game is over";
  const step = (sign, ply, title) => button(sign, {ply: Math.max(0, Math.min(length, ply))}, {title});
  const many = view.recorded ? Math.min(2, content.readable) : content.readable;
  const languages = content.languages.slice(0, many).map(({name}, index) => [index, name]), kinds = [...new Set(content.probes.filter(([, target]) => target === "absolute").map(([kind]) => kind))];
  const chosen = games.findIndex(game => board.text(game) === state.game);
  const samples = [["", "your own"], ...games.map((_, index) => [index, `game ${index + 1}`])];
  return `${picture}<p class="turn">Ply ${state.ply} of ${length}. ${turn}.</p>
    <div class="buttons">${step("«", 0, "to the start (Home)")}${step("‹", state.ply - 1, "back (←)")}${step("›", state.ply + 1, "on (→)")}${step("»", length, "to the end (End)")}
      ${view.recorded ? "" : button("New", {action: "restart"}, {title: "from the start position"}) + button("Random", {action: "finish"}, {title: "play on at random"})}</div>
    <div class="controls">${choice("sample", samples, chosen < 0 ? "" : chosen, "Game")}${choice("a", languages, state.a, "Language A")}${choice("b", languages, state.b, "Language B")}
      ${kinds.length > 1 && view === GameView ? choice("probe", kinds.map(kind => [kind, kind]), state.probe, "Probe") : ""}</div>`;
}

function main() {
  const text = id => document.getElementById(id).textContent, content = JSON.parse(text("content"));
  window.explorer = new App(content, new Tensors(content.tensors, bytesOf(text("tensors").trim())));
  window.explorer.start();
}
