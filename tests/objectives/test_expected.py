"""Proves, over the whole 4x4 game tree, that expected targets have the gradient that sampled ones have on average: for
every kind of language, anchors, unified output, policies, openings, windows, splits and mixtures; that a perfect model's
loss is the floor under both; that a stream's laws are those of its games. Controls: the law of other games is off.
"""

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from data.streams import stream_of
from data.test_floor import UNIFORM, brute_force, language_set, tree
from house.commands import TINY, run
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch, in_language, rows
from mothello.data.corpus import Corpus, Mixture, RandomPlay, Window
from mothello.data.enumerated import EnumeratedPlay, all_games, probabilities_of
from mothello.data.expected import expected_targets
from mothello.data.floor import entropies
from mothello.data.oracle import play_oracle
from mothello.data.split import PARTS, Split
from mothello.data.stored import write_index, write_shard
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM, Targets, label
from mothello.othello.board import Board
from mothello.othello.notation import parse_game
from mothello.othello.policy import PolicyConfig
from mothello.rundir import RunDir

FOUR = Board.of(4)
GREEDY = PolicyConfig(flips=1.0, corners=-2.0)
EXPECTED = CausalLM(CausalLM.Config(targets=Targets.expected))
Weighted = tuple[Corpus, Tensor, Tensor, Tensor]
"""A corpus, games of it, an index that each may have, and its probability."""


def whole(corpus: Corpus, policy: PolicyConfig | None = None, prefix: str = "", plies: int = 12) -> Weighted:
    """Every game of random play that begins so, cut after that many plies."""
    moves, opening = all_games(FOUR)[0], parse_game(prefix, FOUR)
    probability = probabilities_of(moves, play_oracle(FOUR, opening, policy))
    cut, where = moves[probability > 0][:, :plies].unique(dim=0, return_inverse=True)
    weight = torch.zeros(len(cut), dtype=torch.float64).index_add_(0, where, probability[probability > 0])
    games = torch.full((len(cut), 12), -1, dtype=torch.int8)
    games[:, :plies] = cut
    return corpus, games, torch.zeros(len(games), dtype=torch.int64), weight


PART = (0.75, 0.77)


def of_a_split(policy: PolicyConfig | None = None) -> Weighted:
    corpus = EnumeratedPlay(FOUR, 0, 100, PART, (), policy)
    return corpus, corpus.games, torch.zeros(len(corpus.games), dtype=torch.int64), corpus.probability


def of_a_mixture() -> Weighted:
    """Each game twice, as either source's, with an index of that source."""
    one, other = EnumeratedPlay(FOUR, 0, 50, PART), Window(RandomPlay(FOUR, 0, 50, policy=GREEDY), 0, 6)
    both = Mixture([one, other], [1.0, 3.0], 5, 50)
    first = [int((both.source(torch.arange(50)) == source).nonzero()[0]) for source in (0, 1)]
    parts = [(one, one.games, one.probability), (other, *whole(other, GREEDY, plies=6)[1::2])]
    games, weights = torch.cat([games for _, games, _ in parts]), torch.cat([parts[0][2] / 4, parts[1][2] * 3 / 4])
    indices = torch.tensor(first).repeat_interleave(torch.tensor([len(games) for _, games, _ in parts]))
    return both, games, indices, weights


@cache
def games_of(name: str) -> Weighted:
    made = {
        "every game": lambda: whole(RandomPlay(FOUR, 0, 9)),
        "every game of a policy": lambda: whole(RandomPlay(FOUR, 0, 9, policy=GREEDY), GREEDY),
        "uniform": lambda: whole(RandomPlay(FOUR, 0, 9), plies=6),
        "policy": lambda: whole(RandomPlay(FOUR, 0, 9, policy=GREEDY), GREEDY, plies=6),
        "opening": lambda: whole(RandomPlay(FOUR, 0, 9, prefix=parse_game("b1 a1", FOUR)), prefix="b1 a1", plies=8),
        "window": lambda: whole(Window(RandomPlay(FOUR, 0, 9), 3, 7), plies=7),
        "split": of_a_split,
        "split of a policy": lambda: of_a_split(GREEDY),
        "mixture": of_a_mixture,
    }
    return made[name]()


LANGUAGES: dict[str, dict[str, Any]] = {
    "atomic": {"kinds": ["atomic*2"]},
    "anchors": {"kinds": ["atomic*2"], "count": 8, "placement": "any"},
    "split": {"kinds": ["split", "atomic"]},
    "compositional": {"kinds": ["compositional", "atomic"]},
    "three with anchors": {"kinds": ["atomic", "split", "compositional"], "count": 4, "placement": "any"},
    "unified": {"kinds": ["atomic", "split", "compositional"], "output": OutputVocabulary.unified},
}
CASES = [
    ("atomic", games) for games in ("uniform", "policy", "opening", "window", "split", "split of a policy", "mixture")
]
CASES += [(kind, "split") for kind in LANGUAGES if kind != "atomic"] + [("unified", "mixture"), ("split", "mixture")]
LONG = [("atomic", "every game"), ("three with anchors", "every game"), ("unified", "every game of a policy")]


def made(name: str) -> LanguageSet:
    return language_set(**LANGUAGES[name])


def small_model(languages: LanguageSet) -> GPT:
    return build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), languages).initialize(0)


def labeled(games: Weighted, languages: LanguageSet, language: int) -> LabeledBatch:
    corpus, moves, indices, _ = games
    batch = in_language(moves, language, languages)
    return label(batch._replace(first_scored=corpus.first_scored(indices)), languages)


def law(games: Weighted) -> Tensor:
    corpus, moves, indices, _ = games
    return corpus.law(indices, moves)


def gradient(losses: Tensor, weight: Tensor, model: GPT) -> Tensor:
    """Of the mean over games of a loss per game and token."""
    model.zero_grad()
    (losses.sum(1) * weight).sum().backward(retain_graph=True)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()


def both_gradients(games: Weighted, name: str, law: Tensor) -> tuple[Tensor, Tensor]:
    """Of sampled and of expected targets, over all games in all languages."""
    languages = made(name)
    model, grads = small_model(languages).double(), []
    for language in range(len(languages.names)):
        batch = labeled(games, languages, language)
        logits = model(Inputs.of(batch.text)).logits
        sampled = F.cross_entropy(logits.transpose(1, 2), batch.targets, ignore_index=IGNORE, reduction="none")
        expected = -(expected_targets(batch, law, languages) * logits.log_softmax(-1)).sum(-1)
        grads.append([gradient(losses, games[3], model) for losses in (sampled, expected)])
    return tuple(torch.stack(each).sum(0) for each in zip(*grads, strict=True))  # type: ignore[return-value]


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm())


@pytest.mark.parametrize(("name", "source"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in LONG)])
def test_the_expected_gradient_is_the_mean_of_the_sampled_ones(name: str, source: str):
    games = games_of(source)
    assert float(games[3].sum()) == pytest.approx(1)
    sampled, expected = both_gradients(games, name, law(games))
    assert difference(sampled, expected) < 1e-5


@pytest.mark.parametrize("source", ["policy", "split"])
def test_the_legal_moves_alone_are_another_law(source: str):
    games = games_of(source)
    assert difference(*both_gradients(games, "atomic", UNIFORM(games[1]))) > 1e-3


def test_the_posterior_of_a_mixture_is_another_law_of_the_same_mean():
    """What the moves tell of the source, instead of the source: the same expectation, more variance."""
    games = games_of("mixture")
    oracle = games[0].oracle
    assert oracle is not None
    assert difference(*both_gradients(games, "atomic", oracle(games[1]))) < 1e-5
    assert float((oracle(games[1]) - law(games)).abs().max()) > 0.1


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_floor_is_the_loss_of_a_perfect_model_under_both(name: str):
    """The perfect model is counted: what follows each text, in whatever language. Trees of five plies."""
    languages, (moves, weight) = made(name), tree(5)
    counts: dict[tuple[int, ...], Tensor] = defaultdict(lambda: torch.zeros(languages.output_size).double())
    known = []
    for language in range(len(languages.names)):
        batch = label(in_language(moves, language, languages), languages)
        game, place = (batch.targets != IGNORE).nonzero(as_tuple=True)
        texts = [tuple(batch.text.tokens[g, : p + 1].tolist()) for g, p in zip(game, place, strict=True)]
        expected = expected_targets(batch, UNIFORM(moves), languages)[game, place]
        floored = float((entropies(batch, languages, UNIFORM).double().sum(1) * weight).sum())
        known.append((texts, batch.targets[game, place], expected, weight[game], floored))
        for text, target, share in zip(texts, batch.targets[game, place], weight[game], strict=True):
            counts[text][target] += share
    for texts, drawn, expected, share, floored in known:
        log_p = torch.stack([(counts[text] / counts[text].sum()).log() for text in texts])
        assert torch.allclose(expected.sum(-1), torch.ones_like(share))
        on_expected = -(share * torch.where(expected > 0, expected * log_p, 0.0).sum(-1)).sum()
        on_sampled = -(share * log_p.gather(1, drawn.unsqueeze(1)).squeeze(1)).sum()
        assert float(on_expected) == pytest.approx(floored, rel=1e-6)
        assert float(on_sampled) == pytest.approx(floored, rel=1e-6)
    places = sum(float(share.sum()) for _, _, _, share, _ in known)
    counted = brute_force(languages, moves, weight, list(range(len(languages.names))))
    assert sum(floored for *_, floored in known) / places == pytest.approx(counted, abs=2e-6)


def test_the_loss_is_the_mean_over_what_may_follow():
    """Beside the objective's own batches: the sum over classes, written out."""
    languages = made("three with anchors")
    stream = stream_of(RandomPlay(FOUR, 0, 64), languages, 16, 0)
    batch, model = EXPECTED.batch(stream, 1), small_model(languages)
    assert batch.expected is not None
    loss = EXPECTED.loss(model, batch)
    logits = model(Inputs.of(batch.text)).logits
    expected = torch.where(batch.expected > 0, -batch.expected * logits.log_softmax(-1), 0.0).sum()
    torch.testing.assert_close(loss.sum, expected)
    assert int(loss.count) == int((batch.targets != IGNORE).sum())
    sampled = CausalLM().loss(model, label(batch.text, languages))
    assert abs(float(loss.sum.detach() - sampled.sum.detach())) > 1e-2  # control


@pytest.mark.parametrize("processes", [1, 2])
def test_the_laws_of_a_stream_are_those_of_its_games(processes: int, monkeypatch: pytest.MonkeyPatch):
    """In any order, whatever is computed together, in every process, with a corpus for each language."""
    monkeypatch.setattr("mothello.data.stream.LAWS_AT_ONCE", {"cpu": 24})
    corpora = [RandomPlay(FOUR, 0, 96, policy=GREEDY), EnumeratedPlay(FOUR, 1, 96, PARTS[Split.train])]
    for rank in range(processes):
        stream = stream_of(corpora, made("atomic"), 8, 3, share=(rank, processes))
        for step in (5, 0, 11, 13, 2):
            games, laws = stream.games(step), stream.law(step)
            assert laws.shape == (8 // processes, 13, 12)
            for language, corpus in enumerate(corpora):
                mine = games.language == language
                known = corpus.law(games.indices[mine], games.moves[mine])
                torch.testing.assert_close(laws[mine], known, rtol=1e-6, atol=0)
            batch = EXPECTED.batch(stream, step)
            assert batch.expected is not None
            drawn = batch.expected.gather(2, batch.targets.clamp(min=0).unsqueeze(2)).squeeze(2)
            assert bool((drawn[batch.targets != IGNORE] > 0).all())
            assert not bool(batch.expected[batch.targets == IGNORE].any())
            assert rows(batch, slice(2, 3)).expected.shape[0] == 1


def test_games_that_do_not_tell_their_law_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    games = RandomPlay(FOUR, 0, 2000).moves(torch.arange(2000))
    stored = tmp_path / "games"
    stored.mkdir()
    write_index(stored, FOUR, {"kind": "recorded"}, [write_shard(stored, 0, 0, [games], FOUR, {})])
    common = [*TINY, "objective.targets=expected", f"runs={tmp_path / 'runs'}"]
    for setting, word in (
        (f"+data.domains.human.folder={stored}", "stored games"),
        ("data.language_sampling.pairing=disjoint", "disjoint"),
    ):
        assert run(monkeypatch, "train", *common, setting) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("error: objective.targets: expected")
        assert word in lines[0]
        assert not (tmp_path / "runs").exists()


def test_expected_targets_make_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for targets in Targets:
        assert run(monkeypatch, "train", *TINY, f"objective.targets={targets}", f"runs={tmp_path}") == 0
    folders = sorted(tmp_path.glob("*/*/seed0"))
    assert len(folders) == 2
    losses = [[line["train/loss"] for line in RunDir(f).read_metrics() if "train/loss" in line] for f in folders]
    assert losses[0] != losses[1]
