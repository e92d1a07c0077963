"""Domains: sources of games, of a language or of a part of the mixture.

A domain is random play under a policy, after an opening, within a range of plies, or a folder of stored games. Corpora
of different domains correspond to monolingual corpora about different subjects.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mothello.config import NOT_IDENTITY, ranged, without_effect
from mothello.data.corpus import Corpus, Mixture, Window
from mothello.data.enumerated import EnumeratedPlay
from mothello.data.oracle import Oracle, play_oracle
from mothello.data.split import PARTS, Split, corpus
from mothello.data.stored import StoredError, StoredGames, read_index
from mothello.errors import UserError, keyed
from mothello.files import fingerprint
from mothello.othello.board import Board
from mothello.othello.facts import FactsConfig, rule_of
from mothello.othello.notation import parse_move
from mothello.othello.policy import PolicyConfig
from mothello.seeding import derive


@dataclass(kw_only=True)
class DomainConfig:
    """One source of games; by default uniform random play."""

    weight: float = ranged(1.0, above=0)
    """Share of a mixture, relative to the other domains."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    prefix: list[str] = field(default_factory=list)
    """Opening of every game, such as [c2, b2, a2]."""
    plies: list[int] = field(default_factory=list)
    """[first, last]: games end before ply last, plies before first carry no loss; by default all plies."""
    facts: FactsConfig = field(default_factory=FactsConfig)
    """Openings that one fixed legal move always follows; all other games stay as they are."""
    folder: str = field(default="", metadata={"identity": lambda domain: domain.content or domain.folder})
    """Stored games (scripts/generate.py, scripts/import_games.py) instead of random play."""
    content: str = field(default="", metadata=NOT_IDENTITY)
    """Which games the folder holds: the hash of their index, by which a run knows them wherever they lie. Found out."""

    def __post_init__(self) -> None:
        with suppress(StoredError):  # which is reported when the games are opened
            self.content = self.content or fingerprint(read_index(Path(self.folder))) if self.folder else ""

    def check(self, key: str) -> None:
        """UserError for settings that do not go together. key: where the domain stands, "data.domains.NAME"."""
        if len(self.plies) not in (0, 2):
            raise UserError(f"{key}.plies: {self.plies} is not [first, last]")
        if self.folder and (self.prefix or not self.policy.uniform):
            raise UserError(f"{key}.folder: {self.folder} holds finished games; leave policy and prefix out")
        self._check_facts(f"{key}.facts")

    def _check_facts(self, key: str) -> None:
        count, plies = self.facts.count, self.facts.plies
        if not count:
            without_effect(self.facts, key, "without count", "plies", "withheld")
        elif self.folder or self.prefix:
            other = "folder" if self.folder else "prefix"
            raise UserError(f"{key}: are openings of games played from the start; leave {other} out")
        elif self.plies and not self.facts.withheld and not self.plies[0] <= plies < self.plies[1]:
            raise UserError(f"{key}: the move after {plies} plies is not in plies={self.plies}; nothing is taught")

    @property
    def plain(self) -> bool:
        """Uniform random play of whole games from the start, but for facts."""
        return not (self.folder or self.prefix or self.plies) and self.policy.uniform


def _seed(domain: DomainConfig, prefix: list[int], seed: int) -> int:
    """Seed of a domain: different domains share no random number; the default domain has the corpus' seed, and
    facts change none: they leave all other games as they are."""
    if domain.plain:
        return seed
    return derive(seed, "domain", *domain.policy.units, "prefix", *prefix, "plies", *domain.plies)


def source_oracle(board: Board, source: Mapping[str, Any], split: Split) -> Oracle | None:
    """The oracle of stored games: of generated games their generator's, of recorded games None."""
    if source.get("kind") != "generated":
        return None
    prefix = [parse_move(text, board) for text in source["prefix"]]
    policy = PolicyConfig(**source["policy"])
    if board.size == 4:
        return EnumeratedPlay(board, 0, 1, PARTS[split], prefix, policy).oracle
    return play_oracle(board, prefix, policy)


def _opening(domain: DomainConfig, board: Board) -> list[int]:
    with keyed("prefix: "):
        return [parse_move(text, board) for text in domain.prefix]


def domain_corpus(board: Board, seed: int, split: Split, size: int, domain: DomainConfig) -> Corpus:
    """Games of one domain and split. UserError names what does not fit: prefix, plies, folder."""
    if domain.folder:
        name = (index := read_index(Path(domain.folder)))["board"]
        if name != board.name:
            raise UserError(f"folder: {domain.folder} holds {name} games, the board is {board.name}")
        if domain.content not in ("", fingerprint(index)):
            raise UserError(f"content: {domain.folder} holds other games, {fingerprint(index)}, not {domain.content}")
        stored = StoredGames(domain.folder, PARTS[split], size)
        try:
            games: Corpus = stored.with_oracle(source_oracle(board, index["source"], split))
        except (KeyError, TypeError, UserError) as error:
            file = Path(domain.folder) / "corpus.json"
            raise StoredError(f"folder: {file} is damaged (source: {error})") from None
    else:
        prefix = _opening(domain, board)
        rule = rule_of(board, domain.facts)
        games = corpus(board, _seed(domain, prefix, seed), split, size, prefix, domain.policy, rule)
    return Window(games, *domain.plies) if domain.plies else games


def mixture(board: Board, seed: int, split: Split, size: int, domains: Mapping[str, DomainConfig]) -> Corpus:
    """Games of several domains in proportion to their weights. UserError names the domain.

    A folder that is the only domain must hold ``size`` training games. Among other domains its games repeat, and of
    another split it may hold fewer.
    """
    sources = []
    for name, domain in domains.items():
        with keyed(f"domains.{name}."):
            available = size
            if domain.folder and (len(domains) > 1 or split is not Split.train):
                available = max(1, min(size, StoredGames(domain.folder, PARTS[split]).available))
            sources.append(domain_corpus(board, seed, split, available, domain))
    if len(sources) == 1:
        return sources[0]
    return Mixture(sources, [d.weight for d in domains.values()], derive(seed, "mixture", split.value), size)
