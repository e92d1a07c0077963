"""Proves that the page says what the numbers say, either way, needs nothing but itself, and bears missing parts."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from report.folders import add_probe, add_run, add_transfer

from mothello.report.alignment_sections import board_section
from mothello.report.material import gather, write_tables
from mothello.report.reference import command
from mothello.report.report import write_report
from mothello.report.runs import find_runs
from mothello.report.sections import what_happened

SHOWS, FAILS = "The effect shows:", "The effect does not show in this run because"


class _Reader(HTMLParser):
    """Collects links and checks that tags close in order."""

    VOID = frozenset({"meta", "link", "img", "br", "rect", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _regimes(root: Path, naive: float = 0.5, unified: float = 0.79, own: float = 0.8, seeds: int = 1) -> None:
    for seed in range(seeds):
        add_probe(add_run(root, "naive", seed), own, naive)
        folder = add_run(root, "unified", seed, output="unified")
        add_probe(folder, own, unified)
        add_transfer(folder)


def _page(root: Path, title: str = "study", question: str = "") -> str:
    return write_report(find_runs([str(root)]), root / "out", title, question).read_text()


def _sentences(root: Path) -> str:
    """What happened, without the figures that take most of a page's time."""
    return what_happened(gather(find_runs([str(root)])))


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    _regimes(tmp_path)
    page = _page(tmp_path)
    reader = _read(page)
    outside = [link for link in reader.links if not link.startswith(("#", "data:"))]
    assert not outside
    assert len(set(reader.ids)) == len(reader.ids)
    assert all(link[1:] in reader.ids for link in reader.links if link.startswith("#"))
    assert not re.search(r"<script|@import|url\(", page)
    for heading in ("What happened", "Headline", "Training", "Legality", "Example boards", "Transfer", "How to repeat"):
        assert f">{heading}</h2>" in page


def test_the_verdict_when_the_effect_shows(tmp_path: Path) -> None:
    _regimes(tmp_path)
    page = _sentences(tmp_path)
    assert SHOWS in page
    assert FAILS not in page
    assert "unified loses 0.010 across languages" in page


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"naive": 0.7}, "naive loses only 0.100 across languages"),
        ({"unified": 0.7}, "unified loses 0.100 across languages"),
        (
            {"own": 0.64, "naive": 0.5, "unified": 0.64},
            "naive reads its own language only 0.040 above the best constant",
        ),
        (
            {"own": 0.66, "naive": 0.5, "unified": 0.66},
            "unified reads its own language only 0.040 above random weights",
        ),
        (
            {"own": 0.55, "naive": 0.3, "unified": 0.55},
            "naive reads its own language only 0.050 below the best constant",
        ),
    ],
)
def test_the_verdict_names_what_fails(tmp_path: Path, numbers: dict[str, float], reason: str) -> None:
    _regimes(tmp_path, **numbers)  # type: ignore[arg-type]
    page = _sentences(tmp_path)
    assert FAILS in page
    assert SHOWS not in page
    assert reason in page


def test_regimes_on_different_boards_or_languages_are_not_compared(tmp_path: Path) -> None:
    add_probe(add_run(tmp_path, "naive", languages=3), 0.8, 0.5, languages=3)
    add_probe(add_run(tmp_path, "unified", output="unified"), 0.8, 0.8)
    page = _sentences(tmp_path)
    assert "No verdict" in page
    assert SHOWS not in page


@pytest.mark.parametrize(
    ("cross", "says"), [(0.6, "anchors need longer training"), (0.79, "align the languages here already")]
)
def test_what_anchors_did_is_said_either_way(tmp_path: Path, cross: float, says: str) -> None:
    _regimes(tmp_path)
    add_probe(add_run(tmp_path, "anchor", count=4), 0.8, cross)
    page = _sentences(tmp_path)
    assert says in page
    assert f"anchor (4 shared moves) loses {0.8 - cross:.3f} across languages after 1,000 games seen" in page
    assert f"{0.3 - (0.8 - cross):.3f} less than naive loses" in page


def test_intervals_appear_with_three_seeds(tmp_path: Path) -> None:
    _regimes(tmp_path, seeds=3)
    assert "0.500 [0.500, 0.500]" in _sentences(tmp_path)


def test_text_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    folder = add_run(tmp_path, "naive")
    text = (folder.path / "config.yaml").read_text().replace("name: naive", f"name: '{evil}'")
    (folder.path / "config.yaml").write_text(text)
    add_probe(folder, 0.8, 0.5)
    page = _page(tmp_path, title=evil + "&", question=evil)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    _read(page)


def test_a_study_without_measurements_still_has_a_page(tmp_path: Path) -> None:
    add_run(tmp_path, "mine", languages=1)
    page = _page(tmp_path)
    _read(page)
    assert "No run was probed" in page
    for heading in ("Probes by layer", "Example boards", "Transfer"):
        assert f">{heading}</h2>" not in page


def test_one_language_and_an_unprobed_regime_say_so(tmp_path: Path) -> None:
    add_probe(add_run(tmp_path, "solo", languages=1), 0.8, 0.8, languages=1)
    add_run(tmp_path, "naive")
    page = _page(tmp_path)
    assert "there is no second language to read" in page
    assert "Not probed: naive." in page
    assert "One language only" in page


def test_twenty_languages(tmp_path: Path) -> None:
    folder = add_run(tmp_path, languages=20)
    add_probe(folder, 0.9, 0.5, languages=20)
    add_transfer(folder, 20)
    page = _page(tmp_path)
    _read(page)
    assert "mean of 20" in page


def test_tables_lie_beside_the_page(tmp_path: Path) -> None:
    _regimes(tmp_path)
    (tmp_path / "out").mkdir()
    write_tables(gather(find_runs([str(tmp_path)])), tmp_path / "out")
    heads = pd.read_csv(tmp_path / "out" / "headline.csv")
    row = heads.query("regime == 'naive' and probe == 'mlp' and target == 'absolute'").iloc[0]
    assert (row.own, row.cross) == (0.8, 0.5)
    assert (tmp_path / "out" / "transfer.csv").exists()


def test_misread_cells_are_counted(tmp_path: Path) -> None:
    _regimes(tmp_path)
    assert "15 of 16 cells (0.94)" in board_section(gather(find_runs([str(tmp_path)])))


def test_the_command_spells_out_the_config_for_a_shell(tmp_path: Path) -> None:
    add_run(tmp_path)
    (run,) = find_runs([str(tmp_path)])
    line = command(run)
    assert line.startswith("python scripts/train.py name=naive ++board.size=4 ")
    assert "'++languages.kinds=[atomic*2]'" in line
    assert "++seed=0" in line


def test_no_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no finished run"):
        write_report([], tmp_path / "out", "empty")


def test_the_report_needs_no_torch() -> None:
    code = 'import sys, mothello.report.report; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
