"""What interventions and patches did, as queries over rows. Without torch."""

from mothello.othello.symmetry import ALL_MAPS, OPENING_MAPS
from mothello.rows import Table

CONTROLS = ("within", "random", "null", "floor")
"""Beside the errors across languages: within a language, in a random direction, without an edit against the edited
boards, and without an edit against the boards as they are."""


def errors_by_map(rows: Table) -> dict[str, dict[str, float]]:
    """Per quantity: layer, the errors across languages through every map that was tried (means over pairs), and those
    of CONTROLS. Of edits at the layer with the fewest errors within a language, of patches at the middle one (after the
    last layer a patch is read off, not worked on)."""
    found: dict[str, dict[str, float]] = {}
    layered = rows[rows.layer.notna()]
    for quantity in map(str, layered.quantity.drop_duplicates()):
        made = layered[(layered.quantity == quantity) & (layered.control == "trained")]
        within = made[(made.source == made.language) & (made["map"] == OPENING_MAPS[0])]
        means = within.groupby("layer", as_index=False).value.mean()
        by_layer = dict(zip(means.layer.astype(int), means.value, strict=True))
        middle = (int(made.layer.max()) + 1) // 2
        layer = middle if quantity.startswith("patch") else min(by_layer, key=lambda layer: by_layer[layer])
        across = made[(made.source != made.language) & (made.layer == layer)].groupby("map").value.mean()
        entry = {"layer": layer} | {name: float(across[name]) for name in ALL_MAPS if name in across.index}
        plain = rows[(rows.quantity == quantity.removesuffix("_once")) & rows.layer.isna()]
        random = layered[(layered.quantity == quantity) & (layered.layer == layer) & (layered.control == "random")]
        controls = [random.value, *(plain[plain.control == control].value for control in CONTROLS[2:])]
        entry["within"] = by_layer[layer]
        found[quantity] = entry | {
            name: float(x.mean()) for name, x in zip(CONTROLS[1:], controls, strict=True) if len(x)
        }
    return found


def causal_summary(rows: Table) -> dict[str, dict[str, float]]:
    """The same with the errors across languages as they are and through the best map of the opening."""
    summary = {}
    for quantity, entry in errors_by_map(rows).items():
        across = [entry[name] for name in OPENING_MAPS if name in entry]
        both = {"across": across[0], "across_best_map": min(across)} if across else {}
        others = {name: value for name, value in entry.items() if name not in ("layer", "within", *ALL_MAPS)}
        summary[quantity] = {"layer": entry["layer"], "within": entry["within"]} | both | others
    return summary
