"""Proves: whenever SIGINT, SIGTERM or SIGHUP comes, in every command, it ends with 128 + N and one line; no status.json says
"running" any more, and no lock and no half-written file is left. What a process is told to ignore stays ignored."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from house.commands import MAINS, QUIET, TINY, TINY_CAUSAL, TINY_MEASURE, TINY_PROBE, fragment, make_base
from house.commands import run as command
from hydra.core.global_hydra import GlobalHydra

from mothello import signals
from mothello.cli.jobs import Job, run_all, run_here
from mothello.cli.main import one_line_errors
from mothello.cli.report import ReportCommand
from mothello.rundir import RunDir
from mothello.signals import STOPS, Stopped, held, stoppable
from mothello.stages import stage
from mothello.stages.running import running
from mothello.training.distributed import World
from studies import gather

SCRIPTS = Path(__file__).parents[2] / "scripts"


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in STOPS]


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = dict(zip(STOPS, handlers(), strict=True))
    yield
    for number, handler in before.items():
        signal.signal(number, handler)  # type: ignore[arg-type]


# One exception.


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_raises_once(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal, a scheduler and torchrun may pass one on twice: what cleans up must not be interrupted by that."""
    before = handlers()
    with stoppable():
        with pytest.raises(Stopped, match=f"^stopped by {number.name}$") as stop:
            signal.raise_signal(number)
        for again in STOPS:
            signal.raise_signal(again)
        monkeypatch.setattr(signals, "AGAIN", 0.0)  # that was long ago
        with pytest.raises(Stopped):
            signal.raise_signal(number)
    assert isinstance(stop.value, KeyboardInterrupt)  # so that nothing on the way takes it for an error
    assert stop.value.number == number
    assert handlers() == before


def test_what_is_ignored_or_handled_by_others_stays_so() -> None:
    """nohup, a shell's background job, submitit."""
    seen: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    with stoppable():
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Stopped, match="SIGINT"):
            signal.raise_signal(signal.SIGINT)
    assert seen == [signal.SIGTERM]


def test_a_held_signal_comes_later() -> None:
    passed = []

    def send() -> None:
        with stoppable(), held():
            signal.raise_signal(signal.SIGTERM)
            passed.append(1)

    with pytest.raises(Stopped, match="SIGTERM"):
        send()
    assert passed


# What is left of a run.


def test_the_status_names_the_signal_and_the_console_hears_of_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunDir(tmp_path)

    def stopped(stop: KeyboardInterrupt) -> None:
        with running(folder, World()):
            assert folder.read_status()["status"] == "running"
            raise stop

    for stop, text in ((Stopped(signal.SIGHUP), "stopped by SIGHUP"), (KeyboardInterrupt(), "stopped by SIGINT")):
        with pytest.raises(KeyboardInterrupt):
            stopped(stop)
        status = folder.read_status()
        assert (status["status"], status["error"]) == ("failed", text)
        assert "traceback" not in status
        assert (tmp_path / "log.txt").read_text().endswith(f" WARNING {text}\n")
    assert not caplog.records  # the command itself says it


def test_what_was_finished_stays_finished(tmp_path: Path) -> None:
    folder = RunDir(tmp_path)

    def stopped() -> None:
        with running(folder, World()):
            folder.write_status("ok")
            raise Stopped(signal.SIGINT)

    with pytest.raises(Stopped):
        stopped()
    assert folder.read_status()["status"] == "ok"


TUNING = ["transfer.data.games=64", "transfer.data.batch_size=16", "transfer.evaluation.games=8"]
CALLS = {
    "train": ["+experiment=naive", *TINY, "run=new"],
    "probe": ["run=mini/run", *TINY_PROBE, *TINY_CAUSAL],
    "measure": ["run=mini/run", *TINY_MEASURE],
    "transfer": ["run=mini/run", *TUNING, *TINY_PROBE],
    "stage": ["run=mini/run", *QUIET, "stage.name=finetune", *(text.replace("transfer.", "stage.") for text in TUNING)],
    "study": [
        "+study=demo", "name=tiny", "experiments=[naive]", "transfer_from=[]", "report=''", *fragment("train", TINY),
    ],
    "sweep": ["-m", "+experiment=naive", *TINY, "seed=5,6"],
    "report": ["runs=[mini]", "out=page"],
    "results": ["gather=[mini]", "out=out"],
    "generate": ["out=shards", "board=4x4", "games=50"],
    "import_games": ["out=imported", "files=[games.txt]", "board=4x4"],
    "export_games": ["folder=games", "out=exported.txt"],
    "corpus": ["board=4x4", "sample=100", "overlap=50", "device=cpu"],
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and some games."""
    return make_base(tmp_path_factory.mktemp("base"), "mini/run")


@pytest.fixture
def here(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(base, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gather, "STUDIES", ("mirror_anchors",))
    return tmp_path


def ended(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: str) -> int:
    """Exit code of a script, started as its file starts it."""
    monkeypatch.setattr(sys, "argv", [f"scripts/{script}.py", *arguments])
    GlobalHydra.instance().clear()
    before = dict(zip(STOPS, handlers(), strict=True))
    try:
        signals.run("studies.gather" if script == "results" else f"mothello.cli.{script}")
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        assert {signal.getsignal(number) for number in STOPS} == {signal.SIG_IGN}  # to the end of Python
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
    return 0


def sends(number: int, act: Callable[..., object]) -> Callable[..., object]:
    """The same function, which then sends a signal."""

    def sending(*arguments: object, **more: object) -> object:
        result = act(*arguments, **more)
        signal.raise_signal(number)
        return result

    return sending


def assert_nothing_is_at_work(folder: Path) -> None:
    assert not [
        path for path in folder.rglob("status.json") if RunDir(path.parent).read_status()["status"] == "running"
    ]
    assert not [*folder.rglob(".part-*"), *folder.rglob(".*.lock"), *folder.rglob(".shard-*")]


@pytest.mark.parametrize("name", CALLS)
def test_a_command_that_is_stopped_while_it_writes(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the middle of its first file, and of its third: other files stand there already."""
    script = "train" if name == "sweep" else name
    number = STOPS[len(name) % 3]
    for nth in (1, 3):
        left = [nth]

        def sync(file: int, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(number)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sync)
            patch.setattr(signals, "AGAIN", 0.0)
            code = ended(patch, script, *CALLS[name])
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert_nothing_is_at_work(here)
        if left[0] > 0:  # it has fewer files
            assert nth > 1
            break
        assert code == 128 + number
        assert len(errors) == 1
        assert errors[0].startswith(f"error: stopped by {number.name}")


@pytest.mark.parametrize(
    ("name", "owner", "function"),
    [
        ("train", stage, "evaluator_of"),  # before its first step
        ("train", stage, "train"),  # after its last
        ("study", stage, "train"),
        ("sweep", stage, "train"),
    ],
)
def test_a_run_that_is_stopped_outside_its_loop(
    name: str, owner: object, function: str, here: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    script = "train" if name == "sweep" else name
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, sends(signal.SIGTERM, getattr(owner, function)))
        assert ended(patch, script, *CALLS[name]) == 143
    out, err = capsys.readouterr()
    assert err.count("stopped by SIGTERM") == 1
    assert "stopped by" not in out
    assert_nothing_is_at_work(here)
    (stopped,) = (RunDir(path.parent) for path in here.rglob("status.json") if not RunDir(path.parent).finished)
    assert stopped.read_status()["error"] == "stopped by SIGTERM"
    if name == "train":
        assert command(monkeypatch, script, *CALLS[name]) == 0
        assert stopped.finished


# Before torch is there.


@pytest.fixture
def slow_torch(tmp_path: Path) -> dict[str, str]:
    """An environment in which the import of torch takes for ever and swallows what is raised in it, as parts of the
    true one do; who imports it is sent a signal."""
    (tmp_path / "torch.py").write_text(
        "import os, time\ntry:\n os.kill(os.getpid(), int(os.environ['SENT']))\nexcept BaseException: pass\ntime.sleep(60)"
    )
    paths = [str(tmp_path), *(os.path.abspath(path) for path in sys.path if path)]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.mark.parametrize("number", STOPS)
def test_the_import_of_torch_is_stopped_in_one_line(number: signal.Signals, slow_torch: dict[str, str]) -> None:
    without = {"report", "runs"}  # these never load it
    for script in sorted(set(MAINS) - without if number is signal.SIGINT else {"train"}):
        done = subprocess.run(
            [sys.executable, str(SCRIPTS / f"{script}.py")], env=slow_torch | {"SENT": str(int(number))},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (128 + number, f"error: stopped by {number.name}\n"), script


# Output that nobody reads.

NOISY = "def main():\n    for _ in range(99999):\n        print('a line of the output')\n"


@pytest.mark.parametrize("ends", [True, False])
def test_output_that_nobody_reads_ends_without_a_word(ends: bool, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(NOISY if ends else NOISY.replace("99999", "2"))
    code = "from mothello.signals import run; run('noisy')"
    env = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    child = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout
    child.stdout.close()  # as head does
    assert child.communicate(timeout=60)[1] == b""
    assert child.returncode == 128 + signal.SIGPIPE


def test_a_command_does_not_call_it_an_error() -> None:
    begun = []

    def job(name: str, _: object) -> None:
        begun.append(name)
        raise BrokenPipeError

    jobs = [Job(name, str, partial(job, name)) for name in "ab"]
    with pytest.raises(BrokenPipeError), one_line_errors(ReportCommand):
        run_all(jobs, run_here)
    assert begun == ["a"]


def test_a_warning_that_nobody_reads_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    from mothello.cli.main import log_to_console

    class Closed:
        def write(self, _: str) -> None:
            raise BrokenPipeError

        def flush(self) -> None: ...

    before = logging.raiseExceptions
    try:
        log_to_console()
        logging.StreamHandler(Closed()).emit(logging.makeLogRecord({"msg": "x"}))
    finally:
        logging.raiseExceptions = before
    assert "Traceback" not in capsys.readouterr().err
