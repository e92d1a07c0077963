"""A ladder: finished runs of one language on more and more games, and the law that their excess nats follow."""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mothello.config import plain, typed
from mothello.data.config import DataConfig
from mothello.errors import UserError
from mothello.languages.config import LanguagesConfig
from mothello.languages.traits import Traits
from mothello.model.config import ModelConfig
from mothello.objectives.objective import OBJECTIVES
from mothello.rundir import RunDir
from mothello.training.optimizer import OptimizerConfig

KEY = "efficiency.ladder"
EXCESS = ("excess_nats", "masked_excess_nats")
"""What is compared: of the next token, or of hidden moves."""
BUT = (
    "games", "epochs", "language_sampling", "domain_of", "kinds", "names", "traits", "anchors", "special_tokens"
)  # fmt: skip
"""What a rung does not share with the run: how many games there are, and whose."""


class Rung(NamedTuple):
    """A run of one language."""

    language: tuple[str, Any]
    """Its kind and its traits."""
    games: float
    excess: float
    """Nats above the floor at the end."""


@dataclass(frozen=True)
class Law:
    """excess = scale * games^-exponent."""

    scale: float
    exponent: float

    @staticmethod
    def of(rungs: Sequence[Rung]) -> "Law":
        """By least squares of the logarithms. UserError unless excess nats fall with games."""
        if len({rung.games for rung in rungs}) < 2:
            raise UserError(f"{KEY}: these runs have one number of games; a ladder needs several")
        points = [(log(rung.games), log(rung.excess)) for rung in rungs]
        x, y = torch.tensor(points, dtype=torch.float64).unbind(1)
        apart = x - x.mean()
        slope = float((apart * y).sum() / (apart**2).sum())
        if not slope < 0:
            raise UserError(f"{KEY}: excess nats do not fall with games in these runs")
        return Law(exp(float(y.mean()) - slope * float(x.mean())), -slope)

    def games(self, excess: float) -> float:
        """Games that one language needs for these excess nats."""
        return (self.scale / excess) ** (1 / self.exponent)


def excess_nats(folder: RunDir, language: str) -> float:
    """Of a language at the end of a run. UserError where it is not known."""
    final = folder.read_results().get("final", {})
    values = [final.get(f"val/{language}/{name}") for name in EXCESS]
    known = [float(value) for value in values if value is not None and isfinite(value) and value > 0]
    if not known:
        raise UserError(f"{KEY}: {folder.path} knows no excess nats of {language}; its loss has no floor")
    return known[0]


def games_seen(content: Mapping[str, Any], n: int) -> list[float]:
    """Games of each of n languages that a run was trained on, visits counted; content: of its config.yaml."""
    data = typed(content["data"], DataConfig)
    sampling, size = data.language_sampling, data.batch_size
    if sampling.grouped:
        return [float(data.steps * games) for games in sampling.sizes(n, size)]
    start, end = (sampling.weights(n, end) for end in (False, True))
    return [data.steps * size * (one + other) / 2 for one, other in zip(start, end, strict=True)]


def ladder(folders: Sequence[str], content: Mapping[str, Any]) -> list[Rung]:
    """The runs of these folders. content: config.yaml of the run that they are compared with. UserError names a folder
    that is no rung, and a setting that differs."""
    if missing := [folder for folder in folders if not Path(folder).is_dir()]:
        raise UserError(f"{KEY}: {missing[0]} is no folder")
    if len(folders) < 2:
        raise UserError(f"{KEY}: name at least two finished runs of one language, such as [runs/single/*/seed0]")
    return [_rung(RunDir(folder), content) for folder in folders]


def folders_of(patterns: Sequence[str]) -> list[str]:
    """The folders that patterns fit, each once; a pattern that fits none stays."""
    paths = [path for pattern in patterns for path in sorted(glob.glob(pattern)) or [pattern]]
    return list({Path(path).resolve(): path for path in reversed(paths)}.values())[::-1]


def _settings(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a rung shares with the run; settings that config.yaml does not know yet have their defaults."""
    sections = {key: content.get(key, {}) for key in ("board", "auxiliary")}
    typed_ones = {"model": ModelConfig, "data": DataConfig, "languages": LanguagesConfig, "optimizer": OptimizerConfig}
    sections |= {key: plain(typed(content[key], schema)) for key, schema in typed_ones.items()}
    return sections | {"objective": plain(OBJECTIVES.typed(content["objective"], "objective"))}


def _rung(folder: RunDir, content: Mapping[str, Any]) -> Rung:
    if not folder.finished:
        raise UserError(f"{KEY}: {folder.path} is no finished run")
    own = folder.read_config()
    languages = typed(own["languages"], LanguagesConfig)
    if len(languages.language_names()) != 1 or own.get("stage", "pretrain") != "pretrain":
        raise UserError(f"{KEY}: {folder.path} was not trained from random weights on one language")
    ours, theirs = _settings(content), _settings(own)
    for key, mine in ours.items():
        its = theirs[key]
        if differing := [x for x in sorted({*mine, *its} - {*BUT}) if mine.get(x) != its.get(x)]:
            raise UserError(f"{KEY}: {folder.path} has another {key}.{differing[0]} than the run")
    (kind,), (name,) = languages.expanded_kinds(), languages.language_names()
    return Rung((kind, languages.traits.get(name, Traits())), sum(games_seen(own, 1)), excess_nats(folder, name))
