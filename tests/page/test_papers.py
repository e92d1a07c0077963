"""Proves: predictions 18 to 21 and 23 to 26 are judged by their words: worlds in which each holds, each fails, or nothing can be said; a
share is taken only of what was learned; the tables are what the folders hold; a page without a run says so."""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr, ttest_1samp

from mothello.cli.compose import composed
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import part_of
from mothello.objectives.combined import typed_auxiliary
from mothello.report.runs import find_runs
from studies import (
    PAPERS,
    RESULTS,
    align_mlm,
    emerging,
    false_friends,
    gather,
    imbalance,
    mirror_tasks,
    posthoc,
    prealign,
    realignment,
)
from studies.align_mlm import CELLS, ORDERS
from studies.asked import study_of
from studies.pages import OTHER_PAPERS
from studies.paper import Found, Page, found_of, of_study, predictions, text_of, write_paper
from studies.taught import RUNS, TAUGHT
from studies.theirs import positive, theirs_of

STUDIES = Path(__file__).parents[2] / "configs" / "study"
PAGES = list(OTHER_PAPERS.values())
Values = Callable[[str, str], Mapping[str, Any]]
"""(cell, stage) -> columns that differ from the usual."""


@cache
def asked(study: str) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """Seeds by cell, and the stages that teach a task, read from the study's file by other code than the page's."""
    content = yaml.safe_load((STUDIES / f"{study}.yaml").read_text())
    mini = content["at"]["mini"]
    seeds = {
        cell: next(
            (x for name, x in mini.get("cells", {}).items() if fnmatch(cell, name)),
            settings.get("seeds") or mini.get("seeds") or [0],
        )
        for cell, settings in content["cells"].items()
    }
    stages = content.get("stages", {}).items()
    return seeds, tuple(name for name, x in stages if x["stage"]["choose"]["stage"] == "task")


def world(
    study: str,
    taught: Values = lambda *_: {},
    runs: Values = lambda *_: {},
    more: Values = lambda *_: {},
    jitter: float = 0.0,
) -> Found:
    """Every run of a study: half of what the source gains is followed, nothing is aligned. more: what its page reads."""
    planned, stages = asked(study)
    random = np.random.default_rng(0)
    rows, alike, read = [], [], []
    usual: dict[str, Any] = {
        "source": 0.8,
        "target": 0.5,
        "gain": 0.6,
        "follows": 0.5,
        "itself": 0.8,
        "delta": 0.3,
        "pointer": 0.5,
    }
    for cell, seeds in planned.items():
        for seed in seeds:
            head = {"cell": cell, "seed": seed, "board": "6x6"}
            alike.append(head | {"winner": "none", "verdict": "none", "maps": {}} | dict(runs(cell, "")))
            read.append(head | dict(more(cell, "")))
            for stage in stages:
                row = usual | dict(taught(cell, stage))
                row |= {"follows": row["follows"] + jitter * random.normal(), "stage": stage}
                row |= {f"follows_{end}": row["follows"] + x for end, x in (("low", -0.1), ("high", 0.1))}
                rows.append(head | row)
    return Found(pd.DataFrame(alike, columns=RUNS), pd.DataFrame(rows, columns=TAUGHT), planned, pd.DataFrame(read))


def follows(values: Mapping[str, float], usual: float = 0.5) -> Values:
    return lambda cell, stage: {"follows": values.get(cell, usual)}


def outcomes(page: Page, found: Found) -> dict[str, bool | None]:
    return {str(row["prediction"]).split()[0]: row["outcome"] for row in predictions(page, found)}


def without(found: Found, cell: str, seed: int) -> Found:
    """One run less."""
    tables = (found.runs, found.taught, found.more)
    runs, taught, more = (rows[~((rows.cell == cell) & (rows.seed == seed))] for rows in tables)
    return Found(runs, taught, found.planned, more)


EMERGING = {
    "shared": 0.9, "no_anchors": 0.8, "switched": 0.88, "apart_1": 0.85, "apart_2": 0.8, "apart_3": 0.1,
    "apart_tokens": 0.75, "compositional_shared": 0.7, "reordered_shared": 0.3, "shared_domain_half": 0.85,
    "shared_domain": 0.6, "apart_head": 0.85, "apart_embeddings": 0.78,
}  # fmt: skip


def test_a_world_as_predicted_holds_and_a_planted_absence_fails() -> None:
    held = world("emerging", follows(EMERGING))
    assert outcomes(emerging.PAGE, held) == dict.fromkeys(emerging.PAGE.claims, True)
    assert "The cliff after the second layer appears" in emerging.answer(held)
    for number, planted in {
        "18.1": {"no_anchors": 0.7, "apart_tokens": 0.75}, "18.2": {"switched": 0.8},
        "18.3": {"apart_2": 0.5, "apart_3": 0.2}, "18.4": {"apart_tokens": 0.6}, "18.5": {"reordered_shared": 0.71},
        "18.6": {"shared_domain": 0.86}, "18.7": {"apart_embeddings": 0.95},
    }.items():  # fmt: skip
        found = world("emerging", follows(EMERGING | planted))
        assert [name for name, outcome in outcomes(emerging.PAGE, found).items() if outcome is False] == [number]
    even = world("emerging", follows(EMERGING | {"apart_2": 0.4, "apart_3": 0.4}))  # nothing is lost from two to three
    assert outcomes(emerging.PAGE, even)["18.3"] is False
    assert "does not appear" in emerging.answer(even)


def aligned(cell: str, _: str) -> Mapping[str, Any]:
    """Embeddings are aligned in some orders only, and so is transfer; within an order it has nothing to do with it."""
    objective, order = cell.split("_")[:2]
    within = {"mlm": 0.0, "tlm": 0.02, "dict": 0.03, "align": 0.01}[objective]
    return {"neighbours": 0.9 - 0.2 * list(ORDERS).index(order) + within, "dictionary": 0.9, "held_out": 0.3}


def lost(cell: str, _: str) -> Mapping[str, Any]:
    objective, order = cell.split("_")[:2]
    within = {"mlm": 0.01, "tlm": 0.0, "dict": 0.03, "align": 0.02}[objective]
    share = {"mlm": 0.2, "align": 0.9}.get(objective, 0.5)
    return {"delta": 0.1 + 0.2 * list(ORDERS).index(order) + within, "follows": share}


def test_alignment_that_only_goes_with_the_order_is_told_from_alignment_that_decides() -> None:
    found = world("align_mlm", lost, aligned)
    assert outcomes(align_mlm.PAGE, found) == dict.fromkeys(align_mlm.PAGE.claims, True)
    whole, inside, count = align_mlm.by_cell(align_mlm.points(found), "neighbours")
    means = [(lost(cell, "")["delta"], aligned(cell, "")["neighbours"]) for cell in CELLS]
    assert (whole, count) == (pytest.approx(spearmanr(means).statistic), 16)
    assert abs(inside) < abs(whole)
    decides = world("align_mlm", lambda cell, _: lost(cell, _) | {"delta": 1 - aligned(cell, _)["neighbours"]}, aligned)
    assert outcomes(align_mlm.PAGE, decides)["19.5"] is False  # as strong within an order
    none = world("align_mlm", lambda cell, _: lost(cell, _) | {"delta": aligned(cell, _)["neighbours"]}, aligned)
    assert outcomes(align_mlm.PAGE, none)["19.5"] is False


@pytest.mark.parametrize(
    ("number", "taught", "runs"),
    [
        ("19.1", {"tlm_window": {"itself": 0.7}}, {}),
        ("19.2", {"align_inverted": {"follows": 0.1}}, {}),
        ("19.3", {"mlm_renamed": {"follows": 0.55}}, {}),
        ("19.4", {}, {"align_phrases": {"held_out": 0.5}}),
    ],
)
def test_a_planted_cell_fails_its_prediction_alone(number: str, taught: dict, runs: dict) -> None:
    found = world(
        "align_mlm", lambda cell, x: lost(cell, x) | taught.get(cell, {}), lambda cell, x: aligned(cell, x) | runs.get(cell, {})
    )  # fmt: skip
    assert [name for name, outcome in outcomes(align_mlm.PAGE, found).items() if outcome is False] == [number]


TRUE = {"shared_25_true": 0.9, "shared_50_true": 0.9}
FRIENDS = TRUE | {
    f"shared_{overlap}_{x}": y for overlap in ("25", "50", "all") for x, y in (("half", 0.5), ("false", 0.1))
}


def identity(cell: str, _: str) -> Mapping[str, Any]:
    return {"winner": "identity", "maps": {"identity": 2}} if cell.endswith("_true") else {}


def test_what_is_claimed_of_every_run_waits_for_all_of_them() -> None:
    found = world("false_friends", follows(FRIENDS), identity)
    assert outcomes(false_friends.PAGE, found) == dict.fromkeys(false_friends.PAGE.claims, True)
    assert outcomes(false_friends.PAGE, without(found, "shared_25_true", 21))["20.1"] is None
    one = found.runs.winner.where((found.runs.cell != "shared_25_true") | (found.runs.seed != 21), "main")
    assert (
        outcomes(false_friends.PAGE, Found(found.runs.assign(winner=one), found.taught, found.planned))["20.1"] is False
    )
    half = world(
        "false_friends", follows(FRIENDS), lambda cell, _: {"winner": "mixed", "maps": {"identity": 1, "main": 1}}
    )
    assert (outcomes(false_friends.PAGE, half)["20.1"], outcomes(false_friends.PAGE, half)["20.3"]) == (False, False)
    swapped = world("false_friends", follows(FRIENDS | {"shared_all_false": 0.6}), identity)
    assert outcomes(false_friends.PAGE, swapped)["20.2"] is False


def realigned(cell: str, stage: str) -> Mapping[str, Any]:
    """Gains are largest for narrow models and re-ordered languages; wrong entries cost, most in the wide model."""
    distance, width = cell.split("_")
    if stage == "bracket":
        return {}
    gain = 0.1 + 0.1 * realignment.DISTANCES.index(distance) - 0.03 * realignment.WIDTHS.index(width)
    gain -= ("wrong" in stage) * 0.01 * (1 + realignment.WIDTHS.index(width))
    return {"target": 0.5 + gain * (0.5 if "_with_" in stage else 1.0), "source": 0.79}


def test_realignment_is_judged_by_end_against_plain_end() -> None:
    found = world("realignment", realigned)
    assert outcomes(realignment.PAGE, found) == dict.fromkeys(realignment.PAGE.claims, True)
    assert realignment.gain(found, "renamed_small", "bracket_after_gold") == pytest.approx(0.1)
    rows = {(row["aligner"], row["realigned"]): row for row in realignment.aligners(found)}
    assert rows["gold", "before"]["up / down"] == "9 / 0 of 9"
    assert rows["gold", "before"]["change of the source"] == "-.010"

    def change(stages: str, cells: str, **to: float) -> Found:
        return world("realignment", lambda c, s: realigned(c, s) | (to if stages in s and fnmatch(c, cells) else {}))

    for number, planted in {
        "21.1": change("after_gold", "renamed_middle", target=0.49), "21.2": change("after_gold", "*_large", target=0.99),
        "21.3": change("with_wrong", "renamed_large", target=0.44), "21.4": change("with_ibm", "renamed_small", source=0.9),
        "21.5": change("_with_", "*", target=0.99),
    }.items():  # fmt: skip
        failed = [name for name, outcome in outcomes(realignment.PAGE, planted).items() if outcome is False]
        assert failed == [number]


def mirrored(cell: str, _: str) -> Mapping[str, Any]:
    """A pointer follows through every map, a direction through the identity alone, and through the map of the pair."""
    link = cell.removeprefix("mirror_") if cell in mirror_tasks.MIRRORS else "identity"
    moved = {"map": link, "follows_moved": 0.75, "pointer_moved": 0.8}
    return {"pointer": 0.8, "follows": 0.1 if link != "identity" else 0.75} | moved


def unlike(cell: str, _: str) -> Mapping[str, Any]:
    return {"raw": 0.55 if cell in mirror_tasks.MIRRORS else 0.87, "best": 0.87}


def test_a_mirror_turns_a_direction_and_leaves_a_pointer() -> None:
    found = world("mirror_tasks", mirrored, unlike)
    assert outcomes(mirror_tasks.PAGE, found) == dict.fromkeys(mirror_tasks.PAGE.claims, True)
    assert "10% of what the taught one does in naming a direction, 80% in pointing" in mirror_tasks.answer(found)
    for number, planted in {
        "26.1": {"anchor_4": {"pointer": 0.95}}, "26.2": {"mirror_anti": {"follows": 0.4}},
        "26.4": {"unified": {"follows": 0.9}}, "26.5": {"mirror_main": {"map": "anti"}},
    }.items():  # fmt: skip
        other = world("mirror_tasks", lambda c, s, p=planted: mirrored(c, s) | p.get(c, {}), unlike)  # type: ignore[misc]
        assert [name for name, held in outcomes(mirror_tasks.PAGE, other).items() if held is False] == [number]
    alike = world("mirror_tasks", mirrored, lambda c, s: unlike(c, s) | ({"raw": 0.7} if c == "mirror_rot180" else {}))
    assert [name for name, held in outcomes(mirror_tasks.PAGE, alike).items() if held is False] == ["26.3"]
    short = world(
        "mirror_tasks", lambda c, s: mirrored(c, s) | {"pointer_moved": 0.6 if c == "mirror_anti" else 0.8}, unlike
    )
    assert [name for name, held in outcomes(mirror_tasks.PAGE, short).items() if held is False] == ["26.5"]
    fewer = without(found, "mirror_anti", 0)
    assert (outcomes(mirror_tasks.PAGE, fewer)["26.2"], outcomes(mirror_tasks.PAGE, fewer)["26.3"]) == (None, None)


POSTHOC = {"state": 0.99, "state_random": 0.3, "most_alike_random": 0.3, "embedding": 0.2, "move": 0.6, "kept": 0.97}
POSTHOC |= {f"legal_{layer}": 0.95 for layer in range(4)} | {f"legal_{layer}_random": 0.5 for layer in range(4)}
MOST_ALIKE = {"together": 0.99, "apart": 0.97, "apart_domain": 0.95, "apart_split": 0.9, "apart_compositional": 0.8}


def compared(cell: str, _: str) -> Mapping[str, Any]:
    return POSTHOC | {"most_alike": MOST_ALIKE[cell]}


KNOWN = {"taught": 0.05, "late": 0.3, "taught_switched": 0.48, "before_alone": 0.4, "during": 0.49, "untaught": np.nan}


def known(cell: str, _: str) -> Mapping[str, Any]:
    return {"taught": np.nan if cell == "untaught" else 0.7, "other": KNOWN.get(cell, 0.5)}


WORTH = {"naive": 1.0, "naive_9_1": 7.0, "five": 1.5, "five_unequal": 12.0}


def worth(cell: str, _: str) -> Mapping[str, Any]:
    excess = 0.3 if cell == "naive_equal_then_9_1" else 0.2
    return {
        "common": min(WORTH.get(cell, 1.0), 1.5),
        "rarer": WORTH.get(cell, 2.0),
        "rarer_excess": excess,
        "gradients": 0.0,
    }


def shared_states(cell: str, _: str) -> Mapping[str, Any]:
    return {"best": 0.85, "cosine": 0.6 if cell == "naive_9_1" else 0.5, "skill": 0.97}


@pytest.mark.parametrize(
    ("page", "more", "planted"),
    [
        (posthoc.PAGE, compared, {
            "23.1": {"apart": {"state": 0.9}}, "23.2": {"apart_split": {"most_alike": 0.96}},
            "23.3": {"together": {"most_alike_random": 0.7}}, "23.4": {"apart_domain": {"move": 0.35}},
            "23.5": {"apart_split": {"legal_1": 0.7}},
        }),
        (prealign.PAGE, known, {
            "24.1": {"taught": {"taught": 0.85}}, "24.2": {"during": {"other": 0.2}},
            "24.3": {"before_quarter": {"other": 0.25}}, "24.4": {"before_shuffled": {"other": 0.2}},
            "24.5": {"before_foreign": {"other": 0.3}},
        }),
        (imbalance.PAGE, worth, {
            "25.1": {"naive_9_1": {"rarer": 3.0}}, "25.3": {"naive_9_1": {"gradients": 0.4}},
            "25.4": {"naive_9_1_then_equal": {"rarer_excess": 0.4}}, "25.5": {"five": {"rarer": 4.0}},
        }),
    ],
    ids=lambda x: getattr(x, "study", ""),
)  # fmt: skip
def test_what_a_page_reads_itself_is_judged_by_its_words(page: Page, more: Values, planted: dict) -> None:
    found = world(page.study, runs=shared_states, more=more)
    assert outcomes(page, found) == dict.fromkeys(page.claims, True)
    text = text_of(page, found)
    assert f"Predictions: {len(page.claims)} held" in text
    assert "nan" not in text
    for number, cells in planted.items():
        other = world(page.study, runs=shared_states, more=lambda c, s, p=cells: more(c, s) | p.get(c, {}))
        assert [name for name, held in outcomes(page, other).items() if held is False] == [number]


def test_states_that_are_no_more_alike_fail_what_unequal_shares_are_said_to_do() -> None:
    found = world("imbalance", runs=lambda *_: {"best": 0.85, "cosine": 0.5}, more=worth)
    assert [name for name, held in outcomes(imbalance.PAGE, found).items() if held is False] == ["25.2"]


def test_what_pages_read_themselves_is_what_the_folders_hold() -> None:
    def rows(cell: str, measure: str, seed: int, has: str) -> pd.DataFrame:
        tables = map(pd.read_csv, (RESULTS / "mini" / cell).glob(f"*/seed{seed}/measures/{measure}-*/table.csv.gz"))
        (table,) = (one for one in tables if has in set(one.control))
        return table

    def read(page: Page, cells: Sequence[str]) -> pd.DataFrame:
        runs = find_runs([str(RESULTS / "mini" / cell) for cell in cells])
        return page.read(of_study(study_of(page.study, "mini"), runs)).set_index(["cell", "seed"])

    facts = rows("before", "facts", 0, "other")
    facts = facts[(facts.quantity == "fact_probability") & (facts.target == "taught") & (facts["map"] == "identity")]
    asked = facts[facts.language == "atomic_1"].groupby("control").value.mean()
    assert read(prealign.PAGE, ["before"]).other["before", 0] == pytest.approx(asked["trained"] - asked["other"])
    games = rows("naive_9_1", "efficiency", 20, "trained").query(
        "quantity == 'token_efficiency' and control == 'trained'"
    )
    worth = read(imbalance.PAGE, ["naive_9_1"]).loc[("naive_9_1", 20)]
    assert [worth.common, worth.rarer] == pytest.approx(games.groupby("language").value.mean().tolist())
    assert read(imbalance.PAGE, ["naive_9_1"]).rarer.notna().sum() == 3
    pairs = read(posthoc.PAGE, ["apart", "apart_split"])
    alike = rows("apart_split", "posthoc", 0, "trained").query(
        "quantity == 'cka' and control == 'trained' and layer > 0"
    )
    assert pairs.most_alike["apart_split", 0] == pytest.approx(alike.value.max())
    assert 0.6 < pairs.legal_1["apart_split", 0] < 0.75 < pairs.legal_1["apart", 1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.study)
def test_without_a_run_all_is_open_and_said(page: Page) -> None:
    empty = Found(pd.DataFrame(columns=RUNS), pd.DataFrame(columns=TAUGHT), asked(page.study)[0])
    assert set(outcomes(page, empty).values()) == {None}
    text = text_of(page, empty, drawn=False)
    assert f"**No run yet: all {len(page.claims)} predictions are open.**" in text
    for cell in empty.planned:
        assert f"| {cell} | - |" in text
    assert "figure.png" not in text
    assert gather.SIGN in text  # else it is not written again


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.study)
def test_one_seed_of_every_cell_makes_a_page_with_a_figure(page: Page) -> None:
    found = world(page.study, runs=lambda *_: dict.fromkeys(["neighbours", "raw", "retrieval"], 0.5))
    first = {cell: seeds[0] for cell, seeds in found.planned.items()}
    runs, taught = (rows[rows.seed == rows.cell.map(first)] for rows in (found.runs, found.taught))
    one = Found(runs, taught, found.planned)
    text = text_of(page, one)
    total = sum(map(len, one.planned.values()))
    assert f"{len(one.planned)} of {total} runs are here" in text
    assert "nan" not in text
    assert page.figure(one).axes
    for row, claim in zip(predictions(page, one), page.claims.values(), strict=True):
        there, planned = map(int, row["runs"].split(" of "))
        assert planned == sum(len(found.planned[cell]) for cell in claim.cells)
        assert there in (0, len(claim.cells))  # none: of a column that this world lacks


def test_published_numbers_stand_beside_ours() -> None:
    text = text_of(emerging.PAGE, world("emerging"))
    assert "| apart_3 | 3 none | -22.6 -38.7 -17.8 | .500 [.500, .500] | +.000" in text
    assert "| mlm_inverted | 3 none | 95.0 / 56.5, 0.3% |" in text_of(align_mlm.PAGE, world("align_mlm"))
    assert "mBERT +2.64 (31 / 1)" in text_of(realignment.PAGE, world("realignment", realigned))
    for page in PAGES:
        assert set(PAPERS[page.study].get("cells", {})) <= set(asked(page.study)[0])
        assert list(PAPERS[page.study]["predictions"]) == list(page.claims)
        assert set(PAPERS[page.study]["sections"]) == set(page.sections)


def test_what_a_paper_claims_is_judged_and_said() -> None:
    found = world("align_mlm", lost, aligned)
    assert theirs_of("align_mlm", found)["does not hold here"] == ["MLM alone transfers where words are only renamed"]
    text = text_of(OTHER_PAPERS["align_mlm"], found)
    assert "Claims of Tang et al. 2022, in our words: *holds here* the alignment of embeddings" in text
    more = world("align_mlm", lambda cell, _: lost(cell, _) | {"follows": 0.6}, aligned)
    assert "MLM alone transfers where words are only renamed" in theirs_of("align_mlm", more)["holds here"]
    same, apart = (
        world("posthoc", more=lambda c, s, x=x: compared(c, s) | {"most_alike_random": x})  # type: ignore[misc]
        for x in (0.9, 0.3)
    )
    assert "random weights are far less alike" in theirs_of("posthoc", same)["does not hold here"]
    judged = theirs_of("posthoc", apart)
    assert judged["holds here"] == ["random weights are far less alike"]
    assert len(judged["open"]) == 2  # of one pair each; as alike in every block
    assert len(theirs_of("emerging", world("emerging", follows(EMERGING)))["holds here"]) == 5
    claims = theirs_of("imbalance", world("imbalance", more=worth, runs=shared_states))
    assert claims["holds here"][0].startswith("a game")
    assert claims["open"][0].startswith("unequal shares")
    assert [positive(x) for x in ([0.1, 0.2, 0.15], [-0.1, -0.2, -0.15], [0.1, -0.1, 0.2], [0.1, 0.2], [])] == [
        True, False, None, None, None,
    ]  # fmt: skip
    for page in PAGES:
        empty = Found(pd.DataFrame(columns=RUNS), pd.DataFrame(columns=TAUGHT), asked(page.study)[0])
        assert set(theirs_of(page.study, empty)) <= {"open"}


def test_nothing_learned_is_nothing_to_follow() -> None:
    found = world("emerging", lambda cell, stage: {"gain": 0.01, "follows": np.nan} if cell == "no_anchors" else {})
    assert outcomes(emerging.PAGE, found)["18.1"] is None
    assert found.shown("no_anchors", "follows") == "not learned"


def test_what_no_cell_learned_has_no_column_and_is_named() -> None:
    dull = world("emerging", lambda _, stage: {"follows": np.nan, "gain": 0.0} if stage == "flips" else {})
    text = text_of(emerging.PAGE, dull)
    assert "there is nothing to follow: flips." in text
    assert "winner: follows" in text
    assert "flips: follows" not in text


def test_intervals_are_over_seeds_from_three_on_and_over_games_below() -> None:
    found = world("align_mlm", jitter=0.05)
    one, other = (found.of(cell, "follows").follows for cell in ("tlm_renamed", "mlm_renamed"))
    low, high = ttest_1samp(one - other, 0).confidence_interval()
    shown = found.difference("tlm_renamed", "mlm_renamed")
    numbers = [float(text.strip("[],")) for text in shown.split()]
    assert numbers == pytest.approx([(one - other).mean(), low, high], abs=6e-4)
    assert found.difference("mlm_renamed", "mlm_renamed") == "-"
    alone = Found(found.runs, found.taught[found.taught.seed == 0], found.planned)
    assert alone.difference("tlm_renamed", "mlm_renamed").count("{") == 1


@pytest.fixture(scope="module")
def first() -> Found:
    """The committed runs of the study first, read as a paper's study is."""
    study = study_of("first", "mini")
    return found_of(study, of_study(study, find_runs([str(RESULTS / "first")])))


def test_the_tables_are_what_the_folders_hold(first: Found) -> None:
    assert len(first.runs) == len(first.taught) == 9
    (path,) = (RESULTS / "first/mini/align_mlm").glob("*/seed0/task/bracket-*/measures/task_transfer-*/table.csv.gz")
    rows = pd.read_csv(path)
    rows = rows[(rows.quantity == "task_accuracy") & (rows.control == "trained") & (rows.target == "bracket")]
    before, after = (rows[rows.step == step].set_index("language").value for step in (rows.step.min(), rows.step.max()))
    row = first.of("align_mlm", "follows").iloc[0]
    assert (row.source, row.target) == pytest.approx((after["atomic_0"], after["atomic_1"]))
    assert row.follows == pytest.approx((after - before)["atomic_1"] / (after - before)["atomic_0"])
    assert row.follows_low < row.follows < row.follows_high
    assert first.runs.set_index("cell").winner["align_mlm"] == "identity"
    assert first.runs.set_index("cell").excess.notna().all()


def test_stages_are_known_by_the_folders_that_they_write() -> None:
    config = composed("study", StudyCommand, ["+study=realignment", "scale=mini"])
    stages = part_of(config, "renamed_small", 0).stages
    during = [stage for stage in stages if "_with_" in stage.name]
    assert len(during) == 5
    for stage in during:  # a stage names its folder after its settings in full
        settings = stage.command.stage.auxiliary
        assert typed_auxiliary(settings, None) == settings
    assert {stage.after for stage in stages} >= {"", "gold", "ibm"}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.study)
def test_the_committed_page_is_what_its_runs_make(page: Page, tmp_path: Path) -> None:
    committed = RESULTS / page.study / "README.md"
    if not committed.exists():
        pytest.skip("not made yet: python scripts/results.py page=" + page.study)
    (tmp_path / "mini").symlink_to(committed.parent / "mini") if (committed.parent / "mini").is_dir() else None
    written = write_paper(page, study_of(page.study, "mini"), tmp_path)
    assert written.read_text() == committed.read_text()
