"""Legality and alignment beside one position at a time, and how alignment grows with languages."""

import importlib
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from mothello.cli.timing.config import BenchCommand
from mothello.cli.timing.opponent import TESTS
from mothello.data.batch import in_language
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.measures.legality.estimate import count_legality
from mothello.measures.legality.greedy import greedy_moves
from mothello.measures.probes.config import ProbeConfig
from mothello.measures.probes.fit import FittedProbes, fit_probes
from mothello.measures.probes.score import Games, accuracy, evaluate_probes
from mothello.measures.probes.targets import N_CLASSES, TARGETS, board_targets
from mothello.model.build import build_model
from mothello.model.transformer import GPT, Activation, ModelConfig, Norm
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_moves
from mothello.training.device import Precision, autocast

SIZE = 6
SMALL = ModelConfig(norm=Norm.rms, activation=Activation.relu2, bias=False, zero_init=True)
"""configs/model/small.yaml."""
LANGUAGES = (2, 5, 10, 20)
_ROUNDS = 3


class Sizes(NamedTuple):
    """Games of each part; a test makes them few."""

    ours: int = 2048
    slow: int = 4
    slow_alignment: int = 1
    ten: int = 1000
    growth: int = 200
    fit: int = 64


SIZES = Sizes()


def _reference() -> Any:
    if not (TESTS / "reference" / "published_measures.py").is_file():
        raise UserError(
            f"target: measures is held against {TESTS / 'reference'}, which is not there; run from a checkout"
        )
    if str(TESTS) not in sys.path:
        sys.path.insert(0, str(TESTS))
    return importlib.import_module("reference.published_measures")


def _model(language_set: LanguageSet, device: torch.device) -> GPT:
    """Random weights, with an output that prefers some tokens: what is measured takes as long as on a trained one."""
    model = build_model(SMALL, language_set).initialize(0).to(device).eval()
    with torch.no_grad():
        for block in model.blocks:
            for weight in (block.out.weight, block.down.weight):  # type: ignore[union-attr]
                weight.normal_(0, 0.05)  # type: ignore[operator]
        model.head.weight.normal_(0, 1)
    return model


def _probes(model: GPT, language_set: LanguageSet) -> FittedProbes:
    few = ProbeConfig(games=SIZES.fit, held_out=16, evaluations=1)
    return fit_probes(
        model, language_set, corpus(language_set.board, 0, Split.probe, few.all_games), few, Precision.auto, "probes"
    )


def _best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds, after one that does not count."""
    work()
    seconds = []
    for _ in range(_ROUNDS):
        begun = perf_counter()
        work()
        seconds.append(perf_counter() - begun)
    return min(seconds)


def _lists(moves: Tensor) -> list[list[int]]:
    return [[move for move in game if move >= 0] for game in moves.tolist()]


def _moves(language_set: LanguageSet, first: int, n: int, device: torch.device) -> Tensor:
    return corpus(language_set.board, 0, Split.validation, 10**6).moves(torch.arange(first, first + n, device=device))


def _strict_alone(model: GPT, language_set: LanguageSet, moves: Tensor) -> int:
    """Plies after which the greedy move is legal, and nothing else; language 0."""
    legal, right = squares_to_moves(replay(moves, language_set.board).legal[:, 1:-1], language_set.board), 0
    for at in range(0, len(moves), 512):
        some = slice(at, at + 512)
        with torch.inference_mode():
            move = greedy_moves(model, in_language(moves[some], 0, language_set), language_set, 0).move
        allowed = legal[some].gather(-1, move.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        right += int(((move >= 0) & allowed & (moves[some, 1:] >= 0)).sum())
    return right


def _legality(language_set: LanguageSet, model: GPT, device: torch.device) -> dict[str, Any]:
    """After every ply but the last: milliseconds a game, ours and one position at a time, for all columns of legality;
    and the ratio where both count strict top-1 and nothing else."""
    slow, board = _reference(), language_set.board
    many, few = _moves(language_set, 0, SIZES.ours, device), _moves(language_set, 0, SIZES.slow, device)
    asked = (model, _lists(few), language_set.languages[0].words, board.moves, SIZE)
    totals, counts = slow.legality(*asked), count_legality(model, few, language_set, 0)
    assert totals.pop("positions") == int(counts.scored.sum())
    for name, total in totals.items():
        assert abs(total - float(counts.columns[name].sum())) < 1e-3 * (1 + total), f"legality differs in {name}"
    theirs, alone = (_best(lambda w=work: w(*asked)) / SIZES.slow for work in (slow.legality, slow.top1))  # type: ignore[misc]
    compiled: GPT = torch.compile(model)  # type: ignore[assignment]
    with autocast(device, Precision.auto):
        eager, fast = (
            _best(lambda m=m: count_legality(m, many, language_set, 0, games_at_once=512)) / SIZES.ours  # type: ignore[misc]
            for m in (model, compiled)
        )
        strict = _best(lambda: _strict_alone(compiled, language_set, many)) / SIZES.ours
    assert _strict_alone(model, language_set, few) == totals["top1"], "legality differs in top1 alone"
    ours = min(eager, fast)
    return {
        "legality_eager_ms": 1e3 * eager, "legality_compiled_ms": 1e3 * fast, "legality_ours_ms": 1e3 * ours,
        "legality_slow_ms": 1e3 * theirs, "legality_ratio": theirs / ours, "legality_top1_alone_ratio": alone / strict,
    }  # fmt: skip


def _alignment(language_set: LanguageSet, model: GPT, probes: FittedProbes, device: torch.device) -> dict[str, Any]:
    """All layers and pairs, MLP and linear probes: seconds a game. Theirs reads absolute colours as they are; ours also
    relative colours, every map, squares, plies, whole boards and the null."""
    slow, board = _reference(), language_set.board
    many, few = _moves(language_set, 0, SIZES.ours, device), _moves(language_set, 0, SIZES.slow_alignment, device)
    layers, n = SMALL.n_layer + 1, len(language_set.languages)
    exact = evaluate_probes(model, language_set, probes, few, Precision.fp32, 10, torch.Generator().manual_seed(0))
    shares = {name: accuracy(result.right, Games(few, board_targets(few, board))) for name, result in exact.items()}
    begun, different, cells = perf_counter(), 0.0, 0
    bar = tqdm(total=len(exact) * layers * n * n, desc="one position at a time", unit="matrix entry", mininterval=1)
    for name, share in shares.items():
        for layer in range(layers):
            for source in range(n):
                probe = _one_probe(probes, name, source, layer)
                for language in range(n):
                    words = language_set.languages[language].words
                    right, cells = slow.cells_read(model, _lists(few), words, probe, layer, board.moves, SIZE)
                    different = max(different, abs(right - float(share[0, layer, source, language, 0]) * cells))
                    bar.update()
    bar.close()
    theirs = (perf_counter() - begun) / SIZES.slow_alignment
    assert different < 1 + 1e-3 * cells, f"alignment differs in {different:.0f} of {cells} cells"
    ours = _best(lambda: evaluate_probes(model, language_set, probes, many, Precision.auto, 1000, torch.Generator()))
    ours /= SIZES.ours
    return {
        "alignment_ours_ms": 1e3 * ours, "alignment_slow_ms": 1e3 * theirs, "alignment_ratio": theirs / ours,
        "alignment_different_cells": different, "alignment_cells": cells,
    }  # fmt: skip


def _one_probe(probes: FittedProbes, name: str, source: int, layer: int) -> Callable[[Tensor], Tensor]:
    weights = {key: value[layer : layer + 1] for key, value in probes.weights(name, TARGETS[0], source).items()}

    def read(state: Tensor) -> Tensor:
        x = (state - probes.mean[source, layer, 0]) * probes.scale[source, layer, 0]
        return torch.func.functional_call(probes.modules[name], weights, (x[None, None],)).view(-1, N_CLASSES)

    return read


class _Passes:
    """Counts the model's forward passes."""

    def __init__(self, model: GPT) -> None:
        self.n = 0
        model.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.n += 1


def _growth(device: torch.device) -> tuple[list[dict[str, Any]], float | None]:
    """Alignment of all pairs and layers by languages, on as many games each; and the seconds that ten of them take on
    as many games as the goal says."""
    points, ten = [], None
    for n in LANGUAGES:
        language_set = build_languages(LanguagesConfig(kinds=[f"atomic*{n}"]), Board.of(SIZE))
        model = _model(language_set, device)
        probes, passes = _probes(model, language_set), _Passes(model)
        seconds = _evaluated(model, language_set, probes, SIZES.growth)
        points.append({"languages": n, "games": SIZES.growth, "seconds": round(seconds, 2), "passes": passes.n})
        each = 1e3 * seconds / SIZES.growth
        print(
            f"{n:3} languages: {SIZES.growth:,} games in {seconds:.1f} s, {each:.1f} ms a game; {passes.n} passes",
            flush=True,
        )
        if n == 10:
            ten = _evaluated(model, language_set, probes, SIZES.ten)
            print(f"{n:3} languages: {SIZES.ten:,} games in {ten:.1f} s", flush=True)
    return points, ten


def _evaluated(model: GPT, language_set: LanguageSet, probes: FittedProbes, games: int) -> float:
    """Seconds of all pairs, layers and probes."""
    moves = _moves(language_set, 0, games, model.head.weight.device)
    begun = perf_counter()
    evaluate_probes(model, language_set, probes, moves, Precision.auto, 1000, torch.Generator())
    return perf_counter() - begun


def _show(name: str, numbers: dict[str, Any]) -> None:
    ours, slow, ratio = (numbers[f"{name}_{key}"] for key in ("ours_ms", "slow_ms", "ratio"))
    print(f"{name}: {ours:.3f} ms a game, one position at a time {slow:,.0f} ms: {ratio:,.0f} times", flush=True)


def measure_numbers(config: BenchCommand, device: torch.device) -> dict[str, Any]:
    """Flat keys "measures.legality_ratio", "measures.alignment_ratio", "measures.ten_languages_s", and more."""
    language_set = build_languages(LanguagesConfig(), Board.of(SIZE))
    model = _model(language_set, device)
    numbers: dict[str, Any] = {}
    if config.peers:
        numbers |= _legality(language_set, model, device)
        _show("legality", numbers)
        numbers |= _alignment(language_set, model, _probes(model, language_set), device)
        _show("alignment", numbers)
    points, numbers["ten_languages_s"] = _growth(device)
    numbers["languages"] = points
    return {f"measures.{key}": round(v, 4) if isinstance(v, float) else v for key, v in numbers.items()}
