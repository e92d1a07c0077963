"""Proves that the page says what the numbers say, either way, needs nothing but itself, and bears missing parts."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.made import add_finetuning, add_probe, add_run, add_states

from mothello.cli.compose import composed
from mothello.cli.measure import schema
from mothello.files import fingerprint
from mothello.othello.board import Board
from mothello.othello.symmetry import cell_map
from mothello.report.answer import answer, besides, comparisons
from mothello.report.examples import readings
from mothello.report.page import FEW, render, write_report
from mothello.report.reference import commands, train_command
from mothello.report.runs import find_runs
from mothello.report.sections import headline
from mothello.report.sentences import Summary, describe, summaries_of
from mothello.report.sharing import by_label
from mothello.report.table import heads, table_of
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import identity
from mothello.stages.pretrain import TrainConfig

SHOWS = "unified aligns its languages as they are; naive aligns its languages under no map."


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


def _runs(root: Path, naive: float = 0.5, unified: float = 0.79, own: float = 0.8, seeds: int = 1) -> None:
    for seed in range(seeds):
        add_probe(add_run(root, "naive", seed), own, naive)
        folder = add_run(root, "unified", seed, output="unified")
        add_probe(folder, own, unified)


def _page(root: Path, title: str = "study", question: str = "") -> str:
    return write_report(find_runs([str(root)]), root / "out", title, question).read_text()


def _summaries(root: Path) -> dict[str, Summary]:
    runs = find_runs([str(root)])
    rows = heads(table_of(runs))
    chosen = rows[(rows.probe == "mlp") & (rows.target == "absolute") & (rows.finetuning == "")]
    return summaries_of(chosen, by_label(runs))


def _sentences(root: Path) -> str:
    """What happened, without the figures that take most of a page's time."""
    summaries = _summaries(root)
    parts = [f"{x.sentence} {x.numbers}" for x in comparisons(summaries)]
    return "\n".join([*parts, *map(describe, summaries.values())])


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    _runs(tmp_path)
    folder = add_run(tmp_path, "anchor", count=4)
    add_probe(folder, 0.8, 0.7, causal=True)
    add_states(folder)
    add_finetuning(folder, scratch=True)
    page = _page(tmp_path)
    reader = _read(page)
    assert all(link.startswith(("#", "data:")) or (tmp_path / "out" / link).is_file() for link in reader.links)
    assert len(set(reader.ids)) == len(reader.ids)
    assert all(link[1:] in reader.ids for link in reader.links if link.startswith("#"))
    assert page.count("<script>") == page.count("<script") == 1
    assert not re.search(r"@import|url\((?!#)|\{\{|\{%|fetch\(|import\(", page)
    for heading in (
        "Headline", "In words", "Training", "Legality", "Exact legality", "Probes by layer", "Interventions",
        "Alignment of languages", "Alignment without probes", "Example boards", "Transfer", "How to repeat",
    ):  # fmt: skip
        assert f"<h2>{heading}</h2>" in page
    assert "15 of 16 right" in page
    table = pd.read_csv(tmp_path / "out" / "table.csv.gz", keep_default_na=False)
    assert set(table.measure) >= {"training", "probe", "causal", "alignment", "legality", "transfer"}


def test_the_verdict_when_only_the_unified_output_aligns(tmp_path: Path) -> None:
    _runs(tmp_path)
    text = _sentences(tmp_path)
    assert SHOWS in text
    assert "unified loses 0.010 across languages as they are" in text
    assert "naive loses 0.300 across languages as they are" in text
    assert "aligned under no map" in text


def test_naive_languages_that_are_aligned_through_a_mirror_are_called_aligned(tmp_path: Path) -> None:
    """The project's own finding: raw loss alone would deny it."""
    _runs(tmp_path)
    add_probe(add_run(tmp_path, "mirror", count=4), 0.8, 0.45, best=0.79)
    add_probe(add_run(tmp_path, "naive"), 0.8, 0.5, best=0.78, games=200)
    text = _sentences(tmp_path)
    assert "naive loses 0.300 across languages as they are and 0.020 under the best map of each pair" in text
    assert "aligned up to a map in 2 of 2 pairs (main: 2)" in text
    assert "mirror (4 shared moves, 1 seed, layer" in text
    through = "naive and mirror align their languages through a turn or mirror of the board (main: 2; main: 2)."
    assert f"unified aligns its languages as they are; {through}" in text
    assert answer(_summaries(tmp_path).values()) in text
    assert "longer training" not in text


def test_what_the_verdicts_say_stands_in_the_sentences_and_the_table(tmp_path: Path) -> None:
    add_probe(add_run(tmp_path, "divided"), 0.9, 0.5, best=0.72, orbit=0.71, mixed=0.8)
    add_probe(add_run(tmp_path, "orbits"), 0.9, 0.7, best=0.7, orbit=0.71)
    add_probe(add_run(tmp_path, "partly"), 0.9, 0.5, best=0.8, orbit=0.71)
    text, page = _sentences(tmp_path), _page(tmp_path)
    assert (
        "with different squares at different maps in 2 of 2 pairs. The verdicts on its pairs: two domains: 2;" in text
    )
    assert (
        "under no map. The verdicts on its pairs: orbit only: 2; the best map reads no more than the orbit reader."
        in text
    )
    assert (
        "aligned up to a map in 2 of 2 pairs (main: 2). The verdicts on its pairs: graded: 2; the best map gets 0.474"
        in text
    )
    assert "from the orbit reader to the own language. The best constant reaches 0.600, the orbit reader 0.710," in text
    assert re.search(r"partly</td>\s*<td>graded: 2<br><small>through main: 2; recovered 0.47</small></td>", page)
    assert re.search(r"orbits</td>\s*<td>orbit only: 2<br><small>not above the orbit reader</small></td>", page)
    assert page.count("Maps of the squares") == 1
    assert "Maps of the squares, divided" in page


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"naive": 0.79}, "naive and unified align their languages as they are."),
        ({"unified": 0.7}, "unified aligns its languages in part (2 of 2 pairs; graded: 2); naive aligns its"),
        (
            {"own": 0.64, "naive": 0.5, "unified": 0.64},
            "naive and unified do not read the board of their own languages",
        ),
        (
            {"own": 0.66, "naive": 0.5, "unified": 0.66},
            "naive and unified do not read the board of their own languages",
        ),
    ],
)
def test_the_answer_names_what_aligns_and_what_cannot(tmp_path: Path, numbers: dict[str, float], said: str) -> None:
    """Own accuracy has to be .05 above the best constant (.6) and above random weights (.62)."""
    _runs(tmp_path, **numbers)  # type: ignore[arg-type]
    text = answer(_summaries(tmp_path).values())
    assert SHOWS not in text
    assert said in text


def test_many_settings_are_counted_by_what_is_shared(tmp_path: Path) -> None:
    for index, best in enumerate((0.79, 0.79, 0.72, 0.45)):
        add_probe(add_run(tmp_path, f"naive_{index}"), 0.8, 0.5, best=best)
    for index, across in enumerate((0.79, 0.5)):
        add_probe(add_run(tmp_path, f"anchor_{index}", count=4), 0.8, across)
    add_probe(add_run(tmp_path, "untrained"), 0.64, 0.5)
    add_probe(add_run(tmp_path, "unified", output="unified"), 0.8, 0.8)
    summaries = _summaries(tmp_path).values()
    assert answer(summaries) == (
        "Languages align without a common token in 2 of 4 models (turned or mirrored); "
        "with some common tokens in 1 of 2 (as they are); with one vocabulary of answers in 1 of 1 (as they are)."
    )
    assert besides(summaries) == "Aligned in part: 1 model. Under no map: 2 models. Board not read: 1 model."


def test_seeds_that_differ_are_counted(tmp_path: Path) -> None:
    for seed, best in enumerate((0.79, 0.45)):
        add_probe(add_run(tmp_path, "naive", seed), 0.8, 0.5, best=best)
    said = "naive aligns its languages in 1 of 2 models (turned or mirrored)."
    assert answer(_summaries(tmp_path).values()) == said


@pytest.mark.parametrize("naive", [{"languages": 3}, {"games": 2000}, {"targets": "expected"}])
def test_runs_of_other_settings_or_budgets_are_not_compared(tmp_path: Path, naive: dict[str, Any]) -> None:
    add_probe(add_run(tmp_path, "naive", **naive), 0.8, 0.5, languages=naive.get("languages", 2))  # type: ignore[arg-type]
    add_probe(add_run(tmp_path, "unified", output="unified"), 0.8, 0.8)
    add_probe(add_run(tmp_path, "anchor", count=4), 0.8, 0.6)
    text = _sentences(tmp_path)
    assert not comparisons(_summaries(tmp_path))
    assert SHOWS not in text
    assert "all else equal" not in text


def test_anchors_are_compared_with_naive_runs_of_equal_budget(tmp_path: Path) -> None:
    _runs(tmp_path)
    add_probe(add_run(tmp_path, "linked", links=["atomic_0.a1=atomic_1.b1"]), 0.8, 0.6)
    text = _sentences(tmp_path)
    assert "linked (1 shared move, 1 seed" in text
    assert "linked loses 0.200 across languages as they are" in text
    assert "unified aligns its languages as they are; naive and linked align their languages under no map." in text


def test_the_verdict_when_all_that_is_shared_aligns(tmp_path: Path) -> None:
    _runs(tmp_path)
    add_probe(add_run(tmp_path, "anchor", count=4), 0.8, 0.775)
    (found,) = comparisons(_summaries(tmp_path))
    assert (
        found.sentence
        == "anchor and unified align their languages as they are; naive aligns its languages under no map."
    )
    assert "anchor loses 0.025 across languages as they are and 0.025 under the best map" in found.numbers


def test_a_table_says_which_targets_a_run_used(tmp_path: Path) -> None:
    add_run(tmp_path, "naive")
    add_run(tmp_path, "soon", targets="expected")
    runs = find_runs([str(tmp_path)])
    groups = by_label(runs)
    table = headline(table_of(runs), groups, {})["headline"]
    assert re.findall("sampled|expected", table) == ["sampled", "expected"]


def test_intervals_appear_with_three_seeds(tmp_path: Path) -> None:
    for seed, across in enumerate((0.4, 0.5, 0.6)):
        add_probe(add_run(tmp_path, "naive", seed), 0.8, across)
    text = _sentences(tmp_path)
    assert "0.800 of the cells" in text, "seeds that agree have no interval to show"
    assert re.search(r"0\.500 \[0\.\d{3}, 0\.\d{3}\] in another", text)


def test_text_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    folder = add_run(tmp_path, "naive")
    text = (folder.path / "config.yaml").read_text().replace("name: naive", f"name: '{evil}'")
    (folder.path / "config.yaml").write_text(text)
    add_probe(folder, 0.8, 0.5)
    page = _page(tmp_path, title=evil + "&", question=evil)
    assert page.count("<script") == 1
    assert "&lt;script&gt;" in page
    _read(page)


def test_a_study_without_measurements_still_has_a_page(tmp_path: Path) -> None:
    add_run(tmp_path, "mine", languages=1)
    page = _page(tmp_path)
    _read(page)
    assert "No run was probed" in page
    for heading in ("Probes by layer", "Example boards", "Transfer"):
        assert f"<h2>{heading}</h2>" not in page


def test_one_language_and_an_unprobed_run_say_so(tmp_path: Path) -> None:
    add_probe(add_run(tmp_path, "solo", languages=1), 0.8, 0.8, languages=1)
    add_run(tmp_path, "naive")
    page = _page(tmp_path)
    assert "there is no second language to read" in page
    assert "Not probed: naive." in page
    assert "One language only" in page


def test_twenty_languages(tmp_path: Path) -> None:
    folder = add_run(tmp_path, languages=20)
    add_probe(folder, 0.9, 0.5, languages=20)
    page = _page(tmp_path)
    _read(page)
    assert "mean of 20" in page
    assert "No two languages are aligned" in page


def test_fine_tunings_are_told_apart_by_their_settings(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    add_finetuning(folder)
    page = render(find_runs([str(tmp_path)]), "t")
    assert re.search(r"atomic_1</td>\s*<td>0.500</td>\s*<td>0.700</td>\s*<td>0.800</td>", page)
    assert re.search(r"d3 c3</td>\s*<td>atomic_0</td>\s*<td>0.400</td>\s*<td>0.800</td>", page)
    for when, across in (("before", "0.700"), ("after", "0.650")):
        assert re.search(rf"{when}</td>\s*<td>0</td>\s*<td>0.800</td>\s*<td>0.100</td>\s*<td>{across}</td>", page)
    other = add_finetuning(folder, identity="89abcdef")
    config = other.read_config()
    other.write_config(config | {"settings": config["settings"] | {"optimizer": {"lr": 1.0}}})
    assert render(find_runs([str(tmp_path)]), "t").count("naive, lr 1.0") >= 2
    many = {"lr": 1.0, "beta_2": 0.5, "weight_decay": 1.0}
    other.write_config(config | {"settings": config["settings"] | {"optimizer": many}})
    assert render(find_runs([str(tmp_path)]), "t").count("naive, 640 games (") >= 2


def test_what_targets_answer_among_which_tokens(tmp_path: Path) -> None:
    folder = add_run(tmp_path)
    add_finetuning(folder, answers=True)
    page = render(find_runs([str(tmp_path)]), "t")
    for among, values in (
        ("all tokens", ("0.500", "0.700", "0.500")), ("its own tokens", ("0.550", "0.750", "0.600")),
        ("the source&#39;s tokens, translated", ("0.600", "0.800", "0.700")),
    ):  # fmt: skip
        cells = r"\s*".join(f"<td>{value}</td>" for value in ("atomic_1", among, *values, 1))
        assert re.search(cells, page)
    assert "atomic_0 (source)" in page
    assert "What targets answer" in page


def test_every_command_is_complete_and_parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = add_run(tmp_path, "a.name", links=["atomic_0.a1=atomic_1.b1"])
    add_probe(folder, 0.8, 0.5)
    add_finetuning(folder)
    (run,) = find_runs([str(tmp_path)])
    train, *rest = commands(run)
    config = composed("train", TrainConfig, shlex.split(train)[2:])
    assert (config.name, config.board.size, config.seed) == ("a.name", 4, 0)
    assert config.languages.anchors.links == ["atomic_0.a1=atomic_1.b1"]
    assert train == train_command(run)
    roots = {"measure": schema(), "transfer": TransferCommand}
    for script, *overrides in (shlex.split(line)[1:] for line in rest):
        root = Path(script).stem
        where = composed(root, roots[root], overrides).run
        assert where.removesuffix("/finetune/atomic_0-0123abcd") == "a.name/a.name-id/seed0"
    assert {Path(shlex.split(line)[1]).stem for line in rest} == set(roots)


def test_the_command_of_a_committed_run_trains_that_run() -> None:
    runs = sorted((Path(__file__).parents[2] / "results" / "mini").glob("split_anchor_4/*/seed0"))
    (run,) = find_runs([str(runs[0])])
    config = composed("train", TrainConfig, shlex.split(train_command(run))[2:])
    assert fingerprint(identity(config)) == run.identity


def _board(root: Path, name: str, size: int) -> None:
    """A run on a board of this size."""
    folder = add_run(root, name, identity=f"{name}-{size}")
    results = json.loads((folder.path / "results.json").read_text()) | {"board": f"{size}x{size}"}
    (folder.path / "results.json").write_text(json.dumps(results))
    folder.write_config(folder.read_config() | {"board": {"size": size}})
    add_probe(folder, 0.9, 0.5)
    for measure in folder.path.glob("measures/*/examples.json"):
        measure.unlink()


def test_every_board_has_sections_of_its_own(tmp_path: Path) -> None:
    _board(tmp_path, "naive", 4)
    _board(tmp_path, "naive", 6)
    page = _page(tmp_path)
    assert len(set(_read(page).ids)) == len(_read(page).ids)
    four, six = page.split('<h2 class="board">')[1:]
    assert (four[:9], six[:9]) == ("4x4 board", "6x6 board")
    for part, own, other in ((four, "naive, 4x4", "naive, 6x6"), (six, "naive, 6x6", "naive, 4x4")):
        assert part.count("<h2>Headline</h2>") == part.count("<h2>Training</h2>") == 1
        assert own in part
        assert other not in part
    assert "4x4 naive: no common token" in page.split('<h2 class="board">')[0]


def test_sections_of_many_settings_are_folded_and_can_be_reached(tmp_path: Path) -> None:
    for index in range(FEW + 1):
        add_run(tmp_path, f"naive_{index}")
    page = _page(tmp_path)
    reader = _read(page)
    assert page.count("<details open>") == 1, "the headline"
    inside = re.compile(r"f\d+-\d+")  # names inside of figures
    links = {link[1:] for link in reader.links if link.startswith("#") and not inside.fullmatch(link[1:])}
    assert links == {id for id in reader.ids if not inside.fullmatch(id)}
    assert "naive_0 plays 0.900 of its moves legally (chance 0.400)" in page
    assert "nothing is said of alignment" in page


def test_a_reading_through_the_map_of_the_pair_is_among_the_boards() -> None:
    """Language B sees the board mirrored: as it is most cells are wrong, through the map none."""
    board, truth = Board.of(4), [2, 0, 1, 0, 1, 2, 0, 0, 1, 1, 2, 0, 0, 1, 1, 2]
    mirrored = [truth[cell] for cell in cell_map(board, "main")]
    example = {"source": "a", "truth": truth, "readings": {"a": truth, "b": mirrored}}
    assert list(readings(example, board, {})) == [("a", truth), ("b as it is", mirrored)]
    assert mirrored != truth
    assert list(readings(example, board, {"b": "main"}))[2] == ("b through main", truth)
    assert list(readings(example, board, {"b": "rot180"}))[2][1] != truth


def test_intervals_of_shares_stay_shares(tmp_path: Path) -> None:
    for seed, across in enumerate((0.99, 0.99, 0.6)):
        add_probe(add_run(tmp_path, "naive", seed), 0.995, across)
    (summary,) = _summaries(tmp_path).values()
    assert summary["across"].high == 1.0  # type: ignore[union-attr]
    assert summary["loss_across"].low < 0  # type: ignore[union-attr]


def test_no_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no finished run"):
        write_report([], tmp_path / "out", "empty")
