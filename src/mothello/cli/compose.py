"""From override strings and config fragments to a typed config. Hydra composes; nothing is run here."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import product
from typing import Any, TypeVar, get_args

from hydra import compose
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.initialize import initialize_config_dir
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mothello.cli.line import parsed
from mothello.cli.naming import named
from mothello.commands import configs
from mothello.config import quoted, structured, typed
from mothello.errors import UserError
from mothello.messages import one_line
from mothello.registry import load_plugins

T = TypeVar("T")

setattr(ConfigStore, "__deepcopy__", lambda store, _: store)  # noqa: B010 - Hydra copies all schemas whenever it lists options
CONFIGS = configs()
CHOOSE = "choose"
"""The key of a fragment that names options of config groups, such as {choose: {languages: atomic_split}}."""


def schema_node(schema: type) -> DictConfig:
    """A schema as Hydra merges it. Settings of plug-ins (fields of any type) take keys that it does not know."""
    schema = getattr(schema, "extended", lambda _: schema)({})
    node = structured(schema)
    _open(node, schema)
    return node


def _open(node: DictConfig, schema: type) -> None:
    for spec in fields(schema):
        if spec.type is Any or spec.type == dict[str, Any]:
            OmegaConf.set_struct(node[spec.name], False)
        elif is_dataclass(spec.type):
            _open(node[spec.name], spec.type)  # type: ignore[arg-type]


def _named(schema: type, prefix: str = "") -> Iterator[str]:
    """The keys whose entries have names of a user and a dataclass each, such as data.domains."""
    for spec in fields(schema):
        if any(map(is_dataclass, get_args(spec.type))):
            yield f"{prefix}{spec.name}"
        elif is_dataclass(spec.type):
            yield from _named(spec.type, f"{prefix}{spec.name}.")  # type: ignore[arg-type]


def options_of(group: str) -> list[str]:
    """The options of a config group of the house; none where it is no group."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) if group else []


def entered(schema: type, overrides: list[str]) -> Iterator[str]:
    """The overrides, where +data.domains.NAME.KEY=VALUE makes the entry NAME, which OmegaConf does not do. UserError
    names an option of a group that is no text."""
    form = rf"\++({'|'.join(map(re.escape, _named(schema))) or '='})\.([^.=]+)[.=]"
    for text in overrides:
        override, entry = parsed(text), re.match(form, text)
        group, value = override.key_or_group, override.value()
        names = value if isinstance(value, list) else [value]
        plain = override.is_delete() or isinstance(value, dict) or all(isinstance(name, str) for name in names)
        if options_of(group) and not plain:
            raise UserError(f"{group}: {text} names no option; choices: {', '.join(options_of(group))}")
        yield from [f"++{entry[1]}={{{entry[2]}:{{}}}}", f"++{text.lstrip('+')}"] if entry else [text]


def content(name: str, schema: type, overrides: list[str]) -> DictConfig:
    """What Hydra makes of configs/NAME.yaml and the overrides, with the types of the schema."""
    ConfigStore.instance().store(name=f"{name}_schema", node=schema_node(schema))
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
            words, primary = list(entered(schema, overrides)), _primary(name, schema, overrides)
            if primary != name:  # the fork's folder is found already
                words = [text for text in words if parsed(text).key_or_group != "fork"]
            found = compose(primary, words)
            if primary != name and (others := _replaced(schema, found, primary)):
                found = compose(_primary(name, schema, overrides, others), words)
            if "searchpath" in found:
                found.searchpath = [text for text in overrides if text.startswith("hydra.searchpath=")]
            return named(found, schema, map(parsed, overrides)) if getattr(schema, "names_itself", False) else found
    finally:
        GlobalHydra.instance().hydra = outer


def _replaced(schema: type, found: DictConfig, primary: str) -> list[str]:
    """The keys of a fork under which another entry of a registry stands than in its run: of its settings none stay."""
    run = ConfigStore.instance().load(f"{primary}.yaml").node
    keys = [spec.name for spec in fields(schema) if spec.type is Any and spec.name in run]
    return [key for key in keys if _name(found[key]) != _name(run[key])]


def _name(settings: Any) -> Any:
    return settings.get("name") if isinstance(settings, Mapping) else settings


def _primary(name: str, schema: type, overrides: list[str], but: Collection[str] = ()) -> str:
    """The config that the overrides are applied to: configs/NAME.yaml, or of a fork the settings of its run, with the
    same groups, none of them chosen. but: keys of the run that are left out."""
    asked = {override.key_or_group: override.value() for override in map(parsed, overrides)}
    if not asked.get("fork") or "fork" not in [spec.name for spec in fields(schema)]:
        return name
    from mothello.stages.fork import forked

    at: Any = asked.get("at", 0)
    groups = [one for one in OmegaConf.load(CONFIGS / f"{name}.yaml").defaults if not isinstance(one, str)]
    none: list[Any] = [{key: [] if isinstance(x, ListConfig) else None} for one in groups for key, x in one.items()]
    run = {key: value for key, value in forked(str(asked["fork"]), at).items() if key not in but}
    node = {"defaults": [f"{name}_schema", "_self_", *none]} | run
    ConfigStore.instance().store(f"{name}_fork", node)
    return f"{name}_fork"


def built(schema: type[T], settings: DictConfig) -> T:
    """The typed config, after the plugins that it names are imported. UserError names the key of a mistake."""
    load_plugins(settings.get("plugins", None) or [])
    return typed(settings, schema)


def composed(name: str, schema: type[T], overrides: list[str]) -> T:
    """The typed config that a command would get from these overrides."""
    return built(schema, content(name, schema, overrides))


def choices(fragments: list[Mapping[str, Any]]) -> list[str]:
    """The overrides for the group options that fragments choose, the last choice for each group."""
    asked = [fragment.get(CHOOSE) or {} for fragment in fragments]
    if wrong := [one for one in asked if not isinstance(one, Mapping)]:
        raise UserError(f"{CHOOSE}: {wrong[0]!r} is no mapping; write {CHOOSE}: {{GROUP: OPTION}}")
    chosen = {group: option for one in asked for group, option in one.items()}
    return [f"{'+' * (group == 'experiment')}{group}={quoted(option)}" for group, option in chosen.items()]


def merged(base: DictConfig, fragments: list[Mapping[str, Any]], schema: type) -> DictConfig:
    """A composed config with fragments merged over it, the last one wins. UserError names a key of a wrong type."""
    values = [{name: value for name, value in fragment.items() if name != CHOOSE} for fragment in fragments]
    for name, value in (pair for fragment in values for pair in fragment.items()):
        if isinstance(value, str) and value in options_of(name):
            raise UserError(f"{CHOOSE}.{name}={value}: write this, not {name}={value}; options of groups are chosen")
    open_ = base.copy()
    OmegaConf.set_struct(open_, False)  # a plugin's keys are not known yet; what nobody knows fails when it is typed
    try:
        return OmegaConf.merge(open_, *values)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(one_line(error, schema)) from None


def grid(overrides: list[str]) -> list[list[str]]:
    """The overrides of every job of a sweep: all combinations of the values."""
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # glob(...) lists a group's options
        axes = []
        for override in parser.parse_overrides(overrides):
            key, several = override.get_key_element(), override.is_sweep_override()
            values = override.sweep_string_iterator() if several else ()
            axes.append([f"{key}={value}" for value in values] if several else [str(override.input_line)])
    return [list(job) for job in dict.fromkeys(product(*axes))]
