"""Proves that the floor and expected targets stay exact where languages differ in more than their words: markers that
the board decides, synonyms, the order of a phrase, words shared by a part of the moves, false friends, shared sub-tokens.
Over the cut 4x4 tree in every language and with every choice of synonyms the floor is the entropy counted from plain
dictionaries, and the gradient of expected targets the mean of the sampled ones. By hand: a marker
adds nothing, a synonym the entropy of its choice. Where the text so far does not fix the board there is no floor.
"""

from collections import defaultdict
from itertools import islice
from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from data.test_floor import FOUR, UNIFORM, tree
from languages.writer import texts
from torch import Tensor

from mothello.config import typed
from mothello.data.batch import IGNORE, Batch, LabeledBatch, in_language
from mothello.data.enumerated import all_games, probabilities_of
from mothello.data.expected import expected_targets
from mothello.data.floor import entropies
from mothello.data.oracle import Oracle, play_oracle
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.languages.lexicon import synonymous
from mothello.languages.traits import Traits
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.objectives.causal_lm import CausalLM, label
from mothello.othello.notation import parse_game

CLOSE = 2e-6

MIXES: dict[str, dict[str, Any]] = {
    "mover before": {"kinds": ["atomic", "split"], "traits": {"atomic_0": {"mover": "before"}}},
    "mover after": {"kinds": ["atomic*2"], "traits": {"atomic_1": {"mover": "after"}}, "anchors": {"count": 8}},
    "flips before": {"kinds": ["split", "atomic"], "traits": {"split_0": {"flips": "before"}}},
    "flips after": {
        "kinds": ["compositional", "atomic"],
        "traits": {"compositional_0": {"flips": "after"}},
        "anchors": {"overlap": 0.5},
    },
    "row column": {
        "kinds": ["compositional*2"],
        "traits": {"compositional_1": {"phrase": "row_column"}},
        "anchors": {"moves": ["b1", "a2"], "sharing": "component"},
    },
    "synonyms": {"kinds": ["atomic*2"], "traits": {"atomic_1": {"synonyms": 0.5}}, "anchors": {"overlap": 0.75}},
    "long synonyms": {"kinds": ["split", "compositional"], "traits": {"split_0": {"synonyms": 0.7}}},
    "overlap": {"kinds": ["atomic", "split", "compositional"], "anchors": {"overlap": 0.5, "same_meaning": 0.5}},
    "false friends": {"kinds": ["atomic*3"], "anchors": {"overlap": 1.0, "same_meaning": 0.0}},
    "letters": {"kinds": ["split", "compositional", "split"], "anchors": {"subtokens": 0.6}},
    "all": {
        "kinds": ["compositional*2", "atomic"],
        "traits": {
            "compositional_0": {"mover": "after", "phrase": "row_column"},
            "compositional_1": {"mover": "before", "flips": "before", "synonyms": 0.3},
            "atomic_0": {"flips": "after", "mover": "after", "synonyms": 0.2},
        },
        "anchors": {"overlap": 0.7, "same_meaning": 0.4},
    },
}


def made(mix: dict[str, Any], output: OutputVocabulary = OutputVocabulary.own) -> LanguageSet:
    return build_languages(typed(mix | {"output": output.value}, LanguagesConfig, "languages"), FOUR)


def written(
    language_set: LanguageSet, language: int, plies: int, games: tuple[Tensor, Tensor] | None = None
) -> tuple[Batch, Tensor]:
    """Every text of every game cut after that many plies (or of the games given), and its probability."""
    moves, probability = games or tree(plies)
    rows, weights = [], []
    for row, (game, p) in enumerate(zip(moves[:, :plies].tolist(), probability.tolist(), strict=True)):
        for text in texts(language_set.languages[language], [move for move in game if move >= 0], 4):
            rows.append((row, text))
            weights.append(p * text.weight)
    n, width = len(rows), language_set.max_tokens
    tokens, ends = torch.full((n, width), PAD), torch.full((n, FOUR.n_moves), -1)
    for row, (_, text) in enumerate(rows):
        tokens[row, : len(text.tokens)] = torch.tensor(text.tokens)
        ends[row, : len(text.ends)] = torch.tensor(text.ends)
    of = moves[torch.tensor([row for row, _ in rows])]
    zero = torch.zeros(n, dtype=torch.int64)
    return Batch(tokens, ends, of, zero + language, zero), torch.tensor(weights, dtype=torch.float64)


def counted(language_set: LanguageSet, batches: list[tuple[Batch, Tensor]]) -> float:
    """Entropy in nats per scored position, from counts of what follows each prefix in any of the languages."""
    follows: dict[tuple[int, ...], dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for batch, weight in batches:
        targets = label(batch, language_set).targets.tolist()
        for row, target, p in zip(batch.tokens.tolist(), targets, weight.tolist(), strict=True):
            for place, token in enumerate(target):
                if token != IGNORE:
                    follows[tuple(row[: place + 1])][token] += p
    entropy = sum(
        -c * log(c / total) for counts in follows.values() for total in [sum(counts.values())] for c in counts.values()
    )
    return entropy / sum(c for counts in follows.values() for c in counts.values())


def floored(language_set: LanguageSet, batches: list[tuple[Batch, Tensor]], oracle: Oracle = UNIFORM) -> float:
    nats = scored = 0.0
    for batch, weight in batches:
        labeled = label(batch, language_set)
        nats += float((entropies(labeled, language_set, oracle).double().sum(1) * weight).sum())
        scored += float(((labeled.targets != IGNORE).sum(1) * weight).sum())
    return nats / scored


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (place % 2)) for place, name in enumerate(MIXES)]
)
def test_the_floor_is_the_counted_entropy(name: str, output: OutputVocabulary):
    languages = made(MIXES[name], output)
    plies = 4 if output is OutputVocabulary.own else 3
    batches = [written(languages, k, plies) for k in range(len(languages.languages))]
    assert all(float(weight.sum()) == pytest.approx(1) for _, weight in batches)
    assert floored(languages, batches) == pytest.approx(counted(languages, batches), abs=CLOSE)


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("name", ["mover after", "false friends", "few synonyms", "letters"])
def test_games_that_end_are_scored_to_their_last_token(name: str, output: OutputVocabulary):
    """All games after an opening, whole; some end early, in some languages' readings only."""
    few = {"kinds": ["atomic*2"], "traits": {"atomic_1": {"synonyms": 0.2}}, "anchors": {"overlap": 1.0}}
    languages = made(few if name == "few synonyms" else MIXES[name], output)
    opening = parse_game("b1 a1 a2 a3 b4 d2", FOUR)
    moves, oracle = all_games(FOUR)[0], play_oracle(FOUR, opening)
    probability = probabilities_of(moves, oracle)
    games = moves[probability > 0], probability[probability > 0]
    assert len(set((games[0] >= 0).sum(1).tolist())) > 1
    batches = [written(languages, k, 12, games) for k in range(len(languages.languages))]
    assert floored(languages, batches, oracle) == pytest.approx(counted(languages, batches), abs=CLOSE)


def nats_of_a_game(traits: dict[str, Any]) -> float:
    """Mean over the games of an atomic language beside a plain one."""
    languages = made({"kinds": ["atomic*2"], "traits": {"atomic_0": traits}})
    batch, weight = written(languages, 0, 4)
    return float((entropies(label(batch, languages), languages, UNIFORM).double().sum(1) * weight).sum())


def test_a_marker_adds_nothing_but_the_first_move_that_it_lets_score():
    """The board decides it: the entropy of a game stays that of its moves. Before the first move, which no token tells
    otherwise, it makes one of four moves predicted; each of them turns one disc."""
    plain = nats_of_a_game({})
    for marker in ("mover", "flips"):
        assert nats_of_a_game({marker: "before"}) == pytest.approx(plain + log(4), abs=1e-5)
        assert nats_of_a_game({marker: "after"}) == pytest.approx(plain, abs=1e-5)


def test_a_synonym_adds_the_entropy_of_its_choice():
    two = set(synonymous(Traits(synonyms=0.5), FOUR, "atomic_0"))
    moves, weight = tree(4)
    chosen = sum(p * sum(move in two for move in game[1:4]) for game, p in zip(moves.tolist(), weight.tolist()))  # noqa: B905
    assert nats_of_a_game({"synonyms": 0.5}) == pytest.approx(nats_of_a_game({}) + chosen * log(2), abs=1e-5)


def gradient(model: GPT, batches: list[LabeledBatch], losses: list[Tensor], weights: list[Tensor]) -> Tensor:
    model.zero_grad()
    sum((loss.sum(1) * weight).sum() for loss, weight in zip(losses, weights, strict=True)).backward()  # type: ignore[union-attr]
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("name", ["mover before", "flips before", "flips after", "long synonyms", "letters", "all"])
def test_the_expected_gradient_is_the_mean_of_the_sampled_ones(name: str, output: OutputVocabulary):
    languages = made(MIXES[name], output)
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), languages).initialize(0).double()
    parts = [written(languages, k, 3) for k in range(len(languages.languages))]
    labeled = [label(batch, languages) for batch, _ in parts]
    grads = []
    for expected in (False, True):
        losses = []
        for batch in labeled:
            logits = model(Inputs.of(batch.text)).logits
            if expected:
                law = UNIFORM(batch.text.moves).float()
                losses.append(-(expected_targets(batch, law, languages) * logits.log_softmax(-1)).sum(-1))
            else:
                losses.append(
                    F.cross_entropy(logits.transpose(1, 2), batch.targets, ignore_index=IGNORE, reduction="none")
                )
        grads.append(gradient(model, labeled, losses, [weight for _, weight in parts]))
    assert float((grads[0] - grads[1]).norm() / grads[0].norm()) < 1e-5


def test_a_wrong_law_of_a_marker_is_another_gradient_target():
    """Control: the distribution of the flip-count marker given the board is not that of another board."""
    languages = made(MIXES["flips before"])
    batch, _ = written(languages, 0, 3)
    law = UNIFORM(batch.moves).float()
    right = expected_targets(label(batch, languages), law, languages)
    shifted = expected_targets(label(batch, languages), law.roll(1, 0), languages)
    assert float((right - shifted).abs().max()) > 0.1


@pytest.mark.parametrize("traits", [{"order": "inversion"}, {"order": "reversal"}, {"homonyms": 0.5}])
def test_there_is_no_floor_where_the_text_does_not_fix_the_board(traits: dict[str, Any]):
    languages = made({"kinds": ["atomic*2"], "traits": {"atomic_1": traits}})
    moves = tree(3)[0][:8]
    objective, labeled = CausalLM(), label(in_language(moves, 0, languages), languages)
    assert not languages.prefix_fixes_board
    assert languages.board_hidden_by.startswith("languages.traits.atomic_1.")
    lowest = objective.floor(labeled, languages, [UNIFORM] * 2, None)
    assert lowest.nats != lowest.nats
    assert lowest.reason == f"the text so far does not fix the board ({languages.board_hidden_by})"


def test_the_slow_writer_writes_every_choice_once():
    languages = made(MIXES["all"])
    game = next(game for game in tree(4)[0][:, :4].tolist())
    for language in languages.languages:
        all_texts = list(islice(texts(language, game, 4), 100))
        assert sum(text.weight for text in all_texts) == pytest.approx(1)
        assert len({tuple(text.tokens) for text in all_texts}) == len(all_texts)
