"""The transformer as a class of transformers; a copy lies in every export, so it needs torch and transformers alone."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, MaskedLMOutput
from transformers.utils import can_return_tuple

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu2": lambda x: F.relu(x).square(),
}


class MothelloConfig(PretrainedConfig):
    """Size and shape. Sizes are in ids, tokens and classes.

    vocab_size: ids that are read, special tokens included; pad_token_id is padding. output_size: classes of the head,
    the first ids or, where the head predicts moves, the moves of the board. languages: their names, in the order of
    the ``language`` argument. separate_*: what each language has for itself, of the blocks the first ones.
    """

    model_type = "mothello"

    def __init__(
        self, vocab_size: int = 61, output_size: int | None = None, max_position_embeddings: int = 60,
        hidden_size: int = 128, num_hidden_layers: int = 4, num_attention_heads: int = 4, norm: str = "layer",
        hidden_act: str = "gelu", bias: bool = True, qk_norm: bool = False, causal: bool = True, dropout: float = 0.0,
        languages: list[str] | None = None, language_ids: bool = False, separate_tokens: bool = False,
        separate_positions: bool = False, separate_head: bool = False, separate_blocks: int = 0,
        layer_norm_eps: float = 1e-5, rms_norm_eps: float = 1e-6, qk_norm_eps: float = 1e-6,
        pad_token_id: int | None = 0, tie_word_embeddings: bool = False, **more: Any,
    ) -> None:  # fmt: skip
        if norm not in ("layer", "rms") or hidden_act not in ACTIVATIONS:
            raise ValueError(
                f"norm, hidden_act: {norm}, {hidden_act}; choices: layer, rms and {', '.join(ACTIVATIONS)}"
            )
        self.vocab_size, self.output_size = vocab_size, vocab_size if output_size is None else output_size
        self.max_position_embeddings, self.hidden_size = max_position_embeddings, hidden_size
        self.num_hidden_layers, self.num_attention_heads = num_hidden_layers, num_attention_heads
        self.intermediate_size = more.pop("intermediate_size", 4 * hidden_size)
        self.norm, self.hidden_act, self.bias, self.qk_norm = norm, hidden_act, bias, qk_norm
        self.causal, self.dropout = causal, dropout
        self.languages, self.language_ids = languages or ["language_0"], language_ids
        self.separate_tokens, self.separate_positions = separate_tokens, separate_positions
        self.separate_head, self.separate_blocks = separate_head, separate_blocks
        self.layer_norm_eps, self.qk_norm_eps = layer_norm_eps, qk_norm_eps
        if norm == "rms":  # only there: other tools take it for a sign that nothing is centered
            self.rms_norm_eps = rms_norm_eps
        self.initializer_range = more.pop("initializer_range", 0.02)
        more |= {"pad_token_id": pad_token_id, "tie_word_embeddings": tie_word_embeddings}
        super().__init__(**more)


def _norm(config: MothelloConfig) -> nn.Module:
    d = config.hidden_size
    return nn.LayerNorm(d, config.layer_norm_eps) if config.norm == "layer" else nn.RMSNorm(d, config.rms_norm_eps)


def _made(config: MothelloConfig, own: bool, make: Callable[[], nn.Module]) -> nn.Module:
    """A module, or one for every language."""
    return nn.ModuleList(make() for _ in config.languages) if own else make()


def _apply(module: nn.Module, language: Tensor | None, x: Tensor, *more: Any) -> Any:
    """Every row of x through its language's module, or through the one that is shared."""
    if not isinstance(module, nn.ModuleList):
        return module(x, *more)
    if language is None or language.ndim != 1:
        raise ValueError("language: a model with separate parts needs the language of every row, [batch]")
    spoken = [(index, (language == index).nonzero().squeeze(1)) for index in language.unique().tolist()]
    chosen = lambda y, rows: y[rows] if isinstance(y, Tensor) and len(y) == len(x) else y  # noqa: E731
    each = [module[index](x[rows], *(chosen(y, rows) for y in more)) for index, rows in spoken]
    back = torch.cat([rows for _, rows in spoken]).argsort()
    if isinstance(each[0], tuple):
        return tuple(torch.cat(parts)[back] for parts in zip(*each, strict=True))
    return torch.cat(each)[back]


class MothelloAttention(nn.Module):
    """Self-attention with explicit weights."""

    def __init__(self, config: MothelloConfig) -> None:
        super().__init__()
        d, self.config = config.hidden_size, config
        self.q, self.k, self.v, self.o = (nn.Linear(d, d, config.bias) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [B T D], mask [B 1 T T], True where a query may attend -> what is added [B T D], weights [B head T T]."""
        b, t, d = x.shape
        heads = self.config.num_attention_heads
        q, k, v = (layer(x).view(b, t, heads, d // heads).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if self.config.qk_norm:
            q, k = (F.rms_norm(x, x.shape[-1:], eps=self.config.qk_norm_eps).to(v.dtype) for x in (q, k))
        scores = (q @ k.transpose(-1, -2)) * (1 / math.sqrt(d // heads))
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1).to(v.dtype)
        y = F.dropout(weights, self.config.dropout, self.training) @ v
        return self.o(y.transpose(1, 2).reshape(b, t, d)), weights


class MothelloMLP(nn.Module):
    """Two layers with an activation between them."""

    def __init__(self, config: MothelloConfig) -> None:
        super().__init__()
        d, inner, self.act = config.hidden_size, config.intermediate_size, config.hidden_act
        self.up, self.down = nn.Linear(d, inner, config.bias), nn.Linear(inner, d, config.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(ACTIVATIONS[self.act](self.up(x)))


class MothelloBlock(nn.Module):
    """Attention and MLP, each after a norm and added to the residual stream."""

    def __init__(self, config: MothelloConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.norm_1, self.norm_2 = _norm(config), _norm(config)
        self.attn, self.mlp = MothelloAttention(config), MothelloMLP(config)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [B T D] -> the residual stream after the block, and the attention weights."""
        y, weights = self.attn(self.norm_1(x), mask)
        x = x + F.dropout(y, self.dropout, self.training)
        return x + F.dropout(self.mlp(self.norm_2(x)), self.dropout, self.training), weights


class MothelloPreTrainedModel(PreTrainedModel):
    config_class = MothelloConfig
    base_model_prefix = "model"


class MothelloModel(MothelloPreTrainedModel):
    """ids -> the residual stream."""

    def __init__(self, config: MothelloConfig) -> None:
        super().__init__(config)
        d, rows, n = config.hidden_size, config.vocab_size, config.max_position_embeddings
        self.token_embedding = _made(config, config.separate_tokens, lambda: nn.Embedding(rows, d))
        self.position_embedding = _made(config, config.separate_positions, lambda: nn.Embedding(n, d))
        self.language_embedding = nn.Embedding(len(config.languages), d) if config.language_ids else None
        layers, own = range(config.num_hidden_layers), config.separate_blocks
        self.blocks = nn.ModuleList(_made(config, i < own, lambda: MothelloBlock(config)) for i in layers)
        self.norm = _norm(config)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.token_embedding

    def _mask(self, ids: Tensor, attention_mask: Tensor | None) -> Tensor:
        """[B 1 T T]: what each query may attend to; itself always, or there would be nothing to average."""
        b, t = ids.shape
        if attention_mask is not None and attention_mask.ndim == 3:
            return attention_mask.bool().unsqueeze(1)
        every = torch.ones(t, t, dtype=torch.bool, device=ids.device)
        if attention_mask is None and not self.config.causal:
            attention_mask = ids != self.config.pad_token_id
        mask = (every.tril() if self.config.causal else every).expand(b, t, t)
        if attention_mask is not None:
            mask = mask & (attention_mask.bool().unsqueeze(1) | torch.eye(t, dtype=torch.bool, device=ids.device))
        return mask.unsqueeze(1)

    @can_return_tuple
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None,
        language: Tensor | None = None, output_hidden_states: bool | None = None,
        output_attentions: bool | None = None, **_: Any,
    ) -> Any:  # fmt: skip
        """input_ids [B T]. attention_mask [B T], 0 for padding, or [B T T], 1 where a query may attend; by default all
        earlier places, or all that are not padding. language [B], or [B T] where a text mixes them: an index into
        config.languages, for models with language ids or separate parts. hidden_states: the residual stream, entry 0
        the embeddings, the last one before the final norm; last_hidden_state is after it."""
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device).unsqueeze(0)
        position_ids = position_ids.expand(input_ids.shape)
        x = _apply(self.token_embedding, language, input_ids) + _apply(self.position_embedding, language, position_ids)
        if self.language_embedding is not None:
            if language is None:
                raise ValueError("language: a model with language ids needs the languages")
            own = self.language_embedding(language)
            x = x + (own.unsqueeze(1) if own.ndim == 2 else own)
        x, mask = F.dropout(x, self.config.dropout, self.training), self._mask(input_ids, attention_mask)
        states, patterns = [x], []
        for block in self.blocks:
            x, weights = _apply(block, language, x, mask)
            states.append(x)
            patterns.append(weights)
        hidden = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        attended = self.config.output_attentions if output_attentions is None else output_attentions
        return BaseModelOutput(
            last_hidden_state=self.norm(x),
            hidden_states=tuple(states) if hidden else None,
            attentions=tuple(patterns) if attended else None,
        )


class _WithHead(MothelloPreTrainedModel):
    _tied_weights_keys = {"head": "model.token_embedding"}  # noqa: RUF012 (theirs)
    output: Any

    def __init__(self, config: MothelloConfig) -> None:
        super().__init__(config)
        self.model = MothelloModel(config)
        rows = config.vocab_size if config.tie_word_embeddings else config.output_size
        self.head = _made(config, config.separate_head, lambda: nn.Linear(config.hidden_size, rows, bias=False))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.token_embedding

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)

    @can_return_tuple
    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None,
        language: Tensor | None = None, labels: Tensor | None = None, output_hidden_states: bool | None = None,
        output_attentions: bool | None = None, **_: Any,
    ) -> Any:  # fmt: skip
        """As MothelloModel's; logits [B T output_size]. labels [B T]: classes, -100 where none counts."""
        made = self.model(input_ids, attention_mask, position_ids, language, output_hidden_states, output_attentions)
        logits = _apply(self.head, language, made.last_hidden_state)[..., : self.config.output_size]
        loss = None if labels is None else self._loss(logits, labels)
        return self.output(loss=loss, logits=logits, hidden_states=made.hidden_states, attentions=made.attentions)


class MothelloForCausalLM(_WithHead, GenerationMixin):
    """Predicts what follows every token. labels: of every token; they are shifted here, as transformers does."""

    output = CausalLMOutput

    def prepare_inputs_for_generation(self, input_ids: Tensor, **more: Any) -> dict[str, Any]:
        """The whole text in every step: there is no cache."""
        return {"input_ids": input_ids} | {name: more.get(name) for name in ("attention_mask", "language")}

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return super()._loss(logits[:, :-1], labels[:, 1:])


class MothelloForMaskedLM(_WithHead):
    """Predicts the token in every place."""

    output = MaskedLMOutput
