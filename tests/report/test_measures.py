"""Proves: what is measured without probes, and interventions, reach the page with the numbers that are in the tables; a tidy
table comes back as it was written, is the same bytes for the same rows, and one that is damaged is named."""

from pathlib import Path

import pytest
from report import made as folders

from mothello.report import measure_figures
from mothello.report.page import render
from mothello.report.runs import find_runs
from mothello.report.sections import causal, exact, states
from mothello.report.table import table_of
from mothello.rows import COLUMNS, FILE, QUANTITIES, all_tables, read_tidy, write_tidy

ROW = {"measure": "probe", "quantity": "accuracy", "control": "trained", "layer": 1, "value": 0.123456789, "n": 4}


def _runs(root: Path, seeds: int = 2) -> list[folders.RunDir]:
    made = []
    for seed in range(seeds):
        folder = folders.add_run(root, seed=seed)
        folders.add_probe(folder, own=0.9, across=0.55, causal=True)
        folders.add_states(folder, near=0.4 + 0.2 * seed, top1=0.9)
        made.append(folder)
    return made


def test_a_tidy_table_comes_back(tmp_path: Path) -> None:
    write_tidy(
        tmp_path, [ROW, ROW | {"map": "main", "square": "c3", "ply": 3, "low": 0.1, "high": 0.2, "control": "null"}]
    )
    table = read_tidy(tmp_path)
    assert list(table) == list(COLUMNS)
    assert table.control.tolist() == ["trained", "null"]  # a word, not a missing number
    assert table.value.tolist() == [0.123456789, 0.123456789]
    assert table["map"].tolist() == ["", "main"]
    assert table.ply.isna().tolist() == [True, False]
    first = (tmp_path / FILE).read_bytes()
    write_tidy(
        tmp_path, [ROW, ROW | {"map": "main", "square": "c3", "ply": 3, "low": 0.1, "high": 0.2, "control": "null"}]
    )
    assert (tmp_path / FILE).read_bytes() == first


def test_every_number_is_documented(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="surprise is not documented"):
        write_tidy(tmp_path, [ROW | {"quantity": "surprise"}])
    assert all(COLUMNS.values())
    assert all(QUANTITIES.values())


@pytest.mark.parametrize("content", [b"", b"no gzip", b"\x1f\x8b broken"])
def test_a_damaged_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=FILE):
        read_tidy(tmp_path)


def test_all_tables_of_a_run(tmp_path: Path) -> None:
    (folder,) = _runs(tmp_path, seeds=1)
    table = all_tables(folder.path)
    assert {name.split("-")[0] for name in table.folder} == {
        ".",
        "measures/probes",
        "measures/causal",
        "measures/legality",
        "measures/alignment",
    }
    assert all_tables(tmp_path / "nothing").empty
    trained = table[(table.measure == "training") & (table.quantity == "top1") & (table.control == "trained")]
    assert trained[trained.language == ""].value.tolist() == [0.1, 0.7, 0.9]
    assert trained[trained.language == "atomic_1"].step.tolist() == [0, 50, 100]
    assert set(table.quantity) <= set(QUANTITIES)


def test_the_sections_say_what_the_tables_hold(tmp_path: Path) -> None:
    _runs(tmp_path)
    runs = find_runs([str(tmp_path)])
    rows = table_of(runs)
    text = exact(rows)["exact"]
    assert text.count("0.900") == 8  # four columns of two languages
    assert text.count("0.400") == 2  # chance
    embeddings = states(rows)["embeddings"]
    assert "0.500" in embeddings  # the same move: mean of .4 and .6 over seeds
    assert "1.000" in embeddings  # under the best map it is twice that
    assert ["<svg" in panel.image for panel in causal(rows)["causal"]] == [True]
    page = render(runs, "t", table=rows)
    for heading in ("Exact legality", "Alignment without probes", "Interventions"):
        assert heading in page


def test_curves_of_states_and_errors(tmp_path: Path) -> None:
    _runs(tmp_path)
    rows = table_of(find_runs([str(tmp_path)]))
    drawn = measure_figures.state_curves(rows)
    lines = [line for line in drawn.axes[0].get_lines() if line.get_label() == "naive"]
    assert lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.5, 0.1])
    errors = measure_figures.causal_curves(rows)
    heights = {float(line.get_ydata()[0]) for line in errors.axes[0].get_lines() if len(line.get_ydata())}
    assert {1.0, 2.0, 3.0, 4.0, 0.5} <= heights


def test_sections_are_empty_where_nothing_was_measured(tmp_path: Path) -> None:
    folders.add_probe(folders.add_run(tmp_path), own=0.9, across=0.55)
    rows = table_of(find_runs([str(tmp_path)]))
    assert not exact(rows)["exact"]
    assert not states(rows)
    assert not causal(rows)
