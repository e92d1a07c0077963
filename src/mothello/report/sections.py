"""What the page's sections hold, from the one table: headline, training, legality, measures without probes.

The template has the words around it. What was not measured is empty, and its section is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from mothello.measures.causal.summary import errors_by_map
from mothello.othello.symmetry import ALL_MAPS
from mothello.report import figures, measure_figures
from mothello.report.answer import comparisons
from mothello.report.markup import cell, over_runs, table
from mothello.report.panels import panels
from mothello.report.runs import Run
from mothello.report.sentences import Summary, describe
from mothello.report.sharing import targets_of
from mothello.report.statistics import MIN_SEEDS, Estimate, share_of
from mothello.report.table import by_ply, final_legality, masked, of_measure, timed_legality, training

MANY_LANGUAGES = 8
"""More languages than this share one row of a table."""
Groups = Mapping[str, Sequence[Run]]
Summaries = Mapping[str, Summary]

LEGALITY = {
    "top1": "strict", "lenient": "either color", "chance": "chance", "mass": "legal mass",
    "mass_first_token": "legal mass, first token", "wrong_language": "wrong language", "malformed": "malformed",
    "masked_accuracy": "hidden move guessed", "best": "at most", "masked_excess_nats": "excess, hidden move",
    "game_accuracy": "guessed, whole game", "loss": "loss", "floor": "floor", "excess_nats": "excess",
}  # fmt: skip
HEADLINE = {"top1": "hidden move: possible", "masked_accuracy": "guessed", "best": "of at most"}
HIDDEN = {
    ("top1", "trained"): "possible", ("top1", "chance"): "chance", ("mass", "trained"): "mass",
    ("masked_accuracy", "trained"): "guessed", ("masked_accuracy", "best"): "of at most",
    ("masked_nats", "floor"): "entropy", ("masked_excess_nats", "trained"): "excess",
    ("masked_excess_nats", "independent"): "of it, independent tokens",
}  # fmt: skip
"""Of hidden moves: quantity and control -> head of its column."""
EXACT = {
    "top1": "strict", "top1_restricted": "own tokens only", "lenient": "either color", "mass": "mass",
    "mass_own_tokens": "mass, own tokens", "mass_any_move": "on any move", "wrong_language": "wrong language",
    "malformed": "malformed",
}  # fmt: skip
"""Quantity -> head of its column."""


def in_words(groups: Groups, summaries: Summaries) -> dict[str, Any]:
    """Comparisons all else equal, and sentences by label."""
    seeds = [len(summary.heads) for summary in summaries.values()]
    return {
        "comparisons": comparisons(summaries),
        "sentences": [describe(summary) for summary in summaries.values()],
        "unprobed": [label for label, runs in groups.items() if label not in summaries and not runs[0].origin],
        "intervals": any(count >= MIN_SEEDS for count in seeds),
        "differences": any(count < MIN_SEEDS for count in seeds),
    }


def headline(rows: pd.DataFrame, groups: Groups, summaries: Summaries) -> dict[str, Any]:
    """The table of labels, and measures of models that were not trained to the end."""
    head, behind = ["run", *["verdict", *PROBED] * bool(summaries)], ["strict legality", "chance"]
    lines: list[list[Any]] = []
    data = training(rows)
    hidden = list(HEADLINE) if masked(data).any() else []
    head += [*behind, *(HEADLINE[name] for name in hidden), "seeds", "games seen", "targets"]
    for label, runs in groups.items():
        own = data[data.label == label]
        legal = _last(own[~masked(own)], "top1")
        judged, probed = _probed(summaries.get(label)) if summaries else ([], [])
        chance = _last(own, "chance")
        games = " + ".join(f"{count:,}" for count in max(run.games for run in runs))
        trained = [len(runs), games, targets_of(runs[0].config)]
        below = Markup("<br><small>not above chance</small>") if legal and chance and legal.mean <= chance.mean else ""
        skill = [cell(legal) + below, chance.mean if chance else None]
        guessed = [_last(own[masked(own)], name) for name in hidden]
        lines.append([_called(label, runs), *judged, *probed, *skill, *guessed, *trained])
    more = {"early": list(_early(groups)), "contexts": list(_contexts(rows))}
    more |= {"realigned": any(runs[0].origin for runs in groups.values())}
    return {"headline": table(head, lines, left=2 if summaries else 1)} | more


def _called(label: str, runs: Sequence[Run]) -> Markup:
    """The label, and how far runs are that are not finished."""
    begun = Markup("<br>").join(f"seed {run.seed}: {run.status}" for run in runs if run.status)
    return escape(label) + (Markup("<br><small>{}</small>").format(begun) if begun else "")


def _last(data: pd.DataFrame, column: str) -> Estimate | None:
    """At the end of the training, over runs."""
    return share_of(data.groupby("run")[column].last()) if column in data and len(data) else None


def _contexts(rows: pd.DataFrame) -> Iterator[tuple[str, str, bool]]:
    """Measure and labels of states that are not a causal model's, and whether they have read the whole game."""
    data = rows[(rows.measure == "context") & (rows.control == "trained")]
    measure = data.folder.str.rpartition("/")[2].str.rpartition("-")[0] if len(data) else data.folder
    for (name, whole), group in data.groupby([measure, data.value == 1], sort=False):
        yield str(name), ", ".join(group.label.drop_duplicates()), bool(whole)


NUMBERS = ("own", "across", "across_best_map", "orbit", "constant", "random_weights")
PROBED = ("own", "across", "across, best map", "orbit reader", "constant", "random weights", "layer")
"""Heads of these numbers, and of the layer."""


def _probed(summary: Summary | None) -> tuple[list[Any], list[Any]]:
    """The verdict, and what it rests on."""
    if summary is None:
        return [None], [None] * (1 + len(NUMBERS))
    verdict = None
    if summary.pairs:
        more = [f"through {summary.winners}"] if summary.maps else []
        recovered = summary["recovered"]
        far = f"recovered {recovered.mean:.2f}" if recovered and summary.reads_more else ""
        more.append(far or f"not above the {summary.baseline}")
        verdict = cell(summary.kinds) + Markup("<br><small>{}</small>").format("; ".join(more))
    return [verdict], [*(summary[name] for name in NUMBERS), summary.layers]


def _early(groups: Groups) -> Iterator[tuple[Run, str, int]]:
    """Run, folder and step of the measures of models that were not trained to the end."""
    for run in (run for runs in groups.values() for run in runs):
        for measure in run.measures:
            if (step := measure.results.get("step", run.results["steps"])) < run.results["steps"]:
                yield run, measure.folder, step


def trained(rows: pd.DataFrame) -> dict[str, Any]:
    """Curves of loss and legality."""
    data = training(rows)
    if "loss" not in data:
        return {}
    timed = timed_legality(data)
    skill = panels(timed, figures.skill_curves, "Legality by minutes of training") if len(timed) else []
    return {"curves": panels(data, figures.training_curves, "Loss and legality along the training"), "skill": skill}


def legality(rows: pd.DataFrame, groups: Groups) -> dict[str, Any]:
    """The last evaluation, and legality by ply."""
    data, kinds = final_legality(rows), _kinds(groups)
    columns = [name for name in LEGALITY if name in data]
    lines = [
        [label, language, ", ".join(dict.fromkeys(kinds.get((label, name), "") for name in group.language)),
         *(float(group[name].mean()) for name in columns)]
        for label, language, group in _by_language(data)
    ]  # fmt: skip
    plies = by_ply(rows)
    curves = panels(plies, figures.ply_curves, "Legality by ply") if len(plies) else []
    head = ["run", "language", "kind", *(LEGALITY[name] for name in columns)]
    return {"legality": table(head, lines, left=3), "plies": curves}


def _kinds(groups: Groups) -> dict[tuple[str, str], str]:
    return {(label, x["name"]): x["kind"] for label, runs in groups.items() for x in runs[0].results["languages"]}


def _by_language(data: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Rows by label and language; of many languages all together."""
    for label, group in data.groupby("label", sort=False):
        names = list(dict.fromkeys(group.language))
        if len(names) > MANY_LANGUAGES:
            yield str(label), f"mean of {len(names)}", group
        else:
            for name in names:
                yield str(label), name, group[group.language == name]


def exact(rows: pd.DataFrame) -> dict[str, Any]:
    """Legality of whole moves on more games, with exact probabilities."""
    data = of_measure(rows, "legality")
    data = data[data.ply.isna()]
    columns = [name for name in EXACT if (data.quantity == name).any()]
    lines = []
    for label, language, group in _by_language(data):
        model, chance = group[group.control == "trained"], group[group.control == "chance"]
        lines.append([label, language, *(over_runs(model[model.quantity == x]) for x in columns), over_runs(chance)])
    return {"exact": table(["run", "language", *(EXACT[x] for x in columns), "chance"], lines, left=2)}


def hidden_moves(rows: pd.DataFrame) -> dict[str, Any]:
    """What models know of hidden moves, beside the exact posterior."""
    data = of_measure(rows, "masked")
    data, lines = data[data.ply.isna()], list[list[Any]]()
    for label, language, group in _by_language(data):
        for target, part in group.groupby("target", sort=False):
            values = [over_runs(part[(part.quantity == q) & (part.control == c)]) for q, c in HIDDEN]
            lines.append([label, language, str(target), *values])
    return {"hidden": table(["run", "language", "shown", *HIDDEN.values()], lines, left=3)} if lines else {}


PARTS = {"": "", "dictionary": ", moves of the dictionary", "held_out": ", moves held out of it"}


def states(rows: pd.DataFrame) -> dict[str, Any]:
    """Alignment without probes: of states by layer, and of token embeddings."""
    if not len(of_measure(rows, "alignment")):
        return {}
    measured, most = of_measure(rows, "alignment"), measure_figures.MOST
    curves = panels(measured, measure_figures.state_curves, "Alignment without probes, by layer", most)
    lines: list[list[Any]] = []
    for (label, control), group in of_measure(rows, "embedding").groupby(["label", "control"], sort=False):
        orbit = group[group.quantity == "neighbours_orbit"]
        for target, part in group[group.quantity != "neighbours_orbit"].groupby("target", sort=False):
            near, margin = (part[part.quantity == x] for x in ("neighbours", "margin"))
            best = near[near.groupby(["run", "source", "language"]).value.transform("max") == near.value]
            name = f"{label}{PARTS[str(target)]}" + ", random weights" * (control != "trained")
            identity = [over_runs(x[x["map"] == "identity"]) for x in (near, margin)]
            lines.append([name, *identity, over_runs(best), "" if target else over_runs(orbit)])
    head = ["run", "same move is nearest", "margin", "nearest, best map", "nearest in its orbit"]
    return {"states": curves, "embeddings": table(head, lines)}


def causal(rows: pd.DataFrame) -> dict[str, Any]:
    """Interventions and patching."""
    data = of_measure(rows, "causal", "patching")
    if not len(data):
        return {}
    errors = panels(data, measure_figures.causal_curves, "Errors after interventions and patching, by layer")
    return {"causal": errors, "through_maps": _through_maps(data)}


THROUGH = {"flip_error": "a disc flipped", "patch_all_error": "another game's states put in"}
HEADS = {
    "within": "within a language", "random": "random direction", "null": "no edit", "floor": "boards as they are",
}  # fmt: skip


def _through_maps(data: pd.DataFrame) -> Markup:
    """Errors through every map, a row per run: whether the model uses one language's states as another's, and how."""
    maps, lines = [name for name in ALL_MAPS if (data["map"] == name).any()], []
    for (label, seed, _), rows in data.groupby(["label", "seed", "run"], sort=False):
        for quantity, errors in errors_by_map(rows).items():
            across = {name: errors[name] for name in maps if name in errors}
            if quantity in THROUGH and across:
                shown = [cell(across.get(name)) for name in maps]
                fewest = maps.index(min(across, key=lambda name: across[name]))
                shown[fewest] = Markup("<b>{}</b>").format(shown[fewest])
                where = [label, str(seed), THROUGH[quantity], int(errors["layer"])]
                lines.append([*where, *shown, *(errors.get(name) for name in HEADS)])
    return table(["run", "seed", "edit", "layer", *maps, *HEADS.values()], lines, left=3)
