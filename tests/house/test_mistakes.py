"""Proves: each mistake of a user gives one line that names the key or file, exit code 2, and leaves the files as they are."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from house.commands import TINY, TINY_PROBE, run

TRAIN = ["+experiment=naive", *TINY]
SWITCHED = "data.code_switching.probability=.5"
SHARES = "data.language_sampling.shares=[1e40,1]"
APART = ["model.separate.tokens=true", "data.language_sampling.grouped=true"]
HOMONYMS = "+languages.traits.atomic_0.homonyms=.5"
PAIR = "languages.anchors.groups=[[atomic_0,atomic_1],[atomic_1]]"

MISTAKES = [
    ("train", ["experiment=naive"], ["experiment: is not set by default; use +experiment=NAME"]),
    ("study", ["study=table1"], ["study: is not set by default; use +study=NAME"]),
    ("train", ["typo=1"], ["typo: unknown key", "choices", "languages"]),
    ("train", ["+typo=1"], ["typo: unknown key"]),
    ("train", ["+model.typo=1"], ["model.typo: unknown key", "n_layer"]),
    ("train", ["seed=abc"], ["error: seed: 'abc' is no whole number"]),
    ("train", ["seed=[1,2]"], ["error: seed: [1, 2] is a list, not a number"]),
    ("train", ["seed={a:1}"], ["error: seed: {'a': 1} is a mapping, not a number"]),
    ("train", ["optimizer.lr=high"], ["error: optimizer.lr: 'high' is no number"]),
    ("train", ["dry_run=maybe"], ["error: dry_run: 'maybe' is not true or false"]),
    ("train", ["languages.output=[own]"], ["error: languages.output: ['own'] is not one word"]),
    ("train", ["languages.kinds=[[atomic]]"], ["error: languages.kinds: is a list of texts"]),
    ("measure", ["run=[a]"], ["error: run: ['a'] is a list, not a text"]),
    ("train", ["seeds=1"], ["seeds: unknown key; choices: name, board", "dry_run; did you mean seed?"]),
    ("train", ["data.game=1"], ["data.game: unknown key; choices: games", "; did you mean games?"]),
    ("train", ["data.games=3,000"], ["several values", "a number data.games=3_000"]),
    ("report", ["board=8x8"], ["error: board: unknown key; choices: runs, out"]),
    ("transfer", ["run=a", "stage=task"], ["error: stage: unknown key; choices: run"]),
    ("study", ["+study=demo", "board=4x4"], ["error: board: unknown key", "of the runs: train.choose.board=NAME"]),
    ("study", ["train=[board=4x4,model=tiny]"], ["write each as a setting", "train.choose.GROUP=NAME"]),
    ("study", ["experiments=[naive]", "train={board: 4x4}"], ["error: train.choose.board=4x4: write this, not board=4x4"]),
    ("train", ["fork=nowhere", "at=5"], ["error: fork: nowhere/config.yaml does not exist"]),
    ("measure", ["run=nowhere", "measures=[stitch]", "other=there"], ["error: run: nowhere/config.yaml does not exist"]),
    ("train", ["name=null"], ["name: null is no value of it"]),
    ("train", ["-m", "seed=0,"], ["seed=0,: cannot be read; write a value after the last comma"]),
    ("train", ["model.n_layer=two"], ["model.n_layer", "two"]),
    ("train", ["model.n_layer=0"], ["model.n_layer", "1..64"]),
    ("train", ["model.n_head=3"], ["model.n_head", "d_model"]),
    ("train", ["optimizer.lr=-1"], ["optimizer.lr"]),
    ("train", ["data.games=0"], ["data.games"]),
    ("train", ["data.games=1"], ["data.games", "batch"]),
    ("train", ["seed=-1"], ["seed"]),
    ("train", ["objective=guess"], ["objective", "causal_lm"]),
    ("train", ["+experiment=nope"], ["experiment", "nope", "naive"]),
    ("train", ["languages=klingon"], ["languages", "klingon", "atomic_pair"]),
    ("train", ["languages.kinds=[klingon]"], ["languages.kinds", "klingon", "compositional"]),
    ("train", ["board=9x9"], ["board", "9x9", "4x4, 6x6, 8x8"]),
    ("train", ["board.size=5"], ["board.size", "4, 6, 8"]),
    ("train", ["device=tpu"], ["device", "tpu", "auto, cpu, cuda"]),
    ("train", ["languages.output=both"], ["languages.output", "own", "unified"]),
    ("train", ["languages.anchors.moves=[b2]"], ["languages.anchors.moves", "b2", "start square"]),
    ("train", ["languages.anchors.moves=[h8]"], ["languages.anchors.moves", "h8", "off the 4x4 board"]),
    ("train", ["languages.anchors.moves=[zz]"], ["languages.anchors.moves", "zz"]),
    ("train", [PAIR, "languages.anchors.count=1"], ["languages.anchors.groups", "atomic_1", "two groups"]),
    ("train", ["languages.anchors.count=99"], ["languages.anchors.count", "99"]),
    ("train", ["languages.anchors.links=[atomic_0.a1]"], ["languages.anchors.links", "NAME.MOVE=NAME.MOVE"]),
    ("train", ["languages.anchors.placement=left"], ["languages.anchors.placement", "off"]),
    ("train", ["languages.anchors.overlap=1.5"], ["languages.anchors.overlap", "1.5 is outside 0..1"]),
    ("train", ["languages.anchors.overlap=.5", "languages.anchors.count=2"], ["languages.anchors.overlap", "one of them"]),
    ("train", ["languages.anchors.same_meaning=.5"], ["languages.anchors.same_meaning: has no effect"]),
    ("train", ["languages.anchors.subtokens=.5"], ["languages.anchors.subtokens: needs two languages"]),
    ("train", ["+languages.traits.latin.mover=before"], ["languages.traits", "latin", "atomic_0, atomic_1"]),
    ("train", ["+languages.traits.atomic_0.window=3"], ["languages.traits.atomic_0.window: has no effect"]),
    ("train", ["+languages.traits.atomic_0={order:reversal,window:13}"], ["traits.atomic_0.window: 13", "12 plies"]),
    ("train", ["+languages.traits.atomic_0.phrase=row_column"], ["languages.traits.atomic_0.phrase", "compositional"]),
    ("train", ["+languages.traits.atomic_0.order=sideways"], ["languages.traits.atomic_0.order", "inversion"]),
    ("train", ["+languages.traits.atomic_0.synonyms=.01"], ["languages.traits.atomic_0.synonyms", "is none"]),
    ("train", ["+languages.traits.atomic_0.homonyms=2"], ["languages.traits.atomic_0.homonyms", "outside 0..1"]),
    ("train", [HOMONYMS, "objective.targets=expected"], ["objective: causal_lm", "traits.atomic_0.homonyms=0.5", "not known"]),
    ("train", ["+languages.traits.atomic_1.order=permutation"], ["objective: causal_lm", "atomic_1.order=permutation"]),
    ("train", ["languages.output=unified", "model.tied=true"], ["model.tied"]),
    ("train", ["data.prefix=[a1]"], ["data.prefix", "not legal"]),
    ("train", ["data.prefix=[b2]"], ["data.prefix", "start square"]),
    ("probe", [], ["error: run: must be given (the run's folder); --help explains every key"]),
    ("probe", ["run=nowhere"], ["nowhere/config.yaml", "does not exist"]),
    ("measure", ["run=nowhere", "measures=[guess]"], ["measures: 'guess'", "alignment, probes", "causal, distance, efficiency"]),
    ("measure", ["run=nowhere", "+legality.game=3"], ["legality.game", "unknown key", "games"]),
    ("measure", ["run=nowhere", "probes.games=3"], ["probes.games", "no effect", "measures=[legality,alignment]"]),
    ("measure", ["run=nowhere", "other=there"], ["other: has no effect on measures=[legality,alignment]"]),
    ("measure", ["run=nowhere", "measures=[stitch]", "stitch.tasks=[guess]"], ["stitch.tasks", "guess", "flips"]),
    ("measure", ["run=nowhere", "plugins=[not_there]"], ["plugins: not_there", "cannot be imported"]),
    ("probe", ["run=nowhere", "causal.cases=0"], ["causal.cases", "0 is below 1"]),
    ("probe", ["run=nowhere", "probes.probes=[quadratic]"], ["probes.probes", "quadratic", "linear, mlp"]),
    ("transfer", ["run=nowhere"], ["nowhere/config.yaml"]),
    ("report", ["runs=[]"], ["runs", "no run with an evaluation"]),
    ("report", ["runs=[nowhere]"], ["runs", "nowhere", "does not exist"]),
    ("train", ["domain=[nope]"], ["domain", "nope", "flips"]),
    ("train", ["domain=[flips]", "data.domains.flips.policy.temperature=0"], ["policy.temperature"]),
    ("train", ["domain=[early]", "data.domains.early.plies=[5,3]"], ["data.domains.early.plies", "[5, 3]"]),
    ("train", ["+data.domains.x.plies=[5]"], ["error: data.domains.x.plies: [5] is not [first, last]"]),
    ("train", ["+data.domains.x={folder:g,prefix:[c2]}"], ["error: data.domains.x.folder: g holds finished games"]),
    ("train", ["domain=[opening]", "data.domains.opening.prefix=[a1]"], ["data.domains.opening.prefix"]),
    ("train", ["+data.domains.x.facts.count=2"], ["data.domains.x.facts", "4x4 board", "board=6x6"]),
    ("train", ["board.size=6", "+data.domains.x.facts.count=29"], ["data.domains.x.facts.count: 29 is above 28", "6x6"]),
    ("train", ["+data.domains.x.facts.plies=3"], ["error: data.domains.x.facts.plies: has no effect without count"]),
    ("train", ["+data.domains.x={facts:{count:2,plies:7}}"], ["data.domains.x.facts.plies: 7 is outside 1..6"]),
    ("train", ["+data.domains.x={facts:{count:2},prefix:[c2]}"], ["error: data.domains.x.facts: are", "leave prefix out"]),
    ("train", ["+data.domains={x:{facts:{count:2}},y:{facts:{count:3}}}"], ["data.domains: a run has one set"]),
    ("measure", ["run=nowhere", "measures=[facts]", "facts.count=3"], ["facts.plies: must be given too"]),
    ("measure", ["run=nowhere", "measures=[facts]", "facts={count:3,plies:7}"], ["facts.plies: 7 is outside 0..6"]),
    ("train", ["checkpoints.keep=5"], ["checkpoints.keep: is a mapping; write checkpoints.keep.KEY=VALUE; choices: log_spaced"]),
    ("train", ["model=tiny", "model.separate=true"], ["model.separate: is a mapping; write model.separate.KEY=VALUE"]),
    ("stage", ["run=nowhere", "stage=realign", "stage.data=5"], ["stage.data: is a mapping; write stage.data.KEY", "games"]),
    ("measure", ["run=nowhere", "legality=few"], ["legality: is a mapping; write legality.KEY=VALUE"]),
    ("train", ["domain=[human]"], ["data.domains.human.folder", "games/human/corpus.json", "import_games"]),
    ("train", ["domain=[human]", "data.domains.human.folder=nowhere"], ["data.domains.human.folder", "nowhere"]),
    ("train", ["domain=[flips]", "+data.domain_of.latin=flips"], ["data.domain_of", "latin", "atomic_0"]),
    ("train", ["+data.domain_of.atomic_0=nope"], ["data.domain_of.atomic_0", "nope"]),
    ("train", ["data.language_sampling.shares=[1,2,3]"], ["data.language_sampling.shares", "3 shares for 2 languages"]),
    ("train", ["data.language_sampling.pairing=parallel"], ["data.epochs", "parallel"]),
    ("train", ["data.language_sampling.pairing=nope"], ["data.language_sampling.pairing", "disjoint"]),
    ("generate", [], ["error: out: must be given (folder of the shards); --help explains every key"]),
    ("generate", ["out=x", "prefix=[a1]"], ["prefix", "not legal"]),
    ("generate", ["out=x", "games=0"], ["games"]),
    ("import_games", ["out=x"], ["files"]),
    ("import_games", ["out=x", "files=[nowhere.wtb]"], ["files", "nowhere.wtb", "does not exist"]),
    ("import_games", ["out=x", "format=csv"], ["format", "csv", "wthor"]),
    ("export_games", ["folder=nowhere", "out=x.txt"], ["folder", "nowhere"]),
    ("corpus", ["against=nope"], ["against", "nope", "uniform"]),
    ("corpus", ["data.domains=3"], ["data.domains"]),
    ("import_games", ["out=x", "files=g.txt"], ["files: is a list; write files=[...]"]),
    ("train", ["domain=[flips]", "data.domain_of.atomic_0=flips"], ["write +data.domain_of.atomic_0="]),
    ("study", ["+study=nope"], ["study", "nope", "demo"]),
    ("study", [], ["experiments"]),
    ("train", ["name=a,b=c"], ["name=a,b=c: cannot be read; quote the value: 'name=\"a,b=c\"'"]),
    ("train", ["seed=0,1"], ["seed=0,1: several values; add -m", "'seed=\"0,1\"'"]),
    ("train", ["-m", "hydra/sweeper=nope"], ["hydra/sweeper: has no effect"]),
    ("train", ["hydra/launcher=joblib"], ["hydra/launcher", "-m"]),
    ("train", ["-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.jobs=2"], ["hydra.launcher", "n_jobs"]),
    ("measure", ["-m", "run=a,b", "hydra/launcher=submitit_local", "hydra.launcher.tasks_per_node=2"],
     ["hydra.launcher.tasks_per_node", "only scripts/train.py -m"]),
    ("study", ["+study=demo", "hydra/launcher=submitit_slurm", "hydra.launcher.nodes=2"],
     ["hydra.launcher.nodes", "only scripts/train.py -m"]),
    ("train", ["optimizer.lr=nan"], ["optimizer.lr", "nan"]),
    ("train", ["data.epochs=inf"], ["data.epochs", "inf"]),
    ("train", ["checkpoint_every=nan"], ["checkpoint_every", "nan"]),
    ("study", ["experiments=[naive]", "train.data.gmaes=1"], ["train.data.gmaes: unknown key"]),
    ("study", ["experiments=[naive]", "train.choose.model=tyni"], ["model: unknown 'tyni'; choices: paper"]),
    ("study", ["+cells={a/b: {}}"], ["cells.a/b: 'a/b' is no name"]),
    ("study", ["+cells={lr\\=0.01: {}}"], ["cells.lr=0.01: 'lr=0.01' is no name"]),
    ("study", ["experiments=[naive]", "name=../x"], ["name: '../x' is no name"]),
    ("train", ["name="], ["name: '' is no name"]),
    ("train", ["name=../../x"], ["name: '../../x' is no name"]),
    ("train", ["name=1e3"], ["name: '1000.0' is no name", "no number"]),
    ("train", ["name=null"], ["name"]),
    ("train", ["languages.names=[a@b,c]"], ["languages.names: 'a@b' is no name"]),
    ("train", ["languages.names=['',c]"], ["languages.names: '' is no name"]),
    ("train", ["+data.domains={a b:{}}"], ["data.domains.a b: 'a b' is no name"]),
    ("train", ["+data.domains={1:{weight:2}}"], ["data.domains.1: is no name; a name is"]),
    ("study", ["+cells={a:{train:{choose:3}}}"], ["train.choose: 3 is no mapping; write choose: {GROUP: OPTION}"]),
    ("study", ["+cells={null:{}}"], ["null: is no name; a name is"]),
    ("train", ["+data.domains.x=3"], ["data.domains.x"]),
    ("train", ["+auxiliary.loss.name=causal_lm"], ["auxiliary.loss", "another key"]),
    ("train", ["plugins=[../x]"], ["plugins: '../x' is no module"]),
    ("train", ["tracking.project=a/b"], ["tracking.project: 'a/b' has"]),
    ("corpus", ["+data.domains.uniform.weight=2"], ["data.domains.uniform", "another name"]),
    ("train", ["--seed", "1"], ["command line: unrecognized arguments: --seed 1; write seed=VALUE", "KEY=VALUE"]),
    ("train", ["--config-name=x"], ["--config-name has no effect"]),
    ("train", ["--cfg", "job", "name=a,b=c"], ["name=a,b=c: cannot be read; quote the value: 'name=\"a,b=c\"'"]),
    ("train", ["--cfg", "job", "-m", "seed=1,2"], ["command line: only one of --run, --multirun, --cfg"]),
    ("train", ["--cfg", "job", "board=4"], ["board: board=4 names no option"]),
    ("train", ["seed"], ["seed: cannot be read; write seed=VALUE"]),
    ("train", ["board=4"], ["board: board=4 names no option; choices: 4x4, 6x6, 8x8"]),
    ("train", ["board@x=4x4"], ["Could not override 'board@x'. Did you mean to override board?"]),
    ("train", ["domain=[3]"], ["domain: domain=[3] names no option", "flips"]),
    ("train", ["nogroup/x=3"], ["nogroup/x: unknown key; choices: name, board"]),
    ("train", ["+data.domains.60k.weight=2"], ["weight=2: cannot be read; write +data.domains={60k:...}"]),
    ("train", ["=3"], ["=3: cannot be read; write KEY=VALUE"]),
    ("train", ["\u00fc=3"], ["cannot be read; write KEY=VALUE"]),
    ("train", ["data.domains={a"], ["data.domains={a: cannot be read; close it, quote what is in it, or quote the value"]),
    ("train", ["objective=masked_lm", "objective.rate=0"], ["objective.rate: 0.0 is not positive"]),
    ("train", ["objective=masked_lm", "objective.kept=.6", "objective.random=.6"], ["objective.random: 0.6 and kept=0.6"]),
    ("train", ["objective=masked_lm", "objective.whole_word=false"], ["objective.whole_word: has no effect"]),
    ("train", ["objective=tlm", "pairing=disjoint"], ["objective: tlm reads games in two languages", "disjoint"]),
    ("train", ["objective=tlm", "objective.share=.01"], ["objective.share: 0.01 of 32 games a step is none"]),
    ("train", ["objective=tlm", "objective.share=1", SWITCHED], ["data.code_switching: rows of tlm", "not switched"]),
    ("train", ["objective=tlm", "objective.attention=causal", "objective.rate=.3"], ["objective.rate: has no effect"]),
    ("train", ["objective=dictionary", "objective.coverage=1.5"], ["objective.coverage: 1.5 is above 1"]),
    ("train", ["objective=dictionary", "objective.coverage=.01"], ["objective.coverage: 0.01 of 12 moves is none"]),
    ("train", ["objective=dictionary", "languages.kinds=[atomic,split]"], ["objective: dictionary needs words of one length"]),
    ("train", ["objective=dictionary", "languages=atomic_single"], ["objective: dictionary translates, and there is one"]),
    ("train", ["objective=align"], ["objective: align trains no model by itself"]),
    ("train", ["+auxiliary.align.coverage=.01"], ["auxiliary.align.coverage: 0.01 of 12 moves is none"]),
    ("train", ["+auxiliary.mine={name:align,coverage:.01}"], ["auxiliary.mine.coverage: 0.01 of 12 moves is none"]),
    ("train", ["+auxiliary.align.site=output", "model.tied=true"], ["auxiliary.align.site: has no effect with model.tied"]),
    ("train", ["objective=masked_lm", "+auxiliary.dictionary.coverage=.01"], ["auxiliary.dictionary.coverage: 0.01 of"]),
    ("train", ["objective=masked_lm", "+auxiliary.dictionary={kept:.6,random:.6}"], ["auxiliary.dictionary.random: 0.6"]),
    ("train", ["objective=masked_lm", "+auxiliary.tlm.share=.01"], ["auxiliary.tlm.share: 0.01 of 32 games"]),
    ("train", ["+auxiliary=[align]"], ["auxiliary: a list stands for a mapping", "auxiliary={KEY:VALUE}"]),
    ("train", ["data.code_switching.probability=1.5"], ["data.code_switching.probability: 1.5 is outside 0..1"]),
    ("train", ["data.code_switching.cap=.5"], ["data.code_switching.cap: has no effect without"]),
    ("train", [SWITCHED, *APART], ["data.code_switching", "leave out model.separate"]),
    ("train", ["model.separate.blocks=5"], ["model.separate.blocks: 5 of"]),
    ("train", ["model.separate.head=true"], ["model.separate: needs batches sorted by language"]),
    ("train", ["objective=masked_lm", "objective.pool=joint", *APART], ["objective.pool", "model.separate.tokens"]),
    ("train", ["pairing=translated"], ["pairing", "translated", "disjoint, drawn, parallel"]),
    ("train", [SHARES, "data.language_sampling.alpha=10"], ["data.language_sampling.shares: 1 is never drawn"]),
    ("stage", ["run=nowhere", "stage=task", "stage.task=[flips]"], ["stage.task: is a mapping; write stage.task={KEY:VALUE}"]),
    ("stage", ["run=nowhere", "stage=task", "stage.task=chess"], ["stage.task.name: 'chess' is not one of flips"]),
    ("stage", ["run=nowhere", "stage=task", "stage.layer=-2"], ["stage.layer: -2 is below -1"]),
    ("measure", ["run=nowhere", "efficiency.ladder=[x]"], ["efficiency.ladder", "no effect without efficiency"]),
    ("train", ["name='a"], ["name='a: cannot be read; close it, quote what is in it, or quote the value"]),
]  # fmt: skip


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_one_line(capsys: pytest.CaptureFixture[str], expected: list[str]) -> None:
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("error: ")
    for text in expected:
        assert text in err


@pytest.mark.parametrize(
    ("script", "arguments", "expected"), MISTAKES, ids=lambda x: " ".join(x) if isinstance(x, list) else x
)
def test_one_line_and_exit_code_2(
    script: str,
    arguments: list[str],
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    base = (
        []
        if script != "train"
        else [x for x in TRAIN if not (arguments[0].startswith(("+exp", "exp")) and x.startswith("+exp"))]
    )
    assert run(monkeypatch, script, *base, *arguments) == 2
    assert_one_line(capsys, expected)
    assert snapshot(tmp_path) == {}


def test_files_that_cannot_be_imported_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "evil.pickle").write_bytes(pickle.dumps([[1], os.getcwd]))
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "bad.txt").write_text("zz\n")
    (tmp_path / "a.dat").write_text("f5d6\n")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    for name, expected in (
        ("evil.pickle", ["evil.pickle is refused", "getcwd"]),
        ("empty.txt", ["no legal game"]),
        ("bad.txt", ["no legal game", "bad.txt:1", "zz"]),
        ("a.dat", ["a.dat", "format="]),
    ):
        call = ["import_games", f"files=[{tmp_path / name}]", f"out={tmp_path / 'out'}"]
        before = snapshot(tmp_path)
        assert run(monkeypatch, *call) == 2
        lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        assert len(lines) == 1
        assert all(text in lines[0] for text in expected)
        assert snapshot(tmp_path) == before
    text = f"files=[{tmp_path / 'a.dat'}]"
    for force in ("false", "true"):
        call = ["import_games", text, f"out={tmp_path / 'taken'}", "format=text", f"force={force}"]
        fails(monkeypatch, capsys, tmp_path, call, ["taken"])
    fails(monkeypatch, capsys, tmp_path, ["generate", f"out={tmp_path / 'taken'}", "games=10"], ["taken", "no shards"])


def test_cuda_asked_for_and_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run(monkeypatch, "train", *[x for x in TRAIN if x != "device=cpu"], "device=cuda") == 2
    assert_one_line(capsys, ["device", "cuda"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run in ``run``."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "train", *TRAIN, f"run={folder / 'run'}") == 0
    return folder


def damaged(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may break."""
    import shutil

    return Path(shutil.copytree(finished / "run", tmp_path / "run"))


def fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    call: list[str],
    expected: list[str],
) -> None:
    before = snapshot(folder)
    capsys.readouterr()
    assert run(monkeypatch, *call) == 2
    assert_one_line(capsys, expected)
    assert snapshot(folder) == before


def test_a_folder_made_by_another_config(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = damaged(finished, tmp_path)
    for change in (["seed=1"], ["optimizer.lr=0.5"], ["force=true", "model.n_layer=3"]):
        fails(
            monkeypatch, capsys, tmp_path, ["train", *TRAIN, f"run={folder}", *change], [str(folder), "another config"]
        )


def test_a_folder_that_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    call = ["train", *TRAIN, f"run={tmp_path}", "force=true"]
    fails(monkeypatch, capsys, tmp_path, call, [str(tmp_path), "no run folder"])


@pytest.mark.parametrize("script", ["probe", "transfer"])
def test_missing_truncated_and_damaged_checkpoints(
    script: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    call = [script, f"run={tmp_path / 'run'}", *TINY_PROBE]
    folder = damaged(finished, tmp_path)
    weights = next(folder.glob("checkpoints/step-*/weights.safetensors"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    fails(monkeypatch, capsys, tmp_path, call, ["checkpoint", "weights.safetensors", "damaged"])
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    fails(monkeypatch, capsys, tmp_path, call, ["checkpoint", "weights.safetensors", "damaged"])
    weights.unlink()
    fails(monkeypatch, capsys, tmp_path, call, ["checkpoint", "weights.safetensors"])
    shutil.rmtree(folder / "checkpoints")
    fails(monkeypatch, capsys, tmp_path, call, ["checkpoint: none in", "checkpoints"])


@pytest.mark.parametrize(
    ("old", "new"), [("size: 4", "size: 6"), ("d_model: 32", "d_model: 64"), ("n_layer: 2", "n_layer: 1")]
)
def test_a_checkpoint_of_another_board_or_model(
    old: str,
    new: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = damaged(finished, tmp_path) / "config.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    fails(monkeypatch, capsys, tmp_path, ["probe", f"run={path.parent}", *TINY_PROBE], ["checkpoint"])


def test_an_unknown_source_language(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = damaged(finished, tmp_path)
    call = ["transfer", f"run={folder}", "transfer.source=latin", "device=cpu"]
    fails(monkeypatch, capsys, tmp_path, call, ["transfer.source", "latin", "atomic_0, atomic_1"])
    call = ["transfer", f"run={folder}", "transfer.openings=[[b1,z9]]", "device=cpu"]
    fails(monkeypatch, capsys, tmp_path, call, ["transfer.openings", "z9"])
    call = ["measure", f"run={folder}", "alignment.pool=1", "device=cpu"]
    fails(monkeypatch, capsys, tmp_path, call, ["alignment.pool", "1 is below 2"])
    call = ["probe", f"run={folder}", "causal.strength=0", "device=cpu"]
    fails(monkeypatch, capsys, tmp_path, call, ["causal.strength", "not positive"])


def test_from_a_shell(tmp_path: Path) -> None:
    script = Path(__file__).parents[2] / "scripts" / "train.py"
    call = [sys.executable, str(script), "+experiment=nope"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert not list(tmp_path.iterdir())
