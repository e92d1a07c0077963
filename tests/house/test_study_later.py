"""Proves: a cell goes on from another cell's run or stage once that is there, runs are compared when all parts have ended, and
what is missing is one line; a mistake in either is named before anything runs."""

import re
from pathlib import Path
from typing import Any

import pytest
from house.commands import TINY, TINY_CAUSAL, TINY_MEASURE, TINY_PROBE, fragment, run

from mothello.cli.compose import composed
from mothello.cli.jobs import Outcome
from mothello.cli.study import in_waves
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_parts import finished
from mothello.cli.study_plan import part_of
from mothello.rundir import RunDir


def study(*overrides: str) -> StudyCommand:
    return composed("study", StudyCommand, list(overrides))


WORDS = [
    "stage.choose.stage=align_words",
    "stage.at=0",
    "stage.stage.steps=2",
    "stage.choose.tracking=jsonl",
    "stage.choose.device=cpu",
]
SMALL = [
    "+study=demo", "experiments=[]", *fragment("train", TINY), *fragment("probe", [*TINY_PROBE, *TINY_CAUSAL]),
    *fragment("measure", TINY_MEASURE), "report=", "runs=here",
]  # fmt: skip
FORKS = "+cells={naive:{},apart:{train:{choose:{languages:atomic_single}}},before:{fork:naive/words,train:{optimizer:{lr:0.01}}}}"
FORKED = [
    *SMALL, *WORDS, FORKS, "+stages={words:{cells:[naive]}}",
]  # fmt: skip


def test_a_cell_goes_on_from_another_ones_run_or_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = study(*FORKED)
    assert "naive/0 is not trained yet" in part_of(config, "before", 0).waits
    assert not part_of(config, "naive", 0).waits
    assert run(monkeypatch, "study", *FORKED, "parts=[before/*]") == 1
    assert "cells.before.fork: naive/0 is not trained yet" in capsys.readouterr().out
    assert not Path("here/before").exists()
    assert run(monkeypatch, "study", *FORKED) == 0
    part, origin = part_of(config, "before", 0), part_of(config, "naive", 0)
    assert part.waits == ""
    made = RunDir(part.probe.run).read_config()
    (words,) = Path(origin.probe.run).glob("align_words/*")
    assert (made["fork"], made["at"], made["name"]) == (str(words), 0, "before")
    assert made["optimizer"]["lr"] == 0.01 != RunDir(origin.probe.run).read_config()["optimizer"]["lr"]
    assert made["data"] == RunDir(origin.probe.run).read_config()["data"]
    assert all(finished(part).values())
    capsys.readouterr()
    assert run(monkeypatch, "study", *FORKED) == 0
    assert capsys.readouterr().out.count("finished already") == 3
    last = "+cells.longer={fork:naive,train:{data:{epochs:2}}}"
    longer = part_of(study(*FORKED, last), "longer", 0).train
    assert (longer.fork, longer.at, longer.data.steps) == (origin.probe.run, 8, 16)


def test_runs_are_compared_when_all_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = "+cells={apart:{seeds:[0,1],train:{choose:{languages:atomic_single}}},naive:{}}"
    posthoc = "measures:[posthoc],posthoc:{games:8,pool:20,draws:20}"
    more = f"{{maps:{{other:apart/0,measure:{{{posthoc}}}}},within:{{cells:[naive],measure:{{{posthoc}}}}}}}"
    call = [*SMALL, cells, f"+comparisons={more}"]
    assert run(monkeypatch, "study", *call, "parts=[naive/*]") == 1  # the others are not there
    out = capsys.readouterr().out
    assert "comparisons.maps: apart/0 is not finished; run it first" in out
    assert run(monkeypatch, "study", *call) == 0
    capsys.readouterr()
    folders = {name: RunDir(part_of(study(*call), name, seed).probe.run).path for name, seed in PLACES.items()}
    told = {
        name: sorted(str(RunDir(x).read_config().get("other", "")) for x in folder.glob("measures/posthoc-*"))
        for name, folder in folders.items()
    }
    other = next(Path("here/apart").glob("*/seed0"))
    assert told == {"apart": [str(other)], "naive": ["", str(other)]}
    assert not list(other.glob("measures/posthoc-*"))  # not with itself
    assert run(monkeypatch, "study", *call) == 0
    out = capsys.readouterr().out
    assert out.count("finished already") >= 3 + 3
    assert run(monkeypatch, "study", *call, "dry_run=true") == 0
    assert "And at the end 3 comparisons: maps: naive/0 beside apart/0" in capsys.readouterr().out


PLACES = {"apart": 1, "naive": 0}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+cells.x={fork:other}", r"cells.x.fork: no cell 'other' before it; there are naive, "),
        ("+cells.x={fork:naive/words}", r"cells.x.fork: naive has no stage 'words'; choices: none"),
        ("+comparisons.x={cells:[other]}", r"comparisons.x.cells: no cell 'other'"),
        (
            "+comparisons.x={other:nowhere/0,measure:{measures:[posthoc]}}",
            r"comparisons.x.other: 'nowhere/0' is no CELL",
        ),
        (
            "+comparisons.x={other:naive/one,measure:{measures:[posthoc]}}",
            r"comparisons.x.other: 'naive/one' is no CELL",
        ),
        (
            "+comparisons.x={other:naive/0,measure:{measures:[legality]}}",
            r"other: has no effect on measures=\[legality\]",
        ),
        ("+comparisons.x={measure:{measures:[nothing]}}", r"measures: unknown .*nothing"),
    ],
)
def test_mistakes_in_what_needs_other_runs_are_named_before_any_runs(
    override: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "study", "+study=table1", "parts=[naive/1]", override) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
    assert re.search(message, line), line
    assert not Path("runs").exists()


def test_jobs_of_a_wave_begin_when_those_before_it_have_ended() -> None:
    done: list[list[int]] = []
    outcomes = [Outcome(str(i)) for i in range(5)]

    def launcher(jobs: Any, outcomes: Any) -> None:
        done.append([*jobs])
        for outcome in outcomes:
            outcome.status = "ok"

    in_waves(launcher, [2, 0, 3])([*range(5)], outcomes)  # type: ignore[list-item]
    assert [wave for wave in done if wave] == [[0, 1], [2, 3, 4]]
    assert {outcome.status for outcome in outcomes} == {"ok"}
