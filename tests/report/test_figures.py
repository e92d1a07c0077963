"""Proves what the figures show: the values in the cells, the map named there, the lines, at every size of study."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from report.made import add_finetuning, add_probe, add_run

from mothello.measures.probes.symmetry_classes import Classes
from mothello.othello.board import Board
from mothello.othello.notation import square_name
from mothello.report import figures, heatmaps, table, transfer_figures
from mothello.report.board_figure import domain_boards
from mothello.report.overview import overview
from mothello.report.runs import find_runs
from mothello.report.sentences import class_sentence
from mothello.report.style import MAP_COLORS, colors


def _table(root: Path, languages: int = 2, seeds: int = 1, **probe: float) -> pd.DataFrame:
    for seed in range(seeds):
        folder = add_run(root, "naive", seed, languages)
        values = {"own": 0.9, "across": 0.55, "best": 0.75} | probe
        add_probe(folder, **values, languages=languages)  # type: ignore[arg-type]
        add_finetuning(folder, languages)
    return table.table_of(find_runs([str(root)]))


def _pairs(root: Path, languages: int = 2, **probe: float) -> pd.DataFrame:
    return table.pairs(_table(root, languages, **probe), "mlp", "absolute")


def _cells(figure: Figure, axis: int) -> list[str]:
    return [text.get_text() for text in figure.axes[axis].texts]


def test_heat_maps_write_value_and_winning_map(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path)
    drawn = heatmaps.alignment_maps(pairs, heatmaps.scale(pairs))
    assert _cells(drawn, 0) == [".90", ".55", ".55", ".90"] * pairs.layer.nunique()
    assert _cells(drawn, 1) == [".90\nid", ".75\nmain", ".75\nmain", ".90\nid"] * pairs.layer.nunique()
    mesh = drawn.axes[0].collections[0].get_array()
    assert mesh[:, :5].tolist() == [[0.9, 0.55, None, 0.9, 0.55], [0.55, 0.9, None, 0.55, 0.9]]


@pytest.mark.parametrize(("best", "word"), [(0.78, "part"), (0.58, "none"), (0.84, "main")])
def test_a_pair_that_is_not_above_the_orbit_reader_has_no_winning_map(tmp_path: Path, best: float, word: str) -> None:
    pairs = _pairs(tmp_path, best=best, orbit=0.8)
    drawn = heatmaps.alignment_maps(pairs, heatmaps.scale(pairs))
    assert _cells(drawn, 1)[1] == f"{best:.2f}\n{word}".replace("0.", ".", 1)


def test_squares_have_the_colors_of_their_maps() -> None:
    squares = [square_name(square) for square in Board.of(4).squares]
    maps = dict.fromkeys(squares, "main") | {"d1": "identity"}
    axis, *_ = domain_boards({"one": maps, "other": dict.fromkeys(maps, "anti")}, 4).axes
    colors = {patch.get_xy(): to_hex(patch.get_facecolor()) for patch in axis.patches}
    assert colors.pop((3, 3)) == MAP_COLORS["identity"]
    assert set(colors.values()) == {MAP_COLORS["main"]}
    assert len(colors) == 15


def test_all_heat_maps_share_one_scale_that_holds_every_value(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, across=0.33)
    low, high = heatmaps.scale(pairs)
    assert (low, high) == (0.3, 1.0)
    drawn = heatmaps.alignment_maps(pairs, (low, high))
    assert {mesh.get_clim() for axis in drawn.axes[:2] for mesh in axis.collections} == {(low, high)}


def test_many_languages_stand_in_the_order_of_their_classes(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path, languages=20)
    order = [3, 1, *(i for i in range(20) if i not in (1, 3))]
    drawn = heatmaps.alignment_maps(pairs[pairs.layer == 1], heatmaps.scale(pairs), order)
    assert [tick.get_text() for tick in drawn.axes[0].get_xticklabels()] == ["layer 1"]
    assert len(_cells(drawn, 0)) == 400
    labels = [tick.get_text() for tick in drawn.axes[0].get_yticklabels()]
    assert labels[:3] == ["atomic_3", "atomic_1", "atomic_0"]


def test_classes_in_words() -> None:
    text = class_sentence(Classes([0, 0, 0, 0, 1, 1, 2], [0, 0, 1, 2, 0, 0, 0], [], 0.9))
    assert "2 components (of 4 and 2) in 4 classes, 1 aligned with none" in text
    assert ".90 of the aligned pairs" in text
    assert class_sentence(Classes([0, 1], [0, 0], [], None)).startswith("No two languages")
    assert "1 component (of 2) in 1 class;" in class_sentence(Classes([0, 0], [0, 0], [], 1.0))


def test_layer_curves_draw_the_six_quantities(tmp_path: Path) -> None:
    rows = table.pretrained(_table(tmp_path, orbit=0.7))
    drawn = figures.layer_curves(figures.of_kind(rows, "mlp", "absolute"))
    lines = {line.get_label(): line.get_ydata()[0] for line in drawn.axes[0].get_lines()}
    expected = {
        "own language": 0.9, "other language": 0.55, "other language, best map": 0.75, "random weights": 0.62,
        "best constant": 0.6, "orbit reader": 0.7,
    }  # fmt: skip
    assert lines == pytest.approx(expected)


def test_training_curves_end_at_the_final_numbers_above_the_floor(tmp_path: Path) -> None:
    loss, legal = figures.training_curves(table.training(_table(tmp_path))).axes
    assert any(list(line.get_ydata()) == [1.5, 1.5] for line in loss.get_lines()), "the floor"
    (line,) = [line for line in legal.get_lines() if line.get_label() == "naive"]
    assert line.get_ydata()[-1] == pytest.approx(0.9)


def test_skill_is_drawn_against_minutes_a_line_per_run(tmp_path: Path) -> None:
    (axis,) = figures.skill_curves(table.timed_legality(table.training(_table(tmp_path, seeds=3)))).axes
    lines = [line for line in axis.get_lines() if len(line.get_xdata()) > 2]
    assert len(lines) == 3
    assert lines[0].get_xdata()[-1] == pytest.approx(2.0)
    assert lines[0].get_ydata()[-1] == pytest.approx(0.1)
    assert axis.get_yscale() == "log"


def test_every_seed_is_a_point_and_a_thin_line(tmp_path: Path) -> None:
    rows = _table(tmp_path, seeds=3)
    heads = table.heads(table.pretrained(rows)).query("probe == 'mlp' and target == 'absolute'")
    (drawn,) = overview(heads)
    assert 3 in {len(collection.get_offsets()) for collection in drawn.axes[0].collections}
    assert len(figures.ply_curves(table.by_ply(rows)).axes[0].get_lines()) == 3 + 1


def _curves(rows: pd.DataFrame) -> pd.DataFrame:
    curves = table.transfer(rows)
    return curves[curves.opening == ""]


@pytest.mark.parametrize("languages", [1, 2, 20])
def test_transfer_curves_mark_the_source(tmp_path: Path, languages: int) -> None:
    curves = _curves(_table(tmp_path, languages))
    drawn = transfer_figures.transfer_curves(curves, curves.iloc[:0], chance=0.4)
    lines = drawn.axes[0].get_lines()
    assert [line.get_label() for line in lines].count("atomic_0 (source)") == 1
    assert len(lines) == languages + 1
    named = [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
    others = [] if languages == 1 else ["atomic_1"] if languages == 2 else ["every other language"]
    assert named == ["atomic_0 (source)", *others, "chance"]


def test_panels_of_other_sources_have_legends_of_their_own(tmp_path: Path) -> None:
    """Blue is the source of a panel, whichever language that is."""
    curves = _curves(_table(tmp_path, 2))
    both = pd.concat([curves, curves.assign(source="atomic_1", run="other")])
    drawn = transfer_figures.transfer_curves(both, both.iloc[:0])
    assert not drawn.legends
    named = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in drawn.axes if axis.get_visible()]  # type: ignore[union-attr]
    assert [names[0] for names in named] == ["atomic_0 (source)", "atomic_1 (source)"]


def test_a_label_keeps_its_color_and_two_of_one_sharing_differ(tmp_path: Path) -> None:
    for identity in ("one", "two"):
        add_run(tmp_path, identity=identity)
    alone = colors(table.table_of(find_runs([str(tmp_path / "naive" / "one")])))
    both = colors(table.table_of(find_runs([str(tmp_path)])))
    assert len(set(both.values())) == 2
    assert alone["naive"] == both["naive one"]
