"""Models of others, written from their published layouts as slowly and plainly as can be: one position at a time where it
matters, nothing of the house."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[T d] each: every query by itself."""
    rows = []
    for t in range(len(q)):
        weights = ((k[: t + 1] @ q[t]) / math.sqrt(q.shape[1])).softmax(0)
        rows.append(weights @ v[: t + 1])
    return torch.stack(rows)


class MinGPTAttention(nn.Module):
    def __init__(self, d: int, heads: int, block_size: int) -> None:
        super().__init__()
        self.key, self.query, self.value, self.proj = (nn.Linear(d, d) for _ in range(4))
        self.register_buffer("mask", torch.tril(torch.ones(block_size, block_size)).view(1, 1, block_size, block_size))
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        parts = zip(*(y.chunk(self.heads, dim=-1) for y in (q, k, v)), strict=True)
        return self.proj(torch.cat([attention(*part) for part in parts], dim=-1))


class MinGPTBlock(nn.Module):
    def __init__(self, d: int, heads: int, block_size: int) -> None:
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = MinGPTAttention(d, heads, block_size)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class MinGPT(nn.Module):
    """minGPT as othello_world, mOthello and MetaOthello have it. ids [T] -> logits [T V]."""

    def __init__(self, vocabulary: int, block_size: int, layers: int, heads: int, d: int) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(vocabulary, d)
        self.pos_emb = nn.Parameter(torch.zeros(1, block_size, d))
        self.blocks = nn.Sequential(*(MinGPTBlock(d, heads, block_size) for _ in range(layers)))
        self.ln_f, self.head = nn.LayerNorm(d), nn.Linear(d, vocabulary, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.ln_f(self.blocks(self.tok_emb(ids) + self.pos_emb[0, : len(ids)])))


class NanoAttention(nn.Module):
    def __init__(self, d: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(d, 3 * d, bias), nn.Linear(d, d, bias)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.c_attn(x).chunk(3, dim=-1)
        parts = zip(*(y.chunk(self.heads, dim=-1) for y in (q, k, v)), strict=True)
        return self.c_proj(torch.cat([attention(*part) for part in parts], dim=-1))


class NanoMLP(nn.Module):
    def __init__(self, d: int, bias: bool, tanh: bool) -> None:
        super().__init__()
        self.c_fc, self.c_proj, self.tanh = nn.Linear(d, 4 * d, bias), nn.Linear(4 * d, d, bias), tanh

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        approximate = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return self.c_proj(approximate if self.tanh else 0.5 * x * (1 + torch.erf(x / math.sqrt(2))))


class NanoBlock(nn.Module):
    def __init__(self, d: int, heads: int, bias: bool, tanh: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d, bias=bias), nn.LayerNorm(d, bias=bias)
        self.attn, self.mlp = NanoAttention(d, heads, bias), NanoMLP(d, bias, tanh)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class NanoGPT(nn.Module):
    """nanoGPT, the head tied to the tokens. ids [T] -> logits [T V]."""

    def __init__(
        self, vocabulary: int, block_size: int, layers: int, heads: int, d: int, bias: bool = True, tanh: bool = True
    ) -> None:
        super().__init__()
        parts = {
            "wte": nn.Embedding(vocabulary, d), "wpe": nn.Embedding(block_size, d),
            "h": nn.ModuleList(NanoBlock(d, heads, bias, tanh) for _ in range(layers)),
            "ln_f": nn.LayerNorm(d, bias=bias),
        }  # fmt: skip
        self.transformer = nn.ModuleDict(parts)
        self.lm_head = nn.Linear(d, vocabulary, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight  # type: ignore[assignment]

    def forward(self, ids: Tensor) -> Tensor:
        parts: Any = self.transformer
        x = parts["wte"](ids) + parts["wpe"](torch.arange(len(ids)))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


def lens_state(vocabulary: int, n_ctx: int, layers: int, heads: int, d: int, seed: int) -> dict[str, Tensor]:
    """Random weights in the layout of HookedTransformer."""
    draw = torch.Generator().manual_seed(seed)
    size = d // heads

    def some(*shape: int) -> Tensor:
        return 0.2 * torch.randn(shape, generator=draw)

    state = {"embed.W_E": some(vocabulary, d), "pos_embed.W_pos": some(n_ctx, d)}
    for i in range(layers):
        block = f"blocks.{i}"
        for name in ("ln1", "ln2"):
            state |= {f"{block}.{name}.w": 1 + some(d), f"{block}.{name}.b": some(d)}
        for name in "QKV":
            state |= {f"{block}.attn.W_{name}": some(heads, d, size), f"{block}.attn.b_{name}": some(heads, size)}
        state |= {f"{block}.attn.W_O": some(heads, size, d), f"{block}.attn.b_O": some(d)}
        state |= {
            f"{block}.attn.mask": torch.ones(n_ctx, n_ctx).tril().bool(),
            f"{block}.attn.IGNORE": torch.tensor(-1e5),
        }
        state |= {f"{block}.mlp.W_in": some(d, 4 * d), f"{block}.mlp.b_in": some(4 * d)}
        state |= {f"{block}.mlp.W_out": some(4 * d, d), f"{block}.mlp.b_out": some(d)}
    state |= {"ln_final.w": 1 + some(d), "ln_final.b": some(d)}
    return state | {"unembed.W_U": some(d, vocabulary), "unembed.b_U": torch.zeros(vocabulary)}


def lens_forward(state: dict[str, Tensor], ids: Tensor, eps: float = 1e-5) -> Tensor:
    """HookedTransformer: ids [T] -> logits [T V]. Norms without weights of their own are LNPre."""

    def norm(x: Tensor, name: str) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()
        return x * state[f"{name}.w"] + state[f"{name}.b"] if f"{name}.w" in state else x

    x = state["embed.W_E"][ids] + state["pos_embed.W_pos"][: len(ids)]
    for i in range(sum(name.endswith("W_Q") for name in state)):
        block = f"blocks.{i}"
        y, added = norm(x, f"{block}.ln1"), state[f"{block}.attn.b_O"]
        for head in range(len(state[f"{block}.attn.W_Q"])):
            q, k, v = (y @ state[f"{block}.attn.W_{n}"][head] + state[f"{block}.attn.b_{n}"][head] for n in "QKV")
            added = added + attention(q, k, v) @ state[f"{block}.attn.W_O"][head]
        x = x + added
        up = F.gelu(norm(x, f"{block}.ln2") @ state[f"{block}.mlp.W_in"] + state[f"{block}.mlp.b_in"])
        x = x + up @ state[f"{block}.mlp.W_out"] + state[f"{block}.mlp.b_out"]
    return norm(x, "ln_final") @ state["unembed.W_U"] + state["unembed.b_U"]


def folded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """TransformerLens's fold_layer_norm, center_writing_weights and center_unembed, written out."""
    state = {name: x.clone() for name, x in state.items()}
    d = len(state["ln_final.w"])
    for i in range(sum(name.endswith("W_Q") for name in state)):
        block = f"blocks.{i}"
        w, b = (state.pop(f"{block}.ln1.{part}") for part in "wb")
        for name in "QKV":
            weight = state[f"{block}.attn.W_{name}"]
            state[f"{block}.attn.b_{name}"] += torch.einsum("d,hdk->hk", b, weight)
            state[f"{block}.attn.W_{name}"] = weight * w[None, :, None]
        w, b = (state.pop(f"{block}.ln2.{part}") for part in "wb")
        state[f"{block}.mlp.b_in"] += b @ state[f"{block}.mlp.W_in"]
        state[f"{block}.mlp.W_in"] *= w[:, None]
    w, b = (state.pop(f"ln_final.{part}") for part in "wb")
    state["unembed.b_U"] += b @ state["unembed.W_U"]
    state["unembed.W_U"] *= w[:, None]
    written = [name for name in state if name.endswith(("W_E", "W_pos", "W_O", "b_O", "W_out", "b_out"))]
    for name in written:
        assert state[name].shape[-1] == d
        state[name] -= state[name].mean(-1, keepdim=True)
    for name in ("unembed.W_U", "unembed.b_U"):
        state[name] -= state[name].mean(-1, keepdim=True)
    return state
