"""Proves: the posterior of a hidden move is what counting through all 4x4 games finds, for uniform and preferring play, whole,
shown in part and cut games; on 6x6 and 8x8 what a slow engine finds, trying every square; a case worked by hand. Moves
are drawn evenly, and where the play is not known the possible moves still are."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from reference import mailbox
from torch import Tensor

from mothello.data.batch import Context
from mothello.data.corpus import Mixture, RandomPlay, Window
from mothello.data.enumerated import all_games, probabilities_of
from mothello.data.oracle import play_oracle
from mothello.data.split import Split, corpus
from mothello.measures.masked.posterior import Hidden, Posterior, draw_hidden, posterior
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.othello.policy import PolicyConfig

FOUR = Board.of(4)
PICKY = PolicyConfig(flips=0.7, corners=2.0)


def drawn(moves: Tensor, context: Context, per_game: int = 2) -> Hidden:
    return draw_hidden(moves, per_game, context, torch.Generator().manual_seed(3))


def some_games(n: int, board: Board = FOUR) -> Tensor:
    return corpus(board, 0, Split.probe, n).moves(torch.arange(n))


def counted(games: Tensor, weight: Tensor, moves: Tensor, hidden: Hidden) -> Tensor:
    """The posterior by going through all games and adding up those that agree with what is shown."""
    rows = []
    for game, ply, last in zip(hidden.game.tolist(), hidden.ply.tolist(), hidden.last.tolist(), strict=True):
        shown = torch.ones(games.shape[1], dtype=torch.bool)
        shown[ply] = False
        if last < int((moves[game] >= 0).sum()) - 1:
            shown[last + 1 :] = False
        agree = ((games == moves[game]) | ~shown).all(1) & (games[:, ply] >= 0)
        mass = torch.zeros(FOUR.n_moves, dtype=torch.float64)
        mass.index_add_(0, games[agree, ply].long(), weight[agree])
        rows.append(mass / mass.sum())
    return torch.stack(rows)


@pytest.mark.parametrize("context", Context)
@pytest.mark.parametrize("policy", [None, PICKY])
def test_on_4x4_it_is_what_all_games_say(context: Context, policy: PolicyConfig | None) -> None:
    games, uniform = all_games(FOUR)
    assert len(games) == 60060
    oracle = play_oracle(FOUR, policy=policy)
    weight = uniform if policy is None else probabilities_of(games, oracle)
    short = games[(games >= 0).sum(1) < 10]  # of a long one a single square is open
    moves = torch.cat([some_games(100), short[:: len(short) // 100]])
    hidden = drawn(moves, context)
    known = posterior(moves, hidden, FOUR, oracle)
    expected = counted(games, weight, moves, hidden)
    torch.testing.assert_close(known.p, expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(known.possible, expected > 0)
    assert float(expected.amax(1).min()) < 0.9  # something is unknown
    assert torch.equal(known.played, moves[hidden.game, hidden.ply].long())
    if policy is not None:  # control: the play matters
        other = posterior(moves, hidden, FOUR, play_oracle(FOUR))
        assert not torch.allclose(other.p, known.p, atol=0.01)


def test_games_that_are_cut_and_mixtures_of_them() -> None:
    """A source of whole games and one that stops after eight plies: a text of eight moves may be of either."""
    games, weight = all_games(FOUR)
    whole = RandomPlay(FOUR, 0, 400)
    cut = games.clone()
    cut[:, 8:] = -1
    early = Window(RandomPlay(FOUR, 0, 400), 0, 8)
    assert early.oracle is not None
    moves = early.moves(torch.arange(100))
    hidden = drawn(moves, Context.game)
    expected = counted(cut, weight, moves, hidden)
    torch.testing.assert_close(posterior(moves, hidden, FOUR, early.oracle).p, expected, rtol=1e-9, atol=1e-12)
    by_rules = posterior(moves, hidden, FOUR, play_oracle(FOUR)).p  # this play cannot stop there: it was cut
    torch.testing.assert_close(by_rules, expected, rtol=1e-9, atol=1e-12)
    both = Mixture([whole, early], [0.25, 0.75], 0, 400)
    moves = both.moves(torch.arange(100))
    assert both.oracle is not None
    hidden = drawn(moves, Context.game)
    every, weights = torch.cat([games, cut]), torch.cat([0.25 * weight, 0.75 * weight])
    expected = counted(every, weights, moves, hidden)
    torch.testing.assert_close(posterior(moves, hidden, FOUR, both.oracle).p, expected, rtol=1e-6, atol=1e-9)


def slowly(moves: Tensor, hidden: Hidden, board: Board) -> Tensor:
    """Every square of the board is tried, and the whole game replayed by the slow engine."""
    rows = []
    for game, ply, last in zip(hidden.game.tolist(), hidden.ply.tolist(), hidden.last.tolist(), strict=True):
        row = moves[game].numpy().astype(np.int64)
        ends = last == int((row >= 0).sum()) - 1
        row[last + 1 :] = -1
        over = bool(mailbox.replay(row[None], board.size).over[0, -1])
        weights = torch.zeros(board.n_moves, dtype=torch.float64)
        for move in range(board.n_moves):
            if move in np.delete(row, ply):
                continue
            tried = row.copy()
            tried[ply] = move
            try:
                played = mailbox.replay(tried[None], board.size)
            except ValueError:
                continue
            if ends and over and not played.over[0, -1]:
                continue
            counts = played.legal[0].sum((1, 2))[: last + 1]
            weights[move] = float(np.prod(1 / counts.astype(np.float64)))
        rows.append(weights / weights.sum())
    return torch.stack(rows)


@pytest.mark.parametrize("context", Context)
@pytest.mark.parametrize("size", [6, pytest.param(8, marks=pytest.mark.slow)])
def test_on_larger_boards_it_is_what_a_slow_engine_says(size: int, context: Context) -> None:
    board = Board.of(size)
    moves = some_games(3 if size == 8 else 8, board)
    hidden = drawn(moves, context, 1)
    known = posterior(moves, hidden, board, play_oracle(board))
    expected = slowly(moves, hidden, board)
    torch.testing.assert_close(known.p, expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(known.possible, expected > 0)
    assert context is Context.game or float((expected > 0).sum(1).max()) > 1


def hide(text: str, ply: int, board: Board) -> Posterior:
    moves = parse_game(text, board)
    row = torch.full((1, board.n_moves), -1, dtype=torch.int8)
    row[0, : len(moves)] = torch.tensor(moves)
    game, at, last = (torch.tensor([x]) for x in (0, ply, len(moves) - 1))
    return posterior(row, Hidden(game, at, last, torch.tensor([0.5])), board, play_oracle(board))


def test_a_case_worked_by_hand() -> None:
    """Black opens d3, c4, f5 or e6. White may answer c3, c5 or e3 after d3 as after c4, and none of them after the others."""
    board = Board.of(8)
    found = hide("d3 c3", 0, board)
    first = parse_game("d3", board)[0], parse_game("c4", board)[0]
    assert found.p[0].nonzero().flatten().tolist() == sorted(first)
    assert found.p[0, list(first)].tolist() == pytest.approx([0.5, 0.5])
    assert int(found.open.sum()) == board.n_moves - 1  # c3 is taken
    second = hide("d3 c3", 1, board)  # nothing follows: the legal answers
    assert second.p[0][second.possible[0]].tolist() == pytest.approx([1 / 3] * 3)


def test_where_the_play_is_not_known_the_possible_moves_are() -> None:
    moves = some_games(20)
    hidden = drawn(moves, Context.prefix)
    unknown = posterior(moves, hidden, FOUR, None)
    assert torch.equal(unknown.possible, posterior(moves, hidden, FOUR, play_oracle(FOUR)).possible)
    assert bool(unknown.p.isnan().all())


def test_moves_are_drawn_evenly() -> None:
    moves = some_games(3000)
    lengths = (moves >= 0).sum(1)
    whole, part = (drawn(moves, context) for context in Context)
    assert bool((whole.last == lengths[whole.game] - 1).all())
    assert bool((whole.ply <= whole.last).all())
    assert bool((part.ply < part.last).all())
    assert bool((part.last < lengths[part.game] - 1).all())
    shares = whole.ply.bincount(minlength=12)[:8].double() / len(whole.ply)
    assert float((shares * 12 - 1).abs().max()) < 0.2
    pairs = torch.stack([part.ply, part.last]).unique(dim=1).T.tolist()
    assert [[a, b] for a in range(11) for b in range(a + 1, 11)] == pairs
    assert all(a <= b for a, b in pairwise(whole.game.tolist()))
