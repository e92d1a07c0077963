/* Small parts of the page, as text of HTML: buttons, choices, bars, a chart. */

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

const MAP_NAMES = {
  identity: "as it is", rot180: "turned by 180°", main: "mirrored in the main diagonal",
  anti: "mirrored in the other diagonal",
};
const MAP_SIGNS = {identity: "as is", rot180: "180°", main: "main ⤡", anti: "anti ⤢"};

/* Where a state is read. */
const placeOf = layer => layer ? `after block ${layer}` : "embedding";

const nameOf = ({content}, language) => escaped(content.languages[language].name);

/* A language's name in its color. which: a or b. */
const colored = (which, context, language) => `<b class="${which}">${nameOf(context, language)}</b>`;

const button = (label, values, {on = false, title = ""} = {}) =>
  `<button type="button" ${setting(values)} aria-pressed="${on}" title="${escaped(title)}">${label}</button>`;

const buttons = (label, title, each) =>
  `<div class="buttons" role="group" aria-label="${label}">${title ? `<span>${title}</span>` : ""}${each.join("")}</div>`;

/* A choice of one of some [value, text]. */
function choice(key, options, value, label) {
  const each = options.map(([name, text]) => {
    const selected = String(name) === String(value) ? " selected" : "";
    return `<option value="${escaped(name)}"${selected}>${escaped(text)}</option>`;
  });
  return `<label>${label}<select data-key="${key}">${each.join("")}</select></label>`;
}

/* A slider; its position is set afterwards, so that one in use is not made anew. */
const slider = (key, low, high, step, label) =>
  `<label class="slider">${label}<input type="range" data-key="${key}" min="${low}" max="${high}" step="${step}"></label>`;

const figure = (picture, caption, kind = "") =>
  `<figure class="${kind}">${picture}<figcaption>${caption}</figcaption></figure>`;

const empty = text => `<p class="empty">${text}</p>`;
const NOTHING = empty("The model has read nothing yet. Play a move, step on with →, or choose a game.");
const OVER = empty("The game is over.");

/* Shares that add up to one, [name, share], as one bar with a legend; every part has a pattern and a name. */
function bar(parts) {
  const pieces = parts.map(([, share], i) => `<i class="part${i}" style="width:${percent(share, 2)}"></i>`);
  const told = parts.map(([name, share]) => `${name} ${percent(share, 1)}`);
  const legend = told.map((text, i) => `<span><i class="part${i}"></i>${text}</span>`);
  return `<div class="bar" role="img" aria-label="${told.join(", ")}">${pieces.join("")}</div>
    <div class="legend">${legend.join("")}</div>`;
}

const FRAME = {width: 460, height: 190, left: 34, right: 12, top: 10, bottom: 26};

/* The step as a chart's x and a share as its y; steps are on a logarithmic axis. */
function axes(steps) {
  const {width, height, left, right, top, bottom} = FRAME, log = step => Math.log(Math.max(1, step));
  const first = log(steps[0]), span = Math.max(1e-9, log(steps.at(-1)) - first);
  return {
    x: step => left + (width - left - right) * (log(step) - first) / span,
    y: share => top + (height - top - bottom) * (1 - share),
  };
}

/* The places, of some in ascending order, that are so far apart that a name fits at each; the last is one of them. */
function apart(places, least) {
  const chosen = [places.length - 1];
  for (let i = places.length - 2; i >= 0; i--) if (places[chosen[0]] - places[i] >= least) chosen.unshift(i);
  return chosen;
}

/* Lines over steps. lines: [name, class, shares]; at: the marked step's index. */
function chart(steps, lines, at, label) {
  const {width, height, left, right, top, bottom} = FRAME, {x, y} = axes(steps), last = steps.length - 1;
  const grid = [0, 0.25, 0.5, 0.75, 1].map(share => `
    <line class="rule" x1="${left}" x2="${width - right}" y1="${y(share)}" y2="${y(share)}"/>
    <text class="tick" x="${left - 5}" y="${y(share) + 4}" text-anchor="end">${100 * share}</text>`);
  const ticks = apart(steps.map(x), 58).map(i => {
    const anchor = i === last ? "end" : i ? "middle" : "start";
    return `<text class="tick" x="${x(steps[i])}" y="${height - 8}" text-anchor="${anchor}">${thousands(steps[i])}</text>`;
  });
  const drawn = lines.map(([, kind, shares]) => {
    const points = shares.map((share, i) => `${x(steps[i]).toFixed(1)},${y(share).toFixed(1)}`);
    return `<polyline class="${kind}" points="${points.join(" ")}"/>`;
  });
  const now = `<line class="now" x1="${x(steps[at])}" x2="${x(steps[at])}" y1="${top}" y2="${height - bottom}"/>`;
  const legend = lines.map(([name, kind, shares]) =>
    `<span><svg viewBox="0 0 26 8"><polyline class="${kind}" points="0,4 26,4"/></svg>${name} ${percent(shares[at])}</span>`);
  return `<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">
    ${grid.join("")}${now}${drawn.join("")}${ticks.join("")}</svg><div class="legend">${legend.join("")}</div>`;
}

const thousands = number => number.toLocaleString("en");
