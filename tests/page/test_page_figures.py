"""Proves: the figure of emergence shows every seed once, at its place and in the color of its map, hollow where it is not whole."""

from matplotlib.colors import to_hex
from page.planted import row, table

from studies.figures import FLOOR, WINNER_COLORS, emergence_figure


def test_when_alignment_emerges_is_drawn_seed_by_seed() -> None:
    """A panel per number of languages and width, pairs first and wide before narrow; a place per budget."""
    rows = [
        ("atomic + atomic", 2, 128, 60_000, -1.2, "none", "none"),
        ("atomic + atomic", 2, 128, 480_000, 0.6, "main", "main (partly)"),
        ("atomic + atomic", 2, 128, 480_000, 0.9, "identity", "identity"),
        ("atomic + atomic", 2, 64, 480_000, 0.7, "main", "main"),
        ("8 atomic", 56, 128, 3_000_000, 0.97, "mixed", "mixed"),
    ]
    names = ("pair", "pairs", "width", "games", "recovered", "winner", "verdict")
    cells = table(*(row("naive", seed) | dict(zip(names, values, strict=True)) for seed, values in enumerate(rows)))
    axes = emergence_figure(cells).axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["atomic + atomic\nwidth 128", "atomic + atomic\nwidth 64", "8 atomic\nwidth 128"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["0.06 M", "0.48 M"]
    points = {c.get_label(): (*c.get_offsets()[0], to_hex(c.get_edgecolor()[0])) for c in axes[0].collections}  # type: ignore[index]
    assert points["not aligned"] == (0, FLOOR, WINNER_COLORS["none"]), "below the orbit reader: at the edge"
    assert points["main, partly"][1:] == (0.6, WINNER_COLORS["main"])
    assert points["main, partly"][0] < 1 < points["identity"][0], "seeds of one budget do not hide each other"
    hollow = {c.get_label(): not len(c.get_facecolor()) for c in axes[0].collections}
    assert hollow == {"not aligned": False, "main, partly": True, "identity": False}
    assert axes[2].collections[0].get_label() == "several maps"
