/* Readings of the live model. Layer 0 is the embedding, layer l the residual stream after block l. */

class Live {
  constructor(content, tensors) {
    this.content = content;
    this.tensors = tensors;
    this.model = new Model(content.model, tensors);
    this.languages = content.languages.map((language, index) => new Language(language, index));
    this.layers = content.model.n_layer + 1;
    this.caches = new Map();
    this.anyone = new Set(this.languages.flatMap(language => [...language.own]));
  }

  /* Every game can be read. */
  knows() {
    return true;
  }

  /* A language's cache with the text of these moves; what it has read already stays. */
  read(language, moves) {
    if (!this.caches.has(language)) this.caches.set(language, this.model.cache(language));
    const cache = this.caches.get(language), tokens = this.languages[language].write(moves);
    let same = 0;
    while (same < Math.min(tokens.length, cache.length) && tokens[same] === cache.tokens[same]) same++;
    cache.length = same;
    for (const token of tokens.slice(same)) this.model.step(cache, token);
    cache.length = tokens.length;
    return cache;
  }

  /* The state at the last token of the last move. */
  state(language, moves) {
    const cache = this.read(language, moves);
    return cache.states[cache.length - 1];
  }

  /* Scores of the three classes of every cell, as a probe of the source reads a state's layer. */
  scores(kind, target, source, layer, state) {
    const name = `probe.${kind}.${target}.${source}.${layer}`, get = part => this.tensors.get(`${name}.${part}`);
    const rows = get("b").length;
    if (kind === "linear") return linear(get("W"), get("b"), state[layer], rows);
    const hidden = linear(get("W_in"), get("b_in"), state[layer], get("b_in").length).map(x => Math.max(0, x));
    return linear(get("W"), get("b"), hidden, rows);
  }

  /* The board by layer, as probes of absolute colors of the source read the language's state: {cells, sure}, classes
     and their probabilities. */
  boards(kind, source, language, moves) {
    const state = this.state(language, moves);
    return state.map((_, layer) => likeliest(this.scores(kind, "absolute", source, layer, state)));
  }

  /* By layer, the probability of every move after these, whole words by the chain rule, and of a first token of another
     language: {p, other}. edit: of the residual stream at the last token. */
  next(language, moves, edit = null) {
    const cache = this.read(language, moves), end = cache.length;
    if (edit) {
      cache.length = end - 1;
      this.model.step(cache, cache.tokens[end - 1], edit);
    }
    const state = cache.states[end - 1], each = state.map((_, layer) => this.answer(cache, state, layer, language));
    const found = each.map(() => ({p: new Float64Array(this.languages[language].words.length), other: 0}));
    if (this.content.unified) {
      each.forEach((log, layer) => found[layer].p.set(log.map(Math.exp)));
    } else {
      const {own, root} = this.languages[language];
      for (const token of this.anyone) {
        if (!own.has(token)) each.forEach((log, layer) => { found[layer].other += Math.exp(log[token]); });
      }
      this.spell(cache, root, each, each.map(() => 0), found, language);
    }
    cache.length = edit ? end - 1 : end;
    return found;
  }

  answer(cache, state, layer, language) {
    return logSoftmax(this.model.logits(state, layer, language));
  }

  /* Walk the tree of words. each: by layer, log probabilities of the next token; before: those of the way here. */
  spell(cache, node, each, before, found, language) {
    for (const [token, next] of node) {
      const log = each.map((answer, layer) => before[layer] + answer[token]);
      if (typeof next === "number") {
        log.forEach((value, layer) => { found[layer].p[next] = Math.exp(value); });
      } else if (cache.length < this.content.model.positions) {
        const state = this.model.step(cache, token);
        const after = state.map((_, layer) => this.answer(cache, state, layer, language));
        this.spell(cache, next, after, log, found, language);
        cache.length--;
      }
    }
  }
}

/* The likeliest class of every cell, and its probability. */
function likeliest(scores) {
  const n = scores.length / 3, cells = new Int8Array(n), sure = new Float32Array(n);
  for (let cell = 0; cell < n; cell++) {
    const three = scores.subarray(3 * cell, 3 * cell + 3);
    cells[cell] = three.indexOf(Math.max(...three));
    sure[cell] = Math.exp(logSoftmax(three)[cells[cell]]);
  }
  return {cells, sure};
}

/* Where the probability of the next move goes: {legal, illegal, other, malformed}, which add up to 1. */
function masses({p, other}, legal) {
  const all = p.reduce((a, b) => a + b, 0), right = legal.reduce((sum, move) => sum + p[move], 0);
  return {legal: right, illegal: all - right, other, malformed: Math.max(0, 1 - all - other)};
}
