"""The measure "alignment": the same positions' states, and token embeddings, in two languages, without probes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.batch import Context
from mothello.data.split import probe_corpus
from mothello.measures.alignment.embeddings import embedding_rows
from mothello.measures.alignment.pair import Positions, Value, chances, pair_values
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.positions import Pool, draw_positions, mirrored, permutations_within_ply
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS
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
    """Draws of the bootstrap over games, and permutations of the pool."""
    all_maps: bool = False
    """Control: states also through the four maps that do not fix the opening; twice the work."""
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
        positions = drawn_positions(subject, self.config)
        yield from (_row(value) for value in chances(positions))
        for some in [subject, subject.random_weights()] if self.config.random_weights else [subject]:
            yield from self._state_rows(some, positions)
            yield from embedding_rows(some, self.config.languages)

    def _state_rows(self, subject: Subject, positions: Positions) -> Iterator[Row]:
        """Every language is read once under every map, all layers at once as far as memory allows."""
        names, trained = subject.names[: self.config.languages], subject.control != "random_weights"
        maps = ALL_MAPS if self.config.all_maps else OPENING_MAPS
        layers, at_once = subject.n_layers, _layers_at_once(subject, positions, len(names), len(maps))
        groups = [slice(first, min(first + at_once, layers)) for first in range(0, layers, at_once)]
        title = "states" if trained else "states, random weights"
        bar = tqdm(total=len(groups) * len(names) * len(maps), desc=title, unit="pass", mininterval=1)
        for group in groups:
            own = []
            for index in range(len(names)):
                own.append(image_states(subject, positions.moves, index, maps[0], group))
                bar.update()
            for second, language in enumerate(names):
                images = [own[second]]
                for map_ in maps[1:]:
                    images.append(image_states(subject, positions.moves, second, map_, group))
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
        """Means over pairs at the best layer, with the controls there; of permuted pairs also the upper end."""
        best = rows.quantity.str.endswith("_best_map")
        rows = rows[((rows["map"] == "identity") | best) & (rows.square == "")]
        parts = (" of " + rows.target.str.replace("_", " ")).where(rows.target != "", "")
        rows = rows.assign(quantity=rows.quantity + parts)
        means = rows.groupby(["quantity", "control", "layer"], sort=False).value.mean()
        high = rows[rows.control == "permuted"].groupby(["quantity", "layer"]).high.mean()
        table: dict[str, dict[str, Any]] = {}
        for quantity in rows.quantity.drop_duplicates():
            by_control = means[quantity]
            layer = by_control["trained"].idxmax()
            others = [c for c in by_control.index.get_level_values(0).unique() if c != "trained"]
            values = {c: by_control[c].get(layer) for c in ["trained", *others]}
            if (quantity, layer) in high:
                values["permuted, high"] = high[quantity, layer]
            table[str(quantity)] = {"best layer": int(layer)} | values
        return (
            f"two languages compared, means over pairs\n{format_table(table)}" if table else "alignment: one language"
        )


def drawn_positions(subject: Subject, config: Any) -> Positions:
    """Games of the probe split, and positions in their second half. config: an AlignmentConfig, or one that has its
    games, pool, draws and seed."""
    half, games = config.games // 2, config.games
    corpus = probe_corpus(subject.board, subject.corpus_seed, half, games - half)
    moves = corpus.moves(torch.arange(games, device=subject.device))
    pool = draw_positions(moves[half:], config.pool, generator(config.seed, "pool"))
    bootstrap = Bootstrap(games, config.draws, generator(config.seed, "bootstrap"))
    permutations = permutations_within_ply(pool, config.draws, generator(config.seed, "permuted"))
    return Positions(moves, Pool(pool.game + half, pool.ply), bootstrap, permutations)


def _layers_at_once(subject: Subject, positions: Positions, languages: int, maps: int) -> int:
    """Layers whose states fit in MEMORY: of every language, and the images of one of them, twice while stacked."""
    d_model = subject.model.config.d_model
    one_layer = positions.moves.numel() * d_model * 4 * (languages + 2 * maps)
    return max(1, min(subject.n_layers, int(MEMORY // one_layer)))


def image_states(
    subject: Subject, moves: Int8[Tensor, "game ply"], language: int, name: str, layers: slice = slice(None)
) -> Float[Tensor, "layer game ply d_model"]:
    """States of the games under a map, some games at once."""
    images = mirrored(moves, subject.board, name).split(GAMES_AT_ONCE)
    return torch.cat([subject.states(image, language)[layers] for image in images], 1)


def _row(value: Value, **where: Any) -> Row:
    row = {key: content for key, content in value._asdict().items() if content is not None}
    return {"measure": "alignment"} | where | row
