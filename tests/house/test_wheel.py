"""Proves: the wheel, installed into an empty environment, does outside of a checkout what the scripts do in it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mothello.commands import COMMANDS

ROOT = Path(__file__).parents[2]
TINY = [
    "board=4x4", "model=tiny", "model.n_layer=1", "data.games=64", "data.batch_size=32", "evaluation.games=4", "evaluation.times=1",
    "tracking=jsonl", "device=cpu", "device.threads=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of commands. The libraries are this environment's, found by their path; the network is not used."""
    home = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site,) = home.glob("lib/python*/site-packages")
    around = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "around.pth").write_text("\n".join(around))
    python = home / "bin" / "python"
    words = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        "--quiet",
        str(wheel),
    ]
    subprocess.run(words, check=True, capture_output=True)
    return python.parent


def said(environment: Path, folder: Path, command: str, *words: str, code: int = 0) -> str:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    path = f"{environment}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [environment / command, *words],
        cwd=folder,
        env=own | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_wheel_holds_what_a_checkout_does(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        f"mothello/configs/{path.relative_to(ROOT / 'configs')}" for path in (ROOT / "configs").rglob("*.yaml")
    } <= names
    sources = {f"mothello/{path.relative_to(ROOT / 'src/mothello')}" for path in (ROOT / "src/mothello").rglob("*.py")}
    page = {f"mothello/explorer/page/{path.name}" for path in (ROOT / "src/mothello/explorer/page").iterdir()}
    assert sources | page | {"mothello/py.typed", "mothello/report/templates/report.html.j2"} <= names
    assert not [name for name in names if name.startswith(("tests", "studies", "scripts"))]


def test_a_command_for_every_script(environment: Path) -> None:
    there = {path.name for path in environment.glob("mothello*")}
    assert there == {"mothello"} | {f"mothello-{name.replace('_', '-')}" for name in COMMANDS}
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.py")} - {"has_torch", "results"}
    assert {"wandb_mirror" if name == "wandb" else name for name in COMMANDS} == scripts


def test_from_an_empty_folder(environment: Path, tmp_path: Path) -> None:
    listed = said(environment, tmp_path, "mothello", "--help")
    assert all(f"mothello-{name.replace('_', '-')} " in listed for name in COMMANDS)
    assert "unknown command 'trian'; choices: train, stage" in said(environment, tmp_path, "mothello", "trian", code=2)
    assert (
        "mothello-train +experiment=anchor" in said(environment, tmp_path, "mothello-train", "--help").splitlines()[0]
    )
    assert "runs/anchor/" in said(environment, tmp_path, "mothello-train", "+experiment=anchor", "dry_run=true", *TINY)
    assert not (tmp_path / "runs").exists()

    trained = said(environment, tmp_path, "mothello", "train", "+experiment=anchor", *TINY)
    (run,) = tmp_path.glob("runs/anchor/*/seed0")
    assert "scripts/" not in trained
    measured = said(
        environment,
        tmp_path,
        "mothello-measure",
        f"run={run}",
        "measures=[legality]",
        "legality.games=4",
        "tracking=jsonl",
    )
    assert "scripts/" not in measured
    said(environment, tmp_path, "mothello-report", "runs=[runs]")
    page = (tmp_path / "report" / "index.html").read_text()
    assert "anchor" in page
    assert "scripts/" not in page
    assert "mothello-train" in page


def test_configs_of_ones_own(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "languages").mkdir(parents=True)
    (tmp_path / "mine" / "languages" / "three.yaml").write_text("kinds: [atomic*2, split]\n")
    words = [f"hydra.searchpath=[file://{tmp_path}/mine]", "languages=three", "dry_run=true", *TINY]
    assert "split_0" in said(environment, tmp_path, "mothello-train", *words)
