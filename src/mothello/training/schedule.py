"""Learning rate as a pure function of the step."""

import math

from mothello.training.optimizer import OptimizerConfig


def lr_scale(step: int, steps: int, config: OptimizerConfig) -> float:
    """Share of the peak learning rate at ``step`` (0 .. steps - 1): linear rise, then decay to ``final_lr_fraction``.

    The warm-up never exceeds the run: it is a share of it.
    """
    warmup = max(1, round(config.warmup_fraction * steps))
    if config.decay == "mingpt":
        cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
        return step / warmup or 1.0 if step < warmup else max(config.final_lr_fraction, cosine)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    if config.decay == "constant":
        return 1.0
    left = 0.5 * (1 + math.cos(math.pi * done)) if config.decay == "cosine" else 1 - done
    return config.final_lr_fraction + (1 - config.final_lr_fraction) * left
