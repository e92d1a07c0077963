"""Proves: two copies of one model stitch with no loss at every layer, also where the copy writes other tokens, or knows
the games as a symmetry shows them, under that map alone; states of random weights, and upper blocks of random weights,
leave no more than a guess; between widths a map is needed; what cannot be stitched is refused in one line."""

import copy
from dataclasses import replace

import pandas as pd
import pytest
import torch
from torch import Tensor

from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.config import LanguagesConfig
from mothello.languages.language_set import LanguageSet, build_languages
from mothello.languages.traits import Marker, Traits
from mothello.measures.alignment.procrustes import fit_rotation
from mothello.measures.measure import Subject
from mothello.measures.positions import mirrored
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.stitch.measure import Map, Stitch, StitchConfig
from mothello.measures.stitch.stitched import Bridge, Stitched, one_token_a_move
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, ModelConfig
from mothello.othello.board import Board
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.rows import QUANTITIES, as_table
from mothello.training.device import Precision

FOUR = Board.of(4)
TWO = build_languages(LanguagesConfig(kinds=["atomic*2"]), FOUR)
SPLIT = build_languages(LanguagesConfig(kinds=["split"]), FOUR)
PROBES = ProbesConfig(probes=["linear"], games=128, batch_size=16, test_games=40, held_out=16, evaluations=1, draws=20)
FEW = StitchConfig(games=100, draws=20, probes=PROBES, tasks=["flips"], languages=1)


def subject(languages: LanguageSet = TWO, seed: int = 0, d_model: int = 32) -> Subject:
    """A model with weights large enough for every layer to change states."""
    shape = ModelConfig(n_layer=2, n_head=2, d_model=d_model)
    model = build_model(shape, languages).initialize(seed).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return Subject(model, languages, precision=Precision.fp32)


def games(n: int, first: int = 0) -> Tensor:
    return corpus(FOUR, 0, Split.train, 20_000).moves(torch.arange(first, first + n))


def bridges(lower: Subject, spoken: int, upper: Subject, name: str) -> list[Bridge]:
    """Of every layer, fitted on other games than those of the tests."""
    moves = games(300, 10_000)
    x, y = lower.states(mirrored(moves, FOUR, name), spoken), upper.states(moves, 0)
    played = moves >= 0
    exact = [fit_rotation(one[played].double(), other[played].double()) for one, other in zip(x, y, strict=True)]
    return [type(one)(*(part.float() for part in one)) for one in exact]


def logits(model: GPT | Stitched, moves: Tensor) -> Tensor:
    with torch.no_grad():
        return model(Inputs.of(in_language(moves, 0, TWO))).logits[moves >= 0]


def renamed(name: str) -> Subject:
    """The same model, whose second language names every move as the first one names its image under a map."""
    found = subject()
    first, second = (torch.tensor(language.words).squeeze(1) for language in TWO.languages)
    weight = found.model.token_vectors(0)
    weight[second] = weight[first[torch.tensor(move_map(FOUR, name))]]
    return found


@pytest.mark.parametrize("planted", OPENING_MAPS)
def test_a_copy_that_writes_other_tokens_stitches_with_no_loss_under_its_own_map_alone(planted: str) -> None:
    upper, lower, moves = subject(), renamed(planted), games(40)
    known = logits(upper.model, moves)
    for name in OPENING_MAPS:
        for layer, bridge in enumerate(bridges(lower, 1, upper, name)):
            made = logits(Stitched(upper, 0, lower, 1, layer, bridge, name), moves)
            error = float((made - known).square().mean() / known.var())
            assert (error < 1e-6) == (name == planted)
            assert error < 1e-6 or error > 1e-2


def test_the_states_of_a_wordier_model_stand_at_the_plies_of_the_upper_one() -> None:
    upper, lower, moves = subject(), subject(SPLIT, 1), games(20)
    played = moves >= 0
    for layer in range(3):
        model = Stitched(upper, 0, lower, 0, layer, lambda states: states, "identity")
        made = replace(upper, model=model).states(moves, 0)
        torch.testing.assert_close(made[layer][played], lower.states(moves, 0)[layer][played])
        torch.testing.assert_close(made[:layer][:, played], upper.states(moves, 0)[:layer][:, played])


def test_rows_do_not_see_each_other_and_edits_come_after_the_stitch() -> None:
    upper, lower, moves = subject(), subject(seed=1), games(6)
    model = Stitched(upper, 0, lower, 0, 1, lambda states: states, "identity")
    both = replace(upper, model=model).states(moves, 0)
    torch.testing.assert_close(replace(upper, model=model).states(moves[2:4], 0), both[:, 2:4], atol=1e-5, rtol=1e-4)
    edited = replace(upper, model=model).edited(lambda site, x: 0 * x if site == "blocks.0.resid_post" else x)
    assert float(edited.states(moves, 0)[1].abs().max()) == 0


def test_between_widths_the_map_is_that_of_the_narrower_side_with_zeros() -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 6, generator=draw), torch.randn(200, 9, generator=draw)
    wide = torch.nn.functional.pad(x, (0, 3))
    known = fit_rotation(wide, y)
    torch.testing.assert_close(fit_rotation(x, y)(x), known(wide), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fit_rotation(y, x)(y), fit_rotation(y, wide)(y)[:, :6], atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def trained() -> Subject:
    """A model that has learned something of the game."""
    found = subject()
    model, moves = found.model, games(64 * 100)
    rate = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for some in moves.split(64):
        batch = in_language(some, 0, TWO)
        made = model(Inputs.of(batch)).logits[:, :-1].flatten(0, 1)
        rate.zero_grad()
        torch.nn.functional.cross_entropy(made, batch.tokens[:, 1:].flatten(), ignore_index=0).backward()
        rate.step()
    return found


@pytest.fixture(scope="module")
def rows(trained: Subject) -> pd.DataFrame:
    return as_table(Stitch(FEW)(replace(trained, other=replace(trained))))


def test_two_copies_lose_nothing_and_random_weights_are_worth_a_guess(rows: pd.DataFrame) -> None:
    assert set(rows.quantity) <= set(QUANTITIES)
    legal = rows[rows.quantity == "top1"].set_index("control").value
    assert legal["trained"] == legal["other"] > legal["chance"] + 0.15
    stitched = rows[rows.control == "stitched"]
    assert len(stitched) == 4 * 3 * (2 + 2 + 1)
    same = stitched[stitched["map"] == "identity"]
    for quantity in ("top1", "mass"):
        own = rows[(rows.control == "trained") & (rows.quantity == quantity)].value.item()
        assert same[same.quantity == quantity].value.tolist() == pytest.approx([own] * 3, abs=0.01)
    for target in ("absolute", "relative", "flips"):  # at the best layer; after it, where they are stitched
        own = rows[(rows.control == "trained") & (rows.target == target)]
        up_to = same[(same.target == target) & (same.layer <= own.layer.item())]
        assert up_to.value.tolist() == pytest.approx([own.value.item()] * len(up_to), abs=0.01)
    lost = rows[(rows.control == "random_weights") & (rows.quantity == "top1") & (rows.layer > 0)]
    assert lost.value.max() < legal["chance"] + 0.1  # at layer 0 they still are words, one for one
    assert "stitched, identity" in Stitch(FEW).summary(rows)


def test_the_languages_of_one_model_are_stitched_where_there_is_no_other(trained: Subject) -> None:
    """The second language is a copy of the first, so that nothing is lost between the two."""
    found, words = copy.deepcopy(trained.model), [torch.tensor(x.words).squeeze(1) for x in TWO.languages]
    with torch.no_grad():
        found.token_embedding.weight[words[1]] = found.token_embedding.weight[words[0]]
    config = replace(FEW, languages=2, random_weights=False, tasks=[])
    rows = as_table(Stitch(config)(replace(trained, model=found)))
    assert set(rows.control) == {"trained", "chance", "stitched"}
    stitched = rows[rows.control == "stitched"]
    assert set(zip(stitched.source, stitched.language, strict=True)) == {
        ("atomic_0", "atomic_1"),
        ("atomic_1", "atomic_0"),
    }
    legal = rows[(rows.quantity == "top1") & (rows.language == "atomic_0")]
    same = legal[(legal.control == "stitched") & (legal["map"] == "identity")]
    own = legal[legal.control == "trained"].value.item()
    assert same.value.tolist() == pytest.approx([own] * 3, abs=0.01)


def test_upper_blocks_of_random_weights_are_worth_a_guess(trained: Subject) -> None:
    config = replace(FEW, random_weights=False, tasks=[])
    found = as_table(Stitch(config)(replace(trained.random_weights(), other=trained)))
    legal = found[found.quantity == "top1"]
    chance = legal[legal.control == "chance"].value.item()
    assert legal[legal.control == "stitched"].value.max() < chance + 0.1
    assert legal[legal.control == "other"].value.item() > chance + 0.15


def test_what_cannot_be_stitched_is_refused_in_one_line() -> None:
    marked = LanguagesConfig(kinds=["atomic*2"], traits={"atomic_0": Traits(mover=Marker.before)})
    languages = build_languages(marked, FOUR).languages
    assert [one_token_a_move(one) for one in (*languages, *SPLIT.languages)] == [False, True, False]
    one = subject()
    for upper, other, config, line in (
        (one, None, FEW, "other: measures=.stitch. of one language compares"),
        (subject(SPLIT), one, FEW, "measures: stitch needs a language of the run"),
        (one, subject(d_model=16), replace(FEW, map=Map.none), "stitch.map: none needs one width.* 16, the run 32"),
        (one, subject(seed=1), replace(FEW, games=129), "stitch.games: 129 is above"),
    ):
        with pytest.raises(UserError, match=f"^{line}"):
            next(Stitch(config)(replace(upper, other=other)))
    with pytest.raises(UserError, match=r"^stitch[.]tasks"):
        StitchConfig(tasks=["guess"])
