"""Proves: the first twenty losses of every regime are the ones stored in tests/golden: within 1e-3 anywhere, to the last bit
where torch and CPU are the same. Negative controls: a change of rate, initialisation, order or loss is far outside of that.

Every setting is named here, so that no default and no file of configs/ matters. A change that is meant to move numbers:
``pytest tests/training/test_golden.py --rewrite-golden``, and a line in the log of the commit that says why.
"""

import copy
import hashlib
import json
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mothello.cli.train import train as pretrain
from mothello.config import plain, typed
from mothello.data.split import Split
from mothello.data.stream import Stream
from mothello.model.build import build_model
from mothello.model.transformer import GPT
from mothello.objectives.combined import build_objective
from mothello.rundir import RunDir
from mothello.stages.build import games_of, language_set_of
from mothello.stages.folders import identity
from mothello.stages.pretrain import TrainConfig
from mothello.training import muon
from mothello.training.loop import train
from mothello.training.plan import Plan

FOLDER = Path(__file__).parents[1] / "golden"
TOLERANCE = 1e-3
Settings = dict[str, Any]

BASE: Settings = {
    "seed": 0,
    "board": {"size": 6, "prefix": []},
    "languages": {
        "kinds": ["atomic*2"], "names": [], "vocabulary_seed": 0, "longest_word": 3, "output": "own",
        "anchors": {"count": 0, "placement": "off", "moves": [], "groups": [], "links": [], "sharing": "move", "image": "identity"},
    },
    "model": {
        "n_layer": 2, "n_head": 2, "d_model": 32, "dropout": 0.0, "tied": False, "norm": "layer", "activation": "gelu",
        "bias": True, "qk_norm": False, "zero_init": False, "attention": "explicit",
    },
    "data": {
        "games": 640, "epochs": 1.0, "batch_size": 32, "corpus_seed": 0, "prefix": [], "domains": {}, "domain_of": {},
        "language_sampling": {"pairing": "drawn", "shares": [], "alpha": 1.0},
    },
    "objective": {"name": "causal_lm", "targets": "sampled"},
    "optimizer": {
        "name": "muon", "lr": 0.02, "muon_lr": 0.05, "beta_1": 0.9, "beta_2": 0.95, "weight_decay": 0.1, "max_grad_norm": 1.0,
        "warmup_fraction": 0.05, "final_lr_fraction": 0.1, "decay": "linear",
    },
}  # fmt: skip
ADAMW = {"name": "adamw", "lr": 2e-3, "muon_lr": 0.01, "final_lr_fraction": 0.0, "decay": "cosine"}
HOW = {
    "evaluation": {"games": 2, "times": 1, "log_every": 1},
    "device": {
        "name": "cpu",
        "precision": "fp32",
        "threads": 1,
        "compile": "never",
        "cuda_graphs": False,
        "micro_batch_size": 0,
    },
    "tracking": {"wandb": False},
    "checkpoint_every": 0,
}
MIX = ["atomic*2", "split", "compositional"]


def changed(**parts: Settings) -> Settings:
    """The base with some settings changed."""
    result = copy.deepcopy(BASE)
    for key, value in parts.items():
        for name, inner in value.items():
            assert name in result[key]
            result[key][name] = result[key][name] | inner if isinstance(inner, dict) else inner
    return result


REGIMES: dict[str, Settings] = {
    "naive": changed(),
    "anchor": changed(languages={"anchors": {"count": 4}}),
    "unified": changed(languages={"output": "unified"}),
    "prefix": changed(data={"prefix": ["c2", "b2", "a2"]}),
    "expected": changed(objective={"targets": "expected"}),
    "mix": changed(languages={"kinds": MIX, "anchors": {"count": 4}}),
    "expected mix": changed(languages={"kinds": MIX, "anchors": {"count": 4}}, objective={"targets": "expected"}),
    "fine-tuning": changed(optimizer=ADAMW),
    "fine-tuning mix": changed(languages={"kinds": MIX}, optimizer=ADAMW),
}


def config_of(settings: Settings, folder: Path) -> TrainConfig:
    return typed(settings | HOW | {"run": str(folder / "run")}, TrainConfig)


def pretrained(settings: Settings, folder: Path) -> list[float]:
    """Losses of scripts/train.py."""
    pretrain(config_of(settings, folder))
    return [line["train/loss"] for line in RunDir(folder / "run").read_metrics() if "train/loss" in line]


def fine_tuned(settings: Settings, folder: Path) -> list[float]:
    """Losses of a fresh model of another seed on the games of fine-tuning, all in the last language."""
    config = config_of(settings, folder)
    language_set, losses = language_set_of(config), []
    model = build_model(config.model, language_set).initialize(1)
    plan = Plan(
        steps=config.data.steps, objective=build_objective(config.objective), optimizer=config.optimizer,
        precision=config.device.precision, seed=config.seed, folder=folder / "checkpoints",
        log=lambda _, values: losses.append(values["train/loss"]), log_every=1, checkpoint_every=0,
    )  # fmt: skip
    games = games_of(config.data, language_set, Split.transfer, config.data.games)
    stream = Stream(games, language_set, config.data, config.seed)
    train(model, partial(plan.objective.batch, stream.speaking(len(language_set.names) - 1)), plan)
    return losses


def curve(name: str, settings: Settings, folder: Path) -> list[float]:
    torch.set_num_threads(1)
    return (fine_tuned if name.startswith("fine-tuning") else pretrained)(settings, folder)


def machine() -> dict[str, str]:
    """What decides the last bit: torch, and the CPU with its instructions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kernels = torch.backends.cpu.get_cpu_capability()
    return {
        "torch": torch.__version__,
        "cpu": f"{model or platform.processor()}, {kernels}, {hashlib.sha256(flags.encode()).hexdigest()[:8]}",
    }


def path_of(name: str) -> Path:
    return FOLDER / f"{name.replace(' ', '-')}.json"


def deviation(losses: list[float], expected: list[float]) -> float:
    """The largest relative difference."""
    assert len(losses) == len(expected) == 20
    return max(abs(a - b) / b for a, b in zip(losses, expected, strict=True))


@pytest.mark.parametrize("name", REGIMES)
def test_the_losses_are_the_stored_ones(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muon, "has_bf16", lambda _: True)  # the rounding of the stored curves, on any machine
    losses = curve(name, REGIMES[name], tmp_path)
    if request.config.getoption("rewrite_golden"):
        FOLDER.mkdir(exist_ok=True)
        path_of(name).write_text(json.dumps(machine() | {"losses": losses}, indent=1) + "\n")
    stored = json.loads(path_of(name).read_text())
    assert deviation(losses, stored["losses"]) < TOLERANCE
    if machine() == {key: stored[key] for key in ("torch", "cpu")}:
        assert losses == stored["losses"]


def test_every_setting_is_named(tmp_path: Path) -> None:
    """A new setting that determines numbers is named here too, with the value that leaves the curves as they are."""
    needed = set(leaves(identity(config_of(BASE, tmp_path)))) - {"generator_version"}
    assert needed <= set(leaves(BASE))
    assert set(leaves(plain(config_of(BASE, tmp_path))["device"])) <= set(leaves(HOW["device"]))


def leaves(content: Settings, prefix: str = "") -> list[str]:
    return [
        leaf
        for key, value in content.items()
        for leaf in (leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [prefix + key])
    ]


def test_every_stored_curve_is_of_a_regime() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {path_of(name).name for name in REGIMES}


def scaled(whole: Callable[[GPT, int], GPT]) -> Callable[[GPT, int], GPT]:
    """An initialisation that is five hundredths larger."""

    def initialize(model: GPT, seed: int) -> GPT:
        with torch.no_grad():
            for weights in whole(model, seed).parameters():
                weights.mul_(1.05)
        return model

    return initialize


def in_order(position: Tensor, size: int, seed: int) -> Tensor:
    return position


CHANGES: dict[str, dict[str, Settings]] = {
    "rate": {"optimizer": {"lr": 0.024}},
    "rate of matrices": {"optimizer": {"muon_lr": 0.06}},
    "decay": {"optimizer": {"weight_decay": 0.3}},
    "momentum": {"optimizer": {"beta_1": 0.8}},
    "shape": {"optimizer": {"decay": "cosine"}},
    "games": {"data": {"corpus_seed": 1}},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen(name: str, tmp_path: Path) -> None:
    losses = pretrained(changed(**CHANGES[name]), tmp_path)
    assert deviation(losses, json.loads(path_of("naive").read_text())["losses"]) > 2 * TOLERANCE


@pytest.mark.parametrize(
    ("where", "other"),
    [
        ("mothello.model.transformer.GPT.initialize", scaled(GPT.initialize)),
        ("mothello.data.stream.permute", in_order),
    ],
)
def test_another_initialisation_or_order_is_seen(
    where: str, other: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, other)
    losses = pretrained(BASE, tmp_path)
    assert deviation(losses, json.loads(path_of("naive").read_text())["losses"]) > 2 * TOLERANCE
