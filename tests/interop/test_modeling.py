"""Proves: the class of transformers gives the logits and hidden states of the house's model, for every valid combination
of options; a model that is not the same gives others."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mothello.errors import UserError
from mothello.model.config import Activation, ModelConfig, Norm
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.separate import SeparateConfig
from mothello.model.transformer import GPT

pytest.importorskip("transformers")

from mothello.interop.to_gpt2 import as_gpt2
from mothello.interop.to_transformers import as_transformers

VOCABULARY, POSITIONS, SPECIAL = 13, 9, 1
NAMES = ["one", "two"]
SEPARATE = [
    SeparateConfig(tokens=tokens, positions=positions, head=head, blocks=blocks)
    for tokens, positions, head, blocks in product((False, True), (False, True), (False, True), (0, 1))
]
AXES: dict[str, list[Any]] = {
    "norm": list(Norm),
    "activation": list(Activation),
    "bias": [True, False],
    "qk_norm": [False, True],
    "tied": [False, True],
    "language_ids": [False, True],
    "mask": list(AttentionMask),
    "separate": SEPARATE,
    "unified": [False, True],
}


def made(seed: int, unified: bool = False, languages: int = 2, **options: Any) -> GPT:
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, **options)
    output = 7 if unified else VOCABULARY
    model = GPT(config, VOCABULARY, POSITIONS, output, languages, SPECIAL).initialize(seed).eval()
    with torch.no_grad():  # no weight at its trivial start
        draw = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))
    return model


def inputs(seed: int) -> Inputs:
    """Rows of both languages; padding at the end of one."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, VOCABULARY + SPECIAL, (4, POSITIONS), generator=draw)
    tokens[1, 6:] = 0
    return Inputs(tokens, language=torch.tensor([0, 1, 1, 0]))


def combinations() -> Iterator[dict[str, Any]]:
    """Every valid one."""
    for values in product(*AXES.values()):
        options = dict(zip(AXES, values, strict=True))
        try:
            made(0, **options)
        except UserError:
            continue
        yield options


def check(options: dict[str, Any], seed: int) -> float:
    """The largest difference of logits and hidden states."""
    model, row = made(seed, **options), inputs(seed)
    theirs = as_transformers(model, NAMES)
    with torch.no_grad():
        ours = model(row, hidden=True)
        got = theirs(row.tokens, language=row.language, output_hidden_states=True)
    assert ours.hidden is not None
    assert got.logits.shape == ours.logits.shape
    assert len(got.hidden_states) == len(ours.hidden)
    both = ((got.logits, ours.logits), (torch.stack(got.hidden_states), ours.hidden))
    return max(float((a - b).abs().max()) for a, b in both)


def each_option() -> Iterator[dict[str, Any]]:
    """The defaults with one or two options changed."""
    axes = AXES | {"separate": SEPARATE[1:2] + SEPARATE[-1:]}
    plain = {name: values[0] for name, values in AXES.items()}
    changed = [{name: value} for name, values in axes.items() for value in values if value != plain[name]]
    for one, other in product(changed, changed):
        options = plain | one | other
        try:
            made(0, **options)
        except UserError:
            continue
        yield options


def test_options_one_by_one_and_in_pairs() -> None:
    each = {str(options): options for options in each_option()}
    assert len(each) > 40
    assert max(check(options, seed) for seed, options in enumerate(each.values())) < 1e-5


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_every_valid_combination(seed: int) -> None:
    differences = [check(options, seed) for options in combinations()]
    assert len(differences) > 1000
    print(f"{len(differences)} combinations, largest difference {max(differences):.1e}")
    assert max(differences) < 1e-5


SAVED: list[dict[str, Any]] = [
    {"norm": Norm.rms, "qk_norm": True, "bias": False, "unified": True},
    {"tied": True},
    {"tied": True, "separate": SeparateConfig(tokens=True, positions=True, head=True, blocks=1)},
    {"tied": True, "language_ids": True, "mask": AttentionMask.full},
]


@pytest.mark.parametrize("options", SAVED, ids=str)
def test_what_is_saved_is_loaded(tmp_path: Path, options: dict[str, Any]) -> None:
    row, first = inputs(0), as_transformers(made(0, **options), NAMES)
    first.save_pretrained(tmp_path)
    again = type(first).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        one, other = (model(row.tokens, language=row.language).logits for model in (first, again))
    assert torch.equal(one, other)
    tied = options.get("tied", False)
    heads = [name for name in load_file(tmp_path / "model.safetensors") if name.startswith("head")]
    assert bool(heads) is not tied


def test_another_model_would_be_found() -> None:
    model, row = made(0), inputs(0)
    theirs = as_transformers(model, NAMES)
    for name in ("q", "k", "v"):
        with torch.no_grad():
            getattr(theirs.model.blocks[1].attn, name).weight[0, 0] += 1
            got = theirs(row.tokens).logits - model(row).logits
            getattr(theirs.model.blocks[1].attn, name).weight[0, 0] -= 1
        assert float(got.abs().max()) > 1e-3


def test_masks_positions_and_mixed_languages() -> None:
    """What the inputs may say: a mask by query, other positions, a language per token."""
    model, row = made(1, language_ids=True), inputs(1)
    theirs = as_transformers(model, NAMES)
    draw = torch.Generator().manual_seed(2)
    mask = torch.rand(4, POSITIONS, POSITIONS, generator=draw) > 0.5
    mask |= torch.eye(POSITIONS, dtype=torch.bool)
    places, language = torch.arange(POSITIONS).flip(0), torch.randint(0, 2, (4, POSITIONS), generator=draw)
    row = Inputs(row.tokens, places.expand(4, -1), mask, language)
    got = theirs(row.tokens, mask, row.positions, language).logits
    torch.testing.assert_close(got, model(row).logits, atol=1e-5, rtol=0)


def test_padding_that_is_marked_changes_nothing_before_it() -> None:
    model, row = made(1), inputs(1)
    theirs, present = as_transformers(model, NAMES), (row.tokens != 0).long()
    got = theirs(row.tokens, present).logits
    torch.testing.assert_close(got[present.bool()], model(row).logits[present.bool()], atol=1e-5, rtol=0)


def test_loss_dropout_and_generation() -> None:
    model, row = made(2), inputs(2)
    theirs, labels = as_transformers(model, NAMES), inputs(2).tokens.clamp(max=VOCABULARY - 1)
    loss = theirs(row.tokens, labels=labels).loss
    logits = model(row).logits
    by_hand = [-logits[b, t].log_softmax(-1)[labels[b, t + 1]] for b in range(4) for t in range(POSITIONS - 1)]
    torch.testing.assert_close(loss, torch.stack(by_hand).mean())
    text = theirs.generate(row.tokens[:1, :3], max_new_tokens=4, do_sample=False, eos_token_id=None)
    for end in range(3, 7):
        assert text[0, end] == model(Inputs(text[:1, :end])).logits[0, -1].argmax()
    wet = as_transformers(made(2, dropout=0.5), NAMES)
    torch.testing.assert_close(wet(row.tokens).logits, logits, atol=1e-5, rtol=0)
    assert not torch.equal(wet.train()(row.tokens).logits, wet(row.tokens).logits)


def test_masked_loss_counts_every_place() -> None:
    model, row = made(2, mask=AttentionMask.full), inputs(2)
    theirs, labels = as_transformers(model, NAMES), torch.full((4, POSITIONS), -100)
    labels[0, 0], labels[1, 5] = 3, 4
    logits = model(row).logits
    by_hand = -(logits[0, 0].log_softmax(-1)[3] + logits[1, 5].log_softmax(-1)[4]) / 2
    torch.testing.assert_close(theirs(row.tokens, labels=labels).loss, by_hand)


def test_the_language_is_asked_for() -> None:
    for options in ({"language_ids": True}, {"separate": SeparateConfig(blocks=1)}):
        with pytest.raises(ValueError, match=r"^language: "):
            as_transformers(made(0, **options), NAMES)(inputs(0).tokens)


GPT2 = [{"activation": a, "bias": b, "tied": t} for a in Activation for b in (True, False) for t in (False, True)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", GPT2, ids=str)
def test_gpt2_gives_the_same(options: dict[str, Any], seed: int) -> None:
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, **options)
    model = GPT(config, VOCABULARY, POSITIONS, VOCABULARY).initialize(seed).eval()
    with torch.no_grad():
        draw = torch.Generator().manual_seed(seed)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=draw))
        tokens = inputs(seed).tokens.clamp(max=VOCABULARY - 1)
        ours = model(Inputs(tokens), hidden=True)
        got = as_gpt2(model)(tokens, output_hidden_states=True)
        assert ours.hidden is not None
        states = [*ours.hidden[:-1], model.norm(ours.hidden[-1])]
    torch.testing.assert_close(got.logits, ours.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.stack(got.hidden_states), torch.stack(states), atol=1e-5, rtol=0)


REFUSED = {
    "model.norm=rms": {"norm": Norm.rms},
    "model.qk_norm=true": {"qk_norm": True},
    "model.language_ids=true": {"language_ids": True},
    "model.separate.tokens": {"separate": SeparateConfig(tokens=True)},
    "model.separate.blocks": {"separate": SeparateConfig(blocks=1)},
    "the full attention of its objective": {"mask": AttentionMask.full},
    "languages.output=unified or special tokens": {"unified": True},
}


@pytest.mark.parametrize(("option", "options"), REFUSED.items(), ids=str)
def test_gpt2_refuses_by_name(option: str, options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^format: gpt2 cannot hold {option}; format=mothello can$"):
        as_gpt2(made(0, **options))
