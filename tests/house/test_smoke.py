"""Proves: every script runs from the command line's words to its files, twice (the second time it finds its work done), for
every kind of language, and the folder it leaves can be loaded again."""

import json
import pickle
import re
import tomllib
from pathlib import Path

import pytest
from house.commands import IN_PROCESS, MAINS, TINY, TINY_CAUSAL, TINY_MEASURE, TINY_PROBE, fragment, run

from mothello.commands import COMMANDS, SHOWS
from mothello.rows import QUANTITIES
from mothello.rundir import RunDir
from mothello.stages.load import load_run

SCRIPTS = Path(__file__).parents[2] / "scripts"
RUNS = [
    pytest.param("naive", "compositional_pair", marks=pytest.mark.slow),
    ("anchor", "mix"),
    pytest.param("unified", "split_pair", marks=pytest.mark.slow),
    pytest.param("unified", "mix", marks=pytest.mark.slow),
    pytest.param("prefix", "atomic_pair", marks=pytest.mark.slow),
]


def test_every_command_has_its_script_its_config_and_its_entry_point() -> None:
    scripts = {"wandb_mirror" if name == "wandb" else name for name in COMMANDS}
    assert scripts | {"results", "has_torch"} == {path.stem for path in SCRIPTS.glob("*.py")}
    assert set(IN_PROCESS) | {"results"} == {path.stem for path in (SCRIPTS.parent / "configs").glob("*.yaml")}
    quick = {name for name in IN_PROCESS if "computes=False" in (SCRIPTS / f"{name}.py").read_text()}
    assert quick == set(SHOWS)
    declared = tomllib.loads((SCRIPTS.parent / "pyproject.toml").read_text())["project"]["scripts"]
    entries = {f"mothello-{name.replace('_', '-')}": f"mothello.commands:{name}" for name in COMMANDS}
    assert declared == {"mothello": "mothello.commands:main"} | entries
    assert {path.stem for path in SCRIPTS.glob("*.py")} - {"has_torch", "wandb_mirror"} == set(MAINS)


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
    assert {f"val/{name}/top1" for name in loaded.language_set.names} <= set(results["final"])
    for name, floor in results["floors"].items():
        assert results["final"][f"val/{name}/loss"] > floor["nats"] - 0.1
    source = loaded.language_set.names[-1]
    assert run(monkeypatch, "measure", "run=run", *TINY_MEASURE) == 0
    assert run(monkeypatch, "probe", "run=run", *TINY_PROBE, *TINY_CAUSAL) == 0
    probe = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "tracking=jsonl"]
    assert run(monkeypatch, "transfer", "run=run", f"transfer.source={source}", *probe, *TINY_PROBE) == 0
    capsys.readouterr()
    assert run(monkeypatch, "train", *call) == 0
    assert run(monkeypatch, "probe", "run=run", *TINY_PROBE, *TINY_CAUSAL) == 0
    assert run(monkeypatch, "measure", "run=run", *TINY_MEASURE) == 0
    assert capsys.readouterr().out.count("finished already") == 5
    measures = {"probe", "causal", "patching", "legality", "alignment", "embedding", "training"}
    table = load_run("run").table
    assert set(table.measure) == measures
    (child,) = (path for path in Path("run/finetune").iterdir() if path.is_dir() and not path.name.endswith("-scratch"))
    tuned = load_run(child)
    assert (tuned.stage, tuned.parent) == ("finetune", Path("run"))
    table = tuned.table
    assert set(table.measure) == {"training", "transfer", "probe"}
    assert set(table.quantity) <= set(QUANTITIES)
    assert table.value.notna().all()
    watched = table[table.measure == "transfer"]
    assert set(watched.opening) == ({"", "".join(loaded.config.data.prefix)} if experiment == "prefix" else {""})
    assert set(watched.control) == {"trained", "scratch", "chance"}
    assert "retrieval_same_ply" in set(watched.quantity)
    assert watched[watched.quantity == "top1"].step.nunique() > 2
    assert set(watched[watched.quantity == "peak"].language) == set(loaded.languages)
    assert run(monkeypatch, "measure", f"run={child}", *TINY_MEASURE) == 0
    assert run(monkeypatch, "report", f"runs=[{child}]") == 0


def test_a_finished_command_says_how_good_what_chance_is_and_what_to_type_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *TINY) == 0
    (folder,) = Path("runs").glob("board-4x4_batch_size-32_games-256_model-tiny/*/seed0")
    trained = capsys.readouterr().out.splitlines()
    assert re.match(r"done: strict top-1 legality 0\.\d{3} \(chance 0\.\d{3}(, not above it)?\), loss ", trained[-2])
    few = ["data.games=64", "data.batch_size=16", "evaluation.games=8"]
    quick = [
        "tracking=jsonl",
        *(f"transfer.{x}" for x in few),
        "transfer.probe_before_and_after=false",
        "transfer.scratch=false",
    ]
    commands = {
        "measure": ["run=last", *TINY_MEASURE], "probe": ["run=runs/board", *TINY_PROBE, "measures=[probes]"],
        "transfer": ["run=runs", *quick], "stage": ["run=last", "stage=realign", "stage.controls=[]", *(f"stage.{x}" for x in few)],
    }  # fmt: skip
    said = {"train": trained[-1]}
    for script, words in commands.items():
        assert run(monkeypatch, script, *words) == 0
        said[script] = (out := capsys.readouterr().out.splitlines())[-1]
        assert (script == "transfer") == any(" chance" in line and "before  after" in line for line in out)
    (stage,) = folder.glob("realign/*")
    page = f"next: python scripts/report.py 'runs=[{folder}]'"
    assert said == {
        "train": f"next: python scripts/measure.py run={folder}", "measure": f"next: python scripts/probe.py run={folder}",
        "probe": page, "transfer": page, "stage": f"next: python scripts/measure.py run={stage}",
    }  # fmt: skip
    assert run(monkeypatch, "train", *TINY) == 0  # the same command finds its folder
    assert "finished already" in (out := capsys.readouterr().out)
    assert out.splitlines()[-1] == said["train"]
    assert run(monkeypatch, "train", "fork=last", "at=8", "data.games=512") == 2
    assert (
        f"fork: last would be the fork itself when the command is run again; write fork={folder}"
        in capsys.readouterr().err
    )
    assert run(monkeypatch, "train", *TINY, "dry_run=true") == 0
    assert "next: " not in capsys.readouterr().out


def test_a_study_with_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["tracking=jsonl", "transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8"]
    call = [
        "+study=demo",
        "transfer_from=[unified]",
        *fragment("train", TINY),
        *fragment("probe", [*TINY_PROBE, *TINY_CAUSAL]),
        *fragment("measure", TINY_MEASURE),
        *fragment("transfer", [*TINY_PROBE, *short]),
    ]
    assert run(monkeypatch, "study", *call) == 0
    out = capsys.readouterr().out
    assert "minutes on two cores" in out
    assert "report/index.html" in out
    assert Path("report/index.html").stat().st_size > 50_000
    assert len(list(Path("runs/demo").glob("*/*/seed0/results.json"))) == 3


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_games_are_generated_resumed_exported_and_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    call = ["board=6x6", "games=250", "shard_games=100"]
    assert run(monkeypatch, "generate", "out=a", *call) == 0
    assert run(monkeypatch, "generate", "out=b", *call, "workers=2") == 0
    whole = contents(Path("a"))
    assert contents(Path("b")) == whole
    for name in ("shard-00001.json", "shard-00002.npy", "corpus.json"):  # what a killed job may lack
        Path("b", name).unlink()
    written = Path("b/shard-00000.npy").stat().st_mtime_ns
    assert run(monkeypatch, "generate", "out=b", *call) == 0
    assert contents(Path("b")) == whole
    assert Path("b/shard-00000.npy").stat().st_mtime_ns == written  # a whole shard is left alone
    Path("b/shard-00000.npy").write_bytes(whole["shard-00000.npy"][:-1] + b"x")
    assert run(monkeypatch, "generate", "out=b", *call) == 0
    assert contents(Path("b")) == whole  # a damaged one is not
    capsys.readouterr()
    assert run(monkeypatch, "generate", "out=b", *call) == 0
    assert "finished already" in capsys.readouterr().out
    assert run(monkeypatch, "generate", "out=b", *call, "seed=1") == 2
    assert "b holds other games" in capsys.readouterr().err
    assert run(monkeypatch, "generate", "out=b", "board=6x6", "games=150", "shard_games=100") == 2
    assert "b holds 250 of these games" in capsys.readouterr().err
    assert contents(Path("b")) == whole

    assert run(monkeypatch, "export_games", "folder=a", "out=a.txt") == 0
    lines = Path("a.txt").read_text().splitlines()
    assert len(lines) == 250
    Path("more.txt").write_text("# mine\n" + lines[0] + "\na1\n")
    assert run(monkeypatch, "import_games", "board=6x6", "files=[a.txt,more.txt]", "out=c", "shard_games=100") == 0
    assert "2 files: 251 games kept (1 repeated); 1 set aside" in capsys.readouterr().out
    assert Path("c/rejected.txt").read_text() == "more.txt:3: move 1, a1, is not legal: a1\n"
    assert Path("c/shard-00000.npy").read_bytes() == whole["shard-00000.npy"]
    assert run(monkeypatch, "export_games", "folder=c", "out=c.txt") == 0
    assert Path("c.txt").read_text().splitlines() == [*lines, lines[0]]

    turned = str.maketrans("abcdef", "fedcba")
    Path("other.pgn").write_bytes(f'[Event "x"]\n\n{lines[0].translate(turned)}\n'.encode("utf-16"))
    Path("odd.pkl").write_bytes(pickle.dumps(["\ud800"]))
    Path("one.csv").write_text(f"id,moves\n1,{lines[1]}\n2,{'x' * 90_000}\n")
    for mirror, said in (
        ("false", "3 files: 1 game kept; 3 set aside"),
        ("true", "3 files: 2 games kept (1 mirrored); 2 set"),
    ):
        call = ["board=6x6", "files=[other.pgn,one.csv,odd.pkl]", f"out=d-{mirror}", f"mirror={mirror}"]
        assert run(monkeypatch, "import_games", *call) == 0
        printed = capsys.readouterr().out
        assert said in printed
        assert ("(1 in the other start position: mirror=true imports them)" in printed) == (mirror == "false")
        assert max(map(len, printed.splitlines())) < 300
    assert len(Path("d-true/rejected.txt").read_text()) > 90_000


def test_training_on_stored_games_and_on_domains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "generate", "out=games", "board=6x6", "games=600") == 0
    tiny = [x for x in TINY if x != "board=4x4"]
    call = [
        "board=6x6",
        *tiny,
        "domain=[human,late,flips]",
        "data.domains.human.folder=games",
        "+data.domain_of.atomic_1=flips",
    ]
    assert (
        run(
            monkeypatch,
            "train",
            *call,
            "data.language_sampling.shares=[3,1]",
            "data.language_sampling.alpha=0.5",
            "run=run",
        )
        == 0
    )
    results = RunDir("run").read_results()
    assert all(floor["nats"] > 0 for floor in results["floors"].values())
    assert (
        run(
            monkeypatch,
            "train",
            *tiny,
            "board=6x6",
            "data.language_sampling.pairing=parallel",
            "data.epochs=2",
            "run=run2",
        )
        == 0
    )


def test_recorded_games_have_no_floor_and_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "generate", "out=games", "board=6x6", "games=600") == 0
    assert run(monkeypatch, "export_games", "folder=games", "out=games.txt") == 0
    assert run(monkeypatch, "import_games", "files=[games.txt]", "board=6x6", "out=human") == 0
    tiny = [x for x in TINY if x != "board=4x4"]
    domain = ["domain=[human]", "data.domains.human.folder=human"]
    assert run(monkeypatch, "train", "board=6x6", *tiny, *domain, "run=run") == 0
    floor = RunDir("run").read_results()["floors"]["atomic_0"]
    assert floor["nats"] is None
    assert floor["reason"] == "stored games do not tell what their moves were drawn from"
    assert run(monkeypatch, "report", "runs=[run]") == 0


@pytest.mark.parametrize(
    "call",
    [
        ["board=4x4", "languages=mix", "languages.anchors.count=2"],
        ["domain=[flips,random]", "+data.domain_of.atomic_0=flips", "languages=five_atomic"],
        ["domain=[early,late]", "+data.domain_of.atomic_0=early", "+data.domain_of.atomic_1=late", "against=late"],
    ],
    ids=["4x4", "domains", "early"],
)
def test_a_corpus_is_drawn(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "corpus", *call, "sample=200", "data.games=300", "device.threads=1") == 0
    numbers = json.loads(Path("corpus/numbers.json").read_text())
    if "against=late" in call:  # no ply carries loss in both: nothing can be said of how they differ
        assert numbers["divergence"]["atomic_0 (early)"]["moves"] is None
        assert numbers["divergence"]["atomic_1 (late)"]["common"] == pytest.approx(1, abs=0.02)
        assert not any(numbers["corpora"]["atomic_1 (late)"]["alive"][:20])
        assert {(row["one"], row["other"]) for row in numbers["overlap"]} >= {
            ("atomic_0 (early)", "atomic_1 (late)"),
            ("atomic_1 (late)", "probe"),
        }
    assert abs(sum(numbers["languages"].values()) - 1) < 1e-9
    assert {path.name for path in Path("corpus").iterdir()} == {"numbers.json", "by_ply.png", "lengths.png"}


def test_a_multirun_makes_one_folder_per_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", "-m", "+experiment=naive,anchor", "seed=0,1", *TINY) == 0
    assert len(list(Path("runs").glob("*/*/seed?/results.json"))) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
