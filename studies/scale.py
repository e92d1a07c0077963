"""The tables of one scale, and the facts that the sentences of the page need."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pandas as pd

from mothello.report.runs import Run
from mothello.report.sentences import class_sentence
from studies import CRITERIA, PUBLISHED, answers, data, runs, tables
from studies.judge import ATOMIC
from studies.numbers import mean, text
from studies.outcomes import true_anchors, with_outcomes
from studies.predictions import COULD_NOT_FAIL, Prediction, prediction_table, told
from studies.sections import SECTIONS

TABLE = "table1"
SCALES = {
    "published": "the published board, model and budget on a GPU",
    "mini": "a small board and model; published numbers are compared in direction and order only",
    "board8": "the published board, a small model with expected targets",
    "expected": "the rows of Table 1 whose words have several tokens, on the small board: expected targets, width 256",
    "paper": "the published board and model on a GPU, 1/9 of the published pretraining",
}
"""In the order of the page."""


def _seeds(studies: Iterable[runs.Study]) -> dict[str, list[int]]:
    """Those that any of the studies asks for, by cell."""
    studies = list(studies)
    cells = {cell for study in studies for cell in study.planned}
    return {x: sorted({*chain(*(study.planned.get(x, ()) for study in studies))}) for x in cells}


class Scale:
    """Everything that scale.md.j2 shows."""

    def __init__(
        self, name: str, found: Sequence[Run], studies: Sequence[runs.Study], smaller: "Scale | None" = None
    ) -> None:
        """smaller: the scale that predictions about this one are compared with."""
        self.name, self.description, self.found, self.smaller = name, SCALES[name], found, smaller
        self.studies = {study.name: study for study in studies}
        chosen = {study.name: runs.runs_of(study, found) for study in studies}
        studies = [study for study in studies if self._begun(study, chosen)]
        self.runs = dict.fromkeys(chosen, ()) | {study.name: chosen[study.name] for study in studies}
        self.images = runs.image_agreement(self.runs.get("mirror_anchors", ()))
        self.cells = {name: with_outcomes(data.cell_table(chosen), self.images) for name, chosen in self.runs.items()}
        self.every = pd.concat(list(self.cells.values())).drop_duplicates("run") if studies else pd.DataFrame()
        self.asked = _seeds(studies)
        self.planned = _seeds(study for study in studies if not SECTIONS[study.name].apart)
        self.tuned = data.finetuned(self.runs.get("finetune", ()))
        self.read = {name: section.read(self.runs.get(name, ())) for name, section in SECTIONS.items()}
        """What the sections show of their studies' runs."""
        costs = ({"study": study} | row for study, chosen in self.runs.items() for row in runs.costs(chosen))
        self.costs = pd.DataFrame(costs)
        self.figures: dict[str, str] = {}
        """Name -> whose numbers it shows, where the caption says so."""

    def _begun(self, study: runs.Study, chosen: Mapping[str, Sequence[Run]]) -> bool:
        """Whether a study has a run of its own, not only some that it shares with Table 1. Where the board is, shared
        runs tell as well."""
        if study.name in (TABLE, "probes") or TABLE not in self.studies:
            return True
        own = set(study.planned) - set(self.studies[TABLE].planned)
        return any(run.name in own for run in chosen[study.name])

    def setting(self) -> str:
        return runs.setting(list(chain(*self.runs.values())))

    def budget(self, study: str) -> str:
        return runs.budget(self.runs[study])

    def tuning(self) -> str:
        return runs.tuning(self.runs["finetune"])

    def several(self) -> list[str]:
        """Of pairs whose words have several tokens and that pass the bar, how the best map rises with anchors."""
        cells = self.cells[TABLE].query("learned and probed and sharing in ('naive', 'anchors')")
        found = []
        for pair, rows in cells[cells.pair != ATOMIC].groupby("pair"):
            best = ", ".join(f"{mean(part.best)} with {count}" for count, part in rows.groupby("anchors"))
            most = rows[rows.anchors == rows.anchors.max()]
            settled = int((most.settled.astype(bool) | most.settled_relative.astype(bool)).sum())
            text = f"{pair}, anchors: {best} (own language {mean(rows.own)}, orbit reader {mean(rows.orbit)})"
            colors = "are aligned, in relative colors if not in absolute ones"
            found.append(f"{text}; with {rows.anchors.max()}, {settled} of {len(most)} seeds {colors}")
        return found

    def missing(self) -> list[str]:
        """Runs that the studies ask for and that are not there, as CELL/SEED or the number of a cell's seeds."""
        found = set(zip(self.every.cell, self.every.seed, strict=True))
        left = {x: [seed for seed in seeds if (x, seed) not in found] for x, seeds in self.asked.items()}
        return [f"{x} ({len(seeds)} seed{'s' * (len(seeds) > 1)})" for x, seeds in sorted(left.items()) if seeds]

    def outcomes(self) -> str:
        """How many of the predictions that were tested held, failed, are open, or could not fail."""
        words = [text(row["outcome"]) for row in self.predictions()[0]]
        counts = {word: words.count(word) for word in ("held", "failed", "open", COULD_NOT_FAIL)}
        return ", ".join(f"{count} {word}" for word, count in counts.items())

    def shares(self) -> list[dict[str, str]]:
        return answers.shares(self.read["finetune"].query("learned"))

    def predictions(self) -> tuple[list[dict[str, Any]], list[str]]:
        """A row per prediction that a run tests, and the numbers of the others."""
        smaller = self.smaller.read["finetune"] if self.smaller else None
        more: list[Prediction] = []
        for name, section in SECTIONS.items():
            if section.predictions is not None:
                asked = self.studies[name].planned if name in self.studies else {}
                more += told(section.predictions(self.read[name]), self.read[name], asked)
        rows = prediction_table(self.cells, self.tuned, self.read["finetune"], more, self.planned, self.name, smaller)
        tested = [row for row in rows if not row["runs"].startswith(("0 ", "-"))]
        left = {row["prediction"].split()[0] for row in rows} - {row["prediction"].split()[0] for row in tested}
        return tested, sorted(left, key=lambda number: [int(part) for part in number.split(".")])

    def mirrors(self) -> SimpleNamespace:
        """Mirror anchors inside and outside the group, of the runs that learned; what true anchors read."""
        cells = self.cells["mirror_anchors"]
        rows = cells[cells.learned & cells.probed]
        inside = rows[rows.link.isin(data.MIRRORS)]
        outside = rows[~rows.link.isin(data.MAPS) & (rows.link != "")]
        through = outside[outside.own_map.eq(False)]
        share = (through.linked_map - through.constant) / (through.own - through.constant)
        return SimpleNamespace(
            inside=inside, outside=outside, through=through, partly=int((share <= CRITERIA.bands[1]).sum()),
            true=true_anchors(cells), true_seeds=int((rows.cell == "anchor_4").sum()),
        )  # fmt: skip

    def outside_maps(self) -> SimpleNamespace:
        """Aligned naive pairs, and the most that pairs with common tokens read outside the group."""
        rows = self.cells["table1"].query("learned and probed")
        tied = rows[rows.sharing.isin(["anchors", "unified"])]
        aligned = rows[(rows.cell == "naive") & rows.winner.isin(data.MAPS)]
        return SimpleNamespace(aligned=len(aligned), most=float(tied[["other_maps", "other_maps_swapped"]].max().max()))

    def naive(self) -> pd.DataFrame:
        """Naive atomic pairs and families that were pretrained on every opening and probed."""
        rows = pd.concat([self.cells["emergence"], self.cells["many_languages"]]).drop_duplicates("run")
        rows = rows[(rows.sharing == "naive") & (rows.opening == "") & rows.probed]
        return rows[rows.pair.str.fullmatch(r"atomic \+ atomic|\d+ atomic")]

    def pairs_by_games(self) -> list[tuple[Any, pd.DataFrame]]:
        """Pairs at the study's widest model."""
        rows = self.naive()
        return list(rows[(rows.pairs == 2) & (rows.width == rows.width.max())].groupby("games"))

    def families(self) -> tables.Rows:
        """A row per run of three languages or more."""
        rows = data.records(self.cells["many_languages"].query("pairs > 2"))
        for row in rows:
            row |= {"shown_games": f"{row['games']:,}", "shown_pairs": f"{row['aligned']} of {row['pairs']}"}
            row |= {"sentence": class_sentence(row["classes"])}
        return rows

    def families_left(self) -> list[int]:
        asked = [name for name, seeds in self.studies["many_languages"].planned.items() if seeds]
        return [count for count in PUBLISHED.families if f"naive_{count}" not in asked]

    def pairs_left(self) -> list[str]:
        """Published pairs of Table 1 that were neither asked for nor run."""
        known = {pair for pair, group in self.cells[TABLE].groupby("pair") if len(group)}
        asked = [
            pair
            for pair, row in PUBLISHED.table_1.items()
            if any(self.planned.get(tables.cell_of(pair, n)) for n in row)
        ]
        return [pair for pair in PUBLISHED.table_1 if pair not in known and pair not in asked]

    def curves_left(self) -> list[str]:
        """Published curves of fine-tuning that were neither asked for nor run."""
        run = set(zip(self.tuned.kind, self.tuned.sharing, strict=True))
        left = [x for x in tables.published_curves() if x not in run and not self.planned.get(tables.curve_cell(*x))]
        return [f"{kind}, {tables.SHARING[sharing]}" for kind, sharing in left]

    def targets(self) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
        """The atomic pair by sharing: fine-tuning of the target, and the pretrained runs."""
        cells, tuned = self.cells["finetune"], self.tuned.query("part == 'target' and kind == 'atomic'")
        before = cells[(cells.pair == ATOMIC) & (cells.opening != "")]
        labels = {"naive": "naive", "anchors": "eight anchors", "unified": "unified output"}
        parts = [(label, tuned[tuned.sharing == x], before[before.sharing == x]) for x, label in labels.items()]
        return [part for part in parts if len(part[1])]

    def probed(self) -> list[str]:
        return [name for name in ("single", "naive", "unified") if (self.read["probes"].cell == name).any()]
