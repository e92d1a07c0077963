"""Plain settings -> typed objects, ranges, and what of a config is its identity. A leaf: no torch, no Hydra.

Hydra composes plain YAML; :func:`typed` merges it into a dataclass, which rejects unknown keys and wrong types and
builds the objects, whose ``__post_init__`` calls :func:`check`. Every mistake ends as one UserError.
"""

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mothello.commands import words
from mothello.errors import UserError
from mothello.messages import NAME, misplaced, one_line

T = TypeVar("T")

NOT_IDENTITY: dict[str, Any] = {"identity": False}
"""Metadata of fields that never change a result: paths, cadences, kernels."""


def ranged(default: Any, low: float | None = None, high: float | None = None, above: float | None = None) -> Any:
    """A number with its range, which :func:`check` enforces: low <= value <= high, or above < value <= high."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def check(config: Any, key: str, limits: Mapping[str, Any] | None = None) -> None:
    """UserError when a number of a dataclass, at any depth, is not finite, takes more than 64 bits or is outside its
    range. key: the config's own, such as "probe". limits: the metadata of the field that holds it."""
    if config is None or isinstance(config, str | bool):
        return
    schema = OmegaConf.get_type(config) if isinstance(config, DictConfig) else type(config)
    if schema is not None and is_dataclass(schema):
        for spec in fields(schema):
            if not (isinstance(config, DictConfig) and OmegaConf.is_missing(config, spec.name)):
                value, place = getattr(config, spec.name), f"{key}.{spec.name}" if key else spec.name
                if spec.type == list[str] and any(isinstance(x, Mapping | list | ListConfig) for x in value or ()):
                    raise UserError(f"{place}: is a list of texts; one of them is a list or mapping")
                check(value, place, spec.metadata)
    elif isinstance(config, Mapping):
        for name, inner in config.items():
            check(inner, f"{key}.{name}" if key else str(name), limits)
    elif isinstance(config, list | tuple | ListConfig):
        for inner in config:
            check(inner, key, limits)
    elif isinstance(config, int | float):
        _check_number(config, key, *((limits or {}).get(name) for name in ("low", "high", "above")))


def _check_number(value: float, key: str, low: float | None, high: float | None, above: float | None) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}: {value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f"{key}: an integer of {value.bit_length()} bits is too large; 63 are the most")
    if low is not None and high is not None and not low <= value <= high:
        raise UserError(f"{key}: {value} is outside {low}..{high}")
    if low is not None and value < low:
        raise UserError(f"{key}: {value} is {f'below {low}' if low else 'negative'}")
    if high is not None and low is None and value > high:
        raise UserError(f"{key}: {value} is above {high}")
    if above is not None and not value > above:
        raise UserError(f"{key}: {value} is not {'positive' if above == 0 else f'above {above}'}")


def without_effect(config: Any, key: str, because: str, *names: str, default: Any = None) -> None:
    """UserError when one of the named fields, or any where none is named, differs from its default although it changes
    nothing here. default: a config to compare with instead of the class's defaults."""
    for spec in fields(config):
        usual = default_of(spec) if default is None else getattr(default, spec.name)
        if (not names or spec.name in names) and getattr(config, spec.name) != usual:
            raise UserError(f"{key}.{spec.name}: has no effect {because}; leave it out")


def default_of(spec: Any) -> Any:
    """The default of a dataclass field."""
    return spec.default if spec.default_factory is MISSING else spec.default_factory()


def structured(schema: type) -> DictConfig:
    """A schema as OmegaConf merges into it. Settings of an entry of a registry (fields of any type) stand in it as
    they are written, even where a default is typed already: so another entry can take their place."""
    node = OmegaConf.structured(schema)
    _write_out(node, schema)
    return node


def _write_out(node: DictConfig, schema: type) -> None:
    for spec in fields(schema):
        inner = None if OmegaConf.is_missing(node, spec.name) else node[spec.name]
        if is_dataclass(spec.type):
            _write_out(inner, spec.type)  # type: ignore[arg-type]
        elif spec.type is Any and is_dataclass(OmegaConf.get_type(inner)):
            node[spec.name] = None  # else the mapping would be merged into the entry's own schema
            node[spec.name] = OmegaConf.to_container(inner, enum_to_str=True)


@cache
def _node(schema: type) -> DictConfig:
    """A schema once, for merges, which copy it."""
    return structured(schema)


def typed(content: DictConfig | Mapping[str, Any], schema: type[T], key: str = "") -> T:
    """Plain settings -> the schema's dataclasses. UserError names the key: unknown, wrong type, out of range.

    key: where the settings stand in the whole config, such as "objective"; it is put before the keys of messages.
    A schema may have a class method ``extended(content)``, the schema with the keys that plugins add.
    """
    schema = getattr(schema, "extended", lambda _: schema)(content)
    merged_into = _node(schema)  # type: ignore[arg-type]
    try:
        if isinstance(content, DictConfig):  # as plain values: a typed config would carry keys added with + along
            content = OmegaConf.to_container(content, resolve=True, enum_to_str=True)  # type: ignore[assignment]
        merged = OmegaConf.merge(merged_into, content)
        check(merged, key)  # before any object is built from it
        return OmegaConf.to_object(merged)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        cause = error.__cause__
        if isinstance(cause, ValueError) and not isinstance(cause, OmegaConfBaseException):
            raise UserError(str(cause)) from None
        line = misplaced(OmegaConf.to_container(merged_into), content, key, schema) or one_line(error, schema)
        raise UserError(f"{key}.{line}" if key and not line.startswith(key) else line) from None
    except (ValueError, OverflowError) as error:
        check(content, key)  # names an integer that is too large for a float
        raise UserError(str(error)) from None


def plain(config: Any) -> Any:
    """Dataclasses -> nested dicts and lists of plain values, as YAML and JSON want them."""
    if is_dataclass(config):
        return {spec.name: plain(getattr(config, spec.name)) for spec in fields(config)}
    if isinstance(config, Mapping):
        return {name: plain(value) for name, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    return config.value if isinstance(config, Enum) else config


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested plain settings by their whole keys, such as "optimizer.lr"; an empty mapping has none."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        inner = flat(value) if isinstance(value, Mapping) else {"": value}
        found |= {f"{key}.{name}" if name else key: x for name, x in inner.items()}
    return found


def in_identity(schema: type, key: str) -> Any:
    """Whether a setting, by its whole key, is part of a config's identity: True, also of a key that the schema does not
    know; False; or, where another setting stands for it, the function that says which."""
    place: Any = schema
    for part in key.split("."):
        if not is_dataclass(place):  # the entries of a mapping have names of their own
            place = next(filter(is_dataclass, get_args(place)), None)
            continue
        spec = next((spec for spec in fields(place) if spec.name == part), None)
        told = True if spec is None else spec.metadata.get("identity", True)
        if spec is None or told is not True:
            return told
        place = spec.type
    return True


_SAME = object()


def identity(config: Any) -> dict[str, Any]:
    """What of a config determines its result: the fields that differ from their defaults, nested and plain.

    A new key whose default is the old behavior therefore changes no identity. Fields with metadata NOT_IDENTITY are
    left out; where the metadata "identity" is a function, it turns the field's owner into what counts.
    """
    found = _difference(config, type(config)())
    return {} if found is _SAME else found


def _difference(value: Any, base: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        of_another_kind = type(value) is not type(base)
        base = type(value)() if of_another_kind else base
        found = {"name": value.name} if of_another_kind and hasattr(value, "name") else {}
        for spec in fields(value):
            counts = spec.metadata.get("identity", True)
            if counts is False:
                continue
            inner = _difference(getattr(value, spec.name), getattr(base, spec.name))
            if inner is not _SAME:
                found[spec.name] = counts(value) if callable(counts) else inner
        return found if found or of_another_kind else _SAME
    if value == base:
        return _SAME
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return plain(value)


def _whole(value: Any) -> Any:
    """An entry of a list or dict, which has no default of its own: of a dataclass, what differs from its class's."""
    if not is_dataclass(value) or isinstance(value, type):
        return plain(value)
    found = _difference(value, type(value)())
    named = {"name": value.name} if hasattr(value, "name") else {}
    return named if found is _SAME else named | found


"""What the name of a language, domain, cell or run is: safe in paths, overrides, metrics and columns."""
_WORDS = ("null", "none", "na", "true", "false", "nan", "inf")
"""Texts that a reader of overrides or tables would take for another value."""
_FORM = rf"(?!(?:[\d_.]+(?:e-?[\d_]+)?|{'|'.join(_WORDS)})$)[a-z\d][\w.-]{{0,199}}(?<!\.)"


def check_name(text: str, key: str) -> None:
    """UserError unless a text is a name (:data:`NAME`). key: where it stands."""
    if not re.fullmatch(_FORM, text, re.ASCII | re.IGNORECASE):
        raise UserError(f"{key}: {text!r} is no name; a name is {NAME}")


def quoted(value: Any) -> str:
    """A plain value as the right-hand side of an override: Hydra reads the same value back. Keys are names, or have
    characters that it knows."""
    if isinstance(value, Mapping):
        pairs = ((re.sub(r"([\\()[\]{}:=,\s])", r"\\\1", str(key)), quoted(inner)) for key, inner in value.items())
        return "{" + ",".join(map(":".join, pairs)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(quoted(inner) for inner in value) + "]"
    if value is None or isinstance(value, bool | int | float):
        return "null" if value is None else str(value).lower()
    text = str(value)
    if re.fullmatch(r"([A-Za-z_/]|\.+/)[\w./*-]*", text, re.ASCII) and text.lower() not in _WORDS:
        return text
    inner = re.sub(r'(\\*)("|\Z)', lambda m: m[1] * 2 + ('\\"' if m[2] else ""), text)
    return f'"{inner}"'


def shown(script: str, *overrides: str, **settings: Any) -> str:
    """A command line that a reader can copy into a shell: overrides as they are, settings quoted."""
    given = [f"{key}={quoted(value)}" for key, value in settings.items()]
    return shlex.join([*words(script), *given, *overrides])
