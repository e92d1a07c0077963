"""Proves: a study's parts are what its files and the command line say, run through any launcher, are skipped when finished and
go on after a kill, and end in one page."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from house.commands import TINY, TINY_CAUSAL, TINY_MEASURE, TINY_PROBE, fragment, run

from mothello.cli.compose import composed
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_parts import finished
from mothello.cli.study_plan import names_of, part_of
from mothello.config import plain
from mothello.errors import UserError
from mothello.files import LOCK
from mothello.rundir import RunDir
from mothello.stages.folders import finetune_folder

ROOT = Path(__file__).parents[2]
CALL = [
    "+study=demo", *fragment("train", TINY), *fragment("probe", [*TINY_PROBE, *TINY_CAUSAL]), *fragment("measure", TINY_MEASURE),
    "experiments=[naive,unified]",
]  # fmt: skip


def study(*overrides: str) -> StudyCommand:
    return composed("study", StudyCommand, list(overrides))


def test_the_parts_of_table_1() -> None:
    parts = names_of(study("+study=table1"))
    assert parts[:3] == [("naive", 0), ("anchor_1", 0), ("anchor_2", 0)]  # the first seed of every cell first
    assert [seed for cell, seed in parts if cell == "naive"] == list(range(10))
    assert [seed for cell, seed in parts if cell == "anchor_4"] == [0, 1, 2]
    assert len(parts) == 10 + 3 * 3 + 5 + 8
    assert names_of(study("+study=table1", "seeds=[7]", "parts=[naive/*,*_4/7]")) == [
        (cell, 7) for cell in ("naive", "anchor_4", "split_anchor_4", "compositional_anchor_4")
    ]
    assert names_of(study("+study=many_languages")) == [("naive_8", seed) for seed in range(3)]
    assert "naive_8" not in dict(names_of(study("+study=many_languages", "scale=paper")))


def test_overrides_are_taken_in_order() -> None:
    """Of the scale, the study, the study at that scale, the cell: the last one wins."""
    train = part_of(study("+study=many_languages"), "naive_8", 0).train
    assert (train.model.n_layer, train.data.games) == (3, 3_000_000)  # the scale's model, this study's games
    train = part_of(study("+study=table1", "train.data.games=64", "train.model.n_layer=2"), "naive", 0).train
    assert (train.model.n_layer, train.data.games, train.board.size) == (2, 64, 6)
    narrow = part_of(study("+study=emergence"), "naive_narrow", 1).train
    assert (narrow.model.d_model, narrow.seed) == (64, 1)
    own = ["train.data.games=128", "train.data.batch_size=32"]
    assert part_of(study("+study=many_languages", *own), "naive_8", 0).train.data.games == 128  # the command line's
    chosen = study("+study=table1", "train.choose.model=tiny", "train.choose.languages=mix")
    assert part_of(chosen, "split_naive", 0).train.languages.kinds == ["atomic*2", "split", "compositional"]
    assert part_of(chosen, "split_naive", 0).train.model.d_model == 32
    assert part_of(study("+study=finetune", "scale=paper"), "prefix_naive", 0).train.data.epochs == 40


def test_a_run_can_be_fine_tuned_in_several_ways() -> None:
    def ways(cell: str, *more: str) -> list[tuple[dict[str, str], str]]:
        part = part_of(study("+study=finetune", *more), cell, 0)
        assert all(command.run == part.probe.run for command in part.transfers)
        return [(command.transfer.objective, command.transfer.optimizer.decay) for command in part.transfers]

    own = {"softmax": "language"}
    assert ways("prefix_unified") == [({}, "linear")]
    assert ways("prefix_naive") == [({}, "linear"), (own, "linear")]
    assert ways("prefix_anchor_8") == [({}, "linear"), (own, "linear"), ({}, "mingpt"), (own, "mingpt")]
    assert ways("prefix_naive", "transfer_from=[*_anchor_8]") == []
    part = part_of(study("+study=finetune"), "prefix_anchor_8", 0)
    folders = {finetune_folder(RunDir("run"), x.transfer, x.seed, "atomic_0").path for x in part.transfers}
    assert len(folders) == 4  # each has its own
    same = part_of(study("+study=finetune", "+transfer.transfer.objective.softmax=all"), "prefix_naive", 0)
    assert [x.transfer.objective for x in same.transfers] == [{}, own]  # what the run has anyway is no setting


def test_the_published_scale_is_the_papers_with_nine_passes() -> None:
    for name, cell in (("table1", "naive"), ("finetune", "prefix_naive"), ("emergence", "naive_2m")):
        paper, published = (part_of(study(f"+study={name}", f"scale={x}"), cell, 0) for x in ("paper", "published"))
        assert published.train.data.epochs == (40 if name == "finetune" else 9)
        assert published.train.data.games == paper.train.data.games
        epochs = {"table1": 9, "emergence": 9, "finetune": 40}[name]
        assert published.train.optimizer.warmup_fraction * epochs == pytest.approx(5)
        assert published.probe.run.startswith("runs/published/")
        assert replace(published.probe, run="") == replace(paper.probe, run="")
    config = study("+study=table1", "scale=published")
    assert names_of(config) == names_of(study("+study=table1", "scale=paper"))


def test_a_study_for_a_gpu_stops_at_once_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for more in ([], ["dry_run=true"], ["parts=[mirror_main/0]"]):
        assert run(monkeypatch, "study", "+study=mirror_anchors", "scale=paper", *more) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: device: cuda was asked for, but no CUDA device is present")
        assert "train.choose.device=cpu probe.choose.device=cpu" in line
    assert list(tmp_path.iterdir()) == []


def test_cells_that_are_alike_are_the_same_runs_in_every_study() -> None:
    first = part_of(study("+study=table1"), "anchor_4", 1)
    second = part_of(study("+study=mirror_anchors"), "anchor_4", 1)
    assert first.probe.run == second.probe.run
    mirror = part_of(study("+study=mirror_anchors"), "mirror_main", 1)
    assert mirror.probe.run != first.probe.run


def test_parts_that_are_composed_alike_share_nothing() -> None:
    config = study("+study=emerging", "scale=mini")
    first, other = (part_of(config, "shared", seed) for seed in (0, 1))
    assert replace(first.train, seed=1) == other.train
    before = plain(other.train), plain(other.stages[0].command)
    first.train.data.games = 7
    first.train.device.threads = 7
    first.stages[0].command.stage.data.games = 7
    assert (plain(other.train), plain(other.stages[0].command)) == before
    again = part_of(config, "shared", 0)
    assert replace(again.train, seed=1) == other.train
    with pytest.raises(UserError, match=r"^train.seed: -1 is negative$"):
        part_of(config, "shared", -1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["parts=[nothing/*]"], "parts: none matches nothing/"),
        (["transfer_from=[naive,other]"], "transfer_from: no cell 'other'"),
        (["+tunings.own.cells=[other]"], "tunings.own.cells: no cell 'other'"),
        (["+stages.flips.cells=[other]"], "stages.flips.cells: no cell 'other'"),
        (["+at.mini.cells.other=[0]"], "at.mini.cells: no cell 'other'"),
        (["+stages.late.after=early"], "stages.late.after: no stage 'early' before it; it is the first"),
        (["+stages={late:{after:early},early:{}}"], "stages.late.after: no stage 'early' before it"),
    ],
)
def test_mistakes_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        names_of(study("+study=table1", *overrides))


TASK = ["tracking=jsonl", "device=cpu", "device.threads=1"]
TASK += ["stage.data.games=64", "stage.data.batch_size=32", "stage.evaluation.games=4", "stage.evaluation.times=1"]


def test_a_study_goes_on_from_its_runs_with_any_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ways = "{flips:{cells:[naive],stage:{stage:{task:{name:flips}}}},mover:{cells:[un*],stage:{stage:{task:{name:mover}}}}}"
    call = [
        "+study=demo",
        *fragment("train", TINY),
        *fragment("stage", TASK),
        "stage.choose.stage=task",
        f"+stages={ways}",
        "experiments=[naive,unified]",
    ]
    tiny = [*TINY_PROBE, *TINY_CAUSAL]
    small = [*fragment("probe", tiny), *fragment("measure", TINY_MEASURE), "report="]
    config = study(*call, *small)
    naive, unified = (part_of(config, cell, 0) for cell in ("naive", "unified"))
    assert [further.command.stage.task.name for further in (*naive.stages, *unified.stages)] == ["flips", "mover"]
    assert not finished(naive)["stage"]
    part = ["parts=[naive/0]", *small]
    assert run(monkeypatch, "study", *call, *part) == 0
    (child,) = (x for x in Path(naive.probe.run).glob("task/*") if not x.name.endswith("-random"))
    assert RunDir(child).read_config()["settings"]["task"]["name"] == "flips"
    assert list(child.glob("measures/task_transfer-*/table.csv.gz"))
    assert all(finished(naive).values())
    capsys.readouterr()
    assert run(monkeypatch, "study", *call, *part) == 0
    assert capsys.readouterr().out.count("finished already") == 1  # of the part: nothing is loaded
    table = next(child.glob("measures/task_transfer-*/table.csv.gz"))
    table.unlink()
    assert not finished(naive)["stage"]
    assert run(monkeypatch, "study", *call, *part) == 0
    assert table.exists()


def test_a_stage_goes_on_from_a_stage_and_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task is learned by the run, and by the run after it was realigned; the realigned model is measured, too."""
    monkeypatch.chdir(tmp_path)
    games = "data:{games:64,batch_size:32},evaluation:{games:4,times:1}"
    mover = f"stage:{{choose:{{stage:task}},stage:{{task:{{name:mover}},{games}}}}}"
    gold = f"stage:{{choose:{{stage:realign}},stage:{{controls:[],{games}}}}},measure:{{measures:[legality,alignment]}}"
    small = [
        *fragment("probe", [*TINY_PROBE, *TINY_CAUSAL]),
        *fragment("measure", TINY_MEASURE),
        *fragment("stage", TASK[:3]),
    ]
    call = ["+study=demo", *fragment("train", TINY), *small, "experiments=[naive]", "report="]
    call += [f"+stages={{realigned:{{{gold}}},mover:{{{mover}}},mover_realigned:{{after:realigned,{mover}}}}}"]
    part = part_of(study(*call), "naive", 0)
    assert run(monkeypatch, "study", *call) == 0
    (realigned,) = Path(part.probe.run).glob("realign/*")
    (alone,) = (x for x in Path(part.probe.run).glob("task/*") if not x.name.endswith("-random"))
    (after,) = (x for x in realigned.glob("task/*") if not x.name.endswith("-random"))
    assert {x.name.split("-")[0] for x in realigned.glob("measures/*")} == {"legality", "alignment"}
    told = [RunDir(x).read_config()["settings"] for x in (alone, after)]
    assert told[0] == told[1]
    tables = [next(x.glob("measures/task_transfer-*/table.csv.gz")).read_bytes() for x in (alone, after)]
    assert tables[0] != tables[1]
    assert all(finished(part).values())
    shutil.rmtree(next(realigned.glob("measures/alignment-*")))
    assert not finished(part)["stage"]
    shutil.rmtree(after)
    assert run(monkeypatch, "study", *call) == 0
    assert after.exists()
    assert all(finished(part).values())


def test_a_mistake_in_the_last_part_is_told_before_the_first_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for launcher in ([], ["hydra/launcher=joblib"]):
        assert run(monkeypatch, "study", *CALL, "seeds=[0,-1]", *launcher) == 2
        assert not Path("runs").exists()
        (line,) = capsys.readouterr().err.splitlines()
        assert line == "error: train.seed: -1 is negative"


@pytest.mark.slow
def test_a_study_through_a_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call = [*CALL, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    assert run(monkeypatch, "study", *call) == 0
    out = capsys.readouterr().out
    assert "2 jobs" in out
    assert Path("report/index.html").stat().st_size > 50_000
    runs = [RunDir(path.parent) for path in Path("runs/demo").glob("*/*/seed0/results.json")]
    assert len(runs) == 2
    assert all(run_.read_results()["threads"] == 1 for run_ in runs)
    before = {path: path.stat().st_mtime_ns for path in Path("runs/demo").rglob("results.json")}
    assert len(before) == 10
    assert run(monkeypatch, "study", *CALL, "report=") == 0  # and without one
    assert {path: path.stat().st_mtime_ns for path in Path("runs/demo").rglob("results.json")} == before


def test_a_study_goes_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call = [*CALL, "report="]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "study.py"), *call],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def measured() -> bool:
        """Its last file says so: a kill before it would have the measure taken again."""
        told = Path("runs").glob("demo/naive/*/seed0/measures/alignment-*/status.json")
        return any(json.loads(path.read_text())["status"] == "ok" for path in told)

    until = time.monotonic() + 120
    while not measured() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = {path: path.stat().st_mtime_ns for path in Path("runs/demo/naive").rglob("results.json")}
    assert len(first) == 5
    assert run(monkeypatch, "study", *call) == 0
    assert {path: path.stat().st_mtime_ns for path in Path("runs/demo/naive").rglob("results.json")} == first
    states = Path("runs/demo/unified").rglob("status.json")
    assert [json.loads(path.read_text())["status"] for path in states] == ["ok"] * 5


def test_a_part_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "study", *CALL, "experiments=[naive]", "report=") == 0
    (begun,) = Path("runs/demo/naive").glob("*")
    (begun / "seed1").mkdir()
    (begun / "seed1" / "notes.txt").write_text("a folder that is not a run's")
    assert run(monkeypatch, "study", *CALL, "experiments=[naive]", "seeds=[1,2,0]") == 1
    out = capsys.readouterr().out
    assert "is not empty and no run folder" in out
    assert "3 jobs" in out
    assert Path("report/index.html").exists()
    shutil.rmtree(begun / "seed2" / "checkpoints")
    assert (
        run(monkeypatch, "study", *CALL, "experiments=[naive]", "seeds=[2]", "report=") == 0
    )  # all measured: nothing to do


def test_two_processes_never_work_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As two studies that share a run would, on a cluster."""
    monkeypatch.chdir(tmp_path)
    hold = "import sys; from pathlib import Path; from mothello.files import locked\n"
    hold += "with locked(Path('run')):\n    print('held', flush=True)\n    sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "run=run") == 1
    assert "another process is at work in run" in capsys.readouterr().err
    assert [path.name for path in Path("run").iterdir()] == [LOCK]
    other.communicate("")
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "run=run") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
