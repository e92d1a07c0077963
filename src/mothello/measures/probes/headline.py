"""The headline of a probe measurement, as a query over its rows. The only place that computes it; without torch.

rows = read_tidy(RUN/measures/probes-HASH)          # or run.table
head = headline(rows, *preferred(rows))             # the mlp probe on absolute colors where it was measured
head.own, head.across, head.across_best_map, head.recovered, head.kinds, head.pairs, head.layer
"""

from statistics import fmean
from typing import NamedTuple

from mothello.measures.probes.symmetry_classes import Classes, symmetry_classes
from mothello.measures.probes.verdict import KINDS, PairVerdict, verdicts
from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table


class Headline(NamedTuple):
    """One probe kind and target at the layer where a language's own probes read best, the last layer left out.

    Shares of cells read right, means over languages or ordered pairs. None where it was not measured; with a single
    language everything about pairs is None.
    """

    probe: str
    target: str
    layer: int
    own: float
    """Every language read by its own probes."""
    constant: float | None
    """The best constant per ply and cell: a reading that never looks at the board."""
    orbit: float | None
    """A reading that knows of every orbit of squares which class is the commonest there, and nothing else."""
    whole_board: float | None
    """Share of positions with every cell read right, own probes."""
    random_weights: float | None
    """Own probes of the same model with random weights."""
    shuffled: float | None
    """Own probes of another game's board."""
    across: float | None = None
    """Read by another language's probes."""
    across_best_map: float | None = None
    """The same under the best map of every pair."""
    loss_across: float | None = None
    """own - across."""
    recovered: float | None = None
    """The best map's way from the orbit reader (from the constant, where that is None) to the own language."""
    pairs: int | None = None
    """Ordered pairs of different languages."""
    kinds: dict[str, int] | None = None
    """Kind of verdict (verdict.KINDS) -> pairs."""
    aligned_pairs: int | None = None
    """Pairs that are aligned through a map."""
    maps: dict[str, int] | None = None
    """The map that they are aligned through -> pairs."""
    classes: Classes | None = None
    """Symmetry classes of the languages, in the order of :func:`languages`."""
    intervals: dict[str, tuple[float, float]] = {}  # noqa: RUF012 (read only)
    """own, across, across_best_map, loss_across -> 95% interval over games."""


def languages(rows: Table) -> list[str]:
    """Languages in the order of the run, as the rows of pairs name them."""
    return [str(name) for name in rows.source[rows.source != ""].drop_duplicates()]


def kinds(rows: Table) -> list[tuple[str, str]]:
    """Every (probe, target) with a headline, in the order of the rows."""
    measured = rows[(rows.measure == "probe") & (rows.quantity == "own") & (rows.control == "trained")]
    pairs = measured[["probe", "target"]].drop_duplicates()
    return [(str(probe), str(target)) for probe, target in pairs.itertuples(index=False)]


def preferred(rows: Table) -> tuple[str, str]:
    """The (probe, target) that a page shows: mlp on absolute colors where it was measured. ValueError without any."""
    measured = kinds(rows)
    if not measured:
        raise ValueError("no probe was measured")
    return max(measured, key=lambda pair: (pair[0] == "mlp", pair[1] == "absolute"))


def headlines(rows: Table) -> dict[str, Headline]:
    """Every headline of a measurement, by names such as "mlp/absolute"."""
    return {f"{probe}/{target}": headline(rows, probe, target) for probe, target in kinds(rows)}


def headline(rows: Table, probe: str, target: str) -> Headline:
    """rows: one probe measurement. ValueError when this probe and target were not measured."""
    rows = rows[(rows.measure == "probe") & (rows.square == "") & rows.ply.isna()]
    rows = rows[(rows.target == target) & rows.probe.isin([probe, ""])]
    own = rows[(rows.quantity == "own") & (rows.control == "trained")].set_index("layer").value
    if own.empty:
        raise ValueError(f"{probe}/{target} was not measured")
    layer = own[own.index < own.index.max()].sort_index().idxmax()
    bases = rows[rows.quantity == "accuracy"].groupby("control").value.first()
    judged = verdicts(rows, probe, target, int(layer))
    rows = rows[rows.layer == layer]
    means = rows[rows.language == ""].set_index(["quantity", "control"])
    whole = rows[(rows.quantity == "whole_board") & (rows.control == "trained") & (rows.source == rows.language)].value

    def mean(quantity: str, control: str = "trained") -> float | None:
        return float(means.value[(quantity, control)]) if (quantity, control) in means.index else None

    trained = means[means.index.get_level_values("control") == "trained"].dropna(subset=["low", "high"])
    bounds = {str(q): (float(low), float(high)) for (q, _), low, high in trained[["low", "high"]].itertuples()}
    head = Headline(
        probe, target, int(layer), float(own[layer]),
        constant=bases.get("constant"), orbit=bases.get("orbit"),
        whole_board=float(whole.mean()) if len(whole) else None,
        random_weights=mean("own", "random_weights"), shuffled=mean("own", "shuffled"), intervals=bounds,
    )  # fmt: skip
    names = languages(rows)
    if len(names) < 2:
        return head
    head = head._replace(across=mean("across"), across_best_map=mean("across_best_map"))
    head = head._replace(loss_across=mean("loss_across"), pairs=len(names) * (len(names) - 1))
    return _judged(head, [verdict for verdict in judged if verdict.source != verdict.language], names)


def _judged(head: Headline, judged: list[PairVerdict], names: list[str]) -> Headline:
    """Verdicts counted, and aligned pairs put into classes."""
    if not judged:
        return head
    aligned = [[False] * len(names) for _ in names]
    which = [[0] * len(names) for _ in names]
    for verdict in judged:
        source, language = names.index(verdict.source), names.index(verdict.language)
        aligned[source][language] = verdict.aligned
        which[source][language] = OPENING_MAPS.index(verdict.map)
    kinds, maps = [verdict.kind for verdict in judged], [verdict.map for verdict in judged if verdict.aligned]
    recovered = [verdict.recovered for verdict in judged if verdict.recovered is not None]
    return head._replace(
        recovered=fmean(recovered) if recovered else None,
        kinds={kind: kinds.count(kind) for kind in KINDS},
        aligned_pairs=len(maps),
        maps={name: maps.count(name) for name in OPENING_MAPS},
        classes=symmetry_classes(aligned, which),
    )
