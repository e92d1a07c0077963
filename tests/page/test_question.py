"""Proves: points are read from the tables as other code reads them; correlations find what is planted, their intervals count
cells and not seeds; the committed page is what its committed runs make it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mothello.report.runs import find_runs, with_realigned
from studies import RESULTS
from studies.correlation import correlation, partial, spearman, within, within_drawn, without_each
from studies.points import ALIGNMENTS, COLUMNS, NEXT_MOVE, points
from studies.question import (
    KINDS,
    STATES,
    best_of_task,
    by_task,
    cases,
    close,
    correlations,
    exceptions,
    pointed,
    predicted,
    said,
    sure,
    table,
    text_of,
    write_question,
)

PAGE = RESULTS / "question"


def planted(follows: Callable[[np.ndarray, np.ndarray], np.ndarray], cells: int = 40, seeds: int = 1) -> pd.DataFrame:
    """Points of which `follows` makes the transfer of an alignment and a skill, both random; seeds of a cell are copies."""
    random = np.random.default_rng(5)
    x, skill = random.random(cells), random.random(cells)
    one = pd.DataFrame({
        "board": "6x6", "study": [f"study_{i % 3}" for i in range(cells)], "cell": [f"cell_{i}" for i in range(cells)],
        "base": [f"cell_{i}" for i in range(cells)], "language": "atomic_0", "x": x, "noise": random.random(cells),
        "task": ["flips", "bracket"] * (cells // 2), "skill": skill, "follows": follows(x, skill),
    })  # fmt: skip
    return pd.concat([one.assign(seed=seed) for seed in range(seeds)], ignore_index=True)


def test_spearman_is_scipys() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 5, 50), random.random(50)  # with ties
    assert spearman(pd.Series(x), pd.Series(y)) == pytest.approx(spearmanr(x, y).statistic)
    assert np.isnan(spearman(pd.Series([1.0, 1.0, 1.0]), pd.Series([1.0, 2.0, 3.0])))


def test_points_that_count_several_times_are_so_many_points() -> None:
    draw = np.random.default_rng(0)
    x, y, given = draw.integers(6, size=(3, 40)).astype(float)  # with ties
    times = draw.integers(3, size=(5, 40)).astype(float)
    for one, rho, left in zip(times, spearman(x, y, times), partial(x, y, given, times), strict=True):
        many = [np.repeat(values, one.astype(int)) for values in (x, y, given)]
        assert rho == pytest.approx(spearmanr(*many[:2]).statistic)
        assert left == pytest.approx(partial(*many))


def test_what_is_planted_is_found_and_noise_is_not() -> None:
    known = planted(lambda x, skill: x**3)
    found, noise = correlation(known, "x"), correlation(known, "noise")
    assert found is not None and noise is not None  # noqa: PT018
    assert found.value == pytest.approx(1)
    assert noise.low < 0 < noise.high
    assert [round(value, 6) for _, value in without_each(known, "x")] == [1, 1, 1]
    assert correlation(known.head(4), "x") is None


def test_seeds_of_a_cell_are_not_new_points() -> None:
    """Copies leave the value and the interval as they are; a bootstrap over points would shrink it."""
    alone, copied = (correlation(planted(lambda x, skill: x + 2 * skill, cells=12, seeds=n), "x") for n in (1, 8))
    assert alone is not None and copied is not None  # noqa: PT018
    assert copied.value == pytest.approx(alone.value)
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), abs=0.02)
    assert (alone.cells, copied.cells, copied.points) == (12, 12, 96)


def test_a_cell_of_another_board_is_another_cell() -> None:
    """Else one of 8x8 would count as a seed of that of 6x6."""
    known = planted(lambda x, skill: x, cells=10)
    both = pd.concat([known, known.assign(board="8x8")], ignore_index=True)
    found = correlation(both, "x")
    assert found is not None
    assert (found.cells, found.points) == (20, 20)


def test_skill_alone_is_told_from_alignment() -> None:
    """Where skill makes both, what is left given skill is nothing."""
    random = np.random.default_rng(1)
    skill = pd.Series(random.random(400))
    x, y = skill + random.normal(0, 0.2, 400), skill + random.normal(0, 0.2, 400)
    assert spearman(x, y) > 0.5
    assert abs(partial(x, y, skill)) < 0.15
    assert partial(x, x + skill, skill) > 0.9


def test_within_a_factor_its_own_effect_is_gone() -> None:
    """Alignment and transfer both differ by task, and have nothing to do with each other within one."""
    known = planted(lambda x, skill: skill, cells=80)
    shift = (known.task == "flips") * 5.0
    known = known.assign(x=known.x + shift, follows=known.follows + shift)
    assert spearman(known.x, known.follows) > 0.6
    inside = within(known, "x", "task")
    assert inside is not None
    assert abs(inside) < 0.25
    assert within(known, "x", "cell") is None
    drawn, tied = (within_drawn(x, "x", "task") for x in (known, known.assign(follows=known.x)))
    assert drawn is not None and tied is not None  # noqa: PT018
    assert drawn.value == inside
    assert drawn.low < 0 < drawn.high < drawn.low + 0.7
    assert [tied.value, tied.low, tied.high] == pytest.approx([1, 1, 1])
    assert within_drawn(known, "x", "cell") is None


@pytest.fixture(scope="module")
def known() -> pd.DataFrame:
    return points(find_runs([str(RESULTS / "first")]))


def test_points_are_what_the_tables_say(known: pd.DataFrame) -> None:
    assert list(known.columns) == [*COLUMNS, *ALIGNMENTS]
    row = known[(known.cell == "align_mlm") & (known.task == "bracket")].iloc[0]
    (folder,) = (RESULTS / "first/mini/align_mlm").glob("*/seed0")
    (path,) = folder.glob("task/bracket-*/measures/task_transfer-*/table.csv.gz")
    rows = pd.read_csv(path)
    rows = rows[(rows.quantity == "task_accuracy") & (rows.control == "trained") & (rows.target == "bracket")]
    first, last = (rows[rows.step == step].set_index("language").value for step in (rows.step.min(), rows.step.max()))
    gain = last - first
    assert row.source == pytest.approx(gain["atomic_0"])
    assert row.follows == pytest.approx(gain["atomic_1"] / gain["atomic_0"])
    (path,) = folder.glob("measures/alignment-*/table.csv.gz")
    rows = pd.read_csv(path)
    rows = rows[(rows.quantity == "retrieval") & (rows.control == "trained") & rows.layer.notna()]
    by_layer = rows[rows["map"] == "identity"].groupby("layer").value.mean()
    assert row.retrieval in [pytest.approx(value) for value in by_layer.iloc[:-1]]
    assert row.retrieval_best_map >= row.retrieval
    assert not known.task.str.contains("pointer").any()


def test_more_of_the_game_is_a_point_in_the_targets_own_tokens() -> None:
    known = points(find_runs([str(RESULTS / "mini" / "prefix_unified")]))
    assert set(known.task) == {NEXT_MOVE}
    assert (known.follows > 0.5).all()
    assert (known.seed.nunique(), len(known)) == (3, 3)


def test_a_table_with_few_points_is_empty(known: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.correlation.DRAWS", 20)
    few = known.head(3)
    assert table(few, correlations(few)) == []
    assert "3 points so far" in text_of(few, {})
    assert len(table(known, correlations(known))) == len(ALIGNMENTS)


def test_the_committed_page_says_what_its_points_say() -> None:
    known = pd.read_csv(PAGE / "points.csv", keep_default_na=False, na_values=[""])
    assert text_of(known, correlations(known), said()) == (PAGE / "README.md").read_text()


@pytest.mark.slow
def test_the_committed_page_is_what_its_runs_make(tmp_path: Path) -> None:
    write_question(tmp_path / "page")
    for name in ("README.md", "points.csv"):
        assert (tmp_path / "page" / name).read_text() == (PAGE / name).read_text(), (
            f"{name}: run results.py page=question"
        )


def test_probes_are_read_from_the_best_constant_on() -> None:
    """Also where a language's own probes do not pass the orbit reader, as those of masked models: from there on, an
    unaligned pair would look better than an aligned one."""
    read = ALIGNMENTS["probe"].read
    heads = [SimpleNamespace(own=0.70, constant=0.60, orbit=0.72, across=across) for across in (0.50, 0.65, 0.69)]
    assert [read(None, head) for head in heads] == pytest.approx([-1, 0.5, 0.9])  # type: ignore[arg-type]
    assert read(None, SimpleNamespace(own=0.6, constant=0.6, orbit=0.5, across=0.5)) is None  # type: ignore[arg-type]
    assert read(None, None) is None  # type: ignore[arg-type]


def test_predictions_are_open_until_there_are_points_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """And then held or failed, as planted."""
    monkeypatch.setattr("studies.question.NEEDED", 50)
    monkeypatch.setattr("studies.correlation.DRAWS", 10)
    noise = np.random.default_rng(1).random(60)
    for few, outcome in ((40, None), (60, True)):
        known = planted(lambda x, skill: x, cells=60).assign(evaluated="legality", skill=noise)
        known = known.assign(**dict.fromkeys(ALIGNMENTS, known.noise)).head(few)
        known = known.assign(probe_best_map=known.x, probe=known.x + 0.4 * known.noise)
        known = known.assign(**dict.fromkeys(STATES, known.x))
        rows = predicted(known, correlations(known))
        assert [row["outcome"] for row in rows] == [outcome] * 4
    swapped = known.assign(probe_best_map=known.probe, probe=known.probe_best_map, neighbours=known.x)
    swapped = swapped.assign(**dict.fromkeys(STATES, known.noise))
    assert [row["outcome"] for row in predicted(swapped, correlations(swapped))] == [False, True, True, False]
    mixed = known.assign(cosine=known.noise, neighbours=known.x + 0.4 * known.noise)
    assert predicted(mixed, correlations(mixed))[3]["outcome"] is None  # it depends on the measure of states


def test_what_breaks_the_rule_is_shown_by_its_kind() -> None:
    known = planted(lambda x, skill: x, cells=8).assign(
        retrieval=0.95, retrieval_best_map=0.95, cosine=0.5, pointer=0.4
    )
    known = known.assign(probe_best_map=0.5, follows=[0.1, 0.9, 0.6, 0.1, 0.6, 0.2, 0.15, 0.21], source=0.3)
    known.loc[[1, 2, 3], ["retrieval", "retrieval_best_map"]] = [[0.3, 0.3], [0.3, 0.31], [0.1, 0.9]]
    known.loc[0, "task"] = "winner"
    assert [(row["kind"], row["cell"]) for row in exceptions(known)] == [
        (KINDS[1], "cell_6, seed 0, 6x6"), (KINDS[1], "cell_5, seed 0, 6x6"),
        (KINDS[2], "cell_1, seed 0, 6x6"), (KINDS[3], "cell_3, seed 0, 6x6"),
    ]  # fmt: skip
    assert [(len(broken), could) for broken, could in cases(known).values()] == [(0, 0), (2, 4), (1, 1), (1, 1)]
    known.loc[6, "source"], known.loc[5, "task"] = 0.04, "next move"
    assert [row["kind"] for row in exceptions(known)][:2] == [KINDS[0], KINDS[2]]


def test_what_predicts_one_task_may_not_predict_another() -> None:
    known = planted(lambda x, skill: x, cells=40)
    flips = known.task == "flips"
    known = known.assign(**dict.fromkeys(ALIGNMENTS, known.noise)).assign(
        cosine=known.x.where(~flips, known.noise), probe_best_map=known.x.where(flips, known.noise)
    )
    found = correlations(known)
    told = by_task(known, found)
    assert best_of_task(told) == [
        "bracket: cosine (1.000, blind to a mirror)", "flips: probes, best map (1.000, reads through maps)",
    ]  # fmt: skip
    assert told["bracket"]["cosine"] == told["flips"]["probe_best_map"] == pytest.approx(1)
    assert abs(told["flips"]["cosine"]) < 0.6


def test_what_is_not_told_from_the_first_is_named_and_the_answer_is_by_its_lower_end() -> None:
    known = planted(lambda x, skill: x, cells=40)
    known = known.assign(**dict.fromkeys(ALIGNMENTS, known.noise)).assign(
        cosine=known.x + 0.3 * known.noise, cka=known.x + 0.3 * known.skill
    )
    found = correlations(known)
    assert sure(found) == "yes"
    assert {ALIGNMENTS[next(iter(found))].label, *close(known, found)} == {"cosine", "linear CKA"}
    assert sure({name: one._replace(low=0.3) for name, one in found.items()}) == "in part"
    assert sure({name: one._replace(low=-0.3) for name, one in found.items()}) == "no"


def test_the_pointer_is_a_reading_of_the_same_finetuning(known: pd.DataFrame) -> None:
    (path,) = (RESULTS / "first/mini/align_mlm").glob("*/seed0/task/bracket-*/measures/task_transfer-*/table.csv.gz")
    rows = pd.read_csv(path)
    rows = rows[(rows.quantity == "task_accuracy") & (rows.control == "trained") & (rows.target == "bracket_pointer")]
    first, last = (rows[rows.step == step].set_index("language").value for step in (rows.step.min(), rows.step.max()))
    gain = last - first
    assert known[known.cell == "align_mlm"].pointer.iloc[0] == pytest.approx(gain["atomic_1"] / gain["atomic_0"])
    told = planted(lambda x, skill: skill).assign(**dict.fromkeys(ALIGNMENTS, 0.0))
    told = told.assign(probe=told.x, pointer=told.x**2)
    found = pointed(told)
    assert found is not None
    assert found[0].startswith("1.000")
    assert not found[1].startswith("1.000")


def test_the_other_pages_answers_are_quoted(tmp_path: Path) -> None:
    (tmp_path / "emerging").mkdir()
    (tmp_path / "emerging" / "README.md").write_text(
        "# Title\n\n**It does. By .3.** Predictions: 1 held\n\nClaims of X, in our words: *holds here* a; b.\n"
    )
    assert said(tmp_path) == {"emerging": ("It does. By .3.", "Claims of X, in our words: *holds here* a; b.")}
    assert set(said()) >= {"emerging", "realignment", "mirror_tasks"}


def test_models_that_differ_in_no_number_are_one_point() -> None:
    """Three aligners that link alike are no three points: five realigned models are three."""
    runs = [run for run in find_runs([str(RESULTS / "mini" / "compositional_middle")]) if run.seed == 0]
    assert len(list(with_realigned(runs))) == 6
    known = points(runs)
    assert len(known) == 4
    assert sum("wrong 0.3" in cell or "coverage 0.25" in cell for cell in known.cell) == 2
