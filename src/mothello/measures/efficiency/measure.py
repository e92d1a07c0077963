"""The measure "efficiency": to how many games of a language alone a game of that language amounts in a model of several
(token efficiency, Schaefer et al. 2024)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mothello.commands import words
from mothello.errors import UserError
from mothello.measures.efficiency.ladder import KEY, Law, Rung, excess_nats, folders_of, games_seen, ladder
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.rows import Table, format_table


@dataclass(kw_only=True)
class EfficiencyConfig:
    """The runs of one language that a run is compared with."""

    name: str = "efficiency"
    ladder: list[str] = field(default_factory=list)
    """Folders of finished runs, or patterns such as runs/single_*/*/seed0: of the same board, model, recipe and
    objective, one language each, on more and more games. Of settings that one language cannot have (separate parts, a
    softmax over the language's tokens) there is no ladder."""

    def __post_init__(self) -> None:
        self.ladder = folders_of(self.ladder)  # as folders: with one more of them, it is another result

    def shrunk(self, share: float) -> "EfficiencyConfig":
        """It reads what is there."""
        return self


@MEASURES.register("efficiency")
class Efficiency:
    """Fits excess nats = a games^-b on the ladder of a language's kind, reads off how many games a run of one language
    needs for the same excess, and divides by the games of the language that were seen."""

    Config = EfficiencyConfig

    def __init__(self, config: EfficiencyConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        """Rows. UserError where no run can be compared."""
        if subject.run is None:
            raise UserError("measures: efficiency reads the folder of a run")
        folder = subject.run
        content = folder.read_config()
        if content.get("stage", "pretrain") != "pretrain":
            raise UserError(f"measures: efficiency is measured on a run of {words('train')[-1]}; {folder.path} is none")
        if content["objective"]["name"] == "tlm":
            raise UserError("measures: efficiency counts games of one language; a row of tlm holds two")
        rungs, languages = ladder(self.config.ladder, content), subject.language_set.languages
        seen = games_seen(content, len(languages))
        alike = {one.name: [rung for rung in rungs if rung.language == (one.kind, one.traits)] for one in languages}
        if not any(len(own) > 1 for own in alike.values()):
            raise UserError(f"{KEY}: no two runs of {' or '.join(sorted({one.kind for one in languages}))} among them")
        for language, games in zip(subject.names, seen, strict=True):
            if len(alike[language]) > 1:
                yield from _rows(alike[language], excess_nats(folder, language), games, language)

    def summary(self, rows: Table) -> str:
        """Per language."""
        rows = rows[rows.control == "trained"]
        table = {
            str(language): dict(zip(group.quantity, group.value, strict=True))
            for language, group in rows.groupby("language", sort=False)
        }
        return f"token efficiency\n{format_table(table)}"


def _rows(rungs: list[Rung], excess: float, seen: float, language: str) -> Iterator[Row]:
    head: Row = {"measure": "efficiency", "control": "trained", "language": language}
    games, n = Law.of(rungs).games(excess), len(rungs)
    without = [_law(rungs[:i] + rungs[i + 1 :]) for i in range(n)]
    others = [law.games(excess) for law in without if law is not None]
    yield head | {"quantity": "excess_nats", "value": excess}
    for quantity, unit in (("equal_games", 1.0), ("token_efficiency", seen)):
        bounds = {"low": min(others) / unit, "high": max(others) / unit} if others else {}
        yield head | {"quantity": quantity, "value": games / unit, "n": n} | bounds
    inside = min(rung.excess for rung in rungs) <= excess <= max(rung.excess for rung in rungs)
    yield head | {"quantity": "extrapolated", "value": float(not inside), "n": n}
    for rung, law in zip(rungs, without, strict=True):
        if law is not None:
            value = law.games(rung.excess) / rung.games
            yield head | {"control": "ladder", "quantity": "token_efficiency", "value": value, "step": int(rung.games)}


def _law(rungs: list[Rung]) -> Law | None:
    """None where these runs follow none."""
    try:
        return Law.of(rungs)
    except UserError:
        return None
