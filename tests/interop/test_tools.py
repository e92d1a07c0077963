"""Proves, where these libraries are there: TransformerLens and nnsight read the states of a run, and edit them, as the house
does. Both are none of its extras (docs/interop.md)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, OutputVocabulary, build_languages
from mothello.model.build import build_model
from mothello.model.config import Activation, ModelConfig, Norm
from mothello.model.edited import Edited
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.separate import SeparateConfig
from mothello.othello.board import Board
from mothello.stages.run import Run

MODERN = {"norm": Norm.rms, "activation": Activation.relu2, "bias": False, "qk_norm": True}
OPTIONS: list[dict[str, Any]] = [{}, {"tied": True}, MODERN, {"mask": AttentionMask.full}, {"unified": True, **MODERN}]


def some_run(unified: bool = False, **options: Any) -> Run:
    """What the tools need of a run: two languages, a model, tokens that are no game."""
    output = OutputVocabulary.unified if unified else OutputVocabulary.own
    languages = build_languages(LanguagesConfig(kinds=["atomic*2"], output=output), Board.of(4))
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=32, **options), languages).initialize(0).eval()
    with torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=draw))
    return cast(Run, SimpleNamespace(model=model, language_set=languages, languages=languages.names))


TOKENS = torch.randint(1, 25, (3, 11), generator=torch.Generator().manual_seed(1))


def recorded(run: Run) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    sites: dict[str, torch.Tensor] = {}

    def keep(site: str, x: torch.Tensor) -> torch.Tensor:
        sites[site] = x
        return x

    return run.model(Inputs(TOKENS), edit=keep).logits, sites


LENS = {
    "resid_pre": "hook_resid_pre", "resid_mid": "hook_resid_mid", "resid_post": "hook_resid_post",
    "pattern": "attn.hook_pattern", "mlp": "mlp.hook_post",
}  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_transformerlens(options: dict[str, Any]) -> None:
    pytest.importorskip("transformer_lens")
    from mothello.interop.lens import lens

    run = some_run(**options)
    bridge = lens(run)
    with torch.no_grad():
        ours, sites = recorded(run)
        logits, cache = bridge.run_with_cache(TOKENS)
        torch.testing.assert_close(logits, ours, atol=1e-5, rtol=0)
        for block in range(2):
            for site, name in LENS.items():
                theirs = cache[f"blocks.{block}.{name}"]
                torch.testing.assert_close(theirs, sites[f"blocks.{block}.{site}"], atol=1e-5, rtol=0)
        hook = ("blocks.0.hook_resid_post", lambda x, hook: x.flip(-1))
        edited = Edited(run.model, lambda site, x: x.flip(-1) if site == "blocks.0.resid_post" else x)
        changed = edited(Inputs(TOKENS)).logits
        assert float((changed - ours).abs().max()) > 0.1
        torch.testing.assert_close(bridge.run_with_hooks(TOKENS, fwd_hooks=[hook]), changed, atol=1e-5, rtol=0)
    assert bridge.to_string(TOKENS[0]).split() == [bridge.to_string(x.view(1)) for x in TOKENS[0]]


@pytest.mark.parametrize(
    ("option", "options"),
    [("model.separate", {"separate": SeparateConfig(blocks=1)}), ("model.language_ids", {"language_ids": True})],
)
def test_transformerlens_has_no_languages(option: str, options: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    from mothello.interop.lens import lens

    with pytest.raises(UserError, match=f"^{option}: TransformerLens reads tokens alone"):
        lens(some_run(**options))


def test_nnsight() -> None:
    nnsight = pytest.importorskip("nnsight")
    run = some_run(**MODERN)
    ours, sites = recorded(run)
    model = nnsight.NNsight(run.model)
    with model.trace(Inputs(TOKENS)):
        state = model.blocks[0].output.save()
        logits = model.head.output.save()
    torch.testing.assert_close(state, sites["blocks.0.resid_post"])
    torch.testing.assert_close(logits, ours)
    with model.trace(Inputs(TOKENS)):
        model.blocks[0].output[:] = model.blocks[0].output.flip(-1)
        logits = model.head.output.save()
    edited = Edited(run.model, lambda site, x: x.flip(-1) if site == "blocks.0.resid_post" else x)
    torch.testing.assert_close(logits, edited(Inputs(TOKENS)).logits)
