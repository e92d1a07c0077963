"""Proves: the loss is what a slow reading of its definition says, for strong and weak candidates, words with several
links, and games of different lengths; a case worked by hand; gradients stay finite where candidates are excluded, and
what is excluded has none; shuffling keeps which words have links; batches are parallel, take turns and depend on seed
and place alone; it is traced whole; realigning a model whose languages differ by a shift makes held-out words find
their translations among all words, and shuffled links do not; mistakes are one line."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import stream_of
from torch import Tensor
from training.loops import plan

from mothello.config import identity, plain, typed
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.activations import states
from mothello.measures.alignment.retrieval import among_both, cosines, own_row
from mothello.measures.positions import draw_positions
from mothello.model.build import build_model
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.combined import build_objective
from mothello.objectives.contrastive import Negatives, Projection, contrastive_loss
from mothello.objectives.objective import with_head
from mothello.objectives.pairs import PairsConfig
from mothello.objectives.realign import Realign, RealignConfig, layers_of, shuffled, states_of
from mothello.othello.board import Board
from mothello.seeding import generator
from mothello.stages.build import coverage_of
from mothello.stages.pretrain import Pretrain, TrainConfig
from mothello.training.device import Precision
from mothello.training.loop import train
from mothello.training.optimizer import OptimizerConfig

FOUR = Board.of(4)


def languages(*kinds: str, **more: Any) -> LanguageSet:
    return build_languages(typed({"kinds": list(kinds) or ["atomic*2"], **more}, LanguagesConfig), FOUR)


def realign(**settings: Any) -> Realign:
    return Realign(typed({"games": 0, **settings}, RealignConfig))


def stream(language_set: LanguageSet, games: int = 6, **more: Any) -> Stream:
    return stream_of(corpus(FOUR, 0, Split.train, 20 * games), language_set, batch_size=games, seed=5, **more)


def small(language_set: LanguageSet, objective: Realign | None = None, **shape: Any) -> GPT:
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=16, **shape), language_set).initialize(0)
    return with_head(objective, model, 0) if objective else model


def slow_loss(one: Tensor, other: Tensor, played: Tensor, links: Tensor, strong: bool, temperature: float) -> float:
    """Word by word."""
    words = [
        (side, game, ply, x[game, ply])
        for side, x in enumerate((one, other))
        for game in range(len(one)) for ply in range(one.shape[1]) if played[side, game, ply]
    ]  # fmt: skip

    def score(x: Tensor, y: Tensor) -> float:
        return float(x @ y / (x.norm() * y.norm())) / temperature

    total = 0.0
    for game, i, j in links.nonzero().tolist():
        for side, ply, partner in ((0, i, other[game, j]), (1, j, one[game, i])):
            own = (one, other)[side][game, ply]
            candidates = [x for s, g, p, x in words if (s, g, p) != (side, game, ply) and (strong or s != side)]
            total -= score(own, partner) - math.log(sum(math.exp(score(own, x)) for x in candidates))
    return total


def made(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States, which plies are played, and links, several of some words and none of others."""
    draw = generator(seed, "states")
    one, other = torch.randn(2, 3, 4, 5, generator=draw)
    lengths = torch.tensor([[4, 2, 3], [3, 4, 1]])
    played = torch.arange(4) < lengths.unsqueeze(2)
    links = (torch.rand(3, 4, 4, generator=draw) < 0.3) & played[0].unsqueeze(2) & played[1].unsqueeze(1)
    return one * played[0].unsqueeze(2), other * played[1].unsqueeze(2), played, links


@pytest.mark.parametrize("negatives", Negatives)
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_that_of_a_slow_reading(negatives: Negatives, seed: int) -> None:
    one, other, played, links = made(seed)
    loss = contrastive_loss(one, other, played, links, negatives, 0.3)
    wanted = slow_loss(one, other, played, links, negatives is Negatives.strong, 0.3)
    assert float(loss.sum) == pytest.approx(wanted, rel=1e-4)
    assert int(loss.count) == 2 * int(links.sum()) > 0


def test_a_case_worked_by_hand() -> None:
    """One game of two words a side; temperature 1. a, b point east and north, their partners as well: every cosine is 0
    or 1. A strong word has its partner (cosine 1) and two others (0) to be told from, a weak one a single other."""
    states = torch.tensor([[[2.0, 0.0], [0.0, 3.0]]])
    played, links = torch.ones(2, 1, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool).unsqueeze(0)
    for negatives, others in ((Negatives.strong, 2), (Negatives.weak, 1)):
        loss = contrastive_loss(states, 5 * states, played, links, negatives, 1.0)
        assert float(loss.sum) == pytest.approx(4 * math.log((math.e + others) / math.e), rel=1e-6)
        assert int(loss.count) == 4


@pytest.mark.parametrize("negatives", Negatives)
def test_gradients_are_finite_and_excluded_words_have_none(negatives: Negatives) -> None:
    one, other, played, links = made(0)
    one, other = one.requires_grad_(), other.requires_grad_()
    contrastive_loss(one, other, played, links, negatives, 0.1).sum.backward()
    for side, gradient in enumerate((one.grad, other.grad)):
        assert gradient is not None
        assert bool(gradient.isfinite().all())
        assert not bool(gradient[~played[side]].any())
        assert bool(gradient[played[side]].any(-1).all())  # also words without a link are candidates
    one, other = one.detach().requires_grad_(), other.detach().requires_grad_()
    nothing = contrastive_loss(one, other, played, torch.zeros_like(links), negatives, 0.1)
    nothing.mean(nothing.numbers()[1]).backward()
    assert one.grad is not None
    assert not bool(one.grad.any())
    assert float(nothing.sum.detach()) == int(nothing.count) == 0


def test_the_word_itself_is_no_candidate() -> None:
    """Its score is -inf: of score zero it would be a candidate as likely as an orthogonal word, which temperature 1 does
    not drown."""
    one, other, played, links = made(1)
    kept = contrastive_loss(one, other, played, links, Negatives.strong, 1.0).sum
    assert float(kept) == pytest.approx(slow_loss(one, other, played, links, True, 1.0), rel=1e-5)


def test_of_several_layers_it_is_the_mean_through_one_projection() -> None:
    language_set = languages("split", "atomic")
    each = [realign(layers=[layer]) for layer in ("0", "middle", "last")]
    together, batch = realign(layers=["0", "middle", "last"]), each[0].batch(stream(language_set), 3)
    model = small(language_set, together)
    losses = [objective.loss(model, batch) for objective in each]
    loss = together.loss(model, batch)
    torch.testing.assert_close(loss.sum, torch.stack([one.sum for one in losses]).mean())
    assert int(loss.count) == int(losses[0].count) == 2 * int((batch.one.moves >= 0).sum())
    model.eval()
    for text in (batch.one, batch.other):
        whole = states(model, text, Precision.fp32)
        for layer, x in enumerate(states_of(model, text, [0, 1, 2])):
            torch.testing.assert_close(x, whole[layer])


def test_the_projection_has_two_matrices_and_a_seed_of_its_own() -> None:
    head = Projection(16).initialize(3)
    assert {name: tuple(x.shape) for name, x in head.named_parameters()} == {
        "up.weight": (16, 16), "down.weight": (128, 16),
    }  # fmt: skip
    x = torch.randn(2, 16, generator=generator(0, "x"))
    torch.testing.assert_close(head(x), (x @ head.up.weight.T).clamp(min=0) @ head.down.weight.T)
    assert torch.equal(Projection(16).initialize(3).down.weight, head.down.weight)
    assert not torch.equal(Projection(16).initialize(4).down.weight, head.down.weight)


# Batches


def test_batches_are_the_first_games_of_a_step_in_two_languages() -> None:
    language_set = languages("atomic*3")
    source, objective = stream(language_set), realign(games=4)
    turns = []
    for step in range(6):
        batch = objective.batch(source, step)
        turns.append((int(batch.one.language[0]), int(batch.other.language[0])))
        for text, language in zip(batch[:2], turns[-1], strict=True):
            assert torch.equal(text.moves, source.batch(step).moves[:4])
            assert torch.equal(text.tokens, in_language(text.moves, language, language_set).tokens)
            assert text.groups is not None
            assert text.groups.sizes == tuple(4 * (i == language) for i in range(3))
        assert torch.equal(batch.links, torch.diag_embed(batch.one.moves >= 0))
        assert torch.equal(objective.batch(source.speaking(2), step).other.tokens, batch.other.tokens)
    assert turns == 2 * [(0, 1), (0, 2), (1, 2)]
    shares = [objective.batch(stream(language_set, share=(rank, 2)), 1).one.moves for rank in range(2)]
    assert torch.equal(torch.stack(shares, 1).flatten(0, 1), source.batch(1).moves[:4])


def test_pairs_and_layers_are_what_they_are_called() -> None:
    language_set = languages("atomic*4")
    assert len(PairsConfig().pairs(language_set)) == 6
    assert PairsConfig(pivot="atomic_2").pairs(language_set) == [(0, 2), (1, 2), (2, 3)]
    assert PairsConfig(languages=["atomic_3", "atomic_0", "atomic_1"], pivot="atomic_0").pairs(language_set) == [
        (3, 0), (0, 1),
    ]  # fmt: skip
    assert layers_of(["last", "penultimate", "middle", "0"], 4) == [4, 3, 2, 0]
    assert layers_of(["middle"], 3) == [2]


def test_the_dictionary_decides_which_words_are_linked() -> None:
    language_set = languages()
    aligner = {"name": "dictionary", "coverage": 0.5}
    batch = realign(aligner=aligner).batch(stream(language_set), 0)
    played = int((batch.one.moves >= 0).sum())
    assert 0 < int(batch.links.sum()) < played
    assert coverage_of(plain(config({"aligner": aligner}))) == 0.5
    model, objective = small(language_set, realign()), realign(aligner=aligner)
    assert int(objective.loss(model, batch).count) == 2 * int(batch.links.sum())


def test_shuffling_keeps_which_words_have_links() -> None:
    language_set, source = languages(), stream(languages(), 40)
    aligner = {"name": "dictionary", "coverage": 0.75}
    straight, other = (realign(aligner=aligner, shuffled=x).batch(source, 2).links for x in (False, True))
    for axis in (1, 2):
        assert torch.equal(straight.sum(axis), other.sum(axis))
    fixed, linked = int((straight & other).sum()), int(straight.sum())
    assert 0 < fixed < linked / 4  # about one word of each game stays
    assert torch.equal(realign(aligner=aligner, shuffled=True).batch(stream(language_set, 40), 2).links, other)
    assert not torch.equal(realign(aligner=aligner, shuffled=True).batch(source, 3).links, other)
    several = torch.tensor([[[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]], dtype=torch.bool)
    moved = shuffled(several, torch.tensor([[0.9, 0.5, 0.1, 0.3]]))
    assert moved.tolist() == [[[False, True, False, True], [True, False, False, False], [False] * 4]]


def test_it_is_traced_whole() -> None:
    language_set, objective = languages("split", "atomic"), realign(layers=["1", "2"])
    model = small(language_set, objective)
    batch = objective.batch(stream(language_set), 0)
    traced = torch.compile(objective.loss, backend="aot_eager", fullgraph=True, dynamic=False)(model, batch)
    torch.testing.assert_close(traced.sum, objective.loss(model, batch).sum)


def test_separate_parts_are_read_by_their_language() -> None:
    language_set = languages("split", "atomic")
    separate = {"tokens": True, "positions": True, "head": True, "blocks": 1}
    objective = realign()
    model = small(language_set, objective, separate=typed({"separate": separate}, ModelConfig).separate)
    loss = objective.loss(model, objective.batch(stream(language_set), 0))
    loss.mean(loss.numbers()[1]).backward()
    moved = {name for name, x in model.named_parameters() if x.grad is not None and bool(x.grad.any())}
    assert {
        "token_embedding.0.weight",
        "token_embedding.1.weight",
        "blocks.0.1.qkv.weight",
        "blocks.1.qkv.weight",
    } < moved


# Planted


def retrieved(model: GPT, language_set: LanguageSet) -> float:
    """Strong retrieval of held-out words at the last layer."""
    moves = corpus(FOUR, 0, Split.probe, 60).moves(torch.arange(60))
    pool = draw_positions(moves, 150, generator(0, "pool"))
    one, other = (
        states(model.eval(), in_language(moves, index, language_set))[-1][pool.game, pool.ply] for index in (0, 1)
    )
    model.train()
    nearest = among_both(cosines(one, other), cosines(one, one))
    return float(own_row(nearest).double().mean())


def shifted_copy(language_set: LanguageSet) -> GPT:
    """A model whose second language has the embeddings of the first, their coordinates shifted by one place."""
    model = small(language_set)
    words = language_set.word_table[:, : FOUR.n_moves, 0]
    with torch.no_grad():
        table = model.token_embedding.weight
        table.mul_(10)
        table[words[1]] = table[words[0]].roll(1, -1)
    return model


def test_realignment_undoes_a_shift_of_held_out_games_and_shuffled_links_do_not() -> None:
    language_set, found = languages(), {}
    for settings in ({}, {"shuffled": True}):
        objective, source = realign(**settings), stream(language_set, 8)
        model = with_head(objective, shifted_copy(language_set), 0)
        before = retrieved(model, language_set)
        steps = plan(None, 80, objective=objective, optimizer=OptimizerConfig(name="adamw", lr=1e-2, decay="constant"))  # type: ignore[arg-type]
        train(model, lambda step: objective.batch(source, step), steps)  # noqa: B023
        found[bool(settings)] = retrieved(model, language_set)
    assert before < 0.1
    assert found[False] > 0.8
    assert found[True] < 0.3


# Settings


def config(settings: dict[str, Any], **more: Any) -> TrainConfig:
    return typed({"auxiliary": {"realign": {"weight": 0.1, **settings}}, "board": {"size": 4}, **more}, TrainConfig)


def test_it_is_added_with_a_weight_and_only_what_differs_is_identity() -> None:
    made = config({"negatives": "weak", "aligner": {"name": "dictionary", "coverage": 0.5}})
    assert identity(made)["auxiliary"]["realign"] == {
        "name": "realign", "weight": 0.1, "negatives": "weak", "aligner": {"name": "dictionary", "coverage": 0.5},
    }  # fmt: skip
    language_set = languages()
    objective = build_objective(made.objective, made.auxiliary)
    model = with_head(objective, small(language_set), 0)
    loss = objective.loss(model, objective.batch(stream(language_set, 16), 0))
    assert loss.weights == {"": 1.0, "causal_lm": 0.0, "realign": 0.1}


@pytest.mark.parametrize(
    ("settings", "more", "line"),
    [
        ({"layers": ["5"]}, {}, r"auxiliary\.realign\.layers: '5' is none of last, penultimate, middle, 0\.\.4$"),
        ({"layers": ["last", "4"]}, {}, r"auxiliary\.realign\.layers: \[last, 4\] names a layer twice"),
        ({"layers": []}, {}, r"auxiliary\.realign\.layers: \[\] names no layer"),
        ({"temperature": 0.0}, {}, r"auxiliary\.realign\.temperature: 0.0 is not positive"),
        ({"aligner": "guess"}, {}, r"auxiliary\.realign\.aligner\.name: 'guess' is not one of"),
        ({"aligner": {"name": "dictionary", "coverage": 0.01}}, {}, r"auxiliary\.realign\.aligner\.coverage: .* is none"),
        ({"games": 500}, {}, r"auxiliary\.realign\.games: 500 of data\.batch_size=128 games; 0 for all"),
        ({"languages": ["latin", "atomic_0"]}, {}, r"auxiliary\.realign\.languages: no language 'latin'"),
        ({"languages": ["atomic_0"]}, {}, r"auxiliary\.realign\.languages: two different languages are needed"),
        ({"pivot": "atomic_0"}, {}, r"auxiliary\.realign\.pivot: has no effect with two languages"),
        ({}, {"languages": {"kinds": ["atomic"]}}, r"auxiliary\.realign\.aligner translates, and there is one language"),
        (
            {}, {"data": {"language_sampling": {"pairing": "disjoint"}}},
            r"auxiliary\.realign\.aligner: .*no game has a translation with data\.language_sampling\.pairing=disjoint",
        ),
        (
            {}, {"data": {"domains": {"a": {}, "b": {}}, "domain_of": {"atomic_0": "a", "atomic_1": "b"}}},
            r"auxiliary\.realign\.aligner: .*languages with domains of their own share none",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_that_names_the_key(settings: dict[str, Any], more: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=rf"^{line}"):
        Pretrain(config(settings, **more))


def test_it_trains_no_model_by_itself(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^objective: realign trains no model by itself; add it to another"):
        Pretrain(typed({"objective": {"name": "realign"}, "board": {"size": 4}, "runs": str(tmp_path)}, TrainConfig))
