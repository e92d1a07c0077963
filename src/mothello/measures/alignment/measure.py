"""The measure "alignment": the same positions' states, and token embeddings, in two languages, without probes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.batch import Context
from mothello.data.split import probe_corpus
from mothello.measures.alignment.embeddings import embedding_rows
from mothello.measures.alignment.pair import Positions, Value, chances, pair_values
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.positions import Pool, draw_positions, mirrored
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table, format_table
from mothello.seeding import generator

GAMES_AT_ONCE = 128
"""Games in one pass of the model."""
MEMORY = 8e9
"""Bytes of states held at most. They are kept in full precision: which state is nearest must not depend on rounding.
Where all layers need more, the games are read again for every group of layers."""


@dataclass(kw_only=True)
class AlignmentConfig:
    """Which positions are compared."""

    name: str = "alignment"
    games: int = ranged(400, low=4)
    """Parallel games; rotations are fitted on the first half, and tested on the second."""
    pool: int = ranged(1000, low=2)
    """Positions among which the parallel one must be found, each reached by different moves."""
    languages: int = ranged(20, low=2)
    """How many of the languages are compared, from the first on: the work grows with their square."""
    seed: int = 0
    """Draws the positions."""
    random_weights: bool = True
    """Control: the same measures on a model with random weights."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    context: Context = Context.game
    """What a model of full attention is shown where its states are read: the whole game, or the prefix up to there and
    mask tokens after it, as much as a causal model sees. The prefix takes a pass of the model per ply."""

    def __post_init__(self) -> None:
        check(self, "alignment")

    def shrunk(self, share: float) -> "AlignmentConfig":
        """The same on a share of the games and of the pool."""
        few = {"games": max(4, round(self.games * share)), "pool": max(2, round(self.pool * share))}
        return replace(self, **few)  # type: ignore[arg-type]


@MEASURES.register("alignment")
class Alignment:
    """Every quantity of every ordered pair of languages, layer and map; nothing for a single language."""

    Config = AlignmentConfig

    def __init__(self, config: AlignmentConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        if len(subject.names) < 2:
            return
        subject = subject.reading(self.config.context, "alignment.context")
        yield from subject.context_rows()
        positions = self._positions(subject)
        yield from (_row(value) for value in chances(positions))
        for some in [subject, subject.random_weights()] if self.config.random_weights else [subject]:
            yield from self._state_rows(some, positions)
            yield from embedding_rows(some, self.config.languages)

    def _positions(self, subject: Subject) -> Positions:
        half, games = self.config.games // 2, self.config.games
        moves = probe_corpus(subject.board, subject.corpus_seed, half, games - half).moves(
            torch.arange(games, device=subject.device)
        )
        pool = draw_positions(moves[half:], self.config.pool, generator(self.config.seed, "pool"))
        bootstrap = Bootstrap(games, self.config.draws, generator(self.config.seed, "bootstrap"))
        return Positions(moves, Pool(pool.game + half, pool.ply), bootstrap)

    def _state_rows(self, subject: Subject, positions: Positions) -> Iterator[Row]:
        """Every language is read once under every map, all layers at once as far as memory allows."""
        names, trained = subject.names[: self.config.languages], subject.control != "random_weights"
        layers, at_once = subject.n_layers, _layers_at_once(subject, positions, len(names))
        groups = [slice(first, min(first + at_once, layers)) for first in range(0, layers, at_once)]
        title = "states" if trained else "states, random weights"
        bar = tqdm(total=len(groups) * len(names) * len(OPENING_MAPS), desc=title, unit="pass", mininterval=1)
        for group in groups:
            own = []
            for index in range(len(names)):
                own.append(_states(subject, positions, index, OPENING_MAPS[0], group))
                bar.update()
            for second, language in enumerate(names):
                images = [own[second]]
                for map_ in OPENING_MAPS[1:]:
                    images.append(_states(subject, positions, second, map_, group))
                    bar.update()
                for first, source in enumerate(names):
                    for index, layer in enumerate(range(layers)[group] if first != second else ()):
                        image = torch.stack([states[index] for states in images])
                        for value in pair_values(own[first][index], image, positions):
                            if value.control == "trained" or trained:
                                control = {"control": subject.control} if value.control == "trained" else {}
                                yield _row(value, layer=layer, source=source, language=language) | control
        bar.close()

    def summary(self, rows: Table) -> str:
        """Means over pairs at the best layer, with the controls there."""
        rows = rows[(rows["map"] == "identity") & (rows.square == "")]
        parts = (" of " + rows.target.str.replace("_", " ")).where(rows.target != "", "")
        rows = rows.assign(quantity=rows.quantity + parts)
        means = rows.groupby(["quantity", "control", "layer"], sort=False).value.mean()
        table: dict[str, dict[str, Any]] = {}
        for quantity in rows.quantity.drop_duplicates():
            by_control = means[quantity]
            layer = by_control["trained"].idxmax()
            others = [c for c in by_control.index.get_level_values(0).unique() if c != "trained"]
            values = {c: by_control[c].get(layer) for c in ["trained", *others]}
            table[str(quantity)] = {"best layer": int(layer)} | values
        return (
            f"two languages compared, means over pairs\n{format_table(table)}" if table else "alignment: one language"
        )


def _layers_at_once(subject: Subject, positions: Positions, languages: int) -> int:
    """Layers whose states fit in MEMORY: of every language, and the images of one of them, twice while stacked."""
    d_model = subject.model.config.d_model
    one_layer = positions.moves.numel() * d_model * 4 * (languages + 2 * len(OPENING_MAPS))
    return max(1, min(subject.n_layers, int(MEMORY // one_layer)))


def _states(
    subject: Subject, positions: Positions, language: int, name: str, layers: slice
) -> Float[Tensor, "layer game ply d_model"]:
    """States of the games under a map, some games at once."""
    images = mirrored(positions.moves, subject.board, name).split(GAMES_AT_ONCE)
    return torch.cat([subject.states(moves, language)[layers] for moves in images], 1)


def _row(value: Value, **where: Any) -> Row:
    row = {key: content for key, content in value._asdict().items() if content is not None}
    return {"measure": "alignment"} | where | row
