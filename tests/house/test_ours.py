"""Proves: every command replaces and removes only what the house wrote, by whatever name its folder is called; it works
alone there; a folder that is moved meanwhile ends it; and on a medium that is read-only it does nothing when all is done."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from house.commands import QUIET, TINY, TINY_MEASURE, fragment, run
from house.test_files import names, read_only  # noqa: F401
from training.loops import Killed, kill

from mothello import files, rows
from mothello.data import stored
from mothello.data.stored import StoredGames
from mothello.data.stream import Stream
from mothello.errors import UserError
from mothello.files import locked
from mothello.own import folder_for
from mothello.report.runs import find_runs
from mothello.rundir import RunDir
from mothello.training import checkpoint

TRAIN = ["train", "+experiment=naive", *TINY]
MEASURE = ["measure", *TINY_MEASURE, "measures=[legality]"]
MEASURE = [x for x in MEASURE if not x.startswith("alignment.")]

TUNE = [
    "transfer", *QUIET, "transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8",
    "transfer.probe_before_and_after=false",
]  # fmt: skip
STUDY = ["study", "+study=demo", "experiments=[naive]", "transfer_from=[]", "measures=false", *fragment("train", TINY)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a measure and a fine-tuning, two corpora of stored games, and the first as text."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, *TRAIN, "run=run") == 0
        assert run(patch, *MEASURE, "run=run") == 0
        assert run(patch, *TUNE, "run=run") == 0
        for name, games in (("games", 50), ("more", 130)):
            assert run(patch, "generate", f"out={name}", "board=4x4", f"games={games}", "shard_games=50") == 0
            assert run(patch, "export_games", f"folder={name}", f"out={name}.txt") == 0
    return folder


@pytest.fixture
def here(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    err = capsys.readouterr().err
    (line,) = [x for x in err.splitlines() if x.startswith("error: ")]
    assert "Traceback" not in err
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    "status", ['{"status":"draft"}', '{"status": "ok"}', "[]", "", '{"status": "ok", "begun": "2020-01-01"}']
)
@pytest.mark.parametrize("force", ["true", "false"])
def test_a_status_of_another_form_makes_no_run_folder(
    status: str, force: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "status.json").write_text(status)
    for extra in ((), ("thesis.txt",)):
        for name in extra:
            (tmp_path / name).write_text("years of work")
        before = tree(tmp_path)
        assert run(monkeypatch, *TRAIN, f"run={tmp_path}", f"force={force}") == 2
        one_line(capsys, f"{tmp_path} is not empty and no run folder")
        assert tree(tmp_path) == before


MINE = [
    "notes.txt", "report/index.html", "measures/notes.txt", "checkpoints/best/weights.safetensors",
    "checkpoints/step-000000008/mine.txt", "checkpoints/step-8.bak", "finetune/mine/config.yaml", "old/config.yaml",
    "old/keep-01234567/config.yaml", "wandb/mine.txt",
]  # fmt: skip


def test_force_replaces_what_the_house_wrote_and_keeps_the_rest(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(here / "run")
    (measure,) = Path("run/measures").iterdir()
    for name in (*MINE, f"{measure.relative_to('run')}/mine.txt"):
        (here / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "run" / name).write_text("mine")
    mine = {name for name, text in tree(here / "run").items() if text == b"mine"}
    monkeypatch.chdir("run")
    assert run(monkeypatch, *TRAIN, "run=.", "force=true") == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("force=true"))
    assert line.startswith("force=true: replaces checkpoints, config.yaml, execution.json, finetune, measures, ")
    assert "; keeps checkpoints/best/weights.safetensors, " in line
    after = tree(Path())
    assert {name for name, text in after.items() if text == b"mine"} == mine
    again = {name for name in before if not name.startswith(("measures/", "finetune/"))}
    assert set(after) == mine | again
    last = "checkpoints/step-000000008/weights.safetensors"
    assert after[last] == before[last]


def test_only_checkpoints_are_read_and_removed(tmp_path: Path) -> None:
    def save(step: int) -> None:
        checkpoint.save(tmp_path, checkpoint.Checkpoint(step, {"w": torch.full((2,), float(step))}, {}))

    for step in (1, 2):
        save(step)
    shutil.copytree(tmp_path / "step-000000001", tmp_path / "step-000000001-keep")
    shutil.copytree(tmp_path / "step-000000001", tmp_path / "step-99")
    (tmp_path / "step-999.bak").touch()
    (tmp_path / "step-000000999").mkdir()  # without a manifest
    (tmp_path / "step-000000998").touch()
    (tmp_path / "step-000000001" / "notes.txt").write_text("mine")
    foreign = {name: text for name, text in tree(tmp_path).items() if name[:14] in ("step-99", "step-999.bak")}
    foreign |= {name: text for name, text in tree(tmp_path).items() if "keep" in name or "notes" in name}
    assert [path.name for path in checkpoint.saved(tmp_path)] == ["step-000000001", "step-000000002"]
    shutil.copytree(tmp_path / "step-000000001", tmp_path / "far" / "away")
    (tmp_path / "step-000000000").symlink_to("far/away")
    for step in (3, 4):
        save(step)
    assert not (tmp_path / "step-000000000").is_symlink()  # it was one of ours, but its files lie elsewhere
    assert len(names(tmp_path / "far" / "away")) == 4
    found, problems = checkpoint.latest(tmp_path)
    assert (found.step, problems) == (4, [])
    assert [path.name for path in checkpoint.saved(tmp_path)] == ["step-000000003", "step-000000004"]
    assert foreign.items() <= tree(tmp_path).items()
    assert names(tmp_path / "step-000000001") == ["notes.txt"]
    assert {"step-000000998", "step-000000999"} <= set(names(tmp_path))
    with pytest.raises(OSError, match="step-000000998 cannot be written"):
        save(998)
    save(1)  # next to the notes
    assert names(tmp_path / "step-000000001") == ["manifest.json", "notes.txt", "state.pt", "weights.safetensors"]


def test_one_folder_has_one_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it is called by; the others end before they change anything."""
    Path("link").symlink_to("run")
    shutil.rmtree("run/checkpoints")
    RunDir("run").write_status("failed")
    for held in ("run", "games", "new"):
        before, links = tree(here), names(here)
        with locked(here / held):
            Path("lynk").symlink_to(held)
            for text in (held, f"{held}/", "lynk", str(here / "." / held)):
                calls = {
                    "run": [*TRAIN, f"run={text}"],
                    "games": ["import_games", "board=4x4", "files=[more.txt]", f"out={text}", "force=true"],
                    "new": ["import_games", "board=4x4", "files=[more.txt]", f"out={text}"],
                }
                assert run(monkeypatch, *calls[held]) == 1
                one_line(capsys, "another process is at work in")
            if held == "new":
                assert run(monkeypatch, "generate", "out=lynk", "board=4x4", "games=10") == 1
                one_line(capsys, "out: another process is at work in lynk")
        Path("lynk").unlink()
        assert (tree(here), names(here)) == (before, links)


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_that_is_moved_ends(
    gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    batch = Stream.batch

    def moving(stream: Stream, step: int) -> object:
        if step == 5 and Path("run").exists():
            Path("run").rename("moved")
            if gone:
                shutil.rmtree("moved")
        return batch(stream, step)

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "batch", moving)
        assert run(patch, *TRAIN, "run=run", "checkpoint_every=1e-9") == 1
    one_line(capsys, "run was moved or deleted")
    assert names(tmp_path) == [*["moved"] * (not gone)]
    if not gone:
        assert not list(Path("moved").rglob(".*"))
        assert RunDir("moved").read_status()["status"] == "failed"
        assert run(monkeypatch, *TRAIN, "run=moved") == 0
        assert RunDir("moved").finished


@pytest.mark.parametrize("script", ["generate", "import_games", "measure"])
def test_other_work_whose_folder_is_moved_ends(
    script: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = {
        "generate": ["generate", "board=4x4", "games=100", "shard_games=50", "out=new"],
        "import_games": ["import_games", "board=4x4", "files=[more.txt]", "shard_games=50", "out=new"],
        "measure": [*MEASURE, "run=run", "force=true"],
    }[script]
    (measure,) = Path("run/measures").iterdir()
    folder, write = measure if script == "measure" else Path("new"), files.write_whole

    def moving(path: Path, content: str | bytes) -> None:
        write(path, content)
        if path.name in ("shard-00000.json", "table.csv.gz") and folder.exists():
            folder.rename("moved")

    for module in (stored, rows):
        monkeypatch.setattr(module, "write_whole", moving)
    assert run(monkeypatch, *call) == 1
    one_line(capsys, "was moved or deleted")
    assert not folder.exists()


def test_a_finished_folder_without_its_config_is_not_finished(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (measure,) = Path("run/measures").iterdir()
    tuned = min(Path("run/finetune").iterdir())
    (measure / "config.yaml").unlink()
    assert run(monkeypatch, *MEASURE, "run=run") == 0
    assert (measure / "config.yaml").exists()  # it is cheap: measured again
    (tuned / "config.yaml").unlink()
    settings = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8", "device=cpu"]
    call = ["transfer", "run=run", *settings, "transfer.probe_before_and_after=false", "tracking=jsonl"]
    capsys.readouterr()
    assert run(monkeypatch, *call) == 2
    one_line(capsys, f"{tuned / 'config.yaml'} is missing", "force=true")
    Path("run/config.yaml").unlink()
    before = tree(here)
    assert run(monkeypatch, *TRAIN, "run=run") == 2
    one_line(capsys, "run/config.yaml is missing", "put it back", "force=true")
    assert tree(here) == before
    assert run(monkeypatch, *TRAIN, "run=run", "force=true") == 0
    assert RunDir("run").finished


def test_what_is_finished_on_a_read_only_disk_is_finished(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    read_only: Callable[[Path], None],  # noqa: F811
) -> None:
    shutil.copytree("run", "begun")
    RunDir("begun").write_status("failed")
    assert run(monkeypatch, *STUDY) == 0
    before = tree(here)
    read_only(here)
    calls = ([*TRAIN, "run=run"], [*MEASURE, "run=run"], [*TUNE, "run=run"], STUDY)
    for call in (*calls, ["generate", "out=games", "board=4x4", "games=50", "shard_games=50"]):
        capsys.readouterr()
        assert run(monkeypatch, *call) == 0
        assert "finished already" in capsys.readouterr().out
    for call, code in (
        ([*TRAIN, "run=begun"], 1),
        ([*TRAIN, "run=run", "force=true"], 2),
        ([*TRAIN, "run=new"], 2),
        (["generate", "out=games", "board=4x4", "games=60", "shard_games=50"], 2),
        (["import_games", "out=games", "board=4x4", "files=[more.txt]", "force=true"], 2),
        (["export_games", "folder=games", "out=again.txt"], 2),
        (["report", "runs=[run]"], 2),
        (["corpus", "board=4x4"], 2),
    ):
        assert run(monkeypatch, *call) == code
        one_line(capsys, "Read-only file system" if code == 1 else "cannot be written to")
    monkeypatch.undo()
    assert tree(here) == before


@pytest.mark.parametrize("spelling", ["real", "link", "real/", ".", "../real", "dangling"])
def test_games_are_imported_to_a_folder_by_any_name(
    spelling: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over an earlier import and next to files of the user's; a failing one changes nothing."""
    Path("real").mkdir()
    Path("link").symlink_to("real")
    Path("dangling").symlink_to("absent")
    real = here / ("absent" if spelling == "dangling" else "real")
    if spelling.startswith("."):
        monkeypatch.chdir("real")
    call = ["import_games", "board=4x4", f"out={spelling}", "shard_games=50"]
    (here / "bad.txt").write_text("zz\n")
    assert run(monkeypatch, *call, f"files=[{here}/more.txt]") == 0
    assert len(StoredGames(real, verify=True)) == 130
    (real / "notes.txt").write_text("mine")
    (real / "shard-notes.npy").write_text("mine")
    before = tree(real)
    for name, force, words in (("games.txt", "false", "force=true to replace them"), ("bad.txt", "true", "no legal")):
        assert run(monkeypatch, *call, f"files=[{here}/{name}]", f"force={force}") == 2
        one_line(capsys, words)
        assert tree(real) == before
    assert run(monkeypatch, *call, f"files=[{here}/games.txt]", "force=true") == 0
    assert "; keeps notes.txt, shard-notes.npy" in capsys.readouterr().out
    assert len(StoredGames(real, verify=True)) == 50
    kept = [
        "corpus.json",
        "notes.txt",
        "shard-00000.json",
        "shard-00000.npy",
        "shard-00000.orbit.npy",
        "shard-notes.npy",
    ]
    assert names(real) == kept
    assert (here / "link").is_symlink()
    assert (here / "dangling").is_symlink()


@pytest.mark.parametrize("name", ["corpus.json", "shard-00000.npy", "shard-mine.txt", "shard-00000.json"])
def test_a_folder_with_similar_names_holds_no_games_of_ours(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data").mkdir()
    Path("data", name).write_text('{"documents": 3}')
    before = tree(here)
    for call in (["import_games", "files=[more.txt]", "force=true"], ["generate", "games=10"]):
        assert run(monkeypatch, *call, "board=4x4", "out=data") == 2
        one_line(capsys, "out: ", "data")
        assert tree(here) == before


def test_a_file_with_the_name_of_a_shard_is_not_written_over(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    imported = ["import_games", "board=4x4", "files=[games.txt]", "out=more", "force=true", "shard_games=25"]
    generated = ["generate", "board=4x4", "games=10", "shard_games=5", "out=made"]
    for call, folder in ((imported, Path("more")), (generated, Path("made"))):
        assert run(monkeypatch, *call) == 0
        (folder / "shard-00007.npy").write_text("mine")
        before = tree(folder)
        capsys.readouterr()
        assert run(monkeypatch, *call) == 2
        one_line(
            capsys, f"out: {folder.resolve() if folder.name == 'more' else folder}/shard-00007.npy", "name of a shard"
        )
        assert tree(folder) == before


def test_a_link_to_nothing_is_no_place_for_a_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("loop").symlink_to("loop")
    assert run(monkeypatch, "export_games", "folder=more", "out=loop") == 2
    one_line(capsys, "out: loop is a link to nothing")
    Path("page").mkdir()
    Path("page", "index.html").symlink_to("absent")
    with pytest.raises(UserError, match=r"^out: page/index\.html is not of this command"):
        folder_for("page", ("index.html",), "mothello")


def test_an_import_that_was_killed_while_it_replaced_is_done_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any file: the folder is not taken for a whole one, and what is left counts as ours."""
    call = ["import_games", "board=4x4", "files=[games.txt]", "out=more", "force=true", "shard_games=50"]
    replace = Path.replace
    for moves in range(4):
        done: list[Path] = []

        def killed(path: Path, target: Path, done: list[Path] = done, moves: int = moves) -> Path:
            if target.parent.name != "more" or len(done) < moves:
                done += [target] * (target.parent.name == "more")
                return replace(path, target)
            raise SystemExit(9)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            assert run(patch, *call) == 9
        assert not Path("more/corpus.json").exists()
    assert run(monkeypatch, *call) == 0
    assert len(StoredGames("more", verify=True)) == 50
    assert len(names(Path("more"))) == 4


def test_pages_and_tables_of_others_are_not_written_over(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: dict[str, list[str]] = {
        "index.html": ["report", "runs=[run]"],
        "table.csv.gz": ["report", "runs=[run]"],
        "numbers.json": ["corpus", "board=4x4"],
        "by_ply.png": ["corpus", "board=4x4"],
        "README.md": ["results"],
    }
    for name, call in calls.items():
        folder = here / f"of_{name}"
        folder.mkdir()
        (folder / name).write_text("<h1>mine</h1>")
        assert run(monkeypatch, *call, f"out={folder}") == 2
        one_line(capsys, f"{name} is not of this command")
        assert names(folder) == [name]
    Path("link").symlink_to("made")
    for _ in range(2):  # over a page of ours, by a link
        assert run(monkeypatch, "report", "runs=[run]", "out=link") == 0
    assert names(here / "made") == ["index.html", "table.csv.gz"]


def test_a_file_where_a_run_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "link").symlink_to("notes")
    (tmp_path / "loop").symlink_to("loop")
    assert run(monkeypatch, *TRAIN, f"run={tmp_path / 'loop'}") == 2
    one_line(capsys, f"run: {tmp_path / 'loop'} is a link to itself")
    for place in ("notes", "link", "notes/inside"):
        assert run(monkeypatch, *TRAIN, f"run={tmp_path / place}", "force=true") == 2
        one_line(capsys, f"run: {tmp_path / 'notes'} is a file")
    assert tree(tmp_path) == {"notes": b"mine", "link": b"mine"}


@pytest.mark.parametrize("name", ["status.json", "config.yaml"])
def test_a_foreign_file_hides_no_runs_from_a_report(name: str, here: Path, caplog: pytest.LogCaptureFixture) -> None:
    (here / name).write_text('{"status": "draft"}')
    assert [one.path for one in find_runs([str(here)])] == [here / "run"]
    assert f"{here}/" in caplog.text


def test_two_exports_to_one_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The one that is whole first stays."""
    moves = StoredGames.moves

    def slow(games: StoredGames, indices: torch.Tensor) -> torch.Tensor:
        if games.folder.name == "games":
            assert run(monkeypatch, "export_games", "folder=more", "out=text") == 0
        return moves(games, indices)

    monkeypatch.setattr(StoredGames, "moves", slow)
    assert run(monkeypatch, "export_games", "folder=games", "out=text") == 2
    one_line(capsys, "out: text was made by another process meanwhile")
    assert Path("text").read_bytes() == Path("more.txt").read_bytes()
    assert not list(here.glob(".*"))


def test_a_job_that_fails_writes_no_status_over_another(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine").mkdir()
    Path("mine/status.json").write_text('{"status": "draft"}')
    assert run(monkeypatch, "train", "-m", "+experiment=naive", *TINY, "run=mine", "seed=0") == 1
    assert json.loads(Path("mine/status.json").read_text()) == {"status": "draft"}


def test_copies_of_results_keep_what_lies_beside_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from studies.gather import gather

    (here / "runs").mkdir()
    (here / "run").rename(here / "runs" / "run")
    gather(here / "runs", here / "results")
    copy = here / "results" / "runs" / "run"
    before = set(tree(copy))
    (copy / "notes.txt").write_text("mine")
    (copy / "measures" / "notes.txt").write_text("mine")
    gather(here / "runs", here / "results")
    assert set(tree(copy)) == before | {"notes.txt", "measures/notes.txt"}
    replace = Path.replace
    for moves in (0, 3, 6):  # killed while files take their places

        def killed(path: Path, target: Path, left: list[int] = [moves]) -> Path:  # noqa: B006
            left[0] -= 1
            return kill() if left[0] < 0 else replace(path, target)

        with monkeypatch.context() as patch, pytest.raises(Killed):  # noqa: PT012
            patch.setattr(Path, "replace", killed)
            gather(here / "runs", here / "results")
        assert not RunDir(copy).finished
    gather(here / "runs", here / "results")
    assert set(tree(copy)) == before | {"notes.txt", "measures/notes.txt"}
