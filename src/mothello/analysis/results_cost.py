"""What the studies cost, from what every run and measurement wrote down."""

from collections.abc import Mapping, Sequence

from mothello.analysis.markdown import table
from mothello.analysis.runs import Run


def cost_table(studies: Mapping[str, Sequence[Run]]) -> str:
    """A row per study: runs, minutes of one part each, all minutes, memory. Runs shared by studies count in each."""
    head = [
        "study", "runs", "device", "threads a run", "training, minutes a run", "measures, minutes a run",
        "fine-tuning, minutes a run", "all, minutes", "most memory of a process, GB",
    ]  # fmt: skip
    rows = [_row(name, runs) for name, runs in studies.items() if runs]
    return table(head, rows)


def _row(name: str, runs: Sequence[Run]) -> list[object]:
    trained = [float(run.results["seconds"]) for run in runs]
    measured = [sum(float(x.get("seconds") or 0) for x in (*run.probes, *run.states)) for run in runs]
    tuned = [sum(_tuning(x) for x in run.transfers) for run in runs]
    devices = sorted({str(run.results.get("device", "?")) for run in runs})
    threads = sorted({str(run.results.get("threads", "?")) for run in runs})
    found = [x.get("memory_gb") for run in runs for x in (run.results, *run.probes, *run.states, *run.transfers)]
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


def _tuning(transfer: Mapping[str, object]) -> float:
    return float(transfer.get("seconds_all") or transfer.get("seconds") or 0)  # type: ignore[arg-type]


def _range(seconds: Sequence[float]) -> str:
    low, high = (value(seconds) / 60 for value in (min, max))
    return f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"
