"""Proves each measure of alignment by hand, by what it must not depend on, and on planted structure: a shared space is
found, a rotated one by the rotation alone, a mirrored one under its map alone, and unrelated states are not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

import mothello
from mothello.bootstrap import Bootstrap
from mothello.cli.transfer import transfer
from mothello.config import plain, typed
from mothello.data.split import Split, corpus
from mothello.languages.anchors import AnchorConfig
from mothello.languages.dictionary import covered_moves
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.alignment.cka import cka_of_games, cka_within_ply, linear_cka
from mothello.measures.alignment.cosine import parallel_cosines
from mothello.measures.alignment.embeddings import embedding_rows, neighbours, word_embeddings
from mothello.measures.alignment.measure import Alignment, AlignmentConfig
from mothello.measures.alignment.pair import CALIBRATED, Positions, Value, chances, pair_values
from mothello.measures.alignment.procrustes import explained, fit_rotation
from mothello.measures.alignment.retrieval import (
    among_both,
    chance,
    cosines,
    csls,
    hits,
    nearest,
    own_row,
    published_nearest,
)
from mothello.measures.measure import Subject
from mothello.measures.positions import Pool, draw_positions, permutations_within_ply
from mothello.measures.probes.targets import board_targets
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS, cell_map, move_map
from mothello.rows import as_table
from mothello.stages.build import coverage_of
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import TrainConfig

SIX = Board.of(6)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotation(d: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(d, d, seed=seed)).Q


def test_cosine_by_hand() -> None:
    x = torch.tensor([[3.0, 0.0], [1.0, 0.0]])  # centered: 1, -1
    assert parallel_cosines(x, x).tolist() == [1.0, 1.0]
    assert parallel_cosines(x, -x).tolist() == [-1.0, -1.0]
    assert parallel_cosines(x, torch.tensor([[0.0, 5.0], [0.0, 1.0]])).tolist() == [0.0, 0.0]
    assert parallel_cosines(torch.ones(2, 2), x).tolist() == [0.0, 0.0]


def test_cosine_does_not_see_scale_shift_or_a_common_rotation() -> None:
    x, y, turn = noise(50, 8), noise(50, 8, seed=1), rotation(8)
    torch.testing.assert_close(parallel_cosines(x, y), parallel_cosines(3 * x + 7, 0.1 * y - 2), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(parallel_cosines(x, y), parallel_cosines(x @ turn, y @ turn), atol=1e-5, rtol=1e-4)


def test_cka_by_hand() -> None:
    x, y = torch.tensor([[1.0], [-1.0], [0.0]]), torch.tensor([[0.0], [1.0], [-1.0]])
    assert float(linear_cka(x, y)) == pytest.approx(0.25)  # (x.y)^2 / (|x|^2 |y|^2) = 1 / 4
    assert float(linear_cka(x, x)) == pytest.approx(1.0)
    assert float(linear_cka(x, torch.ones(3, 1))) == 0.0


def test_cka_does_not_see_scale_shift_or_rotation_and_tells_unrelated_states_apart() -> None:
    x = noise(400, 6)
    assert float(linear_cka(x, 5 * x @ rotation(6) + 3)) == pytest.approx(1.0, abs=1e-5)
    assert float(linear_cka(x, noise(400, 6, seed=1))) < 0.05


def test_cka_within_a_ply_does_not_see_what_the_ply_explains() -> None:
    ply = noise(1, 5, 6) * 10
    x, y = noise(200, 5, 6) + ply, noise(200, 5, 6, seed=1) + ply
    scored = torch.ones(200, 5, dtype=torch.bool)
    assert float(linear_cka(x.flatten(0, 1), y.flatten(0, 1))) > 0.9
    assert float(cka_within_ply(x, y, scored)) < 0.1
    assert float(cka_within_ply(x, x @ rotation(6), scored)) == pytest.approx(1.0, abs=1e-4)
    scored[:5, 4] = False  # a ply that not every game reached is left out
    x[:5, 4] = 1e6
    assert float(cka_within_ply(x, x.clone(), scored)) == pytest.approx(1.0, abs=1e-4)


def test_cka_of_games_counts_the_scored_plies_alone() -> None:
    x, scored = noise(50, 4, 3), torch.ones(50, 4, dtype=torch.bool)
    scored[:, 3] = False
    y = x.clone()
    y[:, 3] = 1e6
    assert float(cka_of_games(x, y, scored)) == pytest.approx(1.0, abs=1e-5)
    assert float(cka_of_games(x, y, scored)) == pytest.approx(float(linear_cka(x[:, :3].mean(1), x[:, :3].mean(1))))


def test_hits_by_hand() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.7, 0.0], [0.3, 0.3, 0.3]])
    assert hits(similarity).tolist() == [True, False, False]  # the last one cannot tell
    allowed = torch.tensor([[1, 1, 1], [0, 1, 1], [1, 1, 1]]).bool()
    assert hits(similarity, allowed).tolist() == [True, True, False]
    assert chance(allowed) == pytest.approx((1 / 3 + 1 / 2 + 1 / 3) / 3)


def strong_hits(x: Tensor, y: Tensor) -> Tensor:
    return own_row(among_both(cosines(x, y), cosines(x, x)))


def test_strong_alignment_asks_for_more_than_weak() -> None:
    positions = noise(40, 16)
    x, y = positions, positions + 0.01 * noise(40, 16, seed=1)
    assert hits(cosines(x, y)).all()
    assert strong_hits(x, y).all()
    twins = torch.cat([x[:20], x[:20] + 1e-3 * noise(20, 16, seed=2)])  # every state has a twin in its own language
    far = torch.cat([y[:20], y[20:] + x[:20] - x[20:]])
    assert strong_hits(twins, far).double().mean() < 0.1


def slow_alignment(x: Tensor, y: Tensor) -> dict[str, float]:
    """Weak, strong and mutual from their definitions, a pair of words at a time."""
    n, cosine = len(x), torch.nn.functional.cosine_similarity
    found = {"weak": 0, "strong": 0, "mutual": 0}
    for i in range(n):
        others = [float(cosine(x[i], y[j], 0)) for j in range(n)]
        back = [float(cosine(y[i], x[j], 0)) for j in range(n)]
        own = [float(cosine(x[i], x[j], 0)) for j in range(n) if j != i]
        weak = max(others) == others[i]
        found["weak"] += weak
        found["strong"] += weak and others[i] > max(own)
        found["mutual"] += weak and max(back) == back[i]
    return {name: count / n for name, count in found.items()}


def test_the_published_alignment_agrees_with_a_slow_reference_in_both_directions() -> None:
    x = noise(60, 6) + 1  # not centered
    y = x + 0.5 * noise(60, 6, seed=1) + torch.tensor([0.4, 0, 0, 0, 0, 0])
    values = []
    for one, other in ((x, y), (y, x)):
        ours = {name: float(own_row(i).double().mean()) for name, i in published_nearest(one, other)._asdict().items()}
        assert ours == pytest.approx(slow_alignment(one, other))
        assert 0.1 < ours["strong"] < ours["weak"] < 1 > ours["mutual"] > 0.1
        values.append(ours)
    assert values[0]["mutual"] == values[1]["mutual"]
    assert values[0]["weak"] != values[1]["weak"]


def test_nearest_by_hand() -> None:
    similarity = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.7, 0.8], [0.3, 0.2, 0.4]])
    assert nearest(similarity).tolist() == [0, -1, 2]
    assert nearest(similarity[:, :1]).tolist() == [0, 0, 0]


def test_a_permutation_keeps_the_ply_and_its_share_of_hits_is_counted() -> None:
    where = positions()
    drawn = where.permutations
    assert (where.pool.ply[drawn] == where.pool.ply).all()
    assert (drawn.sort(1).values == torch.arange(200)).all()
    assert len(drawn.unique(dim=0)) == len(drawn)
    games = where.pool.ply.bincount()[where.pool.ply]  # how many positions are at a position's ply
    expected = float((1 / games).mean())
    x = coded(where.moves)
    found = read(x, x.expand(4, *x.shape), where)
    for quantity in ("retrieval_same_ply", "retrieval_raw", "retrieval_raw_strong", "retrieval_raw_mutual"):
        null, value = found[quantity, "permuted", "identity"], found[quantity, "trained", "identity"]
        assert null.value == pytest.approx(expected, abs=0.02)  # every nearest one is at the same ply: itself
        assert null.low <= null.value <= null.high < value.value > 0.95
        assert null.n == value.n == 200


def test_csls_takes_a_hub_its_advantage() -> None:
    similarity = torch.full((20, 20), 0.0) + 0.5 * torch.eye(20)
    similarity[:, 0] = 0.6  # the first candidate is near to everything
    similarity[0, 0] = 0.9
    assert hits(similarity).tolist() == [True] + [False] * 19
    assert hits(csls(similarity)).all()


def test_csls_by_hand() -> None:
    similarity = torch.tensor([[1.0, 0.0], [0.5, 0.25]])
    expected = 2 * similarity - torch.tensor([[1.0], [0.5]]) - torch.tensor([[1.0, 0.25]])
    torch.testing.assert_close(csls(similarity, k=1), expected)


def test_procrustes_finds_the_rotation_and_nothing_where_there_is_none() -> None:
    x, turn = noise(300, 8), rotation(8)
    y = 2.5 * (x - 1) @ turn + 4
    found = fit_rotation(x[:150], y[:150])
    torch.testing.assert_close(found.rotation, turn, atol=1e-4, rtol=1e-4)
    assert float(found.scale) == pytest.approx(2.5, abs=1e-4)
    assert explained(y[150:], found(x[150:])) == pytest.approx(1.0, abs=1e-5)
    assert hits(cosines(found(x[150:]), y[150:])).all()
    assert not hits(cosines(x[150:], y[150:])).all()
    other = noise(300, 8, seed=5)
    assert explained(other[150:], fit_rotation(x[:150], other[:150])(x[150:])) < 0.1
    torch.testing.assert_close(found.rotation @ found.rotation.T, torch.eye(8), atol=1e-5, rtol=0)


def test_words_are_the_mean_of_their_tokens() -> None:
    table = torch.tensor([[9.0, 9.0], [2.0, 0.0], [0.0, 4.0]])
    words, lengths = torch.tensor([[1, 0], [1, 2]]), torch.tensor([1, 2])
    torch.testing.assert_close(word_embeddings(table, words, lengths), torch.tensor([[2.0, 0.0], [1.0, 2.0]]))


def test_neighbours_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    every = torch.ones(4, dtype=torch.bool)
    found = neighbours(x, x, torch.arange(4), every)
    assert (found.precision, found.margin) == (1.0, 1.0)  # the others are at 0 and -1
    swapped = torch.tensor([1, 0, 2, 3])
    assert neighbours(x, x[swapped], swapped, every).precision == 1.0
    assert neighbours(x, x[swapped], torch.arange(4), every).precision == 0.5
    assert neighbours(x, x[swapped], torch.arange(4), torch.tensor([0, 0, 1, 1]).bool()).precision == 1.0


def positions(games: int = 60, pool: int = 200) -> Positions:
    moves = corpus(SIX, 0, Split.probe, 1000).moves(torch.arange(games))
    found = draw_positions(moves[games // 2 :], pool, torch.Generator().manual_seed(0))
    where = Pool(found.game + games // 2, found.ply)
    draw = torch.Generator().manual_seed(0)
    return Positions(moves, where, Bootstrap(games, 200, draw), permutations_within_ply(where, 200, draw))


def coded(moves: Tensor, name: str = "identity") -> Tensor:
    """States that hold the board as some map shows it, one direction per cell and color."""
    classes = board_targets(moves, SIX).classes[0]
    image = torch.empty_like(classes)
    image[..., list(cell_map(SIX, name))] = classes
    return torch.nn.functional.one_hot(image, 3).float().flatten(-2) @ rotation(108)


def read(x: Tensor, images: Tensor, where: Positions) -> dict[tuple[str, str, str], Value]:
    return {(v.quantity, v.control, v.map): v for v in pair_values(x, images, where)}


def test_a_shared_space_is_found_by_every_measure() -> None:
    where = positions()
    x = coded(where.moves)
    y = x + 0.05 * noise(*x.shape)
    found = read(x, y.expand(4, *y.shape), where)
    for quantity in (
        "cosine",
        "cka",
        "cka_within_ply",
        "retrieval",
        "retrieval_same_ply",
        "retrieval_strong",
        "procrustes",
    ):
        value = found[quantity, "trained", "identity"]
        assert value.value > 0.95, quantity
        assert value.low is None or value.low <= value.value <= value.high
    assert found["cosine", "unrelated", "identity"].value < 0.8
    assert found["cka_within_ply", "unrelated", "identity"].value < 0.6
    guess = {v.quantity: v.value for v in chances(where)}
    assert guess["retrieval"] == 1 / 200
    assert guess["retrieval_same_ply"] > 1 / 200


@pytest.mark.parametrize("name", OPENING_MAPS[1:])
def test_a_mirrored_language_is_found_under_its_map_alone_and_a_rotation_undoes_it(name: str) -> None:
    """B says of a game what A says of the mirrored one; so B of the mirrored game is A of the game."""
    where = positions()
    x = coded(where.moves)
    images = torch.stack([coded(where.moves, _after(name, other)) for other in OPENING_MAPS])
    found = read(x, images, where)
    for other in OPENING_MAPS:
        reached = found["retrieval_same_ply", "trained", other].value
        assert (reached == 1.0) == (other == name)
    for quantity in CALIBRATED:
        best, null = found[f"{quantity}_best_map", "trained", name], found[f"{quantity}_best_map", "permuted", ""]
        assert best[3:] == found[quantity, "trained", name][3:]  # value, n and interval
        assert best.low > null.high
    assert found["procrustes_explained", "trained", "identity"].value > 0.8


def _after(first: str, second: str) -> str:
    """The group: every map undoes itself, and any two different ones make the third."""
    if first == second:
        return "identity"
    if "identity" in (first, second):
        return second if first == "identity" else first
    return next(name for name in OPENING_MAPS[1:] if name not in (first, second))


def best_maps(found: dict[tuple[str, str, str], Value], quantity: str) -> tuple[Value, Value]:
    """Of the model itself, and permuted."""
    (best,) = (value for (name, control, _), value in found.items() if (name, control) == (quantity, "trained"))
    return best, found[quantity, "permuted", ""]


def test_the_best_map_is_one_of_the_openings() -> None:
    """A language that is found through rot90 alone is not found through the best of the four maps."""
    where = positions()
    x, none = coded(where.moves), noise(60, where.moves.shape[1], 108, seed=3)
    images = torch.stack([x if name == "rot90" else none for name in ALL_MAPS])
    found = read(x, images, where)
    assert found["retrieval", "trained", "rot90"].value > 0.95
    best, null = best_maps(found, "retrieval_best_map")
    assert best.map in OPENING_MAPS
    assert best.value <= null.high + 1 / null.n


def test_the_best_map_by_chance_agrees_with_a_slow_reference() -> None:
    """Every permutation, one by one, with the map that is best under it; and the best of four comes to more than one."""
    where = positions()._replace(permutations=positions().permutations[:20])
    x, pool = coded(where.moves), where.pool
    images = torch.stack([x + 5 * noise(*x.shape, seed=seed) for seed in range(4)])
    found = read(x, images, where)
    nearest_ = [nearest(cosines(x[pool.game, pool.ply], y[pool.game, pool.ply])).tolist() for y in images]
    drawn = []
    for draw in where.permutations.tolist():
        drawn.append(max(sum(a == b for a, b in zip(near, draw, strict=True)) / len(draw) for near in nearest_))
    best, null = best_maps(found, "retrieval_best_map")
    assert null.value == pytest.approx(sum(drawn) / len(drawn))
    assert null.high == pytest.approx(float(torch.tensor(drawn).quantile(0.975)))
    by_map = [found["retrieval", "permuted", name].value for name in OPENING_MAPS]
    assert null.value > max(by_map)
    assert best.value == max(found["retrieval", "trained", name].value for name in OPENING_MAPS)


def test_the_summary_shows_the_best_map_beside_its_null() -> None:
    where = positions()
    x = coded(where.moves)
    images = torch.stack([coded(where.moves, _after("anti", other)) for other in OPENING_MAPS])
    head = {"layer": 1, "source": "a", "language": "b", "target": "", "square": ""}
    values = [value._asdict() | head for value in pair_values(x, images, where)]
    text = Alignment(AlignmentConfig()).summary(as_table(values))
    lines = {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}
    null = next(v["high"] for v in values if v["quantity"] == "retrieval_raw_best_map" and v["control"] == "permuted")
    assert "permuted, high" in text
    assert lines["retrieval_raw_best_map"][:2] == ["1", "1.000"]
    assert lines["retrieval_raw_best_map"][-1] == f"{null:.3f}"
    assert float(lines["retrieval_raw"][1]) < 0.5


def test_unrelated_states_are_not_aligned() -> None:
    where = positions()
    x = coded(where.moves)
    y = noise(*x.shape, seed=3)
    found = read(x, y.expand(4, *y.shape), where)
    for quantity in ("retrieval", "retrieval_strong", "retrieval_csls", "procrustes", "retrieval_raw"):
        assert found[quantity, "trained", "identity"].value < 0.05
    for quantity in CALIBRATED:
        value, null = (found[quantity, control, "identity"] for control in ("trained", "permuted"))
        assert value.value <= null.high + 1 / null.n  # one hit more at the most
        value, null = best_maps(found, f"{quantity}_best_map")
        assert value.value <= null.high + 1 / null.n
    assert abs(found["cosine", "trained", "identity"].value) < 0.05
    assert found["procrustes_explained", "trained", "identity"].value < 0.2


def embedded(family: LanguageSet, nearest: Sequence[int], coverage: float = 1.0) -> pd.DataFrame:
    """Rows of a model in which every move of the first language has the embedding of this move of the second."""
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=64), family).initialize(0).eval()
    codes = torch.linalg.qr(torch.randn(64, 64, generator=torch.Generator().manual_seed(0))).Q[: SIX.n_moves]
    first, second = (language.words for language in family.languages)
    for move, code in enumerate(codes):
        model.token_embedding.weight.data[list(second[move])] = code
    for move, to in enumerate(nearest):
        if not set(first[move]) & set(second[move]):
            model.token_embedding.weight.data[list(first[move])] = codes[to]
    return as_table(embedding_rows(Subject(model, family, coverage=coverage), 2)).query("source == 'atomic_0'")


def test_nearest_moves_are_counted_by_map_and_orbit_and_named_by_square() -> None:
    family = build_languages(LanguagesConfig(kinds=["atomic*2"], anchors=AnchorConfig(moves=["a1"])), SIX)
    main, turn = list(move_map(SIX, "main")), move_map(SIX, "rot90")
    moves = {square_name(square): move for move, square in enumerate(SIX.moves)}
    main[moves["b1"]], main[moves["c1"]] = moves["b1"], turn[moves["c1"]]
    rows = embedded(family, main)
    near = rows[rows.quantity == "neighbours"].set_index("map").value
    one, orbit = rows[rows.square == "d1"].iloc[0], rows[rows.quantity == "neighbours_orbit"].iloc[0]
    assert (one.quantity, one["map"], one.value) == ("nearest", "main", pytest.approx(1, abs=0.01))
    squares = rows[rows.quantity == "nearest"].set_index("square")["map"]
    assert (squares["b1"], squares["c1"]) == ("identity", "")
    assert squares["b2"] == "main"  # the identity takes it there, too, but fewer of the others
    assert set(squares.drop(["b1", "c1"])) == {"main"}
    assert "a1" not in squares  # an anchor
    assert len(squares) == orbit.n == SIX.n_moves - 1
    assert orbit.value == pytest.approx((orbit.n - 1) / orbit.n)
    assert near["main"] == pytest.approx((orbit.n - 2) / orbit.n)
    assert near["identity"] < 0.3
    alone = embedded(family, list(turn))  # no map of the group takes any move there
    assert alone[alone.quantity == "neighbours_orbit"].value.item() < 0.2


@pytest.mark.parametrize("coverage", [0.25, 0.75])
def test_moves_of_a_dictionary_are_apart_from_those_held_out(coverage: float) -> None:
    family = build_languages(LanguagesConfig(kinds=["atomic*2"]), SIX)
    known = covered_moves(SIX, coverage, "")
    turn = move_map(SIX, "rot90")
    nearest = [move if move in known else turn[move] for move in range(SIX.n_moves)]
    rows = embedded(family, nearest, coverage)
    near = rows[(rows.quantity == "neighbours") & (rows["map"] == "identity")].set_index("target")
    assert near.value["dictionary"] == 1
    assert near.value["held_out"] == 0
    assert (near.n["dictionary"], near.n["held_out"], near.n[""]) == (len(known), SIX.n_moves - len(known), SIX.n_moves)
    assert near.value[""] == pytest.approx(coverage)
    assert set(embedded(family, nearest).target) == {""}  # a dictionary of all moves holds none out


def test_what_goes_on_from_a_run_knows_its_dictionary(tmp_path: Path) -> None:
    quick = {"device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0}
    content = {"board": {"size": 4}, "model": {"n_layer": 1, "n_head": 2, "d_model": 8}, "runs": str(tmp_path)}
    few = {"data": {"games": 64, "batch_size": 32}, "evaluation": {"games": 4, "times": 1}}
    run = mothello.train(quick | content | few | {"auxiliary": {"align": {"coverage": 0.5}}})
    settings = few | {"probe_before_and_after": False, "scratch": False}
    transfer(typed(quick | {"run": str(run.folder.path), "transfer": settings}, TransferCommand))
    (child,) = run.folder.path.glob("finetune/*")
    assert [one.subject().coverage for one in (run, mothello.load_run(child))] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("config", "coverage"),
    [
        ({}, 1),
        ({"objective": {"name": "dictionary", "coverage": 0.5}}, 0.5),
        ({"auxiliary": {"align": {"coverage": 0.25}}}, 0.25),
        ({"data": {"code_switching": {"probability": 0.1, "coverage": 0.75}}, "auxiliary": {"align": {"coverage": 0.5}}}, 0.75),
    ],
)  # fmt: skip
def test_the_dictionary_of_a_training_is_known(config: dict[str, Any], coverage: float) -> None:
    content = plain(typed(config, TrainConfig))
    assert coverage_of(content) == coverage
    older = content | {"data": {key: value for key, value in content["data"].items() if key != "code_switching"}}
    assert coverage_of(older | {"auxiliary": {}, "objective": {"name": "causal_lm"}}) == 1  # it did not know them
