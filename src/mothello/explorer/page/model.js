/* The transformer, one token at a time with a cache of keys and values. A state is the residual stream at one token:
   one vector per layer, of which the first is the embedding. */

/* erf(x), to 1.2e-7 (Chebyshev's series of Numerical Recipes). */
function erf(x) {
  const z = Math.abs(x), t = 1 / (1 + z / 2);
  const series = [1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277];
  const sum = series.reduceRight((total, c) => total * t + c, 0);
  const tail = t * Math.exp(-z * z - 1.26551223 + t * sum);
  return x >= 0 ? 1 - tail : tail - 1;
}

const ACTIVATIONS = {
  gelu: x => x / 2 * (1 + erf(x / Math.SQRT2)),
  gelu_tanh: x => x / 2 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu2: x => x > 0 ? x * x : 0,
};
const RMS_EPS = 1e-6, LAYER_EPS = 1e-5;

/* x[from:to] over its root mean square. */
function rms(x, from, to) {
  let squares = 0;
  for (let i = from; i < to; i++) squares += x[i] * x[i];
  return 1 / Math.sqrt(squares / (to - from) + RMS_EPS);
}

class Model {
  /* config: n_layer, n_head, d_model, norm, activation, qk_norm, positions, output. tensors: the weights by their
     names in the checkpoint, with the language's number in it where a part is its own. */
  constructor(config, tensors) {
    Object.assign(this, {config, tensors});
    this.activation = ACTIVATIONS[config.activation];
  }

  /* A weight as a language has it. */
  weight(part, name, language) {
    const own = `${part}.${language}.${name}`;
    return this.tensors.get(this.tensors.has(own) ? own : `${part}.${name}`);
  }

  cache(language) {
    const {n_layer, positions, d_model} = this.config;
    const room = () => Array.from({length: n_layer}, () => new Float32Array(positions * d_model));
    return {language, length: 0, tokens: [], states: [], keys: room(), values: room()};
  }

  norm(x, part, language) {
    const weight = this.weight(part, "weight", language), n = x.length;
    if (this.config.norm === "rms") {
      const scale = rms(x, 0, n);
      return x.map((value, i) => value * scale * weight[i]);
    }
    const bias = this.weight(part, "bias", language), mean = x.reduce((a, b) => a + b, 0) / n;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n, scale = 1 / Math.sqrt(variance + LAYER_EPS);
    return x.map((value, i) => (value - mean) * scale * weight[i] + bias[i]);
  }

  /* Read a token at the end of the cache. edit(layer, x) may change the residual stream x after a layer in place.
     Returns the state. */
  step(cache, token, edit = null) {
    const {d_model, n_layer} = this.config, {language} = cache, at = cache.length;
    const embedding = this.weight("token_embedding", "weight", language);
    const place = this.weight("position_embedding", "weight", language), own = this.tensors.get("language_embedding.weight");
    let x = new Float32Array(d_model);
    for (let i = 0; i < d_model; i++) {
      x[i] = embedding[token * d_model + i] + place[at * d_model + i] + (own ? own[language * d_model + i] : 0);
    }
    if (edit) edit(0, x);
    const state = [x];
    for (let block = 0; block < n_layer; block++) {
      x = this.block(cache, block, x, at);
      if (edit) edit(block + 1, x);
      state.push(x);
    }
    cache.tokens[at] = token;
    cache.states[at] = state;
    cache.length = at + 1;
    return state;
  }

  block(cache, index, x, at) {
    const part = `blocks.${index}`, {language} = cache, {d_model} = this.config;
    const sub = name => (this.tensors.has(`${part}.${language}.${name}.weight`) ? `${part}.${language}` : part) + `.${name}`;
    const apply = (name, input, rows) => linear(
      this.tensors.get(`${sub(name)}.weight`), this.tensors.get(`${sub(name)}.bias`), input, rows);
    const qkv = apply("qkv", this.norm(x, sub("norm_1"), language), 3 * d_model);
    const out = apply("out", this.attend(cache, index, qkv, at), d_model);
    const middle = x.map((value, i) => value + out[i]);
    const units = apply("up", this.norm(middle, sub("norm_2"), language), 4 * d_model).map(this.activation);
    const down = apply("down", units, d_model);
    return middle.map((value, i) => value + down[i]);
  }

  /* The heads' outputs at a token, side by side. qkv: its query, key and value. */
  attend(cache, index, qkv, at) {
    const {d_model, n_head, qk_norm} = this.config, width = d_model / n_head;
    for (let first = 0; qk_norm && first < 2 * d_model; first += width) {
      const scale = rms(qkv, first, first + width);
      for (let i = first; i < first + width; i++) qkv[i] *= scale;
    }
    const keys = cache.keys[index], values = cache.values[index], y = new Float32Array(d_model);
    keys.set(qkv.subarray(d_model, 2 * d_model), at * d_model);
    values.set(qkv.subarray(2 * d_model), at * d_model);
    for (let head = 0; head < n_head; head++) {
      const low = head * width, scores = new Float64Array(at + 1);
      for (let t = 0; t <= at; t++) {
        let score = 0;
        for (let i = low; i < low + width; i++) score += qkv[i] * keys[t * d_model + i];
        scores[t] = score / Math.sqrt(width);
      }
      const weights = logSoftmax(scores).map(Math.exp);
      for (let t = 0; t <= at; t++) {
        for (let i = low; i < low + width; i++) y[i] += weights[t] * values[t * d_model + i];
      }
    }
    return y;
  }

  /* What the head says of a state's layer: of the last one the model's own answer, of others the logit lens. */
  logits(state, layer, language) {
    const head = this.weight("head", "weight", language) || this.weight("token_embedding", "weight", language);
    return linear(head, null, this.norm(state[layer], "norm", language), this.config.output);
  }
}
