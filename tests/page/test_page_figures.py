"""Proves: the figure of emergence shows every seed once, at its place and in the color of its map."""

from matplotlib.colors import to_hex
from page.planted import row, table

from studies.figures import WINNER_COLORS, emergence_figure


def test_when_alignment_emerges_is_drawn_seed_by_seed() -> None:
    """A panel per number of languages and width, pairs first and wide before narrow; a place per budget."""
    rows = [
        ("atomic + atomic", 2, 128, 60_000, 0.55, "none"),
        ("atomic + atomic", 2, 128, 480_000, 0.8, "main"),
        ("atomic + atomic", 2, 128, 480_000, 0.9, "identity"),
        ("atomic + atomic", 2, 64, 480_000, 0.7, "main"),
        ("8 atomic", 56, 128, 3_000_000, 0.87, "mixed"),
    ]
    names = ("pair", "pairs", "width", "games", "best", "winner")
    cells = table(*(row("naive", seed) | dict(zip(names, values, strict=True)) for seed, values in enumerate(rows)))
    axes = emergence_figure(cells).axes
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles == ["atomic + atomic\nwidth 128", "atomic + atomic\nwidth 64", "8 atomic\nwidth 128"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["0.06 M", "0.48 M"]
    points = {c.get_label(): (*c.get_offsets()[0], to_hex(c.get_facecolor()[0])) for c in axes[0].collections}  # type: ignore[index]
    assert points["not aligned"] == (0, 0.55, WINNER_COLORS["none"])
    assert points["aligned: main"][1:] == (0.8, WINNER_COLORS["main"])
    assert points["aligned: main"][0] < 1 < points["aligned: identity"][0], "seeds of one budget do not hide each other"
    assert axes[2].collections[0].get_label() == "aligned, several maps"
