"""What happened, in sentences computed from the headline over seeds, worded by templates/sentences.j2."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import pandas as pd

from mothello.measures.probes.symmetry_classes import Classes
from mothello.measures.probes.verdict import ONE_MAP, TWO_DOMAINS
from mothello.report.runs import Run
from mothello.report.sharing import n_anchors
from mothello.report.statistics import Estimate, estimate_of, share_of

IN_SHARES = frozenset(
    ["own", "across", "across_best_map", "constant", "orbit", "whole_board", "random_weights", "shuffled"]
)
"""The columns of Headline that are shares of cells or positions."""
READS_ABOVE = 0.05
"""Own accuracy above the best constant and above random weights that counts as reading the board."""


@dataclass(frozen=True)
class Summary:
    """The headline of one label over its seeds."""

    label: str
    runs: Sequence[Run]
    heads: pd.DataFrame
    """A row per seed that was probed, with the columns of Headline."""

    def __getitem__(self, column: str) -> Estimate | None:
        """A column of Headline over seeds."""
        return (share_of if column in IN_SHARES else estimate_of)(self.heads[column])

    @property
    def layers(self) -> str:
        return " and ".join(map(str, sorted(set(self.heads.layer))))

    @property
    def pairs(self) -> int:
        """Ordered pairs of languages, all seeds together."""
        return int(self.heads.pairs.fillna(0).sum())

    def _total(self, column: str) -> dict[str, int]:
        """A column of counts, all seeds together, without zeros."""
        total: Counter[str] = Counter()
        for counts in self.heads[column].dropna():
            total.update({name: count for name, count in counts.items() if count})
        return dict(total)

    @property
    def maps(self) -> dict[str, int]:
        """Map that pairs are aligned through -> pairs, all seeds together."""
        return self._total("maps")

    @property
    def winners(self) -> str:
        """The maps with their counts."""
        return _listed(self.maps)

    @property
    def kinds(self) -> str:
        """The kinds of verdicts with their counts, all seeds together."""
        return _listed(self._total("kinds"))

    @property
    def aligned(self) -> int:
        """Ordered pairs that are aligned through a map, all seeds together."""
        return sum(self.maps.values())

    @property
    def direct(self) -> bool:
        """Whether every pair is aligned, by the identity alone."""
        return list(self.maps) == ["identity"] and self._total("kinds").get(ONE_MAP, 0) == self.pairs

    @property
    def divided(self) -> int:
        """Pairs with two domains, all seeds together."""
        return self._total("kinds").get(TWO_DOMAINS, 0)

    @property
    def baseline(self) -> str:
        """What ``recovered`` counts from."""
        return "orbit reader" if self["orbit"] else "best constant"

    @property
    def reads_more(self) -> bool:
        """Whether the best map reads more than the baseline."""
        recovered = self["recovered"]
        return recovered is not None and recovered.mean > 0

    @property
    def loss_under_best_map(self) -> Estimate | None:
        """Own accuracy less that under the best map of each pair."""
        return estimate_of(pd.to_numeric(self.heads.own) - pd.to_numeric(self.heads.across_best_map))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def number(value: Estimate | None) -> str:
    """Mean over seeds, with the interval where there is one and it has a width."""
    if value is None:
        return "not measured"
    low, high = value.interval or (value.mean, value.mean)
    return f"{value.mean:.3f}" + (f" [{low:.3f}, {high:.3f}]" if f"{low:.3f}" != f"{high:.3f}" else "")


def sentences(macro: str, *values: Any) -> str:
    return " ".join(getattr(_words(), macro)(*values).split())


@cache
def _words() -> Any:
    """The macros of templates/sentences.j2."""
    loader = jinja2.PackageLoader("mothello.report")
    environment = jinja2.Environment(loader=loader, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters["number"] = number
    return environment.get_template("sentences.j2").module


def describe(summary: Summary) -> str:
    """The numbers of one label."""
    return sentences("describe", summary, n_anchors(summary.runs[0].config))


def class_sentence(classes: Classes) -> str:
    """The symmetry classes of a model's languages, in words."""
    sizes = Counter(classes.component)
    several = sorted(component for component, size in sizes.items() if size > 1)
    blocks = {place for place in zip(classes.component, classes.map, strict=True) if place[0] in several}
    listed = [sizes[component] for component in several]
    return sentences("classes", listed, len(blocks), sizes.total() - sum(listed), classes.consistency)


def summaries_of(heads: pd.DataFrame, groups: Mapping[str, Sequence[Run]]) -> dict[str, Summary]:
    """Label -> summary, of the labels that were probed. heads: of pretrained models, one probe and target."""
    probed = set(heads.label)
    return {x: Summary(x, runs, heads[heads.label == x]) for x, runs in groups.items() if x in probed}
