"""Proves: dry_run=true of every script writes nothing, anywhere, and prints the folder or file that the real run then makes;
what stands already is said to be finished."""

import re
import shutil
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import MAINS, TINY, TINY_MEASURE, TINY_PROBE, fragment, make_base, run
from interop.foreign_models import MinGPT

from mothello.cli import study
from mothello.cli.dry_run import Estimate
from mothello.cli.main import SCHEMAS
from mothello.commands import SHOWS
from mothello.measures.probes.fit import FittedProbes, fit_probes
from mothello.rundir import RunDir
from mothello.stages.pretrain import TrainConfig
from studies import gather

TUNING = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "tracking=jsonl"]
CALLS = {
    "train": ["+experiment=naive", "languages=mix", *TINY],
    "probe": ["run=base", *TINY_PROBE, "causal.cases=8"],
    "measure": ["run=base", *TINY_MEASURE],
    "transfer": ["run=base", *TUNING, *TINY_PROBE],
    "stage": ["run=base", *(text.replace("transfer.", "stage.") for text in TUNING), "device=cpu", "device.threads=1"],
    "report": ["runs=[base]"],
    "results": ["gather=[mini]"],
    "study": ["+study=tiny"],
    "generate": ["out=more", "board=4x4", "games=300", "shard_games=100"],
    "import_games": ["files=[games.txt]", "board=4x4", "out=human"],
    "export_games": ["folder=games", "out=again.txt"],
    "corpus": ["board=4x4", "sample=100", "data.games=200", "device.threads=1"],
    "export": ["run=base", "out=export"],
    "explore": ["run=base", "out=explorer.html", "probe_games=64"],
    "import_model": ["file=gpt.ckpt", "kind=mingpt", "n_head=2", "board=4x4", "run=theirs"],
}
WORDS = {
    "train": ["parameters", "tokens", "FLOPs", "memory", "disk", "rate", "minutes"],
    "transfer": ["parameters", "tokens", "FLOPs", "memory", "disk", "rate", "probes", "minutes"],
    "stage": ["parameters", "tokens", "FLOPs", "memory", "disk", "rate", "minutes"],
    "probe": ["languages", "probes", "causal", "rate", "minutes"],
    "measure": ["languages", "legality", "alignment", "rate", "minutes"],
    "generate": ["games", "disk", "rate", "minutes"],
    "import_games": ["games", "disk", "rate", "minutes"],
    "export_games": ["games", "disk", "rate", "minutes"],
    "corpus": ["games", "folder", "minutes"],
    "export": ["class", "disk", "probes"],
    "explore": ["model", "probes", "along", "disk"],
    "import_model": ["model", "languages", "board"],
    "report": ["runs", "disk", "minutes"],
    "results": ["runs", "disk", "minutes"],
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, stored games, a text file of games and a checkpoint of others."""
    folder = make_base(tmp_path_factory.mktemp("base"), "base")
    shutil.copytree(folder / "base", folder / "mini" / "base")
    torch.save(MinGPT(25, 11, layers=1, heads=2, d=16).state_dict(), folder / "gpt.ckpt")
    return folder


@pytest.fixture
def here(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working directory, with a folder for temporary files that is seen as well."""
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def broken(*_: object, **__: object) -> object:
        raise RuntimeError("nothing is compiled here")

    monkeypatch.setattr("torch.compile", broken)
    monkeypatch.setattr(gather, "STUDIES", ("mirror_anchors",))
    monkeypatch.setattr(study, "write_report", lambda _, out, *__: out / "index.html")
    return tmp_path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder; of a file, its size and time of writing."""
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}
    return {name: (p.stat().st_size, p.stat().st_mtime_ns) if p.is_file() else (0, 0) for name, p in found.items()}


def written(out: str) -> str:
    """The folder or file that the table names."""
    return next(line.split()[1] for line in out.splitlines() if line.startswith(("folder ", "file ")))


def call_of(script: str) -> list[str]:
    if script != "study":
        return CALLS[script]
    return [
        "+study=demo", "name=tiny", "experiments=[naive]", "transfer_from=[naive]",
        *fragment("train", TINY), *fragment("probe", [*TINY_PROBE, "causal.cases=8"]),
        *fragment("measure", TINY_MEASURE), *fragment("transfer", [*TUNING, *TINY_PROBE]),
    ]  # fmt: skip


def test_every_script_can_be_asked() -> None:
    missing = set(MAINS) - set(SHOWS) - set(CALLS)
    assert not missing, f"a command line for each of {missing} in CALLS, and the words of its table in WORDS"
    assert set(CALLS) <= set(MAINS)
    assert set(CALLS) - {"study"} == set(WORDS)
    assert all("dry_run" in [field.name for field in fields(SCHEMAS[script])] for script in CALLS)


@pytest.mark.parametrize("script", [script for script in CALLS if script != "study"])
def test_nothing_is_written_but_what_would_be_is_said(
    script: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(here)
    capsys.readouterr()
    assert run(monkeypatch, script, *call_of(script), "dry_run=true") == 0
    out = capsys.readouterr().out
    assert tree(here) == before
    starts = [line.split()[0] for line in out.splitlines()]
    assert [word for word in WORDS[script] if word not in starts] == []
    promised = here / written(out)
    assert not promised.exists()
    assert run(monkeypatch, script, *call_of(script)) == 0
    assert promised.exists()
    made = tree(here)
    assert {path.split("/")[0] for path in made.keys() - before.keys()} <= {written(out).split("/")[0]}
    if script in ("train", "probe", "measure", "transfer", "stage", "generate"):
        capsys.readouterr()
        assert run(monkeypatch, script, *call_of(script), "dry_run=true") == 0
        assert f"{written(out)} (finished already)" in capsys.readouterr().out
        assert tree(here) == made


@pytest.mark.parametrize(
    "more", [pytest.param([], marks=pytest.mark.slow), ["probes.random_weights=false", "probes.probes=[linear]"]]
)
def test_a_dry_run_counts_the_probes_that_the_real_run_fits(
    more: list[str], here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: list[int] = []

    def counting(*arguments: Any, **named: Any) -> FittedProbes:
        probes = fit_probes(*arguments, **named)
        counts.append(sum(len(next(module.parameters())) for module in probes.modules.values()))
        return probes

    for script, times in (("probe", 1), ("transfer", 2)):
        call = [script, "run=base", *TINY_PROBE, *more] + (TUNING if script == "transfer" else ["measures=[probes]"])
        assert run(monkeypatch, *call, "dry_run=true") == 0
        line = re.search(r"([\d,]+) fitted probes", capsys.readouterr().out)
        assert line is not None
        counts.clear()
        with monkeypatch.context() as patch:
            patch.setattr("mothello.measures.probes.measure.fit_probes", counting)
            assert run(monkeypatch, *call) == 0
        assert sum(counts) == times * int(line[1].replace(",", ""))


def test_a_study_names_every_run_and_what_is_done(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, call = tree(here), call_of("study")
    assert run(monkeypatch, "study", *call, "seeds=[0,1]", "dry_run=true") == 0
    out = capsys.readouterr().out
    assert tree(here) == before
    promised = [line.split()[-1] for line in out.splitlines() if "runs/demo/" in line]
    assert len(promised) == 2
    assert out.count("done") == 0
    rows = [line.split() for line in out.splitlines() if "runs/demo/" in line]
    assert all(len(row) == 8 for row in rows)  # minutes in all and of four parts, tokens, FLOPs, the folder
    assert float(rows[0][0]) == pytest.approx(sum(map(float, rows[0][1:5])), abs=0.07)
    assert float(rows[0][6]) > 1e6
    assert run(monkeypatch, "study", *call) == 0
    made = {str(path.parent) for path in Path("runs").glob("demo/*/*/*/results.json")}
    assert made == {path for path in promised if path.endswith("seed0")}
    capsys.readouterr()
    assert run(monkeypatch, "study", *call, "seeds=[0,1]", "dry_run=true") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "runs/demo/" in line]
    assert [line.count("done") for line in lines] == [4, 0]
    assert ["finished already" in line for line in lines] == [True, False]
    assert lines[0].split()[0] == "0.00"


def test_how_far_a_run_is(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["train", "+experiment=naive", *TINY, "run=base", "dry_run=true"]
    assert run(monkeypatch, *call) == 0
    assert "base (finished already)" in capsys.readouterr().out
    RunDir("base").write_status("failed")
    saved = next(Path("base").glob("checkpoints/step-*"))
    saved.rename(saved.with_name("step-000000005"))
    assert run(monkeypatch, *call) == 0
    assert "base (resumes after step 5 of 8)" in capsys.readouterr().out


def test_of_a_stage_that_was_begun_what_is_left_is_counted(here: Path) -> None:
    whole, folder, config = (
        Estimate({}, {"training": 8.0, "evaluation": 4.0, "once": 2.0}),
        RunDir("base"),
        TrainConfig(),
    )
    config.data.games, config.data.batch_size = 8 * 32, 32
    assert whole.left(RunDir("absent"), config) == whole
    assert whole.left(folder, config).parts == {"training": 0, "evaluation": 0, "once": 0}
    assert whole.left(folder, replace(config, force=True)) == whole
    saved = next(Path("base").glob("checkpoints/step-*"))
    saved.rename(saved.with_name("step-000000006"))
    assert whole.left(folder, config).parts == {"training": 2, "evaluation": 1, "once": 2}
    assert whole.left(folder, config, begun=4).parts == {"training": 4, "evaluation": 2, "once": 2}


def test_a_sweep_that_is_only_tried_says_what_its_jobs_would_take(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "train", "-m", "seed=0,1", "+experiment=naive", *TINY, "dry_run=true") == 0
    out = capsys.readouterr().out
    told = re.findall(r"^minutes +([\d.]+):", out, re.MULTILINE)
    rows = [line.split() for line in out.splitlines() if line.startswith("seed=") and "dry run" in line]
    assert [row[3] for row in rows] == told
    assert len(told) == 2
    whole = re.search(r"2 dry run; minutes in all, one after the other: ([\d.]+)", out)
    assert whole is not None
    assert float(whole[1]) == pytest.approx(sum(map(float, told)), abs=0.011)


def test_mistakes_are_found_by_a_dry_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.pickle").write_bytes(b"no pickle")
    before = tree(here)
    for call in (
        ["import_games", "files=[bad.pickle]", "out=x"],
        ["import_games", "files=[games.txt]", "out=games"],
        ["export_games", "folder=nowhere", "out=x.txt"],
        ["report", "runs=[games]"],
        ["generate", "out=games", "board=6x6"],
        ["transfer", "run=base", "transfer.source=klingon"],
    ):
        capsys.readouterr()
        assert run(monkeypatch, *call, "dry_run=true") == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
        assert tree(here) == before
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(monkeypatch, "train", "+experiment=naive", *TINY, "dry_run=true") == 2
    assert "torchrun" in capsys.readouterr().err
