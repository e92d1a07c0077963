"""Proves: the published training, reimplemented in tests/reference, is our training in other words. From the same
weights it gives the same logits, loss and loss curve, so that a comparison of speeds compares equal work. Negative
controls: a model of another architecture is refused, and other settings of the optimizer give another curve.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from games import random_games
from torch import Tensor
from training.loops import mean_loss

from benchmarks.reference import published
from mothello.cli.compose import composed
from mothello.data.batch import IGNORE, LabeledBatch, make_batch
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.model.build import build_model
from mothello.model.config import Init
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM, label
from mothello.othello.board import Board
from mothello.stages.pretrain import TrainConfig
from mothello.training.device import Precision
from mothello.training.loop import train
from mothello.training.plan import Plan

STEPS, BATCH = 20, 8
RECIPE = composed("train", TrainConfig, ["optimizer=published"]).optimizer


class Corpus:
    """Games in two forms, and the language of each, in the order of training."""

    def __init__(self, kinds: list[str], n: int = STEPS * BATCH) -> None:
        self.language_set: LanguageSet = build_languages(LanguagesConfig(kinds=kinds), Board.of(4))
        self.moves = random_games(0, torch.arange(n), Board.of(4))
        self.language = torch.randint(len(kinds), (n,), generator=torch.Generator().manual_seed(1))
        self.games = [[move for move in game if move >= 0] for game in self.moves.tolist()]
        self.words = published.words_of(self.language_set)

    def batch(self, step: int) -> LabeledBatch:
        here = slice(step * BATCH, (step + 1) * BATCH)
        return label(make_batch(self.moves[here], self.language[here], self.language_set), self.language_set)

    def config(self, **more: float) -> published.PublishedConfig:
        sizes = {"vocabulary_size": self.language_set.vocabulary_size, "n_positions": self.language_set.max_tokens}
        settings = {"batch_size": BATCH, "dropout": 0.0} | sizes | more
        return published.PublishedConfig(**settings)  # type: ignore[arg-type]


def model_for(corpus: Corpus, **more: object) -> GPT:
    """Weights far enough from zero that attention is not uniform and gradients are clipped."""
    sizes = {"n_layer": 2, "n_head": 2, "d_model": 16}
    model = build_model(ModelConfig(**(sizes | more)), corpus.language_set).initialize(0)  # type: ignore[arg-type]
    draw = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.3)
    return model


@pytest.fixture
def pair() -> Corpus:
    return Corpus(["atomic", "atomic"])


@pytest.mark.parametrize("kinds", [["atomic", "atomic"], ["atomic", "split", "compositional"]])
def test_python_encodes_as_the_family_does(kinds: list[str]) -> None:
    corpus = Corpus(kinds)
    rows = published.GameDataset(corpus.games, corpus.words, 0, corpus.language.tolist())
    tokens, targets = (torch.stack(rows_of) for rows_of in zip(*(rows[i] for i in range(len(rows))), strict=True))
    ours, targets_of_ours, *_ = label(
        make_batch(corpus.moves, corpus.language, corpus.language_set), corpus.language_set
    )
    assert torch.equal(tokens, ours.tokens[:, :-1])
    assert torch.equal(torch.where(targets == 0, IGNORE, targets), targets_of_ours[:, :-1])
    for game, language, row in zip(corpus.games, corpus.language.tolist(), ours.tokens.tolist(), strict=True):
        assert published.encode(game, corpus.words[language]) == [token for token in row if token]


def test_a_language_is_drawn_at_every_visit(pair: Corpus) -> None:
    rows = published.GameDataset(pair.games, pair.words, 0)
    spoken = torch.tensor(
        [[int(rows[i][0][0]) in pair.language_set.languages[1].ids for i in range(160)] for _ in range(6)]
    )
    assert 0.42 < spoken.float().mean() < 0.58  # 960 draws: five standard deviations
    assert len({tuple(visit) for visit in spoken.tolist()}) == 6


def test_logits_and_loss_are_ours(pair: Corpus) -> None:
    ours, batch = model_for(pair).eval(), pair.batch(0)
    theirs = published.load_from(ours).eval()
    x = batch.text.tokens[:, :-1]
    y = batch.targets[:, :-1]
    with torch.no_grad():
        logits, loss = theirs(x, torch.where(y == IGNORE, 0, y))
        torch.testing.assert_close(logits, ours(Inputs(x)).logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(loss, mean_loss(ours, batch), atol=1e-5, rtol=1e-5)
        swapped = published.load_from(ours).eval()
        for module in swapped.modules():
            if isinstance(module, published.CausalSelfAttention):
                module.query, module.value = module.value, module.query
        assert (swapped(x)[0] - logits).abs().max() > 0.01


def test_the_sizes_and_parameters_are_those_of_the_published_model() -> None:
    language_set = build_languages(LanguagesConfig(kinds=["atomic*2"]), Board.of(8))
    config = published.PublishedConfig(
        vocabulary_size=language_set.vocabulary_size, n_positions=language_set.max_tokens
    )
    with torch.device("meta"):
        theirs = published.PublishedGPT(config)
        ours = build_model(ModelConfig(n_layer=8, n_head=8, d_model=512, dropout=0.1), language_set)
    assert sum(p.numel() for p in theirs.parameters()) == ours.n_parameters == pytest.approx(25e6, rel=0.02)


@pytest.mark.parametrize("option", [{"tied": True}, {"norm": "rms"}, {"activation": "relu2"}, {"bias": False}])
def test_another_architecture_is_refused(option: dict[str, object], pair: Corpus) -> None:
    with pytest.raises(ValueError, match=f"model.{next(iter(option))}"):
        published.load_from(model_for(pair, **option))


def our_curve(corpus: Corpus, model: GPT, folder: Path) -> Tensor:
    losses: list[float] = []

    def log(_: int, values: Mapping[str, float]) -> None:
        losses.append(values["train/loss"])

    plan = Plan(
        steps=STEPS, objective=CausalLM(), optimizer=RECIPE, precision=Precision.fp32, seed=0, folder=folder, log=log,
        log_every=1, checkpoint_every=0,
    )  # fmt: skip
    train(model, corpus.batch, plan)
    return torch.tensor(losses)


def their_curve(corpus: Corpus, model: GPT, **more: float) -> tuple[Tensor, published.PublishedGPT]:
    theirs = published.load_from(model)
    config = corpus.config(**more)
    records = published.train_steps(
        corpus.games, corpus.words, config, STEPS, theirs, spoken=corpus.language.tolist(), shuffle=False
    )
    assert [record.tokens for record in records] == [int((corpus.batch(s).targets >= 0).sum()) for s in range(STEPS)]
    return torch.tensor([record.loss for record in records]), theirs


def test_twenty_steps_give_our_losses_and_weights(pair: Corpus, tmp_path: Path) -> None:
    start = model_for(pair)
    theirs, trained = their_curve(pair, start)
    ours = our_curve(pair, start, tmp_path)
    torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=0)
    torch.testing.assert_close(trained.head.weight, start.head.weight, atol=1e-5, rtol=0)
    torch.testing.assert_close(trained.tok_emb.weight, start.token_embedding.weight, atol=1e-5, rtol=0)
    assert ours[-1] < ours[0] - 0.05


@pytest.mark.parametrize(
    "change",
    [{"lr": 4e-4}, {"max_grad_norm": 1e9}, {"warmup_fraction": 0.1}, {"final_lr_fraction": 1.0}, {"weight_decay": 1}],
)
def test_other_settings_give_another_curve(change: dict[str, float], pair: Corpus) -> None:
    start = model_for(pair)
    curve, other = (their_curve(pair, start, **more)[0] for more in ({}, change))
    assert (curve - other).abs().max() > 5e-4
    assert replace(pair.config(), **change) != pair.config()  # type: ignore[arg-type]


def test_weights_are_drawn_as_the_published_ones_are(pair: Corpus) -> None:
    config = ModelConfig(n_layer=2, n_head=2, d_model=64, init=Init.mingpt)
    ours = build_model(config, pair.language_set).initialize(0)
    fresh = published.PublishedGPT(pair.config(n_layer=2, n_head=2, d_model=64))
    drawn = dict(published.load_from(ours).named_parameters())
    assert drawn.keys() == dict(fresh.named_parameters()).keys()
    for name, parameter in fresh.named_parameters():
        torch.testing.assert_close(drawn[name].mean(), parameter.mean(), atol=2e-3, rtol=0)
        torch.testing.assert_close(drawn[name].std(), parameter.std(), atol=2e-3, rtol=0)
    scaled = build_model(replace(config, init=Init.gpt2), pair.language_set).initialize(0)
    assert scaled.blocks[0].down.weight.std() < 0.6 * ours.blocks[0].down.weight.std()


def test_order_and_dropout_follow_the_seed(pair: Corpus) -> None:
    small = {"n_layer": 1, "n_head": 2, "d_model": 16, "dropout": 0.1}
    losses = [
        [r.loss for r in published.train_steps(pair.games, pair.words, pair.config(**small, seed=seed), 25)]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(ValueError, match="less than a batch"):
        published.train_steps(pair.games[: BATCH - 1], pair.words, pair.config(**small), 1)


def test_the_summary_adds_up(pair: Corpus) -> None:
    record = published.Record(loss=1.0, tokens=30, data=0.1, forward=0.2, backward=0.3, optimizer=0.4)
    numbers = published.summary([record._replace(data=99.0), record, record], skip=1)
    assert numbers == pytest.approx(
        {"tokens_per_s": 30.0, "data": 0.1, "forward": 0.2, "backward": 0.3, "optimizer": 0.4}
    )
