"""What runs are called: their name, and where one name stands for several configurations, what these differ in."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mothello.config import flat
from mothello.report.listing import differing
from mothello.report.runs import Run

PARTS = ("board", "languages", "model", "data", "objective", "auxiliary", "optimizer", "fork", "at")
"""Parts of a config that determine what a model learns."""
ALWAYS = ("board.size", "data.games")
"""Where runs differ in these, their labels say it; of other settings, as few as tell them apart."""
Identity = tuple[str, str]


def labels_of(runs: Sequence[Run]) -> dict[Identity, str]:
    """Name and identity -> label, such as "anchor", or "anchor, 4x4, 2 k games" beside an anchor on another board. What
    no setting tells apart has its identity in its label."""
    names: dict[str, dict[Identity, dict[str, Any]]] = {}
    for run in runs:
        names.setdefault(run.name, {})[run.name, run.identity] = _settings(run)
    return {key: label for several in names.values() for key, label in _labels(several).items()}


def _settings(run: Run) -> dict[str, Any]:
    if run.origin is not None:
        return _settings(run.origin) | flat({"settings": run.settings})
    return flat({part: run.config[part] for part in PARTS if run.config.get(part)})


def _labels(several: Mapping[Identity, Mapping[str, Any]]) -> dict[Identity, str]:
    """Of the configurations with one name."""
    if len(several) == 1:
        return {key: key[0] for key in several}
    settings = list(several.values())
    keys = [key for key in differing(settings) if all(key in own for own in settings)]
    chosen = [key for key in ALWAYS if key in keys]
    for key in keys:
        if key not in chosen and _distinct(settings, [*chosen, key]) > _distinct(settings, chosen):
            chosen.append(key)
    texts = [", ".join([name, *(words(x, own[x]) for x in chosen)]) for (name, _), own in several.items()]
    pairs = zip(several, texts, strict=True)
    return {key: text if texts.count(text) == 1 else f"{text} {key[1]}" for key, text in pairs}


def _distinct(settings: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> int:
    return len({tuple(repr(own[key]) for key in keys) for own in settings})


def words(key: str, value: Any) -> str:
    """A setting as a label says it: "4x4", "2 k games", "d_model 128", "no qk_norm"."""
    parts = [part for part in key.split(".") if part != "name"]
    if key == "board.size":
        return f"{value}x{value}"
    if key == "data.games":
        return f"{thousands(value)} games"
    if isinstance(value, bool):
        return parts[-1] if value else f"no {parts[-1]}"
    if isinstance(value, list):
        return f"{parts[-1]} {' '.join(map(str, value))}" if value else f"no {parts[-1]}"
    return f"{parts[-1]} {value}"


def thousands(value: float) -> str:
    """2 k, 59.9 k, 1.2 M."""
    unit, name = (1e6, " M") if value >= 1e6 else (1e3, " k") if value >= 1e3 else (1, "")
    return f"{value / unit:.3g}{name}"


def natural(text: str) -> list[tuple[str, int]]:
    """A key that sorts naive_60k before naive_120k."""
    return [(word, int(digits or 0)) for word, digits in re.findall(r"(\D*)(\d*)", text)]
