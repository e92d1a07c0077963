"""Proves: the page's JavaScript plays Othello, and computes logits, states, next moves, probes and interventions as the house
does, for every option of the model and every kind of language; where one option is another, the numbers are others."""

from typing import Any

import numpy as np
import pytest
import torch
from explorer.node import evaluate, made_probes, made_run, needs_node, packed

from mothello.data.split import Split, corpus
from mothello.explorer.pack import Pack
from mothello.explorer.probes import scores
from mothello.explorer.readings import next_moves, record
from mothello.measures.causal.cases import draw_cases
from mothello.measures.causal.intervene import EditedPositions, _Steering, directions
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.kept import one_probe
from mothello.model.inputs import Inputs
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_cells, squares_to_moves
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.stages.run import Run

pytestmark = needs_node

SMALL = {"n_layer": 2, "n_head": 2, "d_model": 24}
MIX = {"kinds": ["compositional", "split", "atomic"], "anchors": {"count": 3}}
RUNS: dict[str, dict[str, Any]] = {
    "plain": {"model": SMALL | {"norm": "rms", "activation": "relu2", "bias": False}, "languages": {"kinds": ["atomic*2"]}},
    "gpt2": {"board": {"size": 4}, "model": SMALL | {"tied": True}, "languages": MIX},
    "unified": {"model": SMALL | {"activation": "gelu_tanh", "qk_norm": True}, "languages": {"kinds": ["atomic", "split"], "output": "unified"}},
    "separate": {
        "board": {"size": 4},
        "model": SMALL | {"norm": "rms", "bias": False, "qk_norm": True, "language_ids": True,
                          "separate": {"tokens": True, "positions": True, "head": True, "blocks": 1}},
        "languages": MIX,
    },
    "common": {
        "board": {"size": 4}, "model": SMALL | {"d_model": 18, "norm": "rms", "language_ids": True},
        "languages": {"kinds": ["compositional*2"], "anchors": {"count": 2, "sharing": "component"}},
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=list(RUNS))
def made(request: pytest.FixtureRequest) -> tuple[Run, FittedProbes, dict[str, Any], Pack]:
    run = made_run(RUNS[request.param])
    fitted = made_probes(run)
    return run, fitted, *packed(run, fitted)


def positions(board: Board, n: int) -> list[str]:
    """Board and legal moves of every position of random games, as a line each."""
    games = corpus(board, 5, Split.train, n).moves(torch.arange(n))
    states = replay(games, board)
    black, white = (squares_to_cells(field, board).byte() for field in (states.black, states.white))
    digits = torch.cat([49 + black - white, 48 + squares_to_moves(states.legal, board).byte()], -1).numpy()
    turns = np.where(states.black_to_move.numpy(), 50, 48).astype(np.uint8)[..., None]
    lines = np.concatenate([turns, digits], -1)
    return [
        one.tobytes().decode()
        for row, length in zip(lines, states.lengths.tolist(), strict=True)
        for one in row[: length + 1]
    ]


ENGINE = """
const board = new Board(inputs.size), lines = [];
if (inputs.broken) STEPS.pop();
for (const game of inputs.games) for (const {cells, mover, legal} of board.replay(game.filter(move => move >= 0))) {
  const may = new Set(legal);
  lines.push(mover + cells.join("") + board.moves.map((_, move) => may.has(move) ? 1 : 0).join(""));
}
return lines;
"""


@pytest.mark.parametrize(("size", "games"), [(4, 400), (6, 1200), (8, 400)])
def test_the_engine_plays_as_the_house_does(size: int, games: int) -> None:
    board = Board.of(size)
    inputs = {"size": size, "games": corpus(board, 5, Split.train, games).moves(torch.arange(games)).tolist()}
    assert evaluate(ENGINE, inputs) == positions(board, games)
    assert evaluate(ENGINE, inputs | {"games": inputs["games"][:40], "broken": True}) != positions(board, 40)


READ = """
const live = new Live(inputs, tensors), rows = [];
inputs.languages.forEach((_, language) => inputs.games.slice(0, 3).forEach(game => {
  const {tokens, states, length} = live.read(language, game), last = live.layers - 1;
  rows.push({language, tokens: tokens.slice(0, length), states: states.slice(0, length).map(state => state.map(x => [...x])),
    logits: states.slice(0, length).map(state => [...live.model.logits(state, last, language)])});
}));
return rows;
"""


def differences(run: Run, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """The largest difference of logits and of states from torch's."""
    logits, states = 0.0, 0.0
    for row in rows:
        tokens = torch.tensor([row["tokens"]])
        with torch.no_grad():
            ours = run.model(Inputs(tokens, language=torch.tensor([row["language"]])), hidden=True)
        assert ours.hidden is not None
        logits = max(logits, float((torch.tensor(row["logits"]) - ours.logits[0]).abs().max()))
        states = max(states, float((torch.tensor(row["states"]).transpose(0, 1) - ours.hidden[:, 0]).abs().max()))
    return logits, states


def test_texts_logits_and_states_are_torchs(made: tuple[Run, FittedProbes, dict[str, Any], Pack]) -> None:
    run, _, content, pack = made
    rows = evaluate(READ, content, pack)
    logits, states = differences(run, rows)
    assert logits < 1e-4, logits
    assert states < 1e-4, states
    for language in range(len(run.languages)):
        written = run.language_set.written(run.games(1), language)
        assert [token for word in written for token in word] == rows[3 * language]["tokens"]


@pytest.mark.parametrize(
    ("option", "value"), [("activation", "gelu"), ("norm", "rms"), ("qk_norm", False), ("n_head", 3)]
)
def test_another_option_would_be_seen(option: str, value: Any) -> None:
    run = made_run(RUNS["unified"])
    content, pack = packed(run, made_probes(run))
    content["model"] = content["model"] | {option: value}
    assert differences(run, evaluate(READ, content, pack))[0] > (1e-4 if option == "activation" else 1e-2)


NEXT = """
const live = new Live(inputs, tensors), rows = [];
inputs.languages.forEach((_, language) => inputs.games.forEach((game, index) => {
  for (const ply of [game.length - 2, 3, 1, 6]) rows.push([language, index, ply, live.next(language, game.slice(0, ply))
    .map(({p, other}) => ({p: [...p], other, masses: masses({p, other}, [0, 1])}))]);
}));
return rows;
"""


def test_next_moves_are_those_of_the_chain_rule_at_every_layer(
    made: tuple[Run, FittedProbes, dict[str, Any], Pack],
) -> None:
    run, _, content, pack = made
    layers, languages = run.model.config.n_layer + 1, range(len(run.languages))
    truth = [[next_moves(run, run.games(4), language, layer) for layer in range(layers)] for language in languages]
    for language, game, ply, each in evaluate(NEXT, content, pack):
        for layer, found in enumerate(each):
            p, other = (x[game, ply - 1] for x in truth[language][layer])
            torch.testing.assert_close(torch.tensor(found["p"], dtype=torch.float64), p, atol=2e-5, rtol=1e-3)
            assert found["other"] == pytest.approx(float(other), abs=2e-5)
            assert sum(found["masses"].values()) == pytest.approx(1, abs=1e-4)


BOARDS = """
const live = new Live(inputs, tensors), rows = [];
for (const kind of ["linear", "mlp"]) for (const source of [0, 1]) for (const language of [0, 1]) {
  inputs.games.forEach((game, index) => [1, 5, game.length].forEach(ply => rows.push([kind, source, language, index, ply,
    live.boards(kind, source, language, game.slice(0, ply)).map(({cells, sure}) => ({cells: [...cells], sure: [...sure]}))])));
}
return rows;
"""


def test_probes_read_the_same_classes(made: tuple[Run, FittedProbes, dict[str, Any], Pack]) -> None:
    run, fitted, content, pack = made
    states = [run.states(run.games(4), name) for name in run.languages]
    cells = same = 0
    for kind, source, language, game, ply, each in evaluate(BOARDS, content, pack):
        x = states[language][:, game, ply - 1]
        exact = scores(fitted, kind, "absolute", source, x.unsqueeze(1)).squeeze(1)
        for layer, found in enumerate(each):
            read, sure = torch.tensor(found["cells"]), torch.tensor(found["sure"])
            top = exact[layer].topk(2).values
            clear = top[:, 0] - top[:, 1] > 1e-4
            assert torch.equal(read[clear], exact[layer].argmax(-1)[clear])
            torch.testing.assert_close(sure, exact[layer].softmax(-1).amax(-1), atol=1e-3, rtol=0)
            own = one_probe(fitted, kind, "absolute", layer, source)(x[layer : layer + 1])[0]
            same, cells = same + int((own == read).sum()), cells + len(read)
    assert same / cells > 0.995  # half precision of matrices that the scale was put into


EDITED = """
const live = new Live(inputs, tensors);
return inputs.cases.map(({game, cell, image, old, wish, layer, once, into}) => {
  const push = steering(live, 0, image, {old, wish}, {layer, once, strength: 3});
  const plain = live.next(into, game).at(-1).p, after = live.next(into, game, push.edit).at(-1).p;
  const again = live.next(into, game).at(-1).p, lengths = [...push.lengths.values()];
  let random = 0;
  const control = atRandom(push.lengths, 7);
  live.next(into, game, (at, x) => {
    const before = Float32Array.from(x);
    control(at, x);
    random = Math.max(random, Math.abs(Math.sqrt(x.reduce((sum, value, i) => sum + (value - before[i]) ** 2, 0)) - (push.lengths.get(at) || 0)));
  });
  return {after: [...after], moved: Math.max(...after.map((p, i) => Math.abs(p - plain[i]))),
    left: Math.max(...again.map((p, i) => Math.abs(p - plain[i]))), random, largest: Math.max(...lengths)};
});
"""


def test_interventions_are_those_of_the_measure(made: tuple[Run, FittedProbes, dict[str, Any], Pack]) -> None:
    run, _, content, _ = made
    fitted = made_probes(run)
    fitted = FittedProbes(
        fitted.modules, fitted.targets, torch.zeros_like(fitted.mean), torch.ones_like(fitted.scale), 0
    )
    content, pack = packed(run, fitted)
    cases = draw_cases(run.games(8), run.board, 12, torch.Generator().manual_seed(1))
    image = torch.tensor(cell_map(run.board, "main"))[cases.cell]
    subject, asked, truth = run.subject(), [], []
    for into, layer, once in ((0, 0, True), (1, 1, False)):
        edited = EditedPositions(subject, into, cases.moves, cases.ply)
        steering = _Steering(directions(fitted, 0, cases, image), layer, once, 3.0, edited.ends)
        truth += edited.answer(steering).exp().tolist()
        for index, ply in enumerate(cases.ply.tolist()):
            asked.append({
                "game": cases.moves[index, : ply + 1].tolist(), "cell": int(cases.cell[index]), "image": int(image[index]),
                "old": int(cases.old[index]), "wish": int(cases.new[index]), "layer": layer, "once": once, "into": into,
            })  # fmt: skip
    found = evaluate(EDITED, content | {"cases": asked}, pack)
    for one, p in zip(found, truth, strict=True):
        np.testing.assert_allclose(one["after"], p, atol=2e-4)
        assert one["left"] == 0  # an edit leaves nothing behind
        assert one["random"] < 1e-4 * max(1, one["largest"])
    assert max(one["moved"] for one in found) > 0.01


ALTERED = """
const board = new Board(inputs.size);
return inputs.cases.map(({game, cell, kind}) => {
  const position = board.replay(game).at(-1), change = wanted(position, cell, kind);
  return {...change, legal: altered(board, position, cell, kind).legal, before: position.legal};
});
"""


def test_what_an_edit_asks_for_is_what_the_cases_ask_for() -> None:
    board = Board.of(6)
    cases = draw_cases(
        corpus(board, 1, Split.probe, 20).moves(torch.arange(20)), board, 60, torch.Generator().manual_seed(0)
    )
    asked = [
        {"game": moves[: ply + 1].tolist(), "cell": int(cell), "kind": "erase" if erased else "flip"}
        for moves, ply, cell, erased in zip(cases.moves, cases.ply.tolist(), cases.cell, cases.erased, strict=True)
    ]
    for index, found in enumerate(evaluate(ALTERED, {"size": 6, "cases": asked})):
        assert (found["old"], found["wish"]) == (int(cases.old[index]), int(cases.new[index]))
        for key, legal in (("before", cases.legal), ("legal", cases.edited)):
            assert found[key] == legal[index].nonzero().flatten().tolist()


RECORDED = """
const live = new Live(inputs, tensors), told = new Recorded(inputs.recorded, tensors, "recorded", inputs.games);
const rows = [];
for (const language of [0, 1]) for (const game of inputs.games) for (const ply of [2, 7]) {
  const moves = game.slice(0, ply), [a, b] = [live, told].map(one => one.next(language, moves));
  for (const layer of inputs.recorded.lens) {
    rows.push(["p", Math.max(...a[layer].p.map((p, i) => Math.abs(Math.sqrt(p) - Math.sqrt(b[layer].p[i]))))]);
    rows.push(["other", Math.abs(a[layer].other - b[layer].other)]);
  }
  for (const source of [0, 1]) {
    const [c, d] = [live, told].map(one => one.boards("linear", source, language, moves));
    c.forEach(({cells, sure}, layer) => cells.forEach((kind, cell) => {
      rows.push(["class", Number(kind !== d[layer].cells[cell])], ["sure", Math.abs(sure[cell] - d[layer].sure[cell])]);
    }));
  }
}
const largest = {};
for (const [name, value] of rows) largest[name] = Math.max(largest[name] || 0, value);
return {...largest, wrong: rows.filter(([name, value]) => name === "class" && value).length,
  knows: [told.knows(inputs.games[1].slice(0, 9)), told.knows([...inputs.games[1].slice(0, 9), 99]), live.knows([5])]};
"""


def test_recorded_readings_say_what_the_live_model_says(made: tuple[Run, FittedProbes, dict[str, Any], Pack]) -> None:
    run, fitted, content, _ = made
    content, pack = packed(run, fitted)
    layers = list(range(run.model.config.n_layer + 1))
    record(pack, "recorded", run, fitted, "linear", run.games(4), layers)
    found = evaluate(RECORDED, content | {"recorded": {"layers": len(layers), "lens": layers}}, pack)
    assert found["p"] < 0.5 / 255 + 1e-4
    assert found["other"] < 1e-3
    assert found["wrong"] <= 2  # ties in single precision
    assert found["sure"] < 0.6 / 84 + 1e-3 or found["wrong"]
    assert found["knows"] == [True, False, True]


def test_maps_undo_themselves() -> None:
    maps = [list(cell_map(Board.of(6), name)) for name in OPENING_MAPS]
    back = evaluate("return inputs.maps.map(map => through(map, through(map, map)));", {"maps": maps})
    assert back == maps
