"""scripts/corpus.py: pictures and numbers of what a training run would read."""

from collections import defaultdict
from itertools import combinations
from typing import Any

import torch
from tqdm import tqdm

from mothello.analysis.corpus_page import write_corpus_page
from mothello.commands.cost.games import surveying_costs
from mothello.commands.entry import command, folder_for
from mothello.commands.loading import family_of, games_of, weights_of
from mothello.commands.train import resolve_device
from mothello.config import ConfigError
from mothello.config.corpora import CorpusCommand
from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.orbit import overlap
from mothello.data.split import Split, corpus
from mothello.data.survey import Counts, count_corpus, divergence, opening_tree, ply_floor
from mothello.data.written import written
from mothello.languages.family import Family
from mothello.othello.notation import move_name
from mothello.rundir import json_text

_OVERLAP_GAMES = 20_000
_DEPTH = 3


def _numbers(games: Corpus, sample: int) -> dict[str, Any]:
    """Everything that is counted of one corpus; its halves held against each other are the noise of a divergence."""
    n = min(sample, len(games))
    halves = [count_corpus(games, 0, n // 2), count_corpus(games, n // 2, n)]
    counts = Counts(*(a + b for a, b in zip(*halves, strict=True)))
    floor = ply_floor(games, min(n, 4096))
    on, have = games.board, counts.played.sum(1)
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
        "openings": [{"moves": [move_name(on, m) for m in node["moves"]], "games": node["games"]} for node in tree],
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
    config: CorpusCommand, family: Family, trained: list[tuple[str, Corpus, int]], against: Corpus
) -> list[Any]:
    """What training corpora share with each other, with ``against``, and with the splits that something is measured on.

    trained: (title, corpus, a language that draws from it).
    """
    named = [*((title, games) for title, games, _ in trained), (f"{config.against} (held against)", against)]
    pairs = [(a, b) for a, b in combinations(named, 2)]
    for split in (Split.validation, Split.probe, Split.transfer):
        try:
            held_out = games_of(config.data, family, split, _OVERLAP_GAMES // 4)
        except ConfigError:  # a stored split may hold none
            continue
        pairs += [((title, games), (split.value, held_out[language])) for title, games, language in trained]
    return [{"one": a, "other": b, **overlap(one, two, _OVERLAP_GAMES)._asdict()} for (a, one), (b, two) in pairs]


def _against(config: CorpusCommand, family: Family) -> Corpus:
    data, on = config.data, family.board
    if config.against == "uniform":
        return corpus(on, data.corpus_seed, Split.validation, config.sample)
    if config.against not in data.domains:
        known = ", ".join(["uniform", *data.domains])
        raise ConfigError(f"against: {config.against!r} is not one of {known}")
    name = config.against
    return mixture(on, data.corpus_seed, Split.validation, config.sample, {name: data.domains[name]})


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
    family = family_of(config)
    weights = weights_of(config.data, family)
    per_language = games_of(config.data, family, Split.train, config.data.games)
    other = _against(config, family)
    names: dict[int, list[str]] = defaultdict(list)
    for name, games in zip(family.names, per_language, strict=True):
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
        "board": family.board.name,
        "languages": dict(zip(family.names, weights, strict=True)),
        "pairing": config.data.draw.pairing.value,
        "against": config.against,
        "divergence": {title: _distance(found[title], found["against"]) for title in titles},
        "overlap": _overlaps(config, family, trained, other),
        "game": written(per_language[0].moves(torch.zeros(1, dtype=torch.int64))[0], family)._asdict(),
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
