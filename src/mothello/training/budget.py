"""What a training costs, by arithmetic: parameters, FLOPs, tokens, bytes. Nothing here runs a clock or needs a GPU."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mothello.data.batch import IGNORE, rows
from mothello.languages.language import PAD
from mothello.model.separate import PerLanguage, own_parts
from mothello.model.transformer import GPT
from mothello.objectives.objective import Objective
from mothello.training.device import Precision, autocast
from mothello.training.optimizer import OptimizerConfig, parameter_groups


class Parameters(NamedTuple):
    """Counts. A tied head counts once, and not as an embedding: it is a matrix product."""

    total: int
    without_embeddings: int
    """All but the tables that are only looked up: token and position embeddings."""
    products: int
    """Of these, the entries of matrices that a token is multiplied by: neither biases nor norms, and of separate parts
    those of one language."""


def parameters(model: GPT) -> Parameters:
    """Of any GPT, one on the meta device included."""
    tables = own_parts(model.position_embedding) + ([] if model.config.tied else own_parts(model.token_embedding))
    tables += [model.language_embedding] if model.language_embedding is not None else []
    looked_up = {id(table.weight) for table in tables}
    rest = [p for p in model.parameters() if id(p) not in looked_up]
    others = {
        id(p) for x in model.modules() if isinstance(x, PerLanguage) for y in own_parts(x)[1:] for p in y.parameters()
    }
    products = sum(p.numel() for p in rest if p.ndim == 2 and id(p) not in others)
    return Parameters(model.n_parameters, sum(p.numel() for p in rest), products)


def flops_per_token(model: GPT, context: int, training: bool = True) -> int:
    """Floating-point operations for one token of a row of ``context`` tokens: forward and backward, or forward alone.

    6 N + 12 n_layer d_model context in training, a third of it forward (Kaplan et al. 2020, section 2.1; Chowdhery et
    al. 2022, appendix B, for model FLOPs utilisation). N counts the matrices that tokens are multiplied by, the head
    among them, but no embedding, bias or norm. Every token counts as attending to all ``context`` positions, as in
    appendix B: explicit scores do compute them all, while a causal token may use (context + 1) / 2 on average, and
    fused kernels that skip the rest do nearly half of that product.
    """
    attention = 2 * model.config.n_layer * model.config.d_model * context
    return (6 if training else 2) * (parameters(model).products + attention)


class Written(Protocol):
    """Rows of tokens."""

    @property
    def tokens(self) -> Tensor:
        """A row per game, PAD after the end."""


@runtime_checkable
class Scored(Protocol):
    """A batch that shows what it scores."""

    @property
    def text(self) -> Written:
        """The games."""

    @property
    def targets(self) -> Tensor:
        """A row per game, IGNORE where nothing is scored."""


class Sort(NamedTuple):
    """Rows of a batch that are alike."""

    rows: Scored
    alone: Any
    """The batch with these rows alone, as its objective takes it."""


def sorts_of(batch: Any) -> list[Sort]:
    """The batch's sorts of rows: one, or, where it is a tuple of batches, one for each; none where it does not show
    what it scores."""
    if isinstance(batch, Scored):
        return [Sort(batch, batch)]
    names = getattr(batch, "_fields", ())
    if not names or not all(isinstance(part, Scored) for part in batch):
        return []
    empty = {name: rows(getattr(batch, name), slice(0)) for name in names}
    alone = (batch._replace(**{**empty, name: getattr(batch, name)}) for name in names)
    return [Sort(part, one) for part, one in zip(batch, alone, strict=True) if len(part.targets)]


class Tokens(NamedTuple):
    """Per row, means over a sample."""

    read: float
    """Tokens of the row."""
    scored: float
    """Positions that carry loss."""
    computed: float
    """Places of the row that the model reads, padding included: what FLOPs are spent on."""


def tokens_per_game(sorts: Sequence[Sort]) -> Tokens:
    """Exact means over the rows of a batch; most rows are a game."""
    texts, targets = [sort.rows.text.tokens for sort in sorts], [sort.rows.targets for sort in sorts]
    n, scored = sum(map(len, texts)), sum(int((one != IGNORE).sum()) for one in targets)
    return Tokens(sum(int((x != PAD).sum()) for x in texts) / n, scored / n, sum(x.numel() for x in texts) / n)


class Memory(NamedTuple):
    """Bytes of a training step on its device."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    """Of one micro-batch."""
    micro_batches: int = 1

    @property
    def peak(self) -> int:
        """Held at once: gradients come while activations go, so the larger of the two counts; both where gradients wait
        for those of further micro-batches."""
        both = max if self.micro_batches == 1 else int.__add__
        return self.weights + self.optimizer + both(self.gradients, self.activations)

    @property
    def stored(self) -> int:
        """What a checkpoint holds."""
        return self.weights + self.optimizer


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def optimizer_bytes(model: nn.Module, config: OptimizerConfig) -> int:
    """AdamW keeps two moments and a step count (4 bytes) per tensor; Muon one momentum per matrix of the blocks."""
    muon, *adamw = parameter_groups(model, config)
    return sum(map(_bytes, muon)) + sum(2 * _bytes(parameter) + 4 for group in adamw for parameter in group)


def _kept(model: GPT, objective: Objective, batch: Any, precision: Precision) -> int:
    """Bytes that the backward pass of one batch needs, weights and batch not counted."""
    own = {x.untyped_storage().data_ptr() for x in (*model.parameters(), *tree_leaves(batch)) if isinstance(x, Tensor)}
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x), autocast(model.device, precision):
        loss = objective.loss(model, batch)  # lives until the count is done: no storage is used twice
    del loss
    return sum(kept.values())


def activation_bytes(model: GPT, objective: Objective, sorts: Sequence[Sort], precision: Precision, games: int) -> int:
    """What an eager step on ``games`` rows keeps for its backward pass, from forward passes on two and four rows of
    each sort, and the two copies of the float logits that the loss makes on top.

    ``Memory.peak`` with it was 0 to 3% below the peak that torch allocates in a step on a CPU: 0.8 and 25 M parameters,
    2 to 100 languages, fp32 and bf16, with and without dropout (torch's MemTracker, 2026-11-21). A process grows by
    1.1 to 1.7 times that, by its allocator and libraries; a compiled step keeps less.
    """
    was, total = model.training, sum(len(sort.rows.targets) for sort in sorts)
    model.train()
    needed = 0.0
    for sort in sorts:
        n, width = sort.rows.targets.shape
        index = torch.arange(4, device=sort.rows.targets.device) % n
        two, four = (_kept(model, objective, _few(sort, index[:k]), precision) for k in (2, 4))
        share = games * n / total
        needed += two + (four - two) / 2 * (share - 2) + 8 * share * width * model.output_size
    model.train(was)
    return round(needed)


def _few(sort: Sort, index: Tensor) -> Any:
    """Some rows of a sort, alone."""
    if sort.alone is sort.rows:
        return rows(sort.alone, index)
    return sort.alone._replace(
        **{name: rows(part, index) for name, part in sort.alone._asdict().items() if len(part.targets)}
    )


def memory(model: GPT, optimizer: OptimizerConfig, activations: int = 0, micro_batches: int = 1) -> Memory:
    """The parts of a step's memory. activations: of :func:`activation_bytes`."""
    weights = sum(_bytes(p) for p in model.parameters())
    return Memory(weights, weights, optimizer_bytes(model, optimizer), activations, micro_batches)
