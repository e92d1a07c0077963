"""scripts/report.py: one self-contained page and CSV tables over any set of run folders."""

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from mothello.cli.main import command
from mothello.cli.units import minutes, size, table
from mothello.errors import UserError
from mothello.report.material import gather
from mothello.report.report import page_of, write_report
from mothello.report.runs import Run, find_runs


@dataclass(kw_only=True)
class ReportCommand:
    """scripts/report.py: one page over any set of run folders."""

    runs: list[str] = field(default_factory=lambda: ["runs"])
    """Run folders, or folders that hold some at any depth."""
    out: str = "report"
    """Folder of index.html and the tables."""
    title: str = "mothello"
    dry_run: bool = False


def _dry(runs: list[Run], config: ReportCommand) -> Path:
    """The page is made, timed and thrown away."""
    begun, out = perf_counter(), Path(config.out)
    page = page_of(gather(runs), config.title, "", [])
    rows = {
        "runs": f"{len(runs):,} finished",
        "disk": f"{size(len(page))}, and the tables",
        "minutes": f"{minutes(perf_counter() - begun)} (made once just now, and not written)",
        "folder": f"{out}{' (there already: its page would be replaced)' if (out / 'index.html').exists() else ''}",
    }
    print(table(rows), flush=True)
    return out / "index.html"


def report(config: ReportCommand) -> Path:
    """Write OUT/index.html and OUT/*.csv; returns the page's path."""
    missing = [path for path in config.runs if not Path(path).exists()]
    if missing:
        raise UserError(f"runs: {missing[0]} does not exist")
    runs = find_runs(config.runs)
    if not runs:
        raise UserError(f"runs: no finished run in {', '.join(config.runs) or 'an empty list'}")
    if config.dry_run:
        return _dry(runs, config)
    page = write_report(runs, Path(config.out), config.title)
    print(f"report: {page.resolve()}", flush=True)
    return page


main = command("report", ReportCommand, report)
