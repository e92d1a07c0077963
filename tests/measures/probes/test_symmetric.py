"""Proves: the best map is found, and the null of the maximum over maps is what unrelated games reach, no more."""

import torch

from mothello.data.split import Split, corpus
from mothello.measures.probes.baselines import images
from mothello.measures.probes.symmetry_null import NullOfMaximum, aligned, best_map
from mothello.measures.probes.targets import board_targets
from mothello.othello.board import Board

BOARD = Board.of(6)


def truth(n: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    targets = board_targets(corpus(BOARD, 0, Split.probe, 1000).moves(torch.arange(n)), BOARD)
    return targets.classes[0], targets.scored


def test_best_map_by_hand() -> None:
    best = best_map(torch.tensor([[0.5, 0.9, 0.6, 0.6], [0.8, 0.1, 0.2, 0.3]]))
    assert best.which.tolist() == [1, 0]
    torch.testing.assert_close(best.accuracy, torch.tensor([0.9, 0.8]))


def test_a_pair_counts_as_aligned_above_null_and_constant() -> None:
    best, null = torch.tensor([0.62, 0.62, 0.58, 0.50]), torch.tensor([0.55, 0.63, 0.55, 0.55])
    assert aligned(best, null, 0.6).tolist() == [True, False, False, False]


def test_null_equals_a_slow_count() -> None:
    classes, scored = truth(12)
    moved = images(classes, BOARD)
    draws = NullOfMaximum(moved, scored, 5, torch.Generator().manual_seed(0))(classes)
    orders = torch.rand(5, 12, generator=torch.Generator().manual_seed(0)).argsort(1)
    for draw, order in zip(draws, orders, strict=True):
        best = 0.0
        for image in moved:
            right = total = 0
            for i, j in zip(order.tolist(), order.roll(1).tolist(), strict=True):
                both = scored[i] & scored[j]
                right += int((classes[i] == image[j])[both].sum())
                total += int(both.sum()) * 36
            best = max(best, right / total)
        assert abs(best - float(draw)) < 1e-5


def test_many_readings_at_once_are_each_by_itself() -> None:
    classes, scored = truth(12)
    null = NullOfMaximum(images(classes, BOARD), scored, 7, torch.Generator().manual_seed(0))
    other = classes.roll(3, 0)
    several = null(torch.stack([classes, other, other]).unflatten(0, (3, 1)))
    assert several.shape == (3, 1, 7)
    torch.testing.assert_close(several[0, 0], null(classes))
    torch.testing.assert_close(several[2, 0], null(other))


def test_unrelated_games_stay_below_the_null_and_true_readings_above() -> None:
    classes, scored = truth(100)
    moved = images(classes, BOARD)
    null = NullOfMaximum(moved, scored, 200, torch.Generator().manual_seed(0))(classes)
    assert 0.5 < float(null.mean()) < 0.56  # two unrelated games agree on .529 of the cells (protocol, section 4)
    assert float(null.quantile(0.95)) < 0.6
    assert float((classes == moved[0])[scored].double().mean()) == 1.0
    shuffled = classes.roll(1, 0)
    both = scored & scored.roll(1, 0)
    unrelated = max(float((shuffled == image)[both].double().mean()) for image in moved)
    assert unrelated < float(null.max()) + 0.02
