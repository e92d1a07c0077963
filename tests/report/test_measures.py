"""Proves: what is measured without probes, and interventions, reach the page with the numbers that are in the tables; a tidy
table comes back as it was written, is the same bytes for the same rows, and one that is damaged is named."""

from pathlib import Path

import pandas as pd
import pytest
from report import folders

from mothello.report import measure_figures
from mothello.report.material import gather
from mothello.report.measure_sections import causal_section, exact_section, state_section
from mothello.report.report import write_report
from mothello.report.runs import find_runs
from mothello.rows import COLUMNS, FILE, QUANTITIES, all_tables, read_tidy, write_tidy

ROW = {"measure": "probe", "quantity": "accuracy", "control": "trained", "layer": 1, "value": 0.123456789, "n": 4}


def _runs(root: Path, seeds: int = 2) -> list[folders.RunDir]:
    made = []
    for seed in range(seeds):
        folder = folders.add_run(root, seed=seed)
        folders.add_probe(folder, own=0.9, cross=0.55, causal=True)
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
    assert table.value.tolist() == [0.123457, 0.123457]
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


def test_a_measurement_with_a_damaged_table_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder,) = _runs(tmp_path, seeds=1)
    next(folder.path.glob(f"measures/probe-*/{FILE}")).write_bytes(b"")
    (run,) = find_runs([str(tmp_path)])
    assert run.probe is None
    assert FILE in caplog.text
    assert set(run.tidy.measure) == {"training", "legality", "alignment", "embedding"}


def test_all_tables_of_a_run(tmp_path: Path) -> None:
    (folder,) = _runs(tmp_path, seeds=1)
    table = all_tables(folder.path)
    assert {name.split("-")[0] for name in table.folder} == {".", "measures/probe", "measures/states"}
    assert all_tables(tmp_path / "nothing").empty
    trained = table[(table.measure == "training") & (table.quantity == "top1") & (table.control == "trained")]
    assert trained[trained.language == ""].value.tolist() == [0.1, 0.7, 0.9]
    assert trained[trained.language == "atomic_1"].step.tolist() == [0, 50, 100]
    assert set(table.quantity) <= set(QUANTITIES)


def test_the_sections_say_what_the_tables_hold(tmp_path: Path) -> None:
    _runs(tmp_path)
    material = gather(find_runs([str(tmp_path)]))
    exact = exact_section(material)
    assert exact.count("0.900") == 12  # six columns of two languages
    assert exact.count("0.400") == 2  # chance
    states = state_section(material)
    assert "0.500" in states  # the same move: mean of .4 and .6 over seeds
    assert "1.000" in states  # under the best map it is twice that
    assert "<img" in causal_section(material)
    write_report(find_runs([str(tmp_path)]), tmp_path / "page", "t")
    page = (tmp_path / "page" / "index.html").read_text()
    for heading in ("Exact legality", "Alignment without probes", "Interventions"):
        assert heading in page
    assert set(pd.read_csv(tmp_path / "page" / "tidy.csv").measure) >= {"probe", "causal", "alignment"}


def test_curves_of_states_and_errors(tmp_path: Path) -> None:
    _runs(tmp_path)
    tidy = gather(find_runs([str(tmp_path)])).tidy
    drawn = measure_figures.state_curves(tidy)
    lines = [line for line in drawn.axes[0].get_lines() if line.get_label() == "naive"]
    assert lines[0].get_ydata().tolist() == pytest.approx([0.1, 0.5, 0.1])
    errors = measure_figures.causal_curves(tidy)
    heights = {float(line.get_ydata()[0]) for line in errors.axes[0].get_lines() if len(line.get_ydata())}
    assert {1.0, 2.0, 3.0, 4.0, 0.5} <= heights


def test_sections_are_left_out_where_nothing_was_measured(tmp_path: Path) -> None:
    folders.add_probe(folders.add_run(tmp_path), own=0.9, cross=0.55)
    material = gather(find_runs([str(tmp_path)]))
    assert not exact_section(material)
    assert not state_section(material)
    assert not causal_section(material)


def test_the_documentation_names_every_column_and_quantity() -> None:
    text = (Path(__file__).parents[2] / "docs" / "measurements.md").read_text()
    for name, meaning in (COLUMNS | QUANTITIES).items():
        assert f"| `{name}` | {meaning} |" in text
