/* The page itself: the state, what is computed from it, and what a reader does. */

const VIEWS = [GameView, NextView, InterveneView, LanguagesView, AlongView];

class App {
  constructor(content, tensors) {
    this.content = content;
    this.board = new Board(content.board);
    this.source = content.live ? new Live(content, tensors) : new Recorded(content.recorded, tensors, "recorded", content.games);
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
    const {state, content, board, source, shared} = this, whole = board.parse(state.game), moves = whole.slice(0, state.ply);
    const position = board.replay(moves).at(-1), view = this.views.find(({name}) => name === state.view);
    const free = view.picks && (state.cell < 0 || position.cells[state.cell] === EMPTY);
    const picked = free ? telling(board, position, state.edit) : state.cell;
    const unknown = empty("Only recorded games can be read here: choose one below the board.");
    const along = at => this.along(at);
    return {state, content, board, source, shared, whole, moves, position, view, picked, unknown, along};
  }

  show() {
    const context = this.context(), {view} = context;
    history.replaceState(null, "", fragmentOf(this.state));
    this.fill("tabs", this.views.map((one, i) => `<button type="button" role="tab" aria-selected="${one === view}"
      ${setting({view: one.name})} title="key ${i + 1}">${one.title}</button>`).join(""));
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
    const part = document.getElementById(id), marks = ["data-set", "data-key", "aria-label"];
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const before = marks.map(mark => focus && focus.getAttribute(mark));
    part.innerHTML = html;
    this.shown[id] = html;
    if (!focus) return;
    const same = other => marks.some((mark, i) => before[i] && other.getAttribute(mark) === before[i]);
    const found = [...part.querySelectorAll("[data-set], [data-key]")].find(same);
    if (found) found.focus();
  }
}

function main() {
  const text = id => document.getElementById(id).textContent, content = JSON.parse(text("content"));
  window.explorer = new App(content, new Tensors(content.tensors, bytesOf(text("tensors").trim())));
  window.explorer.start();
}
