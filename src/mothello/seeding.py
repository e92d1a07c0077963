"""Named seeds: the only place that makes random generators, so that no two streams are ever shared.

A name such as ``("init",)`` or ``("dropout", step)`` is hashed together with the seed. Streams with
different names are independent, and adding a stream never moves the others.
"""

import hashlib

import torch


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed that depends on ``seed`` and on every name, in order."""
    text = "/".join([str(int(seed)), *map(str, names)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for the named stream; draw on the CPU and move, so that devices agree."""
    return torch.Generator().manual_seed(derive(seed, *names))
