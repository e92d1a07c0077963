"""Proves on a model that is known to use what it holds (its stream is the board, in one linear code, and its head plays by
it) that interventions reach no errors, random ones and none at all do; that cases are what they say, against the slow
engine; and on a real model that doing nothing changes nothing and that a game's own states are the game."""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from benchmarks.reference import othello as slow
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.causal.cases import EMPTY, MINE, THEIRS, draw_cases, top_n_errors
from mothello.measures.causal.intervene import EditedPositions, _Steering, directions, interventions, without
from mothello.measures.causal.measure import CausalConfig, causal_rows
from mothello.measures.causal.patch import draw_patches, patched, unpatched
from mothello.measures.causal.summary import causal_summary, errors_by_map
from mothello.measures.measure import Subject
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.linear import LinearProbes
from mothello.measures.probes.targets import board_targets
from mothello.model.build import build_model
from mothello.model.inputs import Inputs
from mothello.model.transformer import Edit, ModelConfig, residual_site
from mothello.othello.board import Board, signed
from mothello.othello.replay import replay, squares_to_moves
from mothello.othello.rules import legal_moves
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS, cell_map
from mothello.rows import as_table
from mothello.training.device import Precision

SIX = Board.of(6)
FAMILY = build_languages(LanguagesConfig(), SIX)
CODE = torch.linalg.qr(torch.randn(108, 108, generator=torch.Generator().manual_seed(0))).Q


def games(n: int) -> Tensor:
    return corpus(SIX, 0, Split.probe, 1000).moves(torch.arange(n))


def subject(model: nn.Module, language_set: LanguageSet = FAMILY) -> Subject:
    return Subject(model, language_set, precision=Precision.fp32)


class Answer(NamedTuple):
    logits: Tensor
    hidden: Tensor | None


@cache
def _boards(shape: torch.Size, moves: bytes) -> Tensor:
    games = torch.frombuffer(bytearray(moves), dtype=torch.int8).view(shape)
    return nn.functional.one_hot(board_targets(games, SIX).classes[1], 3).float().flatten(-2) @ CODE


def boards_of(moves: Tensor) -> Tensor:
    """The relative boards in the code. The same games are asked about again and again."""
    return _boards(moves.shape, moves.numpy().tobytes()).clone()


class Player(nn.Module):
    """Its stream holds the relative board at every layer, in the code; whatever stands there is what it plays by."""

    class config:  # noqa: N801
        n_layer = 2
        d_model = 108

    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> Answer:
        tokens = inputs.tokens
        language = int(tokens[0, 0] >= min(FAMILY.languages[1].ids))
        words = torch.tensor([word[0] for word in FAMILY.languages[language].words])
        move_of = torch.full((FAMILY.vocabulary_size,), -1).scatter_(0, words, torch.arange(len(words)))
        moves = move_of[tokens]
        x = boards_of(moves.to(torch.int8))
        states = []
        for layer in range(3):
            x = x if edit is None else edit(residual_site(layer), x)
            states.append(x)
        read = (x @ CODE.T).unflatten(-1, (36, 3)).argmax(-1)
        bits = torch.tensor([signed(1 << square) for square in SIX.squares])
        own, opponent = ((read == color).long() @ bits for color in (MINE, THEIRS))
        legal = squares_to_moves(legal_moves(own, opponent, SIX), SIX)
        logits = torch.full((*tokens.shape, FAMILY.vocabulary_size), -50.0)
        logits[..., words] = torch.where(legal, 5.0, -5.0)
        return Answer(logits, torch.stack(states) if hidden else None)


def exact_probes() -> FittedProbes:
    module = LinearProbes(2 * 2 * 3, 108, 108, 1, torch.Generator())
    module.W.data[:] = CODE.T.clone()
    return FittedProbes(
        {"linear": module}, ("absolute", "relative"), torch.zeros(2, 3, 1, 108), torch.full((2, 3, 1, 108), 2.0), 1
    )


def test_cases_are_one_disc_away_and_change_the_legal_moves() -> None:
    cases = draw_cases(games(40), SIX, 200, torch.Generator().manual_seed(0))
    assert len(cases.ply) == 200
    assert int(cases.erased.sum()) == 100
    for i in range(0, 200, 7):
        played = [divmod(SIX.moves[m], 8) for m in cases.moves[i, : int(cases.ply[i]) + 1].tolist()]
        state = slow.replay(played, 6)[-1]
        mover = state.mover
        other = "white" if mover == "black" else "black"
        square = divmod(SIX.squares[int(cases.cell[i])], 8)
        assert state.discs[square] == (mover if cases.old[i] == MINE else other)
        discs = dict(state.discs)
        if cases.new[i] == EMPTY:
            del discs[square]
        else:
            discs[square] = mover if cases.new[i] == MINE else other
        for given, after in (
            (cases.legal[i], slow.legal(state.discs, mover, 6)),
            (cases.edited[i], slow.legal(discs, mover, 6)),
        ):
            found = {divmod(SIX.moves[m], 8) for m in given.nonzero().flatten().tolist()}
            assert found == {place for place in after if 8 * place[0] + place[1] in SIX.moves}
        assert cases.edited[i].any()
        assert not torch.equal(cases.edited[i], cases.legal[i])


def test_errors_by_hand() -> None:
    legal = torch.tensor([[True, True, False, False]])
    assert top_n_errors(torch.tensor([[0.4, 0.3, 0.2, 0.1]]), legal).tolist() == [0]
    assert top_n_errors(torch.tensor([[0.4, 0.1, 0.3, 0.2]]), legal).tolist() == [2]  # one false, one missed
    assert top_n_errors(torch.tensor([[0.1, 0.2, 0.3, 0.4]]), legal).tolist() == [4]


def test_a_model_that_plays_by_its_stream_is_steered_and_by_random_directions_is_not() -> None:
    model, probes = Player(), exact_probes()
    cases = draw_cases(games(30), SIX, 60, torch.Generator().manual_seed(0))
    for language in range(2):
        written = EditedPositions(subject(model, FAMILY), language, cases.moves, cases.ply)
        controls = {(e.quantity, e.control): float(e.values.double().mean()) for e in without(written, cases)}
        assert controls["flip_error", "floor"] == controls["erase_error", "floor"] == 0
        assert controls["flip_error", "null"] > 1
        for source in range(2):
            for errors in interventions(written, probes, source, cases, 2.0, 0, ALL_MAPS):
                mean = float(errors.values.double().mean())
                if errors.control == "trained" and errors.map == "identity":
                    assert mean == 0, errors
                else:
                    null = controls[errors.quantity.removesuffix("_once"), "null"]
                    assert mean > 0.5 * null, errors


def test_patching_a_model_that_plays_by_its_stream() -> None:
    model = Player()
    patches = draw_patches(games(30), SIX, 50, torch.Generator().manual_seed(0))
    read = EditedPositions(subject(model, FAMILY), 0, patches.moves, patches.ply)
    for source in range(2):
        for errors in patched(read, patches, source, ALL_MAPS[: None if source else 1]):
            assert (int(errors.values.sum()) == 0) == (errors.map == "identity")
    means = {(e.quantity, e.control): float(e.values.double().mean()) for e in unpatched(read, patches)}
    assert all((mean > 1) == (control == "null") for (_, control), mean in means.items())
    assert all(mean == 0 for (_, control), mean in means.items() if control == "floor")


def test_patches_are_other_positions_at_the_same_ply() -> None:
    patches = draw_patches(games(30), SIX, 50, torch.Generator().manual_seed(0))
    legal = replay(patches.donor, SIX).legal[torch.arange(50), patches.ply + 1]
    assert torch.equal(squares_to_moves(legal, SIX), patches.legal)
    assert (patches.moves[torch.arange(50), patches.ply + 1] >= 0).all()
    assert (patches.donor != patches.moves).any(1).all()


@pytest.mark.parametrize("kinds", [["atomic", "atomic"], ["compositional", "split"]])
def test_a_game_patched_with_itself_is_itself_and_with_a_whole_other_game_is_that(kinds: list[str]) -> None:
    language_set = build_languages(LanguagesConfig(kinds=kinds), SIX)
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=32), language_set).initialize(0).eval()
    moves = games(20)
    patches = draw_patches(moves, SIX, 12, torch.Generator().manual_seed(0))
    read = EditedPositions(subject(model, language_set), 0, patches.moves, patches.ply)
    itself = patches._replace(donor=patches.moves)
    controls = list(unpatched(read, patches))
    plain = {errors.quantity: errors.values for errors in controls if errors.control == "null"}
    for errors in patched(read, itself, 0, OPENING_MAPS[:1]):
        assert torch.equal(errors.values, plain[errors.quantity])
    donor = EditedPositions(subject(model, language_set), 0, patches.donor, patches.ply)
    expected = top_n_errors(donor.answer(None), patches.legal)
    assert all(torch.equal(errors.values, expected) for errors in controls if errors.control == "floor")
    if kinds[0] == "atomic":  # every token is the last of a move, so all that is read is put in
        for errors in patched(read, patches, 0, OPENING_MAPS[:1]):
            if errors.quantity == "patch_all_error":
                assert torch.equal(errors.values, expected)
    torch.testing.assert_close(read.answer(lambda _, x: x), read.answer(None))


def test_rows_and_their_summary() -> None:
    config = CausalConfig(cases=8, draws=50)
    rows = list(causal_rows(subject(Player()), exact_probes(), games(30), config))
    assert {row["control"] for row in rows} == {"trained", "random", "null", "floor"}
    assert all(row["low"] <= row["value"] + 1e-6 and row["value"] <= row["high"] + 1e-6 for row in rows)
    summary = causal_summary(as_table(rows))
    assert summary["patch_all_error"]["floor"] == 0
    assert summary["patch_last_error"]["layer"] == 1
    assert summary["flip_error"]["within"] == summary["flip_error"]["across"] == summary["flip_error"]["floor"] == 0
    assert summary["flip_error"]["null"] > 1
    assert set(summary) >= {"erase_error", "flip_error_once", "patch_all_error", "patch_last_error"}
    assert {row["map"] for row in rows if "map" in row} == set(OPENING_MAPS)
    every = list(causal_rows(subject(Player()), exact_probes(), games(30), replace(config, all_maps=True)))
    assert [row for row in every if row.get("map", "identity") in OPENING_MAPS] == rows
    found = errors_by_map(as_table(every))["flip_error"]
    assert found["identity"] == 0
    assert min(found[name] for name in ALL_MAPS[1:]) > 1
    edited = replace(subject(Player()), control="edited")
    assert "trained" not in {row["control"] for row in causal_rows(edited, exact_probes(), games(30), config)}


@pytest.mark.parametrize("kinds", [["atomic", "atomic"], ["split", "compositional"]])
def test_random_shifts_are_as_long_as_the_probes_own_and_the_same_in_every_pass(kinds: list[str]) -> None:
    language_set = build_languages(LanguagesConfig(kinds=kinds), SIX)
    model = build_model(ModelConfig(n_layer=2, n_head=2, d_model=32), language_set).initialize(0).eval()
    module = LinearProbes(2 * 2 * 3, 32, 108, 1, torch.Generator())
    module.W.data = torch.randn(module.W.shape, generator=torch.Generator().manual_seed(0))
    probes = FittedProbes(
        {"linear": module}, ("absolute", "relative"), torch.zeros(2, 3, 1, 32), torch.full((2, 3, 1, 32), 2.0), 1
    )
    cases = draw_cases(games(20), SIX, 10, torch.Generator().manual_seed(0))
    written = EditedPositions(subject(model, language_set), 0, cases.moves, cases.ply)
    steering = _Steering(directions(probes, 1, cases), 1, False, 2.0, written.ends)
    written.answer(steering)
    assert set(steering.shifts) == {1, 2}
    random = steering.at_random(torch.Generator().manual_seed(1))
    x = torch.zeros(*written.tokens.shape, 32)
    rows = torch.arange(10)
    for layer in (0, 1, 2):
        moved = random(layer, x)[rows, written.ends] - x[rows, written.ends]
        own = steering.shifts.get(layer, torch.zeros(10, 32))
        torch.testing.assert_close(moved.norm(dim=-1), own.norm(dim=-1))
        assert torch.equal(random(layer, x), random(layer, x))
    assert not torch.allclose(random(1, x)[rows, written.ends], steering.shifts[1])


def test_few_cases_and_no_linear_probe() -> None:
    """One case is a flip alone; patching needs no probe; a game too few leaves nothing."""
    probes, model = exact_probes(), Player()
    one = list(causal_rows(subject(model), probes, games(30), CausalConfig(cases=1, draws=20)))
    assert {row["quantity"] for row in one if row["measure"] == "causal"} == {"flip_error", "flip_error_once"}
    none = replace(probes, modules={})
    rows = list(causal_rows(subject(model), none, games(30), CausalConfig(cases=4, draws=20)))
    assert {row["measure"] for row in rows} == {"patching"}
    assert causal_summary(as_table([])) == {}


class Mirror(Player):
    """The second language is held as the half turn shows it: what a model may do with disjoint vocabularies."""

    def forward(self, inputs: Inputs, hidden: bool = False, edit: Edit | None = None) -> Answer:
        if int(inputs.tokens[0, 0]) < min(FAMILY.languages[1].ids):
            return super().forward(inputs, hidden, edit)
        turn = torch.eye(36)[list(cell_map(SIX, "rot180"))].kron(torch.eye(3))
        turned = CODE.T @ turn @ CODE  # of states; its own inverse

        def through(site: str, x: Tensor) -> Tensor:
            return x if edit is None else edit(site, x @ turned) @ turned

        found = super().forward(inputs, hidden, through)
        return found._replace(hidden=None if found.hidden is None else found.hidden @ turned)


def test_a_mirrored_language_is_steered_and_patched_through_its_map_alone() -> None:
    model, probes = Mirror(), exact_probes()
    cases = draw_cases(games(30), SIX, 40, torch.Generator().manual_seed(0))
    written = EditedPositions(subject(model, FAMILY), 1, cases.moves, cases.ply)
    for errors in interventions(written, probes, 0, cases, 2.0, 0, ALL_MAPS):
        if errors.control == "trained":
            assert (int(errors.values.sum()) == 0) == (errors.map == "rot180"), errors
    patches = draw_patches(games(30), SIX, 40, torch.Generator().manual_seed(0))
    read = EditedPositions(subject(model, FAMILY), 1, patches.moves, patches.ply)
    for errors in patched(read, patches, 0, ALL_MAPS):
        assert (int(errors.values.sum()) == 0) == (errors.map == "rot180"), errors
