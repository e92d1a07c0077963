"""The loss of objectives that predict a class at some places of a text, and what the prediction is among."""

from enum import StrEnum

import torch
import torch.nn.functional as F

from mothello.data.batch import IGNORE, LabeledBatch
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT
from mothello.objectives.objective import Loss


class Softmax(StrEnum):
    """All tokens, or those of the language that the game is written in."""

    all = "all"
    language = "language"


def check_softmax(softmax: Softmax, language_set: LanguageSet) -> None:
    """UserError where a softmax over the language's tokens is what it is anyway."""
    if softmax is Softmax.language:
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


def cross_entropy(model: GPT, batch: LabeledBatch) -> Loss:
    """In nats, over the places that have a target. All places are computed: of a causal row the last one never has a
    target, but rows of 32 take a CPU a tenth less time than rows of 31."""
    logits = model(Inputs.of(batch.text)).logits.float().flatten(0, 1)
    if batch.classes is not None:
        others = ~batch.classes.repeat_interleave(batch.targets.shape[1], 0)
        logits = logits.masked_fill(others, torch.finfo(logits.dtype).min)
    if batch.expected is not None:
        total = F.cross_entropy(logits, batch.expected.flatten(0, 1), reduction="sum")
    else:
        total = F.cross_entropy(logits, batch.targets.flatten(), ignore_index=IGNORE, reduction="sum")
    return Loss(total, (batch.targets != IGNORE).sum())
