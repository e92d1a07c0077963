"""Proves: the first additions of CONTRIBUTING.md work as they are printed, by the commands beside them."""

import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from house.commands import TINY

from mothello.rows import read_tidy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    (folder / "mine.py").write_text("\n\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S)))
    return folder


def typed(folder: Path, line: str, *more: str) -> str:
    _, script, *words = shlex.split(line)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src")])}
    command = [sys.executable, str(ROOT / script), *words, *more]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_language_objective_and_measure(folder: Path) -> None:
    language, objective, measure = (
        line for line in TEXT.splitlines() if "plugins=[mine]" in line and line.startswith("python")
    )
    small = [word for word in TINY if not word.startswith(("board", "data.games", "languages"))] + ["data.games=640"]
    typed(folder, language, *small)
    (run,) = folder.glob("runs/closed/*/seed0")
    shown = typed(folder, measure.replace("runs/closed/HASH/seed0", str(run)), "tracking=jsonl", "device=cpu")
    assert "entropy" in shown
    (table,) = (read_tidy(path.parent) for path in run.glob("measures/entropy-*/table.csv.gz"))
    values: pd.Series = table.set_index(["control", "language"]).value
    tokens = 2 + 12 + 9  # padding and the like, the atomic language, the other
    assert values["random_weights"].between(0, math.log(tokens)).all()
    assert (values["trained"] < values["random_weights"]).all(), "training makes a model surer"
    typed(folder, objective, *small)
    assert list(folder.glob("runs/smooth/*/seed0/results.json"))
