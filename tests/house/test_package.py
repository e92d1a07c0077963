"""Proves: importing mothello changes nothing in the process; the command line sets OpenMP's spins before torch is imported,
and leaves a user's own choice alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mothello
from mothello import commands, signals

ROOT = Path(__file__).parents[2]
OWN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def imported(module: str, **own: str) -> tuple[dict[str, str], bool]:
    """What importing a module changes in a fresh process's environment, and whether it imports torch."""
    code = (
        f"import json, os, sys; before = dict(os.environ); import {module}; changed = dict(os.environ.items() - before.items());"
        "print(json.dumps([changed, 'torch' in sys.modules]))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in OWN} | own
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    changed, torch = json.loads(done.stdout)
    return changed, torch


@pytest.mark.parametrize("module", ["mothello", "mothello.stages.load"])
def test_importing_the_package_has_no_side_effect(module: str) -> None:
    assert not {name for name in imported(module)[0] if name.startswith(("GOMP", "OMP", "KMP", "MOTHELLO"))}


def test_the_command_line_settles_the_spins_before_torch_is_imported() -> None:
    changed, torch = imported("mothello.cli")
    assert set(changed) == {"GOMP_SPINCOUNT"}
    assert not torch
    assert imported("benchmarks")[0] == changed


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "passive"}])
def test_a_users_own_setting_wins(own: dict[str, str]) -> None:
    assert imported("mothello.cli", **own)[0] == {}


def test_every_script_imports_the_command_line_before_torch() -> None:
    for script in (ROOT / "scripts").glob("*.py"):
        if script.name not in ("has_torch.py", "results.py"):  # they compute nothing
            lines = script.read_text().splitlines()
            imports = [line for line in lines if line.startswith(("import", "from"))]
            assert imports == ["from mothello.signals import run"], script.name
            assert lines[-1].strip().startswith('run("mothello.cli.'), script.name


def test_the_names_that_a_user_finds() -> None:
    found = [name for name in dir(mothello) if not name.startswith("__")]
    assert found == ["Board", "LanguageSet", "Run", "load_run", "measure", "train"]
    assert all(getattr(mothello, name) is not None for name in found)


@pytest.mark.parametrize(
    ("typed", "called", "words"),
    [
        (["train", "seed=1"], ("mothello.cli.train", True), ["mothello-train", "seed=1"]),
        (["help", "export-games"], ("mothello.cli.export_games", True), ["mothello-export-games", "--help"]),
        (["runs", "only=a"], ("mothello.cli.runs", False), ["mothello-runs", "only=a"]),
    ],
)
def test_mothello_and_a_command(
    typed: list[str], called: tuple[str, bool], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, bool]] = []
    monkeypatch.setattr(commands, "run", lambda *asked: calls.append(asked))
    monkeypatch.setattr(sys, "argv", ["mothello", *typed])
    commands.main()
    assert calls == [called]
    assert sys.argv == words


@pytest.mark.parametrize("typed", [[], ["help"], ["--help"], ["-h"]])
def test_mothello_lists_its_commands(
    typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["mothello", *typed])
    commands.main()
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("mothello-")]
    assert listed == [f"mothello-{name.replace('_', '-')}" for name in commands.COMMANDS]


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mothello", "--version"])
    commands.main()
    assert capsys.readouterr().out == f"mothello {mothello.__version__}\n"


def test_a_library_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "needs_one.py").write_text("import a_library_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as stop:
        signals.run("needs_one")
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: a_library_that_nobody_has is not installed for ")
    assert len(err.splitlines()) == 1
    with pytest.raises(ModuleNotFoundError):
        signals.run("mothello.no_such_module")
