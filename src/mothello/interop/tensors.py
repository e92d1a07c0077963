"""A file of tensors by name, read without executing anything in it."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from mothello.errors import UserError

PREFIXES = ("module.", "_orig_mod.")
"""What wrappers put before every name: torch's parallel and compiled modules."""
KEY = "file"


class Tensors:
    """The tensors of a file: each is taken once, and at the end none may be left."""

    def __init__(self, path: Path, kind: str) -> None:
        """UserError where the file is not there, or holds anything but tensors and plain values."""
        content = _content(path)
        self.settings: dict[str, Any] = content["model_args"] if isinstance(content.get("model_args"), Mapping) else {}
        inner = next(
            (content[name] for name in ("model", "state_dict") if isinstance(content.get(name), Mapping)), None
        )
        self.path, self.kind = path, kind
        self.left: dict[str, Tensor] = {}
        for name, x in (content if inner is None else inner).items():
            if not isinstance(x, Tensor):
                raise UserError(f"{KEY}: {path} holds no state dict: {name} is no tensor")
            for prefix in PREFIXES:
                name = name.removeprefix(prefix)
            self.left[name] = x

    def __contains__(self, name: str) -> bool:
        return name in self.left

    def take(self, name: str) -> Tensor:
        """One of them, in single precision. UserError names the one that is missing, or not finite."""
        if name not in self.left:
            raise UserError(f"{KEY}: {self.path} is no {self.kind} model: {name} is missing")
        x = self.left.pop(name).float()
        if not bool(x.isfinite().all()):
            raise UserError(f"{KEY}: {name} of {self.path} holds numbers that are not finite")
        return x

    def drop(self, pattern: str) -> None:
        """Buffers that hold no weights."""
        self.left = {name: x for name, x in self.left.items() if not re.fullmatch(pattern, name)}

    def layers(self, pattern: str) -> int:
        """How many blocks there are; the pattern's group is a block's number."""
        found = (re.match(pattern, name) for name in self.left)
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    def end(self) -> None:
        """UserError names a tensor that was not taken: another architecture."""
        if self.left:
            raise UserError(f"{KEY}: {self.path} is no {self.kind} model: it has no place for {min(self.left)}")


def _content(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UserError(f"{KEY}: {path} does not exist")
    try:
        made = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except Exception as error:  # the file may hold anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if "weights_only" in str(error) or "Weights only" in str(error):
            reason = "it holds more than tensors and plain values, which are not executed"
        raise UserError(f"{KEY}: {path} cannot be read ({reason}); save the model's state dict alone") from None
    if not isinstance(made, Mapping) or not all(isinstance(name, str) for name in made):
        raise UserError(f"{KEY}: {path} holds no state dict")
    return made


def _unpickled(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the file was pickled
        return torch.load(path, map_location="cpu", weights_only=True)
