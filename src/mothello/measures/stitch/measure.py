"""The measure "stitch": do the upper blocks of one model go on from the states of another?"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

import torch
from jaxtyping import Float, Int8
from torch import Tensor
from tqdm import tqdm

from mothello.config import check, ranged
from mothello.data.split import probe_corpus
from mothello.errors import UserError
from mothello.measures.alignment.measure import image_states
from mothello.measures.alignment.procrustes import fit_rotation
from mothello.measures.legality.estimate import Rules, count_legality, rules
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.measure import probes_of, scored_moves
from mothello.measures.stitch.readers import HeldOut, Readers, tasks_of
from mothello.measures.stitch.stitched import Bridge, Stitched, one_token_a_move
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table, format_table
from mothello.training.device import autocast

LEGALITY = ("top1", "mass")


class Map(StrEnum):
    """What is between the models: the orthogonal map and scale with the least squared error, or nothing."""

    orthogonal = "orthogonal"
    none = "none"


@dataclass(kw_only=True)
class StitchConfig:
    """How two models are stitched and what of them is measured."""

    name: str = "stitch"
    map: Map = Map.orthogonal
    """Between the models: orthogonal (with a scale and the means, fitted on states of the same games in both), or none,
    which needs models of one width."""
    games: int = ranged(400, low=2)
    """Games that maps, and heads of tasks, are fitted on."""
    languages: int = ranged(2, low=1)
    """How many of the languages are stitched, of each run from the first on. The run's must be of one token a move."""
    tasks: list[str] = field(default_factory=lambda: ["flips", "region"])
    """Tasks whose heads, fitted on the run's states, read the stitched model's."""
    random_weights: bool = True
    """Control: the lower blocks with random weights."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    """Probes of both runs, by default those of the measure "probes" of the same command, and the games to score on.
    They are read from its folder where they were kept, else fitted."""

    def __post_init__(self) -> None:
        check(self, "stitch")
        tasks_of(self.tasks)

    def shrunk(self, share: float) -> "StitchConfig":
        """The same on a share of the games."""
        probes = self.probes.shrunk(share)
        return replace(self, games=max(2, min(round(self.games * share), probes.sizes[0])), probes=probes)


class Pair(NamedTuple):
    """A language of the other run, which the lower blocks read, and one of the run, in which the upper ones go on."""

    source: int
    language: int


@MEASURES.register("stitch")
class Stitch:
    """Legality, board probes and heads of tasks of models whose first blocks, 0 to all, are the other run's (source)
    and whose upper ones the run's (language), under every map of the opening; beside the run itself (trained), the
    other one (other) and lower blocks of random weights. Without another run the run's own languages are stitched,
    each to the others: the bilingual model to compare with. The column layer says after which layer they are stitched.
    A probe or head reads at the layer where it reads the run itself best, in games that are neither fitted nor scored
    on, but not below the stitch."""

    Config = StitchConfig
    takes_other = by_layer = True

    def __init__(self, config: StitchConfig) -> None:
        self.config = config

    def check(self, subject: Subject) -> None:
        """UserError where nothing can be stitched."""
        self._languages(subject, subject.other or subject)

    def __call__(self, subject: Subject) -> Iterator[Row]:
        config, other = self.config, subject.other or subject
        languages = self._languages(subject, other)
        yield from subject.context_rows()
        tasks, sizes = tasks_of(config.tasks), config.probes.sizes
        games = probe_corpus(subject.board, subject.corpus_seed, *sizes)
        fit = games.moves(torch.arange(config.games, device=subject.device))
        moves = scored_moves(subject, config.probes)
        test = HeldOut.of(moves, subject.board, tasks, config.draws)
        between = torch.arange(sizes[0], sizes[0] + sizes[1], device=subject.device)
        tried = HeldOut.of(games.moves(between), subject.board, tasks)
        asked = (subject, other) if subject.other else (subject,)
        known = all(one.causal and one.language_set.prefix_fixes_board for one in asked)
        truth = rules(moves, subject.language_set) if known else None
        readers: dict[int, Readers] = {}
        for one in asked:
            probes, control = probes_of(one, config.probes), "trained" if one is subject else "other"
            for name in languages if one is subject else other.names[: config.languages]:
                index = one.names.index(name)
                found = Readers(one, index, probes, tasks, fit, tried)
                readers |= {index: found} if one is subject else {}
                head = {"language" if one is subject else "source": name}
                yield from (row | head for row in _numbers(one, index, control, found, test, truth))
        for lower in [other, other.random_weights()] if config.random_weights else [other]:
            control = "stitched" if lower is other else lower.control
            yield from self._stitched(subject, lower, control, readers, fit, test, truth)

    def _languages(self, subject: Subject, other: Subject) -> list[str]:
        """The run's languages that can be stitched. UserError where none can, or states have no way across."""
        if other is subject and len(subject.names[: self.config.languages]) < 2:
            raise UserError("other: measures=[stitch] of one language compares the run with another; give its folder")
        languages = [one.name for one in subject.language_set.languages if one_token_a_move(one)]
        if not languages:
            raise UserError("measures: stitch needs a language of the run that writes a move as one token, in order")
        widths = [one.model.config.d_model for one in (other, subject)]
        if self.config.map is Map.none and widths[0] != widths[1]:
            raise UserError(f"stitch.map: none needs one width; the other run has {widths[0]}, the run {widths[1]}")
        if self.config.games > self.config.probes.sizes[0]:
            raise UserError(f"stitch.games: {self.config.games} is above the games of stitch.probes; fit on fewer")
        return languages[: self.config.languages]

    def _stitched(
        self, subject: Subject, lower: Subject, control: str, readers: dict[int, Readers],
        fit: Int8[Tensor, "game ply"], test: HeldOut, truth: Rules | None,
    ) -> Iterator[Row]:  # fmt: skip
        """Every pair of languages, map and layer."""
        scored, sources = fit >= 0, lower.names[: self.config.languages]
        y = {index: image_states(subject, fit, index, OPENING_MAPS[0])[:, scored] for index in readers}
        title = "stitched" if control == "stitched" else "stitched, random weights"
        pairs = [(i, j) for i in range(len(sources)) for j in y if subject.other or i != j]
        bar = tqdm(total=len(pairs) * len(OPENING_MAPS), desc=title, unit="pair", mininterval=1)
        for source, spoken in enumerate(sources):
            for name in OPENING_MAPS:
                x = image_states(lower, fit, source, name)[:, scored]
                for language in [j for i, j in pairs if i == source]:
                    for layer in range(subject.n_layers):
                        bridge = self._bridge(x[layer], y[language][layer])
                        model = Stitched(subject, language, lower, source, layer, bridge, name)
                        made = replace(subject, model=model)
                        head = {"source": spoken, "language": subject.names[language], "map": name, "layer": layer}
                        rows = _numbers(made, language, control, readers[language], test, truth, layer)
                        yield from (row | head for row in rows)
                    bar.update()
        bar.close()

    def _bridge(self, x: Float[Tensor, "row d"], y: Float[Tensor, "row e"]) -> Bridge:
        """Fitted in double precision: directions in which states hardly differ must not be exchanged."""
        if self.config.map is Map.none:
            return lambda states: states
        exact = fit_rotation(x.double(), y.double())
        fitted = type(exact)(*(part.float() for part in exact))
        return lambda states: fitted(states.float())

    def summary(self, rows: Table) -> str:
        """Legality by map and by the layer after which the models are stitched, means over pairs."""
        rows = rows[(rows.quantity == "top1") & rows.control.isin(["stitched", "random_weights"])]
        table: dict[str, dict[str, object]] = {}
        for (control, name), group in rows.groupby(["control", "map"], sort=False):
            means = group.groupby("layer").value.mean()
            table[f"{control}, {name}"] = {f"layer {layer:g}": value for layer, value in means.items()}
        return f"stitched after a layer: legal moves\n{format_table(table)}" if table else "stitched: no legality"


def _numbers(
    subject: Subject, language: int, control: str, readers: Readers, test: HeldOut, truth: Rules | None,
    cut: int | None = None,
) -> Iterator[Row]:  # fmt: skip
    """Legality where the next move is asked for, then what probes and heads read."""
    head: Row = {"measure": "stitch", "control": control}
    if truth is not None:
        with autocast(test.moves.device, subject.precision):
            counts = count_legality(subject.model, test.moves, subject.language_set, language, truth=truth)
        plies = counts.scored.sum(1).cpu()
        for column in [name for name in LEGALITY if name in counts.columns]:
            low, high = test.bootstrap(counts.columns[column].sum(1).cpu(), plies)
            value = {"value": counts.mean(column), "low": float(low), "high": float(high), "n": int(plies.sum())}
            yield head | {"quantity": column} | value
        if control == "trained":
            yield head | {
                "control": "chance",
                "quantity": "top1",
                "value": counts.mean("chance"),
                "n": int(plies.sum()),
            }
    yield from (head | row for row in readers.rows(subject, test, cut))
