"""Prints what a command is for, its config groups, and one line per key, taken from the docstring of the key."""

import ast
import inspect
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from itertools import chain
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mothello.cli.compose import CONFIGS, content, options_of
from mothello.commands import words
from mothello.config import quoted, structured

HINTS = {
    "study": """A study's fragments: train.data.games=60000, train.choose.model=tiny, probe..., measure..., transfer...
In a shell, quote what holds brackets, stars or spaces: 'parts=[naive/*,anchor_4/0]' 'seeds=[0,1]'
'train={choose: {board: 4x4}, data: {games: 20000}}'.""",
    "train": """A sweep: -m seed=0,1,2 'data.games=100_000,200_000'.
In a shell, quote what holds brackets, stars or spaces: 'languages.kinds=[atomic*2,split]'.""",
}
COST = "What a command would cost: dry_run=true. "
FOOTER = """A mistake is reported in one line.
--cfg job prints the whole config and stops."""
COMMON = {
    "dry_run": "Print what would be done and what it would take, and stop.",
    "force": "Do again what is finished, in place of it.",
} | {
    step: f"Settings of all {step} commands of the study, merged over the others."
    for step in ("train", "probe", "measure", "transfer", "stage")
}
"""Of keys that mean the same in several commands."""
REGISTRIES = {
    "objective": "objectives.objective.OBJECTIVES",
    "stage": "stages.continued.STAGES",
    "aligner": "aligners.aligner.ALIGNERS",
}
"""Where the entry is found that a key names."""


def documented(config: type) -> dict[str, str]:
    """Field -> the docstring after it, there or in a class that it derives from."""
    texts = {}
    for before, after in chain.from_iterable(map(_statements, reversed(config.__mro__[:-1]))):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[ast.unparse(before.target)] = " ".join(str(after.value.value).split())
    return texts


def _statements(config: type) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    """The statements of a class, each with the one after it; none of a class that has no source."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(config))).body
    except (OSError, TypeError):
        return iter(())
    assert isinstance(node, ast.ClassDef)
    return zip(node.body, node.body[1:], strict=False)


def help_text(name: str, schema: type, overrides: list[str]) -> str:
    """The help of configs/NAME.yaml with these overrides."""
    root = OmegaConf.load(CONFIGS / f"{name}.yaml")
    found = content(name, schema, overrides)
    extended = getattr(schema, "extended", lambda _: schema)(found)
    rows = list(_rows(extended, found, found))
    wide, width = max(len(key) for key, *_ in rows), shutil.get_terminal_size((130, 24)).columns
    lines = [_line(*row, min(wide, 44), width) for row in rows]
    header = root.hydra.help.header.replace(f"python scripts/{name}.py", " ".join(words(name)))
    footer = COST * any(key == "dry_run" for key, *_ in rows) + FOOTER
    keys = "Keys, set by key=value, with their defaults here:\n\n" + "\n".join(lines)
    return "\n\n".join(filter(None, (header, _groups(root, extended), keys, HINTS.get(name), footer)))


def _groups(root: Any, schema: type) -> str:
    """The groups that the root chooses from, and those that may be added to it."""
    chosen = [key for one in root.defaults if not isinstance(one, str) for key in one if key != "hydra"]
    lines = [f"{key}: {', '.join(options)}" for key in map(str, chosen) if (options := options_of(key.split("@")[0]))]
    groups = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir() and path.name != "hydra")
    lines += [
        f"+{group}: {', '.join(options_of(group))}" for group in groups if group not in chosen and _fits(group, schema)
    ]
    if not lines:
        return ""
    example = lines[0].split(",")[0].replace(": ", "=")
    added = "; those of +group=option add to the config" * lines[-1].startswith("+")
    return f"Groups, chosen by group=option, such as {example}{added}:\n\n" + "\n".join(lines)


def _fits(group: str, schema: type) -> bool:
    """Whether all options of a group are whole configs of a command."""
    names, options = {spec.name for spec in fields(schema)} | {"defaults"}, list((CONFIGS / group).glob("*.yaml"))
    whole = all(path.read_text().startswith("# @package _global_") for path in options)
    return whole and all(set(map(str, OmegaConf.load(path))) <= names for path in options)


Row = tuple[str, str, str]


def _rows(schema: Any, values: Any, whole: Any, prefix: str = "") -> Iterator[Row]:
    """Key, value and text of every setting, nested ones under their own names. A section that repeats one of the whole
    config is a single line."""
    texts = documented(schema)
    for spec in fields(schema):
        missing = OmegaConf.is_missing(values, spec.name)
        value, key = None if missing else values[spec.name], f"{prefix}{spec.name}"
        if isinstance(value, DictConfig) and is_dataclass(spec.type):
            if prefix and whole.get(spec.name) == value:
                yield key, "", f"As {spec.name}, unless they are set here."
            elif all(inner.type == dict[str, Any] for inner in fields(spec.type)):
                yield key, "", texts.get(spec.name, "")
            else:
                yield from _rows(spec.type, value, whole, f"{key}.")
        elif isinstance(value, DictConfig) and value and spec.type is Any:
            yield f"{key}.name", _value(value.get("name")), texts.get(spec.name, "")
            yield from (row for row in _entry(spec.name, value, whole, f"{key}.") if row[0] != f"{key}.name")
        elif not (prefix and spec.name == "name" and spec.type is str):  # what the key is named after
            text = texts.get(spec.name, COMMON.get(spec.name, ""))
            yield key, "(needed)" if missing else _value(value), _told(spec.type, text)


def _entry(key: str, value: DictConfig, whole: Any, prefix: str) -> Iterator[Row]:
    """The settings of a registry's entry."""
    home, _, registry = REGISTRIES.get(key, "").rpartition(".")
    if home and value.get("name") in (entries := getattr(import_module(f"mothello.{home}"), registry)):
        config = entries.get(value["name"]).Config
        yield from _rows(config, OmegaConf.merge(structured(config), value), whole, prefix)


def _value(value: Any) -> str:
    plain = OmegaConf.to_container(value, enum_to_str=True) if OmegaConf.is_config(value) else value
    return quoted(plain.value if isinstance(plain, Enum) else plain)


def _told(kind: Any, text: str) -> str:
    """The first sentence, and the choices where a key has some."""
    first = re.split(r"(?<=\w\w[.)])\s", text, maxsplit=1)[0]
    choices = ", ".join(str(x.value) for x in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ""
    return f"{first} [{choices}]".strip() if choices else first


def _line(key: str, value: str, text: str, wide: int, width: int) -> str:
    head = f"{key:{wide}}  {value if len(value) < 28 else value[:24] + ' ...':14}"
    return f"{head}  {textwrap.shorten(text, max(30, width - len(head) - 2), placeholder=' ...')}".rstrip()
