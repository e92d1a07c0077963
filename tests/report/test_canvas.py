"""Proves: no figure of a page is clipped, with 2, 6 and 30 runs; no panel has more than eight curves; the page stays small
and short, also over all committed runs; and each of these checks finds what it looks for."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from report.made import add_finetuning, add_probe, add_run, add_states
from report.test_along import add_steps

from mothello.report import markup
from mothello.report.page import render, write_report
from mothello.report.runs import find_runs
from mothello.report.style import CURVES, WIDTH, canvas, legend_below, split, whole

RESULTS = Path(__file__).parents[2] / "results" / "mini"
KINDS: list[dict[str, object]] = [{}, {"output": "unified"}, {"count": 4}]
SIZES = {2: (2, 1), 6: (3, 2), 30: (10, 3)}
"""Runs -> settings and seeds."""


def study(root: Path, runs: int) -> None:
    """So many runs with probes; of six, everything is measured on the first two settings."""
    (settings, seeds), everything = SIZES[runs], runs == 6
    for index in range(settings):
        sharing = KINDS[index % len(KINDS)]
        name = f"a_setting_with_a_rather_long_name_{index}" if index % 2 else f"setting_{index}"
        for seed in range(seeds):
            folder = add_run(root, name, seed, top1=0.9 - 0.02 * index, **sharing)  # type: ignore[arg-type]
            add_probe(folder, 0.9, 0.5 + 0.03 * index, best=0.8, orbit=0.7, causal=everything and index < 2, mixed=0.85)
            if everything and index < 2:
                add_states(folder)
        if everything and index < 2:
            add_finetuning(folder, scratch=True, answers=True)
    if everything:
        add_steps(root / "along")


def hidden(axes: Axes) -> Iterator[Artist]:
    """What belongs to a panel and is not drawn: ticks beyond its limits; axes that are off."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:  # type: ignore[attr-defined]
                yield from tick.findobj()
    if not axes.axison:
        yield from (y for x in (axes.xaxis, axes.yaxis, axes.patch, *axes.spines.values()) for y in x.findobj())


def beyond(figure: Figure, inches: Bbox, slack: float = 0.5) -> list[Artist]:
    """The artists that reach beyond a box by more than half a pixel, as far as they are drawn at all."""
    renderer, box = FigureCanvasAgg(figure).get_renderer(), Bbox(inches.get_points() * figure.dpi).padded(slack)
    figure.draw_without_rendering()
    unseen = {id(artist) for axes in figure.axes for artist in hidden(axes)} | {id(figure.patch)}
    found = []
    for artist in figure.findobj(lambda x: isinstance(x, Text | Line2D | Patch | Collection | Legend)):
        shown = artist.get_visible() and (artist.axes is None or artist.axes.get_visible()) and id(artist) not in unseen
        if not shown or (isinstance(artist, Text) and not artist.get_text()):
            continue
        extent = artist.get_window_extent(renderer)
        if artist.get_clip_on() and artist.get_clip_box() is not None and extent is not None:
            extent = Bbox.intersection(extent, artist.get_clip_box())
        if extent is not None and extent.width + extent.height > 0 and not _inside(extent, box):
            found.append(artist)
    return found


def _inside(extent: Bbox, box: Bbox) -> bool:
    return box.x0 <= extent.x0 and extent.x1 <= box.x1 and box.y0 <= extent.y0 and extent.y1 <= box.y1


def curves(axes: Axes) -> int:
    """Curves of a panel that differ in color or dashes; levels and the thin lines of single seeds are none."""
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2 and line.get_alpha() != 0.35]  # type: ignore[arg-type]
    return len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines})


@pytest.fixture(scope="module", params=SIZES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, list[Figure]]:
    """Number of runs, the page and its figures."""
    root, drawn = tmp_path_factory.mktemp("study"), list[Figure]()
    study(root, request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markup, "whole", lambda figure: drawn.append(figure) or whole(figure))
        text = render(find_runs([str(root)]), "study")
    return request.param, text, drawn


def test_no_figure_is_clipped_and_no_panel_is_crowded(page: tuple[int, str, list[Figure]]) -> None:
    _, text, drawn = page
    assert text.count("<svg role") == len(drawn)
    assert len(drawn) > 5
    for figure in drawn:
        assert not beyond(figure, whole(figure)), figure.axes
        assert whole(figure).width <= WIDTH + 0.6
        assert max(map(curves, figure.axes)) <= CURVES


def test_type_stays_readable_where_a_figure_shrinks(page: tuple[int, str, list[Figure]]) -> None:
    """A figure shrinks to its min-width and no further; its smallest type has 9 pixels there."""
    for figure in page[2]:
        text = markup.image(figure, "x")
        shrunk = float(text.partition("min-width:")[2].partition("px")[0])
        smallest = min(x.get_fontsize() for x in figure.findobj(Text) if x.get_text() and x.get_visible())  # type: ignore[attr-defined]
        assert smallest * shrunk / 72 / whole(figure).width >= 8.9 or shrunk >= 100 * whole(figure).width - 1


def test_the_page_is_small(page: tuple[int, str, list[Figure]]) -> None:
    assert len(page[1].encode()) < 1.5e6


def test_a_clipped_artist_is_found() -> None:
    """The canvas as it was asked for is too small; the one that is saved is not."""
    for spoil in SPOILED:
        figure, (axis,) = canvas(1, 2.0, width=3.0)
        axis.plot([0, 1, 2], [0, 1, 2], label="a label")
        assert not beyond(figure, figure.bbox_inches)
        spoil(axis)
        assert beyond(figure, figure.bbox_inches)
        assert not beyond(figure, whole(figure))


def _wide_legend(axis: Axes) -> None:
    axis.figure.legend(*axis.get_legend_handles_labels(), title="a title that is far too long for a narrow figure " * 2)  # type: ignore[union-attr]


SPOILED: list[Callable[[Axes], object]] = [
    _wide_legend,
    lambda axis: axis.text(3.0, 3.0, "outside").set_in_layout(False) or axis.figure.set_layout_engine("none"),  # type: ignore[func-returns-value]
]


def test_a_legend_takes_as_many_columns_as_there_is_room_for() -> None:
    for width, names in ((9.6, 12), (3.0, 3)):
        figure, (axis,) = canvas(1, 3.0, width=width)
        for index in range(names):
            axis.plot([0, 1], [0, index], label=f"a label of some length, {index}")
        legend_below(figure, [axis])
        assert not beyond(figure, figure.bbox_inches)


def test_a_crowded_panel_is_found_and_labels_are_split() -> None:
    _, (axis,) = canvas(1, 2.0)
    for index in range(CURVES + 1):
        axis.plot([0, 1, 2], [0, 1, index], color=f"#0000{index:02x}")
    assert curves(axis) == CURVES + 1


@pytest.mark.parametrize(("labels", "parts"), [(8, [8]), (9, [4, 5]), (25, [6, 6, 6, 7])])
def test_labels_are_split_evenly(labels: int, parts: list[int]) -> None:
    import pandas as pd

    table = pd.DataFrame({"label": [f"l{i}" for i in range(labels)], "sharing": "naive"})
    shown = list(split(table))
    assert [len(part) for _, part in shown] == parts
    assert pd.concat([part for _, part in shown]).label.tolist() == table.label.tolist()
    assert [name for name, _ in shown] == (
        [""] if len(parts) == 1 else [f"naive, {i + 1} of {len(parts)}" for i in range(len(parts))]
    )


def height(page: Path, width: int = 1280) -> int:
    """Pixels of a page in a browser. Skips without one."""
    browser = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if browser is None:
        pytest.skip("no browser")
    told = (
        '<script>addEventListener("load", () => { document.title = document.documentElement.scrollHeight; })</script>'
    )
    copy = page.with_name("copy.html")
    copy.write_text(page.read_text() + told)
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'browser'}"]
    line = [
        browser,
        *arguments,
        f"--window-size={width},900",
        "--virtual-time-budget=20000",
        "--dump-dom",
        copy.as_uri(),
    ]
    text = subprocess.run(line, capture_output=True, text=True, check=True, timeout=120).stdout
    return int(text.partition("<title>")[2].partition("</title>")[0])


@pytest.mark.slow
def test_the_page_over_all_committed_runs_is_small_and_short(tmp_path: Path) -> None:
    path = write_report(find_runs([str(RESULTS)]), tmp_path / "out", "mini")
    assert path.stat().st_size < 3e6
    assert height(path) < 12_000
