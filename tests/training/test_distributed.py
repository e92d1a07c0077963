"""Proves: several processes see exactly the games of one and follow its loss curve; they hold the same weights and stop
together; rank 0 alone writes; a checkpoint moves between numbers of processes. Gloo on CPU, real processes.

The sum over processes rounds in another order, and Muon's orthogonalisation in bf16 magnifies it. Measured in fp32 without
dropout, relative in the loss: AdamW 2e-7 and Muon 2e-5 over 60 steps here, Muon 1.5e-4 over 80 steps of a larger model. With
dropout every process draws masks of its own, and the curves are equal in expectation only.
"""

import hashlib
import json
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from data.streams import stream_of
from house.commands import TINY, run
from torch import Tensor
from training.loops import Changed, batches, before, plan, small_model
from training.processes import Command, free_port, group, script, until

from mothello.data.language_sampling import LanguageSampling, Pairing
from mothello.data.split import Split, corpus
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.model.transformer import GPT
from mothello.othello.board import Board
from mothello.rundir import RunDir
from mothello.signals import Stopped
from mothello.training import checkpoint
from mothello.training.distributed import World, join
from mothello.training.loop import train

STEPS = 40
TOLERANCE = {"adamw": 1e-5, "muon": 1e-3}
"""Relative, of the loss at every step."""


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("pairing", [Pairing.drawn, Pairing.disjoint])
def test_processes_share_the_games_of_one(size: int, pairing: Pairing) -> None:
    language_set = build_languages(LanguagesConfig(kinds=["atomic*2", "split"]), Board.of(4))
    how = LanguageSampling(pairing=pairing)
    games = corpus(Board.of(4), 0, Split.train, 100)
    whole = stream_of(games, language_set, 12, seed=3, how=how)
    parts = [stream_of(games, language_set, 12, seed=3, how=how, share=(rank, size)) for rank in range(size)]
    for step in (0, 1, 7, 8, 9, 23):  # within an epoch, across its end, out of order of what is played at once
        for rank, part in enumerate(parts):
            for ours, theirs in zip(part.batch(step)[:5], whole.batch(step)[:5], strict=True):
                assert torch.equal(ours, theirs[rank::size])


def digest(model: GPT) -> str:
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest()


def go(folder: Path, name: str, world: World, until_step: int = STEPS, seed: int = 0, **more: Any) -> dict[str, Any]:
    """Train, or go on, up to a signal that the last process gets in the step before."""
    torch.set_num_threads(1)
    model, stream = small_model(0.0, share=world)
    losses: dict[int, float] = {}

    def log(step: int, values: Any) -> None:
        losses[step] = values["train/loss"]

    batch_of: Any = batches(stream)
    if until_step < STEPS and world.rank == world.size - 1:
        batch_of = before(until_step - 1, partial(signal.raise_signal, signal.SIGTERM), stream)
    ended = ""
    try:
        done = train(model, batch_of, plan(folder, STEPS, name, log=log, world=world, seed=seed, **more))
        ended = f"{done.tokens} tokens"
    except (Stopped, FloatingPointError) as error:
        ended = f"{type(error).__name__}: {error}"
    return {"losses": losses, "weights": digest(model), "ended": ended}


def spoiled(world: World) -> Any:
    """A loss that is not finite at the eighth step, in the second process only."""
    calls: list[int] = []

    def spoil(_: GPT, loss: Tensor) -> Tensor:
        calls.append(1)
        return loss * (float("nan") if world.rank == 1 and len(calls) == 8 else 1)

    return Changed(spoil)


def pair(folder: Path) -> None:
    """What each of two processes does."""
    world = join(torch.device("cpu"))
    seen: dict[str, Any] = {"bad": go(folder / "bad", "adamw", world, objective=spoiled(world))}
    for name in TOLERANCE:
        seen[f"{name}, one two one"] = go(folder / name / "one two one", name, world, 25)
        seen[f"{name}, two one"] = go(folder / name / "two one", name, world, 20)
    seen["adamw, parts"] = go(folder / "parts", "adamw", world, micro_batches=3)
    (folder / f"{world.rank}.json").write_text(json.dumps(seen))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Per kind of run: the loss of every step, and what two processes said of theirs."""
    folder = tmp_path_factory.mktemp("worlds")
    curves: dict[str, Any] = {}
    for name in TOLERANCE:
        curves[f"{name}, one"] = go(folder / name / "one", name, World())
        curves[f"{name}, one two one"] = go(folder / name / "one two one", name, World(), 10)
    children = group(2, pair, folder)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    for key in ranks[0]:
        earlier = curves.get(key, {"losses": {}})["losses"]
        curves[key] = ranks[0][key] | {"losses": earlier | {int(k): v for k, v in ranks[0][key]["losses"].items()}}
    for name in TOLERANCE:
        for key in ("one two one", "two one"):
            last = go(folder / name / key, name, World())
            curves[f"{name}, {key}"] = last | {"losses": curves[f"{name}, {key}"]["losses"] | last["losses"]}
    return {"curves": curves, "ranks": ranks, "folder": folder}


def distance(one: dict[int, float], other: dict[int, float]) -> float:
    """The largest relative difference of two loss curves."""
    assert list(one) == list(other) == list(range(1, STEPS + 1))
    return max(abs(one[step] - other[step]) / other[step] for step in other)


@pytest.mark.parametrize("name", TOLERANCE)
@pytest.mark.parametrize("worlds", ["one two one", "two one"])
def test_the_loss_curve_is_that_of_one_process(name: str, worlds: str, seen: dict[str, Any]) -> None:
    curves = seen["curves"]
    found = distance(curves[f"{name}, {worlds}"]["losses"], curves[f"{name}, one"]["losses"])
    print(f"{name}, {worlds}: {found:.1e}")
    assert found < TOLERANCE[name]
    assert curves[f"{name}, {worlds}"]["ended"] == curves[f"{name}, one"]["ended"]  # as many tokens


def test_micro_batches_divide_each_share(seen: dict[str, Any]) -> None:
    """Three parts of eight games, in each of two processes."""
    whole, parts = (seen["curves"][f"adamw, {key}"] for key in ("one", "parts"))
    assert distance(parts["losses"], whole["losses"]) < TOLERANCE["adamw"]
    assert parts["ended"] == whole["ended"]


def test_other_data_would_be_seen(tmp_path: Path, seen: dict[str, Any]) -> None:
    """The control: half of each batch, as if the processes had not added up their gradients."""
    torch.set_num_threads(1)
    for name, tolerance in TOLERANCE.items():
        model, stream = small_model(0.0, share=(0, 2))
        losses: dict[int, float] = {}
        require_single_process = plan(
            tmp_path / name, STEPS, name, log=lambda s, v, losses=losses: losses.update({s: v["train/loss"]})
        )
        train(model, batches(stream), require_single_process)
        assert distance(losses, seen["curves"][f"{name}, one"]["losses"]) > 10 * tolerance


def test_all_processes_hold_the_same_weights_and_stop_together(seen: dict[str, Any]) -> None:
    """The signal reached one of them only; so did the loss that was not finite."""
    first, second = seen["ranks"]
    for key in first:
        assert first[key]["weights"] == second[key]["weights"]
        assert first[key]["ended"] == second[key]["ended"]
        assert second[key]["losses"] == {}  # it writes nothing
    assert (
        first["adamw, one two one"]["ended"] == "Stopped: stopped by SIGTERM after step 25; rerun the command to resume"
    )
    assert first["muon, two one"]["ended"].startswith("Stopped: stopped by SIGTERM after step 20")
    assert first["bad"]["ended"].startswith("FloatingPointError: the loss is nan at step 7")
    assert checkpoint.latest(seen["folder"] / "bad")[0].step == 7


def test_processes_that_see_other_checkpoints_are_refused(tmp_path: Path) -> None:
    """Machines that share no folder."""

    class Elsewhere(World):
        def broadcast(self, value: Any) -> Any:
            return 5

    model, stream = small_model()
    with pytest.raises(checkpoint.CheckpointError, match="step 0 here, 5 in the first process"):
        train(model, batches(stream), plan(tmp_path, world=Elsewhere()))


CALL = [
    "+experiment=naive", *TINY, "device.precision=fp32", "data.games=3200", "evaluation.log_every=1", "run=run"
]  # fmt: skip


def test_a_batch_that_cannot_be_shared_is_one_line(tmp_path: Path) -> None:
    children = group(2, script, "train", tmp_path, *CALL, "data.batch_size=9")
    assert [child.wait() for child in children] == [2, 2]
    errors = [line for child in children for line in child.errors]
    assert errors == ["error: data.batch_size: 9 games cannot be shared evenly by 2 processes"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["probe", "transfer"])
def test_other_commands_refuse_several_processes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(monkeypatch, name, "run=run") == 2
    assert capsys.readouterr().err == "error: torchrun: only scripts/train.py runs in several processes\n"


TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def again(folder: Path) -> str:
    """Two processes once more, quickly; what they print."""
    children = group(2, script, "train", folder, *CALL)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    return children[0].text + children[1].text


def again_by_torchrun(folder: Path) -> str:
    command = Command("train", folder, *CALL, launcher=TORCHRUN)
    assert command.wait() == 0, command.text
    return command.text


@pytest.mark.parametrize("repeat", [again, pytest.param(again_by_torchrun, marks=pytest.mark.slow)])
def test_torchrun_is_stopped_and_goes_on(
    repeat: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user types it. One process alone writes: no line stands there twice, and one speaks."""
    (tmp_path / "two").mkdir()
    folder = RunDir(tmp_path / "two" / "run")
    first = Command("train", tmp_path / "two", *CALL, launcher=TORCHRUN)
    until(lambda: len(folder.read_metrics()) > 5, first)
    first.signal(signal.SIGTERM)
    assert first.wait() != 0
    assert first.text.count("error: stopped by SIGTERM after step") == 1, first.text
    stopped = checkpoint.latest(folder.checkpoints)[0].step
    assert 0 < stopped < 100
    assert repeat(tmp_path / "two").count("done: ") == 1
    assert (folder.path / "log.txt").read_text().count(f"going on after step {stopped} of 100") == 1
    assert folder.read_status()["status"] == "ok"
    assert folder.read_results()["processes"] == 2
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *CALL) == 0
    two, one = (losses(run) for run in (folder, RunDir(tmp_path / "run")))
    assert [step for step, _ in two] == [step for step, _ in one] == list(range(1, 101))
    assert max(abs(a - b) / b for (_, a), (_, b) in zip(two, one, strict=True)) < TOLERANCE["muon"]


def nodes(folder: Path, port: int) -> list[Command]:
    """Two machines of two processes each, all on this one."""
    how = [
        "--nnodes=2",
        "--nproc-per-node=2",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint=127.0.0.1:{port}",
        "--rdzv-id=run",
    ]
    launcher = [sys.executable, "-m", "torch.distributed.run", *how]
    return [Command("train", folder, *CALL, "checkpoint_every=0.1", launcher=launcher) for _ in range(2)]


@pytest.mark.slow
def test_a_machine_is_lost_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """One of two is killed, processes and all; the other ends by itself, and both together go on from the checkpoint."""
    folder = RunDir(tmp_path / "run")
    first, second = nodes(tmp_path, free_port())
    until(lambda: list(folder.checkpoints.glob("step-*/*.json")), first)
    second.kill_all()
    assert first.wait() != 0
    kept = checkpoint.latest(folder.checkpoints)[0].step
    assert 0 < kept < 100
    both = nodes(tmp_path, free_port())
    assert [node.wait() for node in both] == [0, 0], both[0].text + both[1].text
    results = folder.read_results()
    assert (results["processes"], folder.read_status()["status"]) == (4, "ok")
    assert [step for step, _ in losses(folder)] == list(range(1, 101))
    assert f"going on after step {kept} of 100" in (folder.path / "log.txt").read_text()


def losses(run: RunDir) -> list[tuple[int, float]]:
    return [(line["step"], line["train/loss"]) for line in run.read_metrics() if "train/loss" in line]
