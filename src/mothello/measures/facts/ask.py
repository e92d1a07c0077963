"""A model is asked for the move of a fact after its opening, and after the opening's images for the move's image."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8, Int64
from torch import Tensor

from mothello.data.batch import in_language
from mothello.measures.legality.exact import move_probabilities
from mothello.measures.measure import Subject
from mothello.othello.bits import popcount
from mothello.othello.board import Board
from mothello.othello.facts import FactsConfig, facts
from mothello.othello.replay import replay
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.training.device import autocast

SORTS = ("taught", "untaught")
"""The facts that are taught, and those that are left alone."""
_AT_ONCE = 1024
"""Openings in one pass of the model."""


class Questions(NamedTuple):
    """Facts of both sorts under every map of the opening."""

    openings: Int8[Tensor, "map sort fact ply"]
    moves: Int64[Tensor, "map sort fact"]
    chance: Float[Tensor, "sort fact"]
    """Of the move among all legal ones; no map changes it."""

    @staticmethod
    def of(board: Board, config: FactsConfig) -> "Questions":
        """UserError where there are not so many facts."""
        both = facts(board, config)
        openings, moves = (
            torch.tensor(part) for part in zip(*((one.openings, one.moves) for one in both), strict=True)
        )
        images = torch.tensor([move_map(board, name) for name in OPENING_MAPS])
        legal = replay(openings.flatten(0, 1), board).legal[:, -1].view(moves.shape)
        return Questions(images[:, openings].to(torch.int8), images[:, moves], 1 / popcount(legal).double())


class Answers(NamedTuple):
    """What a model says after each opening."""

    probability: Float[Tensor, "map sort fact"]
    """Of the fact's move, by the chain rule over its tokens."""
    top1: Bool[Tensor, "map sort fact"]
    """Whether it is the likeliest of all moves, legal or not, every token chosen among the language's own."""


def ask(subject: Subject, language: int, questions: Questions) -> Answers:
    """Exact, in one language. The model is causal, and its text fixes the board."""
    openings = questions.openings.to(subject.device)
    answers = [_answer(subject, language, some) for some in openings.flatten(0, -2).split(_AT_ONCE)]
    likely, restricted = (torch.cat(part).view(*questions.moves.shape, -1) for part in zip(*answers, strict=True))
    asked = questions.moves.unsqueeze(-1)
    return Answers(likely.gather(-1, asked).squeeze(-1), restricted.argmax(-1) == questions.moves)


def _answer(
    subject: Subject, language: int, openings: Int8[Tensor, "opening ply"]
) -> tuple[Float[Tensor, "opening move"], Float[Tensor, "opening move"]]:
    """Probabilities of what follows over the whole vocabulary, and over the language's own, on the CPU."""
    languages, batch = subject.language_set, in_language(openings, language, subject.language_set)
    ends = batch.move_ends[:, -1:]
    tokens = batch.tokens[:, : int(ends.max()) + 1]
    with torch.inference_mode(), autocast(tokens.device, subject.precision):
        found = move_probabilities(subject.model, tokens, ends, languages, language, languages.max_tokens)
    return found.full[:, 0].exp().cpu(), found.restricted[:, 0].exp().cpu()
