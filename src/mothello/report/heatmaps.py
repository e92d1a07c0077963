"""Alignment as heat maps: probe's language x language read, raw and under the best map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.report.style import ACCURACY, INK, MUTED, WIDTH, canvas

MAX_LAYERWISE = 4
"""More languages than this show the headline's layer only, seed by seed, in the order of their classes."""
MAP_NAMES = {"identity": "id", "rot180": "rot", "main": "main", "anti": "anti"}


def scale(pairs: pd.DataFrame) -> tuple[float, float]:
    """The color scale that all heat maps of a report share: from the lowest value, rounded down to a tenth, to 1."""
    return min(0.5, float(np.floor(pairs["accuracy"].min() * 10) / 10)), 1.0


def alignment_maps(pairs: pd.DataFrame, limits: tuple[float, float], order: Sequence[int] = ()) -> Figure:
    """Two rows (raw, best map) of a panel per layer. pairs: table.pairs of one label's runs. order: of the languages.

    Values are means over seeds. Under the best map each cell names the winning map, "mixed" where seeds differ, and
    "none" where the pair does not count as aligned in every seed.
    """
    names, layers = list(dict.fromkeys(pairs.source)), sorted(pairs.layer.unique())
    languages = [names[i] for i in order] or names
    figure, axes = _grid(len(layers), len(languages))
    image: Any = None
    for column, layer in enumerate(layers):
        rows = pairs[pairs.layer == layer]
        for row, best in enumerate((False, True)):
            axis = axes[row * len(layers) + column]
            image = _panel(axis, rows, languages, best, limits)
            _dress(axis, languages, column == 0, row == 1, "under the best map" if best else "raw")
        name = f"layer {layer}" if layer else "embeddings"
        axes[column].set_title(name, loc="center", fontsize=9.5, fontweight="bold")
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=28, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    return figure


def _grid(layers: int, languages: int) -> tuple[Figure, list[Axes]]:
    if layers == 1:
        side = min(7.2, 1.5 + 0.5 * languages)
        return canvas(1, 2 * side + 0.9, 2, width=min(WIDTH, side + 2.2))
    cell = min(1.75, (WIDTH - 1.8) / layers)
    return canvas(layers, 2 * cell + 1.1, 2, width=min(WIDTH, cell * layers + 1.8))


def _panel(axis: Axes, data: pd.DataFrame, languages: list[str], best: bool, limits: tuple[float, float]) -> Any:
    column = "best_accuracy" if best else "accuracy"
    values = data.pivot_table(index="source", columns="language", values=column).loc[languages, languages].to_numpy()
    image = axis.imshow(values, cmap=ACCURACY, vmin=limits[0], vmax=limits[1])
    axis.grid(visible=False)
    size = 8.5 if len(languages) <= 4 else max(4.6, 9.5 - 0.3 * len(languages))
    for i, j in np.ndindex(values.shape):
        text = f"{values[i, j]:.2f}".replace("0.", ".")
        if best:
            text += "\n" + _winner(data[(data.source == languages[i]) & (data.language == languages[j])])
        dark = (values[i, j] - limits[0]) / (limits[1] - limits[0]) > 0.58
        axis.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if dark else INK, linespacing=1.15)
    return image


def _winner(pair: pd.DataFrame) -> str:
    """The map that won in every run of a pair."""
    if not pair["aligned"].all():
        return "none"
    winners = set(pair["best_map"])
    return MAP_NAMES.get(winners.pop(), "?") if len(winners) == 1 else "mixed"


def _dress(axis: Axes, languages: list[str], left: bool, bottom: bool, label: str) -> None:
    ticks, size = range(len(languages)), 8 if len(languages) <= 8 else 6.5
    slant = 35 if max(map(len, languages)) > 3 else 0
    axis.set_xticks(ticks, languages if bottom else [], rotation=slant, ha="right", fontsize=size)
    axis.set_yticks(ticks, languages if left else [], fontsize=size)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    if left:
        axis.set_ylabel(f"{label}\nprobe trained on", fontsize=8.5)
    if bottom:
        axis.set_xlabel("language read", fontsize=8.5)
