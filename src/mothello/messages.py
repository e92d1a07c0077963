"""What a user needs of the messages of OmegaConf: the key, what is wrong, and the choices. A leaf."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_type_hints

from omegaconf.errors import KeyValidationError

NAME = "1 to 200 of A-Z a-z 0-9 _ - . (first a letter or digit, last no dot), no number, null, none, na, true or false"
_FORMS = (
    (r"Value '(?P<value>.*)' of type 'list' could not be converted", "{value} is a list, not a number"),
    (r"Value '(?P<value>.*)' of type 'dict' could not be converted", "{value} is a mapping, not a number"),
    (r"Value '(?P<value>.*)' of type '\w+' could not be converted to Integer", "{value!r} is no whole number"),
    (r"Value '(?P<value>.*)' of type '\w+' could not be converted to Float", "{value!r} is no number"),
    (r"Value '(?P<value>.*)' is not a valid bool", "{value!r} is not true or false"),
    (r"Cannot convert 'list' to string: '(?P<value>.*)'", "{value} is a list, not a text"),
    (r"Cannot convert 'dict' to string: '(?P<value>.*)'", "{value} is a mapping, not a text"),
    (r"Invalid value '(?P<value>.*)', expected one of \[(?P<choices>.*)\]", "{value!r} is not one of {choices}"),
    (r"Value (?P<value>.*) \((?:list|dict)\) is not a valid input for <enum", "{value} is not one word"),
)
"""What OmegaConf says of a value of a wrong type, and the same in plain words."""


def _keys(schema: type) -> dict[str, list[str]]:
    """Keys of a schema and of all schemas in it, by class name."""
    found = {schema.__name__: [spec.name for spec in fields(schema)]}
    for hint in get_type_hints(schema).values():
        for inner in (hint, *getattr(hint, "__args__", ())):
            if is_dataclass(inner):
                found |= _keys(inner)  # type: ignore[arg-type]
    return found


def one_line(error: BaseException, schema: type | None = None) -> str:
    """What a user needs of an OmegaConf message: the key, what is wrong, and the choices."""
    text = str(error).strip()
    key = getattr(error, "full_key", None)
    first = text.splitlines()[0] if text else type(error).__name__
    unknown = re.search(r"Key '([^']+)' (?:is )?not in '(\w+)'", text)
    if unknown:
        known = _keys(schema).get(unknown[2], []) if schema else []
        return unknown_key(key or unknown[1], known)
    if key and (mapping := re.search(r"\w+ is not a subclass of (\w+)\.", text)):
        return _is_mapping(key, _keys(schema).get(mapping[1], []) if schema else [])
    if isinstance(error, KeyValidationError):
        return f"{key or 'null'}: is no name; a name is {NAME}"
    if "is not a ListConfig, list or tuple" in text:
        return f"{key}: is a list; write {key}=[...]"
    if "Cannot merge DictConfig with ListConfig" in text:
        return f"{key}: a list stands for a mapping, or a mapping for a list; write {key}=[...] or {key}={{KEY:VALUE}}"
    if "is not in struct" in text:
        return f"{key}: not there yet; write +{key}=... to add it"
    if "is not Optional" in text:
        return f"{key}: null is no value of it"
    if "missing mandatory value" in text:
        return f"{first.rpartition(' ')[2]}: must be given"
    for form, plain in _FORMS:
        if key and (wrong := re.match(form, first)):
            return f"{key}: {plain.format(**wrong.groupdict())}"
    return f"{key}: {first}" if key and not first.startswith(key) else first


def unknown_key(key: str, known: Sequence[str]) -> str:
    """What to say of a key that is not there: the one that was meant, as far as its spelling tells, and the choices."""
    near = get_close_matches(key.rpartition(".")[2], known, n=1, cutoff=0.75)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{key}: unknown key" + (f"; choices: {', '.join(known)}" if known else "") + meant


def _is_mapping(key: str, choices: list[str]) -> str:
    return f"{key}: is a mapping; write {key}.KEY=VALUE" + (f"; choices: {', '.join(choices)}" if choices else "")


def misplaced(base: Any, content: Any, key: str, schema: Any = None) -> str:
    """Where a list stands for a mapping or a mapping for a list, or a number or text for the settings of a schema;
    empty where none does."""
    if isinstance(base, Mapping) and isinstance(content, Mapping):
        of = get_type_hints(schema) if is_dataclass(schema) else {}
        inner = (misplaced(base[x], content[x], f"{key}.{x}" if key else x, of.get(x)) for x in content if x in base)
        return next(filter(None, inner), "")
    if is_dataclass(schema) and isinstance(content, str | int | float):
        return _is_mapping(key, [spec.name for spec in fields(schema)])
    if isinstance(base, list) and isinstance(content, Mapping):
        return f"{key}: is a list; write {key}=[...]"
    if isinstance(base, Mapping) and isinstance(content, list):
        return f"{key}: is a mapping; write {key}={{KEY:VALUE}}"
    return ""
