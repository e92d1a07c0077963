/* Boards and small parts of the page as text of HTML. */

const escaped = text => String(text).replace(/[&<>"]/g, sign => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[sign]);
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;
const MAP_NAMES = {identity: "as it is", rot180: "turned by 180°", main: "mirrored in the main diagonal", anti: "mirrored in the other diagonal"};
const MAP_SIGNS = {identity: "as is", rot180: "180°", main: "main ⤡", anti: "anti ⤢"};

/* A board. cells: classes; sure: their probabilities, shown as ink; wrong: cells to frame; p: a probability for every
   cell, shown as ink and a number; legal: cells with a ring; last: the last move's cell; chosen: a marked cell; act(cell):
   what a click on a cell sets, such as {game: "c2"}, or null; label: for readers of the screen. */
function drawBoard({size, cells, sure, wrong, p, legal, last, chosen, act, label, names}) {
  const edge = names ? 0.55 : 0, font = 0.055 * size, parts = [];
  for (let cell = 0; cell < size * size; cell++) {
    const x = edge + cell % size, y = edge + Math.floor(cell / size), middle = `cx="${x + 0.5}" cy="${y + 0.5}"`, inside = [];
    inside.push(`<rect class="square" x="${x}" y="${y}" width="1" height="1"/>`);
    if (p && p[cell] > 0) inside.push(`<rect class="ink" x="${x}" y="${y}" width="1" height="1" opacity="${Math.sqrt(p[cell]).toFixed(3)}"/>`);
    if (cells[cell] !== EMPTY) {
      const ink = sure ? Math.max(0.12, (sure[cell] - 1 / 3) * 1.5) : 1;
      inside.push(`<circle class="${cells[cell] === BLACK ? "black" : "white"}" ${middle} r=".38" opacity="${ink.toFixed(3)}"/>`);
    }
    if (legal && legal.includes(cell)) inside.push(`<circle class="ring" ${middle} r="${p ? ".44" : ".15"}"/>`);
    if (p && p[cell] >= 0.005) inside.push(`<text class="number" x="${x + 0.5}" y="${y + 0.62}">${Math.round(100 * p[cell])}</text>`);
    if (cell === last) inside.push(`<circle class="last" ${middle} r=".1"/>`);
    if (wrong && wrong[cell]) inside.push(`<rect class="wrong under" x="${x + 0.06}" y="${y + 0.06}" width=".88" height=".88"/><rect class="wrong" x="${x + 0.06}" y="${y + 0.06}" width=".88" height=".88"/>`);
    if (cell === chosen) inside.push(`<rect class="chosen" x="${x + 0.07}" y="${y + 0.07}" width=".86" height=".86"/>`);
    const set = act && act(cell);
    parts.push(set ? `<g class="act" role="button" tabindex="0" aria-label="${cellName(cell, size)}" ${setting(set)}>${inside.join("")}</g>` : inside.join(""));
  }
  for (let i = 0; names && i < size; i++) {
    parts.push(`<text class="name" font-size="${font}" x="${edge + i + 0.5}" y=".4">${"abcdefgh"[i]}</text><text class="name" font-size="${font}" x=".25" y="${edge + i + 0.62}">${i + 1}</text>`);
  }
  const side = size + edge;
  return `<svg class="board" viewBox="0 0 ${side} ${side}" role="${act ? "group" : "img"}" aria-label="${escaped(label || "board")}">${parts.join("")}</svg>`;
}

const cellName = (cell, size) => "abcdefgh"[cell % size] + (Math.floor(cell / size) + 1);

/* What a click sets, as an attribute. */
const setting = values => `data-set="${escaped(JSON.stringify(values))}"`;

const button = (label, values, {on = false, title = ""} = {}) =>
  `<button type="button" ${setting(values)} aria-pressed="${on}" title="${escaped(title)}">${label}</button>`;

const choice = (key, options, value, label) =>
  `<label>${label}<select data-key="${key}">${options.map(([name, text]) =>
    `<option value="${escaped(name)}"${String(name) === String(value) ? " selected" : ""}>${escaped(text)}</option>`).join("")}</select></label>`;

/* A slider; its position is set afterwards, so that a slider in use is not made anew. */
const slider = (key, low, high, step, label) =>
  `<label class="slider">${label}<input type="range" data-key="${key}" min="${low}" max="${high}" step="${step}"></label>`;

const figure = (picture, caption, kind = "") => `<figure class="${kind}">${picture}<figcaption>${caption}</figcaption></figure>`;

/* Shares that add up to one as one bar with a legend; every part has a pattern and a name. */
function bar(parts) {
  const pieces = parts.map(([name, share], i) => `<i class="part${i}" style="width:${percent(share, 2)}"></i>`).join("");
  const legend = parts.map(([name, share], i) => `<span><i class="part${i}"></i>${name} ${percent(share, 1)}</span>`).join("");
  return `<div class="bar" role="img" aria-label="${parts.map(([name, share]) => `${name} ${percent(share, 1)}`).join(", ")}">${pieces}</div><div class="legend">${legend}</div>`;
}

/* Lines over steps on a logarithmic axis. lines: [name, class, values]; at: the marked step's index. */
function chart(steps, lines, at, label) {
  const width = 460, height = 190, left = 34, right = 12, top = 10, bottom = 26, log = step => Math.log(Math.max(1, step));
  const span = Math.max(1e-9, log(steps[steps.length - 1]) - log(steps[0]));
  const x = step => left + (width - left - right) * (log(step) - log(steps[0])) / span;
  const y = value => top + (height - top - bottom) * (1 - value);
  const grid = [0, 0.25, 0.5, 0.75, 1].map(v => `<line class="grid" x1="${left}" x2="${width - right}" y1="${y(v)}" y2="${y(v)}"/><text class="tick" x="${left - 5}" y="${y(v) + 4}" text-anchor="end">${v * 100}</text>`);
  const ticks = steps.map((step, i) => [step, i]).filter(([, i]) => i % Math.ceil(steps.length / 6) === 0 || i === steps.length - 1);
  const named = ticks.map(([step, i]) => `<text class="tick" x="${x(step)}" y="${height - 8}" text-anchor="${i === steps.length - 1 ? "end" : i ? "middle" : "start"}">${step.toLocaleString("en")}</text>`);
  const drawn = lines.map(([, kind, values]) => `<polyline class="${kind}" points="${values.map((v, i) => `${x(steps[i]).toFixed(1)},${y(v).toFixed(1)}`).join(" ")}"/>`);
  const legend = lines.map(([name, kind, values]) => `<span><svg viewBox="0 0 26 8"><polyline class="${kind}" points="0,4 26,4"/></svg>${name} ${percent(values[at])}</span>`).join("");
  return `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${grid.join("")}<line class="now" x1="${x(steps[at])}" x2="${x(steps[at])}" y1="${top}" y2="${height - bottom}"/>${drawn.join("")}${named.join("")}</svg><div class="legend">${legend}</div>`;
}
