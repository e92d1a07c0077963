"""Legality on a fixed set of games: strict top-1, probability on legal moves, and what goes wrong otherwise."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import Batch, in_language
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.measures.legality.exact import legal_mass, next_moves
from mothello.measures.legality.greedy import first_logits, greedy_moves
from mothello.model.edited import Model
from mothello.othello.bits import popcount
from mothello.othello.replay import replay, squares_to_moves
from mothello.othello.rules import legal_moves


class Rules(NamedTuple):
    """What the rules say after each ply t of a batch of games (entry t follows move t)."""

    scored: Bool[Tensor, "game ply"]
    """A move follows in the game; after the last one nothing is scored."""
    strict: Bool[Tensor, "game ply move"]
    """Legal for the side to move, passes applied."""
    lenient: Bool[Tensor, "game ply move"]
    """Legal for either color: the criterion of the published code, for comparison only."""
    chance: Float[Tensor, "game ply"]
    """Probability that a random empty square is legal."""


def rules(moves: Int8[Tensor, "game ply"], language_set: LanguageSet) -> Rules:
    """Replay games: the moves that may follow each ply. AssertionError for games that break the rules."""
    board = language_set.board
    states = replay(moves, board)
    assert bool((states.illegal_at < 0).all()), "the games to score are not legal themselves"
    black, white, legal = (field[:, 1:-1] for field in (states.black, states.white, states.legal))
    either = legal_moves(black, white, board) | legal_moves(white, black, board)
    empty = popcount(~(black | white) & board.full)
    return Rules(
        moves[:, 1:] >= 0,
        squares_to_moves(legal, board),
        squares_to_moves(either, board),
        popcount(legal) / empty.clamp(min=1),
    )


def _mass_first_token(greedy_p: Tensor, strict: Tensor, language_set: LanguageSet, language: int) -> Tensor:
    """Probability on tokens that begin a legal move (on legal moves themselves where a word is one token)."""
    if language_set.output is OutputVocabulary.unified:
        return (greedy_p * strict).sum(-1)
    speaker = language_set.languages[language]
    first = language_set.word_table[language, : len(speaker.words), 0].to(greedy_p.device)
    strict = strict.repeat(1, 1, speaker.traits.n_forms) & (speaker.lengths > 0).to(strict.device)
    if speaker.max_word == 1:
        return (greedy_p[..., first] * strict).sum(-1)
    begins = torch.zeros_like(greedy_p)
    begins.scatter_reduce_(-1, first.expand(strict.shape), strict.to(greedy_p.dtype), reduce="amax")
    return (greedy_p * begins).sum(-1)


class Counts(NamedTuple):
    """One number per game, ply and column; zeros where nothing is scored."""

    columns: dict[str, Float[Tensor, "game ply"]]
    scored: Bool[Tensor, "game ply"]

    def mean(self, column: str) -> float:
        """Over scored plies."""
        return float(self.columns[column].sum() / self.scored.sum())

    def by_ply(self, column: str) -> list[float | None]:
        """The mean after every ply, None where no game goes on."""
        values = (self.columns[column].sum(0) / self.scored.sum(0)).tolist()
        return [value if value == value else None for value in values]


def is_legal(move: Int64[Tensor, "game ply"], allowed: Bool[Tensor, "game ply move"]) -> Bool[Tensor, "game ply"]:
    """Whether a move is one of those allowed; -1 is none."""
    return (move >= 0) & allowed.gather(-1, move.clamp(min=0).unsqueeze(-1)).squeeze(-1)


def _count(model: Model, batch: Batch, truth: Rules, language_set: LanguageSet, language: int, exact: bool) -> Counts:
    first = first_logits(model, batch)
    full = greedy_moves(model, batch, language_set, language, first=first)
    restricted = greedy_moves(model, batch, language_set, language, among=language, first=first)
    columns = {
        "top1": is_legal(full.move, truth.strict),
        "top1_restricted": is_legal(restricted.move, truth.strict),
        "lenient": is_legal(full.move, truth.lenient),
        "wrong_language": full.wrong_language,
        "malformed": full.malformed,
        "chance": truth.chance,
    }
    if exact:
        following = next_moves(model, batch, language_set, language)
        columns["mass"] = legal_mass(following.full, truth.strict)
        columns["mass_own_tokens"] = legal_mass(following.restricted, truth.strict)
        columns["mass_any_move"] = following.full.exp().sum(-1)
    else:
        one_token = language_set.output is OutputVocabulary.unified or language_set.languages[language].max_word == 1
        name = "mass" if one_token else "mass_first_token"
        columns[name] = _mass_first_token(full.probabilities, truth.strict, language_set, language)
    return Counts({name: value.double() * truth.scored for name, value in columns.items()}, truth.scored)


def count_legality(
    model: Model, moves: Int8[Tensor, "game ply"], language_set: LanguageSet, language: int, games_at_once: int = 64,
    exact: bool = False, truth: Rules | None = None,
) -> Counts:  # fmt: skip
    """Legality of the next move after every ply of the games, written in one language; eval mode, no gradients.

    Columns: top1 (strict, greedy decoding of the whole move), top1_restricted (tokens of the language only), lenient
    (either color), wrong_language, malformed, chance (a random empty square), and mass (mass_first_token where words
    have several tokens). exact: mass by the chain rule for every kind of language, mass_own_tokens, and mass_any_move
    (on moves of the language, legal or not); a pass of the model per few inner nodes of the tree of words. truth: the
    :func:`rules` of the games where they are known.
    """
    assert not model.training, "legality is measured in eval mode"
    truth = rules(moves, language_set) if truth is None else truth
    with torch.inference_mode():
        parts = []
        for at in range(0, len(moves), games_at_once):
            some = slice(at, at + games_at_once)
            known = Rules(*(field[some] for field in truth))
            parts.append(
                _count(model, in_language(moves[some], language, language_set), known, language_set, language, exact)
            )
    names = parts[0].columns
    columns = {name: torch.cat([part.columns[name] for part in parts]) for name in names}
    return Counts(columns, torch.cat([part.scored for part in parts]))


def legality(
    model: Model, moves: Int8[Tensor, "game ply"], language_set: LanguageSet, language: int, games_at_once: int = 64,
    truth: Rules | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The columns of :func:`count_legality` as means over scored plies, in 0..1, with the standard error of top1 over
    games and top1_by_ply, a list with None where nothing is scored."""
    counts = count_legality(model, moves, language_set, language, games_at_once, truth=truth)
    result: dict[str, Any] = {name: counts.mean(name) for name in counts.columns}
    plies = counts.scored.sum(1)
    residual = counts.columns["top1"].sum(1) - result["top1"] * plies
    result["top1_standard_error"] = float(residual.std() / plies.double().mean() / len(moves) ** 0.5)
    result["top1_by_ply"] = counts.by_ply("top1")
    return result
