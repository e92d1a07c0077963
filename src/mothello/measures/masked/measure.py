"""The measure "masked": one move of a game is hidden. Does a model of full attention know what it can be?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.data.batch import rows
from mothello.data.oracle import play_oracle
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.measures.masked.estimate import Column, count_masked, shown_contexts
from mothello.measures.masked.posterior import Hidden, draw_hidden, posterior
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.objectives.masked_lm import MASK
from mothello.rows import Table, format_table
from mothello.seeding import generator
from mothello.training.device import autocast

BY_PLY = ("top1", "masked_accuracy")
"""Quantities that are also reported by the ply of the hidden move."""


@dataclass(kw_only=True)
class MaskedConfig:
    """Hidden moves, and their exact posterior."""

    name: str = "masked"
    games: int = ranged(400, low=2)
    """Games."""
    per_game: int = ranged(4, low=1)
    """Moves of each that are hidden, each by itself."""
    one_token: bool = False
    """Hide one token of a word of several tokens, and leave out words of one; else the whole word."""
    seed: int = 0
    """Draws the moves."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""

    def __post_init__(self) -> None:
        check(self, "masked")

    def shrunk(self, share: float) -> "MaskedConfig":
        """The same on a share of the games."""
        return replace(self, games=max(2, round(self.games * share)))


@MEASURES.register("masked")
class Masked:
    """Guesses of one hidden move in every language beside its exact posterior: where all other moves of the game are
    shown (target game), and where those up to a later ply are (target prefix). Of a whole game hardly a square is left
    that no other move is on, so that little is unknown; the control chance tells."""

    Config = MaskedConfig

    def __init__(self, config: MaskedConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        config, languages = self.config, subject.language_set
        if MASK not in languages.special_tokens:
            line = "the model was trained without hidden tokens (objective=masked_lm and others hide some)"
            raise UserError(f"measures: masked hides moves; {line}")
        languages.require_one_spelling("measures: masked")
        contexts = shown_contexts(languages)
        if config.one_token and languages.max_word == 1:
            raise UserError("masked.one_token: has no effect where every word is one token; leave it out")
        games = corpus(subject.board, subject.corpus_seed, Split.probe, config.games)
        moves = games.moves(torch.arange(config.games, device=subject.device))
        bootstrap = Bootstrap(len(moves), config.draws, generator(0, "bootstrap"))
        bar = tqdm(total=len(contexts) * len(subject.names), desc="masked", unit="language", mininterval=1)
        for context in contexts:
            hidden = draw_hidden(moves, config.per_game, context, generator(config.seed, "hidden", context))
            known = posterior(moves, hidden, subject.board, play_oracle(subject.board))
            for index, name in enumerate(subject.names):
                asked = torch.arange(len(known.played), device=moves.device)
                if config.one_token:
                    asked = asked[languages.table("length_table", moves.device)[index, known.played] > 1]
                some = rows(hidden, asked)
                with autocast(moves.device, subject.precision):
                    columns = count_masked(
                        subject.model, moves, some, rows(known, asked), languages, index, config.one_token
                    )
                where: Row = {"measure": "masked", "language": name, "target": context.value}
                yield from (where | row for row in self._rows(columns, some, bootstrap, subject.control))
                bar.update()
        bar.close()

    def _rows(
        self, columns: dict[Column, torch.Tensor], hidden: Hidden, bootstrap: Bootstrap, control: str
    ) -> Iterator[Row]:
        games, game, ply = bootstrap.weight.shape[1], hidden.game.cpu(), hidden.ply.cpu()
        for (quantity, kind), values in columns.items():
            values, head = values.cpu(), {"quantity": quantity, "control": control if kind == "trained" else kind}
            summed = torch.zeros(games, dtype=torch.float64).index_add_(0, game, values)
            low, high = bootstrap(summed, game.bincount(minlength=games))
            yield head | {"value": float(values.mean()), "low": float(low), "high": float(high), "n": len(values)}
            for at in ply.unique().tolist() if quantity in BY_PLY else []:
                own = values[ply == at]
                yield head | {"ply": at + 1, "value": float(own.mean()), "n": len(own)}

    def summary(self, rows: Table) -> str:
        """By language and what is shown of a game."""
        rows = rows[rows.ply.isna()]
        names = rows.quantity.where(rows.control.isin(["trained", "edited"]), rows.quantity + " (" + rows.control + ")")
        table = {
            f"{language}, {target}": dict(zip(names[group.index], group.value, strict=True))
            for (language, target), group in rows.groupby(["language", "target"], sort=False)
        }
        return f"hidden moves\n{format_table(table)}"
