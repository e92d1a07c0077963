"""Proves: what is written is whole or not there, whoever else writes; a folder has one worker at a time, whatever it is
called; and nothing is replaced or removed that the house did not write."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mothello import files
from mothello.files import LOCK, MovedError, locked, whole_file, write_whole
from mothello.own import folder_for, refilled, replaced
from mothello.rundir import RunDir


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def other(code: str, folder: Path) -> "subprocess.Popen[str]":
    """Another process, which does ``code`` in a folder, prints a line and waits."""
    head = "import sys; from pathlib import Path; from mothello.files import *; folder = Path(sys.argv[1])\n"
    code = head + code + "print('ready', flush=True); sys.stdin.read()"
    order = [sys.executable, "-c", code, str(folder)]
    process = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


WITHIN = {
    "zoo.py": 2,
    "own.py": 1, "checkpoint.py": 1, "import_games.py": 1, "copies.py": 1, "export.py": 3,  # in a folder that is not whole yet
    "tracking.py": 1,  # a log
}  # fmt: skip
"""How often modules write by themselves."""


def test_every_writer_uses_the_one_module() -> None:
    root, found = Path(__file__).parents[2], dict[str, int]()
    for path in [*root.glob("src/**/*.py"), *root.glob("studies/[!m]*.py"), *root.glob("benchmarks/**/*.py")]:
        lines = re.findall(
            r"write_text\(|write_bytes\(|rmtree\(|open\(\"[wxa]|savefig\((?!file|buffer)", path.read_text()
        )
        found |= {path.name: len(lines)} if lines and path.name != "files.py" else {}
    assert found == WITHIN


def test_two_writers_of_one_file_are_both_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with whole_file(path) as one:
        one.write(b"one" * 1000)
        with whole_file(path) as two:
            assert len(names(tmp_path)) == 2
            two.write(b"two")
        assert path.read_bytes() == b"two"
        assert len(names(tmp_path)) == 2  # the first is still written: the second left it alone
    assert path.read_bytes() == b"one" * 1000
    with pytest.raises(ZeroDivisionError), whole_file(path) as three:  # noqa: PT012
        three.write(b"three")
        raise ZeroDivisionError
    assert path.read_bytes() == b"one" * 1000
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_says_who_may_read(umask: int, mode: int, tmp_path: Path) -> None:
    import torch

    from mothello.training import checkpoint

    before = os.umask(umask)
    try:
        write_whole(tmp_path / "a", "a")
        checkpoint.save(tmp_path, checkpoint.Checkpoint(1, {"w": torch.ones(1)}, {}))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()} == {mode}


def test_what_a_kill_left_goes_and_what_is_written_or_foreign_stays(tmp_path: Path) -> None:
    process = other("file = whole_file(folder / 'a'); file.__enter__()\n", tmp_path)
    (part,) = names(tmp_path)
    foreign = [".part-mine", ".part-0123456789abcdeg", "part-0123456789abcdef"]
    for name in foreign:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".part-0123456789abcdef").mkdir()  # its writer has locked a folder above, so it is not known to be dead
    write_whole(tmp_path / "b", "b")
    assert part in names(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    write_whole(tmp_path / "b", "b")
    assert names(tmp_path) == sorted([*foreign, ".part-0123456789abcdef", "b"])
    with locked(tmp_path):
        assert names(tmp_path) == sorted([*foreign, "b", LOCK])
    assert names(tmp_path) == sorted([*foreign, "b"])


def test_a_link_keeps_pointing_to_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to("far/file")  # to nothing yet
    for text in ("one", "two"):
        write_whole(tmp_path / "link", text)
        assert (tmp_path / "far" / "file").read_text() == text
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "far") == ["file"]


def test_a_folder_has_one_worker_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("store/run")  # to nothing yet
    with locked(Path("link")):
        assert names(tmp_path) == ["link", "store"]
        monkeypatch.chdir("store/run")
        spellings = (".", "../run", "../run/", "../../link", str(tmp_path / "store" / "." / "run"))
        for text in spellings:
            with pytest.raises(OSError, match=r"^out: another process is at work in "), locked(Path(text), "out"):
                pytest.fail("two at once")
        monkeypatch.chdir(tmp_path)
    assert names(tmp_path / "store") == []  # nothing was written
    Path("run").mkdir()
    with locked(Path("run")):
        pass
    assert names(Path("run")) == []  # and a folder of the user's stays


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    process = other("lock = locked(folder); lock.__enter__()\n", tmp_path / "run")
    with pytest.raises(OSError, match="run: another process is at work in"), locked(tmp_path / "run"):
        pytest.fail("two at once")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(tmp_path / "run") == [LOCK]
    with locked(tmp_path / "run"):
        write_whole(tmp_path / "run" / "a", "a")
    assert names(tmp_path / "run") == ["a"]


def test_where_there_are_no_locks_nothing_of_others_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", unknown)
    (tmp_path / ".part-0123456789abcdef").write_text("perhaps another machine's")
    with locked(tmp_path / "run"):
        write_whole(tmp_path / "a", "a")
    assert names(tmp_path) == [".part-0123456789abcdef", "a"]


def test_a_working_directory_that_is_moved_takes_its_runs_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with locked(Path("run")):
        (tmp_path / "here").rename(tmp_path / "there")
        write_whole(Path("run/a"), "a")
    assert names(tmp_path) == ["there"]
    assert names(tmp_path / "there" / "run") == ["a"]


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("gone", [False, True])
def test_a_folder_that_was_moved_is_not_made_anew(gone: bool, anew: bool, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with locked(run.path):
        run.write_status("running")
        run.append_metrics(1, {})
        run.path.rename(tmp_path / "moved")
        if gone:
            for name in ("status.json", "metrics.jsonl", LOCK):
                (tmp_path / "moved" / name).unlink()
            (tmp_path / "moved").rmdir()
        if anew:
            run.path.mkdir()
        for write in (lambda: run.write_status("ok"), lambda: run.append_metrics(2, {}), lambda: run.write_config({})):
            with pytest.raises(MovedError, match="run was moved or deleted"):
                write()
        assert not anew or names(run.path) == []
    assert gone or names(tmp_path / "moved") == ["metrics.jsonl", "status.json"]
    assert names(tmp_path) == ["moved"] * (not gone) + ["run"] * anew


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes the disk below a folder read-only, also for root."""
    below: list[str] = []

    def guarded(whole: Callable[..., Any]) -> Callable[..., Any]:
        def operation(path: Any, *arguments: Any, **more: Any) -> Any:
            reads = whole is opened and not set("wax+") & set(arguments[0] if arguments else more.get("mode", "r"))
            if not reads and isinstance(path, str | Path) and os.path.realpath(path).startswith(tuple(below)):
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            return whole(path, *arguments, **more)

        return operation

    opened, writes = io.open, os.access
    for owner, name in ((io, "open"), (os, "unlink"), (os, "rename"), (os, "replace"), (os, "rmdir")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))
    allowed = lambda path, mode: writes(path, mode) and not str(path).startswith(tuple(below))  # noqa: E731
    monkeypatch.setattr(os, "access", allowed)
    return lambda folder: below.append(os.path.realpath(folder))


def test_a_medium_that_is_read_only(tmp_path: Path, read_only: Callable[[Path], None]) -> None:
    write_whole(tmp_path / "a", "a")
    read_only(tmp_path)
    with locked(tmp_path), pytest.raises(OSError, match=rf"Read-only file system: '{tmp_path / 'a'}'"):
        write_whole(tmp_path / "a", "b")
    assert (tmp_path / "a").read_text() == "a"
    with pytest.raises(ValueError, match=rf"^out: {tmp_path} cannot be written to$"):
        folder_for(tmp_path / "new")


def test_own_files_are_replaced_and_all_else_is_kept(tmp_path: Path) -> None:
    for name in ("index", "data/1", "data/mine", "mine"):
        write_whole(tmp_path / name, "old")
    own = [tmp_path / "index", tmp_path / "data" / "1"]
    assert replaced(tmp_path, own) == f"force=true: replaces data, index of {tmp_path}; keeps data/mine, mine"
    with pytest.raises(ZeroDivisionError), refilled(tmp_path, own, "index") as part:  # noqa: PT012
        write_whole(part / "index", "new")
        raise ZeroDivisionError
    texts = lambda: {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}  # noqa: E731
    assert set(texts().values()) == {"old"}
    with refilled(tmp_path, own, "index") as part:
        write_whole(part / "index", "new")
        write_whole(part / "more" / "2", "new")
    assert texts() == {"index": "new", "more/2": "new", "data/mine": "old", "mine": "old"}


def test_a_file_of_another_origin_is_not_written_over(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    assert folder_for(tmp_path, ["index.html", "table.csv"], "<ours>") == tmp_path
    (tmp_path / "table.csv").write_text("mine")
    with pytest.raises(ValueError, match=r"^out: .*/table\.csv is not of this command"):
        folder_for(tmp_path, ["index.html", "table.csv"], "<ours>")
    page.write_text("<mine>")
    with pytest.raises(ValueError, match=r"index\.html is not of this command"):
        folder_for(tmp_path, ["index.html", "table.csv"], "<ours>")
    page.write_text("a page <ours>")
    folder_for(tmp_path, ["index.html", "table.csv"], "<ours>")
    with pytest.raises(ValueError, match=r"^out: .*/index\.html is a file$"):
        folder_for(page / "inside")
