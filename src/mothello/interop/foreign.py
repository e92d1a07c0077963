"""Checkpoints of others under the names of the house: minGPT, TransformerLens before its version 4, nanoGPT."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mothello.errors import UserError
from mothello.interop.tensors import KEY, Tensors
from mothello.model.config import Activation

PARTS = ("weight", "bias")


class Kind(StrEnum):
    """Whose layout a file has."""

    mingpt = "mingpt"
    transformerlens = "transformerlens"
    nanogpt = "nanogpt"


class Foreign(NamedTuple):
    """A model under the names of the house. The rows of the token embedding and of the head are in the file's order,
    and so are its positions. settings: what the file tells of a ModelConfig."""

    weights: dict[str, Tensor]
    settings: dict[str, Any]


def read_mingpt(file: Tensors, folded: bool) -> Foreign:
    """Karpathy's first minGPT, as the published models of Othello have it: separate queries, keys and values."""
    file.drop(r"blocks\.\d+\.attn\.mask")
    n, weights = file.layers(r"blocks\.(\d+)\."), dict[str, Tensor]()
    names = {"norm_1": "ln1", "norm_2": "ln2", "out": "attn.proj", "up": "mlp.0", "down": "mlp.2"}
    for i in range(n):
        for part in PARTS:
            weights |= {f"blocks.{i}.{ours}.{part}": file.take(f"blocks.{i}.{x}.{part}") for ours, x in names.items()}
            each = [file.take(f"blocks.{i}.attn.{name}.{part}") for name in ("query", "key", "value")]
            weights[f"blocks.{i}.qkv.{part}"] = torch.cat(each)
    weights |= {f"norm.{part}": file.take(f"ln_f.{part}") for part in PARTS}
    weights["token_embedding.weight"] = file.take("tok_emb.weight")
    weights["position_embedding.weight"] = file.take("pos_emb")[0]
    weights["head.weight"] = file.take("head.weight")
    return Foreign(weights, {"n_layer": n, "bias": True, "tied": False, "init": "mingpt"})


def read_transformerlens(file: Tensors, folded: bool) -> Foreign:
    """HookedTransformer's. folded: its norms have no weights of their own, for they went into the layers after them."""
    file.drop(r"blocks\.\d+\.attn\.(mask|IGNORE)")
    n, weights = file.layers(r"blocks\.(\d+)\."), dict[str, Tensor]()
    d_model, head = file.take("embed.W_E"), file.take("unembed.W_U")
    n_head = 0

    def norm(ours: str, theirs: str) -> None:
        if f"{theirs}.w" not in file and not folded:
            line = f"{theirs}.w is missing: its norms are folded; if they were layer norms (LNPre), add folded=true"
            raise UserError(f"{KEY}: {line}")
        ones = torch.ones(d_model.shape[1])
        weights[f"{ours}.weight"] = ones if folded else file.take(f"{theirs}.w")
        weights[f"{ours}.bias"] = 0 * ones if folded else file.take(f"{theirs}.b")

    for i in range(n):
        block, theirs = f"blocks.{i}", f"blocks.{i}.attn"
        norm(f"{block}.norm_1", f"{block}.ln1")
        norm(f"{block}.norm_2", f"{block}.ln2")
        each = [file.take(f"{theirs}.W_{name}") for name in "QKV"]
        n_head = each[0].shape[0]
        weights[f"{block}.qkv.weight"] = torch.cat([x.transpose(1, 2).flatten(0, 1) for x in each])
        weights[f"{block}.qkv.bias"] = torch.cat([file.take(f"{theirs}.b_{name}").flatten() for name in "QKV"])
        weights[f"{block}.out.weight"] = file.take(f"{theirs}.W_O").flatten(0, 1).T
        weights[f"{block}.out.bias"] = file.take(f"{theirs}.b_O")
        for ours, name in (("up", "in"), ("down", "out")):
            weights[f"{block}.{ours}.weight"] = file.take(f"{block}.mlp.W_{name}").T
            weights[f"{block}.{ours}.bias"] = file.take(f"{block}.mlp.b_{name}")
    norm("norm", "ln_final")
    weights["norm.bias"] = weights["norm.bias"] + _into_norm(head, file.take("unembed.b_U"))
    weights["token_embedding.weight"], weights["head.weight"] = d_model, head.T
    weights["position_embedding.weight"] = file.take("pos_embed.W_pos")
    return Foreign(weights, {"n_layer": n, "n_head": n_head, "bias": True, "tied": False})


def _into_norm(head: Tensor, bias: Tensor) -> Tensor:
    """What the final norm must add for the head [D V] to give this bias [V], which the house's has not. UserError where
    no vector does."""
    if not bool(bias.any()):
        return torch.zeros(len(head))
    added = torch.linalg.lstsq(head.T.double(), bias.double().unsqueeze(1), driver="gelsd").solution.squeeze(1)
    missed = float((added @ head.double() - bias.double()).abs().max())
    if missed > 1e-5 * max(1.0, float(bias.abs().max())):
        raise UserError(f"{KEY}: unembed.b_U is not zero, and the final norm cannot hold it ({missed:.1e} is left)")
    return added.float()


def read_nanogpt(file: Tensors, folded: bool) -> Foreign:
    """nanoGPT: GPT-2's names, linear layers that are not transposed, biases or none, the head tied or not."""
    file.drop(r"transformer\.h\.\d+\.attn\.bias")
    n, weights = file.layers(r"transformer\.h\.(\d+)\."), dict[str, Tensor]()
    names = {"qkv": "attn.c_attn", "out": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}
    bias = f"transformer.h.0.{names['qkv']}.bias" in file

    def norm(ours: str, theirs: str) -> None:
        weights[f"{ours}.weight"] = file.take(f"{theirs}.weight")
        weights[f"{ours}.bias"] = file.take(f"{theirs}.bias") if bias else 0 * weights[f"{ours}.weight"]

    for i in range(n):
        norm(f"blocks.{i}.norm_1", f"transformer.h.{i}.ln_1")
        norm(f"blocks.{i}.norm_2", f"transformer.h.{i}.ln_2")
        for part in PARTS[: 2 if bias else 1]:
            each = {f"blocks.{i}.{x}.{part}": f"transformer.h.{i}.{theirs}.{part}" for x, theirs in names.items()}
            weights |= {ours: file.take(theirs) for ours, theirs in each.items()}
    norm("norm", "transformer.ln_f")
    tokens = weights["token_embedding.weight"] = file.take("transformer.wte.weight")
    weights["position_embedding.weight"] = file.take("transformer.wpe.weight")
    weights["head.weight"] = file.take("lm_head.weight") if "lm_head.weight" in file else tokens
    settings = {"n_layer": n, "bias": bias, "tied": torch.equal(weights["head.weight"], tokens)}
    return Foreign(weights, settings | {key: int(file.settings[key]) for key in ("n_head",) if key in file.settings})


READERS: dict[Kind, Callable[[Tensors, bool], Foreign]] = {
    Kind.mingpt: read_mingpt,
    Kind.transformerlens: read_transformerlens,
    Kind.nanogpt: read_nanogpt,
}
ACTIVATIONS = {Kind.mingpt: Activation.gelu, Kind.transformerlens: Activation.gelu}
"""What the published models have. No file says; nanoGPT has had two."""
