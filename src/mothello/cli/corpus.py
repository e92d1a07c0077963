"""scripts/corpus.py: pictures and numbers of what a training run would read."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import torch
from tqdm import tqdm

from mothello.cli.cost.games import surveying_costs
from mothello.cli.main import command, folder_for
from mothello.cli.train import resolve_device
from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.example_game import written
from mothello.data.orbit import overlap
from mothello.data.split import Split, corpus
from mothello.data.stream import DataConfig
from mothello.data.survey import Counts, count_corpus, divergence, opening_tree, ply_floor
from mothello.errors import UserError
from mothello.files import json_text
from mothello.languages.language_set import LanguagesConfig, LanguageSet
from mothello.othello.board import BoardConfig
from mothello.othello.notation import move_name
from mothello.report.corpus_page import write_corpus_page
from mothello.stages.build import games_of, language_set_of, weights_of
from mothello.training.device import DeviceConfig


def _positive(name: str, value: int, low: int = 1) -> None:
    if value < low:
        raise UserError(f"{name}: {value} is below {low}")


@dataclass(kw_only=True)
class CorpusCommand:
    """scripts/corpus.py: pictures and numbers of what a training run would read."""

    board: BoardConfig = field(default_factory=BoardConfig)
    data: DataConfig = field(default_factory=DataConfig)
    languages: LanguagesConfig = field(default_factory=LanguagesConfig)
    sample: int = 10_000
    """Games to look at."""
    against: str = "uniform"
    """The corpus is held against uniform random play, or against one of its domains by name."""
    out: str = "corpus"
    """Folder of index.html, figures and numbers.json."""
    device: DeviceConfig = field(default_factory=DeviceConfig)
    dry_run: bool = False

    def __post_init__(self) -> None:
        _positive("sample", self.sample, 100)


_OVERLAP_GAMES = 20_000
_DEPTH = 3


def _numbers(games: Corpus, sample: int) -> dict[str, Any]:
    """Everything that is counted of one corpus; its halves held against each other are the noise of a divergence."""
    n = min(sample, len(games))
    halves = [count_corpus(games, 0, n // 2), count_corpus(games, n // 2, n)]
    counts = Counts(*(a + b for a, b in zip(*halves, strict=True)))
    floor = ply_floor(games, min(n, 4096))
    board, have = games.board, counts.played.sum(1)
    lengths = counts.lengths.double()
    mean = float((lengths * torch.arange(len(lengths))).sum() / lengths.sum())
    tree = opening_tree(games.moves(torch.arange(n)), _DEPTH)
    return {
        "games": n,
        "size": len(games),
        "mean_length": mean,
        "lengths": counts.lengths.tolist(),
        "passes": counts.passes.tolist(),
        "alive": (have / n).tolist(),
        "legal": (counts.legal / have.clamp(min=1)).tolist(),
        "passed": (counts.passed / have.clamp(min=1)).tolist(),
        "floor": {
            "nats": floor.nats.tolist(),
            "standard_error": floor.standard_error.tolist(),
            "kind": floor.kind,
            "mean": float((floor.nats.nan_to_num() * have).sum() / have.sum()),
        },
        "occupied": (counts.discs.sum(-1).double() / have.clamp(min=1).view(-1, 1)).tolist(),
        "openings": [{"moves": [move_name(board, m) for m in node["moves"]], "games": node["games"]} for node in tree],
        "halves": divergence(*halves)[:2],
        "counts": counts,
    }


def _distance(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = divergence(one["counts"], other["counts"])
    shared = (one["counts"].played.sum(1) > 0) & (other["counts"].played.sum(1) > 0)
    found = found._replace(
        moves_by_ply=found.moves_by_ply.where(shared, torch.nan),
        boards_by_ply=found.boards_by_ply.where(shared, torch.nan),
    )
    by_ply = {"moves_by_ply": found.moves_by_ply.tolist(), "boards_by_ply": found.boards_by_ply.tolist()}
    return {"moves": found.moves, "boards": found.boards, "common": found.common, **by_ply}


def _overlaps(
    config: CorpusCommand, language_set: LanguageSet, trained: list[tuple[str, Corpus, int]], against: Corpus
) -> list[Any]:
    """What training corpora share with each other, with ``against``, and with the splits that something is measured on.

    trained: (title, corpus, a language that draws from it).
    """
    named = [*((title, games) for title, games, _ in trained), (f"{config.against} (held against)", against)]
    pairs = [(a, b) for a, b in combinations(named, 2)]
    for split in (Split.validation, Split.probe, Split.transfer):
        try:
            held_out = games_of(config.data, language_set, split, _OVERLAP_GAMES // 4)
        except UserError:  # a stored split may hold none
            continue
        pairs += [((title, games), (split.value, held_out[language])) for title, games, language in trained]
    return [{"one": a, "other": b, **overlap(one, two, _OVERLAP_GAMES)._asdict()} for (a, one), (b, two) in pairs]


def _against(config: CorpusCommand, language_set: LanguageSet) -> Corpus:
    data, board = config.data, language_set.board
    if config.against == "uniform":
        return corpus(board, data.corpus_seed, Split.validation, config.sample)
    if config.against not in data.domains:
        known = ", ".join(["uniform", *data.domains])
        raise UserError(f"against: {config.against!r} is not one of {known}")
    name = config.against
    return mixture(board, data.corpus_seed, Split.validation, config.sample, {name: data.domains[name]})


def _dry(config: CorpusCommand, distinct: list[Corpus], other: Corpus) -> dict[str, Any]:
    n = len(distinct)
    costs = surveying_costs(
        [*distinct, other], config.sample, (n + 1) * n // 2 + 3 * n, _OVERLAP_GAMES, _numbers,
        lambda games: overlap(distinct[0], other, games),
    )  # fmt: skip
    print(costs.table(folder=config.out), flush=True)
    return {}


def survey(config: CorpusCommand) -> dict[str, Any]:
    """Write OUT/numbers.json and OUT/index.html; returns the numbers."""
    out = folder_for(config.out)
    resolve_device(config)
    language_set = language_set_of(config)
    weights = weights_of(config.data, language_set)
    per_language = games_of(config.data, language_set, Split.train, config.data.games)
    other = _against(config, language_set)
    names: dict[int, list[str]] = defaultdict(list)
    for name, games in zip(language_set.names, per_language, strict=True):
        names[id(games)].append(name)
    distinct = list(dict.fromkeys(per_language))
    titles = ["all languages" if len(distinct) == 1 else ", ".join(names[id(games)]) for games in distinct]
    trained = [(title, games, per_language.index(games)) for title, games in zip(titles, distinct, strict=True)]
    if config.dry_run:
        return _dry(config, distinct, other)
    found = {}
    for title, games in tqdm([*zip(titles, distinct, strict=True), ("against", other)], desc="count", unit="corpus"):
        found[title] = _numbers(games, config.sample)
    numbers = {
        "board": language_set.board.name,
        "languages": dict(zip(language_set.names, weights, strict=True)),
        "pairing": config.data.language_sampling.pairing.value,
        "against": config.against,
        "divergence": {title: _distance(found[title], found["against"]) for title in titles},
        "overlap": _overlaps(config, language_set, trained, other),
        "game": written(per_language[0].moves(torch.zeros(1, dtype=torch.int64))[0], language_set)._asdict(),
        "corpora": {title: {k: v for k, v in row.items() if k != "counts"} for title, row in found.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "numbers.json").write_text(json_text(numbers))
    page = write_corpus_page(numbers, out)
    for title in titles:
        print(f"{title}: {_line(numbers, title)}", flush=True)
    print(f"corpus: {page.resolve()}", flush=True)
    return numbers


def _line(numbers: dict[str, Any], title: str) -> str:
    row, away = numbers["corpora"][title], numbers["divergence"][title]
    said = (
        f"mean length {row['mean_length']:.2f}, floor {row['floor']['mean']:.3f} nats a move ({row['floor']['kind']}); "
    )
    if not away["common"]:
        return f"{said}no ply that carries loss in common with {numbers['against']}"
    return (
        f"{said}from {numbers['against']}, on {away['common']:.0%} of their plies: moves {away['moves']:.4f}, "
        f"boards {away['boards']:.4f} nats (its own halves: {row['halves'][0]:.4f}, {row['halves'][1]:.4f})"
    )


main = command("corpus", CorpusCommand, survey)
