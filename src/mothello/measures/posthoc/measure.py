"""The measure "posthoc": a map between states that were never trained to be alike (Conneau et al. 2020)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from mothello.config import check, ranged
from mothello.measures.alignment.cka import mean_of_games
from mothello.measures.alignment.embeddings import move_embeddings, unshared
from mothello.measures.alignment.measure import drawn_positions, image_states
from mothello.measures.alignment.pair import Positions, Value, cka_values, mean_over_games
from mothello.measures.alignment.retrieval import own_row
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.posthoc.maps import folds_of, found_by_map, found_left_out, means_of_moves
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.rows import Table, format_table
from mothello.seeding import generator

States = Float[Tensor, "layer game ply d_model"]


@dataclass(kw_only=True)
class PosthocConfig:
    """Maps, fitted and tested on parallel games."""

    name: str = "posthoc"
    games: int = ranged(400, low=4)
    """Parallel games; maps are fitted on the first half, and tested on the second."""
    pool: int = ranged(1000, low=2)
    """Positions among which the parallel one must be found, each reached by different moves."""
    folds: int = ranged(8, low=2)
    """Parts of the moves; embeddings and mean states of a part's moves are mapped as the other parts say, for a few
    words in many dimensions fit anything."""
    languages: int = ranged(3, low=1)
    """How many of the languages are compared, of each run from the first on."""
    seed: int = 0
    """Draws the positions and the parts."""
    random_weights: bool = True
    """Control: the same with random weights on the first side."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        check(self, "posthoc")

    def shrunk(self, share: float) -> "PosthocConfig":
        """The same on a share of the games and of the pool."""
        few = {"games": max(4, round(self.games * share)), "pool": max(2, round(self.pool * share))}
        return replace(self, **few)  # type: ignore[arg-type]


@MEASURES.register("posthoc")
class Posthoc:
    """Retrieval after iterative normalization and an orthogonal map: of token embeddings, mean states of moves, states
    in their games and mean states of games, by layer and map of the opening. Between the languages of the run; with
    other=RUN from the other run's languages to the run's, and linear CKA of the two models. Nothing for a single
    language by itself."""

    Config = PosthocConfig
    takes_other = by_layer = True

    def __init__(self, config: PosthocConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        if subject.other is None and len(subject.names) < 2:
            return
        positions, first = drawn_positions(subject, self.config), subject.other or subject
        yield from subject.context_rows()
        yield from self._chances(subject, positions)
        for side in [first, first.random_weights()] if self.config.random_weights else [first]:
            yield from self._pairs(side, subject, positions)

    def _chances(self, subject: Subject, positions: Positions) -> Iterator[Row]:
        n, games = subject.board.n_moves, len(positions.moves) - positions.half
        sizes = {"embedding": n, "move": n, "state": len(positions.pool.game), "game": games}
        for target, size in sizes.items():
            head = {"measure": "posthoc", "quantity": "mapped", "control": "chance", "target": target}
            yield head | {"value": 1 / size, "n": size}

    def _pairs(self, side: Subject, subject: Subject, positions: Positions) -> Iterator[Row]:
        """From every language of one side to every one of the run's."""
        control = side.control if side.control == "random_weights" else subject.control
        sources, languages = (one.names[: self.config.languages] for one in (side, subject))
        moves, apart = positions.moves, subject.other is not None
        x = [image_states(side, moves, i, OPENING_MAPS[0]) for i in range(len(sources))]
        title = "maps, random weights" if control == "random_weights" else "maps"
        for second, language in enumerate(tqdm(languages, desc=title, unit="language", mininterval=1)):
            images = torch.stack([image_states(subject, moves, second, name) for name in OPENING_MAPS])
            for first, source in enumerate(sources):
                if not apart and first == second:
                    continue
                head = {"measure": "posthoc", "source": source, "language": language}
                for layer in range(subject.n_layers if apart else 0):
                    for value in cka_values(x[first][layer], images[:, layer], positions):
                        if value.control == "trained" or control != "random_weights":
                            yield head | {"layer": layer} | _shown(value, control)
                for name, image in zip(OPENING_MAPS, images, strict=True):
                    values = (
                        self._embeddings(side, subject, (first, second), name),
                        self._states(x[first], image, positions, name, subject.board.n_moves),
                    )
                    for target, layer, value in (found for some in values for found in some):
                        yield head | {"target": target, "layer": layer} | _shown(value, control)

    def _embeddings(
        self, side: Subject, subject: Subject, pair: tuple[int, int], name: str
    ) -> Iterator[tuple[str, int, Value]]:
        """Of moves that are written without a token that both languages have, if they are of one model."""
        image = torch.tensor(move_map(subject.board, name))
        x, y = move_embeddings(side, pair[0]), move_embeddings(subject, pair[1])[image]
        asked = torch.ones(len(image), dtype=torch.bool)
        if subject.other is None:
            own, others = unshared(subject.language_set, *pair)
            asked = own & others[image]
        if bool(asked.any()):
            x, y = (one.expand(2, *one.shape) for one in (x, y))
            hit = own_row(found_left_out(x, y, self._folds(len(image))))[asked]
            yield "embedding", 0, _share(hit, name)

    def _states(
        self, x: States, y: States, positions: Positions, name: str, n_moves: int
    ) -> Iterator[tuple[str, int, Value]]:
        """Of mean states of moves, states, and mean states of games. y: of the games under the map."""
        scored, half, pool = positions.scored, positions.half, positions.pool
        moves, fold = positions.moves.long(), self._folds(n_moves).to(x.device)
        parts = (slice(half), slice(half, None))
        one, other = (
            torch.stack([means_of_moves(states[:, part], moves[part], n_moves) for part in parts], 1)
            for states in (x, y)
        )
        for layer, hit in enumerate(own_row(found_left_out(one, other, fold))):
            yield "move", layer, _share(hit, name)
        fitted, asked = _first_half(scored[:half].sum(), len(pool.game), x.device)
        for layer, pair in enumerate(zip(x, y, strict=True)):
            one, other = (torch.cat([s[:half][scored[:half]], s[pool.game, pool.ply]]) for s in pair)
            hit = own_row(found_by_map(one, other, fitted, asked))
            yield "state", layer, mean_over_games("mapped", "trained", name, hit, pool.game, positions)
        fitted, asked = _first_half(half, len(moves) - half, x.device)
        one, other = (mean_of_games(states, scored) for states in (x, y))
        for layer, hit in enumerate(own_row(found_by_map(one, other, fitted, asked))):
            yield "game", layer, mean_over_games("mapped", "trained", name, hit, asked, positions)

    def _folds(self, n_moves: int) -> Tensor:
        return folds_of(n_moves, self.config.folds, generator(self.config.seed, "folds"))

    def summary(self, rows: Table) -> str:
        """Means over pairs at the best layer, with the controls there."""
        rows = rows[((rows["map"] == "identity") | (rows["map"] == "")) & (rows.measure == "posthoc")]
        names = rows.quantity + (" " + rows.target).where(rows.target != "", "")
        table: dict[str, dict[str, object]] = {}
        for name, group in rows.groupby(names, sort=False):
            trained = group[~group.control.isin(["random_weights", "chance", "unrelated"])]
            by_layer = trained.groupby("layer").value.mean()
            layer = int(by_layer.index[int(by_layer.argmax())])
            means = group[(group.layer == layer) | group.layer.isna()].groupby("control", sort=False).value.mean()
            table[str(name)] = {"best layer": layer} | {str(key): value for key, value in means.items()}
        return f"after the fact, means over pairs\n{format_table(table)}" if table else "posthoc: one language"


def _first_half(fitted: int | Tensor, asked: int, device: torch.device) -> tuple[Bool[Tensor, " row"], Tensor]:
    """Of rows to fit on, then rows to ask for: which the first are, and the places of the others."""
    place = torch.arange(int(fitted) + asked, device=device)
    return place < fitted, place[int(fitted) :]


def _share(hit: Bool[Tensor, " move"], name: str) -> Value:
    return Value("mapped", "trained", name, float(hit.double().mean()), len(hit))


def _shown(value: Value, control: str) -> Row:
    """A number as columns of a row; of the trained sides, with the control that they are."""
    row = {key: content for key, content in value._asdict().items() if content is not None}
    return row | ({"control": control} if value.control == "trained" else {})
