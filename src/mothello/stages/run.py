"""A trained model with its languages and its folder: what load_run gives to a script or a notebook."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int8, Int64
from torch import Tensor

from mothello.config import plain, shown
from mothello.data.batch import Batch, in_language
from mothello.data.split import Split, corpus
from mothello.errors import UserError, keyed
from mothello.files import fingerprint
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states
from mothello.measures.legality.estimate import rules
from mothello.measures.legality.exact import next_moves
from mothello.measures.measure import Subject
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.kept import FILE, Probe, kept_for, one_probe
from mothello.measures.probes.targets import board_targets
from mothello.model.edited import Edited
from mothello.model.inputs import Inputs
from mothello.model.transformer import GPT, Edit
from mothello.othello.board import Board
from mothello.othello.notation import game_text, move_name, parse_game, svg_board
from mothello.othello.replay import replay
from mothello.rows import Table, all_tables
from mothello.rundir import RunDir
from mothello.stages.build import coverage_of, facts_of
from mothello.training.device import Compile, DeviceConfig, Precision

if TYPE_CHECKING:
    from mothello.stages.pretrain import TrainConfig

Game = str | Sequence[int] | Int8[Tensor, " ply"]
"""One game, whole or begun: text such as "c2 b2 a2", or move indices (a negative one ends it)."""


def _sum_of(weights: Tensor) -> str:
    return hashlib.sha256(weights.cpu().contiguous().view(torch.uint8).numpy().data).hexdigest()


@dataclass(frozen=True)
class Drawing:
    """A picture that a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


@dataclass(frozen=True, repr=False)
class Run:
    """The model of a stage's folder, in eval mode. Languages are given by name; activations are float32.

    Shapes: games [game, ply] hold move indices, -1 after the end.
    """

    folder: RunDir
    config: "TrainConfig"
    """What the model was made from; of a later stage, with what it takes over from its parent."""
    board: Board
    language_set: LanguageSet
    model: GPT
    """Or an Edited one, which serves as well."""
    step: int
    """Steps that the model was trained for."""
    stage: str = "pretrain"
    parent: Path | None = None
    """Folder of the stage that this one went on from."""
    earlier: int | None = None
    """The step, where an earlier one than the newest was asked for: its measures have folders of their own."""

    def __repr__(self) -> str:
        edited = ", edited" if isinstance(self.model, Edited) else ""
        size = sum(weights.numel() for weights in self.model.parameters()) / 1e6
        return (
            f"Run({self.folder.path}: {self.board.name}, {', '.join(self.languages)}, {size:.2f} M parameters, "
            f"step {self.step} of {self.config.data.steps}{edited})"
        )

    @property
    def languages(self) -> list[str]:
        """Names of the languages."""
        return self.language_set.names

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def table(self) -> Table:
        """Every number measured on the run, one per row (columns: mothello.rows); ``folder`` is the measure's."""
        return all_tables(self.folder.path)

    @property
    def content(self) -> str:
        """Eight hex digits that tell its weights from others, wherever the run lies."""
        return fingerprint({name: _sum_of(weights) for name, weights in self.model.state_dict().items()})

    @property
    def reached(self) -> dict[str, int]:
        """The steps the model was trained for, and the steps planned."""
        return {"step": self.step, "steps": self.config.data.steps}

    def subject(self, device: DeviceConfig | None = None) -> Subject:
        """The model as measures take it, with the precision of ``device``, and compiled where it says always."""
        seed, corpus_seed, device = self.config.seed, self.config.data.corpus_seed, device or DeviceConfig()
        compiled, trainings = device.compile is Compile.always, list(self._trainings())
        coverage = next((share for share in map(coverage_of, trainings) if share != 1), 1.0)
        facts = next(filter(None, map(facts_of, trainings)), None)
        return Subject(
            self.model, self.language_set, corpus_seed, seed, device.precision, step=self.step, compiled=compiled,
            coverage=coverage, objective=self.config.objective, facts=facts,
            run=None if isinstance(self.model, Edited) else self.folder,
        )  # fmt: skip

    def _trainings(self) -> Iterator[Mapping[str, Any]]:
        """Settings of this training, then of the one that it goes on from or is a fork of, and so on."""
        path = self.folder.path
        yield plain(self.config)
        with suppress(UserError):  # one that is gone
            while path.parts:
                yield (content := RunDir(path).read_config())
                path = path / content["parent"] if "parent" in content else Path(content.get("fork", ""))

    def games(self, n: int = 64) -> Int8[Tensor, "game ply"]:
        """The first held-out random games, those that measures use."""
        games = corpus(self.board, self.config.data.corpus_seed, Split.probe, n)
        return games.moves(torch.arange(n, device=self.device))

    def batch(self, moves: Int8[Tensor, "game ply"], language: str) -> Batch:
        """Games written in a language."""
        return in_language(moves.to(self.device), self._index(language), self.language_set)

    def boards(self, moves: Int8[Tensor, "game ply"]) -> Int64[Tensor, "game ply cell"]:
        """The board after every ply, cells row by row: 0 white, 1 empty, 2 black."""
        return board_targets(moves, self.board).classes[0]

    def states(self, moves: Int8[Tensor, "game ply"], language: str) -> Float[Tensor, "layer game ply d_model"]:
        """The residual stream at every move's last token; layer 0 is the embedding. Zeros after a game's end. A model
        of full attention has read the whole game."""
        return states(self.model, self.batch(moves, language), Precision.fp32)

    def probes(self) -> FittedProbes:
        """The kept probes, of those of this state of the model the ones that were fitted the longest. UserError where
        scripts/probe.py has fitted none."""
        fitted = [kept_for(path.parent, self.subject()) for path in sorted(self.folder.path.glob(f"measures/*/{FILE}"))]
        probes = max((one for one in fitted if one is not None), key=lambda one: one.steps, default=None)
        if probes is None:
            raise UserError(f"run: no probes of step {self.step}; {shown('probe', run=str(self.folder.path))}")
        return probes

    def probe(self, layer: int, language: str, target: str = "absolute", kind: str = "") -> Probe:
        """A kept probe: called on states of that layer it reads the board. kind: linear or mlp, by default the last of
        those fitted. UserError where it was not fitted on this state of the model."""
        probes = self.probes()
        return one_probe(probes, kind or list(probes.modules)[-1], target, layer, self._index(language))

    def cache(self, moves: Int8[Tensor, "game ply"], language: str) -> dict[str, Tensor]:
        """Activations at every token by site: "embedding", and "blocks.B.SITE" for the sites of
        mothello.model.transformer.SITES."""
        activations: dict[str, Tensor] = {}

        def record(site: str, x: Tensor) -> Tensor:
            activations[site] = x
            return x

        with torch.no_grad():
            self.model(Inputs.of(self.batch(moves, language)), edit=record)
        return activations

    def edited(self, edit: Edit) -> "Run":
        """The same run with a model whose activations pass through ``edit(site, x)`` at the sites of :meth:`cache`."""
        return replace(self, model=Edited(self.model, edit))  # type: ignore[arg-type]

    def text(self, game: Game, language: str) -> str:
        """A game as the model reads it: the token ids of every move, joined by points, as they follow each other."""
        words = self.language_set.written(self._padded(self._moves(game)), self._index(language))
        return " ".join(".".join(map(str, word)) for word in words)

    def next_moves(
        self, game: Game | Int8[Tensor, "game ply"], language: str
    ) -> dict[str, float] | Float[Tensor, "game ply move"]:
        """Probabilities of the legal moves. After one game: by square, the likeliest first. Of several games: after
        every ply but the last, zero where a move is illegal."""
        self.language_set.require_board("next_moves")
        index = self._index(language)
        self.subject().check_causal("run: next_moves")
        if isinstance(game, Tensor) and game.ndim == 2:
            batch = self.batch(game, language)
            with torch.no_grad():
                likely = next_moves(self.model, batch, self.language_set, index).full.exp()
            return likely * rules(batch.moves, self.language_set).strict
        moves = self._moves(game)
        if not 0 < len(moves) < self.board.n_moves:
            raise UserError(f"game: {len(moves)} moves; give between 1 and {self.board.n_moves - 1}")
        each = self.next_moves(self._padded(moves), language)
        assert isinstance(each, Tensor)
        row, legal = each[0, len(moves) - 1], self._legal(moves)
        named = {move_name(self.board, move): float(row[move]) for move in legal}
        return dict(sorted(named.items(), key=lambda pair: -pair[1]))

    def show(self, game: Game, ply: int | None = None) -> Drawing:
        """The board after that many plies, by default after all: the last move and the legal ones are marked."""
        moves = self._moves(game)[:ply]
        squares, legal = self.board.moves, [self.board.moves[move] for move in self._legal(moves)]
        after = replay(self._padded(moves), self.board)
        black, white = (int(color[0, len(moves)]) for color in (after.black, after.white))
        cells = [1 + (black >> square & 1) - (white >> square & 1) for square in self.board.squares]
        return Drawing(svg_board(cells, self.board, last=squares[moves[-1]] if moves else None, legal=legal))

    def named(self, game: Game) -> str:
        """A game as squares, such as "c2 b2 a2"."""
        return game_text(self._moves(game), self.board)

    def _index(self, language: str) -> int:
        with keyed("language: "):
            return self.language_set.index(language)

    def _moves(self, game: Game) -> list[int]:
        if isinstance(game, str):
            with keyed("game: "):
                return parse_game(game, self.board)
        moves = [int(move) for move in game]
        return moves[: next((ply for ply, move in enumerate(moves) if move < 0), len(moves))]

    def _padded(self, moves: list[int]) -> Int8[Tensor, "1 ply"]:
        row = torch.full((1, self.board.n_moves), -1, dtype=torch.int8)
        row[0, : len(moves)] = torch.tensor(moves, dtype=torch.int8)
        return row

    def _legal(self, moves: list[int]) -> list[int]:
        """Moves that may follow. UserError where the game itself is not legal."""
        after = replay(self._padded(moves), self.board)
        if (wrong := int(after.illegal_at)) >= 0:
            raise UserError(f"game: move {wrong + 1}, {move_name(self.board, moves[wrong])}, is not legal")
        legal = int(after.legal[0, len(moves)])
        return [move for move, square in enumerate(self.board.moves) if legal >> square & 1]
