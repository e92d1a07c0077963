/* The rules of Othello. A cell is an index row by row; its class is 0 white, 1 empty, 2 black. A move is an index into
   the cells that start empty. */

const WHITE = 0, EMPTY = 1, BLACK = 2;
const STEPS = [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]];

class Board {
  constructor(size) {
    this.size = size;
    const high = size / 2, low = high - 1;
    this.start = new Int8Array(size * size).fill(EMPTY);
    this.start[low * size + high] = this.start[high * size + low] = BLACK;
    this.start[low * size + low] = this.start[high * size + high] = WHITE;
    this.moves = [...this.start.keys()].filter(cell => this.start[cell] === EMPTY);
    this.moveOf = new Map(this.moves.map((cell, move) => [cell, move]));
  }

  /* The position before the first move: black plays. */
  begin() {
    return {cells: this.start, mover: BLACK, legal: this.legal(this.start, BLACK)};
  }

  name(cell) {
    return "abcdefgh"[cell % this.size] + (Math.floor(cell / this.size) + 1);
  }

  /* Text such as "c2b2" -> moves, as far as they can be read. */
  parse(text) {
    const names = new Map(this.moves.map((cell, move) => [this.name(cell), move]));
    const moves = (text.match(/[a-h][1-8]/g) || []).map(name => names.get(name));
    const end = moves.indexOf(undefined);
    return end < 0 ? moves : moves.slice(0, end);
  }

  text(moves) {
    return moves.map(move => this.name(this.moves[move])).join("");
  }

  /* The discs that a color turns by playing on an empty cell. */
  turned(cells, cell, color) {
    const found = [], {size} = this, row = Math.floor(cell / size), column = cell % size;
    for (const [down, right] of STEPS) {
      const line = [];
      let r = row + down, c = column + right;
      while (r >= 0 && r < size && c >= 0 && c < size && cells[r * size + c] === 2 - color) {
        line.push(r * size + c);
        r += down;
        c += right;
      }
      const closed = r >= 0 && r < size && c >= 0 && c < size && cells[r * size + c] === color;
      if (closed) found.push(...line);
    }
    return found;
  }

  legal(cells, color) {
    const all = [...this.moves.keys()];
    return all.filter(m => cells[this.moves[m]] === EMPTY && this.turned(cells, this.moves[m], color).length > 0);
  }

  /* The position after a legal move. A side that has no move passes; after the end the other side is to move. */
  play(position, move) {
    const cells = Int8Array.from(position.cells), {mover} = position, cell = this.moves[move];
    for (const turned of this.turned(cells, cell, mover)) cells[turned] = mover;
    cells[cell] = mover;
    const reply = this.legal(cells, 2 - mover);
    const again = reply.length ? [] : this.legal(cells, mover);
    return again.length ? {cells, mover, legal: again} : {cells, mover: 2 - mover, legal: reply};
  }

  /* Every position of a game, up to its end or its first illegal move: one more than there are moves. */
  replay(moves) {
    const positions = [this.begin()];
    for (const move of moves) {
      const last = positions[positions.length - 1];
      if (!last.legal.includes(move)) break;
      positions.push(this.play(last, move));
    }
    return positions;
  }
}

/* A board as a map shows it, where map[cell] is the image of a cell; all maps of the opening undo themselves. */
function through(map, cells) {
  return map.map(image => cells[image]);
}
