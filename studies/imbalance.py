"""The page of Schaefer et al. 2024: what is a game worth in a model of several languages, in games of one alone?"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.runs import Run
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA, PAPERS
from studies.numbers import decimal, plain
from studies.paper import Claim, Found, Outcome, Page, each_run, every, means

LIMITS = CRITERIA.papers
CELLS = {
    "naive": "two, equal shares", "naive_9_1": "two, 90:10", "naive_9_1_then_equal": "90:10, then equal",
    "naive_equal_then_9_1": "equal, then 90:10", "five": "five, equal shares", "five_unequal": "five, one has 90%",
}  # fmt: skip
TICKS = [1, 2, 5, 10, 20]
COLUMNS = ["common", "rarer", "common_excess", "rarer_excess", "gradients", "shuffled"]


def read(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per run of several languages. common: token efficiency of the first language; rarer: of the others, mean;
    *_excess: their nats above the floor; gradients: cosine of the gradients of the loss and of realignment at the
    middle layer, mean over ordered pairs; shuffled: the same with the wrong partners."""
    rows = []
    for run in runs:
        if len(run.languages) > 1:
            known: dict[str, object] = {"cell": run.name, "seed": run.seed}
            worth = run.rows[(run.rows.measure == "efficiency") & (run.rows.control == "trained")]
            for quantity, end in (("token_efficiency", ""), ("excess_nats", "_excess")):
                values = worth[worth.quantity == quantity]
                first = values.language == run.languages[0]
                known |= {f"common{end}": values[first].value.mean(), f"rarer{end}": values[~first].value.mean()}
            middle = -(-int(run.config["model"]["n_layer"]) // 2)
            cosines = run.rows[(run.rows.quantity == "gradient_cosine") & (run.rows.layer == middle)]
            for name, control in (("gradients", "trained"), ("shuffled", "shuffled")):
                known[name] = cosines[cosines.control == control].value.mean()
            rows.append(known)
    return pd.DataFrame(rows, columns=["cell", "seed", *COLUMNS])


def answer(found: Found) -> str:
    shares = {"naive": "50:50", "naive_9_1": "90:10", "naive_9_1_then_equal": "90:10 that becomes 50:50"}
    shares |= {"naive_equal_then_9_1": "50:50 that becomes 90:10"}
    known = {name: worth for cell, name in shares.items() if len(worth := found.of(cell, "rarer").rarer)}
    if not known:
        return "No model of several languages was compared with one of a single language yet."
    shown = {
        name: f"{decimal(x.mean(), 2)} ({decimal(x.min(), 2)} to {decimal(x.max(), 2)})" for name, x in known.items()
    }
    text = "One game of the rarer of two languages does what so many games do in a model of that language alone: "
    text += ", ".join(f"{worth} at {name}" for name, worth in shown.items())
    equal, unequal = (found.mean(cell, "best") for cell in ("naive", "naive_9_1"))
    if equal is not None and unequal is not None:
        text += f". Probes read {decimal(equal)} of the other language's cells through the best map with equal shares"
        text += f", {decimal(unequal)} at 90:10"
    return f"{text}."


def figure(found: Found) -> Figure:
    """What a game is worth, and how alike the languages are, by shares."""
    drawn, axes = canvas(2, 3.6, sharey=True)
    panels = {"rarer": "What a game of the rarer is worth", "best": "How alike they are"}
    for axis, (column, head) in zip(axes, panels.items(), strict=True):
        for row, cell in enumerate(reversed(CELLS)):
            values = found.of(cell, column)[column]
            axis.scatter(values, [row] * len(values), s=30, color=LANGUAGE_COLORS[0], label="a seed")
            axis.scatter(values.mean(), row, s=70, color=MUTED, marker="|", label="mean")
        title(axis, head)
    axes[0].set_yticks(range(len(CELLS)), list(reversed(CELLS.values())))
    axes[0].set(xlabel="games of a model of one language", xscale="log")
    axes[0].set_xticks(TICKS, map(str, TICKS))
    axes[0].minorticks_off()
    axes[0].axvline(1, color=MUTED, linewidth=1, linestyle=":")
    axes[1].set(xlabel="cells read across, best map")
    legend_below(drawn, axes)
    return drawn


def columns(found: Found, cell: str) -> Mapping[str, object]:
    published = PAPERS["imbalance"]["cells"].get(cell)
    theirs = "; ".join(map(plain, published)) if published else "-"
    return {
        "published: worth of the rarer; cosines of states; of gradients": theirs,
        "worth of the rarer": found.shown(cell, "rarer"), "worth of the first": found.shown(cell, "common"),
        "excess nats, rarer": found.shown(cell, "rarer_excess"), "first": found.shown(cell, "common_excess"),
        "cosine of states": found.shown(cell, "cosine"), "cosine of gradients": found.shown(cell, "gradients"),
        "wrong partners": found.shown(cell, "shuffled"),
    }  # fmt: skip


def worth(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """25.1, seed by seed."""
    low, high = LIMITS["worth_one"]
    equal = each_run(lambda run: all(low <= value <= high for value in (run.common, run.rarer)), "rarer")
    text, outcome = equal(found, ["naive"])
    other, rare = each_run(lambda run: run.rarer > LIMITS["worth_rare"], "rarer")(found, ["naive_9_1"])
    values = {cell: ", ".join(map(decimal, found.of(cell, "rarer").rarer)) for cell in ("naive", "naive_9_1")}
    shown = f"equal shares {text} ({values['naive']}), 90:10 {other} ({values['naive_9_1']})"
    return shown, every([outcome, rare])


def alike(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """25.2: the best map in the means, the cosine of states on all but one seed."""
    equal, unequal = (found.mean(cell, "best") for cell in cells)
    one, other = (found.of(cell, "cosine").cosine for cell in cells)
    seeds = sorted({*one.index} & {*other.index})
    higher = [bool(other[seed] > one[seed]) for seed in seeds]
    if equal is None or unequal is None or not higher:
        return "-", None
    left = len(found.planned[cells[0]]) - len(seeds)
    most = sum(higher) >= LIMITS["higher_on"] or (None if sum(higher) + left >= LIMITS["higher_on"] else False)
    text = f"best map {decimal(unequal)} and {decimal(equal)}; the cosine is higher on {sum(higher)} of {len(higher)}"
    return text, every([unequal >= equal - LIMITS["alike"], most])


def five(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """25.5, over all five with equal shares, over the rare four with unequal ones."""
    first, others, rare = found.mean("five", "common"), found.mean("five", "rarer"), found.mean("five_unequal", "rarer")
    if first is None or others is None or rare is None:
        return "-", None
    mean, (low, high) = (first + 4 * others) / 5, LIMITS["worth_five"]
    return f"{decimal(mean, 2)}, rare ones {decimal(rare, 2)}", low <= mean <= high and rare > LIMITS["worth_four"]


PAIR = ["naive", "naive_9_1"]
CLAIMS = {
    "25.1": Claim(PAIR, worth, "rarer"),
    "25.2": Claim(PAIR, alike, "best"),
    "25.3": Claim(PAIR, means(lambda a, b: abs(a - b) < LIMITS["alike"], "gradients"), "gradients"),
    "25.4": Claim(
        ["naive_9_1_then_equal", "naive_equal_then_9_1"], means(lambda a, b: a < b, "rarer_excess"), "rarer_excess"
    ),
    "25.5": Claim(["five", "five_unequal"], five, "rarer"),
}
PAGE = Page("imbalance", answer, figure, columns, CLAIMS, {}, read)
