"""Proves: a model of the zoo opens by its name, measures again what its tables say, and reads the board with the probes that lie
beside it, in the other language through its map; a wrong name is one line; a run is copied whole, in half precision."""

import shutil
from pathlib import Path

import pytest
import torch

import mothello
from mothello.errors import UserError
from mothello.measures.positions import mirrored
from mothello.measures.probes.kept import FILE
from mothello.rows import Table, read_tidy
from mothello.rundir import RunDir, step_of
from mothello.stages.find import ZOO, find_run
from mothello.stages.load import load_run
from mothello.training import checkpoint
from studies.zoo import LARGEST, WORDS, add, halve, write_zoo

NAMES = sorted(path.name for path in ZOO.iterdir() if path.is_dir())


SHARES = {"legality": ("top1", "lenient", "mass"), "masked": ("masked_accuracy", "top1", "mass")}
"""Of a measure, the quantities that are shares."""


def shares_of(rows: Table) -> Table:
    """Whole-game numbers of the model."""
    rows = rows[rows.ply.isna() & (rows.control == "trained")]
    return rows.set_index(["quantity", "language", "target"]).value.sort_index()


def test_the_zoo_is_small() -> None:
    assert sum(path.stat().st_size for path in ZOO.rglob("*") if path.is_file()) <= LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_a_model_measures_what_its_tables_say(name: str, tmp_path: Path) -> None:
    stored = min(path for measure in SHARES for path in ZOO.glob(f"{name}/measures/{measure}-*"))
    measure = stored.name.rpartition("-")[0]
    copy = tmp_path / name
    shutil.copytree(ZOO / name, copy, ignore=shutil.ignore_patterns("measures"))
    again = mothello.measure(load_run(copy), measure, RunDir(stored).read_config()[measure])
    old, new = shares_of(read_tidy(stored)), shares_of(again)
    shares = [name for name in old.index if name[0] in SHARES[measure]]
    assert len(shares) >= 6
    assert (old[shares] - new[shares]).abs().max() < 1e-3


def test_the_mirrored_pair_is_read_through_its_map() -> None:
    run = load_run("zoo:naive_mirrored")
    games = run.games(60)
    truth, played = run.boards(games), games >= 0
    probe = run.probe(1, "atomic_0")
    read = {name: probe(run.states(games, name)[1]) for name in run.languages}
    right = {name: float((x == truth)[played].float().mean()) for name, x in read.items()}
    assert right["atomic_0"] > 0.85
    assert right["atomic_1"] < 0.65
    turned = run.boards(mirrored(games, run.board, "main"))
    assert float((read["atomic_1"] == turned)[played].float().mean()) > 0.85
    assert not torch.equal(turned, truth)


def test_eight_languages_fall_into_two_classes_of_four() -> None:
    run = load_run("zoo:eight_languages")
    games = run.games(40)
    played = games >= 0
    boards = {name: run.boards(mirrored(games, run.board, name)) for name in ("identity", "rot180")}
    probe, same = run.probe(1, "atomic_0"), []
    for name in run.languages:
        read = probe(run.states(games, name)[1])
        right = {map_: float((read == board)[played].float().mean()) for map_, board in boards.items()}
        assert max(right.values()) > 0.85
        assert min(right.values()) < 0.65
        same.append(right["identity"] > right["rot180"])
    assert len(same) == 8
    assert sum(same) == 4


def test_probes_of_one_layer_are_not_taken_for_all(tmp_path: Path) -> None:
    kept = load_run("zoo:unified")
    with pytest.raises(UserError, match="layer: no probes of 1 were kept; choices: 2"):
        kept.probe(1, kept.languages[0])
    config = {"games": 64, "test_games": 16, "random_weights": False}
    copy = tmp_path / "copy"
    shutil.copytree(ZOO / "unified", copy, ignore=shutil.ignore_patterns("causal-*", "probes-*"))
    run = load_run(copy)
    mothello.measure(run, "probes", config)
    folder = next(copy.glob("measures/probes-*"))
    halve(folder / FILE, folder / FILE, 2)
    whole = mothello.measure(run, "causal", {"cases": 20, "probes": config})
    assert {"causal", "patching"} <= {*whole.measure}  # steering needs linear probes of every layer


def test_the_committed_page_names_every_model_and_its_numbers(tmp_path: Path) -> None:
    assert sorted(WORDS) == NAMES
    shutil.copytree(ZOO, tmp_path / "zoo", ignore=shutil.ignore_patterns("README.md"))
    assert write_zoo(tmp_path / "zoo").read_text() == (ZOO / "README.md").read_text()


def test_the_page_of_an_empty_zoo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^out: .* holds no model that zoo\.yaml names$"):
        write_zoo(tmp_path)


def test_a_trajectory_opens_at_ten_steps_and_measures_what_its_tables_say(tmp_path: Path) -> None:
    shutil.copytree(ZOO / "trajectory", tmp_path / "copy", ignore=shutil.ignore_patterns("measures"))
    found = ZOO.glob("trajectory/measures/legality-*-step*")
    stored = {int(path.name.rpartition("-step")[2]): path for path in found}
    steps = [step_of(path) for path in checkpoint.saved(RunDir(ZOO / "trajectory").kept)]
    assert len(steps) == 10
    assert [*sorted(stored), 7500] == sorted(steps)
    legal = []
    for step in (28, 554, 5169):
        config = RunDir(stored[step]).read_config()["legality"]
        new = shares_of(mothello.measure(load_run(tmp_path / "copy", step=step), "legality", config))
        old = shares_of(read_tidy(stored[step]))
        shares = [name for name in old.index if name[0] in SHARES["legality"]]
        assert (old[shares] - new[shares]).abs().max() < 1e-3
        legal.append(new["top1"].mean())
    assert legal[0] < 0.7 < legal[1] < 0.9 < legal[2]


def test_no_model_says_where_it_was_made() -> None:
    texts = [path.read_text() for path in ZOO.rglob("config.yaml")]
    assert {line for text in texts for line in text.splitlines() if line.startswith("runs: ")} == {"runs: results/zoo"}


def test_a_wrong_name_is_told() -> None:
    with pytest.raises(UserError, match=r"run: no model 'other' in the zoo; choices: .*naive_mirrored"):
        find_run("zoo:other")


def test_a_run_is_copied_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = {"n_layer": 1, "n_head": 2, "d_model": 16}
    keep = {"keep": {"log_spaced": 3}}
    settings = {"name": "one", "board": {"size": 4}, "model": model, "data": {"games": 512}, "checkpoints": keep}
    run = mothello.train(settings)
    mothello.measure(run, "probes", {"games": 64, "test_games": 16, "shuffled": False, "random_weights": False})
    for step in (1, 2):
        mothello.measure(load_run(run.folder.path, step=step), "legality", {"games": 8})
    (run.folder.path / "task" / "bracket").mkdir(parents=True)
    with pytest.raises(UserError, match=r"step: .* keeps no checkpoint of step 3; kept: 1, 2, 4"):
        add(run.folder.path, "small", [3], tmp_path / "zoo")
    folder = add(run.folder.path, "small", [2], tmp_path / "zoo")
    copy = load_run(folder)
    assert copy.step == run.step
    for name, weight in run.model.state_dict().items():
        assert torch.equal(copy.model.state_dict()[name], weight.half().float())
    (layer,) = copy.probes().layers
    own, other = (x.probe(layer, "atomic_1", kind="mlp", target="absolute").weights for x in (run, copy))
    assert all(torch.equal(own[name].half().float(), other[name]) for name in own)
    with pytest.raises(UserError, match="kind: no probes of 'linear' were kept; choices: mlp"):
        copy.probe(layer, "atomic_0", kind="linear")
    assert load_run(folder, step=2).step == 2
    assert {path.name.rpartition("-")[2] for path in folder.glob("measures/legality-*-step*")} == {"step2"}
    assert not list(folder.rglob("state.pt"))
    assert not (folder / "task").exists()
    with pytest.raises(UserError, match=r"name: .*small exists"):
        add(run.folder.path, "small", zoo=tmp_path / "zoo")
