"""Proves: a user's module outside the package adds a language kind, an objective, a measure, a task, an aligner and a stage; scripts use
them, a run made with them is loaded in a fresh process, and a module that is gone stops training in one line, not
loading. Everything runs in processes of its own, in a folder with nothing but the module."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from house.commands import TINY

from mothello.rows import read_tidy

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).with_name("toy_plugin.py")
OBJECTIVE = ["plugins=[toy_plugin]", "objective.name=calm_lm", "objective.penalty=0.5", *TINY]


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    line = [sys.executable, *arguments]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def script(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(folder, str(ROOT / "scripts" / f"{name}.py"), *arguments)


def output(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: the module, and a run made with its language and its objective."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copy(PLUGIN, folder)
    languages = ["languages.kinds=[stutter,atomic]", "languages.options.stutter.times=3"]
    output(script(folder, "train", *OBJECTIVE, *languages, "run=run"))
    return folder


def test_the_run_keeps_the_settings_of_plugins(folder: Path) -> None:
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["plugins"] == ["toy_plugin"]
    assert config["objective"] == {"name": "calm_lm", "targets": "sampled", "softmax": "all", "penalty": 0.5}
    assert config["languages"]["options"] == {"stutter": {"name": "stutter", "times": 3}}
    assert "train/size" in (folder / "run" / "metrics.jsonl").read_text()


def test_a_fresh_process_loads_the_run(folder: Path) -> None:
    code = (
        "import mothello; run = mothello.load_run('run'); "
        "print(run.config.objective.penalty, [language.max_word for language in run.language_set.languages])"
    )
    assert output(python(folder, "-c", code)).split("\n")[-2] == "0.5 [3, 1]"


def test_a_measure_a_task_and_an_aligner_write_rows(folder: Path) -> None:
    chosen = ["measures=[weight_norm,tasks,links]", "+weight_norm.power=1", "tasks.names=[parity]", "tasks.games=64"]
    chosen += ["links.aligners=[gold,shifted]", "links.options.shifted.plies=1", "links.games=8", "links.draws=10"]
    settings = ["tasks.test_games=16", "tasks.draws=10", "device=cpu", "device.threads=1", "tracking=jsonl"]
    output(script(folder, "measure", "run=run", "plugins=[toy_plugin]", *chosen, *settings))
    norm, task, links = (
        read_tidy(next((folder / "run" / "measures").glob(f"{n}-*"))) for n in ("weight_norm", "tasks", "links")
    )
    links = links[(links.quantity == "link_precision") & (links.control == "trained")]
    assert dict(zip(links.target, links.value, strict=True)) == {"gold": 1, "shifted": 0}
    assert list(norm.control) == ["trained", "random_weights"]
    heads = task[task.control == "trained"]
    assert set(zip(heads.source, heads.language, strict=True)) == set(
        pd.MultiIndex.from_product([["stutter_0", "atomic_0"]] * 2)
    )
    assert set(task.target) == {"parity"}
    assert task[task.control == "constant"].value.item() == 1  # the ply decides parity


SHAKEN = ["plugins=[toy_plugin]", "stage.name=shaken", "stage.noise=0.2", "stage.data.games=64",
          "stage.data.batch_size=32", "stage.evaluation.games=8", "tracking=jsonl", "device.threads=1"]  # fmt: skip


def test_a_stage_makes_a_folder_that_loads_and_is_measured(folder: Path) -> None:
    shown = output(script(folder, "stage", "run=run", *SHAKEN, "dry_run=true"))
    assert "run/shaken/" in shown
    assert not (folder / "run" / "shaken").exists()
    output(script(folder, "stage", "run=run", *SHAKEN))
    (child,) = (folder / "run" / "shaken").iterdir()
    code = (
        f"import mothello; run = mothello.load_run('run/shaken/{child.name}'); print(run.stage, run.parent, run.step)"
    )
    assert output(python(folder, "-c", code)).split("\n")[-2] == "shaken run 2"
    chosen = ["measures=[weight_norm]", "plugins=[toy_plugin]", "device=cpu", "tracking=jsonl"]
    output(script(folder, "measure", f"run=run/shaken/{child.name}", *chosen))
    assert len(read_tidy(next((child / "measures").glob("weight_norm-*")))) == 2


def test_settings_of_a_plugin_are_checked(folder: Path) -> None:
    for wrong, line in (
        (
            "objective.penalti=1",
            "objective.penalti: unknown key; choices: name, targets, softmax, penalty; did you mean penalty?",
        ),
        ("languages.options.stutter.times=9", "languages.options.stutter.times: 9 is outside 1..4"),
    ):
        done = script(folder, "train", *OBJECTIVE, "languages.kinds=[stutter]", wrong, "run=wrong")
        assert (done.returncode, done.stderr.strip()) == (2, f"error: {line}")
    assert not (folder / "wrong").exists()
    done = script(folder, "stage", "run=run", *SHAKEN, "stage.noise=-1")
    assert (done.returncode, done.stderr.strip()) == (2, "error: stage.noise: -1.0 is negative")


def test_a_module_that_is_gone_stops_training_but_not_loading(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    call = [*OBJECTIVE, "run=plain"]
    output(script(tmp_path, "train", *call))
    (tmp_path / "toy_plugin.py").unlink()
    code = "import mothello; run = mothello.load_run('plain'); print(run.config.objective['name'], run.step)"
    assert output(python(tmp_path, "-c", code)).split("\n")[-2] == "calm_lm 8"
    done = script(tmp_path, "train", *call)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: plugins: toy_plugin cannot be imported")
