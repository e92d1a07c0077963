"""The verdict on a pair of languages, as a query over rows: which kind of alignment, and through which map. No torch.

for verdict in verdicts(rows, "mlp", "absolute", layer):
    verdict.kind, verdict.map, verdict.recovered, verdict.aligned
"""

from collections import defaultdict
from typing import NamedTuple

from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table

ONE_MAP, TWO_DOMAINS, GRADED, ORBIT_ONLY, NONE = "one map", "two domains", "graded", "orbit only", "none"
RECOVERED = 0.85
"""The share of the way from the orbit reader to the own language from which on one map is enough."""
SECOND_DOMAIN = 0.1
"""The share of the cells that a second map holds at least, where there are two domains."""

KINDS = {
    ONE_MAP: "one map lies apart from the others and above the orbit reader, and recovers at least "
    f"{RECOVERED:.0%} of the way from it to the own language",
    TWO_DOMAINS: "different squares are read through different maps: their mixture lies above the best single map and "
    f"above the orbit reader, and a second map holds at least {SECOND_DOMAIN:.0%} of the squares",
    GRADED: "one map lies apart from the others and above the constant, but recovers less, or is not above the orbit "
    "reader",
    ORBIT_ONLY: "the reading lies above the constant, but no map lies apart from the others",
    NONE: "the rest",
}
"""Kind -> its meaning; the first that holds is the verdict. Above and apart: 95% intervals over games do not meet."""

_QUANTITIES = ("accuracy", "mixed", "mixed_gain", "domain")
_COLUMNS = ["source", "language", "quantity", "map", "value", "low", "high"]


class Share(NamedTuple):
    """A number with its 95% interval over games; without one, the number alone."""

    value: float
    low: float
    high: float


class PairVerdict(NamedTuple):
    """One probe kind and target at one layer: a probe of ``source`` reads states of ``language``."""

    source: str
    language: str
    accuracy: dict[str, Share]
    """By map, the best first."""
    own: float
    """The same probe in its own language."""
    constant: float
    """The best constant per ply and cell."""
    orbit: float
    """The reader that knows the orbits alone. Tables of earlier versions lack it: there it is the constant."""
    mixed: Share | None = None
    """The reading with a map for every cell. None where it was not measured: then there are no two domains."""
    gain: Share | None = None
    """mixed less the best single map."""
    domains: dict[str, float] = {}  # noqa: RUF012 (read only)
    """Map -> share of the cells that it reads best, the largest first."""

    @property
    def map(self) -> str:
        """The best map."""
        return next(iter(self.accuracy))

    @property
    def best(self) -> Share:
        return self.accuracy[self.map]

    @property
    def second(self) -> Share:
        """Accuracy under the second best map."""
        return list(self.accuracy.values())[1]

    @property
    def margin(self) -> float:
        """best - second."""
        return self.best.value - self.second.value

    @property
    def recovered(self) -> float | None:
        """(best - orbit) / (own - orbit); None where the own language is read no better than the orbits are."""
        return (self.best.value - self.orbit) / (self.own - self.orbit) if self.own > self.orbit else None

    @property
    def kind(self) -> str:
        """One of KINDS."""
        apart = self.best.low > self.second.high
        if apart and self.best.low > self.orbit and (self.recovered or 0.0) >= RECOVERED:
            return ONE_MAP
        if self._two_domains:
            return TWO_DOMAINS
        if apart and self.best.value > self.constant:
            return GRADED
        return ORBIT_ONLY if self.best.low > self.constant and not apart else NONE

    @property
    def _two_domains(self) -> bool:
        if self.mixed is None or self.gain is None or len(self.domains) < 2:
            return False
        second = list(self.domains.values())[1]
        return self.mixed.low > self.orbit and self.gain.low > 0 and second >= SECOND_DOMAIN

    @property
    def aligned(self) -> bool:
        """Whether the languages are aligned through ``map``: by one map, or graded above the orbit reader."""
        return self.kind == ONE_MAP or (self.kind == GRADED and self.best.low > self.orbit)


def verdicts(rows: Table, probe: str, target: str, layer: int) -> list[PairVerdict]:
    """Every ordered pair of languages, each with itself included; empty without a constant to compare with."""
    rows = rows[(rows.measure == "probe") & (rows.target == target) & rows.probe.isin([probe, ""])]
    rows = rows[(rows.square == "") & rows.ply.isna() & rows.quantity.isin(_QUANTITIES)]
    constant = rows[rows.control == "constant"].value
    if constant.empty:
        return []
    orbit = rows[rows.control == "orbit"].value
    bases = float(constant.iloc[0]), float(orbit.iloc[0] if len(orbit) else constant.iloc[0])
    found: dict[tuple[str, str], dict[str, dict[str, Share]]] = defaultdict(lambda: defaultdict(dict))
    rows = rows[(rows.layer == layer) & (rows.control == "trained") & (rows.source != "")]
    for source, language, quantity, name, *numbers in rows[_COLUMNS].to_numpy().tolist():
        value, low, high = map(float, numbers)
        share = Share(value, low, high) if low == low else Share(value, value, value)  # low may be NaN
        found[source, language][quantity][name] = share
    return [_verdict(pair, numbers, found[pair[0], pair[0]], bases) for pair, numbers in list(found.items())]


def _verdict(
    pair: tuple[str, str], numbers: dict[str, dict[str, Share]], own: dict[str, dict[str, Share]],
    bases: tuple[float, float],
) -> PairVerdict:  # fmt: skip
    def sorted_maps(quantity: str) -> dict[str, Share]:
        known = numbers.get(quantity, {})
        order = sorted((name for name in OPENING_MAPS if name in known), key=lambda name: -known[name].value)
        return {name: known[name] for name in order}

    mixed, gain = (next(iter(numbers.get(quantity, {}).values()), None) for quantity in ("mixed", "mixed_gain"))
    return PairVerdict(
        *pair, sorted_maps("accuracy"), own["accuracy"]["identity"].value, *bases, mixed, gain,
        {name: share.value for name, share in sorted_maps("domain").items()},
    )  # fmt: skip
