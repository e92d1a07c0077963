"""Proves: probabilities of hidden words are the product over their hidden tokens, row by row, for every kind of language,
whole words and single tokens, and the words that fit are those a reader would try; the posterior itself as a model has no
excess and is right as often as can be; guessing evenly is chance; independent tokens lose what the control says. A causal
model is refused, and so is legality of a model that has read the whole game."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mothello.data.batch import Context, rows
from mothello.data.oracle import play_oracle
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.measures.causal.measure import Causal, CausalConfig
from mothello.measures.legality.measure import Legality, LegalityConfig
from mothello.measures.masked.estimate import count_masked, given_the_row, hidden_words, marginals
from mothello.measures.masked.measure import Masked, MaskedConfig
from mothello.measures.masked.posterior import Hidden, Posterior, draw_hidden, posterior
from mothello.measures.measure import Subject
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import GPT, ModelConfig, ModelOutput
from mothello.objectives.masked_lm import MASK
from mothello.othello.board import Board
from mothello.rows import as_table

FOUR = Board.of(4)
FULL = ModelConfig(n_layer=2, n_head=2, d_model=16, mask=AttentionMask.full)


def languages(*kinds: str, output: OutputVocabulary = OutputVocabulary.own) -> LanguageSet:
    return build_languages(LanguagesConfig(kinds=list(kinds), special_tokens=[MASK], output=output), FOUR)


def model_of(language_set: LanguageSet) -> GPT:
    model = build_model(FULL, language_set).initialize(1).eval()
    with torch.no_grad():
        model.head.weight.mul_(40)  # far from uniform
    return model


def asked(context: Context, n: int = 40, board: Board = FOUR) -> tuple[Tensor, Hidden, Posterior]:
    moves = corpus(board, 0, Split.probe, n).moves(torch.arange(n))
    hidden = draw_hidden(moves, 2, context, torch.Generator().manual_seed(1))
    return moves, hidden, posterior(moves, hidden, board, play_oracle(board))


def slowly(
    model: GPT, language_set: LanguageSet, index: int, moves: list[int], ply: int, last: int, only: int | None
) -> dict[int, float]:
    """Probability of every word that fits, from one row by itself. only: the token of the word that is hidden."""
    words, mask = language_set.languages[index].words, language_set.vocabulary_size
    played = [move for move in moves if move >= 0]
    row = [list(words[move]) for move in played]
    own = row[ply]
    places = range(len(own)) if only is None else [only]
    for part in places:
        row[ply] = [mask if k == part else token for k, token in enumerate(row[ply])]
    begin = sum(map(len, row[:ply]))
    tokens = [token for word in row[: last + 1] for token in word]
    if last < len(played) - 1:
        tokens += [mask] * (language_set.languages[index].max_tokens - len(tokens))
    with torch.no_grad():
        p = model(Inputs(torch.tensor([tokens]))).logits[0].double().softmax(-1)
    found = {}
    for move, word in enumerate(words):
        if len(word) == len(own) and all(k in places or word[k] == own[k] for k in range(len(word))):
            if language_set.output is OutputVocabulary.unified:
                found[move] = float(p[begin + max(places), move])
            else:
                found[move] = float(torch.stack([p[begin + k, word[k]] for k in places]).prod())
    return found


@pytest.mark.parametrize("one_token", [False, True])
@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("kind", ["atomic", "split", "compositional"])
def test_words_are_the_products_of_their_hidden_tokens(kind: str, output: OutputVocabulary, one_token: bool) -> None:
    language_set = languages("atomic", kind, output=output)
    model = model_of(language_set)
    for context in Context:
        moves, hidden, known = asked(context)
        columns = count_masked(model, moves, hidden, known, language_set, 1, one_token)
        for at, (game, ply, last) in enumerate(
            zip(hidden.game.tolist(), hidden.ply.tolist(), hidden.last.tolist(), strict=True)
        ):
            own = int(moves[game, ply])
            length = len(language_set.languages[1].words[own])
            only = int(float(hidden.part[at]) * length) if one_token else None
            fitting = slowly(model, language_set, 1, moves[game].tolist(), ply, last, only)
            possible = [move for move in fitting if bool(known.possible[at, move])]
            truth = {move: float(known.p[at, move]) for move in possible}
            truth = {move: p / sum(truth.values()) for move, p in truth.items()}
            nats = -sum(p * torch.tensor(fitting[move], dtype=torch.float64).log() for move, p in truth.items())
            entropy = -sum(p * torch.tensor(p, dtype=torch.float64).log() for p in truth.values())
            n_open = sum(bool(known.open[at, move]) for move in fitting)
            expected = {
                ("mass", "trained"): sum(fitting[move] for move in possible), ("masked_nats", "trained"): nats,
                ("masked_nats", "floor"): entropy, ("masked_excess_nats", "trained"): nats - entropy,
                ("masked_accuracy", "best"): max(truth.values()), ("masked_accuracy", "chance"): 1 / n_open,
                ("top1", "chance"): len(possible) / n_open,
            }  # fmt: skip
            for column, value in expected.items():
                assert float(columns[column][at]) == pytest.approx(float(value), rel=1e-4, abs=1e-5), column


class Given(nn.Module):
    """A model that has the answers: logits by row, in the order in which rows are asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits, self.at = logits, 0
        self.config, self.head = FULL, nn.Linear(1, 1)
        self.eval()

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Any = None) -> ModelOutput:
        n, length = inputs.tokens.shape
        some = self.logits[self.at : self.at + n]
        self.at += n
        return ModelOutput(some.unsqueeze(1).expand(-1, length, -1) if some.ndim == 2 else some[:, :length], None)


def scores(model: Any, language_set: LanguageSet, index: int, context: Context, n: int = 400) -> dict[Any, float]:
    columns = count_masked(model, *asked(context, n), language_set, index)
    return {column: float(values.mean()) for column, values in columns.items()}


@pytest.mark.parametrize("context", Context)
def test_the_posterior_itself_is_perfect_and_guessing_evenly_is_chance(context: Context) -> None:
    language_set = languages("atomic", output=OutputVocabulary.unified)
    _, _, known = asked(context, 400)
    perfect = scores(Given(known.p.log()), language_set, 0, context)
    best = perfect["masked_accuracy", "best"]
    assert perfect["masked_excess_nats", "trained"] == pytest.approx(0, abs=1e-9)
    assert perfect["top1", "trained"] == 1
    assert perfect["mass", "trained"] == pytest.approx(1)
    assert perfect["masked_accuracy", "trained"] == pytest.approx(best, abs=0.05)  # what was played is one draw
    assert (best == pytest.approx(1, abs=0.02)) is (context is Context.game)
    even = scores(Given(torch.where(known.open, 0.0, -1e4)), language_set, 0, context)
    assert even["mass", "trained"] == pytest.approx(even["top1", "chance"])
    assert even["top1", "trained"] == pytest.approx(even["top1", "chance"], abs=0.1)
    assert even["masked_accuracy", "trained"] == pytest.approx(even["masked_accuracy", "chance"], abs=0.06)
    flat = scores(Given(torch.zeros(len(known.p), FOUR.n_moves)), language_set, 0, context)
    assert flat["masked_nats", "trained"] == pytest.approx(float(torch.tensor(12.0).log()), rel=1e-6)


def test_tokens_that_are_predicted_independently_lose_what_the_control_says() -> None:
    language_set = languages("compositional")
    moves, hidden, known = asked(Context.prefix, 400)
    ends = torch.zeros(len(hidden.game), dtype=torch.int64)
    word = hidden_words(ends + 1, known.played, hidden, language_set, 0, one_token=False)
    p = marginals(given_the_row(known, word), word, language_set, 0)
    torch.testing.assert_close(p.sum(-1), torch.ones_like(p[..., 0]))
    columns = count_masked(Given(_at_words(p, moves, hidden, language_set)), moves, hidden, known, language_set, 0)
    excess, control = columns["masked_excess_nats", "trained"], columns["masked_excess_nats", "independent"]
    torch.testing.assert_close(excess, control, rtol=1e-5, atol=1e-6)
    assert float(control.min()) > -1e-9
    assert float(control.mean()) > 0.05  # two moves that differ in column and row are told apart by both tokens only


def _at_words(p: Tensor, moves: Tensor, hidden: Hidden, language_set: LanguageSet) -> Tensor:
    """Logits that have the marginals where the hidden words stand: two tokens a move."""
    logits = torch.zeros(len(p), language_set.max_tokens, language_set.vocabulary_size, dtype=torch.float64)
    for row, ply in enumerate(hidden.ply.tolist()):
        logits[row, 2 * ply : 2 * ply + 2] = p[row].clamp(min=1e-30).log()
    return logits


def test_rows_of_every_language_with_intervals() -> None:
    language_set = languages("atomic", "split", "compositional")
    subject = Subject(model_of(language_set), language_set)
    config = MaskedConfig(games=20, draws=20)
    table = as_table(Masked(config)(subject))
    assert set(table.target) == {"game", "prefix"}
    whole = table[table.ply.isna()]
    assert bool((whole.low <= whole.value).all())
    assert bool((whole.value <= whole.high).all())
    assert set(whole[whole.language == "atomic_0"].n) == {80}
    independent = whole[whole.control == "independent"]
    assert set(independent.language) == {"split_0", "compositional_0"}
    assert bool((independent[independent.target == "prefix"].value > 0).all())
    again = as_table(Masked(config)(subject))
    assert again.equals(table)
    singly = as_table(Masked(MaskedConfig(games=20, draws=20, one_token=True))(subject))
    assert "atomic_0" not in set(singly.language)
    assert "hidden moves" in Masked(config).summary(table)


def test_who_is_refused() -> None:
    causal = build_languages(LanguagesConfig(kinds=["atomic*2"]), FOUR)
    plain = Subject(build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), causal).initialize(0).eval(), causal)
    with pytest.raises(UserError, match="measures: masked hides moves"):
        list(Masked(MaskedConfig(games=4))(plain))
    language_set = languages("atomic*2")
    subject = Subject(model_of(language_set), language_set)
    for measure in (Legality(LegalityConfig(games=4)), Causal(CausalConfig(cases=2))):
        with pytest.raises(UserError, match=r"^measures: \w+ asks for the next move"):
            list(measure(subject))
    with pytest.raises(UserError, match=r"^masked\.one_token: has no effect"):
        list(Masked(MaskedConfig(games=4, one_token=True))(subject))


def test_hidden_moves_can_be_picked_like_rows() -> None:
    moves, hidden, known = asked(Context.prefix, 20)
    some = torch.tensor([3, 1])
    language_set = languages("atomic")
    model = model_of(language_set)
    every = count_masked(model, moves, hidden, known, language_set, 0)
    few = count_masked(model, moves, rows(hidden, some), rows(known, some), language_set, 0)
    for column, values in few.items():
        torch.testing.assert_close(values, every[column][some])
    assert count_masked(model, moves, rows(hidden, some[:0]), rows(known, some[:0]), language_set, 0) == {}


def test_without_the_play_what_the_rules_say_is_left() -> None:
    moves, hidden, known = asked(Context.prefix, 20)
    unknown = posterior(moves, hidden, FOUR, None)
    language_set = languages("compositional")
    model = model_of(language_set)
    told, untold = (count_masked(model, moves, hidden, some, language_set, 0) for some in (known, unknown))
    for column, values in untold.items():
        by_rules = column[0] in ("top1", "mass") or column == ("masked_accuracy", "trained")
        if by_rules or column[1] == "chance":
            torch.testing.assert_close(values, told[column])
        else:
            assert bool(values.isnan().all()), column
