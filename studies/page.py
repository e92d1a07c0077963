"""results/README.md and its figures, from the committed runs: the templates filled with the tables of every scale."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from mothello.files import write_whole
from mothello.report.board_figure import boards_figure, reading_boards
from mothello.report.heatmaps import alignment_maps, scale
from mothello.report.runs import Run, find_runs
from mothello.report.sentences import class_sentence
from mothello.report.table import pairs, table_of
from studies import CRITERIA, FOLDER, PUBLISHED, data, figures, numbers, tables
from studies.data import MAPS, MIRRORS, Study
from studies.judge import ATOMIC, winners
from studies.outcomes import LEFT, linked, own_map_outcome, true_anchors
from studies.predictions import count_classes, prediction_table

SCALES = {
    "published": "the published board, model and budget on a GPU",
    "paper": "the published board and model on a GPU, 1/9 of the published pretraining",
    "mini": "a small board and model, two CPU cores; published numbers are compared in direction and order only",
}


class Scale:
    """The tables of one scale, the facts that the page's sentences need, and the figures."""

    def __init__(self, name: str, found: Sequence[Run], studies: Sequence[Study]) -> None:
        self.name, self.description, self.found = name, SCALES[name], found
        self.studies = {study.name: study for study in studies}
        self.runs = {study.name: data.runs_of(study, found) for study in studies}
        self.cells = {name: data.cell_table(runs) for name, runs in self.runs.items()}
        self.every = pd.concat(list(self.cells.values())).drop_duplicates("run") if studies else pd.DataFrame()
        self.planned = {
            cell: sorted(set(chain(*(study.planned.get(cell, ()) for study in studies))))
            for study in studies
            for cell in study.planned
        }
        self.tuned = data.finetuned(self.runs.get("finetune", ()))
        self.errors = data.probe_errors(self.runs.get("probes", ()))
        self.images = data.image_agreement(self.runs.get("mirror_anchors", ()))
        self.costs = pd.DataFrame(
            [{"study": name} | row for name, runs in self.runs.items() for row in data.costs(runs)]
        )
        self.figures: dict[str, str] = {}
        self.heat_maps: dict[str, str] = {}

    @property
    def setting(self) -> SimpleNamespace:
        """Boards, models and machines, in words."""
        runs = [run for runs in self.runs.values() for run in runs]
        shapes = sorted({(row.layers, row.width) for row in self.every.itertuples()})
        versions = [(run.results.get("environment") or {}).get("versions") or {} for run in runs]
        return SimpleNamespace(
            boards=_listed(run.results["board"] for run in runs),
            shapes=", ".join(f"{layers} layers of width {width}" for layers, width in shapes),
            devices=_listed(run.results.get("device", "?") for run in runs),
            torches=_listed(version.get("torch", "?") for version in versions),
        )

    def below(self) -> list[str]:
        """The runs below the bar."""
        rows = self.every[~self.every.learned]
        return [f"{row['cell']}/{row['seed']} ({numbers.decimal(row['legal'])})" for row in data.records(rows)]

    def budget(self, study: str) -> list[str]:
        """How long the runs of a study were trained, and what their probes were fitted on."""
        configs = [run.config["data"] for run in self.runs[study]]
        budgets = Counter(
            (round(config["games"] * config.get("epochs", 1)), config["batch_size"]) for config in configs
        )
        probes = [probe for run in self.runs[study] if (probe := run.measure("probes")) is not None]
        fits = sorted({(probe.config["probes"]["games"], probe.results["games"]) for probe in probes})
        return [
            *(f"{games:,} games in steps of {batch} ({n} runs)" for (games, batch), n in sorted(budgets.items())),
            *(f"probes fitted on {games:,} games and scored on {tested:,}" for games, tested in fits),
        ]

    def learned(self) -> pd.DataFrame:
        """The models of every opening that reach the bar."""
        return self.every[self.every.learned & (self.every.opening == "")]

    def naive_pairs(self) -> pd.DataFrame:
        rows = self.cells["table1"]
        return rows[(rows.cell == "naive") & rows.raw.notna()]

    def predictions(self) -> list[dict[str, str]]:
        return prediction_table(self.cells, self.tuned, self.planned, self.images)

    def mirrors(self) -> SimpleNamespace:
        """Mirror anchors inside and outside the group, of the runs that learned."""
        rows = linked(self.cells["mirror_anchors"])
        true = self.cells["mirror_anchors"].query("cell == 'anchor_4' and raw.notna()")
        rows = rows[rows.learned]
        inside, outside = rows[rows.link.isin(MAPS)], rows[~rows.link.isin(MAPS)]
        return SimpleNamespace(
            inside=inside, outside=outside, through=int((inside.winner == inside.link).sum()),
            stays=int((outside.winner == "none").sum()), strays=outside[outside.winner != "none"],
            own_map=any(own_map_outcome(row) is False for row in data.records(outside)),
            true=true_anchors(self.cells["mirror_anchors"]), true_seeds=len(true),
        )  # fmt: skip

    def control(self) -> SimpleNamespace:
        """The negative control, read under the map that its anchors link."""
        rows = linked(self.cells["mirror_anchors"])
        rows = rows[~rows.link.isin(MAPS)]
        read = rows[rows.linked_map.notna()]
        through = read[[own_map_outcome(row) is False for row in data.records(read)]]
        share = (through.linked_map - through.constant) / (through.own - through.constant)
        return SimpleNamespace(every=rows, read=read, through=through, partly=int((share <= CRITERIA.bands[1]).sum()))

    def outside_maps(self) -> SimpleNamespace:
        """Aligned naive pairs, and the most that pairs with common tokens read outside the group."""
        rows = self.cells["table1"]
        rows = rows[rows.learned & rows.raw.notna()]
        tied = rows[rows.sharing.isin(["anchors", "unified"])]
        most = float(tied[["other_maps", "other_maps_swapped"]].max().max())
        aligned = int((rows.cell.eq("naive") & rows.winner.isin(MAPS)).sum())
        return SimpleNamespace(aligned=aligned, most=None if pd.isna(most) else numbers.decimal(most))

    def placed(self) -> SimpleNamespace:
        """Anchors on one diagonal, which leave a reflection, and others."""
        rows = self.cells["anchor_placement"]
        rows = rows[rows.learned & rows.raw.notna() & rows.cell.isin(list(LEFT))]
        free = rows.cell.map(lambda cell: len(LEFT.get(cell, ())) > 1)
        return SimpleNamespace(free=rows[free], bound=rows[~free], mirrored=rows[free & rows.winner.isin(MIRRORS)])

    def naive(self) -> pd.DataFrame:
        """Naive atomic pairs and families that were pretrained on every opening and probed."""
        rows = pd.concat([self.cells["emergence"], self.cells["many_languages"]])
        rows = rows[(rows.sharing == "naive") & (rows.opening == "") & rows.raw.notna()].drop_duplicates("run")
        return rows[rows.pair.str.fullmatch(r"atomic \+ atomic|\d+ atomic")]

    def pairs_by_games(self) -> list[tuple[int, pd.DataFrame]]:
        """Pairs at the study's widest model."""
        rows = self.naive()
        return list(rows[(rows.pairs == 2) & (rows.width == rows.width.max())].groupby("games"))

    def several(self) -> tables.Rows:
        """A row per run of three languages or more."""
        rows = self.cells["many_languages"]
        return [
            row
            | {"shown_games": f"{row['games']:,}", "shown_pairs": f"{row['aligned']} of {row['pairs']}"}
            | {"sentence": class_sentence(row["classes"])}
            for row in data.records(rows[rows.pairs > 2])
        ]

    def families(self) -> list[pd.Series]:
        """Families that learned."""
        rows = self.cells["many_languages"]
        return [row for _, row in rows[rows.learned & (rows.pairs > 2)].iterrows()]

    def families_left(self) -> list[int]:
        asked = [name for name, seeds in self.studies["many_languages"].planned.items() if seeds]
        return [count for count in PUBLISHED.families if f"naive_{count}" not in asked]

    def curves_left(self) -> list[str]:
        """Published curves of fine-tuning that were neither asked for nor run."""
        run = set(zip(self.tuned.kind, self.tuned.sharing, strict=True))
        left = [x for x in tables.published_curves() if x not in run and not self.planned.get(tables.curve_cell(*x))]
        return [f"{kind}, {tables.SHARING[sharing]}" for kind, sharing in left]

    def targets(self) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
        """The atomic pair by sharing: fine-tuning of the target, and the pretrained runs."""
        cells, targets = (
            self.cells["finetune"],
            self.tuned[(self.tuned.part == "target") & (self.tuned.kind == "atomic")],
        )
        before = cells[(cells.pair == ATOMIC) & (cells.opening != "")]
        labels = {"naive": "naive", "anchors": "eight anchors", "unified": "unified output"}
        parts = [(label, targets[targets.sharing == x], before[before.sharing == x]) for x, label in labels.items()]
        return [part for part in parts if len(part[1])]

    def tuning(self) -> list[str]:
        """Games, optimizer and evaluation of fine-tuning."""
        transfers = [(x.results["games"], x.config) for run in self.runs["finetune"] for x in run.finetunings]
        return sorted(
            {
                f"{games:,} games in one language, {config['optimizer']['name']}, learning rate "
                f"{config['optimizer']['lr']:g}; legality estimated on {config['evaluation']['games']} games a language"
                for games, config in transfers
            }
        )

    def probed(self) -> list[str]:
        return [name for name in ("single", "naive", "unified") if (self.errors.cell == name).any()]

    def costs_once(self) -> pd.DataFrame:
        return self.costs.drop_duplicates(["run", "folder"])

    def draw(self, out: Path) -> None:
        """Write every figure that there are numbers for to OUT/SCALE/figures."""
        folder = out / self.name / "figures"
        folder.mkdir(parents=True, exist_ok=True)
        cells, atomic, naive = self.cells, self.tuned[self.tuned.kind == "atomic"], self.naive()
        panels = {"mirror_anchors": figures.MIRROR_PANELS, "anchor_placement": figures.PLACEMENT_PANELS}
        drawn: dict[str, Figure] = {}
        if cells["table1"].raw.notna().any():
            drawn["table1"] = figures.anchor_figure(cells["table1"])
        for name in (name for name in panels if cells[name].raw.notna().any()):
            drawn[name] = figures.map_figure(cells[name], panels[name], self.images)
        if naive.games.nunique() > 1:
            drawn["emergence"] = figures.emergence_figure(naive)
        if len(atomic):
            drawn["finetune"] = figures.change_figure(atomic)
        if self.probed():
            drawn["probes"] = figures.probe_figure(self.errors, self.probed()[0])
        self.figures = dict.fromkeys(drawn, "")
        for name, drawing in (drawn | self._boards() | self._heat_maps()).items():
            drawing.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})

    def _boards(self) -> dict[str, Figure]:
        """Boards of one naive pair and of one with mirror anchors, as read and through their map."""
        rows = self.cells["table1"]
        naive = rows[(rows.cell == "naive") & rows.winner.isin(MIRRORS)].sort_values("recovered", ascending=False)
        best = dict(zip(naive.run[:1], naive.winner[:1], strict=True))
        pairs = {"naive_boards": [(run, best[str(run.path)]) for run in self.runs["table1"] if str(run.path) in best]}
        mirrors = ((run, run.name.removeprefix("mirror_")) for run in self.runs["mirror_anchors"])
        pairs["mirrored_boards"] = [(run, through) for run, through in mirrors if through in MIRRORS]
        drawn = {}
        for name, choices in pairs.items():
            probed = [(run, run.measure("probes"), through) for run, through in choices]
            for run, probe, through in [x for x in probed if x[1] and x[1].examples][:1]:
                assert probe is not None
                drawn[name] = boards_figure([reading_boards(example, through) for example in probe.examples])
                self.figures[name] = f"`{run.name}` seed {run.seed}"
        return drawn

    def _heat_maps(self) -> dict[str, Figure]:
        drawn = {}
        for run in self.runs["many_languages"]:
            head = data.headline_of(run)
            if head is None or head.classes is None:
                continue
            rows, name = pairs(table_of([run]), "mlp", "absolute"), f"many_languages_{run.name}_{run.seed}"
            drawn[name] = alignment_maps(rows[rows.layer == head.layer], scale(rows), head.classes.order)
            what = f"{len(run.languages)} naive languages, seed {run.seed}"
            self.figures[name] = self.heat_maps[name] = f"{what}, by class; above raw, below the best map."
        return drawn


def _listed(values: object) -> str:
    return ", ".join(sorted({str(value) for value in values}))  # type: ignore[attr-defined]


FILTERS = {
    "decimal": numbers.decimal, "mean": numbers.mean, "middle": numbers.middle, "plain": numbers.plain,
    "percent": numbers.percent, "table": numbers.pipe_table, "thousands": "{:,}".format, "winners": winners,
    "text": numbers.text, "count_classes": count_classes,
}  # fmt: skip


def write_results(out: Path, studies: Mapping[str, Sequence[Study]]) -> Path:
    """Write OUT/README.md and the figures from the run folders under OUT/SCALE; returns the page. studies: by scale."""
    scales = []
    for name in SCALES:
        found = find_runs([str(out / name)]) if (out / name).is_dir() else []
        if found or name == "paper":  # whose absence is explained
            scales.append(Scale(name, found, studies.get(name, ()) if found else ()))
        if found and len(scales[-1].every):
            scales[-1].draw(out)
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= FILTERS
    context = {
        "criteria": CRITERIA,
        "published": PUBLISHED,
        "tables": tables,
        "percent": numbers.percent,
        "records": data.records,
    }
    text = environment.get_template("page.md.j2").render(scales=scales, **context)
    page = out / "README.md"
    write_whole(page, (re.sub(r"\n{3,}", "\n\n", text).strip() + "\n").encode())
    return page
