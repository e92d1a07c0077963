"""The page of another paper: what a Page is, what was found of its study, and results/PAGE/README.md from both."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from mothello.files import write_whole
from mothello.report.runs import Run, find_runs
from studies import CRITERIA, PAPERS, RESULTS
from studies.judge import winners
from studies.numbers import decimal, measured, out_of, over_seeds, signed
from studies.page import saved
from studies.runs import FORK, Study, budget, setting
from studies.taught import runs_table, taught_table
from studies.templates import filled

TASK = "bracket"
"""The task of every prediction that names none."""
NOT_LEARNED = "not learned"
Outcome = bool | None
"""Whether a prediction held; None: open."""


@dataclass(frozen=True)
class Found:
    """What the runs of a study say, as two tables, and what was asked for."""

    runs: pd.DataFrame
    taught: pd.DataFrame
    planned: Mapping[str, Sequence[int]]
    """Seeds by cell, in the order of the study."""
    more: pd.DataFrame = field(default_factory=pd.DataFrame)
    """What a page reads besides: rows of a cell and a seed."""

    def of(self, cell: str, column: str, stage: str = TASK) -> pd.DataFrame:
        """The rows of a cell that have a column, by seed: a column of the runs, or else of what the page reads
        besides, or else of what a stage taught."""
        rows = next((table for table in (self.runs, self.more) if column in table), None)
        if rows is None:
            rows = self.taught[self.taught.stage == stage]
            if column not in rows:
                rows = rows.iloc[:0].assign(**{column: pd.Series(dtype=float)})
        return rows[(rows.cell == cell) & rows[column].notna()].sort_values("seed").set_index("seed")

    def mean(self, cell: str, column: str, stage: str = TASK) -> float | None:
        """Over the seeds of a cell; None where there is none."""
        rows = self.of(cell, column, stage)
        return float(rows[column].mean()) if len(rows) else None

    def shown(self, cell: str, column: str, stage: str = TASK) -> str:
        """The same with its interval: [over seeds], with fewer than three of them {over games}; and of how many of the
        runs that are here, where it is not all."""
        rows = self.of(cell, column, stage)
        untold = rows.empty and column == "follows" and len(self.of(cell, "gain", stage))
        left = len(self.runs[self.runs.cell == cell]) - len(rows)
        part = f" ({len(rows)} of {len(rows) + left})" if len(rows) and left > 0 else ""
        return NOT_LEARNED if untold else f"{measured(rows, column)}{part}"

    def difference(self, cell: str, base: str, column: str = "follows", stage: str = TASK, against: str = "") -> str:
        """Of the means of two cells, or of two stages: [over seeds], paired, with fewer than three {over games}.
        against: the stage of base, by default the same."""
        ours, theirs = self.of(cell, column, stage), self.of(base, column, against or stage)
        if (cell == base and not against) or ours.empty or theirs.empty:
            return "-"
        change = float(ours[column].mean() - theirs[column].mean())
        paired = over_seeds((ours[column] - theirs[column]).dropna())
        if paired is not None and paired.interval is not None:
            return f"{signed(change)} [{', '.join(map(signed, paired.interval))}]"
        if f"{column}_low" not in ours:
            return signed(change)
        wide = sum(float(((x[f"{column}_high"] - x[f"{column}_low"]) / 2).max()) ** 2 for x in (ours, theirs)) ** 0.5
        return f"{signed(change)} {{{signed(change - wide)}, {signed(change + wide)}}}"

    def count(self, cells: Sequence[str], column: str) -> str:
        """Runs of these cells that have a column, of those planned."""
        there = sum(len(self.of(cell, column)) for cell in cells)
        planned = sum(len(self.planned[cell]) for cell in cells)
        return f"{there} of {planned}"

    def unlearned(self) -> list[str]:
        """Stages that taught a task, in which the source gained too little in every cell."""
        learned = self.taught.groupby("stage").follows.count()
        return [str(stage) for stage, count in learned.items() if not count]

    def missing(self) -> list[str]:
        """Runs that are asked for and not there, as CELL and the number of its seeds."""
        there = set(zip(self.runs.cell, self.runs.seed, strict=True))
        left = {cell: sum((cell, seed) not in there for seed in seeds) for cell, seeds in self.planned.items()}
        return [f"{cell} ({count})" for cell, count in left.items() if count]

    def untaught(self) -> list[str]:
        """Runs that lack a fine-tuning that those of other cells have, as CELL/SEED and what is missing."""
        every = set(self.taught.stage)
        asked = {(run.cell, run.seed): every for run in self.runs.itertuples()}
        for row in self.taught.itertuples():
            asked[row.cell, row.seed] = asked[row.cell, row.seed] - {row.stage}
        kept = {stage for stage in every if self.taught[self.taught.stage == stage].cell.nunique() > 1}
        wanted = {f"{cell}/{seed}": sorted(left & kept) for (cell, seed), left in asked.items()}
        return [f"{run} ({', '.join(names)})" for run, names in wanted.items() if names]


class Claim(NamedTuple):
    """How a prediction of predictions.md is judged; papers.yaml has its words."""

    cells: Sequence[str]
    """Those that it is about."""
    judge: Callable[[Found, Sequence[str]], tuple[str, Outcome]]
    """What was found, and the outcome."""
    column: str = "follows"
    """The number that a run must have to test it."""


class Page(NamedTuple):
    """All that a page has of its own; its words and the published numbers are in papers.yaml."""

    study: str
    answer: Callable[[Found], str]
    """In a sentence or two, from numbers."""
    figure: Callable[[Found], Figure]
    columns: Callable[[Found, str], Mapping[str, object]]
    """Cell -> the columns that stand before those of every page."""
    claims: Mapping[str, Claim]
    """By the number of the prediction."""
    sections: Mapping[str, Callable[[Found], Sequence[Mapping[str, object]]]]
    """What fills the tables of papers.yaml."""
    read: Callable[[Sequence[Run]], pd.DataFrame] = lambda _: pd.DataFrame()
    """What it shows of the study's runs besides the columns of every page; a row has a cell and a seed."""
    theirs: Callable[[Found], Mapping[str, Sequence[str]]] = lambda _: {}
    """What the paper claims, by whether it holds here."""


def means(rule: Callable[..., bool], column: str = "follows", stage: str = TASK) -> Any:
    """Judge by the means of a prediction's cells, in their order; open until all of them are there."""

    def judge(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
        values = [found.mean(cell, column, stage) for cell in cells]
        text = ", ".join(f"{cell} {decimal(x)}" for cell, x in zip(cells, values, strict=True) if x is not None)
        return text or "-", None if None in values else bool(rule(*values))

    return judge


def every(outcomes: Sequence[Outcome]) -> Outcome:
    """Failed where one failed; else open where one is, or where there is none."""
    return False if False in outcomes else None if None in outcomes or not outcomes else True


def each_run(test: Callable[[pd.Series], bool], column: str) -> Any:
    """Judge by every planned run of a prediction's cells: one that is missing leaves it open, unless another fails."""

    def judge(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
        tested = [bool(test(row)) for cell in cells for _, row in found.of(cell, column).iterrows()]
        left = sum(len(found.planned[cell]) for cell in cells) - len(tested)
        text = f"{sum(tested)} of {len(tested)}" if tested else "-"
        return text, every([*tested, *[None] * max(0, left)])

    return judge


def predictions(page: Page, found: Found) -> list[dict[str, Any]]:
    """A row per prediction of the page."""
    rows = []
    for number, claim in page.claims.items():
        text, outcome = claim.judge(found, claim.cells)
        shown = f"{number} {PAPERS[page.study]['predictions'][number]}"
        runs = found.count(claim.cells, claim.column)
        rows.append({"prediction": shown, "outcome": outcome, "what was found": text, "runs": runs})
    return rows


def cell_rows(page: Page, found: Found) -> list[dict[str, Any]]:
    """A row per cell of the study: verdicts, the page's own columns, and how alike the languages are. A column that
    says nothing of any cell is left out."""
    rows = []
    for cell, seeds in found.planned.items():
        runs = found.runs[found.runs.cell == cell]
        masked = found.runs.whole.notna().any()
        hidden = {"hidden moves, whole game": measured(runs, "whole")} if masked else {}
        alike = {"own": "own", "across, raw": "raw", "best map": "best"}
        rows.append({
            "cell": cell, "verdict": winners(runs), **page.columns(found, cell),
            **{head: measured(runs, name) for head, name in alike.items()},
            "retrieval": measured(runs, "retrieval"),
            "retrieval, best map": measured(runs, "retrieval_best_map"),
            "same move nearest": measured(runs, "neighbours"),
            "skill": measured(runs, "skill"), **hidden, "seeds": out_of(len(runs), len(seeds)),
        })  # fmt: skip
    silent = {column for column in rows[0] if len(found.runs) and {row[column] for row in rows} <= {"-", NOT_LEARNED}}
    return [{column: value for column, value in row.items() if column not in silent} for row in rows]


def of_study(study: Study, runs: Iterable[Run]) -> list[Run]:
    """The planned runs of a study; of a measure that was taken in several ways, the way that the study asks
    for, and all comparisons with another run."""
    chosen = []
    for run in runs:
        cell = study.cells.get(run.name)
        if cell is not None and cell.train in (run.path.parent.name, FORK) and run.seed in study.planned[run.name]:
            asked = [measure for measure in run.measures if measure.folder in (cell.probe, *cell.states)]
            names = {measure.name for measure in asked}
            others = (x for x in run.measures if x.name not in names or x.config.get("other"))
            chosen.append(replace(run, measures=[*asked, *others]))
    return chosen


def runs_below(study: Study, tops: Sequence[Path] = (RESULTS,), scale: str = "mini") -> list[Run]:
    """The planned runs of a study that lie below TOP/SCALE."""
    folders = [top / scale / cell for top in tops for cell in study.cells]
    return of_study(study, find_runs([str(folder) for folder in folders if folder.is_dir()]))


def found_of(study: Study, runs: Sequence[Run], page: Page | None = None) -> Found:
    """The tables of a study's runs, with what a page reads besides."""
    stages = {name: cell.stages for name, cell in study.cells.items()}
    return Found(runs_table(runs), taught_table(runs, stages), study.planned, *([page.read(runs)] if page else []))


def text_of(page: Page, found: Found, question: str = "", made: str = "", drawn: bool = True) -> str:
    """The page. made: boards, models, machines and budget, in words; drawn: whether it has a figure."""
    judged = predictions(page, found)
    outcomes = [row["outcome"] for row in judged]
    counts = {word: outcomes.count(value) for word, value in (("held", True), ("failed", False), ("open", None))}
    words: dict[str, Any] = {
        "study": page.study, "paper": PAPERS[page.study], "found": found, "question": question, "judged": judged,
        "counts": counts, "theirs": page.theirs(found), "rows": cell_rows(page, found), "made": made, "drawn": drawn,
        "taught": len(found.taught[["cell", "seed"]].drop_duplicates()), "task": TASK, "answer": page.answer(found),
        "tables": {name: make(found) for name, make in page.sections.items()},
    }  # fmt: skip
    return filled("paper.md.j2", limits=CRITERIA.papers, planned=sum(map(len, found.planned.values())), **words)


def write_paper(page: Page, study: Study, out: Path, results: Path = RESULTS, scale: str = "mini") -> Path:
    """Write OUT/README.md and its figure from the runs of the study's cells below OUT/SCALE and RESULTS/SCALE."""
    runs = runs_below(study, (out, results), scale)
    found = found_of(study, runs, page)
    drawn = len(found.taught) + len(found.more) > 0
    if drawn:
        saved(page.figure(found), out / "figure.png")
    made = f"{setting(runs)} {budget(runs)}" if runs else ""
    write_whole(out / "README.md", text_of(page, found, study.question, made, drawn).encode())
    return out / "README.md"
