"""scripts/results.py: gather what finished runs measured, without their weights, and write results/README.md."""

import shutil
from pathlib import Path

from mothello.analysis.results_page import Study, write_results
from mothello.analysis.runs import find_runs
from mothello.commands.cost_table import size, table
from mothello.commands.entry import command, folder_for
from mothello.commands.study_plan import cells_of, composed
from mothello.config import ConfigError, ResultsCommand, StudyCommand

LEFT_OUT = ("checkpoints", "wandb", "log.txt", ".part-*")
STUDIES = ("table1", "mirror_anchors", "anchor_placement", "many_languages", "emergence", "finetune", "probes")
"""The studies of the page."""


def gather(folders: list[str], out: Path) -> list[Path]:
    """Copy every finished run below FOLDER to OUT/(name of FOLDER)/..., without weights; returns the copies."""
    copies = []
    for text in folders:
        top = Path(text).resolve()
        for run in find_runs([str(top)]):
            target = out / top.name / run.path.relative_to(top)
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(run.path, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
            copies.append(target)
    return copies


def described() -> list[Study]:
    """The studies of the page, from their files."""
    found = []
    for name in STUDIES:
        config = composed("study", StudyCommand, [f"+study={name}"])
        found.append(Study(name, config.question, list(cells_of(config))))
    return found


def results(config: ResultsCommand) -> Path:
    """Gather and write the page; returns its path."""
    for text in config.gather:
        if not Path(text).is_dir():
            raise ConfigError(f"gather: {text} is no folder")
    out = folder_for(config.out)
    if config.dry_run:
        print(_costs(config), flush=True)
        return out / "README.md"
    copies = gather(config.gather, out)
    if copies:
        print(f"{len(copies)} runs copied to {out}", flush=True)
    page = write_results(out, described())
    print(f"results: {page.resolve()}", flush=True)
    return page


def _costs(config: ResultsCommand) -> str:
    runs = [run for text in config.gather for run in find_runs([text])]
    files = [path for run in runs for path in run.path.rglob("*") if path.is_file() and "checkpoints" not in path.parts]
    rows = {
        "runs": f"{len(runs)} finished, to be copied without their weights",
        "disk": f"about {size(sum(path.stat().st_size for path in files))}",
        "minutes": "less than 1",
        "folder": f"{config.out}, with the page {Path(config.out) / 'README.md'}",
    }
    return table(rows)


main = command("results", ResultsCommand, results)
