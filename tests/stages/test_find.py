"""Proves: a run is found by its folder, the only run below it, a beginning of it, or as the last; else one line lists those
that fit, eight of them at most; and what was typed never leads into a run's own measures."""

from pathlib import Path

import pytest

from mothello.errors import UserError
from mothello.rundir import RunDir
from mothello.stages.find import find_run, last_run, run_folders

WHOLE = {"seed": 0, "board": {}, "model": {}, "languages": {}, "data": {}}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def add(name: str, written: str = "", **config: object) -> Path:
    folder = RunDir(Path("runs", name))
    folder.write_config(config or WHOLE)
    if written:
        folder.write_json("status.json", {"status": "ok", "started": written, "written": written})
    return folder.path


def test_the_only_run_below_a_folder_or_a_beginning_of_it() -> None:
    naive, other = add("naive/aa/seed0"), add("naive_60k/bb/seed3")
    add("naive/aa/seed0/measures/probes-0123abcd", measures=["probes"])
    add("naive/aa/seed0/finetune/atomic_0-0123abcd")
    for text in (
        "runs/naive",
        "runs/naive/",
        "runs/naive/a",
        "runs/naive/aa/s",
        "naive",
        str(Path("runs/naive").resolve()),
    ):
        assert find_run(text).resolve() == naive.resolve(), text
    for text in ("runs/naive_", "runs/naive_60k/bb", "naive_6", str(Path("runs/naive_6").absolute())):
        assert find_run(text).resolve() == other.resolve(), text
    assert run_folders(Path("runs")) == [naive, other]
    with pytest.raises(
        UserError, match=r"^run: runs/n fits several runs: runs/naive/aa/seed0, runs/naive_60k/bb/seed3$"
    ):
        find_run("runs/n")
    inside = naive / "finetune"
    assert find_run(inside) == inside / "atomic_0-0123abcd"
    assert find_run(naive / "measures") == naive / "measures"  # no run: whoever reads it says so


def test_a_run_may_have_the_name_of_the_beginning_of_another() -> None:
    short = add("a")
    add("ab")
    assert find_run("runs/a") == find_run("a") == short


def test_of_many_eight_are_listed() -> None:
    for seed in range(9):
        add(f"naive/aa/seed{seed}")
    with pytest.raises(UserError, match=r"^run: runs/naive holds several runs: (runs/naive/aa/seed\d, ){8}\.\.\.$"):
        find_run("runs/naive")


def test_the_last_run() -> None:
    with pytest.raises(UserError, match=r"^run: last: there is no run below runs$"):
        find_run("last")
    add("b/aa/seed0", "2026-11-26T10:00:00+00:00")
    newest = add("a/aa/seed0", "2026-11-26T11:00:00+00:00")
    add("b/aa/seed0/finetune/atomic_0-0123abcd", "2026-11-26T12:00:00+00:00")
    assert find_run("last") == last_run() == newest
    assert find_run("last").exists()
    mine = Path("last")
    RunDir(mine).write_config(WHOLE)
    assert find_run("last") == mine  # a folder of that name is what is meant
