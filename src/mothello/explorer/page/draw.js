/* A board as SVG. */

const cellName = (cell, size) => "abcdefgh"[cell % size] + (Math.floor(cell / size) + 1);

const SIGNS = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"};
const escaped = text => String(text).replace(/[&<>"]/g, sign => SIGNS[sign]);

/* What a click sets, as an attribute. */
const setting = values => `data-set="${escaped(JSON.stringify(values))}"`;

const circle = (kind, x, y, radius, more = "") =>
  `<circle class="${kind}" cx="${x + 0.5}" cy="${y + 0.5}" r="${radius}" ${more}/>`;

const square = (kind, x, y, inset, more = "") => {
  const side = 1 - 2 * inset;
  return `<rect class="${kind}" x="${x + inset}" y="${y + inset}" width="${side}" height="${side}" ${more}/>`;
};

/* What is drawn on one cell, whose upper left corner is x, y. */
function drawCell(cell, x, y, {cells, sure, wrong, p, legal, fresh, last, chosen}) {
  const parts = [square("square", x, y, 0)];
  if (p && p[cell] > 0) parts.push(square("ink", x, y, 0, `opacity="${Math.sqrt(p[cell]).toFixed(3)}"`));
  if (cells[cell] !== EMPTY) {
    const ink = sure ? Math.max(0.12, (sure[cell] - 1 / 3) * 1.5) : 1;
    parts.push(circle(cells[cell] === BLACK ? "black" : "white", x, y, 0.38, `opacity="${ink.toFixed(3)}"`));
  }
  if (legal && legal.includes(cell)) parts.push(circle("ring", x, y, p ? 0.44 : 0.15));
  if (fresh && fresh.includes(cell)) parts.push(circle("ring fresh", x, y, 0.44));
  if (p && p[cell] >= 0.005) {
    parts.push(`<text class="number" x="${x + 0.5}" y="${y + 0.62}">${Math.round(100 * p[cell])}</text>`);
  }
  if (cell === last) parts.push(circle("last", x, y, 0.1));
  if (wrong && wrong[cell]) parts.push(square("wrong under", x, y, 0.06), square("wrong", x, y, 0.06));
  if (cell === chosen) parts.push(square("chosen", x, y, 0.07));
  return parts.join("");
}

/* A board. size: cells of a side; cells: their classes; sure: the probabilities of these, shown as ink; wrong: which to
   frame; p: a probability for every cell, shown as ink and in percent; legal: cells with a ring; fresh: with a dashed one;
   last: the last move's cell; chosen: a marked cell; act(cell): what a click on a cell sets, or null; names: whether columns
   and rows have theirs; label: what a reader of the screen says. */
function drawBoard(shown) {
  const {size, act, label, names} = shown, edge = names ? 0.55 : 0, side = size + edge, parts = [];
  for (let cell = 0; cell < size * size; cell++) {
    const drawn = drawCell(cell, edge + cell % size, edge + Math.floor(cell / size), shown), set = act && act(cell);
    const button = `class="act" role="button" tabindex="0" aria-label="${cellName(cell, size)}"`;
    parts.push(set ? `<g ${button} ${setting(set)}>${drawn}</g>` : drawn);
  }
  for (let i = 0; names && i < size; i++) {
    const name = (x, y, text) => `<text class="name" font-size="${0.055 * size}" x="${x}" y="${y}">${text}</text>`;
    parts.push(name(edge + i + 0.5, 0.4, "abcdefgh"[i]), name(0.25, edge + i + 0.62, i + 1));
  }
  const role = `role="${act ? "group" : "img"}" aria-label="${escaped(label || "board")}"`;
  return `<svg class="board" viewBox="0 0 ${side} ${side}" ${role}>${parts.join("")}</svg>`;
}
