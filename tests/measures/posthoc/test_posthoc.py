"""Proves: normalization and maps agree with a slow reference; a planted rotation is found on rows that the map never saw,
also between widths, and unrelated sides score chance; a few words without a fold left out fit anything; between two
models that are one up to a rotation of their states every granularity is found, and random weights on one side lose the
board; what makes no sense is refused in one line before any compute."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mothello.config import typed
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.alignment.cka import linear_cka
from mothello.measures.alignment.retrieval import own_row
from mothello.measures.facts.measure import FactsMeasureConfig
from mothello.measures.measure import Subject, folder_name
from mothello.measures.posthoc.maps import (
    folds_of,
    found_by_map,
    found_left_out,
    mapped,
    means_of_moves,
    normalized,
)
from mothello.measures.posthoc.measure import Posthoc, PosthocConfig
from mothello.measures.stitch.measure import StitchConfig
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.othello.random_play import RandomGames
from mothello.rows import QUANTITIES, as_table
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.measuring import measure_folder, measured_subject
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run
from mothello.training.device import DeviceConfig, Precision


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def rotation(d: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(d, d, seed=seed)).Q


def first(n: int, rows: int) -> Tensor:
    return torch.arange(rows) < n


def test_normalized_rows_are_of_unit_length_and_centered_where_the_means_come_from() -> None:
    x = noise(200, 8) * 3 + 2
    fitted = first(150, 200)
    made = normalized(x, fitted, rounds=50)
    torch.testing.assert_close(made[:150].mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(made[:150].norm(dim=1), torch.ones(150), atol=1e-3, rtol=0)
    moved = x.clone()
    moved[150:] = 99 * noise(50, 8, seed=1)
    torch.testing.assert_close(normalized(moved, fitted)[:150], normalized(x, fitted)[:150])


def slow_map(x: np.ndarray, y: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The definition, row by row in float64; the first n rows are fitted."""
    sides = []
    for side in (x, y):
        rows = [row.astype(float) for row in side]
        for _ in range(5):
            rows = [row / np.sqrt(sum(v * v for v in row)) for row in rows]
            mean = sum(rows[:n]) / n
            rows = [row - mean for row in rows]
        sides.append(np.array(rows))
    u, _, vh = np.linalg.svd(sum(np.outer(a, b) for a, b in zip(sides[0][:n], sides[1][:n], strict=True)))
    return sides[0] @ u @ vh, sides[1]


def test_a_map_agrees_with_a_slow_reference() -> None:
    x, y = noise(60, 5), noise(60, 5, seed=1) + 0.3
    ours = mapped(x, y, first(40, 60))
    for made, known in zip(ours, slow_map(x.numpy(), y.numpy(), 40), strict=True):
        assert np.abs(made.numpy() - known).max() < 1e-4


@pytest.mark.parametrize(("d", "e"), [(8, 8), (8, 12), (12, 8)])
def test_a_planted_rotation_is_found_on_other_rows_also_between_widths(d: int, e: int) -> None:
    codes = noise(400, 8)
    x, y = (4 * codes @ rotation(width, seed)[:8] for width, seed in ((d, 1), (e, 2)))
    asked = torch.arange(300, 400)
    assert own_row(found_by_map(x, y, first(300, 400), asked)).all()
    unrelated = noise(400, e, seed=5)
    assert own_row(found_by_map(x, unrelated, first(300, 400), asked)).double().mean() < 0.06
    without = (
        torch.nn.functional.pad(x[asked], (0, max(d, e) - d)) @ torch.nn.functional.pad(y[asked], (0, max(d, e) - e)).T
    )
    assert (without.argmax(1) == torch.arange(100)).double().mean() < 0.2


def test_words_are_left_out_since_a_few_in_many_dimensions_fit_anything() -> None:
    words, turn = noise(60, 64), rotation(64)
    halves = [torch.stack([side, side + 0.05 * noise(60, 64, seed=3)]) for side in (words, words @ turn)]
    fold = folds_of(60, 8, torch.Generator().manual_seed(0))
    assert sorted(fold.bincount().tolist()) == [7] * 4 + [8] * 4
    low = torch.stack([noise(60, 12) @ noise(12, 64, seed=s) for s in (4, 4)])  # fewer directions than words
    assert own_row(found_left_out(low, low @ turn, fold)).all()
    other = torch.stack([noise(60, 64, seed=8)] * 2)
    all_of_them = found_by_map(halves[0][0], other[0], first(60, 60), torch.arange(60))
    assert own_row(all_of_them).double().mean() > 0.9  # unrelated words, the map has seen them
    assert own_row(found_left_out(halves[0], other, fold)).double().mean() < 0.1
    alone = found_left_out(halves[0], halves[1], fold)
    for part in range(8):
        fitted = torch.cat([fold != part, torch.zeros(60, dtype=torch.bool)])
        rows = [side.flatten(0, 1) for side in halves]
        found = found_by_map(rows[0], rows[1], fitted, torch.arange(60, 120))
        assert torch.equal(found[fold == part], alone[fold == part])


def test_mean_states_of_moves() -> None:
    board = Board.of(6)
    moves = RandomGames(board, 1).games(torch.arange(5)).long()
    x = noise(2, *moves.shape, 3)
    made = means_of_moves(x, moves, board.n_moves)
    for move in (0, 7, 31):
        where = moves == move
        torch.testing.assert_close(made[:, move], x[:, where].mean(1) if where.any() else torch.zeros(2, 3))


SIX = build_languages(LanguagesConfig(kinds=["atomic", "split"]), Board.of(6))
FEW = PosthocConfig(games=40, pool=100, draws=20)


def subject(seed: int = 0, d_model: int = 32, languages: LanguageSet = SIX, **more: Any) -> Subject:
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=d_model), languages).initialize(seed).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5) if parameter.ndim > 1 else parameter
    return Subject(model, languages, precision=Precision.fp32, **more)


def turned(one: Subject) -> Subject:
    """The same function of tokens with every state rotated: what two trainings may differ by. Norms without weights see
    no rotation of centered states."""
    d = one.model.config.d_model
    ones = torch.ones(d, 1) / d**0.5
    basis = torch.linalg.qr(torch.cat([ones, noise(d, d - 1)], 1)).Q
    turn = basis @ torch.block_diag(torch.ones(1, 1), rotation(d - 1, 7)) @ basis.T  # keeps the mean of a state
    other = subject(0, d)
    other.model.load_state_dict(one.model.state_dict())
    with torch.no_grad():
        for name, weight in other.model.named_parameters():
            if "embedding" in name or name.endswith(("qkv.weight", "up.weight")) or name == "head.weight":
                weight.copy_(weight @ turn)
            elif name.endswith(("out.weight", "down.weight")):
                weight.copy_(turn.T @ weight)
    return other


def test_two_models_that_differ_by_a_rotation_are_one() -> None:
    one = subject()
    both = replace(one, other=turned(one))
    rows = as_table(Posthoc(FEW)(both))
    assert set(rows.quantity) <= set(QUANTITIES)
    same = rows[(rows.source == rows.language) & (rows["map"] == "identity")]
    above = same[same.layer > 0].set_index(["control", "quantity", "target"])  # of embeddings several are the same
    assert above.value["trained", "mapped", "state"].min() > 0.95
    assert above.value["trained", "mapped", "game"].min() > 0.9
    same = same.set_index(["control", "quantity", "target"])
    assert same.value["trained", "mapped", "move"].min() > 0.7  # 28 words tell the map of 32 dimensions
    for quantity in ("cka", "cka_games", "cka_within_ply"):
        assert same.value["trained", quantity, ""].min() > 0.999
        assert above.value["random_weights", quantity, ""].max() < 0.99
    last = rows[(rows.layer == 2) & (rows.target == "state") & (rows["map"] == "identity")]
    by_control = last.groupby("control").value.mean()
    assert by_control["random_weights"] < by_control["trained"]
    chance = rows[rows.control == "chance"].set_index("target").value
    assert chance.to_dict() == {"embedding": 1 / 32, "move": 1 / 32, "state": 1 / 100, "game": 1 / 20}
    assert "state" in Posthoc(FEW).summary(rows)


def test_within_a_model_its_languages_are_compared_and_between_widths_maps_exist() -> None:
    rows = as_table(Posthoc(replace(FEW, random_weights=False))(subject()))
    assert set(zip(rows.source, rows.language, strict=True)) == {
        ("", ""),
        ("atomic_0", "split_0"),
        ("split_0", "atomic_0"),
    }
    assert "cka" not in set(rows.quantity)  # the measure alignment has it
    wide = replace(subject(), other=subject(1, 48))
    pairs = as_table(Posthoc(replace(FEW, random_weights=False))(wide))
    assert {"atomic_0", "split_0"} == set(pairs.source) - {""} == set(pairs.language) - {""}
    assert len(pairs[(pairs.source == pairs.language) & (pairs.quantity == "cka")]) == 2 * 3 * 5
    one = build_languages(LanguagesConfig(kinds=["atomic"]), Board.of(6))
    assert list(Posthoc(FEW)(subject(languages=one))) == []


def run_of(folder: Path, seed: int = 0, size: int = 4, n_layer: int = 1) -> Run:
    """A run that was never trained."""
    config = typed({"board": {"size": size}, "model": {"n_layer": n_layer, "n_head": 2, "d_model": 16}}, TrainConfig)
    languages = language_set_of(config)
    model = build_model(config.model, languages).initialize(seed).eval()
    return Run(RunDir(folder), config, languages.board, languages, model, 0)


def test_another_run_is_known_by_its_content_and_must_fit(tmp_path: Path) -> None:
    run, other, device = run_of(tmp_path / "a"), run_of(tmp_path / "b", seed=1), DeviceConfig()
    config = PosthocConfig()
    folder = measure_folder(run.folder, config, other=other)
    assert folder.path.name != folder_name(config) == measure_folder(run.folder, config).path.name
    assert measure_folder(run.folder, config, other=run_of(tmp_path / "copy", seed=1)).path == folder.path
    assert measure_folder(run.folder, config, other=run_of(tmp_path / "c", seed=2)).path != folder.path
    found = measured_subject(run, config, device, other)
    assert found.other is not None
    assert found.other.model is other.model
    assert measured_subject(run, config, device).other is None
    for wrong, line in (
        (run_of(tmp_path / "big", seed=1, size=6), "plays on 6x6, the run on 4x4"),
        (run_of(tmp_path / "deep", n_layer=2), "has 2 blocks, the run 1"),
        (run_of(tmp_path / "same"), "is the run itself"),
    ):
        with pytest.raises(UserError, match=f"^other: .*{line}"):
            measured_subject(run, config, device, wrong)
    deep = run_of(tmp_path / "deep", n_layer=2)
    assert measured_subject(run, FactsMeasureConfig(count=4, plies=4), device, deep).other is not None  # not by layer
    with pytest.raises(UserError, match="layers are compared one by one"):
        measured_subject(run, StitchConfig(), device, deep)


def test_cka_is_that_of_the_slow_definition_between_widths() -> None:
    x, y = noise(50, 6), noise(50, 9, seed=1)
    center = torch.eye(50) - 1 / 50
    k, m = (center @ s @ s.T @ center for s in (x, y))
    expected = (k * m).sum() / ((k * k).sum() * (m * m).sum()).sqrt()
    assert float(linear_cka(x, y)) == pytest.approx(float(expected), rel=1e-4)
