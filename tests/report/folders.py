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


def names(count: int) -> list[str]:
    return [f"atomic_{i}" for i in range(count)]


def config(name: str, seed: int, **languages: Any) -> dict[str, Any]:
    anchors = {"count": languages.pop("count", 0), "placement": "off", "moves": []}
    return {
        "name": name,
        "board": {"size": 4, "prefix": []},
        "languages": {"kinds": ["atomic*2"], "output": "own", "anchors": anchors} | languages,
        "model": {"n_layer": 2, "d_model": 16},
        "data": {"games": 1000, "batch_size": 10, "prefix": []},
        "seed": seed,
    }


def _named(languages: list[str], row: dict[str, float]) -> dict[str, float]:
    return {f"val/{name}/{key}": value for name in languages for key, value in row.items()}


def _scores(languages: list[str], top1: float) -> dict[str, float]:
    row = {
        "top1": top1, "top1_standard_error": 0.004, "lenient": top1 + 0.05, "mass": 0.6, "wrong_language": 0.01,
        "malformed": 0.0, "chance": 0.4, "loss": 1.9, "floor": 1.5, "excess_nats": 0.4,
    }  # fmt: skip
    return {f"val/{key}": v for key, v in row.items()} | _named(languages, row)


def write(folder: RunDir, kind: str, content: dict[str, Any], status: str = "ok") -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    whole = {"version": 1, "kind": kind, "environment": ENVIRONMENT} | content
    (folder.path / "results.json").write_text(json.dumps(whole))
    folder.write_status(status)


def add_run(
    root: Path,
    name: str = "naive",
    seed: int = 0,
    languages: int = 2,
    top1: float = 0.9,
    identity: str = "",
    **more: Any,
) -> RunDir:
    """A finished run; ``more`` goes into config.languages (output, count)."""
    spoken = names(languages)
    identity = identity or f"{name}-id"
    folder = RunDir(root / name / identity / f"seed{seed}")
    results = {
        "identity": identity,
        "final": _scores(spoken, top1),
        "by_ply": {n: [1.0, 0.9, 0.8, None] for n in spoken},
        "languages": [{"name": n, "kind": "atomic"} for n in spoken],
        "board": "4x4", "parameters": 1234, "steps": 100, "games": 1000, "seconds": 90.0, "device": "cpu", "threads": 2,
    }  # fmt: skip
    write(folder, "train", results)
    folder.write_config(config(name, seed, **more))
    for step, value in ((0, 0.1), (50, 0.7), (100, top1)):
        folder.append_metrics(step, {"train/loss": 2.0 - step / 200})
        folder.append_metrics(step, _scores(spoken, value))
    return folder


def add_probe(
    folder: RunDir, own: float, cross: float, constant: float = 0.6, random: float = 0.62, null: float = 0.5,
    languages: int = 2, best: float | None = None, games: int = 100, causal: bool = False,
) -> None:  # fmt: skip
    """A probe measurement: accuracy ``own`` on the diagonal and ``cross`` off it, ``best`` under the map "main"."""
    spoken, layers = names(languages), 3
    accuracy = np.full((2, 2, layers, languages, languages, 4), 0.45)
    accuracy[..., 0] = cross
    accuracy[..., 2] = cross - 0.05 if best is None else best
    accuracy[..., range(languages), range(languages), :] = [own, 0.4, 0.4, 0.4]
    head: dict[str, Any] = {"layer": 1, "own": own, "constant": constant, "random_weights": random, "shuffled": 0.5}
    if languages > 1:
        top = max(cross, best or 0)
        language_set = list(range(languages)) if top <= max(null, constant) else [0] * languages
        classes = {"family": language_set, "map": [0] * languages, "order": list(range(languages)), "consistency": 1.0}
        head |= {"cross": cross, "cross_best_map": top, "loss_across": own - cross, "null_mean": null - 0.01}
        pairs, winner = languages * (languages - 1), "main" if (best or 0) > cross else "identity"
        counted = pairs if top > max(null, constant) else 0
        head |= {"pairs": pairs, "aligned_pairs": counted, "maps": dict.fromkeys(MAPS, 0) | {winner: counted}}
        head |= {"classes": classes, "whole_board": 0.1}
    truth = [1, 1, 1, 1, 1, 0, 2, 1, 1, 2, 2, 2, 1, 1, 1, 1]
    example = {
        "game": "d3", "ply": 1, "layer": 1, "probe": "mlp", "source": spoken[0], "truth": truth,
        "readings": {n: [2, *truth[1:]] for n in spoken[:2]},
    }  # fmt: skip
    content = {
        "axes": {
            "probe": ["linear", "mlp"], "target": ["absolute", "relative"], "layer": list(range(layers)),
            "source": spoken, "language": spoken, "map": MAPS,
        },
        "board": "4x4", "games": games, "constant": {"absolute": constant, "relative": constant},
        "image_agreement": dict.fromkeys(("absolute", "relative"), AGREEMENT),
        "headline": {f"{p}/{t}": head for p in ("linear", "mlp") for t in ("absolute", "relative")},
        "examples": [example],
    }  # fmt: skip
    inner = RunDir(folder.path / "measures" / f"probe-{games:08d}")
    write(inner, "probe", content)
    inner.write_config({"probe": {"games": 10 * games}})
    edits = causal_rows(languages) if causal else []
    write_tidy(inner.path, probe_rows(accuracy, spoken, constant, random, null, games) + edits)


def probe_rows(
    accuracy: np.ndarray, spoken: list[str], constant: float, random: float, null: float, games: int
) -> list[dict[str, Any]]:
    """The tidy table of accuracies [probe, target, layer, source, language, map]."""
    rows: list[dict[str, Any]] = []
    for p, t, layer, source, language in np.ndindex(accuracy.shape[:-1]):
        values = accuracy[p, t, layer, source, language]
        head = {
            "measure": "probe", "probe": ["linear", "mlp"][p], "target": ["absolute", "relative"][t], "layer": layer,
            "source": spoken[source], "language": spoken[language], "n": games, "control": "trained",
        }  # fmt: skip
        for name, value in zip(MAPS, values.tolist(), strict=True):
            bounds = {"low": value - 0.004, "high": value + 0.004}
            rows.append(head | {"quantity": "accuracy", "map": name, "value": value} | bounds)
            rows.append(head | {"quantity": "accuracy", "map": name, "value": random, "control": "random_weights"})
        rows.append(head | {"quantity": "null_95", "value": null})
        best = MAPS[int(values.argmax())]
        rows.append(head | {"quantity": "aligned", "map": best, "value": float(values.max() > max(null, constant))})
    return rows


TUNING = {"data": {"games": 640}, "optimizer": {"name": "adamw", "lr": 0.0005}, "evaluation": {"games": 64}}


def add_transfer(folder: RunDir, languages: int = 2) -> None:
    """The first language goes from .5 to .9, the others from .5 to .7 by way of .8; aligned before and after."""
    spoken = names(languages)
    curves: dict[str, Any] = {n: [0.5, 0.8, 0.7] for n in spoken} | {spoken[0]: [0.5, 0.8, 0.9], "step": [0, 5, 10]}
    summary = {
        n: {"before": c[0], "after": c[-1], "peak": max(c), "gain": c[-1] - c[0], "gain_ratio": 0.5}
        for n, c in curves.items()
        if n != "step"
    }
    head = {
        "headline": {"mlp/absolute": {"layer": 1, "own": 0.8, "cross": 0.7, "cross_best_map": 0.7, "constant": 0.6}}
    }
    inner = RunDir(folder.path / "transfer" / f"{spoken[0]}-0123abcd")
    content = {
        "source": spoken[0], "languages": spoken, "board": "4x4", "games": 640, "seconds": 5.0, "curves": curves,
        "summary": summary, "alignment": {"before": head, "after": head},
    }  # fmt: skip
    write(inner, "transfer", content)
    inner.write_config({"transfer": TUNING})
    for i, step in enumerate((0, 5, 10)):
        row: dict[str, Any] = {"step": step, "val/top1": 0.7}
        for n in spoken:
            row |= {f"val/{n}/lenient": 0.6 + step / 100, f"val/{n}/top1": curves[n][i]}
            row |= {f"val/{n}/top1_restricted": curves[n][i] + 0.05, f"val/{n}/wrong_language": 0.1}
        inner.append_metrics(row["step"], row)


def add_states(
    folder: RunDir, near: float = 0.4, top1: float = 0.9, languages: int = 2, strict: tuple[float, ...] = ()
) -> None:
    """Exact legality and alignment without probes; every quantity of the trained model is ``near`` at layer 1. strict: of
    every language, for results.json."""
    spoken, rows = names(languages), list[dict[str, Any]]()
    for name in spoken:
        for quantity in ("top1", "top1_restricted", "lenient", "mass", "mass_own_tokens", "mass_any_move"):
            rows.append(
                {"measure": "legality", "quantity": quantity, "control": "trained", "language": name, "value": top1}
            )
        rows.append({"measure": "legality", "quantity": "top1", "control": "chance", "language": name, "value": 0.4})
        rows.append(
            {"measure": "legality", "quantity": "top1", "control": "trained", "language": name, "ply": 1, "value": 0}
        )
    rows.append({"measure": "alignment", "quantity": "retrieval_same_ply", "control": "chance", "value": 0.03})
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
    inner = RunDir(folder.path / "measures" / "states-00000001")
    legality = {name: {"top1": x, "lenient": x + 0.01, "chance": 0.4} for name, x in zip(spoken, strict, strict=False)}
    write(inner, "states", {"legality": legality, "states": {}, "games": 100})
    write_tidy(inner.path, rows)


def causal_rows(languages: int = 2) -> list[dict[str, Any]]:
    """Interventions: 1 error within a language, 2 across, 3 in random directions, 4 without; patching likewise."""
    spoken, rows = names(languages), list[dict[str, Any]]()
    for measure, quantity in (
        ("causal", "flip_error"), ("causal", "erase_error"), ("patching", "patch_last_error"),
        ("patching", "patch_all_error"),
    ):  # fmt: skip
        for language in spoken:
            head = {"measure": measure, "quantity": quantity, "language": language}
            rows += [head | {"control": "null", "value": 4.0}, head | {"control": "floor", "value": 0.5}]
            for source in spoken:
                for layer in range(3):
                    value = 1.0 if source == language else 2.0
                    here = head | {"source": source, "layer": layer, "map": "identity"}
                    rows += [here | {"control": "trained", "value": value}, here | {"control": "random", "value": 3.0}]
    return rows
