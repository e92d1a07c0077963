"""What interventions and patches did, as a query over rows."""

from mothello.othello.symmetry import OPENING_MAPS
from mothello.rows import Table


def causal_summary(rows: Table) -> dict[str, dict[str, float]]:
    """Per quantity the errors within and across languages (means over languages and pairs), with random directions, and
    of the controls: of edits at the layer with the fewest errors within a language, of patches at the middle one (after
    the last layer a patch is read off, not worked on)."""
    summary: dict[str, dict[str, float]] = {}
    layered = rows[rows.layer.notna()]
    for quantity in layered.quantity.drop_duplicates():
        made = layered[(layered.quantity == quantity) & (layered.control == "trained")]
        within = made[(made.source == made.language) & (made["map"] == OPENING_MAPS[0])]
        by_layer = within.groupby("layer").value.mean()
        middle = (int(made.layer.max()) + 1) // 2
        layer = middle if str(quantity).startswith("patch") else int(by_layer.idxmin())
        entry = {"layer": layer, "within": float(by_layer[layer])}
        across = made[(made.source != made.language) & (made.layer == layer)].groupby("map").value.mean()
        if len(across):
            entry |= {"across": float(across[OPENING_MAPS[0]]), "across_best_map": float(across.min())}
        plain = rows[(rows.quantity == str(quantity).removesuffix("_once")) & rows.layer.isna()]
        random = layered[(layered.quantity == quantity) & (layered.layer == layer) & (layered.control == "random")]
        for control, values in (
            ("random", random.value),
            *((control, plain[plain.control == control].value) for control in ("null", "floor")),
        ):
            if len(values):
                entry[control] = float(values.mean())
        summary[str(quantity)] = entry
    return summary
