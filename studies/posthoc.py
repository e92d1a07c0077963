"""The page of Conneau et al. 2020 on models trained apart: how alike are they, beside the two languages of one?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import pandas as pd
from matplotlib.figure import Figure

from mothello.report.runs import Run
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title
from studies import CRITERIA
from studies.numbers import decimal, percent
from studies.paper import Claim, Found, Outcome, Page, every

LIMITS = CRITERIA.papers
PAIRS = {
    "together": "two languages of one model", "apart": "two seeds", "apart_domain": "other games",
    "apart_split": "a split language", "apart_compositional": "a compositional one",
}  # fmt: skip
"""Cells, as what their model is beside the first seed of the atomic one."""
FOUND = {"embedding": "embeddings", "move": "mean states of moves", "state": "states", "game": "games"}
"""Granularities of the maps, and how the page calls them."""
CONTROLS = {"trained": "", "random_weights": "_random", "unrelated": "_unrelated"}


def read(runs: Sequence[Run]) -> pd.DataFrame:
    """A row per pair of models, as its cell and the seed of the one that is not the first. embedding, move, state and
    game: P@1 after a map fitted on other games; most_alike: CKA, of blocks alone; each at its best layer, through the
    best of the four maps of the opening; *_random: with random weights on one side; *_unrelated: of other games. cka_N,
    legal_N, legal_N_random: at, or stitched after, layer N, the mean over the models whose upper blocks are kept."""
    rows = [row for run in runs if len(row := {"cell": run.name, "seed": run.seed} | _mapped(run) | _cka(run)) > 2]
    table = pd.DataFrame(rows)
    stitched = pd.DataFrame([row for run in runs for row in _stitched(run)])
    if table.empty or stitched.empty:
        return table if stitched.empty else stitched
    return table.merge(stitched.groupby(["cell", "seed"], as_index=False).mean(), how="outer", on=["cell", "seed"])


def _best(rows: pd.DataFrame, head: str) -> dict[str, float]:
    return {
        f"{head}{end}": float(part.value.max())
        for control, end in CONTROLS.items()
        if len(part := rows[rows.control == control])
    }


def _mapped(run: Run) -> dict[str, float]:
    rows, found = run.rows[run.rows.quantity == "mapped"], dict[str, float]()
    for target in FOUND:
        found |= _best(rows[rows.target == target], target)
    return found


def _cka(run: Run) -> dict[str, float]:
    """Of another model; of a model of several languages between them, whose control has random weights on both sides
    and is left out."""
    rows = run.rows[(run.rows.quantity == "cka") & run.rows.measure.isin(["posthoc", "alignment"])]
    rows = rows[(rows.measure == "posthoc") | (rows.control != "random_weights")]
    found = _best(rows[rows.layer > 0], "most_alike")
    for layer, part in rows.groupby("layer"):
        found |= _best(part, f"cka_{layer:.0f}")
    return found


def _stitched(run: Run) -> list[dict[str, object]]:
    """Of every model whose lower blocks were put under this one's."""
    rows = []
    for measure in run.measures:
        if measure.name == "stitch":
            legal = measure.rows[measure.rows.quantity == "top1"]
            other = str(measure.config.get("other") or "")
            beside = Path(other).parts[-3:] if other else (run.name, "", f"seed{run.seed}")
            of_seed = run.seed if beside[0] == run.name else int(beside[2].removeprefix("seed"))
            row: dict[str, object] = {"cell": beside[0], "seed": of_seed}
            row["kept"] = float(legal[legal.control == "trained"].value.mean())
            for control, end in {"stitched": "", "random_weights": "_random"}.items():
                for layer, part in legal[legal.control == control].groupby("layer"):
                    row[f"legal_{layer:.0f}{end}"] = float(part.value.mean())
            rows.append(row)
    return rows


def layers(found: Found, head: str) -> list[int]:
    """Those that a column is known at."""
    names = [str(name) for name in found.more if str(name).startswith(head) and str(name).rpartition("_")[2].isdigit()]
    return sorted(int(name.rpartition("_")[2]) for name in names)


def answer(found: Found) -> str:
    seeds, random = (found.mean("apart", column) for column in ("state", "most_alike_random"))
    if seeds is None:
        return "No two models were compared yet."
    text = (
        f"After a rotation {percent(seeds)} of the states of one seed's model are nearest to their like in the other's"
    )
    alike = {name: value for cell, name in PAIRS.items() if (value := found.mean(cell, "most_alike")) is not None}
    text += f". CKA at the best block: {', '.join(f'{name} {decimal(value)}' for name, value in alike.items())}"
    if random is not None:
        other = decimal(found.mean("apart", "most_alike_unrelated"))
        text += (
            f"; two seeds {decimal(random)} where one has random weights, and {other} on games that are not parallel"
        )
    stitched = [found.mean("apart", f"legal_{layer}") for layer in layers(found, "legal_")]
    known = [value for value in stitched if value is not None]
    kept = found.mean("apart", "kept")
    if known and kept is not None:
        text += f". Lower blocks of one seed under the upper ones of the other make {decimal(min(known))} to"
        text += f" {decimal(max(known))} of the moves legal, of {decimal(kept)}"
    return f"{text}."


def figure(found: Found) -> Figure:
    """CKA by layer, and legality by the layer after which two models are stitched."""
    drawn, axes = canvas(2, 3.8)
    for axis, head in zip(axes, ("cka", "legal"), strict=True):
        shown = layers(found, f"{head}_")
        for (cell, name), color, marker in zip(PAIRS.items(), LANGUAGE_COLORS, "osD^v", strict=False):
            for end, line in {"": "-", "_random": ":"}.items():
                known = {n: x for n in shown if (x := found.mean(cell, f"{head}_{n}{end}")) is not None}
                (curve,) = axis.plot(list(known), list(known.values()), line, color=color, marker=marker, markersize=4)
                curve.set_label("" if end else name)
        axis.set_xticks(shown)
        axis.set(xlabel="layer")
    kept = [x for cell in PAIRS if (x := found.mean(cell, "kept")) is not None]
    if kept:
        axes[1].axhline(fmean(kept), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="not stitched")
    title(axes[0], "CKA (dotted: random weights)")
    title(axes[1], "Legal moves, stitched after a layer")
    legend_below(drawn, axes, columns=3)
    return drawn


def columns(found: Found, cell: str) -> Mapping[str, object]:
    heads = {"most_alike": "CKA", "most_alike_random": "random weights", "most_alike_unrelated": "unrelated"}
    heads |= {x: f"{name} found" for x, name in FOUND.items()} | {"state_random": "states, random weights"}
    return {"beside": PAIRS[cell]} | {head: found.shown(cell, x) for x, head in heads.items()}


def stitching(found: Found) -> list[dict[str, str]]:
    """A row per pair and kind of lower blocks."""
    rows = []
    for cell, name in PAIRS.items():
        for end, kind in {"": "trained", "_random": "random weights"}.items():
            shown = {f"after layer {n}": found.shown(cell, f"legal_{n}{end}") for n in layers(found, "legal_")}
            rows.append({"lower blocks of": name, "they are": kind, **shown, "not stitched": found.shown(cell, "kept")})
    return rows


def states_found(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """23.1"""
    states, random = (found.mean("apart", column) for column in ("state", "state_random"))
    if states is None or random is None:
        return "-", None
    held = states >= LIMITS["states_found"] and random < LIMITS["half"] * states
    return f"{decimal(states)}, random weights {decimal(random)}", held


def farther(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """23.2"""
    names = ("apart", "apart_domain", "apart_split", "apart_compositional")
    two, domain, *spelled = (found.mean(cell, "most_alike") for cell in names)
    text = ", ".join(f"{PAIRS[cell]} {decimal(found.mean(cell, 'most_alike'))}" for cell in names)
    if two is None or domain is None or None in spelled:
        return text, None
    return text, two >= domain >= max(value for value in spelled if value is not None)


def one_model(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """23.3"""
    both, two = (found.mean(cell, "most_alike") for cell in ("together", "apart"))
    random = [found.mean(cell, "most_alike_random") for cell in ("together", "apart")]
    text = f"{decimal(both)} and {decimal(two)}; random weights {', '.join(map(decimal, random))}"
    if both is None or two is None:
        return text, None
    margins = [None if x is None else min(both, two) - x >= LIMITS["random"] for x in random]
    return text, every([0 <= both - two <= LIMITS["same"], *margins])


def moves(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """23.4, pair by pair."""
    outcomes, shown = list[Outcome](), []
    for cell in cells:
        embedding, move = found.mean(cell, "embedding"), found.mean(cell, "move")
        if embedding is None or move is None:
            outcomes.append(None)
            continue
        outcomes.append(embedding < LIMITS["embeddings"] and move > 2 * embedding)
        shown.append(f"{PAIRS[cell]} {decimal(embedding)}, {decimal(move)}")
    return "; ".join(shown) or "-", every(outcomes)


def stitched(found: Found, cells: Sequence[str]) -> tuple[str, Outcome]:
    """23.5: random blocks, and those of languages spelled otherwise, are judged from the first block on."""
    every_layer, blocks = layers(found, "legal_"), [n for n in layers(found, "legal_") if n > 0]
    least: dict[str, tuple[float, Outcome]] = {}
    asked = dict.fromkeys(("apart", "apart_domain"), "stitched")
    asked |= dict.fromkeys(("apart_split", "apart_compositional"), "spelled")
    for cell, kind in asked.items():
        chosen = every_layer if kind == "stitched" else blocks
        values = [x for n in chosen if (x := found.mean(cell, f"legal_{n}")) is not None]
        if values:
            least[PAIRS[cell]] = (min(values), min(values) >= LIMITS[kind])
    random = [x for cell in asked for n in blocks if (x := found.mean(cell, f"legal_{n}_random")) is not None]
    if len(least) < len(asked) or not random:
        return "-", None
    text = ", ".join(f"{name} at least {decimal(value)}" for name, (value, _) in least.items())
    outcome = every([*(held for _, held in least.values()), max(random) < LIMITS["random_blocks"]])
    return f"{text}; random blocks at most {decimal(max(random))}", outcome


APART = [cell for cell in PAIRS if cell != "together"]
CLAIMS = {
    "23.1": Claim(["apart"], states_found, "state"),
    "23.2": Claim(APART, farther, "most_alike"),
    "23.3": Claim(["together", "apart"], one_model, "most_alike"),
    "23.4": Claim(list(PAIRS), moves, "move"),
    "23.5": Claim(APART, stitched, "kept"),
}
PAGE = Page("posthoc", answer, figure, columns, CLAIMS, {"stitching": stitching}, read)
