"""Proves what the figures show: the values in the cells, the map named there, the lines, at every size of study."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from report.folders import add_probe, add_run, add_transfer

from mothello.report import figures, heatmaps, tables
from mothello.report.alignment_sections import class_sentence
from mothello.report.runs import Run, find_runs
from mothello.report.style import colours


def _runs(root: Path, languages: int = 2, seeds: int = 1, **probe: float) -> list[Run]:
    for seed in range(seeds):
        folder = add_run(root, "naive", seed, languages)
        values = {"own": 0.9, "cross": 0.55, "best": 0.75} | probe
        add_probe(folder, **values, languages=languages)  # type: ignore[arg-type]
        add_transfer(folder, languages)
    return find_runs([str(root)])


def _cells(figure: Figure, axis: int) -> list[str]:
    return [text.get_text() for text in figure.axes[axis].texts]


def test_heat_maps_write_value_and_winning_map(tmp_path: Path) -> None:
    table = tables.alignment_table(_runs(tmp_path))
    drawn = heatmaps.alignment_maps(table, "naive", "mlp", "absolute", heatmaps.scale(table))
    assert _cells(drawn, 0) == [".90", ".55", ".55", ".90"]
    assert _cells(drawn, 3) == [".90\nid", ".75\nmain", ".75\nmain", ".90\nid"]


def test_a_pair_that_does_not_beat_the_null_has_no_winning_map(tmp_path: Path) -> None:
    table = tables.alignment_table(_runs(tmp_path, null=0.75))
    drawn = heatmaps.alignment_maps(table, "naive", "mlp", "absolute", heatmaps.scale(table))
    assert _cells(drawn, 3)[1] == ".75\nnone"


def test_all_heat_maps_share_one_scale_that_holds_every_value(tmp_path: Path) -> None:
    table = tables.alignment_table(_runs(tmp_path))
    low, high = heatmaps.scale(table)
    assert low <= table.accuracy.min()
    assert high == 1.0
    drawn = heatmaps.alignment_maps(table, "naive", "mlp", "absolute", (low, high))
    assert {image.get_clim() for axis in drawn.axes for image in axis.get_images()} == {(low, high)}


def test_many_languages_show_the_layer_of_the_headline_only_in_the_order_of_their_classes(tmp_path: Path) -> None:
    table = tables.alignment_table(_runs(tmp_path, languages=20))
    order = [3, 1, *(i for i in range(20) if i not in (1, 3))]
    drawn = heatmaps.ordered_maps(table, "mlp", "absolute", heatmaps.scale(table), order)
    assert [axis.get_title() for axis in drawn.axes[:2]] == ["layer 1", ""]
    assert len(_cells(drawn, 0)) == 400
    labels = [tick.get_text() for tick in drawn.axes[0].get_yticklabels()]
    assert labels[:3] == ["atomic_3", "atomic_1", "atomic_0"]


def test_classes_in_words() -> None:
    two = {"family": [0, 0, 0, 0, 1, 1, 2], "map": [0, 0, 1, 2, 0, 0, 0], "consistency": 0.9}
    text = class_sentence(two)
    assert "2 families (of 4 and 2) in 4 classes, 1 aligned with none" in text
    assert ".90 of the aligned pairs" in text
    assert class_sentence({"family": [0, 1], "map": [0, 0], "consistency": None}).startswith("No two languages")
    one = {"family": [0, 0], "map": [0, 0], "consistency": 1.0}
    assert "1 family (of 2) in 1 class;" in class_sentence(one)


def test_layer_curves_draw_the_five_quantities(tmp_path: Path) -> None:
    drawn = figures.layer_curves(tables.alignment_table(_runs(tmp_path)), "mlp", "absolute")
    lines = {line.get_label(): line.get_ydata()[0] for line in drawn.axes[0].get_lines()}
    expected = {
        "own language": 0.9, "other language": 0.55, "other language, best map": 0.75, "random weights": 0.62,
        "best constant": 0.6,
    }  # fmt: skip
    assert lines == pytest.approx(expected)


def test_training_curves_end_at_the_final_numbers_above_the_floor(tmp_path: Path) -> None:
    loss, legal = figures.training_curves(tables.training_table(_runs(tmp_path))).axes
    assert any(list(line.get_ydata()) == [1.5, 1.5] for line in loss.get_lines()), "the floor"
    (line,) = [line for line in legal.get_lines() if line.get_label() == "naive"]
    assert line.get_ydata()[-1] == pytest.approx(0.9)


def test_skill_is_drawn_against_minutes_a_line_a_run(tmp_path: Path) -> None:
    table = tables.training_table(_runs(tmp_path, seeds=3))
    table["train/seconds"] = 1.2 * table.step
    (axis,) = figures.skill_curves(table).axes
    lines = [line for line in axis.get_lines() if len(line.get_xdata()) > 2]
    assert len(lines) == 3
    assert lines[0].get_xdata()[-1] == pytest.approx(2.0)
    assert lines[0].get_ydata()[-1] == pytest.approx(0.1)
    assert axis.get_yscale() == "log"


def test_every_seed_is_a_point_and_a_thin_line(tmp_path: Path) -> None:
    runs = _runs(tmp_path, seeds=3)
    points = figures.headline_points(tables.headline_table(runs), "mlp", "absolute").axes[0]
    assert 3 in {len(collection.get_offsets()) for collection in points.collections}
    assert len(figures.ply_curves(tables.ply_table(runs)).axes[0].get_lines()) == 3 + 1


@pytest.mark.parametrize("languages", [1, 2, 20])
def test_transfer_curves_mark_the_source(tmp_path: Path, languages: int) -> None:
    drawn = figures.transfer_curves(tables.transfer_table(_runs(tmp_path, languages)), chance=0.4)
    lines = drawn.axes[0].get_lines()
    assert [line.get_label() for line in lines].count("atomic_0 (source)") == 1
    assert len(lines) == languages + 1
    told = [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
    others = [] if languages == 1 else ["atomic_1"] if languages == 2 else ["every other language"]
    assert told == ["atomic_0 (source)", *others, "chance"]


def test_panels_of_other_sources_have_legends_of_their_own(tmp_path: Path) -> None:
    """Blue is the source of a panel, whichever language that is."""
    table = tables.transfer_table(_runs(tmp_path, 2))
    swapped = table.assign(source="atomic_1", transfer="atomic_1-0123abcd")
    drawn = figures.transfer_curves(pd.concat([table, swapped]))
    assert not drawn.legends
    told = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in drawn.axes if axis.get_visible()]  # type: ignore[union-attr]
    assert [names[0] for names in told] == ["atomic_0 (source)", "atomic_1 (source)"]


def test_a_regime_keeps_its_colour_and_two_of_one_role_differ(tmp_path: Path) -> None:
    for identity in ("one", "two"):
        add_run(tmp_path, identity=identity)
    require_single_process = colours(tables.legality_table(find_runs([str(tmp_path / "naive" / "one")])))
    both = colours(tables.legality_table(find_runs([str(tmp_path)])))
    assert len(set(both.values())) == 2
    assert require_single_process["naive"] == both["naive one"]
