"""Proves: importing mothello changes nothing in the process; the command line sets OpenMP's spins before torch is imported,
and leaves a user's own choice alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
