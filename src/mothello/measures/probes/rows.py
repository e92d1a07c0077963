"""The numbers of scored probes, as rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from mothello.bootstrap import Bootstrap
from mothello.measures.measure import Row, Subject
from mothello.measures.probes.averages import average_rows, best_layers
from mothello.measures.probes.baselines import (
    best_constant,
    best_of_orbits,
    constant_by_ply,
    image_agreement,
    unrelated_agreement,
)
from mothello.measures.probes.score import CrossLingual, Games, accuracy
from mothello.measures.probes.targets import TARGETS, BoardTargets
from mothello.othello.notation import square_name
from mothello.othello.symmetry import OPENING_MAPS


@dataclass(frozen=True)
class Scored:
    """The games that probes were scored on, and what all kinds of probes are compared with there."""

    games: Games
    fit: BoardTargets
    """Boards of games that they were fitted on."""
    bootstrap: Bootstrap

    def board_rows(self, subject: Subject) -> Iterator[Row]:
        """Numbers without a model: the best constant, the orbit reader, boards against their images, and against
        another game's."""
        truth = self.games.truth
        constant, orbit = best_constant(self.fit, truth).tolist(), best_of_orbits(truth, subject.board).tolist()
        by_ply = constant_by_ply(self.fit, truth).tolist()
        images, other = image_agreement(truth, subject.board).tolist(), unrelated_agreement(truth).tolist()
        for i, target in enumerate(TARGETS):
            head: Row = {"measure": "probe", "quantity": "accuracy", "target": target, "n": len(self.games.moves)}
            yield head | {"control": "constant", "value": constant[i]}
            for ply, value in enumerate(by_ply[i], start=1):
                if value == value:
                    yield head | {"control": "constant", "ply": ply, "value": value}
            yield head | {"control": "orbit", "value": orbit[i]}
            yield head | {"control": "unrelated", "value": other[i]}
            for name, value in zip(OPENING_MAPS, images[i], strict=True):
                yield head | {"control": "image", "map": name, "value": value}

    def rows(self, subject: Subject, kind: str, result: CrossLingual) -> Iterator[Row]:
        """Rows of one kind of probes on one subject; details for the trained model alone."""
        head: Row = {"control": subject.control, "probe": kind}
        yield from (row | head for row in average_rows(result, self.games, self.bootstrap))
        yield from (row | head for row in self._pair_rows(subject, result))
        if subject.control != "random_weights":
            yield from (row | head for row in self._detail_rows(subject, result))
        yield from (row | {"probe": kind} for row in self._shuffled_rows(subject, result))

    def _pairs(self, subject: Subject, result: CrossLingual) -> Iterator[tuple[Row, tuple[int, ...]]]:
        """Every target, layer, source and language: the row's head, and its index."""
        axes = (torch.arange(size) for size in result.whole.shape)
        for target, layer, source, language in torch.cartesian_prod(*axes).tolist():
            yield {
                "measure": "probe", "target": TARGETS[target], "layer": layer, "source": subject.names[source],
                "language": subject.names[language],
            }, (target, layer, source, language)  # fmt: skip

    def _pair_rows(self, subject: Subject, result: CrossLingual) -> Iterator[Row]:
        """Accuracy under every map, and whole boards."""
        numbers = accuracy(result.right, self.games), *self.bootstrap(result.right, self.games.cells)
        values, positions = torch.stack(numbers, -1).flatten(0, 3).tolist(), int(self.games.plies.sum())
        pairs, wholes = self._pairs(subject, result), result.whole.flatten().tolist()
        for (head, _), by_map, whole in zip(pairs, values, wholes, strict=True):
            for name, (value, low, high) in zip(OPENING_MAPS, by_map, strict=True):
                row: Row = {"quantity": "accuracy", "map": name, "value": value, "low": low, "high": high}
                yield head | row | {"n": len(self.games.moves)}
            yield head | {"quantity": "whole_board", "map": "identity", "value": whole / positions, "n": positions}

    def _detail_rows(self, subject: Subject, result: CrossLingual) -> Iterator[Row]:
        """Accuracy by square and by ply, at the layer of the headline."""
        layers, board = best_layers(result, self.games), subject.board
        positions, by_ply = int(self.games.plies.sum()), self.games.truth.scored.sum(0).tolist()
        for head, index in self._pairs(subject, result):
            if index[1] != layers[index[0]]:
                continue
            head |= {"quantity": "accuracy", "map": "identity"}
            for cell, right in enumerate(result.by_cell[index].tolist()):
                square = square_name(board.squares[cell])
                yield head | {"square": square, "value": right / positions, "n": positions}
            for ply, (right, n) in enumerate(zip(result.by_ply[index].tolist(), by_ply, strict=True), start=1):
                if n:
                    yield head | {"ply": ply, "value": right / n / board.n_cells, "n": n}

    def _shuffled_rows(self, subject: Subject, result: CrossLingual) -> Iterator[Row]:
        """The control of probes fitted on another game's boards, in their own language, and its mean."""
        if result.shuffled is None:
            return
        for layer, values in enumerate(accuracy(result.shuffled, self.games)):
            head: Row = {"measure": "probe", "control": "shuffled", "target": "absolute", "layer": layer}
            head |= {"n": len(self.games.moves)}
            yield head | {"quantity": "own", "value": float(values.mean())}
            for name, value in zip(subject.names, values.tolist(), strict=True):
                pair = {"source": name, "language": name, "map": "identity"}
                yield head | pair | {"quantity": "accuracy", "value": value}
