"""Proves: the GPT equals an independent implementation (torch.nn.TransformerEncoder) with the same weights; it is causal;
the kernels agree; hidden states are the residual stream; initialisation depends on its seed alone."""

import math

import pytest
import torch
from torch import nn

from mothello.model.edited import Edited
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.layers import HEAD_MULTIPLE, RMS_EPS, Head, build_norm
from mothello.model.transformer import (
    GPT,
    SITES,
    Activation,
    Attention,
    ModelConfig,
    Norm,
    dropout,
    on_residual,
    residual_site,
)

CONFIG = ModelConfig(n_layer=3, n_head=4, d_model=32)


def gpt(config: ModelConfig = CONFIG, seed: int = 0, vocabulary: int = 20, output: int = 20) -> GPT:
    model = GPT(config, vocabulary, 16, output).initialize(seed).eval()
    with torch.no_grad():  # norms and biases away from their trivial start
        draw = torch.Generator().manual_seed(1)
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model


def reference(model: GPT) -> nn.TransformerEncoder:
    """torch's own pre-LN encoder with the same weights."""
    c = model.config
    layer = nn.TransformerEncoderLayer(
        c.d_model, c.n_head, 4 * c.d_model, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    encoder = nn.TransformerEncoder(layer, c.n_layer, norm=nn.LayerNorm(c.d_model), enable_nested_tensor=False).eval()
    with torch.no_grad():
        for theirs, ours in zip(encoder.layers, model.blocks, strict=True):
            pairs = [
                (theirs.self_attn.in_proj_weight, ours.qkv.weight), (theirs.self_attn.in_proj_bias, ours.qkv.bias),
                (theirs.self_attn.out_proj.weight, ours.out.weight), (theirs.self_attn.out_proj.bias, ours.out.bias),
                (theirs.linear1.weight, ours.up.weight), (theirs.linear1.bias, ours.up.bias),
                (theirs.linear2.weight, ours.down.weight), (theirs.linear2.bias, ours.down.bias),
                (theirs.norm1.weight, ours.norm_1.weight), (theirs.norm1.bias, ours.norm_1.bias),
                (theirs.norm2.weight, ours.norm_2.weight), (theirs.norm2.bias, ours.norm_2.bias),
            ]  # fmt: skip
            for target, source in pairs:
                target.copy_(source)
        encoder.norm.weight.copy_(model.norm.weight)
        encoder.norm.bias.copy_(model.norm.bias)
    return encoder


def tokens(n: int = 3, t: int = 11) -> torch.Tensor:
    return torch.randint(1, 20, (n, t), generator=torch.Generator().manual_seed(0))


def test_equals_an_independent_implementation() -> None:
    model, x = gpt(), tokens()
    encoder = reference(model)
    embedded = model.token_embedding(x) + model.position_embedding.weight[: x.shape[1]]
    causal = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
    expected = encoder(embedded, mask=causal) @ model.head.weight.T
    torch.testing.assert_close(model(Inputs(x)).logits, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        model.blocks[1].down.weight[0, 0] += 1
    assert not torch.allclose(model(Inputs(x)).logits, expected, rtol=1e-4, atol=1e-5)


def test_kernels_agree_forward_and_backward() -> None:
    x, results = tokens(), []
    for kernel in (Attention.explicit, Attention.fused):
        model = gpt(ModelConfig(n_layer=3, n_head=4, d_model=32, attention=kernel))
        logits = model(Inputs(x)).logits
        logits.square().sum().backward()
        results.append((logits.detach(), model.blocks[0].qkv.weight.grad))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_future_is_not_seen() -> None:
    model, x = gpt(), tokens()
    changed = x.clone()
    changed[:, 6:] = 1
    assert torch.equal(model(Inputs(x)).logits[:, :6], model(Inputs(changed)).logits[:, :6])
    assert not torch.allclose(model(Inputs(x)).logits[:, 6:], model(Inputs(changed)).logits[:, 6:])


def test_hidden_states_are_the_residual_stream() -> None:
    model, x = gpt(), tokens()
    plain, full = model(Inputs(x)), model(Inputs(x), hidden=True)
    assert plain.hidden is None
    assert full.hidden.shape == (4, 3, 11, 32)
    torch.testing.assert_close(full.hidden[0], model.token_embedding(x) + model.position_embedding.weight[:11])
    torch.testing.assert_close(model.head(model.norm(full.hidden[-1])), full.logits)
    torch.testing.assert_close(model.blocks[1](full.hidden[1], None), full.hidden[2])
    assert torch.equal(plain.logits, full.logits)


def test_explicit_positions_and_mask_equal_the_default() -> None:
    model, x = gpt(), tokens()
    mask = torch.ones(3, 11, 11, dtype=torch.bool).tril()
    given = model(Inputs(x, torch.arange(11).expand(3, 11), mask)).logits
    torch.testing.assert_close(given, model(Inputs(x)).logits)


def test_initialisation_is_gpt2s_and_depends_on_the_seed_alone() -> None:
    config = ModelConfig(n_layer=4, n_head=4, d_model=128)
    one, other = GPT(config, 65, 31, 65).initialize(0), GPT(config, 500, 90, 32).initialize(0)
    torch.manual_seed(3)
    again, different = GPT(config, 65, 31, 65).initialize(0), GPT(config, 65, 31, 65).initialize(1)
    for name, parameter in one.blocks.named_parameters():
        assert torch.equal(parameter, dict(other.blocks.named_parameters())[name])
        assert torch.equal(parameter, dict(again.blocks.named_parameters())[name])
        if parameter.ndim == 2:
            assert not torch.equal(parameter, dict(different.blocks.named_parameters())[name])
    assert float(one.blocks[0].up.weight.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(one.blocks[0].down.weight.detach().std()) == pytest.approx(0.02 / math.sqrt(8), rel=0.03)


def test_dropout_acts_in_training_only() -> None:
    model, x = gpt(ModelConfig(n_layer=2, n_head=2, d_model=32, dropout=0.5)), tokens()
    assert torch.equal(model(Inputs(x)).logits, model(Inputs(x)).logits)
    model.train()
    assert not torch.equal(model(Inputs(x)).logits, model(Inputs(x)).logits)


def test_heads_and_sizes() -> None:
    tied = gpt(ModelConfig(n_layer=1, n_head=2, d_model=32, tied=True))
    assert tied.head.weight is tied.token_embedding.weight
    assert gpt(output=60)(Inputs(tokens())).logits.shape == (3, 11, 60)
    paper = GPT(ModelConfig(n_layer=8, n_head=8, d_model=512), 121, 60, 121)
    assert paper.n_parameters == pytest.approx(25.3e6, rel=0.01)
    with pytest.raises(ValueError, match="tied"):
        GPT(ModelConfig(tied=True), 20, 16, 60)


def test_a_padded_head_is_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(2, 5, 8, generator=draw), torch.randn(21, 8, generator=draw)
    results = []
    for multiple in (1, 16, 7):
        monkeypatch.setitem(HEAD_MULTIPLE, "cpu", multiple)
        a, head = x.clone().requires_grad_(), Head(8, 21)
        head.weight.data = weight.clone()
        out = head(a)
        out.logsumexp(-1).sum().backward()
        results.append((out.detach(), a.grad, head.weight.grad))
    torch.testing.assert_close(results[0][0], x @ weight.T)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            torch.testing.assert_close(one, two)


def test_the_plain_block() -> None:
    """Root mean square norms, squared ReLU, normed queries and keys, no biases: against the formulas, written out."""
    config = ModelConfig(
        n_layer=1, n_head=2, d_model=8, norm=Norm.rms, activation=Activation.relu2, bias=False, qk_norm=True
    )
    block = gpt(config).blocks[0]
    assert not [name for name, _ in block.named_parameters() if name.endswith("bias")]
    x = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(2))

    def unit(v: torch.Tensor) -> torch.Tensor:
        return v / (v.square().mean(-1, keepdim=True) + RMS_EPS).sqrt()

    q, k, v = (block.qkv.weight @ (unit(x[0]) * block.norm_1.weight).T).T.split(8, -1)
    parts = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = unit(q[:, head]) @ unit(k[:, head]).T / 2
        scores = scores + torch.full((5, 5), -torch.inf).triu(1)
        parts.append(scores.softmax(-1) @ v[:, head])
    y = x[0] + torch.cat(parts, -1) @ block.out.weight.T
    up = (unit(y) * block.norm_2.weight) @ block.up.weight.T
    expected = y + (up.clamp(min=0) ** 2) @ block.down.weight.T
    torch.testing.assert_close(block(x, None)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_zero_start_predicts_evenly_and_learns() -> None:
    model = GPT(ModelConfig(n_layer=2, n_head=2, d_model=32, zero_init=True), 20, 16, 20).initialize(0)
    assert float(model(Inputs(tokens())).logits.detach().abs().max()) == 0
    model(Inputs(tokens())).logits[..., 3].mean().backward()
    assert float(model.head.weight.grad.abs().max()) > 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_its_share_evenly_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    y = dropout(torch.ones(1000, 403), p, True)  # not a multiple of four
    dropped, n = (y == 0).float(), y.numel()
    assert float(dropped.mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5 + 1 / 32768)
    for lane in range(4):  # four values share 64 bits
        mine = dropped.flatten()[lane::4]
        assert float(mine.mean()) == pytest.approx(p, abs=5 * (p * (1 - p) / len(mine)) ** 0.5 + 1 / 32768)
    assert y.unique().tolist() == pytest.approx([0, 1 / (1 - p)], rel=1e-3)
    pairs = torch.corrcoef(dropped.flatten()[: n // 4 * 4].view(-1, 4).T)
    assert float((pairs - torch.eye(4)).abs().max()) < 5 / (n / 4) ** 0.5


def test_dropout_is_the_identity_without_a_share_or_outside_of_training() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(dropout(x, 0.0, True), x)
    assert torch.equal(dropout(x, 0.9, False), x)
    assert float(dropout(x, 0.999999, True).abs().max()) < float("inf")


def test_dropout_depends_on_the_seed_and_its_gradient_on_the_mask() -> None:
    x = torch.ones(64, 64, requires_grad=True)
    torch.manual_seed(1)
    one, next_one = dropout(x, 0.3, True), dropout(x, 0.3, True)
    torch.manual_seed(1)
    again = dropout(x, 0.3, True)
    assert torch.equal(one, again)
    assert not torch.equal(one, next_one)
    one.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, one)


def test_compiled_dropout_draws_what_eager_draws() -> None:
    """Each place its own mask (none is taken for a common subexpression), kept for the way back."""

    def twice(x: torch.Tensor) -> torch.Tensor:
        return torch.stack([dropout(x, 0.3, True), dropout(x, 0.3, True)])

    x = torch.ones(16, 20, requires_grad=True)
    torch.manual_seed(1)
    eager = twice(x)
    torch.manual_seed(1)
    compiled = torch.compile(twice, fullgraph=True, dynamic=False)(x)
    assert torch.equal(eager, compiled)
    assert not torch.equal(compiled[0], compiled[1])
    compiled.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, compiled.sum(0))


def test_every_site_is_seen_once_in_order_and_an_edit_is_used() -> None:
    torch.manual_seed(0)
    model = GPT(ModelConfig(n_layer=2, n_head=2, d_model=32), 12, 11, 12).initialize(0).eval()
    inputs, seen = Inputs(torch.randint(1, 12, (3, 11))), {}

    def record(site: str, x: torch.Tensor) -> torch.Tensor:
        assert site not in seen
        seen[site] = x
        return x

    recorded = model(inputs, hidden=True, edit=record)
    plain = model(inputs, hidden=True)
    assert list(seen) == ["embedding", *(f"blocks.{i}.{site}" for i in range(2) for site in SITES)]
    torch.testing.assert_close(recorded.logits, plain.logits)
    for layer in range(3):
        torch.testing.assert_close(seen[residual_site(layer)], plain.hidden[layer])
    assert seen["blocks.0.pattern"].shape == (3, 2, 11, 11)
    torch.testing.assert_close(seen["blocks.0.pattern"].sum(-1), torch.ones(3, 2, 11))
    assert seen["blocks.1.heads"].shape == (3, 11, 2, 16)
    assert seen["blocks.1.mlp"].shape == (3, 11, 128)

    def silence(site: str, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x) if site in ("blocks.1.heads", "blocks.1.mlp") else x

    silent = Edited(model, silence)(inputs, hidden=True).hidden
    bias = model.blocks[1].out.bias + model.blocks[1].down.bias
    torch.testing.assert_close(silent[2], plain.hidden[1] + bias)


def test_an_edited_model_is_a_model_and_edits_add_up() -> None:
    model = GPT(ModelConfig(n_layer=2, n_head=2, d_model=32), 12, 11, 12).initialize(0).eval()
    inputs = Inputs(torch.randint(1, 12, (3, 11)))
    once = on_residual(lambda layer, x: x + (layer == 1))
    assert torch.equal(Edited(model, on_residual(lambda _, x: x))(inputs).logits, model(inputs).logits)
    twice = on_residual(lambda layer, x: x + 2 * (layer == 1))
    found = Edited(Edited(model, once), once)(inputs, hidden=True)
    torch.testing.assert_close(found.hidden[1], model(inputs, hidden=True, edit=twice).hidden[1])
    torch.testing.assert_close(found.hidden, Edited(model, once)(inputs, hidden=True, edit=once).hidden)


def test_hooks_on_the_head_fire() -> None:
    model, seen = gpt(), []
    model.head.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(Inputs(tokens())).logits
    assert len(seen) == 1
    assert torch.equal(seen[0], logits)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_norm_does_not_depend_on_the_dtype(dtype: torch.dtype) -> None:
    x = (1e-4 * torch.randn(5, 64, generator=torch.Generator().manual_seed(0))).bfloat16()
    norm = build_norm(ModelConfig(norm=Norm.rms, d_model=64, n_head=4))
    torch.testing.assert_close(norm.to(dtype)(x.to(dtype)).float(), norm.float()(x.float()), rtol=0.01, atol=0.01)
    default = torch.nn.RMSNorm(64)  # control: torch's default epsilon is the dtype's, where it computes in it
    assert not torch.allclose(default.double()(x.double()).float(), default.float()(x.float()), rtol=0.01, atol=0.01)


def test_queries_and_keys_are_normed_alike_in_every_dtype() -> None:
    config = ModelConfig(n_layer=1, n_head=2, d_model=32, qk_norm=True)
    block = gpt(config).blocks[0]
    with torch.no_grad():
        block.qkv.weight.mul_(0.02)  # small queries and keys: only their direction counts
        block.qkv.bias.zero_()
    seen: list[torch.Tensor] = []

    def record(site: str, x: torch.Tensor) -> torch.Tensor:
        if site == "pattern":
            seen.append(x.detach().float())
        return x

    x = torch.randn(2, 7, 32, generator=torch.Generator().manual_seed(1))
    block(x, None, record)
    with torch.autocast("cpu", torch.bfloat16):
        block(x, None, record)
    torch.testing.assert_close(seen[1], seen[0], rtol=0.05, atol=0.02)


FULL = ModelConfig(n_layer=2, n_head=2, d_model=32, mask=AttentionMask.full)


@pytest.mark.parametrize("kernel", [Attention.explicit, Attention.fused])
def test_full_attention_sees_everything_but_padding(kernel: Attention) -> None:
    model = gpt(ModelConfig(**vars(FULL) | {"attention": kernel}))
    x = tokens()
    x[0, 7:] = 0
    x[2] = 0  # a row without a single token
    logits = model(Inputs(x)).logits
    assert not logits.isnan().any()
    later = x.clone()
    later[1, 9] = 1 + x[1, 9] % 19
    assert (model(Inputs(later)).logits[1, :9] != logits[1, :9]).any()  # the future is seen
    alone = model(Inputs(x[:1, :7])).logits
    torch.testing.assert_close(alone, logits[:1, :7], rtol=1e-4, atol=1e-5)  # padding is not
    causal = gpt(ModelConfig(n_layer=2, n_head=2, d_model=32))
    assert not torch.allclose(causal(Inputs(x)).logits[:1, :7], logits[:1, :7], atol=1e-3)
    given = torch.ones(3, 11, 11, dtype=torch.bool).tril()
    torch.testing.assert_close(model(Inputs(x, mask=given)).logits, causal(Inputs(x)).logits, rtol=1e-4, atol=1e-5)
