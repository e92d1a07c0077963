"""results/zoo: trained models to touch, in half precision: python -m studies.zoo RUN NAME.

``mothello.load_run("zoo:NAME")`` opens one in a checkout; every command takes run=zoo:NAME. A folder is a run without
what a training goes on from: the final weights as a kept step, its measures, and the probes that they fitted.
"""

import re
import shutil
import sys
from pathlib import Path

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save_file

from mothello.errors import UserError
from mothello.files import whole_folder
from mothello.measures.probes.kept import FILE
from mothello.rundir import RunDir
from mothello.stages.find import ZOO, find_run
from mothello.training import checkpoint
from studies.gather import left_out

LARGEST = 16e6
"""Bytes of all models together."""


def add(path: str | Path, name: str, zoo: Path = ZOO) -> Path:
    """Copy a finished run to the zoo; returns the folder. UserError where it is not finished, or the name is taken."""
    run = RunDir(find_run(path))
    if not run.finished:
        raise UserError(f"run: {run.path} is not finished")
    if (zoo / name).exists():
        raise UserError(f"name: {zoo / name} exists; choose another one")
    newest, _ = checkpoint.latest(run.checkpoints)
    with whole_folder(zoo / name) as part:
        shutil.copytree(run.path, part, ignore=left_out, dirs_exist_ok=True)
        for config in part.rglob("config.yaml"):  # where it was made is of no use to others
            config.write_text(re.sub(r"^runs: .*$", "runs: results/zoo", config.read_text(), flags=re.M))
        for config in part.rglob("measures/*/config.yaml"):
            told = yaml.safe_load(config.read_text())
            config.write_text(yaml.safe_dump(told | {"run": f"results/zoo/{name}"}, sort_keys=False))
        checkpoint.keep(RunDir(part).checkpoints, newest, whole=False)
        for file in run.path.glob(f"measures/*/{FILE}"):
            halve(file, part / file.relative_to(run.path))
    return zoo / name


def halve(source: Path, target: Path) -> None:
    """Copy probes with their matrices in half precision."""
    with safe_open(source, "pt") as file:
        tensors, header = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    halves = {
        name: x.half() if name not in ("mean", "scale") and x.dtype == torch.float32 else x
        for name, x in tensors.items()
    }
    save_file(halves, target, header)


if __name__ == "__main__":
    print(add(sys.argv[1], sys.argv[2]))
