"""Proves: every notebook runs from top to bottom, as a reader would run it, and draws something."""

import sys
from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


LONG = {"align_mlm", "alignment", "emerging", "imbalance", "probes", "realignment", "training", "transfer"}
"""Notebooks that take longest: run with -m slow."""


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    book = jupytext.read(path)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    kinds = {kind for cell in book.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert kinds & {"text/html", "text/markdown"}
    assert kinds & {"image/png", "image/svg+xml"}


def test_the_notebook_that_opens_anywhere_is_the_same() -> None:
    """notebooks/first_experiment.ipynb: an install, then the cells of the Python file, with what they printed and drew."""
    sys.path.insert(0, str(ROOT / "docs"))
    from notebook import SOURCE, notebook

    book, written = notebook(), nbformat.read(SOURCE.with_suffix(".ipynb"), as_version=4)
    assert [cell.source for cell in written.cells] == [cell.source for cell in book.cells], (
        "run: python docs/notebook.py"
    )
    assert "%pip install" in written.cells[1].source
    outputs = [output for cell in written.cells for output in cell.get("outputs", [])]
    assert {"image/svg+xml", "text/html"} <= {kind for output in outputs for kind in output.get("data", {})}
    assert not [output for output in outputs if output.output_type == "error"]
