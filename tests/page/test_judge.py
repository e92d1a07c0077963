"""Proves: each word on a published number follows from the numbers, and planted numbers change it."""

import itertools

import pandas as pd
import pytest
from page.planted import anchored, finetuned, row, table

from mothello.report.statistics import estimate
from studies import PUBLISHED
from studies.judge import (
    CORRECTED,
    DIFFERS,
    NOT_REACHED,
    NOT_RUN,
    REINTERPRETED,
    REPRODUCED,
    band,
    direction,
    judge,
    judged_change,
    judged_family,
    judged_pair,
    judged_unified,
    near,
)
from studies.numbers import decimal, interval, measured, over_seeds, pipe_table
from studies.tables import families, finetunings, table_1


@pytest.mark.parametrize(
    ("raw", "best", "legal", "word"),
    [
        (0.5, None, 0.98, REPRODUCED),  # published .53: not aligned
        (0.5, 0.8, 0.98, REINTERPRETED),  # not aligned raw, aligned through a map
        (0.8, None, 0.98, DIFFERS),  # aligned as it is, by 80%
        (0.62, None, 0.98, REPRODUCED),  # a hair above the constant is not alignment
        (0.5, None, 0.96, NOT_REACHED),
    ],
)
def test_naive_pairs(raw: float, best: float | None, legal: float, word: str) -> None:
    rows = table(*(row("naive", seed, raw, best, legal=legal, learned=legal >= 0.97) for seed in range(3)))
    shown = table_1(rows, {"naive": range(4)})[0]
    assert (shown["word"], shown["seeds"], shown["published"]) == (word, "3 of 4", ".53")
    through = {0.5: "3 none", 0.62: "3 identity (partly)", 0.8: "3 identity (partly)"}[raw]
    assert shown["through"] == ("3 main (partly)" if best else through)
    assert ("3 below the bar" in str(shown["legality"])) == (legal < 0.97)
    assert ("3 of 3 seeds aligned up to a symmetry" in str(shown["why"])) == (word == REINTERPRETED)


def test_one_seed_of_three_corrects_nothing() -> None:
    rows = table(*(row("naive", seed, 0.5, 0.8 if seed == 0 else None) for seed in range(3)))
    assert judged_pair(0.53, rows).word == REPRODUCED


def test_a_row_must_be_in_the_published_band() -> None:
    """Own .85, constant .6: bands end at .6375 and .8125."""
    rows = table(anchored("anchor_1", 1, raw=0.7), anchored("anchor_2", 2, raw=0.7), anchored("anchor_4", 4, raw=0.83))
    none, one, two, four = table_1(rows, {"naive": [0]})
    assert [x["word"] for x in (none, one, two, four)] == [NOT_RUN, REPRODUCED, DIFFERS, REPRODUCED]
    assert "partly aligned, published aligned" in str(two["why"])
    assert "Likely: 2 layers and 1,000 games, not 8 layers and 180 M games" in str(two["why"])


@pytest.mark.parametrize(
    ("pair", "raw", "word"),
    [
        ("atomic + atomic", 0.53, REPRODUCED),
        ("atomic + atomic", 0.61, REPRODUCED),  # the level of a reflection
        ("atomic + split", 0.47, REPRODUCED),
        ("atomic + split", 0.60, DIFFERS),
        ("atomic + compositional", 0.49, REPRODUCED),
        ("atomic + compositional", 0.56, DIFFERS),
    ],
)
def test_naive_pairs_on_the_published_board(pair: str, raw: float, word: str) -> None:
    rows = table(*(row("naive", seed, raw, board="8x8", pair=pair, winner="none") for seed in range(3)))
    assert judged_pair(PUBLISHED.table_1[pair][0], rows).word == word


def test_a_model_below_the_bar_says_which_language_is() -> None:
    rows = table(row("split_naive", legal=0.92, by_kind={"split": 0.88, "atomic": 0.96}))
    assert judged_pair(0.47, rows) == (NOT_REACHED, "strict: split .880, atomic .960")


def test_unified_output_may_lose_little() -> None:
    words = [judged_unified(table(row("unified", raw=raw, sharing="unified"))).word for raw in (0.84, 0.8)]
    assert words == [REPRODUCED, DIFFERS]


def blocks(languages: int, within: float, half_turn: float, reflection: float) -> list[float]:
    """Raw accuracies of the ordered pairs of languages in four blocks."""
    level = {0: within, 1: half_turn, 2: reflection, 3: reflection}
    return [level[(a % 4) ^ (b % 4)] for a, b in itertools.permutations(range(languages), 2)]


@pytest.mark.parametrize(
    ("board", "count", "raw", "word"),
    [
        ("8x8", 20, blocks(20, 0.97, 0.53, 0.61), CORRECTED),
        ("8x8", 20, blocks(20, 0.55, 0.53, 0.61), DIFFERS),  # no two languages in one block
        ("8x8", 20, blocks(20, 0.97, 0.75, 0.8), DIFFERS),
        ("8x8", 5, blocks(5, 0.95, 0.53, 0.61), CORRECTED),  # a lucky pair
        ("8x8", 5, blocks(5, 0.2, 0.2, 0.2), DIFFERS),
        ("6x6", 20, blocks(20, 0.87, 0.49, 0.57), REINTERPRETED),
        ("6x6", 20, blocks(20, 0.87, 0.8, 0.8), DIFFERS),
    ],
)
def test_families_are_judged_pair_by_pair(board: str, count: int, raw: list[float], word: str) -> None:
    many = {"identity": round(0.3 * len(raw)), "main": round(0.7 * len(raw))}
    few = {"identity": round(0.8 * len(raw)), "main": round(0.2 * len(raw))}
    head = {"board": board, "pair": f"{count} atomic", "pairs": len(raw), "raw_pairs": raw, "constant": 0.62}
    family = row("naive", raw=0.5, best=0.96, **head)
    assert judged_family(table(family | {"maps": many}), count).word == word
    assert judged_family(table(family | {"maps": few}), count).word == (DIFFERS if word == DIFFERS else REPRODUCED)
    assert judged_family(table(family | {"maps": many, "legal": 0.9}), count).word == NOT_REACHED
    assert families(table(family | {"maps": many}), {f"naive_{count}": [0, 1]})[0]["word"] == word
    assert families(table(), {f"naive_{count}": [0, 1]})[0]["word"] == NOT_RUN


def test_the_same_board_is_judged_by_number() -> None:
    assert near(0.53, estimate([0.50, 0.52, 0.51]))
    assert near(0.555, estimate([0.50, 0.52, 0.54]))  # in the interval, which is .05 wide to each side
    assert not near(0.60, estimate([0.40, 0.52, 0.60]))  # in an interval that says nothing
    assert not near(0.60, estimate([0.50, 0.52, 0.51]))
    assert [band(x, 0.6, 0.9) for x in (0.5, 0.64, 0.65, 0.85, 0.86)] == [0, 0, 1, 1, 2]
    assert judge(learned=True, agrees=True, why="x") == (REPRODUCED, "")
    assert judge(learned=True, agrees=True, corrected="y", why="x") == (CORRECTED, "y")
    assert judge(learned=False, agrees=False, corrected="y", why="x").word == NOT_REACHED


def test_published_changes_and_ours() -> None:
    assert [direction(x) for x in (-0.2, 0.02, 0.3)] == [-1, 0, 1]
    falls = pd.DataFrame([finetuned()])
    assert judged_change(falls, -0.19).word == REPRODUCED
    assert judged_change(falls, -0.014).word == DIFFERS
    assert "30% of the answers are in another language" in judged_change(falls, 0.1).why
    assert judged_change(falls.assign(after=0.7), -0.19).word == REINTERPRETED  # falls only by the published criterion
    assert judged_change(falls.assign(legal=0.9), -0.19).word == NOT_REACHED
    assert judged_change(falls[:0], -0.19).word == NOT_RUN
    assert judged_change(falls, -0.4).word == REPRODUCED
    same = falls.assign(board="8x8")
    assert judged_change(same, -0.4).word == DIFFERS
    assert judged_change(same, -0.225).word == REPRODUCED
    three = pd.concat([same.assign(lenient_after=0.6 + x) for x in (-0.015, 0.0, 0.015)])
    assert judged_change(three, -0.235).word == REPRODUCED  # in our interval, which is .037 to each side
    assert judged_change(three, -0.245).word == DIFFERS


def test_every_family_that_was_tuned_is_shown() -> None:
    """Also where nothing was published about it."""
    rows = pd.DataFrame([finetuned(), finetuned("mix_prefix_naive", kind="4 atomic")])
    found = finetunings(rows, {"prefix_naive": [0, 1], "split_prefix_naive": [0]})
    assert [x["pair"] for x in found] == ["atomic", "atomic", "split", "split", "4 atomic"]
    assert [x["seeds"] for x in found[:2]] == ["0 of 2", "1 of 2"]
    assert [x["word"] for x in found if x["pair"] == "split"] == [NOT_RUN] * 2


def test_numbers_as_the_page_writes_them() -> None:
    assert [decimal(x) for x in (0.5321, -0.5, 1.0, None, float("nan"))] == [".532", "-.500", "1.000", "-", "-"]
    assert interval(over_seeds([0.5, None, 0.6])) == ".550"
    assert over_seeds([None]) is None
    low, high = estimate([0.5, 0.52, 0.54]).interval or (0, 0)
    assert interval(over_seeds([0.5, 0.52, 0.54])) == f".520 [{decimal(low)}, {decimal(high)}]"
    two = table(row("x", raw_low=0.4, raw_high=0.6), row("x", 1, raw_low=0.45, raw_high=0.65))
    assert measured(two, "raw") == ".500 {.400, .650}"
    assert pipe_table([{"a": 1, "b": "x|y"}]) == "| a | b |\n| --- | --- |\n| 1 | x/y |"
