"""Proves: imports point down the list of rooms (docs of the architecture), analysis never loads torch, and the README's
tree names every file of the package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "mothello"

ROWS = [
    {"commands"},
    {"config"},
    {"analysis"},
    {"causal"},
    {"probing", "alignment", "transfer"},
    {"activations"},
    {"stages"},
    {"training"},
    {"legality"},
    {"objectives", "auxiliary"},
    {"model"},
    {"data"},
    {"languages"},
    {"othello"},
    {"seeding", "rundir", "tracking", "mirror", "bootstrap"},
]
"""Top to bottom; a room imports only from rows below its own, and itself."""

EXCEPTIONS = {
    ("stages", "transfer"),
    ("probing", "training"),
    ("tracking", "rundir"),
    ("tracking", "mirror"),
}
"""transfer may use stages (so no upward arrow); probes use precision from training; the tracker writes run folders and
starts the mirror."""


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def row(name: str) -> int:
    return next(index for index, rooms in enumerate(ROWS) if name in rooms)


def imported_rooms(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mothello."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mothello.")}
    return names


def wrong_arrows(own: str, source: str) -> set[str]:
    others = imported_rooms(source) - {own}
    return {other for other in others if row(other) <= row(own) and (own, other) not in EXCEPTIONS}


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_imports_point_down(path: Path) -> None:
    if path == SRC / "__init__.py":
        return
    assert not wrong_arrows(room(path), path.read_text())


def test_an_upward_or_sideways_arrow_would_be_found() -> None:
    assert wrong_arrows("othello", "from mothello.model.transformer import GPT") == {"model"}
    assert wrong_arrows("probing", "import mothello.alignment.symmetric") == {"alignment"}
    assert not wrong_arrows("model", "from mothello.seeding import derive")


def test_analysis_runs_without_torch() -> None:
    code = "import sys, mothello.analysis.report, mothello.othello.symmetry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scripts_are_thin() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) < 15, path.name


def modules_of(tree: str) -> set[str]:
    """Paths of the modules below src/mothello/ that an indented tree names, two spaces a level."""
    folders: list[str] = []
    modules = set()
    for line in tree.splitlines():
        depth, name = (len(line) - len(line.lstrip())) // 2, line.split()[0] if line.strip() else ""
        if not name or name.startswith("src/"):
            continue
        folders = folders[: depth - 1]
        if name.endswith("/"):
            folders.append(name)
        elif name.endswith(".py"):
            modules.add("".join(folders) + name)
    return modules


def test_the_readme_tree_is_the_package() -> None:
    block = (ROOT / "README.md").read_text().split("src/mothello/\n", 1)[1].split("\ntests/", 1)[0]
    present = {str(path.relative_to(SRC)) for path in SRC.rglob("*.py") if path.name != "__init__.py"}
    assert modules_of(block) == present


def test_a_tree_is_read_by_its_indentation() -> None:
    assert modules_of("  a/   room\n    b.py  one\n    c/\n      d.py  two\n  e.py  three") == {
        "a/b.py",
        "a/c/d.py",
        "e.py",
    }
