"""Proves that run folders are found once, skipped with a word when unusable, and are queried as they are."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from report.made import add_finetuning, add_measure, add_probe, add_run, add_states

from mothello.report import table
from mothello.report.begun import begun_runs
from mothello.report.runs import find_runs
from mothello.report.sharing import by_label, n_anchors, sharing_of
from mothello.rows import FILE
from mothello.rundir import RunDir


def test_runs_are_found_at_any_depth_sorted_and_once(tmp_path: Path) -> None:
    b, a = add_run(tmp_path, "unified", output="unified"), add_run(tmp_path, "naive")
    add_finetuning(a)
    runs = find_runs([str(tmp_path), str(a.path), str(tmp_path / "naive")])
    assert [run.path for run in runs] == [a.path.resolve(), b.path.resolve()]
    assert len(runs[0].measures) == len(runs[0].finetunings) == 1
    assert runs[0].finetunings[0].source == "atomic_0"
    assert runs[1].measure("probes") is None


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
        runs = find_runs([str(tmp_path)])
    assert [run.path for run in runs] == [good.path.resolve()]
    assert str(bad.path.resolve() / file) in caplog.text


@pytest.mark.parametrize(
    ("file", "content"),
    [("status.json", '{"status": "running"}'), ("results.json", "{"), (FILE, ""), ("examples.json", "[")],
)
def test_an_unusable_measure_is_skipped_with_its_name_and_its_run_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, content: str
) -> None:
    folder = add_run(tmp_path)
    add_probe(folder, 0.9, 0.5, games=100)
    add_probe(folder, 0.8, 0.5, games=300)
    (folder.path / "measures" / "probes-00000300" / file).write_text(content)
    (run,) = find_runs([str(tmp_path)])
    assert "probes-00000300" in caplog.text
    measure = run.measure("probes")
    assert measure is not None
    assert measure.results["games"] == 100


def test_a_missing_folder_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert find_runs([str(tmp_path / "nowhere")]) == []
    assert "nowhere" in caplog.text


def test_results_of_another_kind_or_version_are_not_runs(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    content = json.loads((folder.path / "results.json").read_text())
    for change in ({"kind": "measure"}, {"version": 99}):
        (folder.path / "results.json").write_text(json.dumps(content | change))
        assert find_runs([str(tmp_path)]) == []


def test_the_probe_scored_on_most_games_is_shown(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    for games in (300, 100):
        add_probe(folder, games / 1000, 0.2, games=games)
    (head,) = table.heads(table.table_of(find_runs([str(tmp_path)]))).query("probe == 'mlp'").own.unique()
    assert head == 0.3


def test_seeds_are_shown_as_they_were_measured_alike(tmp_path: Path) -> None:
    """One seed was measured once more, on more games: its usual measurement is the one to average."""
    for seed in (0, 1):
        add_probe(add_run(tmp_path, seed=seed), 0.8, 0.5, games=100)
    add_probe(add_run(tmp_path, seed=0), 0.9, 0.5, games=300)
    assert set(table.heads(table.table_of(find_runs([str(tmp_path)]))).own) == {0.8}


def test_brief_probes_of_a_fine_tuning_do_not_take_the_place_of_probes_with_controls(tmp_path: Path) -> None:
    """A run that is fine-tuned has two probe measurements, the later one without controls."""
    folder = add_run(tmp_path)
    add_probe(folder, 0.8, 0.5)
    add_probe(folder, 0.7, 0.5, games=200, controls=False)
    heads = table.heads(table.table_of(find_runs([str(tmp_path)])))
    assert set(heads.own) == {0.8}
    assert heads.random_weights.notna().all()


def test_measures_of_an_earlier_step_are_not_reported(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    inner = add_probe(folder, 0.8, 0.5).path
    shutil.copytree(inner, inner.with_name(f"{inner.name}-step7"))
    (run,) = find_runs([str(tmp_path)])
    assert [measure.name for measure in run.measures] == ["probes"]


def test_queries_give_the_numbers_of_the_folders(tmp_path: Path) -> None:
    folder = add_run(tmp_path, top1=0.93)
    add_probe(folder, 0.9, 0.55, best=0.7)
    add_states(folder)
    add_finetuning(folder)
    rows = table.table_of(find_runs([str(tmp_path)]))
    training = table.training(rows)
    assert training["games"].tolist() == [0, 500, 1000]
    assert training["top1"].tolist() == [0.1, 0.7, 0.93]
    assert training["train_seconds"].tolist() == [0, 60, 120]
    legality = table.final_legality(rows)
    assert legality[["language", "top1", "chance"]].to_numpy().tolist() == [
        ["atomic_0", 0.93, 0.4],
        ["atomic_1", 0.93, 0.4],
    ]
    assert len(table.by_ply(rows)) == 2 * 3, "plies without a scored position are left out"
    pairs = table.pairs(rows, "mlp", "absolute").query("layer == 1 and source == 'atomic_0'").set_index("language")
    assert pairs.accuracy.to_dict() == {"atomic_0": 0.9, "atomic_1": 0.55}
    assert pairs.best_accuracy.to_dict() == {"atomic_0": 0.9, "atomic_1": 0.7}
    assert pairs.best_map.to_dict() == {"atomic_0": "identity", "atomic_1": "main"}
    assert pairs.aligned.all()
    heads = table.heads(rows).query("probe == 'mlp' and target == 'absolute'").set_index("finetuning")
    assert heads.across.to_dict() == {"": 0.55, "finetune/atomic_0-0123abcd": 0.65}
    assert list(table.image_agreement(rows, "absolute").values()) == [{"rot180": 0.474, "main": 0.621, "anti": 0.578}]
    tuned = table.transfer(rows).query("language == 'atomic_1' and opening == ''")
    assert tuned.value.tolist() == [0.5, 0.8, 0.7]


def test_the_table_of_no_runs_is_empty_and_keeps_its_columns() -> None:
    rows = table.table_of([])
    for query in (table.training, table.final_legality, table.by_ply, table.heads, table.transfer):
        assert query(rows).empty


@pytest.mark.parametrize(
    ("languages", "sharing", "anchors"),
    [
        ({}, "naive", 0),
        ({"anchors": {"count": 2}}, "anchors", 2),
        ({"anchors": {"moves": ["a1"]}}, "anchors", 1),
        ({"anchors": {"links": ["atomic_0.a1=atomic_1.b1"]}}, "anchors", 1),
        ({"anchors": {"count": 2, "links": ["atomic_0.a1=atomic_1.b1"]}}, "anchors", 3),
        ({"anchors": {"overlap": 0.5}}, "anchors", 16),
        ({"anchors": {"subtokens": 0.5}}, "anchors", 0),
        ({"output": "unified", "anchors": {"count": 2}}, "unified", 2),
        ({"kinds": ["atomic"]}, "single", 0),
        ({"kinds": ["atomic", "split"]}, "naive", 0),
    ],
)
def test_sharing_comes_from_the_config(languages: dict[str, Any], sharing: str, anchors: int) -> None:
    assert (sharing_of({"languages": languages}), n_anchors({"languages": languages})) == (sharing, anchors)


def test_two_configurations_are_never_averaged(tmp_path: Path) -> None:
    add_run(tmp_path, "b", output="unified")
    add_run(tmp_path, "c", links=["atomic_0.a1=atomic_1.b1"])
    for identity in ("one", "two"):
        for seed in (0, 1):
            add_run(tmp_path, "a", seed, identity=identity)
    groups = by_label(find_runs([str(tmp_path)]))
    assert list(groups) == ["a one", "a two", "c", "b"], "what no setting tells apart has its identity"
    assert [run.seed for run in groups["a one"]] == [0, 1]


def _configured(root: Path, name: str, identity: str, change: dict[str, Any]) -> None:
    folder = add_run(root, name, identity=identity)
    config = folder.read_config()
    folder.write_config({key: {**x, **change.get(key, {})} if isinstance(x, dict) else x for key, x in config.items()})


def test_runs_are_called_by_what_they_differ_in(tmp_path: Path) -> None:
    """Board and games where they differ; of other settings as few as tell the runs apart; a name alone where it is one."""
    _configured(tmp_path, "anchor", "11111111", {"board": {"size": 4}, "data": {"games": 1920}})
    _configured(tmp_path, "anchor", "22222222", {"board": {"size": 6}, "data": {"games": 59_904}})
    _configured(tmp_path, "anchor", "33333333", {"board": {"size": 6}, "data": {"games": 1_000_000}})
    _configured(tmp_path, "custom", "44444444", {"model": {"d_model": 128, "n_head": 4}})
    _configured(tmp_path, "custom", "55555555", {"model": {"d_model": 64, "n_head": 2}})
    add_run(tmp_path, "naive_60k")
    add_run(tmp_path, "naive_120k")
    assert list(by_label(find_runs([str(tmp_path)]))) == [
        *("anchor, 4x4, 1.92 k games", "anchor, 6x6, 59.9 k games", "anchor, 6x6, 1 M games"),
        *("custom, d_model 128", "custom, d_model 64", "naive_60k", "naive_120k"),
    ]


def test_a_run_that_trains_is_shown_as_far_as_it_is(tmp_path: Path) -> None:
    done, begun, empty = add_run(tmp_path, "naive"), add_run(tmp_path, "anchor", count=2), add_run(tmp_path, "late")
    for folder in (begun, empty):
        (folder.path / "results.json").unlink()
        folder.write_status("running")
    (empty.path / "metrics.jsonl").unlink()
    (run,) = begun_runs([str(tmp_path)])
    assert run.path == begun.path.resolve()
    assert run.status == "interrupted, 100 of 100 steps"
    assert (run.languages, run.results["games"], run.results["board"]) == (["atomic_0", "atomic_1"], 1000, "4x4")
    found = find_runs([str(tmp_path)], [run.path])
    assert [one.path for one in found] == [done.path.resolve()]
    assert table.training(table.table_of([*found, run])).groupby("label").top1.last().to_dict() == {
        "anchor": 0.9,
        "naive": 0.9,
    }


def test_a_control_of_a_fine_tuning_is_no_fine_tuning(tmp_path: Path) -> None:
    child = add_finetuning(add_run(tmp_path))
    child.path.rename(child.path.with_name(f"{child.path.name}-scratch"))
    (run,) = find_runs([str(tmp_path)])
    assert run.finetunings == []


def test_a_measure_of_a_plugin_reaches_the_table(tmp_path: Path) -> None:
    row = {"measure": "toy", "quantity": "accuracy", "control": "trained", "value": 0.25}
    add_measure(add_run(tmp_path), "toy", [row], {})
    rows = table.table_of(find_runs([str(tmp_path)]))
    assert rows[rows.measure == "toy"].value.tolist() == [0.25]
    assert RunDir(rows.run.iloc[0]).finished
