"""Stand-ins for libraries that take seconds to import, where a command only shows its settings. A leaf."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

HEAVY = frozenset({"torch", "jaxtyping", "safetensors", "numpy", "pandas", "scipy", "matplotlib", "jinja2"})
SHOWS = frozenset({"-h", "--help", "--hydra-help", "-c", "--cfg", "-i", "--info", "-sc", "--shell-completion"})
"""Options of a command line that show something and compute nothing."""


class _Names(type):
    """What a module does with a name while it is imported: derive from it, annotate and decorate with it."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn

    def __call__(cls, *values: Any, **settings: Any) -> Any:
        return values[0] if values and callable(values[0]) else StandIn

    def __getitem__(cls, key: Any) -> Any:
        return StandIn

    def __or__(cls, other: Any) -> Any:
        return StandIn

    __ror__ = __or__


class StandIn(metaclass=_Names):
    """Any name of a library that was not imported."""


class _Finder:
    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        heavy = name.partition(".")[0] in HEAVY
        return ModuleSpec(name, self, is_package=True) if heavy else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty one."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _Names.__getattr__.__get__(StandIn)  # type: ignore[method-assign]


def stand_in(arguments: Sequence[str]) -> None:
    """From now on nothing heavy is imported, where a command line asks a process of its own only to show something."""
    words = {text.partition("=")[0] for text in arguments}
    if words & SHOWS and "--" not in words and "torch" not in sys.modules:
        sys.meta_path.insert(0, _Finder())
