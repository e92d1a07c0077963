"""Registries: name -> class with a Config dataclass of its own. The only plug-in mechanism of the house."""

import importlib
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mothello.config import typed
from mothello.errors import UserError

Entry = TypeVar("Entry", bound=type)
E = TypeVar("E")

log = logging.getLogger(__name__)
_LENIENT = ContextVar("lenient", default=False)


@contextmanager
def lenient() -> Iterator[None]:
    """Within: settings of an unknown entry stay a dict, and a plugin that cannot be imported is logged. So a run can be
    read whose plugin is missing."""
    token = _LENIENT.set(True)
    try:
        yield
    finally:
        _LENIENT.reset(token)


class Registry(Generic[E]):
    """Classes by name. Every class has a dataclass ``Config`` whose field ``name`` defaults to the entry's name."""

    def __init__(self, noun: str, taken: Iterable[str] = ()) -> None:
        """taken: names that would stand beside the house's own keys or folders."""
        self.noun, self.taken = noun, frozenset(taken)
        self._entries: dict[str, type[E]] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator: make a class known by a name, a plain identifier. ValueError when it is taken."""

        def add(entry: Entry) -> Entry:
            if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in self.taken:
                raise ValueError(f"{self.noun} {name!r}: a name is an identifier, and no key or folder of the house")
            known = self._entries.get(name)
            if known is not None and (known.__module__, known.__qualname__) != (entry.__module__, entry.__qualname__):
                raise ValueError(f"{self.noun} {name!r} is registered twice: {known.__module__}, {entry.__module__}")
            self._entries[name] = entry
            return entry

        return add

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def get(self, name: str, key: str = "") -> type[E]:
        """The class of that name. UserError lists the names; ``key`` is the config key that holds it."""
        if name not in self._entries:
            raise UserError(f"{key or self.noun}: {name!r} is not one of {', '.join(self._entries)}")
        return self._entries[name]

    def typed(self, settings: Any, key: str, schema: Callable[[type], type] = lambda config: config) -> Any:
        """Settings such as ``{"name": "causal_lm"}`` -> the entry's Config. A Config is returned as it is.

        schema: from the entry's Config to the one to use, which may have more fields.
        """
        if is_dataclass(settings):
            return settings
        if isinstance(settings, str):
            settings = {"name": settings}
        if not isinstance(settings, Mapping) or not isinstance(name := settings.get("name"), str):
            raise UserError(f"{key}: write {key}=NAME; choices: {', '.join(self._entries)}")
        if name not in self and _LENIENT.get():
            return dict(settings)
        own: Any = schema(self.get(name, f"{key}.name").Config)  # type: ignore[attr-defined]
        return typed(settings, own, key) if len(settings) > 1 else own()

    def build(self, config: Any) -> E:
        """The entry that a Config belongs to, made from it."""
        return self.get(config.name)(config)  # type: ignore[call-arg]


def load_plugins(modules: Iterable[str]) -> None:
    """Import a user's modules, from the working directory or another folder of sys.path; they register themselves.

    UserError names the module that is missing or fails.
    """
    for module in modules:
        if not all(map(str.isidentifier, module.split("."))):
            raise UserError(f"plugins: {module!r} is no module; write its dotted name, as in an import")
        if (folder := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, folder)
        try:
            importlib.import_module(module)
        except Exception as error:
            line = f"plugins: {module} cannot be imported ({type(error).__name__}: {error})"
            if not _LENIENT.get():
                raise UserError(line) from error
            log.warning("%s", line)
