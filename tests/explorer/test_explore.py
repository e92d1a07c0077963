"""Proves: a page is one file that refers to nothing outside of it; it holds what the run kept; what cannot be shown is refused in
one line; no file of another origin is replaced."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from explorer.node import evaluate, made_run, needs_node
from house.commands import TINY, TINY_PROBE, run

from mothello.errors import UserError
from mothello.explorer.content import check
from mothello.explorer.pack import Pack
from mothello.explorer.page import CORE, FOLDER, SIGN, VIEWS, script
from mothello.explorer.probes import kept_probes
from mothello.stages.load import load_run

FEW = ["probe_games=32", "steps=2"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/kept: three languages with anchors, steps and probes kept; runs/bare: neither."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        keeping = ["checkpoints.keep.log_spaced=3", "run=runs/kept"]
        assert (
            run(patch, "train", "+experiment=anchor", *TINY, "languages.kinds=[atomic,compositional,split]", *keeping)
            == 0
        )
        assert run(patch, "train", "+experiment=naive", *TINY, "run=runs/bare") == 0
        assert run(patch, "probe", "run=runs/kept", *TINY_PROBE, "measures=[probes]") == 0
        assert run(patch, "explore", "run=kept", *FEW) == 0
    return folder


@pytest.fixture
def here(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(base)
    return base


def held(path: Path) -> tuple[dict[str, Any], int]:
    """The content of a page, and the bytes of its tensors."""
    text = path.read_text()
    content = re.search(r'id="content">(.*?)</script>', text, re.DOTALL)
    tensors = re.search(r'id="tensors">\s*(.*?)\s*</script>', text, re.DOTALL)
    assert content
    assert tensors
    return json.loads(content[1]), len(base64.b64decode(tensors[1]))


def test_a_page_is_one_file_that_refers_to_nothing(here: Path) -> None:
    text = Path("runs/kept/explorer.html").read_text()
    assert SIGN in text
    without = re.sub(r'id="tensors">.*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(
        r"https?:|\bfetch\(|XMLHttpRequest|WebSocket|@import|url\(|<link(?! rel=\"icon\" href=\"data:,\")", without
    )
    assert "default-src 'none'" in without
    assert without.count("<script") == 3
    assert "src=" not in without


def test_it_holds_the_model_the_kept_probes_and_the_kept_steps(here: Path) -> None:
    loaded, (content, size) = load_run("kept"), held(Path("runs/kept/explorer.html"))
    table = content["tensors"]
    assert {*loaded.model.state_dict()} <= {*table}
    assert content["live"]
    assert content["fitted_on"] is None  # kept ones
    assert {name.split(".")[1] for name in table if name.startswith("probe.")} == {"linear", "mlp"}
    widths = {"u1": 1, "f2": 2, "f4": 4}
    ends = [first + widths[kind] * torch.Size(shape).numel() for kind, first, shape in table.values()]
    assert max(ends) == size == sum(end - first for end, (_, first, _) in zip(ends, table.values(), strict=True))
    kept = sorted(int(path.name[5:]) for path in Path("runs/kept/checkpoints/kept").iterdir())
    assert content["along"]["steps"] == [kept[0], kept[-1], loaded.step]  # two of three, and the last
    assert content["pairs"]["measured"]
    assert {(one["source"], one["language"]) for one in content["pairs"]["pairs"]} == {
        (a, b) for a in loaded.languages for b in loaded.languages
    }
    assert all(0 <= share <= 1 for one in content["pairs"]["pairs"] for share in one["shares"].values())
    assert [tuple(word) for word in content["languages"][1]["words"]] == [*loaded.language_set.languages[1].words]


def test_the_pairs_counted_now_are_those_that_the_measure_counts(here: Path) -> None:
    from mothello.explorer.pairs import counted_pairs, measured_pairs, shares
    from mothello.measures.probes.config import ProbesConfig
    from mothello.measures.probes.measure import scored_moves

    loaded = load_run("kept")
    fitted, measured = kept_probes(loaded), measured_pairs(loaded, "mlp")
    assert fitted is not None
    assert measured is not None
    config = ProbesConfig(games=32, batch_size=16, test_games=8, held_out=8)
    counted = counted_pairs(loaded, shares(loaded, fitted, "mlp", scored_moves(loaded.subject(), config)), "mlp")
    assert counted["layer"] == measured["layer"]
    for ours, theirs in zip(counted["pairs"], measured["pairs"], strict=True):
        assert (ours["source"], ours["language"]) == (theirs["source"], theirs["language"])
        assert ours["shares"] == pytest.approx({name: theirs["shares"][name] for name in ours["shares"]}, abs=0.01)


def test_a_run_without_probes_has_linear_ones_fitted_and_a_large_one_readings(here: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        assert run(patch, "explore", "run=bare", "out=large.html", "live_up_to=0", *FEW) == 0
    content, _ = held(Path("large.html"))
    assert not content["live"]
    assert content["fitted_on"] == 32
    assert content["probes"] == [["linear", "absolute"]]
    assert content["along"] is None
    assert {name.split(".")[0] for name in content["tensors"]} == {"recorded"}
    assert len(content["games"]) == 20
    assert not content["pairs"]["measured"]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (["run=nowhere"], "run: "),
        (["run=bare", "out=games.txt"], "not of this command"),
        (["run=kept"], "force=true"),
        (["run=bare", "probe_games=1"], "probe_games"),
        (["run=bare", "step=3"], "step: "),
    ],
)
def test_mistakes_are_one_line(
    call: list[str], line: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("games.txt").write_text("c2b2\n")
    before = Path("runs/kept/explorer.html").read_bytes()
    capsys.readouterr()
    assert run(monkeypatch, "explore", *call) == 2
    error = capsys.readouterr().err.strip()
    assert line in error
    assert len(error.splitlines()) == 1
    assert Path("games.txt").read_text() == "c2b2\n"
    assert Path("runs/kept/explorer.html").read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"objective": "masked_lm", "model": {"mask": "full"}}, "full attention"),
        ({"languages": {"traits": {"atomic_1": {"order": "inversion"}}}}, "languages.traits.atomic_1.order=inversion"),
        ({"languages": {"traits": {"atomic_1": {"mover": "before"}}}}, "languages.traits.atomic_1"),
        ({"languages": {"traits": {"atomic_0": {"homonyms": 0.5}}}}, "languages.traits.atomic_0.homonyms"),
    ],
)
def test_what_cannot_be_shown_is_named(settings: dict[str, Any], line: str) -> None:
    small = {"n_layer": 1, "n_head": 1, "d_model": 8}
    with pytest.raises(UserError, match=re.escape(line)):
        check(made_run(settings | {"board": {"size": 4}, "model": small | settings.get("model", {})}))


@needs_node
def test_tensors_come_back_as_they_were_rounded() -> None:
    pack, draw = Pack(), torch.Generator().manual_seed(0)
    half = torch.cat([torch.randn(40, generator=draw) * 10.0**power for power in range(-8, 4)] + [torch.zeros(1)])
    pack.add("bytes", torch.arange(5), "u1")
    pack.add("half", half.view(-1, 37))
    pack.add("single", half, "f4")
    got = evaluate(
        "return ['bytes', 'half', 'single'].map(name => [[...tensors.get(name)], tensors.shape(name)]);", pack=pack
    )
    assert got[0] == [[0, 1, 2, 3, 4], [5]]
    assert torch.equal(torch.tensor(got[1][0]), half.half().float())
    assert got[1][1] == [13, 37]
    assert torch.equal(torch.tensor(got[2][0]), half)
    with pytest.raises(UserError, match="live_up_to=0"):
        pack.add("large", torch.tensor([1e5]))


def test_scripts_are_short_and_all_of_them_are_in_the_page() -> None:
    assert {path.stem for path in FOLDER.glob("*.js")} == {*CORE, *VIEWS}
    for path in FOLDER.glob("*.js"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 250, path.name
        assert max(map(len, lines)) <= 130, path.name
        assert lines[0].startswith("/*"), path.name
    assert "</script" not in script()


STATE = """
const content = inputs, board = new Board(6);
const read = text => bounded(parsed(text), content, board);
const state = read("#view=next&b=0&map=main&game=c2b2a2&ply=2&layer=1");
return [fragmentOf(state), read("#view=x&a=9&ply=99&game=c2h8&step=x&strength=99"), read(fragmentOf(state))].map(one =>
  typeof one === "string" ? one : {...one});
"""


@needs_node
def test_the_fragment_holds_the_state_and_nonsense_has_defaults() -> None:
    content = {
        "languages": [{}, {}], "readable": 2, "maps": {"identity": [], "main": []}, "probes": [["linear", "absolute"]],
        "pairs": {"probe": "linear", "layer": 2}, "model": {"n_layer": 3}, "along": None,
    }  # fmt: skip
    fragment, odd, again = evaluate(STATE, content, names=CORE + VIEWS)
    told = dict(part.split("=") for part in fragment[1:].split("&"))
    assert {name: told[name] for name in ("view", "map", "ply", "layer")} == {
        "view": "next",
        "map": "main",
        "ply": "2",
        "layer": "1",
    }
    assert (odd["view"], odd["a"], odd["ply"], odd["game"], odd["strength"]) == ("game", 0, 1, "c2", 8)
    assert (again["view"], again["game"], again["ply"], again["b"], again["layer"]) == ("next", "c2b2a2", 2, 0, 1)
