"""The loss of objectives that predict a class at some places of a text, and what the prediction is among."""

from enum import StrEnum

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch
from mothello.data.config import DataConfig
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT
from mothello.objectives.objective import Loss


class Softmax(StrEnum):
    """All tokens, or those of the language that the game is written in."""

    all = "all"
    language = "language"


def check_softmax(softmax: Softmax, language_set: LanguageSet, data: DataConfig) -> None:
    """UserError where a softmax over the language's tokens is what it is anyway, or leaves targets out."""
    if softmax is Softmax.language:
        if data.code_switching.predicts_foreign:
            why = "words of other languages are predicted with this data.code_switching.label"
            raise UserError(f"objective.softmax: {why}; choose label=original or none, or leave it out")
        if language_set.output is OutputVocabulary.unified:
            raise UserError("objective.softmax: has no effect with a unified output vocabulary; leave it out")
        if len(language_set.languages) == 1:
            raise UserError("objective.softmax: has no effect with one language; leave it out")


def predicted_among(labeled: LabeledBatch, softmax: Softmax, language_set: LanguageSet) -> LabeledBatch:
    """The batch with what the predictions of each game are among."""
    if softmax is Softmax.all:
        return labeled
    own = language_set.table("own_table", labeled.targets.device)
    return labeled._replace(classes=own[labeled.text.language])


def halves(
    targets: Int64[Tensor, "game token"], second: Int64[Tensor, "game token"] | None, n_classes: int
) -> Float[Tensor, "game token class"] | None:
    """Two targets of each scored place, as a distribution; None where there is no second one."""
    if second is None:
        return None
    scored = targets != IGNORE
    both = (F.one_hot(torch.where(scored, one, 0), n_classes) for one in (targets, second))
    return sum(both) / 2 * scored.unsqueeze(-1)


def loss_of(
    logits: Float[Tensor, "game token class"],
    targets: Int64[Tensor, "game token"],
    expected: Float[Tensor, "game token class"] | None = None,
    classes: Bool[Tensor, "game class"] | None = None,
) -> Loss:
    """In nats, over the places that have a target. expected, classes: of a LabeledBatch."""
    rows = logits.float().flatten(0, 1)
    if classes is not None:
        rows = rows.masked_fill(~classes.repeat_interleave(targets.shape[1], 0), torch.finfo(rows.dtype).min)
    if expected is not None:
        total = F.cross_entropy(rows, expected.flatten(0, 1), reduction="sum")
    else:
        total = F.cross_entropy(rows, targets.flatten(), ignore_index=IGNORE, reduction="sum")
    return Loss(total, (targets != IGNORE).sum())


def scored(batch: LabeledBatch) -> dict[str, Int64[Tensor, ""]]:
    """How many places have a target: what the loss counts."""
    return {"": (batch.targets != IGNORE).sum()}


def cross_entropy(model: GPT, batch: LabeledBatch) -> Loss:
    """In nats, over the places that have a target. All places are computed: of a causal row the last one never has a
    target, but rows of 32 take a CPU a tenth less time than rows of 31."""
    return loss_of(model(Inputs.of(batch.text)).logits, batch.targets, batch.expected, batch.classes)
