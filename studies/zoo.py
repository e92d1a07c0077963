"""results/zoo: trained models to touch, in half precision: python -m studies.zoo RUN NAME [STEP ...].

``mothello.load_run("zoo:NAME")`` opens one in a checkout; every command takes run=zoo:NAME. A folder is a run without
what a training goes on from: the final weights as a kept step, with those of the named steps along the way, its
measures, and of the probes that they fitted those that the pages read first. results/zoo/README.md says what they are;
a new one needs a line of zoo.yaml.
"""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from mothello.errors import UserError
from mothello.files import whole_folder, write_whole
from mothello.measures.probes.kept import FILE
from mothello.report.runs import Run, find_runs
from mothello.rundir import RunDir, step_of
from mothello.stages.continued import STAGES
from mothello.stages.find import ZOO, find_run
from mothello.training import checkpoint
from studies import FOLDER
from studies.copies import left_out
from studies.first import Column, First, number
from studies.numbers import decimal
from studies.runs import headline_of
from studies.templates import filled

WORDS: dict[str, str] = yaml.safe_load((FOLDER / "zoo.yaml").read_text())
"""Name -> what the model is an example of."""
LARGEST = 16e6
"""Bytes of all models together."""
STATISTICS = ("mean", "scale")
"""Of states, by which probes divide: they stay in full precision."""
READ_FIRST = ("mlp", "absolute")
"""The probe and its target that pages read first, kept at the layer that they read; nine tenths of a folder would be
probes with the others."""


def add(path: str | Path, name: str, steps: Sequence[int] = (), zoo: Path = ZOO) -> Path:
    """Copy a finished run to the zoo; returns the folder. steps: kept ones to copy, too. UserError where it is not
    finished, keeps no such step, or the name is taken."""
    run = RunDir(find_run(path))
    if not run.finished:
        raise UserError(f"run: {run.path} is not finished")
    if (zoo / name).exists():
        raise UserError(f"name: {zoo / name} exists; choose another one")
    kept = [checkpoint.read(checkpoint.of_step(run, step), weights_alone=True) for step in steps]
    kept.append(checkpoint.latest(run.checkpoints)[0])
    with whole_folder(zoo / name) as part:
        shutil.copytree(run.path, part, ignore=partial(_not_kept, steps), dirs_exist_ok=True)
        for config in part.rglob("config.yaml"):  # where it was made is of no use to others
            config.write_text(re.sub(r"^runs: .*$", "runs: results/zoo", config.read_text(), flags=re.M))
        for config in part.rglob("measures/*/config.yaml"):
            told = yaml.safe_load(config.read_text())
            config.write_text(yaml.safe_dump(told | {"run": f"results/zoo/{name}"}, sort_keys=False))
        for each in kept:
            checkpoint.keep(RunDir(part).checkpoints, each, whole=False)
        head = headline_of(find_runs([str(run.path)])[0])
        for file in run.path.glob(f"measures/*/{FILE}"):
            if (part / file.relative_to(run.path)).parent.is_dir():
                halve(file, part / file.relative_to(run.path), head and head.layer)
    return zoo / name


def _not_kept(steps: Sequence[int], folder: str, names: list[str]) -> set[str]:
    """What the zoo has no weights of: other steps, and models that go on from the run."""
    others = {name for name in names if "-step" in name and int(name.rpartition("-step")[2]) not in steps}
    return left_out(folder, names) | others | {*STAGES} & {*names}


def halve(source: Path, target: Path, layer: int | None) -> None:
    """Copy the probes that are READ_FIRST at a layer with their matrices in half precision; all of them, where these
    are not among them."""
    with safe_open(source, "pt") as file:
        tensors, header = {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["probes"])  # noqa: SIM118
    kind, wanted = READ_FIRST
    kinds, targets = header["config"]["probes"], header["targets"]
    if kind in kinds and wanted in targets and layer is not None:
        header |= {"targets": [wanted], "config": header["config"] | {"probes": [kind]}, "some_layers": [layer]}
        at, languages = (targets.index(wanted), slice(None), [layer]), len(header["languages"])
        some = {name: x[:, [layer]] for name, x in tensors.items() if name in STATISTICS}
        mine = {name: x for name, x in tensors.items() if name.startswith(f"{kind}.")}
        some |= {name: x.unflatten(0, (len(targets), languages, -1))[at].flatten(0, 1) for name, x in mine.items()}
        tensors = some
    halves = {name: (x if name in STATISTICS else x.half()).contiguous() for name, x in tensors.items()}
    save_file(halves, target, {"probes": json.dumps(header)})


def write_zoo(out: Path = ZOO) -> Path:
    """Write README.md of the zoo; returns its path. UserError where it is empty."""
    runs = {run.path.name: run for run in find_runs([str(out)])}
    names = [name for name in WORDS if name in runs]
    if not names:
        raise UserError(f"out: {out} holds no model that zoo.yaml names")
    size = sum(path.stat().st_size for path in out.glob("*/**/*") if path.is_file())
    text = filled("zoo.md.j2", names=names, rows=[_row(name, runs[name]) for name in names], size=size)
    write_whole(out / "README.md", text)
    return out / "README.md"


def _row(name: str, run: Run) -> dict[str, str]:
    """What a model is, and its numbers as they were measured."""
    languages = Counter(language["kind"] for language in run.results["languages"])
    head, steps = headline_of(run), sorted(step_of(path) for path in checkpoint.saved(RunDir(run.path).kept))
    right = [
        number(run.rows, "legality", Column("top1")),
        number(run.rows, "masked", Column("masked_accuracy", target="game")),
    ]
    return {
        "`zoo:`": f"`{name}`",
        "what it is": WORDS[name],
        "languages": ", ".join(f"{n} {kind}" for kind, n in languages.items()),
        "steps": ", ".join(f"{step:,}" for step in steps),
        "right": " ".join(decimal(x) for x in right if x is not None),
        "cells read: own": decimal(head and head.own),
        "other": decimal(head and head.across),
        "through the map": decimal(head and head.across_best_map),
        "verdict": First(name, run, head, None).verdict,
    }


if __name__ == "__main__":
    print(add(sys.argv[1], sys.argv[2], [int(step) for step in sys.argv[3:]]))
