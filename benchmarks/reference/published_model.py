"""The model of the published mOthello code (protocol section 2): minGPT-style, with the published settings.

Shapes: B games, T tokens, D = d_model, V token ids.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mothello.model.transformer import GPT, ModelConfig

PAD = 0
"""Fills rows after the end; as a target it carries no loss."""


@dataclass(kw_only=True)
class PublishedConfig:
    """The published settings; the size of the vocabulary and of the longest row come from the languages."""

    vocabulary_size: int
    n_positions: int
    n_layer: int = 8
    n_head: int = 8
    d_model: int = 512
    dropout: float = 0.1
    batch_size: int = 1024
    lr: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    warmup_fraction: float = 5 / 9
    """Share of the steps: 5 of 9 epochs."""
    final_lr_fraction: float = 0.1
    """Share of the peak."""
    seed: int = 0
    """Order, languages, dropout, and the weights of a model that is not given."""


class CausalSelfAttention(nn.Module):
    """Every head's [T, T] matrix of weights, written out."""

    mask: Tensor

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        d, n = config.d_model, config.n_positions
        self.key, self.query, self.value, self.proj = (nn.Linear(d, d) for _ in range(4))
        self.attn_drop, self.resid_drop = nn.Dropout(config.dropout), nn.Dropout(config.dropout)
        self.register_buffer("mask", torch.tril(torch.ones(n, n)).view(1, 1, n, n))
        self.n_head = config.n_head

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        b, t, d = x.shape
        k = self.key(x).view(b, t, self.n_head, d // self.n_head).transpose(1, 2)
        q = self.query(x).view(b, t, self.n_head, d // self.n_head).transpose(1, 2)
        v = self.value(x).view(b, t, self.n_head, d // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf"))
        att = self.attn_drop(F.softmax(att, dim=-1))
        y = (att @ v).transpose(1, 2).contiguous().view(b, t, d)
        return self.resid_drop(self.proj(y))


class PublishedBlock(nn.Module):
    """Attention and MLP, each behind a layer norm and added to its input."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        d = config.d_model
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = CausalSelfAttention(config)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d), nn.Dropout(config.dropout))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class PublishedGPT(nn.Module):
    """Token ids [B, T] -> logits [B, T, V], and the mean cross-entropy where targets are given."""

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__()
        self.tok_emb = nn.Embedding(config.vocabulary_size, config.d_model)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.n_positions, config.d_model))
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*[PublishedBlock(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.d_model)
        self.head = nn.Linear(config.d_model, config.vocabulary_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, 0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        x = self.drop(self.tok_emb(tokens) + self.pos_emb[:, : tokens.size(1)])
        logits = self.head(self.ln_f(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=PAD)

    def optimizer(self, config: PublishedConfig) -> torch.optim.Optimizer:
        """AdamW as torch gives it; weight decay on the linear layers' matrices, not on biases, norms and embeddings."""
        decay = [module.weight for module in self.modules() if isinstance(module, nn.Linear)]
        no_decay = [p for p in self.parameters() if all(p is not matrix for matrix in decay)]
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)


SIZES = ("n_layer", "n_head", "d_model", "dropout", "attention", "zero_init", "init")
"""Options of our model that leave its architecture the published one."""

RENAMED = {
    "token_embedding": "tok_emb", "position_embedding.weight": "pos_emb", "norm_1": "ln1", "norm_2": "ln2",
    "norm.": "ln_f.", ".out.": ".attn.proj.", ".up.": ".mlp.0.", ".down.": ".mlp.2.",
}  # fmt: skip


def load_from(ours: GPT) -> PublishedGPT:
    """The reference with the weights (copied) and the dropout of our model. ValueError names an option of our model
    that the published one does not have."""
    config = ours.config
    other = [key for key, value in vars(ModelConfig()).items() if key not in SIZES and vars(config)[key] != value]
    if other:
        raise ValueError(f"not the published architecture: model.{', model.'.join(other)}")
    state = {}
    for name, tensor in ours.state_dict().items():
        for one, two in RENAMED.items():
            name = name.replace(one, two)
        if ".qkv." in name:
            for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                state[name.replace("qkv", f"attn.{part}")] = rows
        else:
            state[name] = tensor.unsqueeze(0) if name == "pos_emb" else tensor
    theirs = PublishedGPT(
        PublishedConfig(
            vocabulary_size=len(state["tok_emb.weight"]), n_positions=state["pos_emb"].shape[1], d_model=config.d_model,
            n_layer=config.n_layer, n_head=config.n_head, dropout=config.dropout,
        )
    )  # fmt: skip
    theirs.load_state_dict(state | dict(theirs.named_buffers()))
    return theirs.to(ours.head.weight.device)
