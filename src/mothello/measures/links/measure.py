"""The measure "links": how well aligners find which words of two languages are translations of each other."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations
from math import ceil
from typing import Any, NamedTuple

import torch
from jaxtyping import Int8
from torch import Tensor
from tqdm import tqdm

from mothello.aligners.aligner import ALIGNERS, Aligner, build_aligner, side, typed_aligner
from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged, without_effect
from mothello.data.batch import Context, in_language
from mothello.data.batch import rows as rows_of
from mothello.data.split import probe_corpus
from mothello.errors import UserError
from mothello.languages.dictionary import require_several
from mothello.measures.links.score import Counts, count, scores
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.rows import Table, format_table
from mothello.seeding import generator

GAMES_AT_ONCE = 64
Aligners = dict[tuple[str, tuple[int, int]], Aligner]
"""By name and pair of languages."""


class Case(NamedTuple):
    """What counts are of."""

    aligner: str
    control: str
    layer: int | None
    """None where no states are read."""
    pair: tuple[int, int]


@dataclass(kw_only=True)
class LinksConfig:
    """Which aligners, and the games whose links are scored."""

    name: str = "links"
    aligners: list[str] = field(default_factory=lambda: ["dictionary", "ibm", "self"])
    """Aligners."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of aligners: links.options.ALIGNER.KEY."""
    games: int = ranged(200, low=2)
    """Parallel games whose links are scored; aligners learn from others."""
    languages: int = ranged(20, low=2)
    """How many of the languages are compared, from the first on: the work grows with their square."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    context: Context = Context.game
    """What a model of full attention is shown where its states are read: the whole game, or the prefix up to there and
    mask tokens behind it, as much as a causal model sees. The prefix takes a pass of the model per ply."""
    random_weights: bool = True
    """Control: aligners that read states on a model with random weights."""

    def __post_init__(self) -> None:
        check(self, "links")
        if not self.aligners:
            raise UserError(f"links.aligners: name one; choices: {', '.join(ALIGNERS)}")
        if unused := set(self.options) - set(self.aligners):
            raise UserError(f"links.options.{min(unused)}: has no effect without the aligner; leave it out")
        configs = {name: self.aligner_config(name) for name in self.aligners}
        self.options = {name: configs[name] for name in self.options if configs[name] != type(configs[name])()}
        reading = [name for name in self.aligners if ALIGNERS.get(name).reads_states]
        for name in reading:
            if getattr(configs[name], "layer", -1) != -1:
                raise UserError(f"links.options.{name}.layer: has no effect, since every layer is scored; leave it out")
        if not reading:
            without_effect(self, "links", "without an aligner that reads states", "context", "random_weights")

    def aligner_config(self, name: str) -> Any:
        """The settings of one aligner, as its own dataclass."""
        options = self.options.get(name, {})
        ALIGNERS.get(name, "links.aligners")
        return typed_aligner(
            {"name": name, **options} if isinstance(options, dict) else options, f"links.options.{name}"
        )

    def shrunk(self, share: float) -> "LinksConfig":
        """The same on a share of the games, learned from a share of theirs."""
        configs = {name: self.aligner_config(name) for name in self.aligners}
        options = {name: own.shrunk(share) for name, own in configs.items() if hasattr(own, "shrunk")}
        return replace(self, games=max(2, round(self.games * share)), options=self.options | options)


@MEASURES.register("links")
class LinkQuality:
    """Precision, recall and alignment error rate of every aligner for every ordered pair of languages, in every layer
    where states are read. The true links are those of every ply with itself. States of random weights tell the places
    of words: compare with them."""

    Config = LinksConfig

    def __init__(self, config: LinksConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        config, languages = self.config, subject.language_set
        require_several(languages, "measures: links")
        pairs = list(permutations(range(min(config.languages, len(languages.languages))), 2))
        aligners = {
            (name, pair): build_aligner(config.aligner_config(name), languages, pair, f"links.options.{name}")
            for name in config.aligners for pair in pairs
        }  # fmt: skip
        reading = {key: aligner for key, aligner in aligners.items() if aligner.reads_states}
        if reading:
            subject = subject.reading(config.context, "links.context")
            yield from subject.context_rows()
        moves = self._fitted(aligners, subject)
        bootstrap = Bootstrap(len(moves), config.draws, generator(0, "bootstrap"))
        yield from _rows(_counted(aligners, subject, moves), subject, bootstrap)
        if reading and config.random_weights:
            yield from _rows(_counted(reading, subject.random_weights(), moves), subject, bootstrap)

    def _fitted(self, aligners: Aligners, subject: Subject) -> Int8[Tensor, "game ply"]:
        """Let aligners learn; returns the games to score them on."""
        games, learned = self.config.games, max(aligner.games for aligner in aligners.values())
        corpus = probe_corpus(subject.board, subject.corpus_seed, games, *[learned] * (learned > 0))
        moves = corpus.moves(torch.arange(games + learned, device=subject.device))
        learning = [aligner for aligner in aligners.values() if aligner.games]
        for aligner in tqdm(learning, desc="learning to align", unit="pair", mininterval=1, disable=not learning):
            aligner.fit(moves[games : games + aligner.games])
        return moves[:games]

    def summary(self, rows: Table) -> str:
        """Means over pairs, of an aligner that reads states at its best layer."""
        rows = rows[(rows.measure == "links") & ~rows.control.isin(["unrelated", "random_weights"])]
        table: dict[str, dict[str, Any]] = {}
        for name, own in rows.assign(layer=rows.layer.fillna(-1)).groupby("target", sort=False):
            means = own.pivot_table(index="layer", columns="quantity", values="value")
            best = means.loc[[means["aer"].idxmin()]].reset_index()
            table[str(name)] = {str(key): x for key, x in best.mask(best < 0).iloc[0].items()}
        return f"aligners against the true links, means over pairs\n{format_table(table)}"


def _counted(aligners: Aligners, subject: Subject, moves: Int8[Tensor, "game ply"]) -> dict[Case, Counts]:
    """Every aligner's links, of some games after the other. The control "unrelated", where the model is the one to be
    measured: every game of the second language is exchanged for the one before."""
    languages, n = subject.language_set, 1 + max(index for _, pair in aligners for index in pair)
    reads = any(aligner.reads_states for aligner in aligners.values())
    found: dict[Case, list[Counts]] = defaultdict(list)
    for some in tqdm(moves.tensor_split(ceil(len(moves) / GAMES_AT_ONCE)), desc="links", mininterval=1):
        sides = [side(in_language(some, index, languages), languages) for index in range(n)]
        states = [subject.states(some, index) for index in range(n)] if reads else []
        before = torch.arange(len(some), device=some.device).roll(1)
        for (name, pair), aligner in aligners.items():
            for layer in range(subject.n_layers) if aligner.reads_states else [None]:
                one, other = (
                    sides[index] if layer is None else sides[index]._replace(states=states[index][layer])
                    for index in pair
                )  # fmt: skip
                controls = {subject.control: other}
                if subject.control != "random_weights":
                    controls["unrelated"] = rows_of(other, before)
                for control, second in controls.items():
                    true = torch.diag_embed(one.played & second.played)
                    found[Case(name, control, layer, pair)].append(count(aligner.links(one, second), true))
    return {case: torch.cat(parts, 1) for case, parts in found.items()}


def _rows(found: dict[Case, Counts], subject: Subject, bootstrap: Bootstrap) -> Iterator[Row]:
    for case, counts in found.items():
        source, language = (subject.names[index] for index in case.pair)
        head: Row = {"measure": "links", "control": case.control, "target": case.aligner, "layer": case.layer}
        for score in scores(counts, bootstrap):
            yield head | {"source": source, "language": language} | score._asdict()
