"""scripts/results.py: gather what finished runs measured, without their weights, and write results/README.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from mothello.cli.main import command
from mothello.cli.units import size, table
from mothello.errors import UserError
from mothello.own import folder_for
from mothello.report.runs import find_runs
from studies.asked import study_of
from studies.copies import gather
from studies.page import Runs, runs_below, write_results
from studies.pages import LAST, OTHER_PAPERS, PAGES
from studies.runs import Study, group_of
from studies.scale import SCALES
from studies.sections import SECTIONS


@dataclass(kw_only=True)
class ResultsCommand:
    """scripts/results.py: gather finished runs without their weights, and write the page of results."""

    gather: list[str] = field(default_factory=list)
    """Folders of runs, named after their scale, to copy from first: runs/mini goes to OUT/mini."""
    out: str = ""
    """Folder of README.md, of the runs it is made from, and of its figures; by default results, or results/PAGE."""
    page: str = ""
    """A page of its own, such as first: only its runs are copied. all: every page, from the runs that are there."""
    dry_run: bool = False


SIGN = "`make results` writes this page"
"""What only README.md of this command holds."""
STUDIES = tuple(SECTIONS)
"""The studies of the page."""
ALL = "all"


def strays(runs: Runs, studies: Mapping[str, Sequence[Study]]) -> list[Path]:
    """Runs that no study of their scale asks for, such as those of another budget: they are on no page."""
    paths = []
    for scale, asked in studies.items():
        wanted = {(name, cell.train) for study in asked for name, cell in study.cells.items()}
        mine = [run for run in runs[scale] if group_of(run) not in OTHER_PAPERS]
        paths += [run.path for run in mine if (run.name, run.path.parent.name) not in wanted]
    return paths


def results(config: ResultsCommand) -> Path:
    """Gather and write the page; returns its path."""
    if config.page == ALL:
        if config.gather or config.out:
            raise UserError(f"page={ALL} rewrites every page; gather and out belong to one page")
        pages = [results(replace(config, page=name)) for name in (*sorted(PAGES, key=lambda name: name == LAST), "")]
        return pages[-1]
    if config.page and config.page not in PAGES:
        raise UserError(f"page: {config.page!r} has no page of its own; choices: {', '.join((*PAGES, ALL))}")
    usual = f"results/{config.page}" if config.page else "results"
    out, folders = folder_for(config.out or usual, ["README.md"], SIGN), [Path(text) for text in config.gather]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"gather: {folder} is no folder")
        if folder.name not in SCALES:
            raise UserError(f"gather: {folder} is not named after a scale ({', '.join(SCALES)}), such as runs/mini")
        if out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise UserError(f"gather: {folder} is inside {out}, where copies go")
    if config.dry_run:
        print(_costs(folders, out), flush=True)
        return out / "README.md"
    beside = PAGES[config.page] if config.page else None
    if folders and beside and beside.names is None:
        raise UserError(f"gather: page={config.page} shows what is in {out}; runs are not copied there")
    names = beside.names() if folders and beside and beside.names else ()
    count = sum(gather(folder, out, names) for folder in folders)
    if folders:
        print(f"{count} runs copied to {out}", flush=True)
    if beside is not None:
        page = beside.write(out)
        print(f"results: {page.resolve()}", flush=True)
        return page
    runs = runs_below(out)
    studies = {
        scale: [study_of(name, scale) for name in tqdm(STUDIES, desc=f"studies at {scale}", unit="study", delay=1)]
        for scale in runs
    }
    for path in strays(runs, studies):
        print(f"left out, since no study asks for it: {path}", flush=True)
    page = write_results(out, runs, studies, {name: beside.title for name, beside in PAGES.items()})
    print(f"results: {page.resolve()}", flush=True)
    return page


def _costs(folders: Sequence[Path], out: Path) -> str:
    runs = [run for folder in folders for run in find_runs([str(folder)])]
    files = [path for run in runs for path in run.path.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
    rows = {
        "runs": f"{len(runs)} finished, to be copied without their weights",
        "disk": f"about {size(sum(path.stat().st_size for path in files))}",
        "minutes": "less than 1",
        "page": str(out / "README.md"),
        "folder": str(out),
    }
    return table(rows)


main = command("results", ResultsCommand, results)
