"""The measure "probes": what linear and MLP probes of every language read in every language's states."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from mothello.bootstrap import Bootstrap
from mothello.data.split import probe_corpus
from mothello.files import json_text, write_whole
from mothello.measures.measure import MEASURES, Row, Subject, folder_name
from mothello.measures.probes.averages import best_layers
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.fit import SHUFFLED, FittedProbes, fit_probes
from mothello.measures.probes.headline import headlines
from mothello.measures.probes.kept import kept_for, save_probes
from mothello.measures.probes.rows import Scored
from mothello.measures.probes.score import CrossLingual, Games, evaluate_probes
from mothello.measures.probes.second_reading import second_rows
from mothello.measures.probes.targets import TARGETS, board_targets
from mothello.othello.notation import game_text
from mothello.rows import Table, format_table
from mothello.seeding import generator

EXAMPLES = "examples.json"
"""A few boards as probes read them, for the report: [{game, ply, layer, probe, source, truth, readings}]."""
CONSTANT_GAMES = 2000
"""Games that the best constant is counted on."""


class _Probed(NamedTuple):
    fitted: FittedProbes
    results: dict[str, CrossLingual]
    """By probe kind."""


def scored_moves(subject: Subject, config: ProbesConfig) -> torch.Tensor:
    """The games that probes of a config are scored on: no probe was fitted on them, nor chose its weights by them."""
    games = probe_corpus(subject.board, subject.corpus_seed, *config.sizes)
    return games.moves(torch.arange(config.first_test_game, config.all_games, device=subject.device))


def fitted_probes(subject: Subject, config: ProbesConfig) -> FittedProbes:
    """The probes of a config, fitted on the first games of the probe split."""
    games = probe_corpus(subject.board, subject.corpus_seed, *config.sizes)
    shuffled = config.shuffled and subject.control != "random_weights"
    title = "probes, random weights" if subject.control == "random_weights" else "probes"
    return fit_probes(subject, games, config, (*TARGETS, SHUFFLED) if shuffled else TARGETS, title)


def probes_of(subject: Subject, config: ProbesConfig) -> FittedProbes:
    """The probes of a config as the measure "probes" kept them beside the subject's folder, all of them, else fitted
    now."""
    kept = None if subject.folder is None else kept_for(subject.folder.parent / folder_name(config), subject)
    return kept if kept and kept.cover(config.probes) else fitted_probes(subject, config)


@MEASURES.register("probes")
class Probes:
    """Accuracy of every probe on every language under every map, with its baselines and controls."""

    Config = ProbesConfig

    def __init__(self, config: ProbesConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        config, moves = self.config, scored_moves(subject, self.config)
        subject = subject.reading(config.context, "probes.context")
        games = probe_corpus(subject.board, subject.corpus_seed, *config.sizes)
        fit_moves = games.moves(torch.arange(min(config.games, CONSTANT_GAMES), device=subject.device))
        truth, fit = (board_targets(some, subject.board) for some in (moves, fit_moves))
        bootstrap = Bootstrap(len(moves), config.draws, generator(config.seed, "bootstrap"))
        scored = Scored(Games(moves, truth), fit, bootstrap)
        yield from scored.board_rows(subject)
        yield from subject.context_rows()
        trained = self._probed(subject, moves)
        steps = trained.fitted.steps
        yield {"measure": "probe", "quantity": "fit_steps", "control": subject.control, "value": steps}
        for kind, result in trained.results.items():
            yield from scored.rows(subject, kind, result)
        yield from self._kept(subject, trained, scored.games)
        if config.random_weights:
            untrained = subject.random_weights()
            for kind, result in self._probed(untrained, moves).results.items():
                yield from scored.rows(untrained, kind, result)

    def _probed(self, subject: Subject, moves: torch.Tensor) -> _Probed:
        fitted = fitted_probes(subject, self.config)
        return _Probed(fitted, evaluate_probes(subject, fitted, moves))

    def _kept(self, subject: Subject, trained: _Probed, games: Games) -> Iterator[Row]:
        """Files of the trained model, and its second reading."""
        layers = {kind: best_layers(result, games) for kind, result in trained.results.items()}
        if subject.folder is not None:
            save_probes(subject.folder, trained.fitted, self.config, subject)
            kind = "mlp" if "mlp" in layers else self.config.probes[0]
            boards = examples(subject, trained.results[kind], games, layers[kind][0], kind)
            write_whole(subject.folder / EXAMPLES, json_text(boards))
        if self.config.other_maps and len(subject.names) > 1:
            half = len(games.moves) - len(games.moves) // 2
            bootstrap = Bootstrap(half, self.config.draws, generator(self.config.seed, "domains"))
            yield from second_rows(subject, trained.fitted, games, layers, bootstrap)

    def summary(self, rows: Table) -> str:
        """The headline of every probe and target."""
        table = {}
        for name, head in headlines(rows).items():
            columns = {
                "layer": head.layer, "own": head.own, "across": head.across, "best map": head.across_best_map,
                "orbit reader": head.orbit, "constant": head.constant, "random weights": head.random_weights,
            }  # fmt: skip
            table[name] = {label: value for label, value in columns.items() if value is not None}
        return f"cells read right, at the best layer below the last\n{format_table(table)}"


def examples(subject: Subject, result: CrossLingual, games: Games, layer: int, kind: str) -> list[Row]:
    """A few boards as read from two languages by the first language's probe (absolute colors), and the truth."""
    boards = []
    for game, moves in enumerate(games.moves[: result.readings.shape[4]].tolist()):
        ply = int(games.truth.scored[game].sum()) * (2 + game) // 4
        boards.append({
            "game": game_text(moves[: ply + 1], subject.board), "ply": ply + 1, "layer": layer, "probe": kind,
            "source": subject.names[0], "truth": games.truth.classes[0, game, ply].tolist(),
            "readings": {
                name: result.readings[0, layer, 0, language, game, ply].tolist()
                for language, name in enumerate(subject.names[:2])
            },
        })  # fmt: skip
    return boards
