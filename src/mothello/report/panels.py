"""Figures of a section: one, or, of many labels, several with few curves each."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from mothello.report.markup import image
from mothello.report.style import CURVES, split


class Panel(NamedTuple):
    """A figure with its caption, under a heading of its own if there is one."""

    image: Markup
    caption: str = ""
    heading: str = ""


def panels(table: pd.DataFrame, draw: Callable[[pd.DataFrame], Figure], name: str, most: int = CURVES) -> list[Panel]:
    """The figures that ``draw`` makes of at most ``most`` labels each. name: what they show."""
    return [
        Panel(image(draw(part), f"{name}, {said}" if said else name), "", said) for said, part in split(table, most)
    ]
