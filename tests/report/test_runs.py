"""Proves that run folders are found once, skipped with a word when unusable, and tabulated as they are."""

import json
import logging
from pathlib import Path

import pytest
from report.folders import add_probe, add_run, add_transfer

from mothello.report import tables
from mothello.report.regimes import by_regime, role
from mothello.report.runs import find_runs
from mothello.rundir import RunDir


def test_runs_are_found_at_any_depth_sorted_and_once(tmp_path: Path) -> None:
    b, a = add_run(tmp_path, "unified", output="unified"), add_run(tmp_path, "naive")
    add_transfer(a)
    add_probe(a, 0.9, 0.5)
    found = find_runs([str(tmp_path), str(a.path), str(tmp_path / "naive")])
    assert [run.path for run in found] == [a.path.resolve(), b.path.resolve()]
    assert len(found[0].probes) == len(found[0].transfers) == 1
    assert found[1].probe is None


@pytest.mark.parametrize(
    ("file", "content"),
    [("status.json", '{"status": "failed"}'), ("results.json", "{"), ("results.json", "[]"), ("config.yaml", "- 1")],
)
def test_an_unusable_run_is_skipped_with_the_name_of_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, content: str
) -> None:
    good, bad = add_run(tmp_path, "naive"), add_run(tmp_path, "anchor", count=2)
    (bad.path / file).write_text(content)
    with caplog.at_level(logging.WARNING):
        found = find_runs([str(tmp_path)])
    assert [run.path for run in found] == [good.path.resolve()]
    assert str(bad.path.resolve() / file) in caplog.text


def test_a_missing_folder_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_runs([str(tmp_path / "nowhere")]) == []
    assert "nowhere" in caplog.text


def test_results_of_another_kind_or_version_are_not_runs(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    content = json.loads((folder.path / "results.json").read_text())
    for change in ({"kind": "probe"}, {"version": 99}):
        (folder.path / "results.json").write_text(json.dumps(content | change))
        assert find_runs([str(tmp_path)]) == []


def test_an_unfinished_measurement_is_left_out_and_its_run_kept(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    add_probe(folder, 0.9, 0.5, games=100)
    add_probe(folder, 0.8, 0.5, games=300)
    RunDir(folder.path / "measures" / "probe-00000300").write_status("running")
    (run,) = find_runs([str(tmp_path)])
    assert run.probe is not None
    assert run.probe["games"] == 100


def test_the_probe_scored_on_most_games_is_shown(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    for games in (300, 100):
        add_probe(folder, 0.9, 0.5, games=games)
    (run,) = find_runs([str(tmp_path)])
    assert run.probe is not None
    assert run.probe["games"] == 300


def test_tables_hold_the_numbers_of_the_folders(tmp_path: Path) -> None:
    folder = add_run(tmp_path, top1=0.93)
    add_probe(folder, 0.9, 0.55, best=0.7)
    add_transfer(folder)
    runs = find_runs([str(tmp_path)])
    training = tables.training_table(runs)
    assert training["games"].tolist() == [0, 500, 1000]
    assert training["val/top1"].tolist() == [0.1, 0.7, 0.93]
    legality = tables.legality_table(runs)
    assert legality[["language", "top1", "chance"]].to_numpy().tolist() == [
        ["atomic_0", 0.93, 0.4],
        ["atomic_1", 0.93, 0.4],
    ]
    assert len(tables.ply_table(runs)) == 2 * 3, "plies without a scored position are left out"
    rows = tables.alignment_table(runs).query("probe == 'mlp' and target == 'absolute' and layer == 1")
    cross = rows[(rows.source == "atomic_0") & (rows.language == "atomic_1")].set_index("map")
    assert cross.accuracy.to_dict() == {"identity": 0.55, "rot180": 0.45, "main": 0.7, "anti": 0.45}
    assert set(cross.best_map) == {"main"}
    assert set(cross.best_accuracy) == {0.7}
    assert set(cross.random_weights) == {0.62}
    assert cross.headline.all()
    transfer = tables.transfer_table(runs).query("language == 'atomic_1'")
    assert transfer.top1.tolist() == [0.5, 0.8, 0.7]
    assert transfer.lenient.tolist() == pytest.approx([0.6, 0.65, 0.7])


def test_tables_of_no_runs_are_empty_and_keep_their_columns() -> None:
    for function in (tables.training_table, tables.legality_table, tables.alignment_table, tables.transfer_table):
        table = function([])
        assert table.empty
        assert "regime" in table


def test_regimes_come_from_the_config_and_two_configurations_are_never_averaged(tmp_path: Path) -> None:
    add_run(tmp_path, "b", output="unified")
    add_run(tmp_path, "c", count=2)
    for identity in ("one", "two"):
        for seed in (0, 1):
            add_run(tmp_path, "a", seed, identity=identity)
    groups = by_regime(find_runs([str(tmp_path)]))
    assert list(groups) == ["a one", "a two", "c", "b"]
    assert [role(runs[0]) for runs in groups.values()] == ["naive", "naive", "anchor", "unified"]
    assert [run.seed for run in groups["a one"]] == [0, 1]
