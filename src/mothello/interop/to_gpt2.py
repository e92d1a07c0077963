"""A model of the house as GPT-2 of transformers, where GPT-2 has its options."""

from typing import Any

import torch
from torch import Tensor

from mothello.errors import UserError
from mothello.model.config import Activation, Norm
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import GPT

NAMES = {
    "norm_1": "ln_1", "norm_2": "ln_2", "qkv": "attn.c_attn", "out": "attn.c_proj", "up": "mlp.c_fc",
    "down": "mlp.c_proj",
}  # fmt: skip
"""Layers of a block, ours -> theirs; the linear ones are transposed there."""
ACTIVATIONS = {Activation.gelu: "gelu", Activation.gelu_tanh: "gelu_new", Activation.relu2: "relu2"}


def check_gpt2(model: GPT) -> None:
    """UserError names the option that GPT-2 cannot hold."""
    config, rows = model.config, model.token_vectors(0).shape[0]
    refused = {
        "model.norm=rms": config.norm is Norm.rms,
        "model.qk_norm=true": config.qk_norm,
        "model.language_ids=true": config.language_ids,
        **{f"model.separate.{name}": bool(value) for name, value in vars(config.separate).items()},
        "the full attention of its objective": config.mask is AttentionMask.full,
        "languages.output=unified or special tokens": rows != model.output_size,
    }
    if option := next((name for name, given in refused.items() if given), ""):
        raise UserError(f"format: gpt2 cannot hold {option}; format=mothello can")


def gpt2_weights(model: GPT) -> dict[str, Tensor]:
    """Every weight under its name in GPT2LMHeadModel. A missing bias is zero."""
    d, ours = model.config.d_model, model.state_dict()
    result = {
        "transformer.wte.weight": ours["token_embedding.weight"], "lm_head.weight": ours["head.weight"],
        "transformer.wpe.weight": ours["position_embedding.weight"], "transformer.ln_f.weight": ours["norm.weight"],
        "transformer.ln_f.bias": ours["norm.bias"],
    }  # fmt: skip
    for name, x in ours.items():
        if name.startswith("blocks."):
            _, index, layer, kind = name.split(".")
            theirs = f"transformer.h.{index}.{NAMES[layer]}"
            result[f"{theirs}.{kind}"] = x.T if x.ndim == 2 else x
            if kind == "weight" and not layer.startswith("norm"):
                result.setdefault(f"{theirs}.bias", x.new_zeros({"qkv": 3 * d, "up": 4 * d}.get(layer, d)))
    return result


@torch.no_grad()
def as_gpt2(model: GPT) -> Any:
    """The same model as a GPT2LMHeadModel, in eval mode, whose last hidden state is after the final norm. UserError
    names the option that it cannot hold."""
    check_gpt2(model)
    from transformers import GPT2Config, GPT2LMHeadModel

    config, drop = model.config, model.config.dropout
    settings: dict[str, Any] = {
        "vocab_size": model.output_size, "n_positions": model.n_positions, "n_embd": config.d_model,
        "n_layer": config.n_layer, "n_head": config.n_head, "activation_function": ACTIVATIONS[config.activation],
        "resid_pdrop": drop, "embd_pdrop": drop, "attn_pdrop": drop, "tie_word_embeddings": config.tied,
        "bos_token_id": None, "eos_token_id": None, "pad_token_id": 0,
    }  # fmt: skip
    made: Any = GPT2LMHeadModel(GPT2Config(**settings))
    made.load_state_dict({name: x.detach().clone() for name, x in gpt2_weights(model).items()})
    return made.to(model.device).eval()
