"""What is read back may hold anything: JSON, forms that contents are compared with, and folders with links. A leaf."""

import json
import logging
import math
import os
import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

COUNT = range(2**63)
"""The form of a number of things."""
_KNOWN: Any = (float, None)
_WORDS: Any = ([str], [])
_STAGE = {
    "name?": (str, None), "stage?": str, "parent?": str, "seed": COUNT, "from?": {"step": COUNT, "steps": COUNT},
    "settings?": {"source?": (str, None)}, "plugins?": _WORDS, "board": dict, "model": dict, "tracking?": dict,
    "languages": {
        "kinds?": ([re.compile(r"[^*]+(\*\d{1,4})?")], []), "output?": str,
        "anchors?": {
            "count?": COUNT, "moves?": ([object], []), "links?": ([object], []), "overlap?": float, "subtokens?": float,
        },
        "traits?": dict,
    },
    "data": {
        "games?": COUNT, "batch_size?": COUNT, "prefix?": _WORDS, "domains?": {str: {"folder?": str, "content?": str}},
    },
}  # fmt: skip
CONFIG = (_STAGE, {"measures": [str], "run?": str})
"""Forms (:func:`misfit`) of what the commands and the report read in a run's folder. Here: in config.yaml."""
RESULTS = {
    "kind": str, "version": COUNT, "environment": {"versions?": {str: str}}, "step?": COUNT, "steps?": COUNT,
    "games?": (COUNT, None), "seconds?": _KNOWN, "board?": re.compile(r"([468])x\1"), "identity?": str,
}  # fmt: skip
TRAINED = RESULTS | {
    "final": {"val/top1?": float, str: _KNOWN}, "languages": [{"name": str, "kind": str}], "games": COUNT,
    "steps": COUNT, "seconds": float, "board": RESULTS["board?"], "by_ply?": {str: ([_KNOWN], [])},
}  # fmt: skip
"""In results.json, of a measure and of a training."""
LINE = {"step": COUNT, str: _KNOWN}
"""In a line of metrics.jsonl."""


def parse_json(text: str | bytes) -> Any:
    """The counterpart of mothello.files.json_text: a number that is not finite or takes more than 64 bits is None.
    ValueError where the text is no JSON."""

    def known(number: str) -> float | None:
        return value if math.isfinite(value := float(number)) else None

    def whole(number: str) -> int | None:
        return value if len(number) <= 20 and abs(value := int(number)) in COUNT else None

    try:
        return json.loads(text, parse_float=known, parse_int=whole, parse_constant=lambda _: None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_yaml(text: bytes) -> Any:
    """YAML as plain values. ValueError or TypeError where it holds others, such as dates and loops."""
    return json.loads(json.dumps(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))))


def misfit(value: Any, form: Any, at: str = "") -> str:
    """What is wrong where a plain value first differs from a form; empty where it fits.

    A form is a type (float: a finite number), None, a pattern of a text, a range of integers, [form] for a list that is
    not empty and [] for one that is, {key: form} for a dict with these keys ("key?": may be missing; str: any other),
    or a tuple of forms of which one fits.
    """
    return next(_misfits(value, form, at), "")


def _misfits(value: Any, form: Any, at: str) -> Iterator[str]:
    if isinstance(form, tuple):
        lines = [misfit(value, each, at) for each in form]
        yield from lines[:1] if "" not in lines else ()
    elif isinstance(form, dict) and isinstance(value, Mapping):
        place, named = f"{at}." if at else "", {key.removesuffix("?"): x for key, x in form.items() if key is not str}
        yield from (f"{place}{key} is missing" for key in form if key in named and key not in value)
        for key, inner in value.items():
            yield from _misfits(inner, named.get(key, form.get(str, object)), f"{place}{key}")
    elif isinstance(form, list) and isinstance(value, list) and bool(form) == bool(value):
        for index, inner in enumerate(value):
            yield from _misfits(inner, form[0], f"{at}[{index}]")
    elif isinstance(form, dict | list) or not _fits(value, form):
        yield f"{at or 'the content'} cannot be {reprlib.repr(value)}"


def _fits(value: Any, form: Any) -> bool:
    if isinstance(form, range):
        return type(value) is int and value in form
    if isinstance(form, re.Pattern):
        return isinstance(value, str) and form.fullmatch(value) is not None
    if form is float:
        return type(value) in (int, float) and abs(value) < 1e300
    return value is None if form is None else isinstance(value, form)


def metrics_line(text: bytes) -> dict[str, Any] | None:
    """A line of metrics.jsonl; None where it is damaged."""
    try:
        content = parse_json(text)
    except ValueError:
        return None
    return None if misfit(content, LINE) else content


def walk(top: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """os.walk at or below a folder without hidden ones. Links are followed at last; one to a folder that has been seen
    is given as an empty one with these files. A warning names what cannot be read."""
    seen, tops = set[str](), [top] * top.is_dir()
    for start in tops:
        for folder, inside, files in os.walk(start, onerror=lambda error: log.warning("%s; skipped", error)):
            real = os.path.realpath(folder)
            inside[:] = sorted(name for name in inside if not name.startswith(".") and real not in seen)
            seen.add(real)
            yield Path(folder), inside, files
            tops += [link for name in inside if (link := Path(folder, name)).is_symlink()]
