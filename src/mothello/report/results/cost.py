"""What the studies cost, from what every run and measurement wrote down."""

from collections.abc import Mapping, Sequence
from typing import Any

from mothello.report.results.markdown import table
from mothello.report.runs import Run

NOTE = (
    "Minutes of processes, of which as many ran side by side as the machine has cores. Runs that several studies share "
    "are counted in each of them."
)


def cost_table(studies: Mapping[str, Sequence[Run]]) -> str:
    """A row per study: runs, minutes of one part each, all minutes, memory. Runs shared by studies count in each."""
    head = [
        "study", "runs", "device", "threads a run", "training, minutes a run", "measures, minutes a run",
        "fine-tuning, minutes a run", "all, minutes", "most memory of a process, GB",
    ]  # fmt: skip
    rows = [_row(name, runs) for name, runs in studies.items() if runs]
    found = [run for runs in studies.values() for run in runs]
    trained = {str(run.path): float(run.results["seconds"]) for run in found}
    measured = {(str(run.path), x["folder"]): _seconds(x) for run in found for x in _measurements(run)}
    whole = sum(trained.values()) + sum(measured.values())
    return f"{table(head, rows)}\n\n{NOTE} Each counted once: {len(trained)} runs, {whole / 3600:.1f} hours."


def _measurements(run: Run) -> list[dict[str, Any]]:
    return [*run.probes, *run.states, *run.transfers]


def _seconds(measurement: Mapping[str, Any]) -> float:
    return float(measurement.get("seconds_all") or measurement.get("seconds") or 0)


def _row(name: str, runs: Sequence[Run]) -> list[object]:
    trained = [float(run.results["seconds"]) for run in runs]
    measured = [sum(_seconds(x) for x in (*run.probes, *run.states)) for run in runs]
    tuned = [sum(_seconds(x) for x in run.transfers) for run in runs]
    devices = sorted({str(run.results.get("device", "?")) for run in runs})
    threads = sorted({str(run.results.get("threads", "?")) for run in runs})
    found = [x.get("memory_gb") for run in runs for x in (run.results, *_measurements(run))]
    memory = max((float(x) for x in found if x is not None), default=None)
    each = [_range(values) if any(values) else "-" for values in (trained, measured, tuned)]
    whole = sum(trained) + sum(measured) + sum(tuned)
    return [
        name,
        len(runs),
        ", ".join(devices),
        ", ".join(threads),
        *each,
        f"{whole / 60:.0f}",
        "-" if memory is None else f"{memory:.1f}",
    ]


def _range(seconds: Sequence[float]) -> str:
    low, high = (value(seconds) / 60 for value in (min, max))
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"
