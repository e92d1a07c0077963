"""Proves that legality is counted as defined. Hand-made models whose every flaw is known (an oracle that reads the
visible tokens in plain Python and consults the slow engine) land in the column of their flaw: perfect, foreign,
malformed, legal for the other color, wrong at the end only. Random guessing scores chance. The branched greedy
decoder equals running the model on every truncated game by itself, token by token.
"""

from collections.abc import Callable
from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest
import torch
from games import random_games
from torch import Tensor, nn

from benchmarks.reference import othello as slow
from mothello.data.batch import Batch, in_language
from mothello.languages.anchors import AnchorConfig, Placement, Sharing
from mothello.languages.language import PAD
from mothello.languages.language_set import LanguagesConfig, LanguageSet, OutputVocabulary, build_languages
from mothello.measures.legality.estimate import legality, rules
from mothello.measures.legality.greedy import Greedy, greedy_moves
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.othello.board import Board
from mothello.othello.notation import parse_game

FOUR = Board.of(4)
Word = tuple[int, ...]


class Known(NamedTuple):
    """What the slow engine says after some moves, as move indices."""

    strict: set[int]
    lenient: set[int]
    n_empty: int


@cache
def known(moves: tuple[int, ...], size: int) -> Known:
    geometry = Board.of(size)
    state = slow.replay([divmod(geometry.moves[move], 8) for move in moves], size)[-1]

    def indices(squares: list[slow.Square]) -> set[int]:
        return {geometry.move_of_square[8 * row + column] for row, column in squares}

    both = slow.legal(state.discs, "black", size) + slow.legal(state.discs, "white", size)
    return Known(indices(state.legal), indices(both), size * size - len(state.discs))


def sample(n: int, size: int = 4, seed: int = 0) -> Tensor:
    return random_games(seed, torch.arange(n), Board.of(size))


def plies(moves: Tensor) -> list[tuple[int, ...]]:
    """Moves before every scored position, game by game."""
    games = [[move for move in game if move >= 0] for game in moves.tolist()]
    return [tuple(game[:n]) for game in games for n in range(1, len(game))]


def language_set(
    kinds: list[str], size: int = 4, output: OutputVocabulary = OutputVocabulary.own, **anchors: object
) -> LanguageSet:
    config = LanguagesConfig(kinds=kinds, output=output, anchors=AnchorConfig(**anchors))  # type: ignore[arg-type]
    return build_languages(config, Board.of(size))


class Scripted(nn.Module):
    """Stands in for a GPT: every logit vector is a Python function of the tokens visible at that place.

    Asserts that visible tokens stand at positions 0, 1, 2, ...: the branches of the decoder must read like a row.
    """

    def __init__(self, answer: Callable[[Word], dict[int, float]], n_classes: int, n_positions: int = 200) -> None:
        super().__init__()
        self.n_positions = n_positions
        self.answer, self.n_classes = answer, n_classes
        self.eval()

    def forward(self, inputs: Inputs) -> "Logits":
        tokens, positions, mask = inputs[:3]
        n, length = tokens.shape
        positions = torch.arange(length).expand(n, length) if positions is None else positions
        mask = torch.ones(length, length, dtype=torch.bool).tril() if mask is None else mask
        logits = torch.full((n, length, self.n_classes), -60.0)
        for row, (ids, places, visible) in enumerate(
            zip(tokens.tolist(), positions.tolist(), mask.expand(n, length, length).tolist(), strict=True)
        ):
            for place in range(length):
                seen = sorted((places[k], ids[k]) for k in range(length) if visible[place][k])
                assert [position for position, _ in seen] == list(range(len(seen)))
                word = tuple(token for _, token in seen)
                if PAD not in word:
                    for token, score in self.answer(word).items():
                        logits[row, place, token] = score
        return Logits(logits)


class Logits(NamedTuple):
    logits: Tensor


class Reader:
    """Reads tokens of one language in plain Python and says what may follow."""

    def __init__(self, language_set: LanguageSet, language: int) -> None:
        self.words = language_set.languages[language].words
        self.size = language_set.board.size
        self.unified = language_set.output is OutputVocabulary.unified

    def split(self, tokens: Word) -> tuple[tuple[int, ...], Word]:
        """Moves read, and the tokens of an unfinished word."""
        moves: list[int] = []
        word: Word = ()
        for token in tokens:
            word += (token,)
            if word in self.words:
                moves.append(self.words.index(word))
                word = ()
        return tuple(moves), word

    def after(self, tokens: Word) -> tuple[Known | None, Word]:
        moves, word = self.split(tokens)
        try:
            return known(moves, self.size), word
        except ValueError:  # a branch that spells an illegal move
            return None, word

    def next_tokens(self, allowed: set[int], word: Word) -> dict[int, float]:
        """Probability of each next token (of each move, unified) when the allowed moves are equally likely."""
        if self.unified:
            return {move: 1 / len(allowed) for move in allowed}
        fits = [self.words[move] for move in allowed if self.words[move][: len(word)] == word]
        result: dict[int, float] = {}
        for spelled in fits:
            result[spelled[len(word)]] = result.get(spelled[len(word)], 0) + 1 / len(fits)
        return result


def logs(p: dict[int, float]) -> dict[int, float]:
    return {token: float(np.log(value)) for token, value in p.items()}


def oracle(
    language_set: LanguageSet, language: int, allowed: Callable[[Known], set[int]] = lambda now: now.strict
) -> Scripted:
    """Plays the allowed moves with equal probability, in the language."""
    reader = Reader(language_set, language)

    def answer(tokens: Word) -> dict[int, float]:
        now, word = reader.after(tokens)
        return logs(reader.next_tokens(allowed(now), word)) if now and allowed(now) else {}

    return Scripted(answer, language_set.output_size)


FAMILIES = {
    "naive": lambda output: language_set(["atomic", "split", "compositional"], 4, output),
    "anchors": lambda output: language_set(
        ["atomic", "split", "compositional"], 4, output, count=5, placement=Placement.any
    ),
    "compositional first": lambda output: language_set(
        ["compositional", "atomic", "split"], 4, output, count=5, placement=Placement.any
    ),
    "components": lambda output: language_set(
        ["compositional*2"], 4, output, moves=["b1", "a2"], sharing=Sharing.component
    ),
}


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_perfect_model_is_perfect_in_every_language(name: str, output: OutputVocabulary):
    made = FAMILIES[name](output)
    moves = sample(10)
    for language in range(len(made.languages)):
        result = legality(oracle(made, language), moves, made, language)
        one_token = output is OutputVocabulary.unified or made.languages[language].max_word == 1
        mass = result["mass" if one_token else "mass_first_token"]
        assert mass == pytest.approx(1, abs=1e-6)
        assert ("mass_first_token" in result) != ("mass" in result)
        assert result["top1"] == result["top1_restricted"] == result["lenient"] == 1
        assert result["wrong_language"] == result["malformed"] == result["top1_standard_error"] == 0
        assert all(value in (1, None) for value in result["top1_by_ply"])


@pytest.mark.parametrize("output", OutputVocabulary)
def test_chance_and_rules_are_those_of_the_slow_engine(output: OutputVocabulary):
    made = language_set(["atomic"], 6, output)
    moves = sample(20, 6)
    truth = rules(moves, made)
    asked = [known(prefix, 6) for prefix in plies(moves)]
    assert int(truth.scored.sum()) == len(asked) == int((moves >= 0).sum()) - 20
    at = truth.scored.nonzero().tolist()
    for (game, ply), now in zip(at, asked, strict=True):
        assert set(truth.strict[game, ply].nonzero().flatten().tolist()) == now.strict
        assert set(truth.lenient[game, ply].nonzero().flatten().tolist()) == now.lenient
        assert float(truth.chance[game, ply]) == pytest.approx(len(now.strict) / now.n_empty)
    assert bool((truth.lenient | ~truth.strict).all())


class Guess(nn.Module):
    """An atomic model that guesses among the moves not yet played: random scores, or all the same."""

    def __init__(self, language_set: LanguageSet, seed: int | None) -> None:
        super().__init__()
        self.language_set, self.seed = language_set, seed
        self.n_positions = language_set.max_tokens
        self.eval()

    def forward(self, inputs: Inputs) -> Logits:
        tokens = inputs.tokens
        shape = (*tokens.shape, self.language_set.output_size)
        logits = torch.zeros(shape)
        if self.seed is not None:
            logits = torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))
        played = nn.functional.one_hot(tokens, self.language_set.vocabulary_size).cumsum(1) > 0
        own = self.language_set.own_table[0]
        return Logits(logits.masked_fill(played | ~own, -1e9))


@pytest.mark.parametrize("size", [4, 6, 8])
def test_guessing_among_empty_squares_scores_chance(size: int):
    made = language_set(["atomic*2"], size)
    moves = sample({4: 2000, 6: 600, 8: 200}[size], size)
    result = legality(Guess(made, 0), moves, made, 0, games_at_once=10_000)  # type: ignore[arg-type]
    assert result["top1"] == pytest.approx(result["chance"], abs=5 * result["top1_standard_error"])
    assert result["top1_standard_error"] < 0.01
    assert result["chance"] < 0.7
    even = legality(Guess(made, None), moves, made, 0)  # type: ignore[arg-type]
    assert even["mass"] == pytest.approx(even["chance"], abs=1e-5)
    assert result["lenient"] > result["top1"] + 0.05
    assert result["wrong_language"] == result["malformed"] == 0


@pytest.mark.parametrize("kinds", [["atomic*2"], ["split*2"], ["compositional*2"], ["split", "compositional"]])
def test_tokens_of_another_language_are_wrong_language(kinds: list[str]):
    """The right move in the wrong language; restricted to its own tokens the model is perfect."""
    made = language_set(kinds)
    mine, other = Reader(made, 0), Reader(made, 1)

    def answer(tokens: Word) -> dict[int, float]:
        now, word = mine.after(tokens)
        if now is None or not now.strict:
            return {}
        own, foreign = mine.next_tokens(now.strict, word), other.next_tokens(now.strict, ())
        return {token: 10 + score for token, score in logs(foreign).items()} | logs(own)

    result = legality(Scripted(answer, made.output_size), sample(8), made, 0)
    assert result["wrong_language"] == 1
    assert result["top1"] == result["lenient"] == result["malformed"] == 0
    assert result["top1_restricted"] == 1
    column = "mass" if made.languages[0].max_word == 1 else "mass_first_token"
    assert result[column] == pytest.approx(1 / (1 + np.exp(10)), rel=1e-4)


def test_padding_counts_as_wrong_language():
    made = language_set(["atomic"])
    result = legality(Scripted(lambda _: {PAD: 5.0}, made.output_size), sample(4), made, 0)
    assert (result["wrong_language"], result["malformed"], result["top1"]) == (1, 0, 0)


def test_a_row_token_first_is_malformed():
    made = language_set(["compositional*2"])
    row = made.languages[0].words[0][1]
    result = legality(Scripted(lambda _: {row: 5.0}, made.output_size), sample(8), made, 0)
    assert (result["malformed"], result["wrong_language"], result["top1"], result["top1_restricted"]) == (1, 0, 0, 0)
    assert result["mass_first_token"] < 1e-6


def test_a_start_square_is_malformed():
    """b3 is spelled with a column and a row of the language, but no move is called so."""
    made = language_set(["compositional"])
    column = made.languages[0].words[parse_game("b1", FOUR)[0]][0]
    row = made.languages[0].words[parse_game("a3", FOUR)[0]][1]

    def answer(tokens: Word) -> dict[int, float]:
        return {row: 5.0} if Reader(made, 0).split(tokens)[1] else {column: 5.0}

    result = legality(Scripted(answer, made.output_size), sample(8), made, 0)
    assert (result["malformed"], result["wrong_language"], result["top1"]) == (1, 0, 0)


@pytest.mark.parametrize("continues", ["own", "foreign"])
def test_a_bad_continuation_is_malformed_or_foreign_by_its_first_bad_token(continues: str):
    """The first token is legal, then every unfinished word goes wrong: all words of one token stay right."""
    made = language_set(["split*2"])
    reader = Reader(made, 0)
    words = reader.words
    short = {move for move, word in enumerate(words) if len(word) == 1}
    bad = words[0][0] if continues == "own" else made.languages[1].words[0][0]  # no word continues with a first token

    def answer(tokens: Word) -> dict[int, float]:
        now, word = reader.after(tokens)
        if word:
            return {bad: 5.0}
        return logs(reader.next_tokens({max(now.strict)}, ())) if now and now.strict else {}

    moves = sample(12)
    result = legality(Scripted(answer, made.output_size), moves, made, 0)
    right = np.mean([max(known(prefix, 4).strict) in short for prefix in plies(moves)])
    assert 0 < right < 1
    assert result["top1"] == pytest.approx(right)
    column, other = ("malformed", "wrong_language") if continues == "own" else ("wrong_language", "malformed")
    assert result[column] == pytest.approx(1 - right)
    assert result[other] == 0
    assert result["mass_first_token"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("kind", ["atomic", "split", "compositional"])
def test_legal_for_the_other_color_is_lenient_and_not_strict(kind: str, output: OutputVocabulary):
    made = language_set([kind], 4, output)

    def theirs(now: Known) -> set[int]:
        return (now.lenient - now.strict) or now.strict

    moves = sample(15)
    result = legality(oracle(made, 0, theirs), moves, made, 0)
    asked = [known(prefix, 4) for prefix in plies(moves)]
    assert result["lenient"] == 1
    assert result["top1"] == pytest.approx(np.mean([now.lenient == now.strict for now in asked]))
    assert 0 < result["top1"] < 0.9


@pytest.mark.parametrize("output", OutputVocabulary)
def test_mass_is_the_probability_on_legal_moves(output: OutputVocabulary):
    """All moves equally likely, played or not: mass is legal / 12, and top-1 cannot tell."""
    made = language_set(["atomic"], 4, output)
    offset = 0 if output is OutputVocabulary.unified else 1
    moves = sample(15)
    flat = Scripted(lambda _: {move + offset: 0.0 for move in range(12)}, made.output_size)
    result = legality(flat, moves, made, 0)
    asked = [known(prefix, 4) for prefix in plies(moves)]
    assert result["mass"] == pytest.approx(np.mean([len(now.strict) / 12 for now in asked]))
    assert result["chance"] == pytest.approx(np.mean([len(now.strict) / now.n_empty for now in asked]))


def test_mass_first_token_counts_tokens_that_begin_a_legal_move_once():
    """All four columns equally likely: the mass is the share of columns that hold a legal move."""
    made = language_set(["compositional"])
    words = made.languages[0].words
    columns = {word[0] for word in words}
    moves = sample(15)
    result = legality(Scripted(lambda _: dict.fromkeys(columns, 0.0), made.output_size), moves, made, 0)
    shares = [len({words[move][0] for move in known(prefix, 4).strict}) / 4 for prefix in plies(moves)]
    assert result["mass_first_token"] == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("kind", ["atomic", "split", "compositional"])
def test_the_last_move_is_scored_and_nothing_after_it(kind: str, output: OutputVocabulary):
    """A model that fails exactly where one square is left loses the last move of full games; garbage behind the end
    (the oracle has nothing to say there) costs nothing, as the perfect model above shows."""
    made = language_set([kind], 4, output)
    moves = sample(30)
    lengths = (moves >= 0).sum(1)
    assert set(lengths.tolist()) > {12}
    result = legality(oracle(made, 0, lambda now: now.strict if now.n_empty > 1 else set()), moves, made, 0)
    full = int((lengths == 12).sum())
    assert result["top1"] < 1
    assert result["top1_by_ply"][:-1] == [1.0] * 10
    # with no opinion the model takes the lowest id: in the atomic and unified cases that may happen to be the move
    if kind == "compositional" and output is OutputVocabulary.own:
        assert result["top1_by_ply"][-1] == 0
        assert result["top1"] == pytest.approx(1 - full / int((lengths - 1).sum()))


def test_plies_that_no_game_reaches_have_no_score():
    made = language_set(["atomic"])
    games = random_games(0, torch.arange(3000), FOUR)
    short = games[(games >= 0).sum(1) < 10]
    assert len(short) > 3
    result = legality(Guess(made, 0), short, made, 0)  # type: ignore[arg-type]
    by_ply = result["top1_by_ply"]
    longest = int((short >= 0).sum(1).max())
    assert by_ply[longest - 1 :] == [None] * (11 - longest + 1)
    assert all(isinstance(value, float) for value in by_ply[: longest - 1])


def test_the_standard_error_is_the_delta_method_over_games():
    made = language_set(["atomic"])
    moves = sample(200)
    batch = in_language(moves, 0, made)
    truth = rules(moves, made)
    guess = greedy_moves(Guess(made, 3), batch, made, 0).move  # type: ignore[arg-type]
    right = (truth.strict.gather(-1, guess.clamp(min=0).unsqueeze(-1)).squeeze(-1) & truth.scored).sum(1).numpy()
    scored = truth.scored.sum(1).numpy()
    result = legality(Guess(made, 3), moves, made, 0, games_at_once=200)  # type: ignore[arg-type]
    assert result["top1"] == pytest.approx(right.sum() / scored.sum())
    residual = right - result["top1"] * scored
    assert result["top1_standard_error"] == pytest.approx(residual.std(ddof=1) / scored.mean() / 200**0.5)


def tiny(language_set: LanguageSet, seed: int, sharpness: float = 25.0, spare: int = 8) -> GPT:
    """A random GPT with large weights, so that no two logits are close."""
    config = ModelConfig(n_layer=2, n_head=2, d_model=16)
    model = GPT(
        config, language_set.vocabulary_size, language_set.max_tokens + spare, language_set.output_size
    ).initialize(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.mul_(sharpness)
    return model.eval()


@torch.no_grad()
def one_by_one(
    model: GPT, batch: Batch, language_set: LanguageSet, language: int, restricted: bool = False
) -> dict[tuple[int, int], tuple]:
    """(game, ply) -> (move, foreign, malformed, probabilities): each truncated game by itself, token by token.

    language: whose words are decoded, whatever language the games are in."""
    words = language_set.languages[language].words
    own = {token for word in words for token in word}
    result = {}
    for game, ends in enumerate(batch.move_ends.tolist()):
        for ply, end in enumerate(ends[:-1]):
            if end < 0:
                continue
            row = batch.tokens[game, : end + 1].tolist()
            word: Word = ()
            first = None
            while True:
                logits = model(Inputs(torch.tensor([[*row, *word]]))).logits[0, -1]
                first = logits.softmax(-1) if first is None else first
                if language_set.output is OutputVocabulary.unified:
                    result[game, ply] = (int(logits.argmax()), False, False, first)
                    break
                choices = [
                    (float(score), -token) for token, score in enumerate(logits) if not restricted or token in own
                ]
                word += (-max(choices)[1],)
                foreign = word[-1] not in own
                open_word = any(other[: len(word)] == word and other != word for other in words)
                if foreign or not open_word:
                    move = words.index(word) if word in words else -1
                    result[game, ply] = (move, foreign, move < 0 and not foreign, first)
                    break
    return result


def agree(found: Greedy, expected: dict[tuple[int, int], tuple]) -> None:
    for (game, ply), (move, foreign, malformed, probabilities) in expected.items():
        at = game, ply
        assert (int(found.move[at]), bool(found.wrong_language[at]), bool(found.malformed[at])) == (
            move,
            foreign,
            malformed,
        )
        torch.testing.assert_close(found.probabilities[at], probabilities, atol=1e-5, rtol=1e-4)


GREEDY = {
    "atomic": language_set(["atomic*2"]),
    "split": language_set(["split*2"]),
    "compositional": language_set(["compositional", "split"]),
    "mixed with anchors": language_set(["atomic", "split", "compositional"], count=5, placement=Placement.any),
    "split leads the anchors": language_set(["split", "compositional", "atomic"], count=5, placement=Placement.any),
    "6x6": language_set(["compositional", "split"], 6, count=6),
}


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("name", sorted(GREEDY))
def test_branched_decoding_equals_one_truncated_game_at_a_time(name: str, restricted: bool):
    made = GREEDY[name]
    size = made.board.size
    outcomes: set[str] = set()
    for language in range(len(made.languages)):
        for seed in range(6 if size == 4 else 1):
            model = tiny(made, seed)
            batch = in_language(sample(4 if size == 4 else 2, size, seed), language, made)
            with torch.no_grad():
                found = greedy_moves(model, batch, made, language, language if restricted else None)
            expected = one_by_one(model, batch, made, language, restricted)
            agree(found, expected)
            for move, foreign, malformed, _ in expected.values():
                outcomes.add("foreign" if foreign else "malformed" if malformed else "move" if move >= 0 else "?")
    wanted = {"move"} | (set() if restricted else {"foreign"}) | (set() if name == "atomic" else {"malformed"})
    assert outcomes == wanted  # the comparison saw every way it can go


@pytest.mark.parametrize("name", sorted(set(GREEDY) - {"6x6"}))
def test_moves_of_one_language_answered_in_the_words_of_another(name: str):
    made = GREEDY[name]
    for asked, answering in permutations(range(len(made.languages)), 2):
        batch, model = in_language(sample(4), asked, made), tiny(made, 1)
        with torch.no_grad():
            found = greedy_moves(model, batch, made, asked, answering)
        agree(found, one_by_one(model, batch, made, answering, restricted=True))
        assert not found.wrong_language.any()


def test_branched_decoding_of_a_unified_model():
    made = language_set(["split", "compositional"], output=OutputVocabulary.unified)
    for language in range(2):
        batch = in_language(sample(4), language, made)
        model = tiny(made, 0)
        with torch.no_grad():
            agree(greedy_moves(model, batch, made, language), one_by_one(model, batch, made, language))


@pytest.mark.parametrize("name", ["split", "compositional", "mixed with anchors"])
def test_a_model_without_spare_positions_decodes_every_legal_move_alike(name: str):
    """Real models have no position behind the longest game. Words that would not fit are never legal ones, so the
    same weights with more positions find the same legal moves and call the same others wrong."""
    made = GREEDY[name]
    for language in range(len(made.languages)):
        moves = sample(30)
        tight, spare = tiny(made, 1, spare=0), tiny(made, 1, spare=8)
        state = tight.state_dict()
        rows = state["position_embedding.weight"]
        state["position_embedding.weight"] = torch.cat([rows, torch.randn(8, rows.shape[1])])
        spare.load_state_dict(state)
        results = [legality(model, moves, made, language) for model in (tight, spare)]
        for column in ("top1", "top1_restricted"):
            assert results[0][column] == results[1][column]


@pytest.mark.parametrize("output", OutputVocabulary)
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_lenient_is_at_least_strict_and_columns_are_shares(name: str, output: OutputVocabulary):
    made = FAMILIES[name](output)
    for language in range(len(made.languages)):
        result = legality(tiny(made, 0), sample(40), made, language)
        assert result["lenient"] >= result["top1"]
        assert result["lenient"] + result["wrong_language"] + result["malformed"] <= 1 + 1e-9
        for key, value in result.items():
            assert key == "top1_by_ply" or 0 <= value <= 1 + 1e-6


def test_results_do_not_depend_on_how_many_games_are_scored_at_once():
    made = GREEDY["mixed with anchors"]
    model = tiny(made, 0)
    one, other = (legality(model, sample(23), made, 2, games_at_once=n) for n in (5, 64))
    for key, value in one.items():
        assert value == pytest.approx(other[key], abs=1e-6)


def test_measuring_changes_nothing():
    made = GREEDY["split"]
    model, moves = tiny(made, 0), sample(10)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    kept, random_state = moves.clone(), torch.get_rng_state()
    legality(model, moves, made, 0)
    assert torch.equal(moves, kept)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_legality_is_measured_in_eval_mode_and_on_legal_games():
    made = GREEDY["atomic"]
    with pytest.raises(AssertionError, match="eval mode"):
        legality(tiny(made, 0).train(), sample(2), made, 0)
    moves = sample(2)
    moves[1, 3] = moves[1, 2]
    with pytest.raises(AssertionError, match="not legal themselves"):
        rules(moves, made)
