"""Proves: the API of the package gives what a notebook asks for, agrees with the rules and with itself, and names a user's
mistakes; importing the package loads nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mothello
from mothello.data.split import probe_corpus
from mothello.errors import UserError
from mothello.model.transformer import SITES
from mothello.othello.rules import legal_moves
from mothello.rundir import RunDir
from mothello.stages.find import find_run
from mothello.stages.run import Run
from mothello.training import checkpoint

TINY = {
    "name": "tiny", "board": {"size": 4}, "languages": {"kinds": ["atomic", "split"]},
    "model": {"n_layer": 2, "n_head": 2, "d_model": 16}, "data": {"games": 256, "batch_size": 32},
    "evaluation": {"games": 4, "times": 2}, "device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 1e-9,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return mothello.train(TINY | {"runs": str(tmp_path_factory.mktemp("runs"))})


def test_importing_loads_nothing() -> None:
    code = "import sys, mothello; assert 'torch' not in sys.modules; assert 'train' in dir(mothello)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="nothing_such"):
        mothello.nothing_such  # noqa: B018


def test_its_name_says_what_it_is(run: Run) -> None:
    assert repr(run).endswith("step 8 of 8)")
    assert "4x4, atomic_0, split_0" in repr(run)


def test_text_is_what_the_model_reads(run: Run) -> None:
    games = run.games(3)
    for language in run.languages:
        tokens = run.batch(games, language).tokens[0]
        written = [int(part) for move in run.text(games[0], language).split() for part in move.split(".")]
        assert written == tokens[tokens > 0].tolist()
    assert run.text(run.named(games[0]), run.languages[0]) == run.text(games[0].tolist(), run.languages[0])


def test_next_moves_of_one_game_are_those_of_many(run: Run) -> None:
    games = run.games(4)
    for language in run.languages:
        many = run.next_moves(games, language)
        assert isinstance(many, torch.Tensor)
        one = run.next_moves(games[0][:4], language)
        assert isinstance(one, dict)
        assert sum(one.values()) == pytest.approx(float(many[0, 3].sum()), rel=1e-4)
        assert list(one.values()) == sorted(one.values(), reverse=True)
        assert 0 < sum(one.values()) <= 1


def test_the_drawing_marks_the_legal_moves(run: Run) -> None:
    start = run.show("")
    board = run.board
    count = bin(int(legal_moves(*map(torch.tensor, board.start), board))).count("1")
    assert start._repr_svg_().count('fill="none"') == count == 4


def test_states_are_the_cache_at_the_ends_of_moves(run: Run) -> None:
    games, language = run.games(2), run.languages[1]
    cache, states, batch = run.cache(games, language), run.states(games, language), run.batch(games, language)
    assert set(cache) == {"embedding"} | {f"blocks.{block}.{site}" for block in (0, 1) for site in SITES}
    end = int(batch.move_ends[0, 5])
    torch.testing.assert_close(cache["embedding"][0, end], states[0, 0, 5])
    torch.testing.assert_close(cache["blocks.1.resid_post"][0, end], states[2, 0, 5])


def test_an_edit_changes_what_follows_it_and_the_run_stays_as_it_is(run: Run) -> None:
    games, language = run.games(2), run.languages[0]
    before = run.cache(games, language)

    def silent(site: str, x: torch.Tensor) -> torch.Tensor:
        return x * 0 if site == "blocks.0.mlp" else x

    edited = run.edited(silent).cache(games, language)
    assert torch.equal(edited["blocks.0.resid_mid"], before["blocks.0.resid_mid"])
    assert not torch.allclose(edited["blocks.0.resid_post"], before["blocks.0.resid_post"])
    assert torch.equal(run.cache(games, language)["blocks.1.resid_post"], before["blocks.1.resid_post"])
    unchanged = run.edited(lambda _, x: x).states(games, language)
    torch.testing.assert_close(unchanged, run.states(games, language))


def test_a_kept_probe_reads_boards(run: Run) -> None:
    with pytest.raises(UserError, match=r"^run: no probes of step 8; python scripts/probe.py run="):
        run.probe(1, "atomic_0")
    settings = {"probes": ["linear"], "games": 32, "test_games": 16, "batch_size": 16, "held_out": 16, "draws": 10}
    rows = mothello.measure(run, "probes", settings | {"random_weights": False, "shuffled": False})
    assert len(rows) == len(mothello.measure(run, "probes", settings | {"random_weights": False, "shuffled": False}))
    one = rows.query("quantity == 'accuracy' and control == 'trained' and square == '' and map == 'identity'")
    one = one[(one.layer == 1) & (one.source == "atomic_0") & (one.language == "split_0") & (one.target == "absolute")]
    scored = one[one.ply.isna()].value.item()
    games = probe_corpus(run.board, 0, 32, 16, 16).moves(torch.arange(48, 64))  # fit, held out, test
    reading = run.probe(1, "atomic_0")(run.states(games, "split_0")[1])
    right = (reading == run.boards(games))[games >= 0].double().mean()
    assert float(right) == pytest.approx(scored, abs=1e-5)
    with pytest.raises(UserError, match=r"^language: no language 'klingon'"):
        run.probe(1, "klingon")
    with pytest.raises(UserError, match=r"^kind: no probes of 'mlp' were kept; choices: linear$"):
        run.probe(1, "atomic_0", kind="mlp")
    with pytest.raises(UserError, match=r"^target: no probes of 'empty' were kept; choices: absolute, relative$"):
        run.probe(1, "atomic_0", target="empty")
    for layer in (-1, 3):
        with pytest.raises(UserError, match=rf"^layer: no probes of {layer} were kept; choices: 0, 1, 2$"):
            run.probe(layer, "atomic_0")


def test_every_kept_step_is_loaded(run: Run) -> None:
    earlier = mothello.load_run(run.folder.path, step=7)
    assert earlier.step == 7
    kept = checkpoint.read(run.folder.checkpoints / "step-000000007").weights
    assert torch.equal(earlier.model.head.weight, kept["head.weight"])
    with pytest.raises(UserError, match=r"^step: .* keeps no checkpoint of step 3; kept: 7, 8"):
        mothello.load_run(run.folder.path, step=3)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.text("c1", "klingon"), "language: no language 'klingon'; there are atomic_0, split_0"),
        (lambda run: run.show("a1a1"), "game: move"),
        (lambda run: run.show("zz"), "game: 'zz' is not a square"),
        (lambda run: run.next_moves("", "atomic_0"), "game: 0 moves; give between 1 and 11"),
    ],
)
def test_a_mistake_is_one_line(run: Run, ask: object, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        ask(run)  # type: ignore[operator]


def test_a_run_is_found_by_a_unique_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("naive/aa/seed3", "naive/aa/seed30", "naive_60k/bb/seed3", "naive/aa/seed3/finetune/atomic_0-cc"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("{}")
    assert find_run("naive/seed3") == Path("runs/naive/aa/seed3")
    assert find_run("naive_60/seed3") == Path("runs/naive_60k/bb/seed3")
    assert find_run("naive/atomic") == Path("runs/naive/aa/seed3/finetune/atomic_0-cc")
    with pytest.raises(UserError, match=r"^run: seed3 fits several runs: runs/naive/aa/seed3, runs/naive_60k/bb/seed3"):
        find_run("seed3")
    with pytest.raises(UserError, match=r"^run: nothing/config.yaml does not exist; runs: runs/naive/aa/seed3,"):
        find_run("nothing")


def test_each_step_and_each_edit_has_numbers_of_its_own(run: Run) -> None:
    """Measuring an earlier step or an edited model neither gives nor changes the numbers of the run."""
    few = {"games": 6}
    newest = mothello.measure(run, "legality", few)
    earlier = mothello.measure(mothello.load_run(run.folder.path, step=7), "legality", few)
    zeroed = run.edited(lambda site, x: torch.zeros_like(x) if site == "blocks.1.resid_post" else x)
    edited = mothello.measure(zeroed, "legality", few)
    assert list(edited.quantity) == list(newest.quantity)
    assert edited.value.tolist() != newest.value.tolist()
    assert mothello.measure(run, "legality", few).equals(newest)
    assert mothello.measure(mothello.load_run(run.folder.path, step=7), "legality", few).equals(earlier)
    folders = sorted(run.folder.path.glob("measures/legality-*"))
    assert [RunDir(folder).read_json("results.json")["step"] for folder in folders] == [8, 7]
    assert folders[1].name == f"{folders[0].name}-step7"


@pytest.mark.parametrize("command", ["measure", "probe", "transfer", "study"])
def test_every_command_that_measures_knows_every_measure(command: str) -> None:
    """Alone in a process of its own, as a user starts it."""
    code = f"""
from mothello.stand_ins import stand_in
stand_in(["--help"])
import mothello.cli.{command}
from mothello.measures.measure import MEASURES
print(sorted(MEASURES))
"""
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in text for name in ("legality", "probes", "transfer", "tasks"))
