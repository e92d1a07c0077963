"""The measure "causal": interventions along the directions of linear probes, and patching of parallel games."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.config import check, ranged
from mothello.measures.causal.cases import draw_cases
from mothello.measures.causal.intervene import EditedPositions, Errors, interventions, without
from mothello.measures.causal.patch import draw_patches, patched, unpatched
from mothello.measures.causal.summary import causal_summary
from mothello.measures.measure import MEASURES, Row, Subject
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.measure import probes_of, scored_moves
from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS
from mothello.rows import Table, format_table
from mothello.seeding import derive, generator


@dataclass(kw_only=True)
class CausalConfig:
    """Which interventions are made."""

    name: str = "causal"
    cases: int = ranged(1000, low=1)
    """Positions that are edited, and patched."""
    strength: float = ranged(3.0, above=0)
    """How far a state is moved along the difference of two of a probe's classes: 1 to where both are read alike, 2 to
    its mirror image beyond that. 3 left the fewest errors (docs/LOG.md)."""
    languages: int = ranged(3, low=1)
    """How many languages are edited by one another's probes, from the first on: the work grows with their square."""
    seed: int = 0
    """Draws the positions and the random directions."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    all_maps: bool = False
    """Control: between languages, also through the four maps that do not fix the opening; twice the work."""
    probes: ProbesConfig = field(default_factory=ProbesConfig)
    """The probes to edit along, by default those of the measure "probes" of the same command. They are read from its
    folder where they were kept, else fitted."""

    def __post_init__(self) -> None:
        check(self, "causal")

    def shrunk(self, share: float) -> "CausalConfig":
        """The same on a share of the cases."""
        return replace(self, cases=max(1, round(self.cases * share)), probes=self.probes.shrunk(share))


@MEASURES.register("causal")
class Causal:
    """Interventions where linear probes were fitted, then patching; between the first languages. No rows where no case
    exists."""

    Config = CausalConfig

    def __init__(self, config: CausalConfig) -> None:
        self.config = config

    def __call__(self, subject: Subject) -> Iterator[Row]:
        subject.check_causal("measures: causal")
        subject.language_set.require_board("measures: causal")
        probes = probes_of(subject, self.config.probes)
        yield from causal_rows(subject, probes, scored_moves(subject, self.config.probes), self.config)

    def summary(self, rows: Table) -> str:
        """Errors within and across languages, and the controls."""
        title = "false plus missed moves per case after an intervention, and its controls: fewer are better"
        return f"{title}\n{format_table(causal_summary(rows))}" if len(rows) else "causal: no case exists"


def causal_rows(subject: Subject, probes: FittedProbes, moves: torch.Tensor, config: CausalConfig) -> Iterator[Row]:
    """moves: games that no probe was fitted on."""
    draw, seed = generator(config.seed, "cases"), derive(config.seed, "random directions") >> 2
    cases = draw_cases(moves, subject.board, config.cases, draw)
    patches = draw_patches(moves, subject.board, config.cases, draw)
    steer, patch = "linear" in probes.modules and len(cases.ply) > 0, len(patches.ply) > 0
    names, maps = subject.names[: config.languages], ALL_MAPS if config.all_maps else OPENING_MAPS
    bootstrap = Bootstrap(len(moves), config.draws, generator(0, "bootstrap"))
    bar = tqdm(total=len(names) ** 2, desc="interventions", unit="pair", mininterval=1, disable=not (steer or patch))
    for language, edited in enumerate(names):
        written = EditedPositions(subject, language, cases.moves, cases.ply) if steer else None
        read = EditedPositions(subject, language, patches.moves, patches.ply) if patch else None
        for errors in without(written, cases) if written else ():
            yield _row(errors, "causal", bootstrap, subject.control, language=edited)
        for errors in unpatched(read, patches) if read else ():
            yield _row(errors, "patching", bootstrap, subject.control, language=edited)
        for source, name in enumerate(names):
            pair = {"source": name, "language": edited}
            through = maps if source != language else maps[:1]
            steered = interventions(written, probes, source, cases, config.strength, seed, through) if written else ()
            for errors in steered:
                by = {"probe": "linear", "target": "relative"} | pair
                yield _row(errors, "causal", bootstrap, subject.control, **by)
            for errors in patched(read, patches, source, through) if read else ():
                yield _row(errors, "patching", bootstrap, subject.control, **pair)
            bar.update()
    bar.close()


def _row(errors: Errors, measure: str, bootstrap: Bootstrap, control: str, **where: str) -> Row:
    """Mean over cases, with its interval over the games they are from."""
    games = bootstrap.weight.shape[1]
    summed = torch.zeros(games, dtype=torch.float64).index_add_(0, errors.game, errors.values.double())
    low, high = bootstrap(summed, errors.game.bincount(minlength=games))
    control = control if errors.control == "trained" else errors.control
    row: Row = {"measure": measure, "quantity": errors.quantity, "control": control} | where
    if errors.layer is not None:
        row |= {"layer": errors.layer, "map": errors.map}
    mean = float(errors.values.double().mean())
    return row | {"value": mean, "low": float(low), "high": float(high), "n": len(errors.values)}
