"""Proves: the colors that stand for different things differ for eyes without red or green receptors, too, and labels of one
sharing differ without their color."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from mothello.report.style import CURVES, LANGUAGE_COLORS, MAP_COLORS, SHARING_COLORS, looks

DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
"""Linear RGB as it looks without green or red receptors (Machado, Oliveira and Fernandes 2009, severity 1)."""
EYES = {"all receptors": np.eye(3), "no green": np.array(DEUTERANOPIA), "no red": np.array(PROTANOPIA)}


def _linear(color: str) -> np.ndarray:
    share = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIE L*a*b* under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one: str, other: str, eyes: str) -> float:
    """Distance of two colors in L*a*b* as these eyes see them; about 2 is just seen."""
    seen = [_lab(EYES[eyes] @ _linear(color)) for color in (one, other)]
    return float(np.linalg.norm(seen[0] - seen[1]))


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(
    ("palette", "least"), [(MAP_COLORS.values(), 20), (SHARING_COLORS.values(), 20), (LANGUAGE_COLORS, 11)]
)
def test_colors_differ(palette: list[str], least: float, eyes: str) -> None:
    assert min(apart(*pair, eyes) for pair in combinations(palette, 2)) > least


def test_red_and_green_that_look_alike_are_found() -> None:
    """What the figures had before."""
    red, green = "#c8553d", "#5b8c5a"
    assert apart(red, green, "no green") < apart(red, green, "all receptors") / 3
    assert apart("#a0522d", "#6b7b1e", "no green") < 12 < 40 < apart("#a0522d", "#6b7b1e", "all receptors")


@pytest.mark.parametrize("labels", [2, CURVES])
def test_curves_of_one_panel_differ_without_color(labels: int) -> None:
    table = pd.DataFrame({"label": [f"l{i}" for i in range(labels)], "sharing": "naive"})
    drawn = looks(table).values()
    assert len({look["marker"] for look in drawn}) == labels
    assert all(look["linestyle"] for look in drawn)
