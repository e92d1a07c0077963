"""Writes notebooks/first_experiment.ipynb, run from top to bottom, so that it can be read and opened anywhere:
python docs/notebook.py."""

import tempfile
from pathlib import Path

import jupytext
import nbclient
import nbformat

SOURCE = Path(__file__).parents[1] / "notebooks" / "first_experiment.py"
INSTALL = """# Outside of a checkout: what pip installs: a name, a wheel, a folder or the address of a repository.
from importlib.util import find_spec

PACKAGE = "mothello"
if find_spec("mothello") is None:
    %pip install --quiet {PACKAGE}"""


def notebook() -> nbformat.NotebookNode:
    """The notebook, not yet run: after its title, a cell that installs the package where it is missing."""
    book = jupytext.read(SOURCE)
    book.cells.insert(1, nbformat.v4.new_code_cell(INSTALL))
    for number, cell in enumerate(book.cells):
        cell.id = f"cell-{number}"
    book.metadata.pop("jupytext", None)
    return book


def main() -> None:
    book = notebook()
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # times
        if cell.cell_type == "code":  # progress bars are no result
            cell.outputs = [x for x in cell.outputs if x.get("name") != "stderr"]
    nbformat.write(book, SOURCE.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
