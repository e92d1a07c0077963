"""Size and shape of a model."""

from dataclasses import dataclass, field
from enum import StrEnum

from mothello.config import NOT_IDENTITY
from mothello.errors import UserError
from mothello.model.inputs import AttentionMask
from mothello.model.separate import SeparateConfig


class Attention(StrEnum):
    """The kernel. Explicit scores are faster on a CPU (the fused backward pass took 1.8 times as long a step at 32
    positions, docs/LOG.md); torch's fused kernel on a GPU. ``auto`` chooses by device."""

    auto = "auto"
    explicit = "explicit"
    fused = "fused"


class Norm(StrEnum):
    """Before attention and MLP: GPT-2's layer norm, or root mean square alone (Zhang and Sennrich 2019)."""

    layer = "layer"
    rms = "rms"


class Activation(StrEnum):
    """Of the MLP: GELU, its approximation by tanh that GPT-2 has (for models of others), or the squared ReLU (So et al.
    2021)."""

    gelu = "gelu"
    gelu_tanh = "gelu_tanh"
    relu2 = "relu2"


class Init(StrEnum):
    """Weights before training: GPT-2's, or those of minGPT's first version (Karpathy 2020), which published Othello
    models have: a standard deviation of .02 also for what blocks add to the residual stream, and positions at zero."""

    gpt2 = "gpt2"
    mingpt = "mingpt"


@dataclass(kw_only=True)
class ModelConfig:
    """Size and shape; the defaults are GPT-2's. The vocabulary and the number of positions come from the languages."""

    n_layer: int = 4
    """Blocks."""
    n_head: int = 4
    """Attention heads of a block; they divide d_model."""
    d_model: int = 128
    """Width of the residual stream."""
    dropout: float = 0.0
    """Chance that a number is dropped in training."""
    tied: bool = False
    """Share the token embedding with the output head (not with a unified output vocabulary)."""
    norm: Norm = Norm.layer
    activation: Activation = Activation.gelu
    bias: bool = True
    """Biases in the linear layers."""
    qk_norm: bool = False
    """Queries and keys have unit root mean square in every head (Henry et al. 2020)."""
    init: Init = Init.gpt2
    language_ids: bool = False
    """Add a vector of its language to every token; off, since a language's own tokens tell it."""
    separate: SeparateConfig = field(default_factory=SeparateConfig)
    zero_init: bool = False
    """What blocks add to the residual stream, and the head, start at zero."""
    attention: Attention = field(default=Attention.auto, metadata=NOT_IDENTITY)
    mask: AttentionMask = field(default=AttentionMask.causal, metadata=NOT_IDENTITY)
    """Not to be set: a training takes it from its objective, and a loaded run from its config."""

    def __post_init__(self) -> None:
        for name, low, high in (("n_layer", 1, 64), ("n_head", 1, 64), ("d_model", 8, 8192)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"model.{name}: {value} is outside {low}..{high}")
        if self.d_model % self.n_head:
            raise ValueError(f"model.n_head: {self.n_head} does not divide d_model={self.d_model}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout: {self.dropout} is outside 0..1")
        if self.separate.blocks > self.n_layer:
            raise UserError(f"model.separate.blocks: {self.separate.blocks} of {self.n_layer} blocks (model.n_layer)")
        if self.tied and self.separate.tokens != self.separate.head:
            raise UserError("model.tied: separate.tokens and separate.head must be alike, for they are one matrix")
        if self.zero_init and self.init is Init.mingpt:
            raise UserError("model.zero_init: has no effect with model.init=mingpt; leave it out")

    def take_mask(self, mask: AttentionMask | None) -> None:
        """Take the objective's mask, if it needs one. UserError where another one was asked for."""
        mask = mask or self.mask
        if self.mask not in (mask, AttentionMask.causal):
            raise UserError(f"model.mask: {self.mask} does not fit the objective, which gives {mask}; leave it out")
        self.mask = mask
