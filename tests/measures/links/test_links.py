"""Proves: precision, recall and error rate by hand; every aligner is scored against the true links, for every ordered pair
of languages, those that read states in every layer; planted aligners and states score what they must, and the intervals hold it. Controls:
links with another game are at chance; random weights tell the places of words and no more. Mistakes are one line."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from aligners.made import games, languages
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.config import identity, typed
from mothello.errors import UserError
from mothello.languages.language_set import LanguageSet
from mothello.measures.links.measure import LinkQuality, LinksConfig
from mothello.measures.links.score import count, scores
from mothello.measures.measure import Subject
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask
from mothello.model.transformer import ModelConfig
from mothello.rows import QUANTITIES, Table, as_table


def subject(language_set: LanguageSet, seed: int = 0, **shape: Any) -> Subject:
    config = typed({"n_layer": 1, "n_head": 2, "d_model": 32, **shape}, ModelConfig)
    return Subject(build_model(config, language_set).initialize(seed).eval(), language_set)


def rows_of(language_set: LanguageSet, of: Subject | None = None, **settings: Any) -> Table:
    config = typed({"games": 40, "draws": 100, **settings}, LinksConfig, "links")
    return as_table(LinkQuality(config)(of or subject(language_set)))


def value(rows: Table, quantity: str, target: str, control: str = "trained", **where: Any) -> float:
    for name, content in {"quantity": quantity, "target": target, "control": control, **where}.items():
        rows = rows[rows[name] == content]
    return float(rows.value.mean())


def test_scores_by_hand() -> None:
    """Three links of which two are right, of four true ones; then a game in which nothing is found."""
    true = torch.diag_embed(torch.tensor([[True, True, True, True], [True, True, False, False]]))
    found = torch.zeros_like(true)
    found[0, 0, 0] = found[0, 1, 1] = found[0, 2, 3] = True
    counts = count(found, true)
    assert counts.tolist() == [[2, 0], [3, 0], [4, 2]]
    bootstrap = Bootstrap(2, 50, torch.Generator().manual_seed(0))
    results = {score.quantity: score for score in scores(counts, bootstrap)}
    assert results["link_precision"].value == 2 / 3
    assert results["link_recall"].value == 2 / 6
    assert results["aer"].value == pytest.approx(1 - 2 * 2 / (3 + 6))
    assert [results[q].n for q in ("link_precision", "link_recall", "aer")] == [3, 6, 9]
    assert results["link_recall"].low <= 2 / 6 <= results["link_recall"].high
    nothing = [score.quantity for score in scores(count(torch.zeros_like(true), true), bootstrap)]
    assert nothing == ["link_recall", "aer"]  # of no links there is no precision


def test_planted_aligners_score_what_they_must() -> None:
    half = {"coverage": 0.5, "wrong": 0.25, "one_to_one": False}
    rows = rows_of(languages(6), aligners=["gold", "dictionary"], options={"dictionary": half})
    assert [value(rows, q, "gold") for q in ("link_precision", "link_recall", "aer")] == [1, 1, 0]
    assert value(rows, "link_precision", "dictionary") == pytest.approx(0.75, abs=0.05)
    assert value(rows, "link_recall", "dictionary") == pytest.approx(0.5 * 0.75, abs=0.03)
    precision, recall = (value(rows, f"link_{q}", "dictionary") for q in ("precision", "recall"))
    assert value(rows, "aer", "dictionary") == pytest.approx(
        1 - 2 * precision * recall / (precision + recall), abs=1e-3
    )
    assert bool(((rows.low <= rows.value) & (rows.value <= rows.high)).all())


def same_moves(moves: Tensor) -> float:
    """Share of the moves that two unrelated games have in common which are at one ply."""
    before = moves.roll(1, 0)
    both = (moves.unsqueeze(2) == before.unsqueeze(1)) & (moves >= 0).unsqueeze(2)
    return float(both.diagonal(dim1=1, dim2=2).sum() / both.sum())


def test_links_with_another_game_are_at_chance() -> None:
    made = languages(6)
    rows = rows_of(made, aligners=["dictionary", "ibm"], options={"ibm": {"pairs": 50}})
    for name in ("dictionary", "ibm"):
        assert value(rows, "link_precision", name) > 0.99
        assert value(rows, "link_recall", name) > 0.99
    expected = same_moves(games(40, 6))
    assert value(rows, "link_precision", "dictionary", "unrelated") == pytest.approx(expected, abs=0.01)
    assert value(rows, "link_precision", "ibm", "unrelated") < 0.25


def planted(made: LanguageSet) -> Subject:
    """A model whose embeddings of a move are the same in both languages: layer 0 tells which words are translations."""
    one = subject(made)
    words = torch.tensor([[word[0] for word in language.words] for language in made.languages])
    with torch.no_grad():
        one.model.token_embedding.weight[words[1]] = one.model.token_embedding.weight[words[0]]
        one.model.position_embedding.weight.zero_()
    return one


def test_planted_states_are_found() -> None:
    made = languages(6)
    rows = rows_of(made, planted(made), aligners=["self"])
    assert set(rows.layer) == {0, 1}
    assert value(rows, "link_recall", "self", layer=0) > 0.95
    assert value(rows, "link_precision", "self", layer=0) > 0.99
    assert value(rows, "link_precision", "self", "unrelated", layer=0) < 0.15
    assert len(rows_of(made, planted(made), aligners=["self"], random_weights=False)) < len(rows)


def test_random_weights_tell_the_places_of_words_and_no_more() -> None:
    """Both languages read the same positions, which give the links away where words stand at the same places."""
    for order, low, high in (("forward", 0.8, 1.0), ("inversion", 0.0, 0.1)):
        made = languages(6, traits={"atomic_1": {"order": order}})
        rows = rows_of(made, aligners=["self"])
        assert low <= value(rows, "link_precision", "self", "random_weights", layer=0) <= high


def test_rows_are_documented_and_of_every_ordered_pair() -> None:
    made = languages(kinds=["atomic", "split", "compositional"], traits={"split_0": {"synonyms": 0.5}})
    rows = rows_of(made, games=10, options={"ibm": {"pairs": 20}})
    assert set(rows.quantity) <= set(QUANTITIES)
    assert set(rows.target) == {"dictionary", "ibm", "self"}
    assert len(set(zip(rows.source, rows.language, strict=True))) == 6
    few = rows_of(made, games=4, aligners=["dictionary"], languages=2)
    assert set(zip(few.source, few.language, strict=True)) == {("atomic_0", "split_0"), ("split_0", "atomic_0")}
    summary = LinkQuality(LinksConfig()).summary(rows)
    assert "dictionary" in summary
    assert "\n" in summary


def test_a_model_of_full_attention_says_what_its_states_have_read() -> None:
    made = languages(special_tokens=["mask"])
    masked = subject(made, mask=AttentionMask.full.value)
    rows = rows_of(made, masked, games=4, aligners=["self"])
    assert value(rows, "sees_game", "") == 1
    assert "sees_game" not in set(rows_of(made, masked, games=4, aligners=["dictionary"]).quantity)


def test_only_what_differs_is_identity() -> None:
    config = typed({"options": {"ibm": {"pairs": 5, "iterations": 5}, "self": {"layer": -1}}}, LinksConfig)
    assert identity(config) == {"options": {"ibm": {"name": "ibm", "pairs": 5}}}
    few = config.shrunk(0.1)
    assert (few.games, few.options["ibm"].pairs) == (20, 1)
    assert replace(few, games=200, options=config.options) == config


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"aligners": ["guess"]}, r"links\.aligners: 'guess' is not one of dictionary, gold, ibm, self"),
        ({"aligners": []}, r"links\.aligners: name one"),
        ({"aligners": ["ibm"], "options": {"self": {}}}, r"links\.options\.self: has no effect without the aligner"),
        ({"options": {"ibm": {"pears": 3}}}, r"links\.options\.ibm\.pears: unknown key"),
        ({"options": {"self": {"layer": 0}}}, r"links\.options\.self\.layer: has no effect, since every layer"),
        ({"aligners": ["ibm"], "random_weights": False}, r"links\.random_weights: has no effect without an aligner"),
        ({"options": {"dictionary": {"coverage": 0.001}}}, r"links\.options\.dictionary\.coverage: 0.001 of 12 moves"),
        ({"context": "prefix"}, r"links\.context: has no effect on a causal model"),
        ({"games": 1}, r"links\.games: 1 is below 2"),
    ],
)
def test_a_mistake_is_one_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}") as refused:
        rows_of(languages(), **settings)
    assert "\n" not in str(refused.value)


def test_one_language_has_no_links() -> None:
    with pytest.raises(UserError, match=r"^measures: links translates, and there is one language"):
        rows_of(languages(kinds=["atomic"]))
