"""Proves: the files that others look for say what is true of the project: citation, container, hosted tests, API pages."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import mothello

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def docker_runs() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True).returncode == 0


def test_the_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["version"], citation["license"]) == (mothello.__version__, PROJECT["license"]["text"])
    assert "2404.12444" in str(citation["references"])


def test_the_steps_of_the_container() -> None:
    """Each can be done: what is copied is there, what is called exists."""
    steps = [
        line.split(maxsplit=1) for line in (ROOT / "Dockerfile").read_text().splitlines() if line and line[0].isupper()
    ]
    said: dict[str, list[str]] = {}
    for name, rest in steps:
        said.setdefault(name, []).append(rest)
    assert {
        target for text in said["RUN"] for target in re.findall(r"make ([a-z]+)", text) if "apt-get" not in text
    } <= TARGETS
    assert re.search(r"python:(3\.\d+)", said["FROM"][0])[1] in ("3.11", "3.12", "3.13")  # type: ignore[index]
    assert said["ARG"] == ['TORCH="torch>=2.11,<2.14"']
    assert said["ARG"][0].split('"')[1] in PROJECT["dependencies"]
    assert "mothello" in PROJECT["scripts"]
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert ".venv" in ignored
    assert not ignored & {"src", "configs", "scripts", "tests", "pyproject.toml", "Makefile", "README.md"}


@pytest.mark.slow
@pytest.mark.skipif(not docker_runs(), reason="needs docker")
def test_the_container() -> None:
    subprocess.run(["docker", "build", "-t", "mothello-test", "."], cwd=ROOT, check=True)
    told = subprocess.run(["docker", "run", "mothello-test"], capture_output=True, text=True, check=True).stdout
    assert "mothello-train" in told


def test_the_hosted_tests() -> None:
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    (job,) = content["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands == ["make test PYTHON=python"]
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.slow
def test_the_api_pages(tmp_path: Path) -> None:
    """Of every module, without a warning, and nothing is fetched when they are opened."""
    words = [sys.executable, "-W", "error::UserWarning", str(ROOT / "docs" / "api.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Warn" not in done.stdout + done.stderr
    pages = {str(path.relative_to(tmp_path).with_suffix("")) for path in tmp_path.rglob("*.html")} - {"index"}
    modules = {path.relative_to(ROOT / "src").with_suffix("") for path in (ROOT / "src").rglob("*.py")}
    assert pages == {str(x.parent if x.name == "__init__" else x) for x in modules} - {"mothello/__main__"}
    assert "load_run" in (tmp_path / "mothello.html").read_text()
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r'(?:src|rel="stylesheet" href)="(?:https?:)?//', page.read_text())
