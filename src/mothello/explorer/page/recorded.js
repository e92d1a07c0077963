/* Readings that were made when the page was: of some games in two languages, where the page holds no live model. They
   answer as Live does, for the games that they know. */

const CLASS = 85;
/* A byte holds a class, times this, and how sure the probe was, from a third to one. */

class Recorded {
  /* content: {kind, games, languages, layers, lens}, the layers whose next moves were recorded; tensors: NAME.boards [source,
     language, game, ply, layer, cell], NAME.moves [language, game, ply, lens layer, move] and NAME.masses [..., 1]. */
  constructor(content, tensors, name, games) {
    Object.assign(this, {content, tensors, name, games, layers: content.layers});
  }

  /* Which recorded game begins like this; -1 where none does. */
  index(moves) {
    return this.games.findIndex(game => moves.every((move, ply) => game[ply] === move));
  }

  knows(moves) {
    return this.index(moves) >= 0;
  }

  boards(kind, source, language, moves) {
    const name = `${this.name}.boards`, bytes = this.tensors.get(name);
    const [, many, games, plies, layers, cells] = this.tensors.shape(name);
    const from = (((source * many + language) * games + this.index(moves)) * plies + moves.length - 1) * layers;
    return Array.from({length: layers}, (_, layer) => {
      const part = bytes.subarray((from + layer) * cells, (from + layer + 1) * cells);
      return {
        cells: Int8Array.from(part, byte => Math.floor(byte / CLASS)),
        sure: Float32Array.from(part, byte => 1 / 3 + 2 / 3 * (byte % CLASS) / (CLASS - 1)),
      };
    });
  }

  next(language, moves) {
    const name = `${this.name}.moves`, roots = this.tensors.get(name), other = this.tensors.get(`${this.name}.other`);
    const [, games, plies, lens, n] = this.tensors.shape(name);
    const from = ((language * games + this.index(moves)) * plies + moves.length - 1) * lens;
    const found = new Array(this.layers).fill(null);
    this.content.lens.forEach((layer, i) => {
      const part = roots.subarray((from + i) * n, (from + i + 1) * n);
      found[layer] = {p: Float64Array.from(part, byte => (byte / 255) ** 2), other: other[from + i]};
    });
    return found;
  }
}
