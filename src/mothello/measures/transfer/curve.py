"""Numbers of a transfer curve: before, after, peak, and what the target gained relative to the source."""

from collections.abc import Mapping, Sequence
from typing import Any


def curves(lines: Sequence[Mapping[str, float]], names: Sequence[str], metric: str = "top1") -> dict[str, list[float]]:
    """Metric lines of a fine-tuning -> the value of every language at every evaluation; nothing where it was not
    watched, as the answers in the source's tokens before they were."""
    evaluated = [line for line in lines if f"val/{names[0]}/{metric}" in line]
    return {name: [line[f"val/{name}/{metric}"] for line in evaluated] for name in names if evaluated}


def summary(
    curve: Mapping[str, Sequence[float]], source: str, names: Sequence[str],
    scratch: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Per language: before, after, peak, gain, and forgetting (peak less after).

    For targets also the relative gap (m_B - m_A) / m_A after fine-tuning and the transfer ratio gain_B / gain_A (None
    when the source gained nothing). scratch: the curves of the same fine-tuning from random weights; then also what it
    reached and how far above that the language ended.
    """
    result: dict[str, dict[str, Any]] = {}
    gain_source = curve[source][-1] - curve[source][0]
    for name in names:
        values = curve[name]
        row: dict[str, Any] = {"before": values[0], "after": values[-1], "peak": max(values)}
        row["gain"] = values[-1] - values[0]
        row["forgetting"] = max(values) - values[-1]
        if name != source:
            row["relative_gap"] = (values[-1] - curve[source][-1]) / curve[source][-1] if curve[source][-1] else None
            row["gain_ratio"] = row["gain"] / gain_source if gain_source > 0 else None
        if scratch is not None:
            row["scratch"] = scratch[name][-1]
            row["over_scratch"] = values[-1] - scratch[name][-1]
        result[name] = row
    return result
