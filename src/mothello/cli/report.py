"""scripts/report.py: one self-contained page over any set of run folders, and its numbers as one table."""

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from mothello.cli.main import command
from mothello.cli.units import counted, minutes, size, table
from mothello.errors import UserError
from mothello.own import folder_for
from mothello.report.begun import begun_runs
from mothello.report.page import FILES, SIGN, render, write_report
from mothello.report.runs import find_runs


@dataclass(kw_only=True)
class ReportCommand:
    """scripts/report.py: one page over any set of run folders."""

    runs: list[str] = field(default_factory=lambda: ["runs"])
    """Run folders, or folders that hold some at any depth."""
    out: str = "report"
    """Folder of index.html and table.csv.gz."""
    title: str = "mothello"
    """The page's title."""
    dry_run: bool = False
    """Make the page without writing it."""


def report(config: ReportCommand) -> Path:
    """Write OUT/index.html and OUT/table.csv.gz; returns the page's path."""
    missing = [path for path in config.runs if not Path(path).exists()]
    if missing:
        raise UserError(f"runs: {missing[0]} does not exist")
    page = folder_for(config.out, FILES, SIGN) / FILES[0]
    begun = begun_runs(config.runs)
    runs = [*find_runs(config.runs, [run.path for run in begun]), *begun]
    if not runs:
        raise UserError(f"runs: no run with an evaluation in {', '.join(config.runs) or 'an empty list'}")
    if config.dry_run:
        start = perf_counter()
        text, seconds = render(runs, config.title), perf_counter() - start
        rows = {
            "runs": f"{len(runs) - len(begun):,} finished{f', {len(begun):,} not' * bool(begun)}",
            "disk": f"{size(len(text))}, and the table",
            "minutes": f"{minutes(seconds)} (made once just now, and not written)",
            "folder": f"{config.out}{' (its page would be replaced)' if page.exists() else ''}",
        }
        print(table(rows), flush=True)
        return page
    page = write_report(runs, Path(config.out), config.title)
    print(f"report of {counted(len(runs), 'run')}: {page.resolve()}", flush=True)
    return page


main = command("report", ReportCommand, report)
