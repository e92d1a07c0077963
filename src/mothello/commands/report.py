"""scripts/report.py: one self-contained page and CSV tables over any set of run folders."""

from pathlib import Path

from mothello.analysis.report import write_report
from mothello.analysis.runs import find_runs
from mothello.commands.entry import command
from mothello.config import ConfigError, ReportCommand


def report(config: ReportCommand) -> Path:
    """Write OUT/index.html and OUT/*.csv; returns the page's path."""
    missing = [path for path in config.runs if not Path(path).exists()]
    if missing:
        raise ConfigError(f"runs: {missing[0]} does not exist")
    runs = find_runs(config.runs)
    if not runs:
        raise ConfigError(f"runs: no finished run in {', '.join(config.runs) or 'an empty list'}")
    page = write_report(runs, Path(config.out), config.title)
    print(f"report: {page.resolve()}", flush=True)
    return page


main = command("report", ReportCommand, report)
