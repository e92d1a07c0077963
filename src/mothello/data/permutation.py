"""Permutations that need no memory."""

import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.othello.counter import random_bits


def permute(position: Int64[Tensor, " n"], size: int, seed: int) -> Int64[Tensor, " n"]:
    """A seeded permutation of 0 .. size - 1, computed place by place: a Feistel network with cycle walking."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    value, todo = position.clone(), torch.ones_like(position, dtype=torch.bool)
    while bool(todo.any()):
        left, right = value >> half, value & mask
        for r in range(4):
            left, right = right, left ^ (random_bits(seed, right, r) & mask)
        value = torch.where(todo, left << half | right, value)
        todo = value >= size
    return value
