"""Proves: every script runs from the command line's words to its files, twice (the second time it finds its work done), for
every kind of language, and the folder it leaves can be loaded again."""

import json
from pathlib import Path

import pytest
from house.commands import MAINS, TINY, TINY_PROBE, run

from mothello.commands.loading import load_run
from mothello.rundir import RunDir

SCRIPTS = Path(__file__).parents[2] / "scripts"
RUNS = [
    ("naive", "compositional_pair"),
    ("anchor", "mix"),
    ("unified", "split_pair"),
    ("unified", "mix"),
    ("prefix", "atomic_pair"),
]


def test_every_script_has_a_smoke_run() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} - {"has_torch"} == set(MAINS)


@pytest.mark.parametrize(("experiment", "languages"), RUNS)
def test_train_probe_transfer(
    experiment: str, languages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call = [f"+experiment={experiment}", *TINY, f"languages={languages}", "run=run"]
    assert run(monkeypatch, "train", *call) == 0
    loaded = load_run("run")
    assert not loaded.model.training
    results = RunDir("run").read_results()
    assert results["kind"] == "train"
    assert {f"val/{name}/top1" for name in loaded.family.names} <= set(results["final"])
    for name, floor in results["floors"].items():
        assert results["final"][f"val/{name}/loss"] > floor["nats"] - 0.1
    source = loaded.family.names[-1]
    assert run(monkeypatch, "probe", "run=run", *TINY_PROBE) == 0
    probe = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "tracking=jsonl"]
    assert run(monkeypatch, "transfer", "run=run", f"transfer.source={source}", *probe, *TINY_PROBE) == 0
    capsys.readouterr()
    assert run(monkeypatch, "train", *call) == 0
    assert run(monkeypatch, "probe", "run=run", *TINY_PROBE) == 0
    assert capsys.readouterr().out.count("finished already") == 2
    stored = json.loads(next(Path("run/transfer").glob("*/results.json")).read_text())
    assert stored["source"] == source
    assert set(stored["summary"]) == set(loaded.family.names)
    assert len(stored["curves"]["step"]) == len(stored["curves"][source]) > 2


def listed(key: str, overrides: list[str]) -> str:
    """KEY=["a=1","b=2"], quoted as a list of overrides must be."""
    return f"{key}=[{','.join(repr(text) for text in overrides)}]"


def test_a_study_with_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["tracking=jsonl", "transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8"]
    call = [
        "+study=demo",
        listed("train", TINY),
        listed("probe", TINY_PROBE),
        listed("transfer", [*TINY_PROBE, *short]),
    ]
    assert run(monkeypatch, "study", *call, "seeds=[0,1]", "dry_run=true") == 0
    assert not list(tmp_path.iterdir())
    assert run(monkeypatch, "study", *call) == 0
    out = capsys.readouterr().out
    assert "minutes on two cores" in out
    assert "report/index.html" in out
    assert Path("report/index.html").stat().st_size > 50_000
    assert len(list(Path("runs/demo").glob("*/*/seed0/results.json"))) == 3


def test_a_multirun_makes_one_folder_per_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "-m", "+experiment=naive,anchor", "seed=0,1", *TINY) == 0
    assert len(list(Path("runs").glob("*/*/seed?/results.json"))) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_wandb_offline_mirrors_each_job_in_a_run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tiny = [x for x in TINY if x != "tracking=jsonl"]
    assert run(monkeypatch, "train", "-m", "+experiment=naive", "seed=0,1", *tiny, "tracking=wandb") == 0
    mirrors = [path.parent.name for path in Path("runs").rglob("offline-run-*/*.wandb")]
    assert len(set(mirrors)) == 2
