"""Proves: with separate parts every row goes through its language's modules and the shared ones, however the rows are
told apart; a language's gradient leaves the others' parts alone; mistakes are told in one line."""

from typing import Any

import pytest
import torch
from torch import Tensor

from mothello.data.batch import Groups
from mothello.errors import UserError
from mothello.model.config import ModelConfig
from mothello.model.edited import Edited
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.separate import PerLanguage, SeparateConfig, frozen_names, own_parts
from mothello.model.transformer import GPT
from mothello.training.budget import parameters

ALL = {"tokens": True, "positions": True, "head": True, "blocks": 1}
LANGUAGE = torch.tensor([0, 0, 0, 1, 1])


def gpt(languages: int = 2, mask: AttentionMask = AttentionMask.causal, **separate: Any) -> GPT:
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, separate=SeparateConfig(**separate), mask=mask)
    return GPT(config, 12, 9, 12, languages).initialize(0).eval()


def tokens(rows: int = 5) -> Tensor:
    return torch.randint(1, 12, (rows, 9), generator=torch.Generator().manual_seed(1))


def shared(model: GPT, language: int) -> GPT:
    """The model of one language alone, with its own parts in the places of shared ones."""
    alone, state = gpt(1, model.config.mask), model.state_dict()
    for name, part in model.named_modules():
        if isinstance(part, PerLanguage):
            for key in [key for key in state if key.startswith(f"{name}.")]:
                index, rest = key.removeprefix(f"{name}.").split(".", 1)
                value = state.pop(key)
                if int(index) == language:
                    state[f"{name}.{rest}"] = value
    alone.load_state_dict(state)
    return alone


@pytest.mark.parametrize("separate", [{key: value} for key, value in ALL.items()] + [ALL, {"blocks": 2}])
@pytest.mark.parametrize("mask", AttentionMask)
def test_every_row_goes_through_the_parts_of_its_language(separate: dict[str, Any], mask: AttentionMask) -> None:
    model, x = gpt(mask=mask, **separate), tokens()
    alone = [shared(model, language)(Inputs(x), hidden=True) for language in range(2)]
    assert not torch.allclose(alone[0].logits, alone[1].logits), "the languages' own parts differ"
    expected = torch.stack([alone[int(language)].logits[row] for row, language in enumerate(LANGUAGE)])
    mixed = torch.tensor([1, 0, 1, 1, 0])
    for inputs, wanted in (
        (Inputs(x, language=LANGUAGE, groups=Groups((3, 2))), expected),
        (Inputs(x, language=LANGUAGE), expected),
        (Inputs(x, language=torch.ones(5, dtype=torch.int64)), alone[1].logits),
        (Inputs(x, language=mixed), torch.stack([alone[int(y)].logits[row] for row, y in enumerate(mixed)])),
    ):
        torch.testing.assert_close(model(inputs).logits, wanted)
    seen = torch.rand(5, 9, 9, generator=torch.Generator().manual_seed(2)) < 0.5
    seen |= torch.eye(9, dtype=torch.bool)  # a mask for every row goes to its row
    masked = torch.stack([shared(model, int(y))(Inputs(x, mask=seen)).logits[row] for row, y in enumerate(mixed)])
    torch.testing.assert_close(model(Inputs(x, mask=seen, language=mixed)).logits, masked)
    hidden = model(Inputs(x, language=LANGUAGE), hidden=True).hidden
    torch.testing.assert_close(hidden[:, :3], alone[0].hidden[:, :3])


def test_the_gradient_of_one_language_leaves_the_others_parts_alone() -> None:
    model, x = gpt(**ALL).train(), tokens()
    model(Inputs(x[:3], language=LANGUAGE[:3])).logits.square().sum().backward()
    for name, part in model.named_modules():
        if isinstance(part, PerLanguage):
            assert all(p.grad is None for p in part[1].parameters()), name
            assert all(p.grad is not None for p in part[0].parameters()), name
    assert model.blocks[1].qkv.weight.grad is not None


def test_what_is_shared_begins_as_without_separate_parts() -> None:
    own, plain = dict(gpt(**ALL).named_parameters()), dict(gpt(1).named_parameters())
    kept = set(own) & set(plain)
    assert {name.split(".")[0] for name in kept} == {"blocks", "norm"}
    assert all(torch.equal(own[name], plain[name]) for name in kept)
    assert not torch.equal(own["blocks.0.0.qkv.weight"], own["blocks.0.1.qkv.weight"])


def test_a_token_costs_what_it_costs_a_shared_model() -> None:
    one, two = (parameters(model) for model in (gpt(1), gpt(**ALL)))
    assert one.products == two.products
    assert two.total > one.total


def test_tied_matrices_are_tied_in_every_language() -> None:
    config = ModelConfig(n_layer=1, n_head=2, d_model=16, tied=True, separate=SeparateConfig(tokens=True, head=True))
    model = GPT(config, 12, 9, 12, 3)
    assert all(
        head.weight is table.weight
        for head, table in zip(*map(own_parts, (model.head, model.token_embedding)), strict=True)
    )
    assert len({id(head.weight) for head in model.head}) == 3


def test_an_edit_needs_rows_of_one_language() -> None:
    model, x = gpt(**ALL), tokens()
    edited = Edited(model, lambda site, value: value * 0 if site == "blocks.0.resid_post" else value)
    one = edited(Inputs(x, language=LANGUAGE * 0)).logits
    assert not torch.allclose(one, model(Inputs(x, language=LANGUAGE * 0)).logits)
    with pytest.raises(ValueError, match="rows of one language"):
        edited(Inputs(x, language=LANGUAGE))
    for language in (None, LANGUAGE.unsqueeze(1).expand(5, 9)):
        with pytest.raises(ValueError, match="language of every row"):
            model(Inputs(x, language=language))


def test_mistakes() -> None:
    for make, message in (
        (lambda: gpt(1, blocks=1), "model.separate: has no effect with a single language"),
        (lambda: gpt(blocks=3), "model.separate.blocks: 3 of 2 blocks"),
        (lambda: ModelConfig(tied=True, separate=SeparateConfig(head=True)), "model.tied: separate.tokens and"),
        (lambda: frozen_names(gpt(blocks=1), ["blokcs.*"]), "frozen: 'blokcs.\\*' fits no parameter; there are token"),
        (lambda: frozen_names(gpt(), ["separate"]), "frozen: 'separate' fits no parameter"),
        (lambda: frozen_names(gpt(), ["*"]), "frozen: nothing is left to train"),
    ):
        with pytest.raises(UserError, match=message):
            make()


def test_what_is_frozen() -> None:
    model = gpt(tokens=True, blocks=1)
    own = frozen_names(model, ["separate"])
    assert {name.rsplit(".", 2)[0] for name in own} >= {f"blocks.0.{i}" for i in range(2)}
    assert {name for name, _ in model.named_parameters()} - own == {
        name for name, _ in model.named_parameters() if name.startswith(("position", "blocks.1", "norm", "head"))
    }


def test_language_ids_are_added_to_every_token() -> None:
    """Per row or per token; without them the language changes nothing."""
    config = ModelConfig(n_layer=1, n_head=2, d_model=16, language_ids=True)
    model, x = GPT(config, 12, 9, 12, 2).initialize(0).eval(), tokens()
    plain = gpt()
    assert torch.equal(plain(Inputs(x)).logits, plain(Inputs(x, language=LANGUAGE)).logits)
    by_row, by_token = (model(Inputs(x, language=ids)).logits for ids in (LANGUAGE, LANGUAGE.unsqueeze(1).expand(5, 9)))
    torch.testing.assert_close(by_row, by_token)
    assert not torch.allclose(by_row[:3], model(Inputs(x, language=1 - LANGUAGE)).logits[:3])
    alone = GPT(ModelConfig(n_layer=1, n_head=2, d_model=16), 12, 9, 12, 2).initialize(0).eval()
    with torch.no_grad():
        alone.token_embedding.weight += model.language_embedding.weight[1]
    torch.testing.assert_close(alone(Inputs(x)).logits[3:], by_row[3:])
    with pytest.raises(UserError, match=r"model.language_ids: has no effect with a single language"):
        GPT(config, 12, 9, 12, 1)
