"""Writes the tree of docs/architecture.md from the first docstring line of every module: python docs/architecture.py"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_suffix(".md")
START, END = "<!-- tree: written by docs/architecture.py -->\n", "<!-- end of the tree -->\n"
FOLDERS = ("src/mothello", "benchmarks", "studies", "scripts", "notebooks")


def first_line(path: Path) -> str:
    """The first line of a module's docstring, or of a notebook's text."""
    source = path.read_text()
    if path.parent.name == "notebooks":
        return next((line.removeprefix("# # ") for line in source.splitlines() if line.startswith("# # ")), "")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def lines(folder: Path, depth: int = 0) -> list[str]:
    """A folder and what is in it: modules first, then folders."""
    modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    inner = sorted(path for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py")))
    package = folder / "__init__.py"
    title = str(folder.relative_to(ROOT)) if depth == 0 else folder.name
    result = [_line(depth, f"{title}/", first_line(package) if package.exists() else "")]
    result += [_line(depth + 1, path.name, first_line(path)) for path in modules]
    return result + [line for path in inner for line in lines(path, depth + 1)]


def _line(depth: int, name: str, text: str) -> str:
    return f"{'  ' * depth + name:34} {text}".rstrip()


def tree() -> str:
    """The tree as it stands in the page."""
    folders = [ROOT / name for name in FOLDERS if (ROOT / name).is_dir()]
    return "```\n" + "\n\n".join("\n".join(lines(folder)) for folder in folders) + "\n```\n"


def page(text: str) -> str:
    """The page with its tree renewed."""
    head, _, rest = text.partition(START)
    return head + START + tree() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
