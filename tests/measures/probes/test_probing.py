"""Proves: targets are the boards; a planted linear code is found and a destroyed one is not, nor a board that is another
game's; probes of a language read their own activations; a reading through a symmetry is found under that map; counts equal
slow ones; early stopping keeps the best; a converged probe is scikit-learn's; nothing is changed."""

from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from torch import nn

from mothello.bootstrap import Bootstrap
from mothello.data.batch import in_language
from mothello.data.corpus import WholeGames
from mothello.data.split import Split, corpus, probe_corpus
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.activations import states
from mothello.measures.measure import Subject
from mothello.measures.probes import score
from mothello.measures.probes.baselines import (
    best_constant,
    constant_by_ply,
    image_agreement,
    images,
    unrelated_agreement,
)
from mothello.measures.probes.cell_loss import cell_loss
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.counting import cells_right, padded, rows_right
from mothello.measures.probes.fit import SHUFFLED, FittedProbes, _Batches, fit_probes
from mothello.measures.probes.score import CrossLingual, Games, accuracy, evaluate_probes, standard_error
from mothello.measures.probes.second_reading import second_rows
from mothello.measures.probes.targets import N_CLASSES, TARGETS, board_targets, of_another_game
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS, cell_map
from mothello.training.device import Precision
from mothello.training.muon import orthogonalize

BOARD = Board.of(6)
FAMILY = build_languages(LanguagesConfig(kinds=["atomic", "split"]), BOARD)
ONE = build_languages(LanguagesConfig(kinds=["atomic"]), BOARD)
CONFIG = ProbesConfig(games=1280, batch_size=32, test_games=32, hidden=64, held_out=32, evaluations=3)


def slow(value: object) -> object:
    """A case of the long proofs."""
    return pytest.param(value, marks=pytest.mark.slow)


def model(language_set: LanguageSet = FAMILY) -> nn.Module:
    return build_model(ModelConfig(n_layer=1, n_head=2, d_model=64), language_set).initialize(0).eval()


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
        colors = [bool(swapped[game, ply].any()) for ply in range(length)]
        odd_flips += sum(a == b for a, b in zip(colors, colors[1:], strict=False))
    assert odd_flips > 0  # a pass lets a color move twice


def test_activations_stand_at_the_last_token_of_each_move() -> None:
    m, batch = model(), in_language(games(4), 1, FAMILY)
    hidden = m(Inputs(batch.tokens), hidden=True).hidden
    read = states(m, batch, Precision.fp32)
    for game in range(4):
        for ply in (0, 7, 20):
            torch.testing.assert_close(read[:, game, ply], hidden[:, game, batch.move_ends[game, ply]])


CODE = torch.linalg.qr(torch.randn(64, BOARD.n_cells, generator=torch.Generator().manual_seed(0))).Q.T
"""One orthogonal direction per cell."""


@dataclass(frozen=True)
class Planted(Subject):
    """Activations in which the board stands as a fixed linear code (or shuffled over games: destroyed)."""

    destroyed: bool = False
    maps: tuple[str, ...] = ("identity", "identity")

    def states(self, moves: torch.Tensor, language: int) -> torch.Tensor:
        classes = board_targets(moves, BOARD).classes[0].float() - 1
        image = torch.empty_like(classes)
        image[..., list(cell_map(BOARD, self.maps[language]))] = classes
        x = image @ CODE
        if self.destroyed:
            x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(len(x)))]
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        return (x + 0.1 * noise).expand(2, *x.shape)


def planted(language_set: LanguageSet = FAMILY, **how: object) -> Planted:
    return Planted(model(language_set), language_set, precision=Precision.fp32, **how)


def plain(language_set: LanguageSet = FAMILY) -> Subject:
    return Subject(model(language_set), language_set, precision=Precision.fp32)


@cache
def played() -> torch.Tensor:
    return games(2000)


class Played(WholeGames):
    """The games of the corpus of 10,000, the first of which are played once."""

    board, oracle = BOARD, None

    def __len__(self) -> int:
        return 10_000

    def moves(self, indices: torch.Tensor) -> torch.Tensor:
        return played()[indices]


def fit(subject: Subject, config: ProbesConfig = CONFIG, targets: tuple[str, ...] = TARGETS) -> FittedProbes:
    return fit_probes(subject, Played(), config, targets)


def read(subject: Subject, probes: FittedProbes, moves: torch.Tensor) -> dict[str, CrossLingual]:
    return evaluate_probes(subject, probes, moves)


def shares(results: dict[str, CrossLingual], moves: torch.Tensor) -> dict[str, torch.Tensor]:
    board = Games(moves, board_targets(moves, BOARD))
    return {name: accuracy(result.right, board) for name, result in results.items()}


def measured(subject: Subject, *probes: str) -> dict[str, torch.Tensor]:
    fitted = fit(subject, replace(CONFIG, probes=list(probes) or CONFIG.probes))
    return shares(read(subject, fitted, games(64, 5000)), games(64, 5000))


def test_a_planted_code_is_found() -> None:
    accuracy = measured(planted())
    assert float(accuracy["linear"][0, ..., 0].min()) > 0.85
    assert float(accuracy["mlp"][0, ..., 0].min()) > 0.85


def test_a_destroyed_code_is_not() -> None:
    accuracy = measured(planted(destroyed=True))
    truth = board_targets(games(64, 5000), BOARD)
    constant = float(best_constant(board_targets(games(640), BOARD), truth)[0])
    for result in accuracy.values():
        assert float(result[0].max()) < constant + 0.01


@pytest.mark.parametrize("name", [*(slow(name) for name in OPENING_MAPS[:3]), OPENING_MAPS[3]])
def test_languages_that_are_mirror_images_are_found_under_their_map(name: str) -> None:
    accuracy = measured(planted(maps=("identity", name)), "linear")["linear"][0, 1]
    across = accuracy[0, 1]
    assert OPENING_MAPS[int(across.argmax())] == name
    assert float(across.max()) > 0.85
    assert float(accuracy[0, 0, 0]) > 0.85
    if name != "identity":
        assert float(across[0]) < 0.7


@pytest.mark.parametrize("name", ["columns", slow("rot90"), "main"])
def test_a_map_outside_the_group_is_read_where_it_is_planted(name: str) -> None:
    """And nowhere else: a map of the group is not taken for one outside it."""
    subject, moves = planted(maps=("identity", name)), games(64, 5000)
    fitted = fit(subject)
    scored, shape = Games(moves, board_targets(moves, BOARD)), (len(OTHER_MAPS), 2, 2)
    found = {(kind, q): torch.zeros(shape) for kind in ("linear", "mlp") for q in ("other_map", "other_map_swapped")}
    half = Bootstrap(32, 20, torch.Generator().manual_seed(0))
    for row in second_rows(subject, fitted, scored, {"linear": [1, 1], "mlp": [0, 0]}, half):
        if not row["quantity"].startswith("other_map"):
            continue
        at = (OTHER_MAPS.index(row["map"]), FAMILY.index(row["source"]), FAMILY.index(row["language"]))
        found[row["probe"], row["quantity"]][at] = row["value"]
    group, back = shares(read(subject, fitted, moves), moves), {"rot90": "rot270"}.get(name, name)
    for kind in ("linear", "mlp"):
        kept = found[kind, "other_map"]
        assert found[kind, "other_map_swapped"].max() < 0.65
        high = {(OTHER_MAPS[i], a, b) for i, a, b in (kept > 0.8).nonzero().tolist()}
        assert high == (set() if name == "main" else {(name, 0, 1), (back, 1, 0)})
        assert float(kept[(kept > 0) & (kept < 0.8)].max()) < 0.65
        across = group[kind][0, 0, [0, 1], [1, 0]]  # [pair, map]
        assert (float(across.max()) > 0.8) == (name == "main")


def test_counts_equal_slow_ones_over_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "GAMES_AT_ONCE", 7)
    subject, moves = plain(), games(17, 5000)
    probes = fit(subject, replace(CONFIG, games=64), (*TARGETS, SHUFFLED))
    truth = board_targets(moves, BOARD)
    moved, board = images(truth.classes, BOARD), Games(moves, truth)
    for name, result in read(subject, probes, moves).items():
        for target, layer, source_, language in ((0, 1, 0, 1), (1, 0, 1, 1), (0, 0, 1, 0)):
            x = probes.normalize(subject.states(moves, language).flatten(1, 2), source_)
            weights = probes.weights(name, TARGETS[target], source_)
            logits = torch.func.functional_call(probes.modules[name], weights, (x,))[layer]
            readings = logits.view(17, -1, 36, 3).argmax(-1)
            at = (target, layer, source_, language)
            for index, image in enumerate(moved[:, target]):
                right = ((readings == image) * truth.scored.unsqueeze(-1)).sum((1, 2))
                assert torch.equal(result.right[(*at, index)], right)
            same = (readings == truth.classes[target]) & truth.scored.unsqueeze(-1)
            assert torch.equal(result.by_cell[at], same.sum((0, 1)))
            assert torch.equal(result.by_ply[at], same.sum((0, 2)))
            assert int(result.whole[at]) == int(same.all(-1).sum())
            assert torch.equal(result.readings[at], (readings[:2] * truth.scored[:2].unsqueeze(-1)).to(torch.int8))
            each = same.sum((1, 2)).double()
            share = each.sum() / board.cells.sum()
            error = (each - share * board.cells).std() / board.cells.double().mean() / 17**0.5
            assert float(accuracy(result.right, board)[(*at, 0)]) == pytest.approx(float(share))
            assert float(standard_error(result.right, board)[(*at, 0)]) == pytest.approx(float(error))


@pytest.mark.parametrize("size", [4, 6, 8])
def test_eight_cells_at_once_are_counted_as_one_by_one(size: int) -> None:
    draw = torch.Generator().manual_seed(size)
    readings, boards = (
        torch.randint(0, 3, s, generator=draw).to(torch.int8) for s in ((2, 300, size**2), (4, 300, size**2))
    )
    boards[0, :150] = readings[1, :150]  # whole boards too
    lanes, images_ = padded(readings, -1), padded(boards, -2)
    slow = torch.stack([(readings == image).sum(-1) for image in boards], 1)
    assert torch.equal(cells_right(lanes, images_), slow)
    assert int(slow.max()) == size**2
    assert torch.equal(rows_right(lanes, images_[0], size**2), (readings == boards[0]).sum(1))


def test_agreement_with_images_and_with_another_game() -> None:
    truth = board_targets(games(50), BOARD)
    expected = image_agreement(truth, BOARD)
    rows = truth.classes[0][truth.scored].view(-1, 6, 6)
    assert float(expected[0, 1]) == pytest.approx(float((rows == rows.flip(1, 2)).double().mean()))
    assert float(expected[0, 2]) == pytest.approx(float((rows == rows.mT).double().mean()))
    assert images(truth.classes, BOARD).shape == (4, *truth.classes.shape)
    assert 0.5 < float(unrelated_agreement(truth)[0]) < 0.56  # .529 (protocol, section 4)
    assert torch.equal(of_another_game(truth.classes[0])[1], truth.classes[0][0])
    by_ply = constant_by_ply(truth, truth)
    weight = truth.scored.sum(0) / truth.scored.sum()
    assert float((by_ply * weight).nansum(1)[0]) == pytest.approx(float(best_constant(truth, truth)[0]))


def test_probes_of_another_games_board_read_no_more_than_a_constant() -> None:
    subject, moves = planted(), games(64, 5000)
    probes = fit(subject, targets=(*TARGETS, SHUFFLED))
    truth = board_targets(moves, BOARD)
    constant = float(best_constant(board_targets(games(640), BOARD), truth)[0])
    for result in read(subject, probes, moves).values():
        shuffled = accuracy(result.shuffled, Games(moves, truth))
        assert float(shuffled.max()) < constant + 0.01
        assert float(shuffled.min()) > 0.4


MADE: dict[tuple[int, ...], torch.Tensor] = {}


class Fixed(Subject):
    """States of a few games that hold the board faintly: a probe without penalty would learn them by heart."""

    def states(self, moves: torch.Tensor, language: int) -> torch.Tensor:
        key = tuple(moves.flatten().tolist())
        if key not in MADE:
            MADE[key] = self.made(moves)
        return MADE[key]

    def made(self, moves: torch.Tensor) -> torch.Tensor:
        classes = board_targets(moves, BOARD).classes[0].float() - 1
        seeds = (moves.long().clamp(min=0) * torch.arange(1, 33)).sum(1)
        noise = torch.stack([torch.randn(32, 64, generator=torch.Generator().manual_seed(int(s))) for s in seeds])
        return (classes @ CODE + 0.3 * noise).expand(2, -1, -1, -1)


def fixed() -> Fixed:
    return Fixed(model(ONE), ONE, precision=Precision.fp32)


@pytest.mark.parametrize("strength", [1e-4, slow(1e-5)])
def test_a_converged_probe_is_scikit_learns(strength: float) -> None:
    subject = fixed()
    few = ProbesConfig(
        probes=["linear"], games=32, batch_size=32, epochs=160, l2=strength, patience=400, held_out=64, lr=0.1
    )
    probes = fit(subject, few)
    moves = games(128, 5000)
    ours = shares(read(subject, probes, moves), moves)["linear"][0, 0, 0, 0, 0]
    train, test = board_targets(games(32), BOARD), board_targets(moves, BOARD)
    x = probes.normalize(subject.states(games(32), 0)[:, train.scored], 0)[0]
    z = probes.normalize(subject.states(moves, 0)[:, test.scored], 0)[0]
    labels, truth = train.classes[0][train.scored], test.classes[0][test.scored]
    right = []
    for cell in range(0, 36, 7):
        theirs = LogisticRegression(C=1 / (strength * 36 * len(x)), tol=1e-6, max_iter=5000)
        right.append((theirs.fit(x, labels[:, cell]).predict(z) == truth[:, cell].numpy()).mean())
    one = read(subject, probes, moves)["linear"].by_cell[0, 0, 0, 0, ::7].double() / int(test.scored.sum())
    assert float(one.mean()) == pytest.approx(sum(right) / len(right), abs=0.005)
    assert 0.6 < float(ours) < 0.99


def test_early_stopping_keeps_each_probes_best_and_ends() -> None:
    """Few games seen often: linear probes learn them by heart, and the held-out games say when to stop."""
    subject = fixed()
    config = ProbesConfig(probes=["mlp"], games=16, batch_size=16, epochs=120, held_out=32, evaluations=24, patience=3)
    early = fit(subject, config)
    late = fit(subject, replace(config, evaluations=1, patience=400))
    assert early.steps < 120 == late.steps
    moves = games(128, 5000)
    ours, theirs = (shares(read(subject, probes, moves), moves)["mlp"][0, ..., 0] for probes in (early, late))
    assert (ours > theirs).all()


def test_the_best_constant_is_the_best_on_its_own_games() -> None:
    truth = board_targets(games(100), BOARD)
    best = float(best_constant(truth, truth)[0])
    always_empty = float((truth.classes[0][truth.scored] == 1).double().mean())
    assert best > always_empty


def test_a_trained_readout_needs_fitting() -> None:
    """Probes with no steps to speak of read at chance: the score comes from the fit."""
    subject = plain()
    probes = fit(subject, replace(CONFIG, games=2, batch_size=2, held_out=1))
    assert float(shares(read(subject, probes, games(16, 5000)), games(16, 5000))["mlp"].max()) < 0.6


def test_fitting_repeats_and_leaves_the_model_alone() -> None:
    subject = plain()
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = fit(subject, replace(CONFIG, games=64))
    assert torch.equal(state, torch.get_rng_state())
    other = fit(subject, replace(CONFIG, games=64))
    for name in one.modules:
        for a, b in zip(one.modules[name].parameters(), other.modules[name].parameters(), strict=True):
            assert torch.equal(a, b)
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())


@pytest.mark.parametrize("shape", [(3, 16, 40), (2, 40, 16), (1, 8, 8)])
def test_orthogonalize_moves_singular_values_near_one(shape: tuple[int, ...]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(g))
    assert float(values.min()) > 0.4
    assert float(values.max()) < 1.4
    one = orthogonalize(g[:1])
    torch.testing.assert_close(one, orthogonalize(g)[:1], rtol=0.05, atol=0.02)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_the_loss_of_cells_is_torchs_with_its_gradient(kind: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    logits = (8 * torch.randn(5, 7, 4 * N_CLASSES, generator=draw)).to(kind).requires_grad_()
    labels, weight = torch.randint(N_CLASSES, (5, 7, 4), generator=draw), torch.rand(5, generator=draw)
    each = F.cross_entropy(logits.float().reshape(-1, N_CLASSES), labels.flatten(), reduction="none")
    expected = each.view(5, -1).mean(1)
    (gradient,) = torch.autograd.grad((expected * weight).sum(), logits)
    found = cell_loss(logits, labels)
    torch.testing.assert_close(found, expected)
    (found_gradient,) = torch.autograd.grad((found * weight).sum(), logits)
    assert found_gradient.dtype == kind
    torch.testing.assert_close(found_gradient, gradient, atol=1e-6 if kind == torch.float32 else 1e-4, rtol=1e-2)
    with torch.no_grad():
        torch.testing.assert_close(cell_loss(logits, labels), expected)


def test_games_played_together_give_the_batches_of_games_played_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    config = ProbesConfig(games=48, batch_size=4, held_out=8, test_games=4)
    games = probe_corpus(BOARD, 0, *config.sizes)
    subject = Subject(model(), FAMILY, precision=Precision.fp32)
    together = _Batches(subject, games, config, TARGETS)
    found = [together(start) for start in range(0, config.first_test_game, 4)]
    for at_once in (4, 20):
        monkeypatch.setattr("mothello.measures.probes.fit.GAMES_AT_ONCE", at_once)
        apart = _Batches(subject, games, config, TARGETS)
        for start, (x, labels) in zip(range(0, config.first_test_game, 4), found, strict=True):
            states, classes = apart(start)
            assert torch.equal(states, x)
            assert torch.equal(classes, labels)
