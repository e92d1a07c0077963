"""Proves: README.md is short, its Python runs as it is pasted, links and commands of README and docs name what exists, and
docs/architecture.md names every file."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HISTORY = {"LOG.md"}
"""Pages that describe the past: their commands may be gone."""


def test_the_readme_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) + re.findall(r'src="([^"]+)"', page.read_text())
    assert not [link for link in links if "://" not in link and not (page.parent / link).exists()]


def commands(text: str) -> list[list[str]]:
    """Words of every line of code that starts a program."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line.rstrip("\\"), comments=True) for line in lines if line.startswith(("python ", "make "))]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_commands_name_what_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    for words in commands(page.read_text()):
        if words[0] == "make":
            assert words[1] in targets, words
        elif words[1] == "-m":
            assert importlib.util.find_spec(words[2]), words
        else:
            assert (ROOT / words[1]).is_file(), words
        for word in words:
            group = re.fullmatch(r"\+?(experiment|study|scale|model|optimizer|board|languages)=(\w+)", word)
            if group and words[0] == "python":
                assert (ROOT / "configs" / group[1] / f"{group[2]}.yaml").is_file(), words


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = README.split("```python\n")[1].split("```")[0]
    assert 8 <= len(code.strip().splitlines()) <= 14
    exec(code.replace("40_000", "256"), {})
    assert re.fullmatch(r"\{'atomic_0': 0\.\d+, 'atomic_1': 0\.\d+\}", capsys.readouterr().out.splitlines()[-1])


def test_the_tree_names_every_file() -> None:
    spec = importlib.util.spec_from_file_location("tree", ROOT / "docs" / "architecture.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.PAGE.read_text()
    assert text == module.page(text), "run: python docs/architecture.py"


def test_what_the_readme_says_of_the_question_is_what_its_page_says() -> None:
    page = (ROOT / "results/question/README.md").read_text()
    value, skill = re.findall(r"(1?\.\d+) \[", page.split("\n\n")[1])
    low, high = re.findall(r"\[(-?1?\.\d+), (-?1?\.\d+)\]", page)[0]
    points = re.findall(r"over (\d+) points", page)[0]
    short = [f"{float(number):.2f}".lstrip("0") for number in (value, low, high, skill)]
    assert "Yes, by {} [{}, {}] (Spearman, {} points), {} given skill".format(*short[:3], points, short[3]) in README
