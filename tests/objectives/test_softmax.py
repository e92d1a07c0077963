"""Proves: with the softmax over the spoken language's own tokens, the loss is that of a model that has no others (against
code that drops their logits), other languages' tokens get no gradient, the floor knows the language, and a setting
without effect is refused. Control: the softmax over all tokens does all of that otherwise."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from data.streams import stream_of
from data.test_floor import language_set
from torch import Tensor

from mothello.config import typed
from mothello.data.batch import IGNORE, LabeledBatch
from mothello.data.floor import floor
from mothello.data.oracle import play_oracle
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM
from mothello.objectives.cross_entropy import Softmax
from mothello.othello.board import Board
from mothello.stages.pretrain import Pretrain, TrainConfig

FOUR = Board.of(4)
OWN, ALL = (CausalLM(CausalLM.Config(softmax=which)) for which in (Softmax.language, Softmax.all))
KINDS: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*3"]},
    "anchors": {"kinds": ["atomic*2"], "count": 8, "placement": "any"},
    "words": {"kinds": ["split", "compositional", "atomic"], "count": 4, "placement": "any"},
}


def made(name: str) -> tuple[LanguageSet, GPT]:
    languages = language_set(**KINDS[name])
    return languages, build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), languages).initialize(0)


def batch_of(objective: CausalLM, languages: LanguageSet, games: int = 24) -> LabeledBatch:
    return objective.batch(stream_of(corpus(FOUR, 0, Split.train, games), languages, batch_size=games, seed=0), 0)


def dropped(model: GPT, batch: LabeledBatch, languages: LanguageSet) -> Tensor:
    """The loss, place by place, of the logits of the language's tokens alone."""
    total = torch.tensor(0.0)
    logits = model(Inputs.of(batch.text)).logits
    for game, language in enumerate(batch.text.language.tolist()):
        own = sorted({token for word in languages.languages[language].words for token in word})
        for place, target in enumerate(batch.targets[game].tolist()):
            if target != IGNORE:
                total = total + F.cross_entropy(logits[game, place, own], torch.tensor(own.index(target)))
    return total


@pytest.mark.parametrize("expected", [False, True])
@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_loss_is_that_of_the_languages_own_logits(name: str, expected: bool) -> None:
    languages, model = made(name)
    objective = CausalLM(
        typed({"softmax": "language", "targets": "expected" if expected else "sampled"}, CausalLM.Config)
    )
    batch = batch_of(objective, languages)
    loss = objective.loss(model, batch)
    if expected:
        assert batch.expected is not None
        own = languages.own_table[batch.text.language].unsqueeze(1)
        logits = model(Inputs.of(batch.text)).logits.masked_fill(~own, -1e9)
        slow = -(batch.expected * logits.log_softmax(-1)).sum()
        assert not (batch.expected * ~own).any()
    else:
        slow = dropped(model, batch, languages)
    torch.testing.assert_close(loss.sum, slow, rtol=1e-5, atol=1e-3)
    assert loss.sum < ALL.loss(model, batch_of(ALL, languages)).sum
    assert loss.count == (batch.targets != IGNORE).sum()


def test_the_tokens_of_other_languages_are_not_pushed_down() -> None:
    languages, model = made("atomic")
    moved = {}
    for name, objective in {"own": OWN, "all": ALL}.items():
        stream = stream_of(corpus(FOUR, 0, Split.train, 16), languages, batch_size=16, seed=0).speaking(0)
        model.zero_grad()
        objective.loss(model, objective.batch(stream, 0)).sum.backward()
        assert model.head.weight.grad is not None
        moved[name] = model.head.weight.grad[~languages.own_table[0]].abs().sum(1)
    assert (moved["own"] == 0).all()
    assert (moved["all"][1:] > 0).all()  # entry 0 is padding, which is in the softmax, too


def test_the_floor_knows_the_language() -> None:
    """Anchors hide the language of a game from the softmax over all tokens only."""
    languages, oracle = made("anchors")[0], play_oracle(FOUR)
    hidden, known = (floor(batch_of(objective, languages, 200), languages, oracle).nats for objective in (ALL, OWN))
    apart = language_set(kinds=["atomic*2"])
    alone = floor(batch_of(ALL, apart, 200), apart, oracle).nats
    assert known == pytest.approx(alone, abs=1e-6)
    assert hidden > known + 0.01


@pytest.mark.parametrize(
    ("languages", "line"),
    [
        ({"kinds": ["atomic*2"], "output": "unified"}, "has no effect with a unified output vocabulary"),
        ({"kinds": ["atomic"]}, "has no effect with one language"),
    ],
)
def test_a_softmax_that_is_so_anyway_is_refused(languages: dict[str, Any], line: str) -> None:
    config = {"languages": languages, "objective": {"name": "causal_lm", "softmax": "language"}}
    with pytest.raises(UserError, match=rf"^objective\.softmax: {line}; leave it out$"):
        Pretrain(typed(config, TrainConfig))
