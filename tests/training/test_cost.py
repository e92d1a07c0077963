"""Proves: parameters, FLOPs, tokens and bytes are what independent counts say (torch's FLOP counter, real state dicts, torch's
memory tracker, words counted one by one), and what is measured becomes minutes by arithmetic, with a clock made for it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import stream_of
from torch.distributed._tools.mem_tracker import MemTracker
from torch.utils.flop_counter import FlopCounterMode
from training.loops import mean_loss

from mothello.cli.units import minutes, short, size
from mothello.data.batch import LabeledBatch, make_batch
from mothello.data.split import Split, corpus
from mothello.data.stream import Stream
from mothello.languages.language_set import LanguagesConfig, OutputVocabulary, build_languages
from mothello.model.build import build_model
from mothello.model.transformer import GPT, Activation, ModelConfig, Norm
from mothello.objectives.causal_lm import CausalLM, label
from mothello.objectives.objective import Loss
from mothello.objectives.tlm import TranslationLM
from mothello.othello.board import Board
from mothello.training import checkpoint
from mothello.training.budget import activation_bytes, flops_per_token, memory, parameters, sorts_of, tokens_per_game
from mothello.training.device import Precision, autocast
from mothello.training.gradients import backward
from mothello.training.optimizer import OptimizerConfig, OptimizerName, build_optimizer
from mothello.training.plan import Plan

SHAPES = {
    "gpt2": ModelConfig(n_layer=2, n_head=2, d_model=32, dropout=0.1),
    "tied": ModelConfig(n_layer=3, n_head=4, d_model=16, tied=True),
    "modern": ModelConfig(n_layer=2, n_head=2, d_model=24, norm=Norm.rms, activation=Activation.relu2, bias=False, qk_norm=True),
}  # fmt: skip


def made(name: str, kinds: str = "split", games: int = 8) -> tuple[GPT, Stream]:
    language_set = build_languages(LanguagesConfig(kinds=["atomic", kinds]), Board.of(6))
    model = build_model(SHAPES[name], language_set).initialize(0)
    return model, stream_of(corpus(Board.of(6), 0, Split.train, 500), language_set, games, seed=0)


def counted(model: GPT, batch: LabeledBatch, backward: bool) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        loss = CausalLM().loss(model, batch).sum
        if backward:
            loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", SHAPES)
def test_parameters_by_hand(name: str) -> None:
    model, stream = made(name)
    c, vocabulary = model.config, stream.language_set.vocabulary_size
    vectors = (9 + 4 if name != "modern" else 2) * c.d_model  # biases and norms of a block
    blocks = c.n_layer * (12 * c.d_model**2 + vectors) + (2 if name != "modern" else 1) * c.d_model
    found = parameters(model)
    assert found.without_embeddings == blocks + vocabulary * c.d_model  # the head is a product, tied or not
    assert found.products == 12 * c.n_layer * c.d_model**2 + vocabulary * c.d_model
    tables = stream.language_set.max_tokens + (0 if name == "tied" else vocabulary)
    assert found.total == found.without_embeddings + tables * c.d_model == model.n_parameters


@pytest.mark.parametrize("name", SHAPES)
def test_flops_are_what_torch_counts(name: str) -> None:
    model, stream = made(name)
    batch = CausalLM().batch(stream, 0)
    places = batch.targets.numel()
    context = places // len(batch.targets)
    assert places * flops_per_token(model, context) == counted(model, batch, True)
    assert places * flops_per_token(model, context, training=False) == counted(model, batch, False)
    assert places * flops_per_token(model, context + 1) != counted(model, batch, True)


def test_flops_need_no_weights() -> None:
    model, stream = made("gpt2")
    with torch.device("meta"):
        empty = build_model(SHAPES["gpt2"], stream.language_set)
    assert flops_per_token(empty, 40) == flops_per_token(model, 40)
    assert parameters(empty) == parameters(model)


@pytest.mark.parametrize("output", OutputVocabulary)
def test_tokens_are_those_of_the_words(output: OutputVocabulary) -> None:
    language_set = build_languages(
        LanguagesConfig(kinds=["atomic", "split", "compositional"], output=output), Board.of(6)
    )
    moves = corpus(Board.of(6), 0, Split.train, 50).moves(torch.arange(50))
    for index, language in enumerate(language_set.languages):
        games = [[move for move in game if move >= 0] for game in moves.tolist()]
        words = sum(len(language.words[move]) for game in games for move in game)
        found = tokens_per_game(
            sorts_of(label(make_batch(moves, torch.full((50,), index), language_set), language_set))
        )
        assert found.read == words / 50
        followed = words - 50 if output is OutputVocabulary.own else sum(map(len, games)) - 50
        assert found.scored == followed / 50
        assert found.computed == language.max_tokens


@pytest.mark.parametrize("optimizer", OptimizerName)
@pytest.mark.parametrize("name", SHAPES)
def test_weights_and_optimizer_to_the_byte(name: str, optimizer: OptimizerName, tmp_path: Path) -> None:
    model, stream = made(name)
    config = OptimizerConfig(name=optimizer)
    made_by = build_optimizer(model, config)
    mean_loss(model, CausalLM().batch(stream, 0)).backward()
    gradients = sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    made_by.step(1.0)
    states = [x for part in made_by.parts for state in part.state.values() for x in state.values()]
    found = memory(model, config, 10**6)
    assert found.weights == sum({x.data_ptr(): x.nbytes for x in model.state_dict().values()}.values())
    assert found.gradients == gradients
    assert found.optimizer == sum(x.nbytes for x in states if isinstance(x, torch.Tensor))
    checkpoint.save(tmp_path, checkpoint.Checkpoint(1, model.state_dict(), {"optimizer": made_by.state_dict()}))
    written = sum(path.stat().st_size for path in tmp_path.rglob("*.*") if path.is_file())
    assert 0 <= written - found.stored < 500 * (len(states) + 50)  # names and places


@pytest.mark.parametrize("precision", [Precision.fp32, Precision.bf16])
@pytest.mark.parametrize("name", ["gpt2", "modern"])
def test_the_peak_of_a_step_is_found(name: str, precision: Precision) -> None:
    model, stream = made(name, games=64)
    batch, config = CausalLM().batch(stream, 0), OptimizerConfig()
    optimizer = build_optimizer(model, config)

    def step() -> None:
        with autocast(torch.device("cpu"), precision):
            loss = mean_loss(model.train(), batch)
        loss.backward()
        optimizer.step(1.0)

    step()
    tracker = MemTracker()
    tracker.track_external(model, *optimizer.parts)
    with tracker:
        step()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    held = memory(model, config, activation_bytes(model, CausalLM(), sorts_of(batch), precision, 64))
    assert held.peak == pytest.approx(peak, rel=0.06)
    half = memory(model, config, activation_bytes(model, CausalLM(), sorts_of(batch), precision, 32))
    assert half.peak < 0.6 * held.peak


def test_the_peak_of_a_step_in_parts_is_found() -> None:
    """Gradients wait for the parts to come; without them the peak would be found too low."""
    model, stream = made("gpt2", games=64)
    batch, how = CausalLM().batch(stream, 0), OptimizerConfig()
    optimizer = build_optimizer(model.train(), how)
    plan = Plan(steps=1, objective=CausalLM(), optimizer=how, precision=Precision.fp32, seed=0, micro_batches=4)

    tracker = MemTracker()

    def loss(model: GPT, part: Any) -> Loss:
        tracker.reset_mod_stats()  # it knows one forward pass
        return CausalLM().loss(model, part)

    def step() -> None:
        backward(model, batch, loss, plan)
        optimizer.step(1.0)

    step()
    tracker.track_external(model, *optimizer.parts)
    with tracker:
        step()
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    activations = activation_bytes(model, CausalLM(), sorts_of(batch), Precision.fp32, 16)
    assert memory(model, how, activations, 4).peak == pytest.approx(peak, rel=0.06)
    assert memory(model, how, activations, 4).peak - memory(model, how, activations).peak == model.n_parameters * 4
    whole = activation_bytes(model, CausalLM(), sorts_of(batch), Precision.fp32, 64)
    assert memory(model, how, whole).peak > 3 * peak


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_rows_of_two_games_are_counted_as_they_are(share: float) -> None:
    language_set = build_languages(LanguagesConfig(kinds=["atomic*2"], special_tokens=["mask", "sep"]), Board.of(6))
    model = build_model(SHAPES["gpt2"], language_set).initialize(0)
    objective = TranslationLM(TranslationLM.Config(share=share))
    batch = objective.batch(stream_of(corpus(Board.of(6), 0, Split.train, 500), language_set, 64, seed=0), 0)
    sorts = sorts_of(batch)
    assert [sort.rows.targets.shape for sort in sorts] == [(48, 32), (16, 65)][share == 1 :] or share == 1
    tokens = tokens_per_game(sorts)
    assert tokens.computed == (64 - 64 * share) / 64 * 32 + share * 65
    assert 32 * (1 + 0.9 * share) < tokens.read <= 32 * (1 + share) + share  # a game may end early

    kept = activation_bytes(model, objective, sorts, Precision.fp32, 64)
    sizes: dict[int, int] = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda x: sizes.update({x.data_ptr(): x.nbytes}) or x, lambda x: x):
        loss = objective.loss(model.train(), batch).sum
    fixed = {x.data_ptr() for x in (*model.parameters(), *batch.pairs, batch.single.text.tokens, batch.single.targets)}
    saved = sum(size for place, size in sizes.items() if place not in fixed)
    assert loss.requires_grad
    logits = 8 * model.output_size * sum(sort.rows.targets.numel() for sort in sorts)
    assert kept == pytest.approx(saved + logits, rel=0.05)


def test_activations_grow_by_the_game_and_leave_the_model_alone() -> None:
    model, stream = made("gpt2")
    batch = CausalLM().batch(stream, 0)
    before = [p.clone() for p in model.eval().parameters()]
    found = {n: activation_bytes(model, CausalLM(), sorts_of(batch), Precision.fp32, n) for n in (4, 8, 12, 1000)}
    assert found[12] - found[8] == found[8] - found[4] == (found[1000] - found[4]) / 249
    assert not model.training
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, model.parameters(), strict=True))


def test_numbers_are_said_shortly() -> None:
    assert [short(x) for x in (0, 12_345, 123_456, 12_345_678, 1e12, 1.5e15)] == [
        "0",
        "12,345",
        "123 k",
        "12.3 M",
        "1 T",
        "1.50e+15",
    ]
    assert [size(x) for x in (900, 3.3e6, 1.234e9, 2e12)] == ["0.9 kB", "3.3 MB", "1.23 GB", "2 TB"]
    assert [minutes(x) for x in (3, 90, 3600, 3 * 3600, 9 * 86_400)] == [
        "0.05",
        "1.5",
        "60",
        "180 (3.0 hours)",
        "12,960 (9.0 days)",
    ]
