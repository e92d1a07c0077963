"""scripts/corpus.py: numbers and figures of the games that a training run would read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from time import perf_counter
from typing import Any

import torch
from tqdm import tqdm

from mothello.cli.main import command
from mothello.config import NOT_IDENTITY, check, ranged
from mothello.data.config import DataConfig
from mothello.data.corpus import Corpus
from mothello.data.domain import mixture
from mothello.data.orbit import overlap
from mothello.data.split import Split, corpus
from mothello.data.survey import Counts, count_corpus, divergence, opening_tree, ply_floor
from mothello.errors import UserError
from mothello.files import json_text, whole_file, write_whole
from mothello.languages.language_set import LanguagesConfig, LanguageSet
from mothello.othello.board import BoardConfig
from mothello.othello.notation import game_text
from mothello.own import folder_for
from mothello.report import corpus_figures
from mothello.report.style import save
from mothello.rows import format_table
from mothello.stages.build import games_of, language_set_of, weights_of
from mothello.training.device import DeviceConfig, resolve


@dataclass(kw_only=True)
class CorpusCommand:
    """scripts/corpus.py: numbers and figures of the games that a training run would read."""

    board: BoardConfig = field(default_factory=BoardConfig)
    data: DataConfig = field(default_factory=DataConfig)
    languages: LanguagesConfig = field(default_factory=LanguagesConfig)
    sample: int = ranged(10_000, low=100)
    """Games to look at."""
    overlap: int = ranged(20_000, low=4)
    """Games of each split to compare."""
    against: str = "uniform"
    """The corpus is compared with uniform random play, or with one of its domains by name."""
    out: str = "corpus"
    """Folder of numbers.json and the figures."""
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    dry_run: bool = False

    def __post_init__(self) -> None:
        check(self, "")
        if "uniform" in self.data.domains:
            raise UserError("data.domains.uniform: against=uniform is uniform random play; choose another name")


FILES = ("numbers.json", "by_ply.png", "lengths.png")
SIGN = '"corpora": {"'
"""What only numbers.json of this command holds."""
AGAINST = "compared with"
"""Name of the corpus that the others are compared with."""


def _count(games: Corpus, sample: int) -> dict[str, Any]:
    """The numbers of one corpus. The divergence between its halves is the noise of a divergence."""
    n = min(sample, len(games))
    halves = [count_corpus(games, 0, n // 2), count_corpus(games, n // 2, n)]
    counts = Counts(*(a + b for a, b in zip(*halves, strict=True)))
    floor = ply_floor(games, min(n, 4096))
    alive, lengths = counts.played.sum(1), counts.lengths.double()
    openings = opening_tree(games.moves(torch.arange(n)), depth=3)
    return {
        "games": n,
        "size": len(games),
        "mean_length": float((lengths * torch.arange(len(lengths))).sum() / lengths.sum()),
        "lengths": counts.lengths.tolist(),
        "passes": counts.passes.tolist(),
        "alive": (alive / n).tolist(),
        "legal": (counts.legal / alive.clamp(min=1)).tolist(),
        "passed": (counts.passed / alive.clamp(min=1)).tolist(),
        "floor": {
            "nats": floor.nats.tolist(),
            "standard_error": floor.standard_error.tolist(),
            "kind": floor.kind,
            "mean": float((floor.nats.nan_to_num() * alive).sum() / alive.sum()),
        },
        "occupied": (counts.discs.sum(-1).double() / alive.clamp(min=1).view(-1, 1)).tolist(),
        "openings": [node | {"moves": game_text(node["moves"], games.board).split()} for node in openings],
        "halves": divergence(*halves)[:2],
        "counts": counts,
    }


def _distance(one: Counts, other: Counts) -> dict[str, Any]:
    """Divergence between two corpora; by ply it is nan where one of them has no game."""
    result = divergence(one, other)
    common = (one.played.sum(1) > 0) & (other.played.sum(1) > 0)
    by_ply = {name: getattr(result, name).where(common, torch.nan).tolist() for name in result._fields[3:]}
    return {"moves": result.moves, "boards": result.boards, "common": result.common, **by_ply}


def _overlaps(
    config: CorpusCommand, language_set: LanguageSet, trained: Mapping[str, tuple[Corpus, int]], against: Corpus
) -> list[dict[str, Any]]:
    """Games that training corpora share with each other, with ``against``, and with the splits of measures.

    trained: corpora by title, each with a language that draws from it.
    """
    named = [(title, games) for title, (games, _) in trained.items()] + [(AGAINST, against)]
    pairs = list(combinations(named, 2))
    for split in (Split.validation, Split.probe, Split.transfer):
        try:
            held_out = games_of(config.data, language_set, split, config.overlap // 4)
        except UserError:  # a stored split may be empty
            continue
        pairs += [((title, games), (split.value, held_out[k])) for title, (games, k) in trained.items()]
    bar = tqdm(pairs, desc="compare", unit="pair", delay=1)
    return [{"one": a, "other": b, **overlap(one, two, config.overlap)._asdict()} for (a, one), (b, two) in bar]


def _against(config: CorpusCommand, language_set: LanguageSet) -> Corpus:
    data, board, name = config.data, language_set.board, config.against
    if name == "uniform":
        return corpus(board, data.corpus_seed, Split.validation, config.sample)
    if name not in data.domains:
        raise UserError(f"against: {name!r} is not one of {', '.join(['uniform', *data.domains])}")
    return mixture(board, data.corpus_seed, Split.validation, config.sample, {name: data.domains[name]})


def _survey(config: CorpusCommand) -> dict[str, Any]:
    """All numbers of the corpora of a config."""
    language_set = language_set_of(config)
    weights = weights_of(config.data, language_set)
    sources = games_of(config.data, language_set, Split.train, config.data.games)
    against = _against(config, language_set)
    trained = {}
    for source, games in enumerate(sources.corpora):
        speakers = [index for index in range(len(sources)) if sources.of_language[index] == source]
        title = ", ".join(language_set.names[index] for index in speakers)
        title = title if len(sources.corpora) > 1 else "all languages"
        own = [config.data.domain_of.get(language_set.names[index]) for index in speakers]
        domains = [name for name in own if name] or list(config.data.domains)
        trained[f"{title} ({', '.join(dict.fromkeys(domains))})" if domains else title] = games, speakers[0]
    distinct = {title: games for title, (games, _) in trained.items()} | {AGAINST: against}
    corpora = {
        title: _count(games, config.sample) for title, games in tqdm(distinct.items(), desc="count", unit="corpus")
    }
    counts = {title: row.pop("counts") for title, row in corpora.items()}
    first = sources[0].moves(torch.zeros(1, dtype=torch.int64))
    game = [move for move in first[0].tolist() if move >= 0]
    return {
        "board": language_set.board.name,
        "languages": dict(zip(language_set.names, weights, strict=True)),
        "pairing": config.data.language_sampling.pairing.value,
        "against": config.against,
        "divergence": {title: _distance(counts[title], counts[AGAINST]) for title in trained},
        "overlap": _overlaps(config, language_set, trained, against),
        "game": {
            "moves": game_text(game, language_set.board),
            "words": {name: language_set.written(first, index) for index, name in enumerate(language_set.names)},
        },
        "corpora": corpora,
    }


def _table(numbers: Mapping[str, Any]) -> str:
    rows: dict[str, dict[str, object]] = {}
    for title, row in numbers["corpora"].items():
        floor, away = row["floor"], numbers["divergence"].get(title, {})
        nats = {"moves": away.get("moves"), "boards": away.get("boards")}
        nats |= dict(zip(("moves, halves", "boards, halves"), row["halves"], strict=True))
        rows[f"{title} {numbers['against']}" if title == AGAINST else title] = {
            "mean plies": row["mean_length"], "floor, nats per move": floor["mean"], "": floor["kind"],
            "common plies": away.get("common"),
        } | {name: None if value is None else f"{value:.4f}" for name, value in nats.items()}  # fmt: skip
    return (
        f"{format_table(rows)}\nmoves, boards: Jensen-Shannon divergence from {numbers['against']} in nats, over the "
        "plies that both have; halves: between the halves of one corpus, by chance"
    )


def survey(config: CorpusCommand) -> dict[str, Any]:
    """Write OUT/numbers.json and the figures, and print a table; returns the numbers."""
    out = folder_for(config.out, FILES, SIGN)
    resolve(config.device)
    if config.dry_run:
        start, share = perf_counter(), 16
        small = {"sample": max(100, config.sample // share), "overlap": max(4, config.overlap // share)}
        numbers = _survey(replace(config, **small))  # type: ignore[arg-type]
        minutes = (perf_counter() - start) * config.sample / small["sample"] / 60
        print(f"games    {config.sample:,} of each of {len(numbers['corpora'])} corpora\nfolder   {out}")
        print(f"minutes  {minutes:.2f}, measured on a {share}th of the games", flush=True)
        return {}
    numbers = _survey(config)
    write_whole(out / "numbers.json", json_text(numbers))
    for name, figure in zip(FILES[1:], (corpus_figures.by_ply, corpus_figures.lengths_and_passes), strict=True):
        with whole_file(out / name) as file:
            save(figure(numbers), file)
    print(f"{_table(numbers)}\ncorpus: {out.resolve()}", flush=True)
    return numbers


main = command("corpus", CorpusCommand, survey)
