"""From a training's config to its parts: languages, games."""

from collections.abc import Mapping
from typing import Any

from mothello.data.config import DataConfig
from mothello.data.domain import mixture
from mothello.data.sources import Sources
from mothello.data.split import Split, corpus
from mothello.errors import UserError, keyed
from mothello.languages.language_set import LanguageSet, build_languages
from mothello.objectives.combined import build_objective
from mothello.objectives.objective import check_objective
from mothello.othello.board import Board
from mothello.othello.facts import FactsConfig
from mothello.othello.notation import parse_move


def language_set_of(config: Any) -> LanguageSet:
    """The languages of a config. UserError names the key that does not fit."""
    return build_languages(config.languages, Board.of(config.board.size))


def games_of(data: DataConfig, language_set: LanguageSet, split: Split, size: int) -> Sources:
    """Games of one split, for each language. UserError names the key that does not fit."""
    board = language_set.board
    unknown = set(data.domain_of) - set(language_set.names)
    if unknown:
        raise UserError(f"data.domain_of: no language {min(unknown)!r}; there are {', '.join(language_set.names)}")
    weights_of(data, language_set)
    with keyed("data.prefix: "):
        prefix = [parse_move(text, board) for text in data.prefix]
    with keyed("data."):
        if not data.domains:
            return Sources.shared(corpus(board, data.corpus_seed, split, size, prefix), len(language_set.names))
        domains = [data.domain_of.get(name, "") for name in language_set.names]  # "": the mixture of all
        parts = {name: {name: data.domains[name]} if name else data.domains for name in domains}
        corpora = {name: mixture(board, data.corpus_seed, split, size, part) for name, part in parts.items()}
    return Sources(list(corpora.values()), [list(corpora).index(name) for name in domains])


def training_games(config: Any, language_set: LanguageSet, split: Split, mixed: bool = True) -> Sources:
    """The games that a stage is trained on. UserError when its objective or model cannot learn from them. mixed: its
    batches mix languages."""
    games = games_of(config.data, language_set, split, config.data.games)
    check_objective(build_objective(config.objective, config.auxiliary), games, config.data, language_set, config.model)
    sampling, switching = config.data.language_sampling, config.data.code_switching
    switching.check_languages(language_set)
    if config.model.separate and switching.probability:
        raise UserError("data.code_switching: a game holds words of several languages; leave out model.separate")
    if config.model.separate and len(language_set.languages) > 1 and mixed and not sampling.grouped:
        raise UserError("model.separate: needs batches sorted by language; set data.language_sampling.grouped=true")
    if sampling.grouped:
        sampling.sizes(len(language_set.languages), config.data.batch_size)
    return games


def coverage_of(content: Mapping[str, Any]) -> float:
    """Share of moves in the dictionary that a training reads, the largest of several; 1 without one. content: of its
    config.yaml."""
    switching = content["data"].get("code_switching", {})
    others = [*(content.get(key, {}) for key in ("objective", "settings")), *content.get("auxiliary", {}).values()]
    others += [one["aligner"] for one in others if "aligner" in one]
    shares = [one["coverage"] for one in others if "coverage" in one]
    if switching.get("probability"):
        shares.append(switching["coverage"])
    return max(shares, default=1.0)


def facts_of(content: Mapping[str, Any]) -> FactsConfig | None:
    """The facts that a training teaches; None: none. content: of its config.yaml."""
    each = [FactsConfig(**domain.get("facts", {})) for domain in content["data"].get("domains", {}).values()]
    return next((facts for facts in each if facts.count and not facts.withheld), None)


def weights_of(data: DataConfig, language_set: LanguageSet) -> list[float]:
    """How often each language occurs at the end of training. UserError when shares or epochs do not fit."""
    data.language_sampling.check_epochs(data.epochs, len(language_set.names))
    data.language_sampling.weights(len(language_set.names))
    return data.language_sampling.weights(len(language_set.names), end=True)
