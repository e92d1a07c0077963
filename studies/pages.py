"""Every page beside results/README.md. The command, `make results` and the links of that page read this list alone."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from studies import (
    PAPERS,
    align_mlm,
    emerging,
    false_friends,
    first,
    imbalance,
    mirror_tasks,
    posthoc,
    prealign,
    question,
    realignment,
    zoo,
)
from studies.asked import study_of
from studies.paper import Found, Page, found_of, runs_below, write_paper
from studies.theirs import theirs_of


class Beside(NamedTuple):
    """A page of its own, in results/NAME/README.md."""

    title: str
    """Of its link."""
    names: Callable[[], Sequence[str]] | None
    """Of the runs that are copied for it; of none: all. None: it is made of no runs that are gathered."""
    write: Callable[[Path], Path]
    """Writes it into a folder and returns the page."""


def _of_paper(page: Page) -> Beside:
    def write(out: Path) -> Path:
        return write_paper(page, study_of(page.study, "mini"), out)

    return Beside(PAPERS[page.study]["title"], lambda: tuple(study_of(page.study, "mini").cells), write)


_PAPERS = (emerging, posthoc, align_mlm, realignment, imbalance, prealign, false_friends, mirror_tasks)
OTHER_PAPERS: dict[str, Page] = {
    (page := paper.PAGE).study: page._replace(theirs=partial(theirs_of, page.study)) for paper in _PAPERS
}
"""Studies of other papers."""


def read_page(name: str) -> tuple[Page, Found]:
    """A page of another paper, and what the committed runs of its study say: what notebooks read."""
    page, study = OTHER_PAPERS[name], study_of(name, "mini")
    return page, found_of(study, runs_below(study), page)


PAGES: dict[str, Beside] = {
    "question": Beside("Does alignment predict transfer?", tuple, question.write_question),
    **{name: _of_paper(page) for name, page in OTHER_PAPERS.items()},
    "first": Beside("What does each objective learn?", lambda: (*first.CELLS, *first.BESIDE), first.write_first),
    "zoo": Beside("Trained models to touch", None, zoo.write_zoo),
}
"""In the order of their links."""
LAST = "question"
"""It quotes the other pages, so that it is written after them; results/README.md quotes it."""
