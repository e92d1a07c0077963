"""scripts/results.py: gather what finished runs measured, without their weights, and write results/README.md."""

import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mothello.cli.compose import composed
from mothello.cli.main import command
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import cells_of, names_of, part_of
from mothello.cli.units import size, table
from mothello.errors import UserError
from mothello.files import locked
from mothello.own import folder_for, refilled
from mothello.report.runs import Run, find_runs
from mothello.rundir import RunDir
from mothello.stages.measuring import measure_folder
from studies import RESULTS, align_mlm, emerging, factors, false_friends, first, question, realignment
from studies.page import write_results
from studies.paper import Page, write_paper
from studies.runs import Expected, Study, runs_of
from studies.scale import SCALES


@dataclass(kw_only=True)
class ResultsCommand:
    """scripts/results.py: gather finished runs without their weights, and write the page of results."""

    gather: list[str] = field(default_factory=list)
    """Folders of runs, named after their scale, to copy from first: runs/mini goes to OUT/mini."""
    out: str = ""
    """Folder of README.md, of the runs it is made from, and of its figures; by default results, or results/PAGE."""
    page: str = ""
    """A study with a page of its own, such as first: only its runs are copied."""
    dry_run: bool = False


LEFT_OUT = shutil.ignore_patterns("checkpoints", "*.safetensors", "wandb", "log.txt", ".part-*", ".*.lock")
SIGN = "`make results` writes this page"
"""What only README.md of this command holds."""
STUDIES = (
    "table1", "steering", "mirror_anchors", "anchor_placement", "many_languages", "emergence", *factors.HEADINGS,
    "finetune", "probes",
)  # fmt: skip
"""The studies of the page."""
OTHER_PAPERS: dict[str, Page] = {
    x.study: x for x in (emerging.PAGE, align_mlm.PAGE, false_friends.PAGE, realignment.PAGE)
}
"""Studies of other papers, each with a page of its own."""
PAGES: dict[str, tuple[Sequence[str], Callable[[Path], Path]]] = {
    "first": ((*first.CELLS, *first.BESIDE), first.write_first),
    "question": ((), question.write_question),
}
"""Pages of their own: names of the runs that are copied for them (none: all), and what writes them."""


def page_of(name: str) -> tuple[Sequence[str], Callable[[Path], Path]]:
    """Of PAGES, or the page of another paper, which takes its study."""
    if name not in OTHER_PAPERS:
        return PAGES[name]
    study = study_of(name, "mini")
    return tuple(study.cells), partial(write_paper, OTHER_PAPERS[name], study)


def gather(folder: Path, out: Path, names: Collection[str] = ()) -> int:
    """Copy every finished run below runs/SCALE, or those of these names, to OUT/SCALE, without its weights; returns how
    many. A copy is whole or not there."""
    runs, top = find_runs([str(folder)]), folder.resolve()
    runs = [run for run in runs if run.name in names or not names]
    for run in runs:
        inside = run.path.is_relative_to(top)  # else a link leads to it
        place = run.path.relative_to(top) if inside else Path(run.name, run.identity, f"seed{run.seed}")
        target = out / folder.name / place
        copy = RunDir(target)
        copy.check_own(force=True)
        with locked(target, "out"), refilled(target, list(copy.own()), "config.yaml") as part:
            shutil.copytree(run.path, part, ignore=left_out, dirs_exist_ok=True)
            _forget_place(part, str(place), f"runs/{folder.name}")
    return len(runs)


def _forget_place(copy: Path, place: str, usual: str) -> None:
    """Settings of a copy name the usual folder of runs, wherever they were made. place: of the run in that folder."""
    for path in copy.rglob("config.yaml"):
        text = path.read_text()
        made = set(re.findall(rf"(\S+)/{re.escape(place)}", text)) | set(re.findall(r"^runs: (\S+)$", text, re.M))
        for runs in sorted(made - {usual}, key=len, reverse=True):
            text = text.replace(f"{runs}/", f"{usual}/").replace(f"runs: {runs}\n", f"runs: {usual}\n")
        path.write_text(text)  # in a copy that takes its place as a whole


def left_out(folder: str, names: list[str]) -> set[str]:
    """Weights, locks and measurements that are still under way."""
    statuses = (Path(folder) / name / "status.json" for name in names)
    begun = {path.parent.name for path in statuses if path.exists() and not RunDir(path.parent).finished}
    return LEFT_OUT(folder, names) | begun


def expected(config: StudyCommand) -> dict[str, Expected]:
    """What the study asks of every cell, as the names of the folders that it would write."""
    cells = {}
    for cell in cells_of(config):
        part = part_of(config, cell, 0)
        run = RunDir(part.probe.run)
        probes = part.probe.probes  # type: ignore[attr-defined]
        configs = [probes, *part.measure.configs, *(x for x in part.probe.configs if x != probes)]
        names = [str(measure_folder(run, config).path.relative_to(run.path)) for config in configs]
        first = part.train.languages.language_names()[0]
        tuned = [(command.transfer.source or first, command.transfer) for command in part.transfers]
        cells[cell] = Expected(run.path.parent.name, names[0], names[1:], tuned, part.stages)
    return cells


def study_of(name: str, scale: str, *changes: str) -> Study:
    """A study of a page, from its file. changes: overrides of the command line that trained its runs."""
    config = composed("study", StudyCommand, [f"+study={name}", f"scale={scale}", *changes])
    planned: dict[str, list[int]] = {cell: [] for cell in cells_of(config)}
    for cell, seed in names_of(config):
        planned[cell].append(seed)
    return Study(name, config.question, expected(config), planned)


def study_runs(name: str, scale: str = "mini", out: Path = RESULTS) -> list[Run]:
    """The committed runs of a study, with the measurements that it asks for: what notebooks read."""
    return runs_of(study_of(name, scale), find_runs([str(out / scale)]))


def strays(out: Path, studies: Mapping[str, Sequence[Study]]) -> list[Path]:
    """Runs below OUT that no study asks for, such as those of another budget: they are on no page."""
    paths = []
    for scale, asked in studies.items():
        wanted = {(name, cell.train) for study in asked for name, cell in study.cells.items()}
        runs = find_runs([str(out / scale)])
        runs = [run for run in runs if (run.config.get("tracking") or {}).get("group") not in OTHER_PAPERS]
        paths += [run.path for run in runs if (run.name, run.path.parent.name) not in wanted]
    return paths


def results(config: ResultsCommand) -> Path:
    """Gather and write the page; returns its path."""
    if config.page and config.page not in (*PAGES, *OTHER_PAPERS):
        choices = ", ".join((*PAGES, *OTHER_PAPERS))
        raise UserError(f"page: {config.page!r} has no page of its own; choices: {choices}")
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
    names, write = page_of(config.page) if config.page else ((), None)
    count = sum(gather(folder, out, names) for folder in folders)
    if folders:
        print(f"{count} runs copied to {out}", flush=True)
    if write is not None:
        page = write(out)
        print(f"results: {page.resolve()}", flush=True)
        return page
    studies = {
        scale: [study_of(name, scale) for name in tqdm(STUDIES, desc=f"studies at {scale}", unit="study", delay=1)]
        for scale in SCALES
        if (out / scale).is_dir()
    }
    for path in strays(out, studies):
        print(f"left out, since no study asks for it: {path}", flush=True)
    page = write_results(out, studies)
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
