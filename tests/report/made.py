"""Synthetic run folders of the form that the commands write, with numbers a test can know."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mothello.rows import write_tidy
from mothello.rundir import RunDir

MAPS = ["identity", "rot180", "main", "anti"]
ENVIRONMENT = {"commit": "abc123", "python": "3.11", "versions": {"mothello": "0.1.0", "torch": "2.13.0"}}
AGREEMENT = dict(zip(MAPS, (1, 0.474, 0.621, 0.578), strict=True))
Rows = list[dict[str, Any]]


def names(count: int) -> list[str]:
    return [f"atomic_{i}" for i in range(count)]


def config(name: str, seed: int, languages: int, **more: Any) -> dict[str, Any]:
    anchors = {key: more.pop(key) for key in ("count", "moves", "links") if key in more}
    targets = more.pop("targets", "")
    return {
        "stage": "pretrain",
        "name": name,
        "board": {"size": 4},
        "languages": {"kinds": [f"atomic*{languages}"], "output": "own", "anchors": anchors} | more,
        "model": {"n_layer": 2, "d_model": 16, "n_head": 2},
        "data": {"games": 1000, "batch_size": 10, "prefix": []},
        "seed": seed,
        **({"objective": {"name": "causal_lm", "targets": targets}} if targets else {}),
    }


def _scores(languages: list[str], top1: float) -> dict[str, float]:
    row = {
        "top1": top1, "lenient": top1 + 0.05, "mass": 0.6, "wrong_language": 0.01, "malformed": 0.0, "chance": 0.4,
        "loss": 1.9, "floor": 1.5, "excess_nats": 0.4,
    }  # fmt: skip
    return {f"val/{key}": v for key, v in row.items()} | {f"val/{n}/{k}": v for n in languages for k, v in row.items()}


def write(folder: RunDir, kind: str, content: dict[str, Any], status: str = "ok") -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    whole = {"version": 1, "kind": kind, "environment": ENVIRONMENT} | content
    (folder.path / "results.json").write_text(json.dumps(whole))
    folder.write_status(status)


def results(languages: list[str], top1: float, identity: str, games: int = 1000) -> dict[str, Any]:
    return {
        "identity": identity,
        "final": _scores(languages, top1),
        "by_ply": {n: [1.0, 0.9, 0.8, None] for n in languages},
        "languages": [{"name": n, "kind": "atomic"} for n in languages],
        "board": "4x4", "parameters": 1234, "steps": games // 10, "games": games, "seconds": 90.0, "device": "cpu",
        "threads": 2,
    }  # fmt: skip


def add_run(
    root: Path, name: str = "naive", seed: int = 0, languages: int = 2, top1: float = 0.9, identity: str = "",
    games: int = 1000, **more: Any,
) -> RunDir:  # fmt: skip
    """A finished run; ``more`` goes into config.languages (output), its anchors (count, moves, links), or says the targets."""
    spoken = names(languages)
    identity = identity or f"{name}-id"
    folder = RunDir(root / name / identity / f"seed{seed}")
    write(folder, "train", results(spoken, top1, identity, games))
    folder.write_config(config(name, seed, languages, **more))
    steps = games // 10
    for step, value in ((0, 0.1), (steps // 2, 0.7), (steps, top1)):
        folder.append_metrics(step, {"train/loss": 2.0 - step / (2 * steps), "train/seconds": 1.2 * step})
        folder.append_metrics(step, _scores(spoken, value))
    return folder


def add_measure(folder: RunDir, name: str, rows: Rows, config: dict[str, Any], games: int = 100) -> RunDir:
    """A finished measure; its folder is named by its games."""
    inner = RunDir(folder.path / "measures" / f"{name}-{games:08d}")
    write(inner, "measure", {"games": games})
    inner.write_config({"run": str(folder.path), "measures": [name], name: {"name": name} | config})
    write_tidy(inner.path, rows)
    return inner


def add_probe(
    folder: RunDir, own: float, across: float, constant: float = 0.6, random: float = 0.62, orbit: float | None = None,
    languages: int = 2, best: float | None = None, games: int = 100, causal: bool = False, controls: bool = True,
    mixed: float | None = None,
) -> RunDir:  # fmt: skip
    """A probe measurement: accuracy ``own`` on the diagonal and ``across`` off it, ``best`` under the map "main".
    mixed: accuracy with a map for every cell, those of the first row at the identity and the others at main."""
    spoken, layers = names(languages), 3
    accuracy = np.full((2, 2, layers, languages, languages, 4), 0.45)
    accuracy[..., 0] = across
    accuracy[..., 2] = across - 0.05 if best is None else best
    accuracy[..., range(languages), range(languages), :] = [own, 0.4, 0.4, 0.4]
    rows = probe_rows(accuracy, spoken, constant, random, orbit, games)
    rows += domain_rows(spoken, mixed) if mixed is not None else []
    rows = [row for row in rows if controls or row["control"] not in ("random_weights", "shuffled")]
    settings = {"games": 10 * games, "probes": ["linear"], "random_weights": controls}
    inner = add_measure(folder, "probes", rows, settings, games)
    truth = [1, 1, 1, 1, 1, 0, 2, 1, 1, 2, 2, 2, 1, 1, 1, 1]
    example = {
        "game": "d3", "ply": 1, "layer": 1, "probe": "mlp", "source": spoken[0], "truth": truth,
        "readings": {n: [2, *truth[1:]] for n in spoken[:2]},
    }  # fmt: skip
    (inner.path / "examples.json").write_text(json.dumps([example]))
    if causal:
        add_measure(folder, "causal", causal_rows(languages), {})
    return inner


def probe_rows(
    accuracy: np.ndarray, spoken: list[str], constant: float, random: float, orbit: float | None, games: int
) -> Rows:
    """The rows of accuracies [probe, target, layer, source, language, map]."""
    rows: Rows = []
    for target in ("absolute", "relative"):
        head = {"measure": "probe", "quantity": "accuracy", "target": target}
        rows.append(head | {"control": "constant", "value": constant})
        rows += [head | {"control": "orbit", "value": orbit}] if orbit is not None else []
        rows += [head | {"control": "image", "map": name, "value": value} for name, value in AGREEMENT.items()]
    off = ~np.eye(len(spoken), dtype=bool)
    for p, t, layer in np.ndindex(accuracy.shape[:3]):
        values = accuracy[p, t, layer]
        place = {"probe": ["linear", "mlp"][p], "target": ["absolute", "relative"][t], "layer": layer}
        head = {"measure": "probe", "control": "trained"} | place
        own = float(values[..., 0].diagonal().mean())
        rows += [head | {"quantity": "own", "value": own}]
        rows += [
            head | {"quantity": "own", "control": c, "value": v}
            for c, v in (("random_weights", random), ("shuffled", 0.5))
        ]
        if len(spoken) > 1:
            across, best = float(values[..., 0][off].mean()), float(values.max(-1)[off].mean())
            means = {"across": across, "across_best_map": best, "loss_across": own - across}
            rows += [head | {"quantity": key, "value": value} for key, value in means.items()]
        for source, language in np.ndindex(values.shape[:2]):
            pair = head | {"source": spoken[source], "language": spoken[language], "n": games}
            for name, value in zip(MAPS, values[source, language].tolist(), strict=True):
                rows.append(pair | {"quantity": "accuracy", "map": name, "value": value})
            if source == language:
                rows.append(pair | {"quantity": "whole_board", "map": "identity", "value": 0.1})
    return rows


def domain_rows(spoken: list[str], mixed: float) -> Rows:
    """Of every pair, at the layer of the headline."""
    rows: Rows = []
    squares = [f"{column}{row}" for row in range(1, 5) for column in "abcd"]
    for source, language in ((a, b) for a in spoken for b in spoken if a != b):
        head = {
            "measure": "probe", "control": "trained", "probe": "mlp", "target": "absolute", "layer": 0,
            "source": source, "language": language,
        }  # fmt: skip
        rows += [head | {"quantity": "mixed", "value": mixed, "low": mixed - 0.01, "high": mixed + 0.01}]
        rows += [head | {"quantity": "mixed_gain", "map": "main", "value": 0.05, "low": 0.04, "high": 0.06}]
        shares = zip(MAPS, (0.25, 0, 0.75, 0), strict=True)
        rows += [head | {"quantity": "domain", "map": name, "value": share} for name, share in shares]
        own = {square: "identity" if square[1] == "1" else "main" for square in squares}
        rows += [head | {"quantity": "domain", "square": s, "map": name, "value": 0.9} for s, name in own.items()]
    return rows


TUNING = {"data": {"games": 640, "batch_size": 10}, "optimizer": {"name": "adamw", "lr": 0.0005}}


def add_finetuning(
    folder: RunDir, languages: int = 2, identity: str = "0123abcd", scratch: bool = False, answers: bool = False
) -> RunDir:
    """The first language goes from .5 to .9, the others from .5 to .7 by way of .8; probed before and after."""
    spoken = names(languages)
    source, child = spoken[0], RunDir(folder.path / "finetune" / f"{spoken[0]}-{identity}")
    write(child, "train", results(spoken, 0.7, identity, games=640))
    own = {
        "stage": "finetune",
        "parent": "../..",
        "settings": {"name": "finetune", "source": "", **TUNING, "openings": []},
    }
    child.write_config(folder.read_config() | own | TUNING | {"seed": 0, "from": {"step": 100, "steps": 100}})
    rows: Rows = []
    courses = {name: [0.5, 0.8, 0.9 if name == source else 0.7] for name in spoken}
    for index, step in enumerate((0, 5, 10)):
        child.append_metrics(step, {f"val/{name}/top1": courses[name][index] for name in spoken})
    for name, curve in courses.items():
        head = {"measure": "transfer", "source": source, "language": name}
        for step, value in zip((0, 5, 10), curve, strict=True):
            at = head | {"quantity": "top1", "step": step}
            rows += [at | {"control": "trained", "value": value}, at | {"control": "chance", "value": 0.4}]
            rows += [at | {"control": "trained", "opening": "d3 c3", "value": value - 0.1}]
            rows += [at | {"control": "scratch", "value": 0.3}] * scratch
        rows += [head | {"quantity": "peak", "control": "trained", "value": max(curve)}]
        rows += [head | {"quantity": "gain", "control": "trained", "value": curve[-1] - curve[0]}]
    for tokens, more in (("restricted", 0.05), ("translated", 0.1)) if answers else ():
        for row in [row for row in rows if row.get("quantity") == "top1" and row["control"] == "trained"]:
            rows.append(row | {"quantity": f"top1_{tokens}", "value": row["value"] + more})
        for name in spoken[1:]:
            head = {"measure": "transfer", "source": source, "language": name, "control": "trained"}
            rows.append(head | {"quantity": f"gain_ratio_{tokens}", "value": 0.5 + 2 * more})
            rows += [head | {"quantity": "gain_ratio", "value": 0.5}] * (tokens == "restricted")
    add_measure(child, "transfer", rows, {})
    for model, across in ((folder, 0.7), (child, 0.65)):
        add_probe(model, 0.8, across, languages=languages, games=10)
    return child


def add_states(folder: RunDir, near: float = 0.4, top1: float = 0.9, languages: int = 2) -> None:
    """Exact legality, and alignment without probes; every quantity of the trained model is ``near`` at layer 1."""
    spoken, rows = names(languages), Rows()
    for name in spoken:
        head = {"measure": "legality", "control": "trained", "language": name}
        rows += [head | {"quantity": q, "value": top1} for q in ("top1", "top1_restricted", "lenient", "mass")]
        rows += [head | {"quantity": "top1", "control": "chance", "value": 0.4}]
        rows += [head | {"quantity": "top1", "ply": 1, "value": 0}]
    add_measure(folder, "legality", rows, {"games": 100})
    rows = [{"measure": "alignment", "quantity": "retrieval_same_ply", "control": "chance", "value": 0.03}]
    for source, language in ((a, b) for a in spoken for b in spoken if a != b):
        pair = {"source": source, "language": language}
        for layer in range(3):
            for quantity in ("cosine", "cka_within_ply", "retrieval_same_ply", "retrieval_strong", "procrustes"):
                for control, value in (("trained", near if layer == 1 else 0.1), ("random_weights", 0.05)):
                    head = {"measure": "alignment", "quantity": quantity, "control": control, "layer": layer}
                    rows += [head | pair | {"map": m, "value": value * (1 if m == "identity" else 0.5)} for m in MAPS]
        for quantity in ("neighbours", "margin"):
            head = {"measure": "embedding", "quantity": quantity, "control": "trained", "layer": 0}
            rows += [head | pair | {"map": m, "value": near if m == "identity" else 2 * near} for m in MAPS]
    add_measure(folder, "alignment", rows, {})


def causal_rows(languages: int = 2) -> Rows:
    """Interventions: 1 error within a language, 2 across, 3 in random directions, 4 without; patching likewise."""
    spoken, rows = names(languages), Rows()
    for measure, quantity in (
        ("causal", "flip_error"), ("causal", "erase_error"), ("patching", "patch_last_error"),
        ("patching", "patch_all_error"),
    ):  # fmt: skip
        for language in spoken:
            head = {"measure": measure, "quantity": quantity, "language": language}
            rows += [head | {"control": "null", "value": 4.0}, head | {"control": "floor", "value": 0.5}]
            for source in spoken:
                for layer in range(3):
                    place = head | {"source": source, "layer": layer, "map": "identity"}
                    value = 1.0 if source == language else 2.0
                    rows += [
                        place | {"control": "trained", "value": value},
                        place | {"control": "random", "value": 3.0},
                    ]
    return rows
