"""The sections of results/README.md, one per study: a new one is a line of SECTIONS and a template in sections/.

What a section reads and draws is named in its line."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from mothello.report.runs import Run
from studies import answers, course, data, drawings, factors, readings, steering
from studies.drawings import Drawn

if TYPE_CHECKING:
    from studies.scale import Scale

Told = Iterator[tuple[str, str, bool | None, Sequence[str]]]
"""Claim, what was found, outcome, cells."""


class Section(NamedTuple):
    """What a study's section is made from."""

    heading: str
    read: Callable[[Sequence[Run]], pd.DataFrame] = lambda _: pd.DataFrame()
    """What it shows of the study's runs, besides the cells that all sections have."""
    predictions: Callable[[pd.DataFrame], Told] | None = None
    """About what was read."""
    draw: Callable[["Scale"], Drawn] = drawings.nothing
    """Its figures."""
    room: ModuleType | None = None
    """Whose tables and sentences its template shows."""
    template: str = ""
    """In sections/, where it is not the study's own."""
    apart: bool = False
    """Its runs have seeds of their own and are in no other section's table."""


SECTIONS = {
    "table1": Section(
        "Table 1: how many anchors align two languages", readings.readings, draw=drawings.table1, room=readings
    ),
    "steering": Section("What the map does to the moves", steering.table_of, steering.predictions, room=steering),
    "mirror_anchors": Section("The symmetry of the opening: mirror anchors", draw=drawings.mirror_anchors),
    "anchor_placement": Section("Where an anchor lies", draw=drawings.anchor_placement),
    "many_languages": Section("Many naive languages", draw=drawings.many_languages),
    "emergence": Section("When alignment emerges", draw=drawings.emergence),
    "course": Section("Along a training", course.courses, course.predictions, drawings.along, course, apart=True),
    **{
        name: Section(heading, draw=partial(drawings.factor, name), room=factors, template="factor")
        for name, heading in factors.HEADINGS.items()
    },
    "finetune": Section("Fine-tuning on one language", answers.courses, draw=drawings.finetune, room=answers),
    "probes": Section("Where the board is", data.probe_errors, draw=drawings.probes),
}
"""By study, in the order of the page."""
