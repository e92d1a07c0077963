"""Fine-tuning on one language: the same loop on games that are all written in it."""

from mothello.data.stream import Stream
from mothello.model.transformer import GPT
from mothello.training.loop import Plan, Progress, train


def finetune(model: GPT, stream: Stream, language: int, plan: Plan) -> Progress:
    """Train on the stream's games in one language; the plan's evaluation watches every language."""
    return train(model, stream.speaking(language).batch, plan)
