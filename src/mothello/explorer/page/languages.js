/* The view Languages: which language's probe reads which language, and through which map. */

/* One pair's cell. a, b: the numbers of the languages. */
function pairCell({content, state}, pair, a, b) {
  if (!pair) return "<td></td>";
  const share = pair.shares[pair.map], ink = Math.max(0, Math.min(1, (share - 0.4) / 0.6));
  const shares = Object.entries(pair.shares).map(([map, value]) => `${MAP_NAMES[map]}: ${percent(value)}`);
  const verdict = pair.kind && a !== b ? [`verdict: ${pair.kind}`] : [], title = escaped([...shares, ...verdict].join("\n"));
  const kind = `pair${ink > 0.55 ? " dark" : ""}${a === state.a && b === state.b ? " here" : ""}`;
  const set = Math.max(a, b) < content.readable ? setting({view: "game", a, b, map: pair.map}) : "disabled";
  return `<td><button type="button" class="${kind}" style="--share:${percent(ink)}" title="${title}" ${set}>
    ${percent(share)}<small>${a === b ? "own" : MAP_SIGNS[pair.map]}</small></button></td>`;
}

/* How many pairs the measure calls aligned, by map; empty without its verdicts. */
function aligned({content}) {
  const {measured, pairs} = content.pairs, apart = pairs.filter(({source, language}) => source !== language);
  if (!measured || !apart.length) return "";
  const counted = Object.keys(content.maps).map(map =>
    [map, apart.filter(pair => pair.map === map && ["one map", "graded"].includes(pair.kind)).length]);
  const told = counted.filter(([, n]) => n).map(([map, n]) => `${n} ${MAP_NAMES[map]}`);
  return `<p class="sum">${told.length ? `Of ${apart.length} pairs, one map stands out in: ${told.join(", ")}.`
    : `In none of the ${apart.length} pairs does one map stand out.`}</p>`;
}

const LanguagesView = {
  name: "languages", title: "Languages", board: false,
  lead: () => `A probe fitted on the language of the row reads the states of the language of the column. The number is the
    share of the board that it reads right through the best of the four maps of the opening; below it is that map. Click a
    pair to open it in Game.`,
  results(context) {
    const {content} = context, {pairs, measured, layer, probe} = content.pairs, names = content.languages.map(({name}) => name);
    const find = (a, b) => pairs.find(({source, language}) => source === names[a] && language === names[b]);
    const head = `<tr><th></th>${names.map(name => `<th scope="col"><span>${escaped(name)}</span></th>`).join("")}</tr>`;
    const rows = names.map((name, a) => `<tr><th scope="row">${escaped(name)}</th>
      ${names.map((_, b) => pairCell(context, find(a, b), a, b)).join("")}</tr>`);
    const origin = measured ? "The run's measured rows" : `Counted on ${content.scored} games when the page was made`;
    return `<div class="scroll"><table class="matrix">${head}${rows.join("")}</table></div>${aligned(context)}
      <p class="note">${origin}: ${escaped(probe)} probe, absolute colors, ${placeOf(layer)}.</p>`;
  },
};
