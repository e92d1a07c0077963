"""Proves: targets are the boards; a planted linear code is found and a destroyed one is not; probes of a language read their
own activations; a reading through a symmetry is found under that map; the solver orthogonalises; nothing is changed."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mothello.activations.states import states
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.languages.family import FamilyConfig, build_family
from mothello.model.transformer import ModelConfig
from mothello.othello.board import board
from mothello.othello.notation import parse_game
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.probing import crosslingual, train
from mothello.probing.baselines import best_constant, image_agreement, images
from mothello.probing.crosslingual import evaluate_probes, score
from mothello.probing.targets import board_targets
from mothello.probing.train import ProbeConfig, fit_probes
from mothello.stages.stage import build_model
from mothello.training.device import Precision
from mothello.training.muon import orthogonalize

BOARD = board(6)
FAMILY = build_family(FamilyConfig(kinds=["atomic", "split"]), BOARD)
CONFIG = ProbeConfig(games=1600, batch_size=16, test_games=32, hidden=64)


def model() -> nn.Module:
    return build_model(ModelConfig(n_layer=1, n_head=2, d_model=64), FAMILY).initialize(0).eval()


def games(n: int, first: int = 0) -> torch.Tensor:
    return corpus(BOARD, 0, Split.probe, 10_000).moves(torch.arange(first, first + n))


def test_targets_by_hand() -> None:
    moves = torch.full((1, BOARD.n_moves), -1, dtype=torch.int8)
    first = parse_game("c2", BOARD)
    moves[0, 0] = first[0]
    targets = board_targets(moves, BOARD)
    absolute = targets.classes[0, 0, 0].view(6, 6)
    assert absolute[1, 2] == absolute[2, 2] == absolute[3, 2] == absolute[2, 3] == 2  # black took c3
    assert absolute[3, 3] == 0
    assert torch.equal(targets.classes[1, 0, 0].view(6, 6), 2 - absolute)  # white moves next: mine is white
    assert targets.scored.sum() == 1


def test_relative_targets_follow_the_mover_through_passes() -> None:
    moves = games(200)
    targets = board_targets(moves, BOARD)
    swapped = targets.classes[0] != targets.classes[1]
    odd_flips = 0
    for game in range(len(moves)):
        length = int(targets.scored[game].sum())
        colours = [bool(swapped[game, ply].any()) for ply in range(length)]
        odd_flips += sum(a == b for a, b in zip(colours, colours[1:], strict=False))
    assert odd_flips > 0  # a pass lets a colour move twice


def test_activations_stand_at_the_last_token_of_each_move() -> None:
    m, batch = model(), in_language(games(4), 1, FAMILY)
    hidden = m(batch.tokens, hidden=True).hidden
    read = states(m, batch, Precision.fp32)
    for game in range(4):
        for ply in (0, 7, 20):
            torch.testing.assert_close(read[:, game, ply], hidden[:, game, batch.move_ends[game, ply]])


class Planted:
    """Activations in which the board stands as a fixed linear code (or shuffled over games: destroyed)."""

    def __init__(self, destroyed: bool, maps: tuple[str, ...] = ("identity", "identity")) -> None:
        noise = torch.randn(64, BOARD.n_cells, generator=torch.Generator().manual_seed(0))
        self.code = torch.linalg.qr(noise).Q.T  # one orthogonal direction per cell
        self.destroyed, self.maps = destroyed, maps

    def __call__(self, m: nn.Module, batch: object, precision: Precision) -> torch.Tensor:
        classes = board_targets(batch.moves, BOARD).classes[0].float() - 1
        language = int(batch.language[0])
        image = torch.empty_like(classes)
        image[..., list(cell_map(BOARD, self.maps[language]))] = classes
        x = image @ self.code
        if self.destroyed:
            x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(len(x)))]
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        return (x + 0.1 * noise).expand(2, *x.shape)


def measured(monkeypatch: pytest.MonkeyPatch, planted: Planted) -> dict[str, torch.Tensor]:
    monkeypatch.setattr(train, "states", planted)
    monkeypatch.setattr(crosslingual, "states", planted)
    m = model()
    probes = fit_probes(m, FAMILY, corpus(BOARD, 0, Split.probe, 10_000), CONFIG, Precision.fp32)
    scored = evaluate_probes(m, FAMILY, probes, games(64, 5000), Precision.fp32)
    return {name: result.accuracy for name, result in scored.items()}


def test_a_planted_code_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = measured(monkeypatch, Planted(destroyed=False))
    assert float(accuracy["linear"][0, ..., 0].min()) > 0.85
    assert float(accuracy["mlp"][0, ..., 0].min()) > 0.85


def test_a_destroyed_code_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = measured(monkeypatch, Planted(destroyed=True))
    truth = board_targets(games(64, 5000), BOARD)
    constant = float(best_constant(board_targets(games(640), BOARD), truth)[0])
    for result in accuracy.values():
        assert float(result[0].max()) < constant + 0.01


@pytest.mark.parametrize("name", OPENING_MAPS)
def test_languages_that_are_mirror_images_are_found_under_their_map(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy = measured(monkeypatch, Planted(destroyed=False, maps=("identity", name)))["linear"][0, 1]
    across = accuracy[0, 1]
    assert OPENING_MAPS[int(across.argmax())] == name
    assert float(across.max()) > 0.85
    assert float(accuracy[0, 0, 0]) > 0.85
    if name != "identity":
        assert float(across[0]) < 0.7


def test_scoring_by_hand_and_agreement_with_images() -> None:
    moves = games(50)
    truth = board_targets(moves, BOARD)
    perfect = truth.classes.to(torch.int8)[:, None, None, None]
    result = score(perfect, truth, FAMILY)
    assert torch.allclose(result.accuracy[..., 0], torch.ones(2, 1, 1, 1, dtype=torch.float64))
    expected = image_agreement(truth, BOARD)
    torch.testing.assert_close(result.accuracy[:, 0, 0, 0], expected)
    rows = truth.classes[0][truth.scored].view(-1, 6, 6)
    assert float(expected[0, 1]) == pytest.approx(float((rows == rows.flip(1, 2)).double().mean()))
    assert float(expected[0, 2]) == pytest.approx(float((rows == rows.mT).double().mean()))
    assert images(truth.classes, BOARD).shape == (4, *truth.classes.shape)


def test_the_best_constant_is_the_best_on_its_own_games() -> None:
    truth = board_targets(games(100), BOARD)
    best = float(best_constant(truth, truth)[0])
    always_empty = float((truth.classes[0][truth.scored] == 1).double().mean())
    assert best > always_empty


def test_a_trained_readout_needs_fitting() -> None:
    """Probes with no steps to speak of read at chance: the score comes from the fit."""
    m = model()
    probes = fit_probes(
        m, FAMILY, corpus(BOARD, 0, Split.probe, 10_000), replace(CONFIG, games=1, batch_size=1), Precision.fp32
    )
    result = evaluate_probes(m, FAMILY, probes, games(16, 5000), Precision.fp32)
    assert float(result["mlp"].accuracy.max()) < 0.6


def test_fitting_repeats_and_leaves_the_model_alone() -> None:
    m, source = model(), corpus(BOARD, 0, Split.probe, 10_000)
    before = {name: value.clone() for name, value in m.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = fit_probes(m, FAMILY, source, replace(CONFIG, games=64), Precision.fp32)
    assert torch.equal(state, torch.get_rng_state())
    other = fit_probes(m, FAMILY, source, replace(CONFIG, games=64), Precision.fp32)
    for name in one.modules:
        for a, b in zip(one.modules[name].parameters(), other.modules[name].parameters(), strict=True):
            assert torch.equal(a, b)
    assert all(torch.equal(before[name], value) for name, value in m.state_dict().items())


@pytest.mark.parametrize("shape", [(3, 16, 40), (2, 40, 16), (1, 8, 8)])
def test_orthogonalize_moves_singular_values_near_one(shape: tuple[int, ...]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(g))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.4
    one = orthogonalize(g[:1])
    torch.testing.assert_close(one, orthogonalize(g)[:1], rtol=0.05, atol=0.02)
