"""The measure "facts": is what was taught in one language known in the others (Li et al. 2024)?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.errors import UserError
from mothello.measures.facts.ask import SORTS, Answers, Questions, ask
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.othello.facts import FactsConfig
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table, format_table
from mothello.seeding import generator

QUANTITIES = ("fact_probability", "fact_top1")
"""Of the answers, in their order."""


@dataclass(kw_only=True)
class FactsMeasureConfig:
    """The facts that the run was taught; of a run that was taught none, those that are named here."""

    name: str = "facts"
    count: int = ranged(0, low=0)
    """How many, of a run that was taught none (data.domains.NAME.facts.count of the one that was)."""
    plies: int = ranged(0, 0, 6)
    """Length of their openings (data.domains.NAME.facts.plies)."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over openings."""

    def __post_init__(self) -> None:
        check(self, "facts")
        if bool(self.count) != bool(self.plies):
            missing = "plies" if self.count else "count"
            raise UserError(f"facts.{missing}: must be given too; count and plies name facts together")

    def shrunk(self, share: float) -> "FactsMeasureConfig":
        """The same: openings are few."""
        return self


@MEASURES.register("facts")
class KnownFacts:
    """Probability of the move that always followed an opening in some language's games, in every language and under
    every map of the opening, beside openings that were left alone; with other=RUN the same of another run."""

    Config = FactsMeasureConfig
    takes_other = True

    def __init__(self, config: FactsMeasureConfig) -> None:
        self.config = config

    def check(self, subject: Subject) -> None:
        """UserError where it is not known which facts, or a model cannot be asked."""
        Questions.of(subject.board, self._asked(subject.facts))
        for side in filter(None, (subject, subject.other)):
            side.check_causal("measures: facts")
            side.language_set.require_board("measures: facts")

    def __call__(self, subject: Subject) -> Iterator[Row]:
        self.check(subject)
        config = self._asked(subject.facts)
        sides = [subject, *([replace(subject.other, control="other")] if subject.other else [])]
        questions = Questions.of(subject.board, config)
        bootstrap = Bootstrap(config.count, self.config.draws, generator(0, "bootstrap"))
        for quantity in QUANTITIES:
            for sort, chance in zip(SORTS, questions.chance, strict=True):
                head = {"measure": "facts", "quantity": quantity, "control": "chance", "target": sort}
                yield head | {"value": float(chance.mean()), "n": config.count}
        asked = [(side, index) for side in sides for index in range(len(side.names))]
        for side, index in tqdm(asked, desc="facts", unit="language", mininterval=1):
            head = {"measure": "facts", "control": side.control, "language": side.names[index]}
            yield from (head | row for row in _rows(ask(side, index, questions), bootstrap))

    def _asked(self, taught: FactsConfig | None) -> FactsConfig:
        """UserError where it is not known which facts, or the run was taught others."""
        named = FactsConfig(count=self.config.count, plies=self.config.plies) if self.config.count else None
        if taught and named and named != taught:
            known = f"the run was taught {taught.count} of {taught.plies} plies"
            raise UserError(f"facts: {named.count} of {named.plies} plies; {known}; leave both out")
        if not (found := named or taught):
            raise UserError("facts.count: the run was taught none; give count and plies of those to ask for")
        return found

    def summary(self, rows: Table) -> str:
        """Every language with the facts as they are, and under the map that knows most of those taught."""
        chance = rows[(rows.control == "chance") & (rows.quantity == QUANTITIES[0])].set_index("target").value
        table: dict[str, dict[str, object]] = {}
        for (control, language), group in rows[rows.language != ""].groupby(["control", "language"], sort=False):
            each = {key: part.set_index("map").value for key, part in group.groupby(["quantity", "target"])}
            best = str(each[QUANTITIES[0], SORTS[0]].idxmax())
            name = str(language) if control == "trained" else f"{language}, {control}"
            for sort in SORTS:
                probability, top1 = (each[quantity, sort] for quantity in QUANTITIES)
                shown = {"probability": probability["identity"], "chance": chance[sort], "top1": top1["identity"]}
                table[f"{name}, {sort}"] = shown | {"best map": best, "probability there": probability[best]}
        return f"facts: the fixed move after its opening\n{format_table(table)}"


def _rows(answers: Answers, bootstrap: Bootstrap) -> Iterator[Row]:
    """Means over openings, by quantity, map and sort."""
    for quantity, each in zip(QUANTITIES, answers, strict=True):
        values = each.double()
        low, high = bootstrap(values, torch.ones(values.shape[-1]))
        for m, name in enumerate(OPENING_MAPS):
            for s, sort in enumerate(SORTS):
                bounds = {"low": float(low[m, s]), "high": float(high[m, s]), "n": values.shape[-1]}
                head = {"quantity": quantity, "target": sort, "map": name}
                yield head | {"value": float(values[m, s].mean())} | bounds
