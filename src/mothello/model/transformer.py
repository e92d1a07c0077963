"""A GPT in one file: pre-norm blocks, learned positions. Hidden states are returned values, no hooks.

Shapes: B games, T tokens, D = d_model, V output classes, L layers.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mothello.errors import UserError
from mothello.model.config import Activation as Activation
from mothello.model.config import Attention, Init, ModelConfig
from mothello.model.config import Norm as Norm
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.layers import RMS_EPS, Head, activate, build_norm, dropout, without_padding
from mothello.model.separate import Part, PerLanguage, apply, own_parts, parts_of
from mothello.seeding import derive


class ModelOutput(NamedTuple):
    """What a forward pass gives. hidden: the residual stream after every layer, entry 0 the embeddings."""

    logits: Float[Tensor, "B T V"]
    hidden: Float[Tensor, "layer B T D"] | None


Edit = Callable[[str, Tensor], Tensor]
"""(site, activations there) -> the activations that the rest of the model uses: an intervention, or a recording."""

SITES = {
    "resid_pre": "residual stream before the block [B T D]",
    "pattern": "attention weights [B head T T]; rows are queries",
    "heads": "output of every head, before the projection that adds them up [B T head d_head]",
    "resid_mid": "residual stream between attention and MLP [B T D]",
    "mlp": "hidden units of the MLP, after the activation [B T 4D]",
    "resid_post": "residual stream after the block [B T D]",
}
"""Where an edit is called in every block, in this order, as "blocks.3.resid_post"; before the first, "embedding"."""


TASK_HEAD, PROJECTION_HEAD = "task_head.", "projection_head."
HEADS = (TASK_HEAD, PROJECTION_HEAD)
"""Where the names of the weights begin that only a training needs; all others are the model's own."""


def residual_site(layer: int) -> str:
    """The site of the residual stream after a layer: 0 is the embedding, l the end of block l - 1."""
    return f"blocks.{layer - 1}.resid_post" if layer else "embedding"


LayerEdit = Callable[[int, Float[Tensor, "B T D"]], Float[Tensor, "B T D"]]
"""(layer, residual stream after it) -> what the rest of the model uses; layer 0 is the embedding."""


def on_residual(edit: LayerEdit) -> Edit:
    """The edit that changes the residual stream after every layer, and nothing else."""

    def at_site(site: str, x: Tensor) -> Tensor:
        if site == "embedding":
            return edit(0, x)
        return edit(int(site.split(".")[1]) + 1, x) if site.endswith(".resid_post") else x

    return at_site


def _unedited(site: str, x: Tensor) -> Tensor:
    return x


def _in_block(edit: Edit, index: int) -> Edit:
    """The edit of one block's sites, by their short names."""
    return lambda site, x: edit(f"blocks.{index}.{site}", x)


class Block(nn.Module):
    """Attention and MLP, each after a norm and added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.d_model
        self.n_head, self.dropout, self.attention = config.n_head, config.dropout, config.attention
        self.qk_norm, self.activation = config.qk_norm, config.activation
        self.norm_1, self.norm_2 = build_norm(config), build_norm(config)
        self.qkv, self.out = nn.Linear(d, 3 * d, config.bias), nn.Linear(d, d, config.bias)
        self.up, self.down = nn.Linear(d, 4 * d, config.bias), nn.Linear(4 * d, d, config.bias)

    def attend(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "*B T T"] | None, edit: Edit = _unedited
    ) -> Float[Tensor, "B T D"]:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.n_head, d // self.n_head).permute(2, 0, 3, 1, 4)
        if self.qk_norm:
            q, k = (F.rms_norm(x, x.shape[-1:], eps=RMS_EPS).to(v.dtype) for x in (q, k))
        drop = self.dropout if self.training else 0.0
        fused = self.attention is Attention.fused or (self.attention is Attention.auto and x.is_cuda)
        fused = fused and edit is _unedited  # the fused kernel has no weights to edit
        if mask is not None and mask.ndim == 3:
            mask = mask.unsqueeze(1)
        if fused:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, dropout_p=drop)
        else:
            if mask is None:
                mask = torch.ones(t, t, dtype=torch.bool, device=x.device).tril()
            scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
            weights = edit("pattern", scores.masked_fill(~mask, -torch.inf).softmax(-1)).to(v.dtype)
            y = dropout(weights, drop, self.training) @ v
        return self.out(edit("heads", y.transpose(1, 2)).reshape(b, t, d))

    def forward(
        self, x: Float[Tensor, "B T D"], mask: Bool[Tensor, "*B T T"] | None, edit: Edit = _unedited
    ) -> Float[Tensor, "B T D"]:
        """The residual stream after the block. edit: called with the names of SITES."""
        x = edit("resid_pre", x)
        x = x + dropout(self.attend(self.norm_1(x), mask, edit), self.dropout, self.training)
        x = edit("resid_mid", x)
        up = self.up(self.norm_2(x))
        units = edit("mlp", activate(up, self.activation))
        return edit("resid_post", x + dropout(self.down(units), self.dropout, self.training))


class GPT(nn.Module):
    """token ids [B, T] -> logits [B, T, output_size], and the residual stream on request.

    vocabulary_size: the languages' ids, 0 is padding. n_positions: longest row. output_size: classes of the head.
    languages: how many there are, each of which has the parts of config.separate for itself (then modules are
    PerLanguage). special_tokens: further ids that are read and never predicted.
    """

    def __init__(
        self,
        config: ModelConfig,
        vocabulary_size: int,
        n_positions: int,
        output_size: int,
        languages: int = 1,
        special_tokens: int = 0,
    ) -> None:
        super().__init__()
        if config.tied and output_size != vocabulary_size:
            raise UserError("model.tied: a unified output vocabulary has no token embedding to tie the head to")
        for key, used in (("separate", config.separate), ("language_ids", config.language_ids)):
            if used and languages < 2:
                raise UserError(f"model.{key}: has no effect with a single language; leave it out")
        self.config, self.n_positions, self.output_size = config, n_positions, output_size
        d, separate = config.d_model, config.separate

        def made(own: bool, make: Callable[[], nn.Module]) -> nn.Module:
            return PerLanguage(make, languages) if own else make()

        self.token_embedding = made(separate.tokens, lambda: nn.Embedding(vocabulary_size + special_tokens, d))
        self.language_embedding = nn.Embedding(languages, d) if config.language_ids else None
        self.position_embedding = made(separate.positions, lambda: nn.Embedding(n_positions, d))
        self.blocks = nn.ModuleList(made(i < separate.blocks, lambda: Block(config)) for i in range(config.n_layer))
        self.norm = build_norm(config)
        self.head = made(separate.head, lambda: Head(d, output_size))
        if config.tied:
            for head, table in zip(own_parts(self.head), own_parts(self.token_embedding), strict=True):
                head.weight = table.weight
        self.task_head: nn.Module | None = None  # trained and saved with the model: mothello.stages.task
        self.projection_head: nn.Module | None = None  # the same: mothello.objectives.realign

    @torch.no_grad()
    def initialize(self, seed: int) -> "GPT":
        """From a seed of its own: normal(0, .02); in GPT-2's, residual outputs over sqrt(2 L) or zero; in minGPT's,
        positions zero.

        Every tensor draws from a stream named after it, so a bigger vocabulary moves no other weight.
        """
        mingpt = self.config.init is Init.mingpt
        scale = 0.0 if self.config.zero_init else 1.0 if mingpt else 1 / math.sqrt(2 * self.config.n_layer)
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or (mingpt and name.startswith("position")):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1)
            else:
                residual = name.endswith(("out.weight", "down.weight")) or (name.startswith("head") and not scale)
                draw = torch.Generator().manual_seed(derive(seed, "init", name))
                values = torch.empty(parameter.shape).normal_(0, 0.02 * (scale if residual else 1), generator=draw)
                parameter.copy_(values)
        return self

    def _embed(self, inputs: Inputs) -> tuple[Float[Tensor, "B T D"], Bool[Tensor, "*B T T"] | None, list[Part]]:
        """The residual stream before the first block, the mask, and the rows by language where parts are separate."""
        tokens, positions, mask = inputs.tokens, inputs.positions, inputs.mask
        if positions is None:
            positions = torch.arange(tokens.shape[1], device=tokens.device)
        if mask is None and self.config.mask is AttentionMask.full:
            mask = without_padding(tokens)
        parts = parts_of(inputs.language, inputs.groups) if self.config.separate else []
        if isinstance(self.position_embedding, PerLanguage):
            positions = positions.expand(tokens.shape)
        x = apply(self.token_embedding, parts, tokens) + apply(self.position_embedding, parts, positions)
        if self.language_embedding is not None:
            assert inputs.language is not None, "a model with language ids needs the languages"
            own = self.language_embedding(inputs.language)
            x = x + (own.unsqueeze(1) if own.ndim == 2 else own)
        return dropout(x, self.config.dropout, self.training), mask, parts

    def residual(self, inputs: Inputs, layer: int) -> Float[Tensor, "B T D"]:
        """The residual stream after a layer, 0 the embeddings; what comes later is not computed."""
        return self.residuals(inputs, [layer])[0]

    def residuals(self, inputs: Inputs, layers: Sequence[int]) -> list[Float[Tensor, "B T D"]]:
        """The same after several layers, in their order."""
        x, mask, parts = self._embed(inputs)
        states = [x]
        for block in self.blocks[: max(layers)]:
            states.append(apply(block, parts, states[-1], mask))
        return [states[layer] for layer in layers]

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> ModelOutput:
        """hidden: also return the residual stream after every layer, stacked [L + 1, B, T, D].

        edit: called at the embedding and at every site of every block (SITES); what it returns is used instead.
        """
        x, mask, parts = self._embed(inputs)
        x = x if edit is None else edit("embedding", x)
        states = [x]
        for index, block in enumerate(self.blocks):
            more = (mask,) if edit is None else (mask, _in_block(edit, index))
            x = apply(block, parts, x, *more)
            if hidden:
                states.append(x)
        return ModelOutput(apply(self.head, parts, self.norm(x)), torch.stack(states) if hidden else None)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def token_vectors(self, language: int) -> Float[Tensor, "token D"]:
        """The token embedding that a language reads with."""
        tables = own_parts(self.token_embedding)
        return tables[language % len(tables)].weight.detach()

    @property
    def n_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())
