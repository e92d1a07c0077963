"""Proves: the headline is the mean that the rows say, at the layer that reads best below the last; kinds, aligned pairs,
their maps and classes are counted from the pairs; what was not measured is None; rows that are no part of it change nothing."""

import sys
from subprocess import run
from typing import Any

import pandas as pd
import pytest

from mothello.measures.probes.headline import headline, headlines, kinds, languages, preferred
from mothello.measures.probes.verdict import KINDS
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import COLUMNS, WORDS

Row = dict[str, Any]
OWN = {0: 0.6, 1: 0.9, 2: 0.7, 3: 0.95}
"""The last layer reads best and does not count."""


def table(rows: list[Row]) -> pd.DataFrame:
    whole = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return whole.assign(**{name: whole[name].fillna("") for name in WORDS})


def made(
    names: list[str], aligned: dict[tuple[str, str], str], probe: str = "mlp", target: str = "absolute"
) -> list[Row]:
    """Rows of four layers; aligned: the winning map of every pair that is, at layer 1."""
    rows: list[Row] = [{"quantity": "accuracy", "control": "constant", "target": target, "value": 0.61}]
    rows.append({"quantity": "accuracy", "control": "constant", "target": target, "ply": 3, "value": 0.1})
    rows.append({"quantity": "accuracy", "control": "orbit", "target": target, "value": 0.73})
    for layer, own in OWN.items():
        head = {"control": "trained", "probe": probe, "target": target, "layer": layer}
        rows.append(head | {"quantity": "own", "value": own, "low": own - 0.01, "high": own + 0.01})
        rows.append(head | {"quantity": "own", "control": "random_weights", "value": 0.5 + layer / 100})
        if len(names) > 1:
            values = {"across": own - 0.3, "across_best_map": own - 0.1, "loss_across": 0.3}
            rows += [head | {"quantity": name, "value": value} for name, value in values.items()]
        for source in names:
            for language in names:
                pair = head | {"source": source, "language": language}
                whole = 0.4 if source == language else 0.0
                rows.append(pair | {"quantity": "whole_board", "map": "identity", "value": whole + layer / 10})
                won = "identity" if source == language else aligned.get((source, language)) if layer == 1 else None
                for name in OPENING_MAPS:
                    value = own if source == language else 0.883
                    rows.append(pair | {"quantity": "accuracy", "map": name, "value": value if name == won else 0.5})
                rows.append(pair | {"quantity": "accuracy", "map": "identity", "square": "a1", "value": 0.123})
    return [{"measure": "probe"} | row for row in rows]


def test_by_hand() -> None:
    both = {("A", "B"): "main", ("B", "A"): "main"}
    head = headline(table(made(["A", "B"], both)), "mlp", "absolute")
    assert (head.layer, head.own, head.constant, head.orbit) == (1, 0.9, 0.61, 0.73)
    assert (head.across, head.across_best_map, head.loss_across) == pytest.approx((0.6, 0.8, 0.3))
    assert (head.random_weights, head.shuffled, head.recovered) == (0.51, None, pytest.approx(0.9))
    assert head.whole_board == pytest.approx(0.5)
    assert (head.pairs, head.aligned_pairs) == (2, 2)
    assert head.kinds == dict.fromkeys(KINDS, 0) | {"one map": 2}
    assert head.maps == dict.fromkeys(OPENING_MAPS, 0) | {"main": 2}
    assert head.classes is not None
    assert (head.classes.component, head.classes.map, head.classes.consistency) == ([0, 0], [0, 2], 1.0)
    assert head.intervals == {"own": (pytest.approx(0.89), pytest.approx(0.91))}


def test_pairs_that_are_not_aligned_do_not_count_and_one_way_binds_nothing() -> None:
    head = headline(table(made(["A", "B", "C"], {("A", "C"): "identity"})), "mlp", "absolute")
    assert (head.pairs, head.aligned_pairs) == (6, 1)
    assert head.kinds == dict.fromkeys(KINDS, 0) | {"one map": 1, "none": 5}
    assert head.maps == {"identity": 1, "rot180": 0, "main": 0, "anti": 0}
    assert head.classes is not None
    assert head.classes.component == [0, 1, 2]
    assert head.classes.consistency == 0.0


def test_one_language_has_no_pairs() -> None:
    head = headline(table(made(["A"], {})), "mlp", "absolute")
    assert head.own == 0.9
    assert (head.across, head.pairs, head.maps, head.classes, head.kinds, head.recovered) == (None,) * 6


def test_each_kind_has_its_own_and_mlp_on_absolute_colors_is_preferred() -> None:
    rows = made(["A", "B"], {}, "linear", "relative") + made(["A", "B"], {}, "mlp", "relative")
    whole = table(rows)
    assert kinds(whole) == [("linear", "relative"), ("mlp", "relative")]
    assert preferred(whole) == ("mlp", "relative")
    assert list(headlines(whole)) == ["linear/relative", "mlp/relative"]
    assert languages(whole) == ["A", "B"]
    more = table([*rows, *made(["A", "B"], {}, "linear", "absolute"), *made(["A", "B"], {})])
    assert preferred(more) == ("mlp", "absolute")
    with pytest.raises(ValueError, match="linear/absolute was not measured"):
        headline(whole, "linear", "absolute")
    with pytest.raises(ValueError, match="no probe"):
        preferred(whole.iloc[:0])


def test_other_measures_and_controls_change_nothing() -> None:
    rows = made(["A", "B"], {("A", "B"): "anti"})
    foreign = [row | {"measure": "alignment", "value": 0.0} for row in rows]
    random = [row | {"control": "random_weights"} for row in rows if row["quantity"] in ("across", "whole_board")]
    assert headline(table([*rows, *foreign, *random]), "mlp", "absolute") == headline(table(rows), "mlp", "absolute")


def test_without_torch() -> None:
    code = "import sys, mothello.measures.probes.headline; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
