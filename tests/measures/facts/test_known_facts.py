"""Proves: a model that knows planted facts is found to know them, in the language and under the map where it does and in
no other, to the digit; the probability of a move of several tokens is their product along the text; a model of random
weights knows none; what cannot be asked is refused in one line."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import torch

from mothello.data.batch import in_language
from mothello.errors import UserError
from mothello.languages.config import LanguagesConfig
from mothello.languages.language_set import LanguageSet, OutputVocabulary, build_languages
from mothello.languages.traits import Order, Traits
from mothello.measures.facts.ask import Questions, ask
from mothello.measures.facts.measure import FactsMeasureConfig, KnownFacts
from mothello.measures.measure import Subject
from mothello.model.build import build_model
from mothello.model.edited import Edited
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import Edit, ModelConfig, ModelOutput
from mothello.othello.board import Board
from mothello.othello.facts import FactsConfig, facts
from mothello.othello.replay import replay
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.rows import QUANTITIES, as_table
from mothello.training.device import Precision

SIX, COUNT = Board.of(6), 12
TAUGHT = FactsConfig(count=COUNT, plies=4)
NAMED = FactsMeasureConfig(count=COUNT, plies=4, draws=50)
TWO = build_languages(LanguagesConfig(kinds=["atomic*2"]), SIX)
SURE = 6.0


def subject(languages: LanguageSet = TWO, **settings: Any) -> Subject:
    shape = ModelConfig(n_layer=1, n_head=2, d_model=16, **settings)
    return Subject(build_model(shape, languages).initialize(0).eval(), languages, precision=Precision.fp32)


class Planted(Edited):
    """After an opening of a taught fact, in one language and as a map shows both, its move has more weight; all else is
    alike."""

    def __init__(self, language: int, name: str) -> None:
        super().__init__(subject().model, lambda _, x: x)
        words = torch.tensor(TWO.languages[language].words).squeeze(1)
        image, taught = torch.tensor(move_map(SIX, name)), facts(SIX, TAUGHT)[0]
        self.openings, self.moves = (
            words[image[torch.tensor(taught.openings)]],
            words[image[torch.tensor(taught.moves)]],
        )

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> ModelOutput:
        made = super().forward(inputs, hidden, edit)
        logits = torch.zeros_like(made.logits)
        same = (inputs.tokens[:, None, :4] == self.openings).all(-1)
        row, fact = same.nonzero(as_tuple=True)
        logits[row, 3, self.moves[fact]] = SURE
        return made._replace(logits=logits)


def values(rows: pd.DataFrame, quantity: str, control: str = "trained") -> "pd.Series[float]":
    found = rows[(rows.quantity == quantity) & (rows.control == control)]
    return found.set_index(["language", "target", "map"]).value


@pytest.mark.parametrize(
    ("language", "name"), [(0, "identity"), (1, "identity"), (1, "rot180"), (1, "main"), (0, "anti")]
)
def test_planted_facts_are_found_in_their_language_under_their_map_alone(language: int, name: str) -> None:
    asked = replace(subject(), model=Planted(language, name), facts=TAUGHT)  # type: ignore[arg-type]
    rows = as_table(KnownFacts(FactsMeasureConfig(draws=50))(asked))
    classes = asked.model(Inputs(torch.ones(1, 4, dtype=torch.int64), language=torch.zeros(1).long())).logits.shape[-1]
    known = float(torch.tensor(SURE).exp() / (classes - 1 + torch.tensor(SURE).exp()))
    probability, top1 = values(rows, "fact_probability"), values(rows, "fact_top1")
    planted = (TWO.names[language], "taught", name)
    assert probability[planted] == pytest.approx(known)
    assert top1[planted] == 1
    others = probability.drop(planted)
    assert len(others) == 2 * 2 * len(OPENING_MAPS) - 1
    assert others.tolist() == pytest.approx([1 / classes] * len(others))
    assert top1.drop(planted).max() < 0.3  # all alike: the first move of the language
    assert set(rows.quantity) <= set(QUANTITIES)
    assert set(rows.n) == {COUNT}
    summary = KnownFacts(NAMED).summary(rows)
    line = next(line for line in summary.splitlines() if line.startswith(f"{TWO.names[language]}, taught"))
    assert name in line
    assert f"{known:.3f}" in line


def test_chance_is_a_share_of_the_legal_moves_and_intervals_hold_the_mean() -> None:
    rows = as_table(KnownFacts(NAMED)(subject()))
    chance = rows[rows.control == "chance"]
    assert set(chance.target) == {"taught", "untaught"}
    assert chance.value.between(0.1, 0.5).all()
    sampled = facts(SIX, TAUGHT)[0]
    legal = [len(after) for after in map(legal_after, sampled.openings)]
    expected = sum(1 / n for n in legal) / COUNT
    assert chance[chance.target == "taught"].value.tolist() == pytest.approx([expected] * 2)
    trained = rows[rows.control == "trained"]
    assert ((trained.low <= trained.value + 1e-6) & (trained.value <= trained.high + 1e-6)).all()
    assert trained[trained.quantity == "fact_probability"].value.max() < chance.value.min()  # random weights


def legal_after(opening: tuple[int, ...]) -> list[int]:
    """Every move that a replay accepts next."""
    longer = torch.tensor([[*opening, move] for move in range(SIX.n_moves)])
    return (replay(longer, SIX).illegal_at < 0).nonzero().flatten().tolist()


KINDS = {
    "several tokens": LanguagesConfig(kinds=["compositional", "split"]),
    "synonyms": LanguagesConfig(kinds=["atomic"], traits={"atomic_0": Traits(synonyms=0.5)}),
    "unified": LanguagesConfig(kinds=["atomic*2"], output=OutputVocabulary.unified),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_probability_is_the_product_along_the_text(kind: str) -> None:
    languages = build_languages(KINDS[kind], SIX)
    asked, questions = subject(languages), Questions.of(SIX, FactsConfig(count=3))
    with torch.no_grad():
        for parameter in asked.model.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    for index, speaker in enumerate(languages.languages):
        found = ask(asked, index, questions)
        for m, s, f in [(0, 0, 0), (1, 0, 2), (2, 1, 1), (3, 1, 2)]:
            opening, move = questions.openings[m, s, f], int(questions.moves[m, s, f])
            batch = in_language(opening.unsqueeze(0), index, languages)
            text = batch.tokens[0, : int(batch.move_ends[0, -1]) + 1].tolist()
            ways = [(move,)] if languages.output is OutputVocabulary.unified else speaker.spellings(move)
            expected = sum(spelled(asked, text, way, index) for way in ways)
            assert float(found.probability[m, s, f]) == pytest.approx(expected, rel=1e-4)


def spelled(asked: Subject, text: list[int], word: tuple[int, ...], language: int) -> float:
    """Token after token, each read by itself."""
    product = 1.0
    for token in word:
        logits = asked.model(Inputs(torch.tensor([text]), language=torch.tensor([language]))).logits[0, -1]
        product *= float(logits.detach().double().softmax(-1)[token])
        text = [*text, token]
    return product


def test_another_run_is_asked_the_same() -> None:
    other = replace(subject(), model=Planted(0, "identity"))  # type: ignore[arg-type]
    rows = as_table(KnownFacts(FactsMeasureConfig(draws=50))(replace(subject(), facts=TAUGHT, other=other)))
    assert set(rows.control) == {"trained", "other", "chance"}
    assert values(rows, "fact_top1", "other")[TWO.names[0], "taught", "identity"] == 1
    assert "atomic_0, other, taught" in KnownFacts(NAMED).summary(rows)


def test_what_cannot_be_asked_is_refused_in_one_line() -> None:
    shuffled = {"atomic_0": Traits(order=Order.permutation)}
    orders = build_languages(LanguagesConfig(kinds=["atomic"], traits=shuffled), SIX)
    other = FactsMeasureConfig(count=COUNT, plies=3)
    many = FactsMeasureConfig(count=29, plies=4)
    for asked, config, line in (
        (subject(), FactsMeasureConfig(), "facts.count: the run was taught none; give count and plies"),
        (replace(subject(), facts=TAUGHT), other, "facts: 12 of 3 plies; the run was taught 12 of 4 plies; leave"),
        (subject(), many, "facts.count: 29 is above 28"),
        (subject(mask=AttentionMask.full), NAMED, "measures: facts asks for the next move"),
        (subject(orders), NAMED, "measures: facts"),
    ):
        with pytest.raises(UserError, match=f"^{line}") as refused:
            next(KnownFacts(config)(asked))
        assert "\n" not in str(refused.value)
    assert list(KnownFacts(NAMED)(replace(subject(), facts=TAUGHT)))
    with pytest.raises(UserError, match=r"^facts\.plies: must be given too"):
        FactsMeasureConfig(count=3)
    with pytest.raises(UserError, match=r"^facts\.count: must be given too"):
        FactsMeasureConfig(plies=3)
