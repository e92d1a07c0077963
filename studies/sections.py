"""The sections of results/README.md, one per study: a new one is a line of SECTIONS and a template in sections/."""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import NamedTuple

import pandas as pd

from mothello.report.runs import Run
from studies import answers, course, data, factors, readings, steering

Told = Iterator[tuple[str, str, bool | None, Sequence[str]]]
"""Claim, what was found, outcome, cells."""


class Section(NamedTuple):
    """What a study's section is made from."""

    heading: str
    read: Callable[[Sequence[Run]], pd.DataFrame] = lambda _: pd.DataFrame()
    """What it shows of the study's runs, besides the cells that all sections have."""
    predictions: Callable[[pd.DataFrame], Told] | None = None
    """About what was read."""
    room: ModuleType | None = None
    """Whose tables and sentences its template shows."""
    template: str = ""
    """In sections/, where it is not the study's own."""
    apart: bool = False
    """Its runs have seeds of their own and are in no other section's table."""


SECTIONS = {
    "table1": Section("Table 1: how many anchors align two languages", readings.readings, room=readings),
    "steering": Section("What the map does to the moves", steering.table_of, steering.predictions, steering),
    "mirror_anchors": Section("The symmetry of the opening: mirror anchors"),
    "anchor_placement": Section("Where an anchor lies"),
    "many_languages": Section("Many naive languages"),
    "emergence": Section("When alignment emerges"),
    "course": Section("Along a training", course.courses, course.predictions, course, apart=True),
    **{name: Section(heading, room=factors, template="factor") for name, heading in factors.HEADINGS.items()},
    "finetune": Section("Fine-tuning on one language", answers.courses, room=answers),
    "probes": Section("Where the board is", data.probe_errors),
}
"""By study, in the order of the page."""
