"""Alignment as heat maps: probe's language x language read, raw and under the best map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mothello.measures.probes.verdict import GRADED, NONE, ONE_MAP, ORBIT_ONLY, TWO_DOMAINS
from mothello.report.style import ACCURACY, DARK, INK, LIGHT, MUTED, WIDTH, canvas

MAX_LAYERWISE = 4
"""More languages than this show the headline's layer only, seed by seed, in the order of their classes."""
MAP_NAMES = {"identity": "id", "rot180": "rot", "main": "main", "anti": "anti"}
KIND_NAMES = {ONE_MAP: "one", TWO_DOMAINS: "two", GRADED: "part", ORBIT_ONLY: "orbit", NONE: "none"}


def scale(pairs: pd.DataFrame) -> tuple[float, float]:
    """The color scale that all heat maps of a report share: from the lowest value, rounded down to a tenth, to 1."""
    return min(0.5, float(np.floor(pairs["accuracy"].min() * 10) / 10)), 1.0


def alignment_maps(pairs: pd.DataFrame, limits: tuple[float, float], order: Sequence[int] = ()) -> Figure:
    """Two rows (raw, best map) of a block per layer. pairs: table.pairs of one label's runs. order: of the languages.

    Values are means over seeds. Under the best map each cell names the winning map, "mixed" where seeds differ, and
    the kind of verdict where the pair is not aligned in every seed ("mixed" where kinds differ).
    """
    names, layers = list(dict.fromkeys(pairs.source)), sorted(pairs.layer.unique())
    languages = [names[i] for i in order] or names
    figure, axes = _grid(len(layers), len(languages))
    drawn: Any = None
    for axis, best in zip(axes, (False, True), strict=True):
        drawn = _row(axis, pairs, layers, languages, best, limits)
        axis.set_ylabel(f"{'under the best map' if best else 'raw'}\nprobe trained on", fontsize=8.5)
    starts = [_start(index, languages) for index in range(len(layers))]
    titles = [f"layer {layer}" if layer else "embeddings" for layer in layers]
    axes[0].xaxis.tick_top()
    axes[0].set_xticks([start + len(languages) / 2 for start in starts], titles, fontsize=9.5, fontweight="bold")
    axes[0].tick_params(axis="x", labelcolor=INK)
    slant = 35 if max(map(len, languages)) > 3 else 0
    ticks = [start + index + 0.5 for start in starts for index in range(len(languages))]
    axes[1].set_xticks(ticks, languages * len(layers), rotation=slant, ha="right", fontsize=_size(languages))
    axes[1].set_xlabel("language read", fontsize=8.5)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.7, aspect=28, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    return figure


def _grid(layers: int, languages: int) -> tuple[Figure, list[Axes]]:
    if layers == 1:
        side = min(7.2, 1.3 + 0.42 * languages)
        return canvas(1, 2 * side + 0.9, 2, width=min(WIDTH, side + 2.2))
    cell = min(1.75, (WIDTH - 1.8) / layers)
    return canvas(1, 2 * cell + 1.1, 2, width=min(WIDTH, cell * layers + 1.8))


def _start(block: int, languages: Sequence[str]) -> float:
    """Where the cells of a layer begin: a tenth of a block's width lies between two."""
    return block * 1.1 * len(languages)


def _size(languages: Sequence[str]) -> float:
    return 8 if len(languages) <= 8 else 6.5


def _row(
    axis: Axes,
    pairs: pd.DataFrame,
    layers: Sequence[int],
    languages: list[str],
    best: bool,
    limits: tuple[float, float],
) -> Any:
    """The blocks of all layers side by side, as one mesh whose cells between the blocks are empty."""
    cells = pairs.groupby(["layer", "source", "language"])
    means = cells["best_accuracy" if best else "accuracy"].mean().unstack("language")[languages]
    winners = _winners(pairs).unstack("language")[languages] if best else None
    low, high = limits
    n, size = len(languages), 8.5 if len(languages) <= 4 else max(4.6, 9.5 - 0.3 * len(languages))
    blocks, edges = [], []
    for index, layer in enumerate(layers):
        values, start = means.loc[layer].loc[languages].to_numpy(float), _start(index, languages)
        blocks.append(np.pad(values, ((0, 0), (0, 1)), constant_values=np.nan))
        edges.append(start + np.arange(n + 1))
        named = winners.loc[layer].loc[languages].to_numpy() if winners is not None else None
        for i, j in np.ndindex(values.shape):
            text = f"{values[i, j]:.2f}".replace("0.", ".") + ("" if named is None else f"\n{named[i, j]}")
            color = LIGHT if (values[i, j] - low) / (high - low) > 0.58 else DARK
            place = start + j + 0.5, i + 0.5
            axis.text(*place, text, ha="center", va="center", fontsize=size, color=color, linespacing=1.15)
    mesh = np.ma.masked_invalid(np.concatenate(blocks, axis=1)[:, :-1])
    drawn = axis.pcolormesh(np.concatenate(edges), np.arange(n + 1), mesh, cmap=ACCURACY, vmin=low, vmax=high)
    axis.grid(visible=False)
    axis.set(aspect="equal", ylim=(n, 0))
    axis.set_yticks([i + 0.5 for i in range(n)], languages, fontsize=_size(languages))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return drawn


def _winners(pairs: pd.DataFrame) -> pd.Series:
    """By layer and pair of languages: the map that all runs are aligned through, else the kind of their verdicts."""
    cells = pairs.groupby(["layer", "source", "language"])
    maps = cells["best_map"].first().map(MAP_NAMES).where(cells["best_map"].nunique() == 1, "mixed")
    kinds = cells["kind"].first().map(KIND_NAMES).where(cells["kind"].nunique() == 1, "mixed")
    return maps.where(cells["aligned"].all(), kinds)
