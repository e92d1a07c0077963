"""Proves: predictions 10 to 15 are held, failed or open as planted runs say, and the tables name what is missing."""

from typing import Any

import pandas as pd
import pytest
from page.planted import row, table

from mothello.measures.probes.symmetry_classes import Classes
from studies import steering
from studies.claims import CLAIMS, predictions
from studies.data import count_classes
from studies.factors import CELLS, HEADINGS, answer, baselines, begun
from studies.factors import table as factor_table

SEEDS = range(3)


def outcome(number: str, study: str, *rows: dict[str, Any]) -> bool | None:
    (found,) = [x for x in predictions({study: table(*rows)}) if x[0].text.startswith(f"{number} ")]
    return found[3]


def cell(name: str, aligned: int, of: int = 3, **more: Any) -> list[dict[str, Any]]:
    """A cell of which so many seeds are aligned, through ``main``."""
    return [row(name, seed, 0.5, 0.85 if seed < aligned else 0.55, **more) for seed in range(of)]


def test_a_claim_stays_open_until_every_seed_was_run() -> None:
    assert outcome("10.1", "when", *cell("naive_expected", 2)[:2]) is None
    assert outcome("12.1", "table1", *cell("naive", 9, 9)) is None
    assert outcome("12.1", "table1", *cell("naive", 8, 10)) is True
    assert outcome("12.1", "table1", *cell("naive", 7, 10)) is False


@pytest.mark.parametrize(
    ("number", "study", "held", "failed"),
    [
        ("10.1", "when", [("naive_expected", 2)], [("naive_expected", 1)]),
        ("10.2", "when", [("naive_expected_200k", 1), ("naive", 2)], [("naive_expected_200k", 2), ("naive", 2)]),
        (
            "10.3", "when", [("naive_narrow", 0), ("naive", 2), ("naive_wide", 3)],
            [("naive_narrow", 0), ("naive", 2), ("naive_wide", 1)],
        ),
        (
            "10.4", "when", [("naive_decay_0", 1), ("naive", 2), ("naive_decay_3", 2)],
            [("naive_decay_0", 3), ("naive", 2), ("naive_decay_3", 2)],
        ),
        ("11.2", "asymmetry", [("opening_40", 1)], [("opening_40", 0)]),
        (
            "14.1", "parallel", [("naive_parallel", 1), ("naive_twice", 2), ("naive_disjoint", 2)],
            [("naive_parallel", 0), ("naive_twice", 2), ("naive_disjoint", 2)],
        ),
    ],
)  # fmt: skip
def test_a_claim_about_how_many_align(number: str, study: str, held: list, failed: list) -> None:
    for cells, expected in ((held, True), (failed, False)):
        rows = [one for name, aligned in cells for one in cell(name, aligned)]
        assert outcome(number, study, *rows) is expected


def test_claims_about_maps() -> None:
    names = ["naive", "opening_40", "opening_55", "opening_85", "opening_100"]

    def dialled(*identical: int) -> list[dict[str, Any]]:
        """A cell per weight, of which so many seeds are aligned under the identity and the rest through main."""
        pairs = zip(names, identical, strict=True)
        return [row(name, s, *((0.85, None) if s < n else (0.5, 0.85))) for name, n in pairs for s in SEEDS]

    assert outcome("11.3", "asymmetry", *dialled(0, 1, 1, 3, 3)) is True
    assert outcome("11.3", "asymmetry", *dialled(0, 2, 1, 3, 3)) is False
    assert outcome("11.1", "asymmetry", *dialled(0, 0, 0, 0, 3)) is True
    assert outcome("11.1", "asymmetry", *dialled(0, 0, 0, 0, 2)) is False
    divided = cell("naive", 10, 10)
    assert outcome("12.2", "table1", *divided) is False
    divided[4] |= {"kinds": {"two domains": 2}}
    assert outcome("12.2", "table1", *divided) is True
    assert outcome("14.2", "parallel", *cell("naive_parallel", 0), *cell("naive_twice", 0)) is True
    higher = [row("naive_parallel", seed, 0.65) for seed in SEEDS]
    assert outcome("14.2", "parallel", *higher, *cell("naive_twice", 0)) is False


def test_the_recipe_is_compared_at_the_nearest_loss() -> None:
    adam, far, near = cell("naive_gpt2_adamw", 3, excess=0.25), cell("naive_240k", 3, excess=0.4), cell("naive", 0)
    assert outcome("13", "recipe", *adam, *far, *near) is False  # .2 nats are nearer than .4
    assert outcome("13", "recipe", *adam, *far, *cell("naive", 2)) is True


def test_families_beyond_the_known_seed() -> None:
    family = [row("naive_8", seed, 0.5, 0.85, pair="8 atomic", pairs=56) for seed in SEEDS]
    assert outcome("12.3", "many_languages", *family) is True
    assert outcome("12.3", "many_languages", *family[:2], family[2] | {"aligned": 40}) is False
    assert outcome("12.3", "many_languages", family[0] | {"aligned": 40}, *family[1:]) is True


def test_a_language_that_is_aligned_with_none_is_no_class() -> None:
    assert count_classes(Classes([0, 1, 0, 0], [0, 0, 2, 2], [0, 2, 3, 1], 1.0)) == 2


def test_every_claim_is_open_without_runs() -> None:
    for scale in ("mini", "board8", "expected"):
        found = list(predictions({claim.study: table() for claim in CLAIMS}, scale))
        assert [x[3] for x in found] == [None] * sum(claim.scale in ("", scale) for claim in CLAIMS)


KINDS = ("split", "compositional")
LADDER = {"naive": 0.5, "anchor_1": 0.65, "anchor_2": 0.7, "anchor_4": 0.8}


def two_rows(**changes: Any) -> dict[str, tuple[str, bool | None]]:
    """16.1 and 16.2 of three seeds a cell. changes: of the cells with four anchors of compositional languages."""
    rows = [
        row(f"{kind}_{name}", seed, best) | (changes if (kind, name) == ("compositional", "anchor_4") else {})
        for kind in KINDS for name, best in LADDER.items() for seed in range(3)
    ]  # fmt: skip
    return {x[0].text.split()[0]: x[2:] for x in predictions({"table1": table(*rows)}, "expected")}


def test_both_rows_of_several_tokens_are_judged_in_either_colors() -> None:
    """Negative controls: one run below the bar, and languages that are settled in neither colors."""
    assert two_rows()["16.1"][1] is True
    assert two_rows(settled=False)["16.1"][1] is True
    assert two_rows(settled=False, settled_relative=False)["16.1"][1] is False
    assert two_rows(learned=False)["16.1"][1] is False
    assert two_rows(learned=False)["16.1"][0].startswith("21 of 24 pass the bar")
    assert "16.1" not in {x[0].text.split()[0] for x in predictions({"table1": table()}, "mini")}


def test_rows_rise_with_anchors_or_not() -> None:
    assert two_rows()["16.2"][1] is True
    assert two_rows(best=0.7)["16.2"][1] is False
    assert "compositional .650, .700, .800" in two_rows()["16.2"][0]


def test_claims_about_another_board_are_judged_there_alone() -> None:
    cells = {"table1": table(*cell("anchor_4", 0, 2, winner="identity"), *cell("unified", 0, 2, winner="identity"),
                             *cell("naive", 1, 2))}  # fmt: skip
    asked = {claim.text.split()[0]: outcome for claim, _, _, outcome in predictions(cells, "board8")}
    assert asked["17.1"] is True
    assert "17.1" not in {claim.text.split()[0] for claim, *_ in predictions(cells, "mini")}
    worse = {"table1": cells["table1"].assign(winner="identity")}
    assert next(x[3] for x in predictions(worse, "board8") if x[0].text.startswith("17.1")) is False


def test_the_table_of_a_study_names_what_was_not_run() -> None:
    cells = table(*cell("naive", 2))
    rows = factor_table(cells, {"naive": [0, 1, 2], "naive_wide": [0, 1, 2], "naive_narrow": []})
    assert [(x["cell"], x["settled"], x["seeds"]) for x in rows] == [
        ("naive", "2 of 3", "3"),
        ("naive_wide", "-", "0 of 3"),
    ]
    assert rows[0]["verdict, by seed"] == "main, main, none"
    assert not begun(cells)
    assert begun(table(*cell("naive", 2), *cell("naive_wide", 1)))
    assert baselines(cells)[0] == {
        "best constant": ".600", "orbit reader": ".700", "random weights, best map": ".470",
        "random weights, own language": ".700",
    }  # fmt: skip


def test_the_answer_of_a_study_tells_shares_apart_that_chance_would_not_make() -> None:
    planned = {"naive": list(range(10)), "naive_none": [0, 1, 2], "naive_one": [0, 1, 2], "naive_later": [0]}
    text = answer(table(*cell("naive", 9, 10), *cell("naive_none", 0), *cell("naive_one", 1)), planned)
    assert text.startswith(
        "`naive` settles, aligned or in two domains, on 9 of 10 seeds; `naive_none` (0 of 3, p = .014)"
    )
    assert "naive_one" not in text
    assert "no share is further" in answer(table(*cell("naive", 9, 10), *cell("naive_one", 1)), planned)
    assert set(CELLS) == set(HEADINGS)


def steered(through: float, other: float, aligned: bool = True, within: float = 1.0) -> dict[str, Any]:
    numbers = {"through": through, "other": other, "other_map": "main", "within": within, "null": 8.0}
    edits = {f"{edit}_{key}": value for edit in ("steer", "patch") for key, value in numbers.items()}
    head = {"cell": "naive", "seed": 0, "source": "a", "language": "b", "kind": "one map", "map": "anti"}
    return head | {"aligned": aligned} | edits


@pytest.mark.parametrize(
    ("rows", "outcomes"),
    [
        ([], [None, None, None]),
        ([steered(1.1, 7), steered(1.2, 6)], [True, True, None]),
        ([steered(1.1, 7), steered(6.5, 6)], [False, False, None]),
        ([steered(1.1, 7), steered(2.5, 3, False)], [True, True, True]),
        ([steered(1.1, 7), steered(5, 1.5, False)], [True, True, False]),
    ],
)
def test_steering(rows: list[dict[str, Any]], outcomes: list[bool | None]) -> None:
    found = pd.DataFrame(rows, columns=steering.COLUMNS).astype({"aligned": bool})
    assert [x[2] for x in steering.predictions(found)] == outcomes
    assert [x["turned discs: best of the others"] for x in steering.table(found)] == [
        f"{x['steer_other']:.2f} (main)" for x in rows
    ]
    told = steering.answer(found)
    assert bool(told) == any(x["aligned"] for x in rows)
    if told:
        aligned = [x for x in rows if x["aligned"]]
        fewest = sum(x["patch_through"] < x["patch_other"] for x in aligned)
        assert told.endswith(f"fewest through its map in {fewest} of {len(aligned)} directions.")
