"""The measure "gradients": the cosine of the gradients of two losses, layer by layer: of what a model was trained on,
on games in one language, and of realignment, on the same games in that language and another."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.config import DataConfig
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.tasks.objective import TaskObjective, read_head
from mothello.measures.tasks.task import TASKS, typed_task
from mothello.model.edited import Edited
from mothello.model.separate import up_to
from mothello.model.transformer import GPT, PROJECTION_HEAD
from mothello.objectives.objective import OBJECTIVES, Loss, Objective
from mothello.objectives.realign import Realign, RealignConfig, layers_of
from mothello.rows import Table, format_table
from mothello.rundir import RunDir
from mothello.seeding import generator
from mothello.training import checkpoint

Gradients = list[Float[Tensor, " parameter"]]
"""Of each layer's parameters, 0 the embeddings."""


@dataclass(kw_only=True)
class GradientsConfig(RealignConfig):
    """Realignment, and how many batches its gradient is compared on."""

    name: str = "gradients"
    games: int = ranged(16, low=1)
    """Games of a batch."""
    batches: int = ranged(16, low=2)
    """Batches; cosines are means over them."""
    shuffled: bool = True
    """Control: the same with links that are shuffled within each game."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over batches."""

    key: ClassVar[str] = "gradients."

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "gradients")

    def shrunk(self, share: float) -> "GradientsConfig":
        """The same on a share of the batches."""
        return replace(self, batches=max(2, round(self.batches * share)))


@MEASURES.register("gradients")
class GradientCosines:
    """Of every ordered pair of languages and every layer up to the highest that is realigned: the cosine of the
    gradient of the model's own loss (the task's, of a model that was fine-tuned on one) in the first language with that
    of realignment of both. Realignment reads the projection that the model was trained with, or a new one."""

    Config = GradientsConfig

    def __init__(self, config: GradientsConfig) -> None:
        self.config = config

    def check(self, subject: Subject) -> None:
        """UserError where nothing can be realigned, or the run's objective is not known."""
        if isinstance(subject.model, Edited) or subject.objective is None:
            raise UserError("measures: gradients are those of a run's own model")
        realign = Realign(self.config, key=self.config.key)
        realign.check(*self._games(subject), subject.language_set)
        realign.check_model(subject.model.config)

    def _games(self, subject: Subject) -> tuple[Sources, DataConfig]:
        config, n = self.config, self.config.games * self.config.batches
        data = DataConfig(games=n, batch_size=config.games, corpus_seed=subject.corpus_seed)
        games = corpus(subject.board, subject.corpus_seed, Split.probe, n)
        return Sources.shared(games, len(subject.names)), data

    def __call__(self, subject: Subject) -> Iterator[Row]:
        """Rows. UserError as of :meth:`check`."""
        self.check(subject)
        config, languages, (sources, data) = self.config, subject.language_set, self._games(subject)
        model, main = _trained(subject, Realign(config, key=config.key))
        stream = Stream(sources, languages, data, 0, subject.device)
        layers = range(max(layers_of(config.layers, model.config.n_layer)) + 1)
        parts = [_parameters(model, layer) for layer in layers]
        bootstrap = Bootstrap(config.batches, config.draws, generator(0, "bootstrap"))
        for pair in config.pairs(languages):
            names = [subject.names[index] for index in pair]
            found = self._cosines(model, main, stream, names, parts)
            for (control, source), cosines in found.items():
                (other,) = set(names) - {source}
                head: Row = {"measure": "gradients", "quantity": "gradient_cosine", "control": control}
                head |= {"source": source, "language": other, "n": config.batches}
                low, high = bootstrap(cosines, torch.ones(config.batches))
                for layer in layers:
                    if bool(cosines[layer].isfinite().all()):  # else one of the two losses does not read it
                        interval = {"low": float(low[layer]), "high": float(high[layer])}
                        yield head | {"layer": layer, "value": float(cosines[layer].mean())} | interval

    def _cosines(
        self, model: GPT, main: Objective, stream: Stream, names: list[str], parts: list[list[nn.Parameter]]
    ) -> Mapping[tuple[str, str], Float[Tensor, "layer batch"]]:
        """By control and language of the model's own loss. names: of two languages."""
        languages = stream.language_set
        links = {"trained": False} | ({"shuffled": True} if self.config.shuffled else {})
        both = {
            control: Realign(replace(self.config, languages=names, pivot="", shuffled=mixed))
            for control, mixed in links.items()
        }
        found: dict[tuple[str, str], list[Tensor]] = {(control, name): [] for control in both for name in names}
        for step in range(self.config.batches):
            pulls = {control: _gradients(model, one, one.batch(stream, step), parts) for control, one in both.items()}
            for name in names:
                spoken = stream.speaking(languages.index(name))
                own = _gradients(model, main, main.batch(spoken, step), parts)
                for control, pull in pulls.items():
                    found[control, name].append(torch.stack([_cosine(x, y) for x, y in zip(own, pull, strict=True)]))
        return {key: torch.stack(each, 1).cpu() for key, each in found.items()}

    def summary(self, rows: Table) -> str:
        """Per language and control: a column per layer."""
        table = {
            f"{source}, with {language}, {control}": dict(
                zip((f"layer {layer:.0f}" for layer in group.layer), group.value, strict=True)
            )
            for (source, language, control), group in rows.groupby(["source", "language", "control"], sort=False)
        }
        return f"cosine of the gradients of the model's own loss and of realignment\n{format_table(table)}"


def _parameters(model: GPT, layer: int) -> list[nn.Parameter]:
    """What a layer adds to those below it."""
    own = set(up_to(model, layer)) - set(up_to(model, layer - 1) if layer else [])
    return [parameter for name, parameter in model.named_parameters() if name in own]


def _gradients(model: GPT, objective: Objective, batch: Any, parts: list[list[nn.Parameter]]) -> Gradients:
    """Of a batch's mean loss, flat for each of the parts; zeros where a part is not read."""
    with torch.enable_grad():
        loss: Loss = objective.loss(model, batch)
        mean = loss.mean(loss.numbers()[1])
        flat = [parameter for part in parts for parameter in part]
        each = iter(torch.autograd.grad(mean, flat, allow_unused=True, materialize_grads=True))
    return [torch.cat([next(each).flatten() for _ in part]) for part in parts]


def _cosine(x: Float[Tensor, " parameter"], y: Float[Tensor, " parameter"]) -> Float[Tensor, ""]:
    """nan where one of them is zero."""
    return (x @ y / (x.norm() * y.norm())).double()


def _trained(subject: Subject, realign: Realign) -> tuple[GPT, Objective]:
    """A copy of the model with the heads that it was trained with, or a new projection, and what it was trained on."""
    model: Any = copy.deepcopy(subject.model).requires_grad_(True)
    content = subject.run.read_config() if subject.run else {}
    weights = _weights(subject.run, subject.step) if subject.run and subject.step else {}
    realign.add_head(model, subject.seed)
    if saved := {k.removeprefix(PROJECTION_HEAD): x for k, x in weights.items() if k.startswith(PROJECTION_HEAD)}:
        model.projection_head.load_state_dict(saved)
    main: Objective = OBJECTIVES.build(OBJECTIVES.typed(subject.objective, "objective"))
    if content.get("stage") == "task":
        settings = content["settings"]
        task, last = typed_task(settings["task"], "settings.task"), model.config.n_layer
        model.task_head = read_head(settings["task"], model.config.d_model, weights)
        main = TaskObjective(TASKS.build(task), last if settings["layer"] < 0 else settings["layer"])
    return model.to(subject.device).eval(), main


def _weights(folder: RunDir, step: int) -> dict[str, Tensor]:
    """All weights of a step's checkpoint, those of heads included. Of a kept step they are half-precision numbers."""
    return checkpoint.read(checkpoint.of_step(folder, step), weights_alone=True).weights
