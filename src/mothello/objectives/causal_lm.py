"""Causal language modeling: predict the next token, or the next move where the output vocabulary is unified.

The corpus knows what every move was drawn from, so the next token that was drawn can be replaced by its distribution,
given the game so far and the language (``targets=expected``). Summed over a batch, the loss and its gradient keep their
expectations, and their variance is several times lower: a game then says all that may follow each of its positions, and
skill comes with several times fewer games. Alignment need not come sooner: an optimizer's steps are not linear in the
gradient, so when languages align, and through which map, may differ. Studies of alignment keep sampled targets unless
they say otherwise, and no table mixes the two.

The mean over a batch's tokens divides by a number that depends on the sampled games: a bias of order 1 / tokens, which
both targets have. Over several passes of few games, expected targets are another objective: nothing is memorized.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.data.batch import IGNORE, Batch, LabeledBatch
from mothello.data.code_switching import Label
from mothello.data.config import DataConfig
from mothello.data.expected import expected_targets
from mothello.data.floor import Floor, floor, unknown
from mothello.data.language_sampling import Pairing
from mothello.data.oracle import Oracle
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT
from mothello.objectives.cross_entropy import Softmax, check_softmax, cross_entropy, halves, predicted_among, scored
from mothello.objectives.objective import OBJECTIVES, Loss


def next_token_targets(tokens: Int64[Tensor, "game token"]) -> Int64[Tensor, "game token"]:
    """The token that follows; no end of sequence is predicted."""
    following = torch.cat([tokens[:, 1:], torch.full_like(tokens[:, :1], PAD)], 1)
    return torch.where(following == PAD, IGNORE, following)


def next_move_targets(
    moves: Int8[Tensor, "game ply"], move_ends: Int64[Tensor, "game ply"], width: int
) -> Int64[Tensor, "game token"]:
    """The next move's index at the last token of each move (unified output); nothing elsewhere."""
    following = torch.cat([moves[:, 1:], torch.full_like(moves[:, :1], -1)], 1).long()
    scored = (move_ends >= 0) & (following >= 0)
    targets = torch.full((len(moves), width + 1), IGNORE, device=moves.device)
    targets.scatter_(1, torch.where(scored, move_ends, width), torch.where(scored, following, IGNORE))
    return targets[:, :-1]


def _from_ply(
    targets: Int64[Tensor, "game token"], move_ends: Int64[Tensor, "game ply"], first_scored: Int64[Tensor, " game"]
) -> Int64[Tensor, "game token"]:
    """Drop the targets of plies before the first scored one: they stand before the end of the ply that precedes it."""
    width = targets.shape[1]
    end = move_ends.gather(1, (first_scored - 1).clamp(min=0).unsqueeze(1))
    start = torch.where(first_scored.unsqueeze(1) > 0, torch.where(end < 0, width, end), 0)
    return torch.where(torch.arange(width, device=targets.device) < start, IGNORE, targets)


def label(batch: Batch, language_set: LanguageSet) -> LabeledBatch:
    """The batch with what to predict after every token."""
    if language_set.output is OutputVocabulary.unified:
        targets = next_move_targets(batch.moves, batch.move_ends, batch.tokens.shape[1])
        if batch.switched is not None:
            targets = torch.where(next_token_targets(batch.labels) == IGNORE, IGNORE, targets)
    else:
        targets = next_token_targets(batch.labels)
    second = None if batch.second_labels is None else next_token_targets(batch.second_labels)
    targets = _from_ply(targets, batch.move_ends, batch.first_scored)
    return LabeledBatch(batch, targets, halves(targets, second, language_set.output_size))


class Targets(StrEnum):
    sampled = "sampled"
    expected = "expected"


@OBJECTIVES.register("causal_lm")
class CausalLM:
    """Cross-entropy of what follows."""

    @dataclass(kw_only=True)
    class Config:
        """The languages' output vocabulary decides what follows."""

        name: str = "causal_lm"
        targets: Targets = Targets.sampled
        """sampled: what follows in the game. expected: the distribution that it was drawn from, which the corpus
        must know."""
        softmax: Softmax = Softmax.all
        """What the next token is predicted among: all tokens, or those of the language that the game is written in.
        With the latter, training on one language does not push the tokens of the others down."""

    attention = AttentionMask.causal

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """UserError where expected targets are asked for and not known, a softmax that is what it is anyway, or a
        language whose text so far does not fix the board."""
        language_set.require_board("objective: causal_lm")
        check_softmax(self.config.softmax, language_set, data)
        if self.config.targets is Targets.sampled:
            return
        key = "objective.targets: expected"
        if any(corpus.oracle is None for corpus in games.corpora):
            raise UserError(f"{key}: stored games do not tell what their moves were drawn from; choose sampled")
        if data.language_sampling.pairing is Pairing.disjoint:
            why = "would tell a language what follows in games that only the others hold"
            raise UserError(f"{key}: with data.language_sampling.pairing=disjoint it {why}; choose sampled")
        if data.code_switching.probability and data.code_switching.label is not Label.original:
            why = "it is known in the game's own language alone; set data.code_switching.label=original"
            raise UserError(f"{key}: of words that are switched {why}, or choose sampled")

    def batch(self, stream: Stream, step: int) -> LabeledBatch:
        """The stream's games."""
        languages = stream.language_set
        labeled = predicted_among(label(stream.batch(step), languages), self.config.softmax, languages)
        if self.config.targets is Targets.expected:
            labeled = labeled._replace(expected=expected_targets(labeled, stream.law(step), languages))
        return labeled

    def counts(self, batch: LabeledBatch) -> dict[str, Int64[Tensor, ""]]:
        """Of the loss."""
        return scored(batch)

    def loss(self, model: GPT, batch: LabeledBatch) -> Loss:
        """In nats, over the places that have a target."""
        return cross_entropy(model, batch)

    def floor(
        self,
        batch: LabeledBatch,
        language_set: LanguageSet,
        oracles: Sequence[Oracle],
        weights: Sequence[float] | None = None,
    ) -> Floor:
        """The entropy of what follows, given the text so far; unknown where that does not fix the board."""
        if not language_set.prefix_fixes_board:
            return unknown(f"the text so far does not fix the board ({language_set.board_hidden_by})")
        return floor(batch, language_set, oracles, weights)
