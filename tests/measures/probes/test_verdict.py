"""Proves: readings planted in the states of real games, scored by the measure's own code, get the verdict that they
were planted for: one map, two domains, graded, orbit only, none. A reader of orbits is not called aligned, and would be
if it were compared with the constant alone; nor is a map outside the group taken for one in it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from subprocess import run

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.measure import Subject
from mothello.measures.probes.averages import best_layers
from mothello.measures.probes.baselines import best_of_orbits, image_of, images
from mothello.measures.probes.domains import domains
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.headline import headline
from mothello.measures.probes.linear import LinearProbes
from mothello.measures.probes.rows import Scored
from mothello.measures.probes.score import Games, evaluate_probes, read
from mothello.measures.probes.second_reading import second_rows
from mothello.measures.probes.targets import N_CLASSES, TARGETS, board_targets, of_another_game
from mothello.measures.probes.verdict import (
    GRADED,
    NONE,
    ONE_MAP,
    ORBIT_ONLY,
    TWO_DOMAINS,
    PairVerdict,
    Share,
    verdicts,
)
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.rows import as_table
from mothello.training.device import Precision

BOARD = Board.of(6)
FAMILY = build_languages(LanguagesConfig(kinds=["atomic*2"]), BOARD)
N = 120
"""Games that readings are scored on."""
WIDTH = BOARD.n_cells * N_CLASSES
CORNER = torch.tensor([square % 8 < 3 and square // 8 < 3 for square in BOARD.squares])

Reading = Callable[[Tensor], Tensor]
"""True classes [game, ply, cell] -> classes as read."""


def games(n: int, first: int = 0) -> Tensor:
    return corpus(BOARD, 0, Split.probe, 10_000).moves(torch.arange(first, first + n))


@dataclass(frozen=True)
class Planted(Subject):
    """States that hold one-hot what the probe of every language is to read there."""

    readings: tuple[tuple[Reading, ...], ...] = ()
    """[source][language]"""

    def states(self, moves: Tensor, language: int) -> Tensor:
        classes = board_targets(moves, BOARD).classes
        parts = [F.one_hot(own[language](x), N_CLASSES).flatten(-2) for own in self.readings for x in classes]
        return torch.cat(parts, -1).float().expand(2, -1, -1, -1)


def identity_probes() -> FittedProbes:
    """The linear probe of a language and target reads its own part of a state."""
    blocks = torch.eye(2 * len(TARGETS)).view(2, len(TARGETS), -1).transpose(0, 1)  # [target, source, part]
    weights = torch.einsum("tsp,ij->tspij", blocks, torch.eye(WIDTH)).flatten(2, 3).unsqueeze(2)
    module = LinearProbes(8, 4 * WIDTH, WIDTH, 0, torch.Generator())
    module.W.data = weights.expand(-1, -1, 2, -1, -1).flatten(0, 2).clone()
    mean = torch.zeros(2, 2, 1, 4 * WIDTH)
    return FittedProbes({"linear": module}, TARGETS, mean, mean + 1, 0)


@cache
def scored_rows(there: Reading, back: Reading) -> pd.DataFrame:
    """The rows of a pair whose first language reads the second as ``there``, and the second the first as ``back``."""

    def own(classes: Tensor) -> Tensor:
        return classes

    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), FAMILY).initialize(0).eval()
    subject = Planted(model, FAMILY, precision=Precision.fp32, readings=((own, there), (back, own)))
    probes, moves = identity_probes(), games(N, 5000)
    scored = Scored(
        Games(moves, board_targets(moves, BOARD)), board_targets(games(300), BOARD),
        Bootstrap(N, 200, torch.Generator().manual_seed(0)),
    )  # fmt: skip
    (result,) = evaluate_probes(subject, probes, moves).values()
    half, layers = Bootstrap(N // 2, 200, torch.Generator().manual_seed(1)), best_layers(result, scored.games)
    rows = [*scored.board_rows(subject), *scored.rows(subject, "linear", result)]
    return as_table([*rows, *second_rows(subject, probes, scored.games, {"linear": layers}, half)])


def judged(rows: pd.DataFrame, target: str = "absolute") -> list[PairVerdict]:
    found = verdicts(rows, "linear", target, 0)
    return [verdict for verdict in found if verdict.source != verdict.language]


def through(name: str) -> Reading:
    return lambda classes: image_of(classes, BOARD, name)


MAIN, ANTI, QUARTER, BACK = map(through, ("main", "anti", "rot90", "rot270"))


def mixture(classes: Tensor) -> Tensor:
    """A corner at the identity, the rest at main."""
    return torch.where(CORNER, classes, MAIN(classes))


def commonest(classes: Tensor) -> Tensor:
    """The commonest class of every orbit, everywhere in the orbit."""
    votes = sum(F.one_hot(image, N_CLASSES) for image in images(classes, BOARD))
    assert isinstance(votes, Tensor)
    return votes.argmax(-1)


def other_games(classes: Tensor) -> Tensor:
    return of_another_game(classes)


def mostly(share: float, one: Reading, other: Reading) -> Reading:
    """Every cell as one reading has it with this probability, else as the other."""

    def reading(classes: Tensor) -> Tensor:
        first = torch.rand(classes.shape, generator=torch.Generator().manual_seed(7)) < share
        return torch.where(first, one(classes), other(classes))

    return reading


def guess(classes: Tensor) -> Tensor:
    return torch.randint(N_CLASSES, classes.shape, generator=torch.Generator().manual_seed(8))


NOISY = mostly(0.7, MAIN, guess)
WEAK = mostly(0.75, mostly(0.2, MAIN, commonest), guess)
"""Knows the orbits and a little of one map, and is worse than knowing the orbits alone."""


@pytest.mark.parametrize("target", TARGETS)
def test_one_map(target: str) -> None:
    rows = scored_rows(MAIN, MAIN)
    for verdict in judged(rows, target):
        assert (verdict.kind, verdict.map, verdict.aligned) == (ONE_MAP, "main", True)
        assert verdict.recovered == pytest.approx(1)
        assert verdict.margin > 0.3
        assert verdict.gain is not None
        assert verdict.gain.value == 0
    head = headline(rows, "linear", target)
    assert (head.kinds, head.aligned_pairs) == ({ONE_MAP: 2, TWO_DOMAINS: 0, GRADED: 0, ORBIT_ONLY: 0, NONE: 0}, 2)
    assert head.maps == dict.fromkeys(OPENING_MAPS, 0) | {"main": 2}
    assert head.recovered == pytest.approx(1)
    assert head.classes is not None
    assert (head.classes.component, head.classes.map, head.classes.consistency) == ([0, 0], [0, 2], 1.0)


def test_directions_through_different_maps_bind_no_class() -> None:
    head = headline(scored_rows(MAIN, ANTI), "linear", "absolute")
    assert head.maps == {"identity": 0, "rot180": 0, "main": 1, "anti": 1}
    assert head.classes is not None
    assert head.classes.component == [0, 1]


def test_a_quarter_turn_there_and_back_is_no_map_of_the_group() -> None:
    """The directions disagree: one is read through the turn, the other through its inverse."""
    rows = scored_rows(QUARTER, BACK)
    assert [(verdict.kind, verdict.aligned) for verdict in judged(rows)] == [(NONE, False)] * 2
    other = rows[rows.quantity == "other_map"].sort_values("value").groupby("source").last()
    assert other["map"].to_dict() == {"atomic_0": "rot90", "atomic_1": "rot270"}
    assert other.value.tolist() == [1, 1]


def test_two_domains_are_found_and_drawn_square_by_square() -> None:
    rows = scored_rows(mixture, mixture)
    for verdict in judged(rows):
        assert (verdict.kind, verdict.aligned) == (TWO_DOMAINS, False)
        assert (verdict.map, list(verdict.domains)[:2]) == ("main", ["main", "identity"])
        assert verdict.domains["identity"] == pytest.approx(6 / 36)  # the three on the diagonal go to the single map
        assert verdict.mixed is not None
        assert verdict.gain is not None
        assert verdict.mixed.value == 1
        assert 0.04 < verdict.gain.low < verdict.gain.value < 0.09  # six of 36 cells, of which three in five agree
    squares = rows[(rows.quantity == "domain") & (rows.square != "") & (rows.target == "absolute")]
    away = {square_name(s) for s, c in zip(BOARD.squares, CORNER.tolist(), strict=True) if c and s % 8 != s // 8}
    assert set(squares[squares["map"] == "identity"].square) == away
    assert len(squares) == 2 * BOARD.n_cells
    assert squares.value.tolist() == [1] * len(squares)


def test_without_a_mixed_reading_there_are_no_two_domains() -> None:
    rows = scored_rows(mixture, mixture)
    old = rows[~rows.quantity.isin(["mixed", "mixed_gain", "domain"])]
    assert [verdict.kind for verdict in judged(old)] == [GRADED] * 2


@pytest.mark.parametrize("target", TARGETS)
def test_a_reader_of_orbits_is_not_aligned(target: str) -> None:
    rows = scored_rows(commonest, commonest)
    for verdict in judged(rows, target):
        assert (verdict.kind, verdict.aligned) == (ORBIT_ONLY, False)
        assert {share.value for share in verdict.accuracy.values()} == {verdict.best.value}
        assert verdict.best.value == pytest.approx(verdict.orbit, abs=1e-6)
        assert verdict.best.low > verdict.constant  # above the constant alone it would pass


def test_the_constant_in_the_orbit_readers_place_would_call_it_aligned() -> None:
    rows = scored_rows(WEAK, WEAK)
    assert [(verdict.kind, verdict.map, verdict.aligned) for verdict in judged(rows)] == [(GRADED, "main", False)] * 2
    older = rows[rows.control != "orbit"]
    assert [(verdict.kind, verdict.aligned) for verdict in judged(older)] == [(GRADED, True)] * 2
    assert headline(rows, "linear", "absolute").aligned_pairs == 0
    assert headline(older, "linear", "absolute").aligned_pairs == 2


def test_readings_of_other_games_are_nothing() -> None:
    head = headline(scored_rows(other_games, other_games), "linear", "absolute")
    assert head.kinds is not None
    assert (head.kinds[NONE], head.aligned_pairs) == (2, 0)


def test_one_map_with_noise_is_graded() -> None:
    for verdict in judged(scored_rows(NOISY, NOISY)):
        assert (verdict.kind, verdict.map, verdict.aligned) == (GRADED, "main", True)
        assert verdict.recovered is not None
        assert 0.1 < verdict.recovered < 0.5


@pytest.mark.parametrize("size", [4, 6])
def test_the_orbit_reader_is_a_slow_count_of_orbits(size: int) -> None:
    board = Board.of(size)
    truth = board_targets(corpus(board, 0, Split.probe, 1000).moves(torch.arange(5)), board)
    orbits = {frozenset(cell_map(board, name)[cell] for name in OPENING_MAPS) for cell in range(board.n_cells)}
    for target, found in enumerate(best_of_orbits(truth, board).tolist()):
        boards = truth.classes[target][truth.scored].tolist()
        right = sum(max([cells[c] for c in o].count(k) for k in range(3)) for cells in boards for o in orbits)
        assert found == pytest.approx(right / len(boards) / board.n_cells)


def test_the_orbit_reader_of_random_games() -> None:
    absolute, relative = best_of_orbits(board_targets(games(300), BOARD), BOARD).tolist()
    assert absolute == pytest.approx(0.726, abs=0.005)
    assert relative == pytest.approx(0.726, abs=0.005)


def test_domains_equal_a_slow_count() -> None:
    draw = torch.Generator().manual_seed(0)
    game = torch.arange(5).repeat_interleave(6)
    readings = torch.randint(0, 3, (30, 4), generator=draw).to(torch.int8)
    boards = torch.randint(0, 3, (4, 30, 4), generator=draw).to(torch.int8)
    boards[1, :, :2] = readings[:, :2]
    boards[2, :, 3] = boards[3, :, 3] = readings[:, 3]
    found, half = domains(readings, boards, game, 5), 12
    score = [[sum(int(boards[g, r, c] == readings[r, c]) for r in range(half)) for c in range(4)] for g in range(4)]
    single = max(range(4), key=lambda g: sum(score[g]))
    which = [max(range(4), key=lambda g: (score[g][c], g == single, -g)) for c in range(4)]
    assert (found.single, found.which.tolist()) == (single, which) == (1, [1, 1, which[2], 2])
    right = torch.stack([boards[g, half:, c] == readings[half:, c] for c, g in enumerate(which)], 1)
    assert found.by_cell.tolist() == right.sum(0).tolist()
    assert found.mixed.tolist() == right.view(3, -1).sum(1).tolist()
    alone = (boards[single, half:] == readings[half:]).view(3, -1).sum(1)
    assert (found.mixed - found.gain).tolist() == alone.tolist()


def test_a_layer_is_read_as_among_all() -> None:
    draw = torch.Generator().manual_seed(0)
    module = LinearProbes(12, 10, WIDTH, 0, draw)
    torch.nn.init.normal_(module.W, generator=draw)
    probes = FittedProbes({"linear": module}, TARGETS, torch.zeros(2, 3, 1, 10), torch.ones(2, 3, 1, 10), 0)
    x = torch.randn(3, 50, 10, generator=draw)
    whole = read(probes, "linear", "relative", 1, x, Precision.fp32)
    for layer in range(3):
        one = read(probes, "linear", "relative", 1, x, Precision.fp32, slice(layer, layer + 1))
        assert torch.equal(one[0], whole[layer])


def shares(*values: float, half: float = 0.01) -> dict[str, Share]:
    return {name: Share(x, x - half, x + half) for name, x in zip(OPENING_MAPS, values, strict=False)}


@pytest.mark.parametrize(
    ("accuracy", "own", "kind", "aligned"),
    [
        (shares(0.96, 0.6), 0.98, ONE_MAP, True),
        (shares(0.93, 0.6), 0.98, GRADED, True),  # recovers .8
        (shares(0.7, 0.6), 0.98, GRADED, False),  # below the orbits
        (shares(0.735, 0.6), 0.98, GRADED, False),  # its interval holds the orbits
        (shares(0.96, 0.945), 0.98, ORBIT_ONLY, False),  # two maps not apart
        (shares(0.62, 0.61), 0.98, NONE, False),  # its interval holds the constant
        (shares(0.5, 0.4), 0.98, NONE, False),
        (shares(0.72, 0.6), 0.71, GRADED, False),  # the own language reads no better than the orbits
    ],
)
def test_kinds_by_hand(accuracy: dict[str, Share], own: float, kind: str, aligned: bool) -> None:
    verdict = PairVerdict("A", "B", accuracy, own, constant=0.615, orbit=0.73)
    assert (verdict.kind, verdict.aligned) == (kind, aligned)
    assert (verdict.recovered is None) == (own < 0.73)


@pytest.mark.parametrize(
    ("mixed", "gain", "second", "kind"),
    [
        (0.8, 0.05, 0.2, TWO_DOMAINS),
        (0.735, 0.05, 0.2, GRADED),
        (0.8, 0.005, 0.2, GRADED),
        (0.8, 0.05, 0.09, GRADED),
    ],
)
def test_two_domains_by_hand(mixed: float, gain: float, second: float, kind: str) -> None:
    numbers = [Share(x, x - 0.01, x + 0.01) for x in (mixed, gain)]
    own = {"identity": 1 - second, "main": second, "anti": 0.0}
    assert PairVerdict("A", "B", shares(0.72, 0.6), 0.9, 0.61, 0.73, *numbers, domains=own).kind == kind


def test_tables_without_constant_or_intervals() -> None:
    rows = scored_rows(MAIN, MAIN)
    assert verdicts(rows[rows.control != "constant"], "linear", "absolute", 0) == []
    assert headline(rows[rows.control != "constant"], "linear", "absolute").kinds is None
    bare = rows.assign(low=float("nan"), high=float("nan"))
    assert [verdict.kind for verdict in judged(bare)] == [ONE_MAP] * 2
    old = as_table([{"measure": "probe", "quantity": "aligned", "source": "atomic_0", "language": "atomic_1"}])
    both = pd.concat([rows, old.assign(control="trained", probe="linear", target="absolute", layer=0, value=0.0)])
    assert judged(both) == judged(rows)


def test_without_torch() -> None:
    code = "import sys, mothello.measures.probes.verdict; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
