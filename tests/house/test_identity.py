"""Proves: a run's identity is what differs from the defaults. A key that is added with its old behavior as default
renames no folder; kernels, cadences and paths are no part of it; what changes a result is."""

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Any

import pytest

from mothello.config import NOT_IDENTITY, identity, typed
from mothello.errors import UserError
from mothello.files import fingerprint
from mothello.stages.folders import run_folder
from mothello.stages.pretrain import TrainConfig


def config(*changes: tuple[str, Any]) -> TrainConfig:
    content: dict[str, Any] = {}
    for key, value in changes:
        at = content
        *parents, last = key.split(".")
        for name in parents:
            at = at.setdefault(name, {})
        at[last] = value
    return typed(content, TrainConfig)


def test_the_defaults_have_an_empty_identity() -> None:
    assert identity(TrainConfig()) == {}


CHANGES = [
    ("board.size", 8), ("languages.kinds", ["atomic*3"]), ("languages.anchors.count", 2), ("model.d_model", 64),
    ("data.games", 1000), ("data.language_sampling.shares", [3.0, 1.0, 2.0]), ("optimizer.lr", 0.5), ("optimizer.name", "adamw"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_what_changes_a_result_changes_the_folder_and_is_named_alone(key: str, value: Any) -> None:
    found = config((key, value))
    assert run_folder(found) != run_folder(TrainConfig())
    inner: Any = identity(found)
    for name in key.split("."):
        assert list(inner) == [name]
        inner = inner[name]
    assert inner == value


@pytest.mark.parametrize(
    ("key", "value"),
    [("device.threads", 1), ("device.compile", "never"), ("checkpoint_every", 7), ("evaluation.times", 3),
     ("tracking.wandb", True), ("model.attention", "explicit"), ("dry_run", True), ("board.prefix", ["c2"])],
)  # fmt: skip
def test_what_changes_no_result_changes_no_folder(key: str, value: Any) -> None:
    assert run_folder(config((key, value))) == run_folder(TrainConfig())


def with_key(schema: type) -> type:
    """The schema of tomorrow: one more key."""
    return make_dataclass(f"Grown{schema.__name__}", [("added", int, field(default=3))], bases=(schema,), kw_only=True)


@pytest.mark.parametrize("section", ["", "model", "data", "optimizer", "languages", "board"])
def test_a_key_added_with_a_default_renames_no_folder(section: str) -> None:
    today = config(*CHANGES)
    kept = {spec.name: getattr(today, spec.name) for spec in fields(TrainConfig)}
    if section:
        inner = kept[section]
        kept[section] = with_key(type(inner))(**vars(inner))
        tomorrow, schema = TrainConfig(**kept), type(kept[section])
        default = field(default_factory=schema)
        whole = make_dataclass("Tomorrow", [(section, schema, default)], bases=(TrainConfig,), kw_only=True)
        tomorrow = whole(**kept)
    else:
        tomorrow = with_key(TrainConfig)(**kept)
    assert run_folder(tomorrow) == run_folder(today)
    (getattr(tomorrow, section) if section else tomorrow).added = 4
    assert run_folder(tomorrow) != run_folder(today)  # control: the key counts once it is used


@dataclass(kw_only=True)
class Part:
    size: int = 1
    speed: int = field(default=1, metadata=NOT_IDENTITY)


@dataclass(kw_only=True)
class Whole:
    parts: dict[str, Part] = field(default_factory=dict)
    part: Part = field(default_factory=lambda: Part(size=5))


def test_entries_of_a_dict_are_compared_with_their_own_defaults_and_parts_with_their_owners() -> None:
    assert identity(Whole(parts={"a": Part(speed=9), "b": Part(size=2)})) == {"parts": {"a": {}, "b": {"size": 2}}}
    assert identity(Whole()) == {}
    assert identity(Whole(part=Part(size=1))) == {"part": {"size": 1}}


def test_the_order_of_keys_is_no_part_of_a_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 2, "b": 1})


def test_a_typed_config_names_the_key() -> None:
    with pytest.raises(UserError, match=r"^model\.d_mode: unknown key; choices: n_layer"):
        config(("model.d_mode", 3))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ([("optimizer.name", "adamw"), ("optimizer.muon_lr", 0.5)], "optimizer.muon_lr"),
        ([("languages.longest_word", 2)], "languages.longest_word"),
        ([("languages.vocabulary_seed", 2)], "languages.vocabulary_seed"),
        ([("languages.anchors.placement", "main")], "languages.anchors.placement"),
        ([("languages.anchors.image", "rot180")], "languages.anchors.image"),
        ([("data.language_sampling.alpha", 0.5)], "data.language_sampling.alpha"),
        (
            [("languages.kinds", ["atomic"]), ("data.language_sampling.pairing", "disjoint")],
            "data.language_sampling.pairing",
        ),
        ([("languages.anchors.sharing", "component")], "languages.anchors.sharing"),
    ],
)
def test_a_setting_without_effect_is_an_error_that_names_it(changes: list[tuple[str, Any]], key: str) -> None:
    with pytest.raises(UserError, match=rf"^{key}: has no effect "):
        config(*changes)
