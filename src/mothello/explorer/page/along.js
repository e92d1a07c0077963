/* The view Along training: the readings of Game at steps that the run kept. */

/* The lines of the chart: cells read right in the own language, in the other as it is, and through the last best map. */
function linesAlong({state, content}) {
  const {shares} = content.along, names = Object.keys(content.maps), of = (a, b, map) => shares.map(step => step[a][b][map]);
  const own = ["own language", "own", of(state.a, state.a, 0)];
  if (state.a === state.b) return [own];
  const last = shares.at(-1)[state.a][state.b], best = last.indexOf(Math.max(...last));
  const lines = [own, ["other, as it is", "raw", of(state.a, state.b, 0)]];
  return best ? [...lines, [`other, ${MAP_NAMES[names[best]]}`, "best", of(state.a, state.b, best)]] : lines;
}

const AlongView = {
  name: "along", title: "Along training", board: true, recorded: true,
  available: content => content.along !== null,
  lead: () => `The same readings at earlier steps of the training: move the slider and watch the board appear, in each language by
    itself, and perhaps across.`,
  controls: ({content}) => slider("step", 0, content.along.steps.length - 1, 1, "Step of the training"),
  results(context) {
    const {state, content, moves} = context, {steps, legal, games, scored, layer} = content.along;
    const at = state.step < 0 ? steps.length - 1 : state.step, source = context.along(at);
    const top = `<p class="sum">After <b>${thousands(steps[at])}</b> of ${thousands(steps.at(-1))} steps;
      ${percent(legal[at][state.a])} of the next move's probability is on legal moves.</p>
      <h2>Cells read right, in percent, by step</h2>
      ${chart(steps, linesAlong(context), at, "cells read right by step")}`;
    if (!moves.length) return top + NOTHING;
    if (!source.knows(moves)) return top + context.unknown;
    const read = readings(context, source);
    return `${top}<h2>The board inside the model at that step</h2>
      ${state.a === state.b ? "" : mapButtons(context, read.counts)}${read.grid}
      <p class="note">Shown: ${games.length} recorded game${games.length === 1 ? "" : "s"} at ${steps.length} steps that the run
      kept, each read by linear probes of that step. Lines: ${scored} other games, ${placeOf(layer)}.</p>`;
  },
};
