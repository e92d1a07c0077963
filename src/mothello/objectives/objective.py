"""What an objective is: batch -> mean loss over the scored positions. One file and one registry line each."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from mothello.data.batch import Batch
from mothello.model.transformer import GPT
from mothello.objectives.causal_lm import causal_lm

Objective = Callable[[GPT, Batch], Float[Tensor, ""]]

OBJECTIVES: dict[str, Objective] = {"causal_lm": causal_lm}


def objective(name: str) -> Objective:
    """The objective of that name. ValueError lists the names."""
    if name not in OBJECTIVES:
        raise ValueError(f"objective: {name!r} is not one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]
