"""Proves: the numbers of a transfer curve, by hand."""

from mothello.measures.transfer.curve import curves, summary


def test_curves_take_evaluations_only() -> None:
    lines = [
        {"step": 0, "val/a/top1": 0.5, "val/b/top1": 0.4},
        {"step": 1, "train/loss": 2.0},
        {"step": 2, "val/a/top1": 0.9, "val/b/top1": 0.6},
    ]
    assert curves(lines, ["a", "b"]) == {"a": [0.5, 0.9], "b": [0.4, 0.6]}


def test_summary_by_hand() -> None:
    result = summary({"a": [0.5, 0.9], "b": [0.4, 0.7, 0.6]}, "a", ["a", "b"])
    assert result["a"] == {"before": 0.5, "after": 0.9, "peak": 0.9, "gain": 0.4, "forgetting": 0.0}
    assert result["b"]["peak"] == 0.7
    assert abs(result["b"]["forgetting"] - 0.1) < 1e-12
    assert abs(result["b"]["gain_ratio"] - 0.5) < 1e-12
    assert abs(result["b"]["relative_gap"] + 1 / 3) < 1e-12


def test_no_gain_of_the_source_has_no_ratio() -> None:
    assert summary({"a": [0.9, 0.9], "b": [0.5, 0.6]}, "a", ["a", "b"])["b"]["gain_ratio"] is None


def test_what_the_same_fine_tuning_reaches_from_scratch() -> None:
    curve, scratch = {"a": [0.5, 0.9], "b": [0.4, 0.6]}, {"a": [0.1, 0.7], "b": [0.1, 0.2]}
    result = summary(curve, "a", ["a", "b"], scratch)
    assert result["a"]["scratch"] == 0.7
    assert abs(result["b"]["over_scratch"] - 0.4) < 1e-12
