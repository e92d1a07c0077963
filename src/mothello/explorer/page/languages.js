/* The view Languages: which language's probe reads which language, and through which map. */

const LanguagesView = {
  name: "languages", title: "Languages", board: false,
  lead: () => "A probe fitted on the language of the row reads the states of the language of the column: the share of the board it reads right through the best of the four maps of the opening, and that map. Click a pair to open it in Game.",
  results({content, state}) {
    const {pairs, measured, layer, probe} = content.pairs, names = content.languages.map(({name}) => name);
    const find = (source, language) => pairs.find(pair => pair.source === source && pair.language === language);
    const cell = (source, a) => (language, b) => {
      const pair = find(source, language);
      if (!pair) return "<td></td>";
      const share = pair.shares[pair.map], ink = Math.max(0, Math.min(1, (share - 0.4) / 0.6));
      const title = Object.entries(pair.shares).map(([map, value]) => `${MAP_NAMES[map]}: ${percent(value)}`).join("\n") + (pair.kind && a !== b ? `\nverdict: ${pair.kind}` : "");
      const here = a === state.a && b === state.b ? " here" : "";
      return `<td><button type="button" class="pair${ink > 0.55 ? " dark" : ""}${here}" style="--ink:${percent(ink)}" title="${escaped(title)}" ${Math.max(a, b) < content.readable ? setting({view: "game", a, b, map: pair.map}) : "disabled"}>${percent(share)}<small>${a === b ? "own" : MAP_SIGNS[pair.map]}</small></button></td>`;
    };
    const head = `<tr><th></th>${names.map(name => `<th scope="col"><span>${escaped(name)}</span></th>`).join("")}</tr>`;
    const rows = names.map((source, a) => `<tr><th scope="row">${escaped(source)}</th>${names.map(cell(source, a)).join("")}</tr>`);
    const apart = pairs.filter(pair => pair.source !== pair.language), through = Object.keys(MAP_SIGNS).map(map => [map, apart.filter(pair => pair.map === map && (!measured || /one map|graded/.test(pair.kind))).length]).filter(([, n]) => n);
    const verdict = measured && apart.length ? `<p class="sum">${through.length ? `Pairs aligned through one map: ${through.map(([map, n]) => `${n} ${MAP_NAMES[map]}`).join(", ")}; of ${apart.length}.` : `None of the ${apart.length} pairs is aligned through one map.`}</p>` : "";
    return `<div class="scroll"><table class="matrix">${head}${rows.join("")}</table></div>${verdict}
      <p class="note">${measured ? `The run's measured rows: ${escaped(probe)} probe` : `Counted on ${content.scored} games when the page was made (the run has no measured rows): ${escaped(probe)} probe`}, absolute colors, ${placeOf(layer)}.</p>`;
  },
};
