"""Tensors as text in a page: base64, in half precision where that is enough, with a table of where each one begins."""

import base64

import numpy as np
import torch
from torch import Tensor

from mothello.errors import UserError

KINDS = {"u1": np.uint8, "f2": np.float16, "f4": np.float32}


class Pack:
    """Named tensors, one after the other. ``table``: name -> [kind, first byte, shape], little-endian, row by row."""

    def __init__(self) -> None:
        self.table: dict[str, tuple[str, int, list[int]]] = {}
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, name: str, x: Tensor, kind: str = "f2") -> None:
        """kind: u1 for bytes, f2 for half precision, f4 for single. UserError for numbers that it does not hold."""
        with np.errstate(over="ignore"):
            values = x.detach().cpu().numpy().astype(KINDS[kind])
        if not np.isfinite(values).all():
            line = f"{name} holds numbers beyond {KINDS[kind].__name__}; live_up_to=0 makes a page without weights"
            raise UserError(f"run: {line}")
        part = values.astype(values.dtype.newbyteorder("<")).tobytes()
        self.table[name] = (kind, self.size, list(values.shape))
        self._parts.append(part)
        self.size += len(part)

    def text(self) -> str:
        """All bytes in base64."""
        return base64.b64encode(b"".join(self._parts)).decode()


def rounded(x: Tensor) -> Tensor:
    """The numbers as half precision holds them."""
    return x.detach().to(torch.float16).float()
