"""Proves: imports point down the list of rooms (docs/architecture.md), modules and functions stay short, and the report
never loads torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "mothello"

ROWS = [
    {"cli"},
    {"report", "interop", "explorer"},
    {"stages"},
    {"measures"},
    {"training"},
    {"objectives"},
    {"aligners"},
    {"model"},
    {"data"},
    {"languages"},
    {"othello"},
    {"tracking"},
    {"rows"},
    {"rundir"},
    {"registry"},
    {"config", "compiling"},
    {"own", "commands"},
    {"errors", "messages", "files", "reading", "seeding", "bootstrap", "signals", "quantities"},
    {"stand_ins"},
]
"""Top to bottom; a room imports only from rows below its own, and itself."""


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def row(name: str) -> int:
    return next(index for index, rooms in enumerate(ROWS) if name in rooms)


def imported_rooms(source: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "mothello":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mothello."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mothello.")}
    return names


def wrong_arrows(own: str, source: str) -> set[str]:
    others = imported_rooms(source) - {own}
    return {other for other in others if row(other) <= row(own)}


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_imports_point_down(path: Path) -> None:
    if path.parent == SRC and path.name in ("__init__.py", "__main__.py"):
        return
    assert not wrong_arrows(room(path), path.read_text())


def test_an_upward_or_sideways_arrow_would_be_found() -> None:
    assert wrong_arrows("othello", "from mothello.model.transformer import GPT") == {"model"}
    assert wrong_arrows("training", "import mothello.measures.alignment.cka") == {"measures"}
    assert wrong_arrows("stages", "from mothello import report as page") == {"report"}
    assert not wrong_arrows("model", "from mothello.seeding import derive")


def too_long(source: str) -> list[str]:
    """Of more than 250 lines the module, of more than 50 each function."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    spans = {"module": len(source.splitlines())}
    spans |= {f"{node.name}:{node.lineno}": (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    return [name for name, n in spans.items() if n > (250 if name == "module" else 50)]


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_modules_and_functions_are_short(path: Path) -> None:
    assert not too_long(path.read_text())


def test_a_long_module_and_a_long_function_would_be_found() -> None:
    assert too_long("def f():\n" + "    x = 1\n" * 49) == []
    assert too_long("def f():\n" + "    x = 1\n" * 50) == ["f:1"]
    assert too_long("x = 1\n" * 251) == ["module"]


def test_the_report_runs_without_torch() -> None:
    code = "import sys, mothello.report.page, mothello.othello.symmetry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_scripts_are_thin() -> None:
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text().splitlines()) < 15, path.name
