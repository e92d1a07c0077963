"""A model of the house as one of transformers: its config and its weights under other names."""

from typing import Any

import torch
from torch import Tensor

from mothello.interop.modeling_mothello import MothelloConfig, MothelloForCausalLM, MothelloForMaskedLM
from mothello.model.config import Norm
from mothello.model.inputs import AttentionMask
from mothello.model.layers import RMS_EPS
from mothello.model.separate import own_parts
from mothello.model.transformer import GPT

INNER = {"out": "attn.o", "up": "mlp.up", "down": "mlp.down", "norm_1": "norm_1", "norm_2": "norm_2"}
"""The layers of a block, ours -> theirs; ``qkv`` is split into attn.q, attn.k and attn.v."""


def model_settings(model: GPT, languages: list[str]) -> dict[str, Any]:
    """The settings of a MothelloConfig. languages: names, as the model was built for."""
    config, separate = model.config, model.config.separate
    settings: dict[str, Any] = {
        "vocab_size": own_parts(model.token_embedding)[0].num_embeddings, "output_size": model.output_size,
        "max_position_embeddings": model.n_positions, "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layer, "num_attention_heads": config.n_head, "norm": str(config.norm),
        "hidden_act": str(config.activation), "bias": config.bias, "qk_norm": config.qk_norm,
        "causal": config.mask is AttentionMask.causal, "dropout": config.dropout, "languages": languages,
        "language_ids": config.language_ids, "separate_tokens": separate.tokens,
        "separate_positions": separate.positions, "separate_head": separate.head, "separate_blocks": separate.blocks,
        "tie_word_embeddings": config.tied, "qk_norm_eps": RMS_EPS,
    }  # fmt: skip
    return settings | ({"rms_norm_eps": RMS_EPS} if config.norm is Norm.rms else {})


def weights_for(model: GPT) -> dict[str, Tensor]:
    """Every weight under its name in MothelloForCausalLM; a tied head is left out."""
    tied, result = model.config.tied, dict[str, Tensor]()
    for name, x in model.state_dict().items():
        if name.startswith("blocks."):
            *place, layer, kind = name.split(".")
            place_ = "model." + ".".join(place)
            if layer == "qkv":
                result |= {f"{place_}.attn.{part}.{kind}": y for part, y in zip("qkv", x.chunk(3), strict=True)}
            else:
                result[f"{place_}.{INNER[layer]}.{kind}"] = x
        elif not (name.startswith("head.") and tied):
            result[name if name.startswith("head.") else f"model.{name}"] = x
    return {name: x.detach().clone().contiguous() for name, x in result.items()}


@torch.no_grad()
def as_transformers(model: GPT, languages: list[str]) -> MothelloForCausalLM | MothelloForMaskedLM:
    """The same model as a class of transformers, in eval mode: one of causal attention as MothelloForCausalLM, one of
    full attention as MothelloForMaskedLM."""
    config = MothelloConfig(**model_settings(model, languages))
    made: Any = (MothelloForCausalLM if config.causal else MothelloForMaskedLM)(config)
    fits = made.load_state_dict(weights_for(model), strict=False)
    left = [name for name in fits.missing_keys if not (config.tie_word_embeddings and name.startswith("head"))]
    assert not [*left, *fits.unexpected_keys], (left, fits.unexpected_keys)
    return made.to(model.device).eval()
