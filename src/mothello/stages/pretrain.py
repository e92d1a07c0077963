"""Pretraining on the mixture of all languages of a family."""

from mothello.data.stream import Stream
from mothello.model.transformer import GPT
from mothello.training.loop import Plan, Progress, train


def pretrain(model: GPT, stream: Stream, plan: Plan) -> Progress:
    """Train on the stream's batches, each game in a language drawn for it."""
    return train(model, stream.batch, plan)
