"""Legality and alignment compared with one position at a time, and how alignment grows with the number of languages."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from benchmarks.common import BenchConfig, Numbers, best_seconds, main
from benchmarks.figures import language_figure
from benchmarks.reference import published_measures as slow
from benchmarks.steps import SHAPES
from mothello.data.batch import Context, in_language
from mothello.data.oracle import play_oracle
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.legality.estimate import count_legality
from mothello.measures.legality.greedy import greedy_moves
from mothello.measures.masked.posterior import draw_hidden, posterior
from mothello.measures.measure import Subject
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.fit import FittedProbes, fit_probes
from mothello.measures.probes.score import Games, accuracy, evaluate_probes
from mothello.measures.probes.targets import N_CLASSES, TARGETS, board_targets
from mothello.model.build import build_model
from mothello.model.transformer import GPT, ModelConfig
from mothello.othello.board import Board
from mothello.othello.replay import replay, squares_to_moves
from mothello.seeding import generator
from mothello.training.device import Precision, autocast


class Sizes(NamedTuple):
    """Languages, games of each part, and the model's shape (None: the small one's); a test makes them few."""

    languages: tuple[int, ...] = (2, 5, 10, 20)
    ours: int = 2048
    slow: int = 4
    slow_alignment: int = 1
    ten: int = 1000
    growth: int = 200
    fit: int = 64
    hidden: int = 1000
    model: ModelConfig | None = None


SIZES = Sizes()


def random_subject(kinds: list[str], device: torch.device, board_size: int = 6) -> Subject:
    """Random weights, with an output that prefers some tokens: measures take as long as on a trained model."""
    language_set = build_languages(LanguagesConfig(kinds=kinds), Board.of(board_size))
    model = build_model(SIZES.model or SHAPES["small"].config.model, language_set).initialize(0).to(device).eval()
    with torch.no_grad():
        for block in model.blocks:
            for weight in (block.out.weight, block.down.weight):  # type: ignore[union-attr]
                weight.normal_(0, 0.05)  # type: ignore[operator]
        model.head.weight.normal_(0, 1)
    return Subject(model, language_set)


def _probes(subject: Subject) -> FittedProbes:
    config = ProbesConfig(games=SIZES.fit, held_out=16, evaluations=1)
    return fit_probes(subject, corpus(subject.board, 0, Split.probe, 10**6), config)


def _moves(subject: Subject, n: int) -> Tensor:
    return corpus(subject.board, 0, Split.validation, 10**6).moves(torch.arange(n, device=subject.device))


def _lists(moves: Tensor) -> list[list[int]]:
    return [[move for move in game if move >= 0] for game in moves.tolist()]


def _legal_top1(subject: Subject, model: GPT, moves: Tensor) -> int:
    """Plies after which the greedy move is legal, and nothing else; language 0."""
    board, language_set = subject.board, subject.language_set
    legal, right = squares_to_moves(replay(moves, board).legal[:, 1:-1], board), 0
    for rows in torch.arange(len(moves)).split(512):
        with torch.inference_mode():
            move = greedy_moves(model, in_language(moves[rows], 0, language_set), language_set, 0).move
        allowed = legal[rows].gather(-1, move.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        right += int(((move >= 0) & allowed & (moves[rows, 1:] >= 0)).sum())
    return right


def legality(subject: Subject) -> Numbers:
    """Milliseconds per game, ours and one position at a time, for all columns of legality after every ply but the last;
    and the ratio where both count strict top-1 and nothing else. AssertionError where the counts differ."""
    model, language_set, board = subject.model, subject.language_set, subject.board
    assert isinstance(model, GPT)
    many, few = _moves(subject, SIZES.ours), _moves(subject, SIZES.slow)
    request = (model, _lists(few), language_set.languages[0].words, board.moves, board.size)
    totals, counts = slow.legality(*request), count_legality(model, few, language_set, 0)
    assert totals.pop("positions") == int(counts.scored.sum())
    for name, total in totals.items():
        assert abs(total - float(counts.columns[name].sum())) < 1e-3 * (1 + total), f"legality differs in {name}"
    assert _legal_top1(subject, model, few) == totals["top1"], "legality differs in top1 alone"
    theirs = best_seconds(lambda: slow.legality(*request)) / SIZES.slow
    alone = best_seconds(lambda: slow.top1(*request)) / SIZES.slow
    compiled: GPT = torch.compile(model)  # type: ignore[assignment]
    with autocast(subject.device, Precision.auto):
        eager, fast = (
            best_seconds(lambda m=m: count_legality(m, many, language_set, 0, games_at_once=512)) / SIZES.ours  # type: ignore[misc]
            for m in (model, compiled)
        )
        strict = best_seconds(lambda: _legal_top1(subject, compiled, many)) / SIZES.ours
    ours = min(eager, fast)
    return {
        "legality_eager_ms": 1e3 * eager, "legality_compiled_ms": 1e3 * fast, "legality_ours_ms": 1e3 * ours,
        "legality_slow_ms": 1e3 * theirs, "legality_ratio": theirs / ours, "legality_top1_alone_ratio": alone / strict,
    }  # fmt: skip


def _one_probe(probes: FittedProbes, name: str, source: int, layer: int) -> Callable[[Tensor], Tensor]:
    weights = {key: value[layer : layer + 1] for key, value in probes.weights(name, TARGETS[0], source).items()}
    module = probes.modules[name]

    def read(state: Tensor) -> Tensor:
        x = (state - probes.mean[source, layer, 0]) * probes.scale[source, layer, 0]
        return torch.func.functional_call(module, weights, (x[None, None],)).view(-1, N_CLASSES)

    return read


def _slow_alignment(subject: Subject, probes: FittedProbes, games: Tensor) -> tuple[dict[tuple[Any, ...], int], int]:
    """Cells read right by (probe, layer, source, language), and all cells."""
    model, board, languages = subject.model, subject.board, subject.language_set.languages
    n, right, cells = len(languages), dict[tuple[Any, ...], int](), 0
    pairs = [(source, language) for source in range(n) for language in range(n)]
    keys = [(name, layer, *pair) for name in probes.modules for layer in range(subject.n_layers) for pair in pairs]
    for key in tqdm(keys, desc="one position at a time", unit="matrix entry", mininterval=1):
        name, layer, source, language = key
        words, probe = languages[language].words, _one_probe(probes, name, source, layer)
        right[key], cells = slow.cells_read(model, _lists(games), words, probe, layer, board.moves, board.size)
    return right, cells


def _evaluated(subject: Subject, probes: FittedProbes, moves: Tensor) -> float:
    """Seconds of all pairs, layers and probes."""
    start = perf_counter()
    evaluate_probes(subject, probes, moves)
    return perf_counter() - start


def alignment(subject: Subject) -> Numbers:
    """Milliseconds per game for all layers and pairs, MLP and linear probes. The slow loop reads absolute colors as
    they are; ours also reads relative colors, every map, squares, plies and whole boards."""
    probes, few = _probes(subject), _moves(subject, SIZES.slow_alignment)
    exact = Subject(subject.model, subject.language_set, precision=Precision.fp32)
    results = evaluate_probes(exact, probes, few)
    games = Games(few, board_targets(few, subject.board))
    shares = {name: accuracy(result.right, games) for name, result in results.items()}
    start = perf_counter()
    right, cells = _slow_alignment(subject, probes, few)
    theirs = (perf_counter() - start) / SIZES.slow_alignment
    different = max(
        abs(count - float(shares[name][0, layer, source, language, 0]) * cells)
        for (name, layer, source, language), count in right.items()
    )
    assert different < 1 + 1e-3 * cells, f"alignment differs in {different:.0f} of {cells} cells"
    many = _moves(subject, SIZES.ours)
    ours = best_seconds(lambda: _evaluated(subject, probes, many)) / SIZES.ours
    return {
        "alignment_ours_ms": 1e3 * ours, "alignment_slow_ms": 1e3 * theirs, "alignment_ratio": theirs / ours,
        "alignment_different_cells": different, "alignment_cells": cells,
    }  # fmt: skip


def growth(device: torch.device) -> Numbers:
    """Alignment of all pairs and layers by number of languages, on as many games each; and the seconds that ten of them
    take on a thousand games."""
    points, ten, passes = list[dict[str, Any]](), None, 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    for n in SIZES.languages:
        subject = random_subject([f"atomic*{n}"], device)
        probes, passes = _probes(subject), 0
        subject.model.register_forward_hook(count)
        seconds = _evaluated(subject, probes, _moves(subject, SIZES.growth))
        points.append({"languages": n, "games": SIZES.growth, "seconds": round(seconds, 2), "passes": passes})
        each = 1e3 * seconds / SIZES.growth
        print(f"{n:3} languages: {each:.1f} ms per game; {passes} passes for {SIZES.growth:,} games", flush=True)
        if n == 10:
            ten = _evaluated(subject, probes, _moves(subject, SIZES.ten))
            print(f"{n:3} languages: {SIZES.ten:,} games in {ten:.1f} s", flush=True)
    return {"languages": points, "ten_languages_s": ten}


def hidden_moves(device: torch.device) -> Numbers:
    """Seconds for the exact posteriors of hidden moves of 8x8, four a game, with the whole game shown and a prefix."""
    board, numbers = Board.of(8), Numbers()
    moves = corpus(board, 0, Split.probe, SIZES.hidden // 4).moves(torch.arange(SIZES.hidden // 4, device=device))
    for context in Context:
        hidden = draw_hidden(moves, 4, context, generator(0, "hidden", context))
        oracle = play_oracle(board)
        seconds = best_seconds(lambda hidden=hidden, oracle=oracle: posterior(moves, hidden, board, oracle))  # type: ignore[misc]
        numbers[f"posterior_{context.value}_s"] = seconds
        print(f"posteriors of {len(hidden.game):,} hidden moves of 8x8, {context} shown: {seconds:.2f} s", flush=True)
    return numbers


def measures(config: BenchConfig, device: torch.device) -> Numbers:
    """Keys such as "measures.legality_ratio", "measures.alignment_ratio" and "measures.ten_languages_s"."""
    numbers: Numbers = {}
    if config.peers:
        subject = random_subject(["atomic", "atomic"], device)
        for measure in (legality, alignment):
            numbers |= measure(subject)
            ours, theirs, ratio = (numbers[f"{measure.__name__}_{key}"] for key in ("ours_ms", "slow_ms", "ratio"))
            print(f"{measure.__name__}: {ours:.3f} ms per game; one position at a time {theirs:,.0f} ms, "
                  f"{ratio:,.0f} times as long", flush=True)  # fmt: skip
    numbers |= growth(device) | hidden_moves(device)
    return {f"measures.{key}": round(v, 4) if isinstance(v, float) else v for key, v in numbers.items()}


def figure(numbers: Numbers) -> Figure:
    """Alignment by number of languages."""
    return language_figure(numbers["measures.languages"])


if __name__ == "__main__":
    main("measures", measures, figure)
