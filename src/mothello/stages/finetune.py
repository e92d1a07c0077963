"""Fine-tuning on one language: the same loop on games that are all written in it."""

import torch

from mothello.data.batch import Batch, make_batch
from mothello.data.stream import Stream
from mothello.model.transformer import GPT
from mothello.training.loop import Plan, Progress, train


def finetune(model: GPT, stream: Stream, language: int, plan: Plan) -> Progress:
    """Train on the stream's games in one language; the plan's evaluation watches every language."""

    def batch_of(step: int) -> Batch:
        games = stream.games(step)
        return make_batch(games.moves, torch.full_like(games.language, language), stream.family, games.first_scored)

    return train(model, batch_of, plan)
