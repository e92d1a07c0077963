"""Tables of runs with numbers a test can know, of the form that studies/data.py reads from folders."""

from typing import Any

import numpy as np
import pandas as pd

from mothello.measures.probes.symmetry_classes import Classes
from studies.data import CELLS, MAPS


def row(cell: str, seed: int = 0, raw: float = 0.5, best: float | None = None, **more: Any) -> dict[str, Any]:
    """A probed pair: raw under the identity, best under "main"; own .85, constant .6, orbits .7."""
    top = max(raw, best or 0)
    winner = "none" if top <= 0.6 else "main" if best and best > raw else "identity"
    pairs = more.get("pairs", 2)
    partly = " (partly)" if 0.6 < top <= 0.8125 else ""  # 85% of the way
    return {
        "run": f"{cell}/{seed}", "cell": cell, "seed": seed, "board": "4x4", "pair": "atomic + atomic",
        "sharing": "naive", "anchors": 0, "link": "", "opening": "", "probed": True, "games": 1000, "layers": 2, "width": 16,
        "strict": 0.98, "lenient": 0.99, "chance": 0.4, "by_kind": {"atomic": 0.98}, "legal": 0.98, "learned": True,
        "layer": 1, "own": 0.85, "raw": raw, "best": top, **dict.fromkeys(MAPS, 0.45), "identity": raw, "main": top,
        "winner": winner, "verdict": winner + partly, "kinds": {} if winner == "none" else {"graded" if partly else "one map": pairs},
        "settled": winner != "none", "settled_relative": winner != "none", "excess": 0.2, "maps": {} if winner == "none" else {winner: pairs}, "aligned": 0 if winner == "none" else pairs,
        "pairs": pairs, "classes": Classes([0, 0], [0, 2], [0, 1], 1.0),
        "recovered": (top - 0.6) / 0.25, "raw_pairs": np.full(pairs, raw), "constant": 0.6, "orbit": 0.7,
        "random_own": 0.7, "random_across": 0.47, "relative": top,
    } | more  # fmt: skip


def anchored(cell: str, count: int, seed: int = 0, raw: float = 0.5, best: float | None = None, **more: Any) -> dict:
    link = cell.removeprefix("mirror_") if cell.startswith("mirror_") else "identity"
    return row(cell, seed, raw, best, sharing="anchors", anchors=count, link=link, **more)


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=CELLS).astype({"learned": bool, "probed": bool})


def finetuned(cell: str = "prefix_naive", seed: int = 0, part: str = "target", **more: Any) -> dict[str, Any]:
    """A fine-tuned language that falls from .7 to .5, by either color from .8 to .6, and answers in another language."""
    return {
        "cell": cell, "seed": seed, "board": "4x4", "sharing": "naive", "kind": "atomic", "part": part,
        "language": "atomic_1", "legal": 0.98, "learned": True, "gain": -0.2, "gain_ratio": -1.0, "scratch": 0.4,
        "steps": [0, 5], "before": 0.7, "after": 0.5, "peak": 0.7, "curve": [0.7, 0.5], "lenient_before": 0.8,
        "lenient_after": 0.6, "lenient_peak": 0.8, "own_before": 0.7, "own_after": 0.5, "own_peak": 0.7,
        "own_curve": [0.7, 0.5], "wrong_before": 0.0, "wrong_after": 0.3,
    } | more  # fmt: skip
