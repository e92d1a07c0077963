"""Proves: results.py copies finished runs whole and without weights, names what it leaves out, never touches its source,
and the committed page says what the committed runs say."""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest
from house.commands import TINY, TINY_MEASURE, TINY_PROBE, run

from mothello.report.runs import find_runs
from mothello.rundir import RunDir
from studies import RESULTS, gather
from studies.asked import study_of
from studies.factors import HEADINGS
from studies.gather import STUDIES
from studies.page import runs_below, write_results
from studies.pages import PAGES
from studies.runs import headline_of, of_page, runs_of
from studies.scale import SCALES

OTHER = ["+experiment=naive", *TINY, "runs=runs/mini"]


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and its measures, a measurement that was begun, and a run that was begun."""
    here = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert run(patch, "train", *OTHER) == 0
        (folder,) = Path("runs/mini/naive").glob("*/seed0")
        assert run(patch, "probe", f"run={folder}", *TINY_PROBE, "measures=[probes]") == 0
        assert run(patch, "measure", f"run={folder}", *TINY_MEASURE) == 0
        RunDir(folder / "measures" / "probe-00000000").write_status("running")
        (folder / "measures" / ".probe-00000000.lock").touch()
        begun = RunDir(folder.parent / "seed1")
        begun.write_config({"name": "naive"})
        begun.write_status("running")
    return here


@pytest.fixture
def gathered(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run. One study is enough: composing all of them takes long."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gather, "STUDIES", ("mirror_anchors",))
    (folder,) = Path("runs/mini/naive").glob("*/seed0")
    return folder


def test_a_page_of_its_own_leaves_the_other_alone(
    gathered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "results", "gather=[runs/mini]") == 0
    before = files(Path("results"))
    assert run(monkeypatch, "results", "page=first", "gather=[runs/mini]") == 0
    after = files(Path("results"))
    assert {name: content for name, content in after.items() if not name.startswith("first/")} == before
    assert "| naive | next token |" in Path("results/first/README.md").read_text()
    capsys.readouterr()
    assert run(monkeypatch, "results", "page=last", "dry_run=true") == 2
    choices = ", ".join([*PAGES, "all"])
    assert capsys.readouterr().err == f"error: page: 'last' has no page of its own; choices: {choices}\n"


def test_every_page_is_written_at_once_from_the_runs_that_are_there(
    gathered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[str] = []

    def note(out: Path, *more: object) -> Path:
        written.append(str(out))
        return out / "README.md"

    for name in PAGES:
        monkeypatch.setitem(PAGES, name, PAGES[name]._replace(write=note))
    monkeypatch.setattr(gather, "write_results", note)
    assert run(monkeypatch, "results", "page=all") == 0
    assert sorted(written) == sorted(["results", *(f"results/{name}" for name in PAGES)])
    assert written[-2:] == ["results/question", "results"]  # one quotes the other pages, one quotes it
    assert run(monkeypatch, "results", "page=all", "gather=[runs/mini]") == 2
    assert "gather and out belong to one page" in capsys.readouterr().err
    assert run(monkeypatch, "results", "page=zoo", "gather=[runs/mini]") == 2
    assert "gather: page=zoo shows what is in" in capsys.readouterr().err


def test_a_copy_does_not_say_where_its_runs_were_made(gathered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in gathered.rglob("config.yaml"):
        text = path.read_text()
        path.write_text(text.replace("runs/mini/", "/far/away/").replace("runs: runs/mini\n", "runs: /far/away\n"))
    assert "runs: /far/away\n" in (gathered / "config.yaml").read_text()
    assert run(monkeypatch, "results", "gather=[runs/mini]") == 0
    copies = [path.read_text() for path in Path("results/mini").rglob("config.yaml")]
    assert len(copies) == 4
    assert not any("/far/away" in text for text in copies)
    assert sum("runs: runs/mini\n" in text for text in copies) >= 1
    assert "/far/away" in (gathered / "config.yaml").read_text()  # the source is left alone


asked_for = cache(study_of)
TITLES = {name: beside.title for name, beside in PAGES.items()}
KEPT = [name for name in SCALES if (RESULTS / name).is_dir()]
"""Scales with committed runs."""
UNDER_WAY = {"table1", "steering", "many_languages", "emergence", "course", *HEADINGS}
"""Studies whose runs are still being made: the page names those that are missing."""


def test_runs_are_gathered_whole_and_without_weights(
    gathered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(Path("runs"))
    for _ in range(2):  # again, over what is there
        assert run(monkeypatch, "results", "gather=[runs/mini]") == 0
    out = capsys.readouterr().out
    assert files(Path("runs")) == before
    assert "1 runs copied to results" in out
    copy = Path("results") / gathered.relative_to("runs")
    out_of_it = ("checkpoints", "measures/probe-00000000", "measures/.probe-00000000.lock")
    ends = ("log.txt", ".safetensors")
    kept = {name for name in files(gathered) if not name.startswith(out_of_it) and not name.endswith(ends)}
    assert set(files(copy)) == kept
    assert sum(name.endswith("results.json") for name in kept) == 4
    assert not [name for name in files(copy.parents[3]) if name.endswith(".lock") or "probe-00000000" in name]
    assert sorted(path.name for path in copy.parent.iterdir()) == ["seed0"]
    assert f"left out, since no study asks for it: {copy.resolve()}" in out  # tiny: not the study's budget
    assert "No run here is one that a study asks for." in Path("results/README.md").read_text()


@pytest.mark.parametrize(
    ("gather", "message"),
    [
        ("nowhere/mini", "is no folder"),
        ("runs/mini/naive", "is not named after a scale"),
        ("results/mini", "is inside results"),
    ],
)
def test_what_cannot_be_gathered_is_told(
    gather: str, message: str, gathered: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results/mini").mkdir(parents=True)
    assert run(monkeypatch, "results", f"gather=[{gather}]") == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("scale", KEPT)
def test_the_committed_runs_are_what_the_studies_ask_for(scale: str) -> None:
    """All of them, with their measurements and baselines, and nothing that is still under way."""
    stored = find_runs([str(RESULTS / scale)])
    studies = {name: asked_for(name, scale) for name in STUDIES}
    asked = {
        name: {(x, seed) for x, seeds in study.planned.items() for seed in seeds} for name, study in studies.items()
    }
    everything = set.union(*asked.values())
    for name, study in studies.items():
        runs = runs_of(study, of_page(stored, studies.values()))
        found = {(run.name, run.seed) for run in runs}
        assert found <= everything, name
        assert found >= asked[name] or name in UNDER_WAY or scale != "mini", name
        for one in runs:
            assert one.measure("legality"), f"{name}: {one.path}"
            assert bool(one.finetunings) == bool(study.cells[one.name].tuned), f"{name}: {one.path}"
            head = headline_of(one)
            assert head is not None, f"{name}: {one.path}"
            assert head.constant is not None
            assert 0.55 < head.constant < 0.65
            assert head.random_weights is not None
            assert 0.6 < head.random_weights < 0.8
    statuses = [json.loads(path.read_text())["status"] for path in (RESULTS / scale).rglob("status.json")]
    assert set(statuses) == {"ok"}
    assert not [path for path in (RESULTS / scale).rglob("*") if path.name.endswith((".lock", ".pt", ".safetensors"))]
    size = sum(path.stat().st_size for path in (RESULTS / scale).rglob("*") if path.is_file())
    assert size < 200e3 * len(stored), "a run leaves more than 200 kB"


def test_the_committed_page_is_what_the_committed_runs_say(tmp_path: Path) -> None:
    """A page of another day, or one that was mended by hand, fails here."""
    for name in KEPT:
        shutil.copytree(RESULTS / name, tmp_path / name)
    shutil.copytree(RESULTS / "question", tmp_path / "question")
    page = write_results(
        tmp_path, runs_below(tmp_path), {name: [asked_for(study, name) for study in STUDIES] for name in KEPT}, TITLES
    )
    assert page.read_text() == (RESULTS / "README.md").read_text(), "say: make results"


@pytest.mark.parametrize(
    "cells",
    [
        ["prefix_naive"], ["mirror_columns", "single"],
        *(pytest.param(more, marks=pytest.mark.slow) for more in (["naive"], ["naive_8", "anchor_1_main"])),
    ],
)  # fmt: skip
def test_a_page_of_few_runs(cells: list[str], tmp_path: Path) -> None:
    """What is missing is said to be missing."""
    for cell in cells:
        folder = next((RESULTS / "mini" / cell).iterdir()) / "seed0"
        shutil.copytree(folder, tmp_path / "mini" / folder.relative_to(RESULTS / "mini"))
    text = write_results(
        tmp_path, runs_below(tmp_path), {"mini": [asked_for(name, "mini") for name in STUDIES]}, TITLES
    ).read_text()
    assert "Not run yet: anchor_1 (" in text
    assert " nan" not in text
    assert "None" not in text
    for cell in cells:
        assert f"| {cell} | 1 | " in text
