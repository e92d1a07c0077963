"""The loss of rows with hidden tokens, place by place: what masked objectives are compared with."""

from typing import Any

import torch
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch
from mothello.languages.language import PAD
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT


def check(objective: Any, model: GPT, batch: LabeledBatch, tokens: Tensor, targets: Tensor) -> None:
    """The batch is these tokens and targets, and its loss that of every row alone, without padding."""
    assert torch.equal(batch.text.tokens, tokens)
    assert torch.equal(batch.targets, targets)
    total = torch.tensor(0.0)
    for row, wanted in zip(tokens, targets, strict=True):
        length = int((row != PAD).sum())
        logits = model(Inputs(row[:length].unsqueeze(0))).logits[0]
        for place in (wanted != IGNORE).nonzero().flatten().tolist():
            total = total - logits[place].log_softmax(-1)[wanted[place]]
    loss = objective.loss(model, batch)
    torch.testing.assert_close(loss.sum, total, rtol=1e-4, atol=1e-3)
    assert int(loss.count) == int((targets != IGNORE).sum()) > 0
