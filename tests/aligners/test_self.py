"""Proves: links by states are those of a slow reading of the definition, with a case worked by hand; planted states are linked
as they were planted, whatever their order; ties and words after the end have no link. Control: unrelated states are linked as
chance has it."""

from math import exp
from typing import Any

import pytest
import torch
from aligners.made import aligner, games, languages, sides
from torch import Tensor

from mothello.errors import UserError

LANGUAGES = languages()


def links(one: Tensor, other: Tensor, moves: Tensor, **more: Any) -> Tensor:
    first, second = sides(moves, LANGUAGES)
    return aligner("self", LANGUAGES, **more).links(first._replace(states=one), second._replace(states=other))


def noise(moves: Tensor, seed: int, d: int = 32) -> Tensor:
    return torch.randn(*moves.shape, d, generator=torch.Generator().manual_seed(seed))


def slowly(one: Tensor, other: Tensor, moves: Tensor, temperature: float, threshold: float) -> Tensor:
    found = torch.zeros(len(moves), moves.shape[1], moves.shape[1], dtype=torch.bool)
    for row in range(len(moves)):
        n = int((moves[row] >= 0).sum())
        weight = [
            [exp(float(torch.cosine_similarity(one[row, i], other[row, j], 0)) / temperature) for j in range(n)]
            for i in range(n)
        ]
        rows, columns = [sum(line) for line in weight], [sum(line) for line in zip(*weight, strict=True)]
        score = [[weight[i][j] ** 2 / rows[i] / columns[j] for j in range(n)] for i in range(n)]
        for i in range(n):
            for j in range(n):
                rivals = [score[i][k] for k in range(n) if k != j] + [score[k][j] for k in range(n) if k != i]
                found[row, i, j] = score[i][j] > max([threshold, *rivals])
    return found


def test_links_are_those_of_the_definition() -> None:
    moves = games(8)
    one, other = noise(moves, 0, 4), noise(moves, 0, 4) + noise(moves, 1, 4)
    for temperature, threshold in ((0.1, 1e-3), (0.5, 0.05)):
        found = links(one, other, moves, temperature=temperature, threshold=threshold)
        assert torch.equal(found, slowly(one, other, moves, temperature, threshold))
        assert bool(found.any())


def test_planted_states_are_linked_as_planted() -> None:
    moves = games(60)
    one, gold = noise(moves, 0), torch.diag_embed(moves >= 0)
    assert torch.equal(links(one, 3 * one, moves), gold)  # the cosine knows no length
    other = torch.where((moves >= 0).unsqueeze(-1), one.roll(1, 1), one)
    last = int((moves >= 0).sum(1).min())
    found = links(one, other, moves)
    assert bool(found[:, range(last - 1), range(1, last)].all())
    assert not bool((found & gold).any())


def test_unrelated_states_are_linked_as_chance_has_it() -> None:
    moves = games(400)
    found = links(noise(moves, 0), noise(moves, 1), moves)
    precision = float((found & torch.diag_embed(moves >= 0)).sum() / found.sum())
    chance = len(moves) / float((moves >= 0).sum())
    assert precision == pytest.approx(chance, abs=0.03)


def test_ties_and_what_is_after_the_end_have_no_link() -> None:
    moves = games(60)
    assert not bool(links(torch.ones(*moves.shape, 3), torch.ones(*moves.shape, 3), moves).any())
    one = noise(moves, 0)
    found = links(one, one, moves)
    assert not bool(found[moves < 0].any())
    assert not bool(found.transpose(1, 2)[moves < 0].any())


def test_the_threshold_by_hand() -> None:
    """Two words, cosine 1 with their own and 0 with the other: with temperature 1 the score is (e / (e + 1))^2 = .534."""
    moves = torch.full((1, 12), -1, dtype=torch.int8)
    moves[0, :2] = games(1)[0, :2]
    states = torch.zeros(1, 12, 2)
    states[0, :2] = torch.eye(2)
    assert int(links(states, states, moves, temperature=1.0, threshold=0.53).sum()) == 2
    assert int(links(states, states, moves, temperature=1.0, threshold=0.54).sum()) == 0


def test_a_mistake_is_one_line() -> None:
    for settings, line in (
        ({"temperature": 0.0}, "temperature: 0.0 is not positive"),
        ({"threshold": 2.0}, "threshold: 2.0 is outside 0..1|threshold: 2.0 is outside"),
        ({"layer": -2}, "layer: -2 is below -1"),
    ):
        with pytest.raises(UserError, match=rf"^links\.options\.{line}"):
            aligner("self", LANGUAGES, **settings)
