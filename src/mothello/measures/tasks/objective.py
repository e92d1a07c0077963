"""The loss of a model that is fine-tuned on a task: its labels, read by the model's task head."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mothello.data.batch import IGNORE, Batch
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states_of_layer
from mothello.measures.tasks.heads import TaskHead
from mothello.measures.tasks.task import TASKS, Labels, Task, labels_of, typed_task
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT, TASK_HEAD
from mothello.objectives.objective import Loss, Part


class TaskBatch(NamedTuple):
    """Games and their labels."""

    text: Batch
    labels: Mapping[str, Labels]

    @property
    def targets(self) -> Tensor:
        """The classes, IGNORE where there is none."""
        return _known(self.labels["class"])


def _known(labels: Labels) -> Tensor:
    return torch.where(labels >= 0, labels.long(), IGNORE)


class TaskObjective:
    """Cross-entropy of a task's labels, read by the model's task head from the states of one layer."""

    attention: AttentionMask | None = None

    def __init__(self, task: Task, layer: int) -> None:
        self.task, self.layer = task, layer

    def check(self, games: Sources, data: DataConfig, language_set: LanguageSet) -> None:
        """Any games will do."""

    def batch(self, stream: Stream, step: int) -> TaskBatch:
        """The stream's games."""
        label = partial(labels_of, self.task, board=stream.language_set.board)
        return TaskBatch(stream.batch(step), stream.labels(step, label))

    def counts(self, batch: TaskBatch) -> dict[str, Tensor]:
        """Of the loss: of its classes, and of its pointers."""
        counts = {name: (_known(labels) != IGNORE).sum() for name, labels in batch.labels.items()}
        return {"": counts.pop("class"), **counts}

    def loss(self, model: GPT, batch: TaskBatch) -> Loss:
        """In nats per class, and per pointer."""
        assert model.task_head is not None
        logits = model.task_head(states_of_layer(model, batch.text, self.layer))
        parts = {}
        for name, labels in batch.labels.items():
            known = _known(labels)
            total = F.cross_entropy(logits[name].flatten(0, 1), known.flatten(), ignore_index=IGNORE, reduction="sum")
            parts[name] = Part(total, (known != IGNORE).sum(), 1.0)
        main = parts.pop("class")
        return Loss(main.sum, main.count, parts)

    def floor(
        self, batch: Any, language_set: LanguageSet, oracles: Sequence[Any], weights: Sequence[float] | None
    ) -> None:
        """Not known."""


def read_head(task: Any, d_model: int, weights: Mapping[str, Tensor]) -> TaskHead:
    """The head of a task among the weights of a checkpoint. task: the settings in its config.yaml."""
    head = TaskHead(TASKS.build(typed_task(task, "settings.task")), d_model)
    head.load_state_dict({k.removeprefix(TASK_HEAD): x for k, x in weights.items() if k.startswith(TASK_HEAD)})
    return head
