"""Proves: every number of every command is finite, of a size that fits and within its range before anything begins, also in
lists, dicts, plugins' settings and dry runs; the line names the key. The control: the defaults pass."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from house.commands import TINY, run

from mothello.cli.compose import composed
from mothello.cli.corpus import CorpusCommand
from mothello.cli.generate import GenerateCommand
from mothello.cli.import_games import ImportCommand
from mothello.cli.measure import schema
from mothello.cli.stage import StageCommand
from mothello.cli.study_plan import StudyCommand
from mothello.config import check, ranged, typed
from mothello.errors import UserError
from mothello.objectives.objective import OBJECTIVES
from mothello.stages.finetune import TransferCommand
from mothello.stages.pretrain import TrainConfig

NEEDED = {TransferCommand: {"run": "x"}, StageCommand: {"run": "x"}, schema(): {"run": "x"}}
SCHEMAS = [
    TrainConfig,
    schema(),
    TransferCommand,
    StageCommand,
    GenerateCommand,
    ImportCommand,
    CorpusCommand,
    StudyCommand,
]


def numbers(kind: type, place: str = "") -> Iterator[tuple[str, type]]:
    """Keys of numbers, with their types."""
    hints = get_type_hints(kind)
    for spec in fields(kind):
        hint = hints[spec.name]
        if hint in (int, float):
            yield f"{place}{spec.name}", hint
        elif is_dataclass(hint):
            yield from numbers(hint, f"{place}{spec.name}.")  # type: ignore[arg-type]


def nested(key: str, value: Any) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {head: nested(rest, value) if rest else value}


@pytest.mark.parametrize("kind", SCHEMAS, ids=lambda kind: kind.__name__)
def test_every_number_of_every_command(kind: type) -> None:
    found = list(numbers(kind))
    assert found
    others = [math.inf, -math.inf, "nan", True, 10**400]
    for index, (key, hint) in enumerate(found):
        for value in (10**30 if hint is int else math.nan, others[index % len(others)]):
            with pytest.raises(UserError) as caught:
                typed(NEEDED.get(kind, {}) | nested(key, value), kind)
            assert str(caught.value).startswith(f"{key}: "), (key, value, str(caught.value))
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"data": {"language_sampling": {"shares": [1, math.nan]}}}, "data.language_sampling.shares"),
        ({"data": {"language_sampling": {"shares": [math.inf, 1]}}}, "data.language_sampling.shares"),
        ({"data": {"domains": {"a": {"plies": [0, 10**30]}}}}, "data.domains.a.plies"),
        ({"data": {"domains": {"a": {"weight": math.nan}}}}, "data.domains.a.weight"),
        ({"data": {"domains": {"a": {"weight": 0}}}}, "data.domains.a.weight"),
        ({"data": {"domains": {"a": {"policy": {"flips": math.nan}}}}}, "data.domains.a.policy.flips"),
        ({"auxiliary": {"x": {"name": "causal_lm", "weight": math.nan}}}, "auxiliary.x.weight"),
        ({"languages": {"options": {"split": {"x": math.nan}}}}, "languages.options.split.x"),
        ({"seed": 10**30}, "seed"),
        ({"seed": -1}, "seed"),
        ({"checkpoint_every": math.nan}, "checkpoint_every"),
    ],
)
def test_numbers_within_lists_dicts_and_settings_of_plugins(content: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=f"^{key}: "):
        typed(content, TrainConfig)


@dataclass(kw_only=True)
class Inner:
    size: int = ranged(3, low=1)


@dataclass(kw_only=True)
class Own:
    """A plugin's Config that checks nothing by itself."""

    name: str = "own"
    inner: Inner = field(default_factory=Inner)
    each: list[float] = field(default_factory=list, metadata={"above": 0})


def test_a_plugins_config_is_checked_at_every_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES._entries, "own", type("Entry", (), {"Config": Own}))
    assert OBJECTIVES.typed({"name": "own", "each": [1, 2]}, "objective").each == [1, 2]
    for settings, key in (
        ({"inner": {"size": 0}}, "inner.size"),
        ({"each": [1, 0]}, "each"),
        ({"each": [math.inf]}, "each"),
    ):
        with pytest.raises(UserError, match=rf"^objective\.{key}: "):
            OBJECTIVES.typed({"name": "own"} | settings, "objective")


def test_values_that_are_no_numbers_are_left_alone() -> None:
    assert typed({"runs": "nan"}, TrainConfig).runs == "nan"
    assert composed("train", TrainConfig, ["runs=12345678901234567890123"]).runs == "12345678901234567890123"
    check({"a": "inf", "b": None, "c": True, "d": 2**63 - 1}, "")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.lr", "nan"), ("data.epochs", "nan"), ("data.epochs", "1e400"), ("checkpoint_every", "nan"),
        ("optimizer.max_grad_norm", "-inf"), ("optimizer.weight_decay", "true"), ("seed", "1" + "0" * 30),
    ],
)  # fmt: skip
def test_from_the_command_line(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *TINY, f"{key}={value}", "dry_run=true") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {key}: ")
    assert not list(tmp_path.iterdir())
