"""Proves: a name holds what is safe everywhere and is checked where it enters; names never stand beside the house's own keys;
every value is quoted by one helper, and every command that is shown makes the same folder with the same numbers."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import house.commands  # noqa: F401
import pytest
from house.test_readme import HISTORY, PAGES
from house.test_readme import commands as documented_in
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from report.made import results, write
from torch import tensor

from mothello.cli.compose import composed, content, grid
from mothello.cli.line import command_line, parsed
from mothello.cli.main import SCHEMAS
from mothello.cli.measure import schema
from mothello.cli.naming import name_of
from mothello.cli.stage import StageCommand
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import names_of, part_of
from mothello.config import check_name, plain, quoted, shown
from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.measures.measure import MEASURES
from mothello.measures.transfer.curve import curves, summary
from mothello.measures.transfer.measure import TransferConfig, transfer_rows
from mothello.objectives.combined import Combined
from mothello.objectives.objective import OBJECTIVES, Loss, Part
from mothello.registry import Registry, load_plugins
from mothello.report.examples import boards
from mothello.report.reference import commands
from mothello.report.runs import Run, find_runs
from mothello.report.sharing import sharing_of
from mothello.report.table import pairs, table_of
from mothello.report.wandb_mirror import description
from mothello.rows import training_rows, write_tidy
from mothello.rundir import RunDir
from mothello.stages.continued import STAGES
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import finetune_folder, identity, run_folder, stage_folder
from mothello.stages.measuring import measure_folder
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run as LoadedRun

ROOT = Path(__file__).parents[2]
GOOD = ["naive", "a", "60k", "lr0.01", "A-b_c.d", "1-2", "step", "loss", "top1", "mean", "all", "no", "n" * 200]
BAD = ["", ".", "..", ".x", "../../x", "a/b", "a b", "a@b", "a=b", "x[1]", "\u00e9", "-a", "_a", "a.", "a\n", "null", "None", "NA", "True", "nan",
       "inf", "1e3", "1000.0", "007", "1_000", "a,b", "{a}", "$a", "a:b", "n" * 201]  # fmt: skip


def test_what_a_name_may_hold() -> None:
    for text in GOOD:
        check_name(text, "key")
    for text in BAD:
        with pytest.raises(UserError, match=r"^key: .* is no name; a name is 1 to 200 of"):
            check_name(text, "key")


def test_names_that_are_in_use_are_names() -> None:
    names = {path.parents[1].name for path in ROOT.glob("results/*/*/*/seed*")}
    names |= {
        path.stem for group in ("domain", "experiment", "scale", "study") for path in ROOT.glob(f"configs/{group}/*")
    }
    assert len(names) > 30
    for name in names:
        check_name(name, "key")


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(lambda text: is_name(text))
KEYS = NAMES | st.text(st.sampled_from("ab_ -./\\,:=[](){}+@%*?|"), min_size=1, max_size=6).map(lambda text: f"k{text}")
TEXTS = st.text(st.sampled_from("aZ09 _-./\\'\"`,:=[](){}<>@%*+?|~^!#&;\u00fc\n\t$"), max_size=12).filter(
    lambda x: "${" not in x
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | NAMES
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


def is_name(text: str) -> bool:
    try:
        check_name(text, "key")
    except UserError:
        return False
    return True


@given(VALUES)
def test_hydra_reads_back_what_is_quoted(value: Any) -> None:
    words = shlex.split(shown("train", "seed=1", key=value))
    assert words[:2] == ["python", "scripts/train.py"]
    assert words[3:] == ["seed=1"]
    read = OverridesParser.create().parse_override(words[2]).value()
    assert repr(bare(read)) == repr(value)  # of the same types, too


def bare(read: Any) -> Any:
    if isinstance(read, list):
        return [bare(inner) for inner in read]
    return {str(key): bare(inner) for key, inner in read.items()} if isinstance(read, dict) else read


def test_a_quoted_value_passes_through_a_sweep() -> None:
    (first, second) = grid([f"name={quoted('a,b=c')},{quoted('x y')}"])
    assert [parsed(*job).value() for job in (first, second)] == ["a,b=c", "x y"]


@pytest.mark.parametrize(
    "text", ["name=a,b=c", "name='a", 'name="a', "name=\u00fc", "data.domains={a", "x=it's (1", "x=[a,'b]"]
)
def test_the_hint_of_a_value_that_cannot_be_read_can_be_typed(text: str) -> None:
    with pytest.raises(UserError, match="cannot be read") as error:
        parsed(text)
    (word,) = shlex.split(str(error.value).split("quote the value: ")[1])
    assert parsed(word).value() == text.partition("=")[2]


# Names beside the house's own keys


def test_a_language_may_have_the_name_of_a_number() -> None:
    names = ["step", "top1"]
    lines = [{"step": 10 * i, "val/top1": 0.0, "val/step/top1": i / 4, "val/top1/top1": i / 8} for i in range(3)]
    assert curves(lines, names) == {"step": [0.0, 0.25, 0.5], "top1": [0.0, 0.125, 0.25]}
    assert summary(curves(lines, names), "step", names)["step"]["after"] == 0.5
    rows = {(row["language"], row["step"]): row["value"] for row in transfer_rows(lines, names, "step", "trained")}
    assert rows == {(name, 10 * i): i / (4 + 4 * (name == "top1")) for i in range(3) for name in names}
    rows = {(row["language"], row["step"]): row["value"] for row in training_rows(lines)}
    assert (rows["step", 20], rows["top1", 20], rows["", 20]) == (0.5, 0.25, 0.0)


def test_an_objective_is_no_language() -> None:
    added = {"step": 1, "train/loss": -8.0, "train/masked_lm": 2.0, "train/align": -1.0}
    assert [row["value"] for row in training_rows([added], "masked_lm")] == [2.0]  # not what is added to it
    (row,) = training_rows([{"step": 1, "train/loss": 2.0, "train/calm/loss": 3.0}])
    assert (row["language"], row["value"]) == ("", 2.0)


def test_a_part_of_the_main_objective_and_an_auxiliary_one_of_its_name_both_count() -> None:
    def fixed(total: float, **parts: Part) -> Any:
        return SimpleNamespace(attention=None, loss=lambda model, batch: Loss(tensor(total), tensor(1), parts))

    size = Part(tensor(5.0), tensor(1), 2.0)
    both = Combined(fixed(1.0, size=size), "calm", {"size": (fixed(3.0), 0.5)})
    loss = both.loss(None, {"": None, "size": None})  # type: ignore[arg-type]
    assert set(loss.terms) == {"", "calm", "calm/size", "size"}
    assert float(loss.mean(loss.numbers()[1])) == 1 + 2 * 5 + 0.5 * 3


def test_a_language_called_truth_is_drawn_as_what_was_read() -> None:
    example = {"game": "d3", "ply": 1, "layer": 1, "probe": "mlp", "source": "truth", "truth": [1] * 16}
    example["readings"] = {"truth": [2] + [1] * 15}
    run = Run(Path("x"), {"seed": 0}, {"board": "4x4"}, [], [], [])
    probed = type("Probed", (), {"examples": [example]})()
    object.__setattr__(run, "measure", lambda _: probed)
    (drawn,) = boards({"x": [run]}, pairs(table_of([]), "mlp", "absolute"))["examples"]
    read = [caption.replace(" as it is", "") for _, caption in drawn.boards]
    assert read == ["the true board", "truth: 15 of 16 right"]


def test_registered_names_stand_beside_no_key_or_folder() -> None:
    for registry, name in ((MEASURES, "device"), (MEASURES, "a-b"), (STAGES, "checkpoints"), (OBJECTIVES, "loss")):
        with pytest.raises(ValueError, match=f"{name!r}: a name is an identifier"):
            registry.register(name)(object)
    Registry("thing").register("device")(object)


@pytest.mark.parametrize("module", ["", "a b", "../x", ".x", "a..b", "x.py/"])
def test_a_plugin_is_named_as_in_an_import(module: str) -> None:
    with pytest.raises(UserError, match=r"plugins: .* is no module"):
        load_plugins([module])


def test_a_plugin_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken_plugin.py").write_text("1 / 0")
    with pytest.raises(
        UserError, match=r"plugins: broken_plugin cannot be imported \(ZeroDivisionError: division by zero\)"
    ):
        load_plugins(["broken_plugin"])


# The command line


def test_an_entry_with_a_name_is_made_by_one_of_its_keys() -> None:
    for text in (
        "+data.domains.x.weight=2",
        "++data.domains.x.weight=2",
        "+data.domains.x={weight:2}",
        "+data.domains={x:{weight:2}}",
    ):
        domains = composed("train", TrainConfig, [text]).data.domains
        assert {name: domain.weight for name, domain in domains.items()} == {"x": 2}
    both = composed(
        "train", TrainConfig, ["domain=[flips]", "+data.domains.flips.weight=3", "+data.domains.y.policy.flips=1"]
    )
    assert [(d.weight, d.policy.flips) for d in both.data.domains.values()] == [(3, 1.5), (1, 1)]
    study = composed("study", StudyCommand, ["+cells.x.train.seed=1", "+cells.x.seeds=[3]"])
    assert (study.cells["x"].train, study.cells["x"].seeds) == ({"seed": 1}, [3])
    with pytest.raises(UserError, match=r"data.domains.x.wieght: unknown key; choices: weight"):
        composed("train", TrainConfig, ["+data.domains.x.wieght=2"])


def test_a_study_looks_for_its_cells_where_it_is_told(tmp_path: Path) -> None:
    tmp_path = tmp_path / "my, configs"
    (tmp_path / "experiment").mkdir(parents=True)
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\ndata: {corpus_seed: 7}\n")
    for words in ([f"--config-dir={tmp_path}"], [f"hydra.searchpath=[{quoted(f'file://{tmp_path}')}]"]):
        line = command_line([*words, "experiments=[mine]"])
        assert part_of(composed("study", StudyCommand, line.overrides), "mine", 0).train.data.corpus_seed == 7
    with pytest.raises(UserError, match="--config-dir: nowhere is no folder"):
        command_line(["--config-dir=nowhere"])


# Names that nobody gave


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["model.d_model=256", "optimizer.lr=0.001"], "d_model-256_lr-0.001"),
        (["optimizer.lr=1e-3", "++model.d_model=256", "seed=3", "device=cpu", "run=x", "data.games=9"], "games-9_d_model-256_lr-0.001"),
        (["board=8x8", "languages.anchors.count=2", "languages.output=unified"], "board-8x8_anchors.count-2_output-unified"),
        (["languages.kinds=[atomic*2,split]", "optimizer.name=adamw", "data.prefix=[]"], "prefix-none_kinds-atomic-2-split_optimizer-adamw"),
        (["domain=[human]", "data.domains.human.folder='my games/1'"], "domain-human"),  # games are known by their content
        (["+data.domains={60k:{policy:{flips:1e-05}}}"], "domains.60k.policy.flips-1e-05"),
        (["seed=3", "tracking=jsonl", "evaluation.games=3"], "custom"),
        (["+experiment=naive", "board=8x8"], "naive"),
        (["name=custom", "board=8x8"], "custom"),
        ([f"languages.names=[{','.join('abcdefghijklmnopqrstuvwxyz')},{'z' * 99}]"], f"names-{'-'.join('abcdefghijklmnopqrstuvwxyz')}-{'z' * 22}"),
    ],
)  # fmt: skip
def test_a_name_is_made_of_what_the_command_line_changes(words: list[str], name: str) -> None:
    for typed in (words, words[::-1]):
        assert content("train", TrainConfig, typed).name == name
    check_name(name, "name")


@given(st.dictionaries(st.sampled_from(["model.d_model", "data.prefix", "+auxiliary.x.y", "languages.output"]), VALUES))
def test_whatever_is_set_makes_a_name(settings: dict[str, Any]) -> None:
    check_name(name_of([parsed(f"{key}={quoted(value)}") for key, value in settings.items()], TrainConfig), "name")


def test_a_run_that_is_there_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["optimizer.lr=0.001"]
    older = made(composed("train", TrainConfig, [*words, "name=custom"]))
    assert run_folder(composed("train", TrainConfig, words)) == str(older.path)
    assert composed("train", TrainConfig, [*words, "seed=1"]).name == "custom"  # a seed of the same configuration
    assert composed("train", TrainConfig, ["optimizer.lr=0.002"]).name == "lr-0.002"
    made(composed("train", TrainConfig, [*words, "run=mine", "name=custom"]))
    assert composed("train", TrainConfig, ["optimizer.lr=0.001", "run=mine"]).name == "custom"
    assert composed("train", TrainConfig, ["optimizer.lr=0.001", "run=yours"]).name == "lr-0.001"


# Commands that are shown

TUNED = ["transfer.openings=[[b1,a1]]", "transfer.data.games=640", "transfer.evaluation.games=5", "seed=3"]
PLUGIN = """
from dataclasses import dataclass
from mothello.languages.kinds import LANGUAGE_KINDS, Atomic
from mothello.measures.measure import MEASURES
from mothello.stages.continued import STAGES, Continued, ContinuedConfig

@LANGUAGE_KINDS.register("odd")
class Odd(Atomic):
    @dataclass(kw_only=True)
    class Config:
        name: str = "odd"
        text: str = ""
        longest_word: int = 3

@STAGES.register("shaken")
class Shaken(Continued):
    @dataclass(kw_only=True)
    class Config(ContinuedConfig):
        name: str = "shaken"
        text: str = ""

@MEASURES.register("counted")
class Counted:
    @dataclass(kw_only=True)
    class Config:
        name: str = "counted"
        text: str = ""
    def __init__(self, config): ...
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module in the working directory; what it registers is forgotten."""
    monkeypatch.chdir(tmp_path)
    for registry in (LANGUAGE_KINDS, STAGES, MEASURES):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    Path("odd_plugin.py").write_text(PLUGIN)
    monkeypatch.delitem(__import__("sys").modules, "odd_plugin", raising=False)
    return "plugins=[odd_plugin]"


def made(config: TrainConfig) -> RunDir:
    """The folder of a finished run, without its model."""
    folder = RunDir(run_folder(config))
    languages = config.languages.language_names()
    write(folder, "train", results(languages, 0.9, fingerprint(identity(config))))
    folder.write_config({"stage": "pretrain", **plain(config)})
    return folder


def measured(folder: RunDir, config: Any, **more: Any) -> RunDir:
    inner = measure_folder(folder, config)
    write(inner, config.name, {"games": 10})
    inner.write_config({"run": str(folder.path), "measures": [config.name], config.name: plain(config), **more})
    write_tidy(inner.path, [])
    return inner


def tuned(folder: RunDir, child: RunDir, settings: Any, seed: int) -> RunDir:
    languages = [language["name"] for language in folder.read_results()["languages"]]
    write(child, "train", results(languages, 0.7, "id"))
    own = {"stage": settings.name, "parent": "../..", "settings": plain(settings), "seed": seed}
    child.write_config(folder.read_config() | own)
    return child


def shown_by(folder: RunDir) -> list[list[str]]:
    """The words behind "python" of every command of a run."""
    (run,) = find_runs([str(folder.path)])
    return [shlex.split(line)[1:] for line in commands(run)]


TRAININGS = [
    [],
    ["name=lr0.01", "runs='a b,c=d'", "seed=3", "evaluation.games=64", "evaluation.times=2", "device.precision=fp32"],
    ["run=\"my runs/it's\""],
    ["domain=[flips,random,opening]", "data.domains.flips.weight=3", "+data.domain_of.atomic_0=flips"],
    ["+data.domains={60k:{policy:{flips:1e-05}},lr0.1:{plies:[0,9],weight:2}}", "+data.domain_of={atomic_1:60k}"],
    ["domain=[human]", "data.domains.human.folder='my games/[1], {2}: \"x\"'"],
    ["data.prefix=[b1,a1]", "data.language_sampling.shares=[1,2]", "data.language_sampling.alpha=0.5"],
    ["languages.names=[x.y,1-2]", "languages.anchors.links=['x.y.a1=1-2.b1']", "+data.domains.a-b.weight=2", "+data.domain_of={x.y:a-b}"],
    ["languages.kinds=[split*2]", "languages.longest_word=2", "languages.vocabulary_seed=3", "optimizer=published"],
    ["+auxiliary.two={name:causal_lm,weight:0.1}", "+auxiliary={a.b:{name:causal_lm,weight:1e-07}}", "model.tied=true"],
    ["plugins=[odd_plugin]", "languages.kinds=[odd,atomic]", "languages.options.odd.text='{a: [b], \"c\\''"],
]  # fmt: skip


@pytest.mark.parametrize("overrides", TRAININGS, ids=" ".join)
def test_the_command_of_a_run_makes_the_same_folder_and_numbers(overrides: list[str], plugin: str) -> None:
    config = composed("train", TrainConfig, ["board=4x4", "model=tiny", "device=cpu", "tracking=jsonl", *overrides])
    folder = made(config)
    ((script, *words),) = shown_by(folder)
    assert script == "scripts/train.py"
    again = composed("train", TrainConfig, words)
    assert Path(run_folder(again)) == Path(run_folder(config))
    assert identity(again) == identity(config)
    for key in ("name", "evaluation", "plugins", "seed"):
        assert getattr(again, key) == getattr(config, key), key
    assert again.device.precision == config.device.precision


def test_the_commands_of_measures_and_later_stages_make_the_same_folders(plugin: str) -> None:
    config = composed("train", TrainConfig, ["board=4x4", "model=tiny", "name=lr0.1", "runs='my runs'"])
    folder = made(config)
    nested = [
        "causal.probes.games=7",
        "causal.probes.probes=[linear]",
        "tasks.names=[flips]",
        "tasks.options.flips.bins=[1,4]",
    ]
    words = [plugin, "measures=[causal,tasks,counted]", *nested, "+counted.text='a, {b}'", "device.precision=bf16"]
    measures = composed("measure", schema(), [f"run={quoted(str(folder.path))}", *words])
    device = {"precision": "bf16"}
    expected = {measured(folder, one, device=device, plugins=["odd_plugin"]).path for one in measures.configs}
    transfer = composed("transfer", TransferCommand, ["run=x", *TUNED])
    child = tuned(folder, finetune_folder(folder, transfer.transfer, 3, "atomic_0"), transfer.transfer, 3)
    measured(child, TransferConfig())
    expected |= {
        child.path,
        measured(child, composed("measure", schema(), ["run=x", "measures=[probes]"]).configs[0]).path,
    }
    staged = composed("stage", StageCommand, ["run=x", "stage.source=atomic_1", "seed=4"])
    expected.add(tuned(folder, finetune_folder(folder, staged.stage, 4, "atomic_1"), staged.stage, 4).path)
    found = set()
    for script, *given_ in shown_by(folder)[1:]:
        if script == "scripts/measure.py":
            again = composed("measure", schema(), given_)
            found.add(measure_folder(RunDir(again.run), again.configs[0]).path)
            assert again.configs[0].name == "probes" or again.device.precision.value == "bf16"
        elif script == "scripts/transfer.py":
            again = composed("transfer", TransferCommand, given_)
            found.add(finetune_folder(RunDir(again.run), again.transfer, again.seed, "atomic_0").path)
        else:
            again = composed("stage", StageCommand, given_)
            found.add(finetune_folder(RunDir(again.run), again.stage, again.seed, again.stage.source).path)
    assert found == expected


def test_the_command_in_a_message_can_be_typed() -> None:
    folder, none = RunDir("my runs/it's [x]"), None
    run = LoadedRun(folder, none, none, none, none, step=3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="no probes of step 3") as error:
        run.probe(0, "a")
    words = shlex.split(str(error.value).split("; ")[1])
    assert words[:2] == ["python", "scripts/probe.py"]
    assert composed("probe", schema(), words[2:]).run == str(folder.path)


def documented() -> list[str]:
    """Every command in README.md, the docs and the help of the commands."""
    texts = [page.read_text() for page in PAGES if page.name not in HISTORY]
    headers = (re.findall(r'header: "(.*)"}', path.read_text()) for path in (ROOT / "configs").glob("*.yaml"))
    lines = [shlex.join(words) for text in texts for words in documented_in(text)]
    lines += [f"python {line.split(': python ')[1]}" for found in headers for line in found]
    return list(dict.fromkeys(line for line in lines if re.match(r"python scripts/(?!wandb_mirror|results)", line)))


@pytest.mark.parametrize("line", documented())
def test_a_command_of_the_docs_is_read(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = lambda fork, at: {"fork": fork, "origin": {"step": at}}  # noqa: E731 - there is no such run
    monkeypatch.setattr("mothello.stages.fork.forked", stand_in)
    _, script, *words = shlex.split(line)
    root = Path(script).stem
    asked = command_line([word for word in words if word != "..."])
    jobs = grid(asked.overrides)
    assert asked.sweep == ("-m" in words)
    for job in (jobs[0], jobs[-1]):
        config = composed(root, SCHEMAS[root], job)
        if root == "study":
            assert names_of(config)


def test_what_wandb_is_told_is_within_its_limits(tmp_path: Path) -> None:
    folder = made(
        composed("train", TrainConfig, [f"runs={tmp_path}", f"name={'n' * 200}", f"tracking.tags=[{'t' * 99},'']"])
    )
    told = description(folder.path, sharing_of)
    assert [len(told["group"]), len(told["name"]), *map(len, told["tags"])] == [128, 128, 64, 64, 5]
    assert told["config"]["cell"] == "n" * 200


def test_the_command_of_a_stage_of_ones_own(plugin: str) -> None:
    folder = made(composed("train", TrainConfig, ["board=4x4", plugin]))
    staged = composed(
        "stage", StageCommand, [plugin, "run=x", "stage.name=shaken", "stage.text='a b'", "stage.data.games=640"]
    )
    child = tuned(folder, stage_folder(folder, staged.stage, 0), staged.stage, 0)
    ((script, *words),) = shown_by(child)
    again = composed("stage", StageCommand, words)
    assert (script, again.stage, again.plugins) == ("scripts/stage.py", staged.stage, ["odd_plugin"])
    assert stage_folder(RunDir(again.run), again.stage, again.seed).path == child.path
