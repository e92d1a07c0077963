"""Proves: the probability of every move equals the chain rule spelled out, one row and one token at a time, for every kind
of language; legal mass is what is left of one; an edit of the residual stream reaches the branches."""

import pytest
import torch
from torch import Tensor

from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.anchors import AnchorConfig
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.languages.traits import Marker, Order, Traits
from mothello.measures.causal.measure import Causal, CausalConfig
from mothello.measures.legality.estimate import count_legality, legality
from mothello.measures.legality.exact import legal_mass, move_probabilities, next_moves
from mothello.measures.legality.measure import Legality, LegalityConfig
from mothello.measures.measure import Subject
from mothello.model.build import build_model
from mothello.model.edited import Edited
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig, on_residual
from mothello.othello.board import Board


def built(
    kinds: list[str], output: OutputVocabulary = OutputVocabulary.own, longest: int = 3, anchors: int = 1
) -> tuple[LanguageSet, GPT]:
    config = LanguagesConfig(kinds=kinds, output=output, longest_word=longest, anchors=AnchorConfig(count=anchors))
    language_set = build_languages(config, Board.of(4))
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=16), language_set).initialize(3).eval()
    with torch.no_grad():
        model.head.weight.mul_(40)  # far from uniform
    return language_set, model


def games(n: int) -> Tensor:
    return corpus(Board.of(4), 0, Split.probe, 1000).moves(torch.arange(n))


def slowly(model: GPT, language_set: LanguageSet, language: int, tokens: list[int], restricted: bool) -> Tensor:
    """Log probability of every move after these tokens, by as many passes as there are tokens in all words."""
    own = torch.zeros(language_set.vocabulary_size, dtype=torch.bool)
    own[list(language_set.languages[language].ids)] = True
    result = []
    for word in language_set.languages[language].words:
        total = 0.0
        for depth, token in enumerate(word):
            logits = model(Inputs(torch.tensor([tokens + list(word[:depth])]))).logits[0, -1].double()
            if restricted:
                logits = logits.masked_fill(~own, -torch.inf)
            total += float(logits.log_softmax(-1)[token])
        result.append(total)
    return torch.tensor(result, dtype=torch.float64)


@pytest.mark.parametrize("kinds", [["split", "atomic"], ["compositional", "split"], ["atomic", "atomic"]])
@torch.no_grad()
def test_the_chain_rule(kinds: list[str]) -> None:
    language_set, model = built(kinds)
    for language in range(2):
        batch = in_language(games(3), language, language_set)
        found = next_moves(model, batch, language_set, language)
        for game, ply in ((0, 0), (1, 3), (2, 7)):
            tokens = batch.tokens[game, : int(batch.move_ends[game, ply]) + 1].tolist()
            for restricted, values in enumerate(found):
                expected = slowly(model, language_set, language, tokens, bool(restricted))
                torch.testing.assert_close(values[game, ply], expected, atol=1e-4, rtol=1e-4)


MARKED = {
    "split_0": Traits(mover=Marker.before, flips=Marker.after),
    "atomic_0": Traits(synonyms=0.5),
    "compositional_0": Traits(flips=Marker.before, synonyms=0.3),
}


@pytest.mark.parametrize("kinds", [["split", "atomic"], ["compositional", "atomic"]])
@torch.no_grad()
def test_a_move_that_is_written_in_several_ways_has_the_probability_of_all(kinds: list[str]) -> None:
    """Markers are not judged: a move counts whatever is said about it."""
    traits = {name: own for name, own in MARKED.items() if name.removesuffix("_0") in kinds}
    language_set = build_languages(LanguagesConfig(kinds=kinds, traits=traits), Board.of(4))
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=16), language_set).initialize(3).eval()
    for language, speaker in enumerate(language_set.languages):
        batch = in_language(games(3), language, language_set)
        found = next_moves(model, batch, language_set, language)
        tokens = batch.tokens[1, : int(batch.move_ends[1, 3]) + 1].tolist()
        for restricted, values in enumerate(found):
            spelled = slowly(model, language_set, language, tokens, bool(restricted)).view(-1, 12)
            there = (speaker.lengths > 0).view(-1, 12)
            expected = spelled.masked_fill(~there, -torch.inf).logsumexp(0)
            torch.testing.assert_close(values[1, 3], expected, atol=1e-4, rtol=1e-4)
        counts = count_legality(model, games(3), language_set, language)
        assert all(bool(((column >= 0) & (column <= 1 + 1e-9)).all()) for column in counts.columns.values())
        if speaker.max_word == 1:
            exact = count_legality(model, games(3), language_set, language, exact=True)
            torch.testing.assert_close(counts.columns["mass"], exact.columns["mass"], atol=1e-5, rtol=1e-5)
        else:
            first = {word[0] for move in range(12) for word in speaker.spellings(move)}
            assert first <= set(speaker.ids)
            assert "mass_first_token" in counts.columns


@pytest.mark.parametrize("traits", [Traits(order=Order.inversion), Traits(homonyms=0.5)])
def test_legality_is_refused_where_the_text_so_far_does_not_fix_the_board(traits: Traits) -> None:
    language_set = build_languages(LanguagesConfig(traits={"atomic_1": traits}), Board.of(4))
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), language_set).initialize(0).eval()
    for measure in (Legality(LegalityConfig(games=4)), Causal(CausalConfig())):
        with pytest.raises(UserError, match=r"^measures: \w+ needs the board .* with languages\.traits\.atomic_1\."):
            next(iter(measure(Subject(model, language_set))))


@torch.no_grad()
def test_long_words_and_few_branches_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    language_set, model = built(["split", "split"], longest=6)
    batch = in_language(games(2), 0, language_set)
    whole = next_moves(model, batch, language_set, 0)
    monkeypatch.setattr("mothello.measures.legality.exact._PLACES", 0)  # one node of the tree at a time
    for one, other in zip(whole, next_moves(model, batch, language_set, 0), strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_probabilities_sum_to_what_the_vocabulary_allows() -> None:
    language_set, model = built(["atomic", "compositional"])
    atomic = next_moves(model, in_language(games(4), 0, language_set), language_set, 0)
    torch.testing.assert_close(
        atomic.restricted.exp().sum(-1), torch.ones(4, atomic.full.shape[1], dtype=torch.float64)
    )
    assert (atomic.full.exp().sum(-1) < 1).all()
    composed = next_moves(model, in_language(games(4), 1, language_set), language_set, 1)
    assert (composed.restricted.exp().sum(-1) < 1).all()  # columns and rows that meet on no move
    everything = torch.ones_like(atomic.full, dtype=torch.bool)
    torch.testing.assert_close(legal_mass(atomic.full, everything), atomic.full.exp().sum(-1))


@torch.no_grad()
def test_a_unified_output_needs_one_pass() -> None:
    language_set, model = built(["split", "atomic"], OutputVocabulary.unified)
    batch = in_language(games(3), 0, language_set)
    found = next_moves(model, batch, language_set, 0)
    logits = model(Inputs.of(batch)).logits
    at = int(batch.move_ends[1, 4])
    torch.testing.assert_close(found.full[1, 4], logits[1, at].double().log_softmax(-1))
    torch.testing.assert_close(found.full, found.restricted)


@torch.no_grad()
def test_an_edit_reaches_the_branches() -> None:
    """What is changed about a ply's last token changes the probability of the second token behind it."""
    language_set, model = built(["compositional", "atomic"])
    batch = in_language(games(2), 0, language_set)
    ends = batch.move_ends[:, 4:5]

    def edit(layer: int, x: Tensor) -> Tensor:
        x = x.clone()
        x[torch.arange(2), ends[:, 0]] += torch.linspace(-3, 3, x.shape[-1]) * (layer == 1)
        return x

    plain = move_probabilities(model, batch.tokens, ends, language_set, 0, language_set.max_tokens).full
    edited = move_probabilities(
        Edited(model, on_residual(edit)), batch.tokens, ends, language_set, 0, language_set.max_tokens
    ).full
    words = language_set.languages[0].words
    same_column = [i for i, word in enumerate(words) if word[0] == words[0][0]]
    given = [p[0, 0, same_column].log_softmax(-1) for p in (plain, edited)]  # of the row, given the column
    assert float((given[0] - given[1]).abs().max()) > 0.01


def test_exact_columns_stand_beside_the_others() -> None:
    language_set, model = built(["split", "atomic"], anchors=0)
    moves = games(20)
    for language in range(2):
        quick, whole = (
            legality(model, moves, language_set, language),
            count_legality(model, moves, language_set, language, exact=True),
        )
        for column in ("top1", "top1_restricted", "lenient", "wrong_language", "malformed", "chance"):
            assert whole.mean(column) == pytest.approx(quick[column])
        assert 0 < whole.mean("mass") < whole.mean("mass_any_move") < 1
        assert whole.mean("mass") < whole.mean("mass_own_tokens") <= 1
        if language == 1:
            assert whole.mean("mass") == pytest.approx(quick["mass"], abs=1e-5)
        assert whole.by_ply("top1") == pytest.approx(quick["top1_by_ply"])
