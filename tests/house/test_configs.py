"""Proves: every file under configs/ composes with its root into a typed config, and a run's identity is what it should be."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from house.commands import MAINS, run
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mothello.cli.compose import composed, content
from mothello.cli.help import _rows
from mothello.cli.main import SCHEMAS
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import parts_of
from mothello.config import plain, quoted
from mothello.model.transformer import ModelConfig
from mothello.stages.build import language_set_of
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import identity, run_folder
from mothello.stages.pretrain import TrainConfig
from mothello.stand_ins import stand_in
from mothello.training.device import DeviceConfig
from mothello.training.optimizer import OptimizerConfig
from mothello.training.schedule import lr_scale
from studies.gather import STUDIES

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
GROUPS = ["board", "languages", "model", "objective", "optimizer", "device", "tracking"]


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in names(group)])
def test_every_option_composes(group: str, name: str) -> None:
    config = composed("train", TrainConfig, [f"{group}={name}"])
    assert plain(config)[group]
    language_set_of(config)


@pytest.mark.parametrize("script", ["train", "corpus"])
@pytest.mark.parametrize("name", names("domain"))
def test_every_domain_composes_alone_and_in_a_mixture(script: str, name: str) -> None:
    more = ["data.domains.human.folder=x"] if name == "human" else []
    if script == "corpus":
        more.append("out=x")
    require_single_process = composed(script, SCHEMAS[script], [f"domain=[{name}]", *more])
    assert list(require_single_process.data.domains) == [name]
    assert not require_single_process.data.domains[name].plain or name == "random"
    mixed = composed(script, SCHEMAS[script], [f"domain=[{name},random]", f"data.domains.{name}.weight=3", *more])
    assert mixed.data.domains[name].weight == 3


@pytest.mark.parametrize("experiment", names("experiment"))
@pytest.mark.parametrize("more", [[], ["board=8x8", "model=paper", "languages=atomic_split", "seed=3"]])
def test_every_experiment_composes_with_the_users_overrides(experiment: str, more: list[str]) -> None:
    config = composed("train", TrainConfig, [f"+experiment={experiment}", *more])
    assert config.name == experiment
    language_set = language_set_of(config)
    if more:
        assert (config.board.size, config.model.d_model, config.seed) == (8, 512, 3)
        assert language_set.names == ["atomic_0", "split_0"]


@pytest.mark.parametrize(
    ("study", "scale"),
    [
        ("demo", "demo"), ("table1", "paper"), *((study, "mini") for study in sorted({*names("study")} - {*STUDIES})),
        *(pytest.param(study, "mini", marks=pytest.mark.slow) for study in STUDIES),  # composed in tests/page
        *(pytest.param(study, "paper", marks=pytest.mark.slow) for study in names("study") if study != "table1"),
    ],
)  # fmt: skip
def test_every_study_composes_at_every_scale_and_so_do_its_parts(study: str, scale: str) -> None:
    config = composed("study", StudyCommand, [f"+study={study}", f"scale={scale}", "seeds=[3]"])
    assert config.scale == scale
    for part in parts_of(config):
        language_set = language_set_of(part.train)
        assert (part.train.name, part.train.seed, part.name) == (part.cell, 3, f"{part.cell}/3")
        assert run_folder(part.train).startswith(f"runs/{scale}/{part.cell}/")
        assert part.train.board.size == (8 if scale == "paper" else 6)
        assert part.probe.run == part.measure.run == run_folder(part.train)
        assert len(language_set.names) == (1 if part.cell == "single" else len(language_set.names) or 2)
        assert bool(part.transfers) == bool({part.cell, "*"} & set(config.transfer_from))


HELP = """
import sys
from importlib import import_module
from hydra.core.global_hydra import GlobalHydra
from mothello.stand_ins import stand_in
stand_in(["--help"])
for script in sys.argv[1:]:
    sys.argv = [script, "--help"]
    GlobalHydra.instance().clear()
    try:
        import_module("studies.gather" if script == "results" else f"mothello.cli.{script}").main()
    except SystemExit as end:
        assert end.code == 0
    print(end="\\0")
assert "torch" in sys.modules and not {"torch._C", "numpy._core", "pandas.core", "matplotlib.cm"} & set(sys.modules)
"""


def test_help_says_what_a_script_is_for_and_imports_nothing_heavy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    helped = subprocess.run([sys.executable, "-c", HELP, *MAINS], capture_output=True, text=True, check=True, cwd=ROOT)
    texts = dict(zip(MAINS, helped.stdout.split("\0")[:-1], strict=True))
    for script, out in texts.items():
        assert f"python scripts/{script}.py " in out.splitlines()[0]
        assert re.search(r"^dry_run +false +\w+", out, re.M) or script in ("report", "results", "runs")
        assert ("+experiment: align_mlm, anchor, code_switch, dict_mlm" in out) == (script == "train")
        assert ("+study: " in out) == (script == "study")
        assert max(map(len, out.split("Keys,")[1].splitlines())) <= 130
        assert "powered by" not in out
    assert run(monkeypatch, "train", "--help") == 0
    assert capsys.readouterr().out == texts["train"], "the help of a command whose libraries are imported"


def test_only_what_shows_something_is_answered_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    finders = len(sys.meta_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for words in ([], ["seed=1"], ["name=--help"], ["--", "--help"], ["-m", "seed=1,2"]):
        stand_in(words)
        assert len(sys.meta_path) == finders, words
    for words in (["-h"], ["seed=1", "--help"], ["--cfg=job"], ["-c", "job"]):
        monkeypatch.setattr(sys, "meta_path", sys.meta_path[-finders:])
        stand_in(words)
        assert len(sys.meta_path) == finders + 1, words


def test_the_prefix_experiment_takes_the_boards_prefix() -> None:
    assert composed("train", TrainConfig, ["+experiment=prefix"]).data.prefix == ["c2", "b2", "a2"]
    assert composed("train", TrainConfig, ["+experiment=prefix", "board=8x8"]).data.prefix == ["d3", "c3", "b3"]


def test_identity_depends_on_what_determines_the_result_and_on_nothing_else() -> None:
    base = composed("train", TrainConfig, ["+experiment=naive"])
    same = composed("train", TrainConfig, ["+experiment=naive", "device=cpu", "tracking=jsonl", "checkpoint_every=5"])
    other = composed("train", TrainConfig, ["+experiment=naive", "optimizer.lr=0.004"])
    assert identity(base) == identity(same)
    assert identity(base) != identity(other)
    assert run_folder(base) != run_folder(other)
    seeded = composed("train", TrainConfig, ["+experiment=naive", "seed=1"])
    assert run_folder(seeded) == run_folder(base).replace("seed0", "seed1")


def test_the_published_recipe_is_the_published_one() -> None:
    config = composed("train", TrainConfig, ["+experiment=published"])
    assert (config.data.games, config.data.epochs, config.data.batch_size) == (20_000_000, 9, 1024)
    assert (config.model.n_layer, config.model.n_head, config.model.d_model, config.model.dropout) == (8, 8, 512, 0.1)
    o = config.optimizer
    assert (o.name, o.lr, o.beta_1, o.beta_2, o.weight_decay, o.max_grad_norm) == ("adamw", 5e-4, 0.9, 0.95, 0.1, 1.0)
    assert (o.decay, o.final_lr_fraction, o.warmup_fraction, o.decay_embedding) == ("mingpt", 0.1, 5 / 9, False)
    assert config.model.init == "mingpt"


def test_published_fine_tuning_is_a_rise_to_four_fifths_of_the_rate() -> None:
    o = composed("transfer", TransferCommand, ["run=x", "optimizer@transfer.optimizer=published"]).transfer.optimizer
    published = composed("train", TrainConfig, ["+experiment=published"]).optimizer
    ramp = composed(
        "transfer", TransferCommand, ["run=x", "optimizer@transfer.optimizer=published_transfer"]
    ).transfer.optimizer
    assert o == published
    assert ramp == replace(published, lr=4e-4, warmup_fraction=1.0)
    assert [lr_scale(step, 100, ramp) for step in (0, 1, 50, 99)] == [1, 0.01, 0.5, 0.99]


def test_stored_games_are_identified_by_what_they_are(tmp_path: Path) -> None:
    from games import random_games

    from mothello.data.stored import write_index, write_shard
    from mothello.othello.board import Board

    def run(name: str, seed: int) -> str:
        folder, board = tmp_path / name, Board.of(6)
        folder.mkdir()
        shard = write_shard(folder, 0, 0, [random_games(seed, torch.arange(20), board)], board, {})
        write_index(folder, board, {"kind": "recorded"}, [shard])
        return run_folder(composed("train", TrainConfig, ["domain=[human]", f"data.domains.human.folder={folder}"]))

    assert run("here", 0) == run("there", 0) != run("elsewhere", 1)


def repeated(content: Any, default: Any, key: str = "") -> list[str]:
    """Keys of a file whose values are the code's defaults."""
    if isinstance(content, dict):
        return [
            x for name, inner in content.items() for x in repeated(inner, (default or {}).get(name), f"{key}.{name}")
        ]
    return [key] if content == default else []


@pytest.mark.parametrize("root", sorted(MAINS))
def test_a_root_holds_only_what_differs_from_the_code(root: str) -> None:
    content = yaml.safe_load((CONFIGS / f"{root}.yaml").read_text())
    own = {key: value for key, value in content.items() if key not in ("defaults", "hydra")}
    assert repeated(own, OmegaConf.to_container(OmegaConf.structured(SCHEMAS[root]), enum_to_str=True)) == []
    assert content["defaults"][-2:] == [{"hydra": "default"}, "_self_"]


@pytest.mark.parametrize(
    ("group", "schema"), [("model", ModelConfig), ("optimizer", OptimizerConfig), ("device", DeviceConfig)]
)
def test_an_option_holds_only_what_differs_from_the_code(group: str, schema: type) -> None:
    for name in names(group):
        content = yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text())
        content.pop("name", None)
        assert repeated(content, plain(schema())) == [], name


@pytest.mark.parametrize(
    "value",
    ["a", "1e3", "null", "True", "a,b=c", "x[1]", "{a}", "it's", "a\\", "\\'", "", " a ", "\u00fc\u2192", "<b>&\"q'", "runs/a/0", ".5",
     "../a", "atomic*2", 3, 1e-05, -1.5, True, None, ["a b", 2, {"x": "y,z"}]],
)  # fmt: skip
def test_a_quoted_value_is_read_back(value: Any) -> None:
    def bare(read: Any) -> Any:
        if isinstance(read, list):
            return [bare(inner) for inner in read]
        return {key: bare(inner) for key, inner in read.items()} if isinstance(read, dict) else read

    read = OverridesParser.create().parse_override(f"key={quoted(value)}").value()
    assert bare(read) == value
    assert type(read) is type(value)


@pytest.mark.parametrize("script", sorted(set(MAINS) - {"results"}))
def test_every_key_of_a_command_is_told(script: str) -> None:
    schema = SCHEMAS[script]
    found = content(script, schema, [])
    rows = list(_rows(getattr(schema, "extended", lambda _: schema)(found), found, found))
    assert rows
    assert not [key for key, _, told in rows if not told]
