"""Run folders of earlier versions -> today's keys and folder names: python results/migrate.py FOLDER [FOLDER ...].

Run folders are named by the hash of what differs from the defaults; before, the hash covered every key. Folders that
are in today's form already are left as they are, so the script may be run twice.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from mothello.cli.measure import MeasureCommand
from mothello.cli.probe import ProbeCommand
from mothello.config import typed
from mothello.files import fingerprint
from mothello.rundir import RunDir
from mothello.stages.finetune import TransferCommand
from mothello.stages.folders import identity, transfer_identity
from mothello.stages.pretrain import TrainConfig

OPTIMIZER = {
    "matrix_lr": "muon_lr", "clip": "max_grad_norm", "warmup": "warmup_fraction", "final_lr": "final_lr_fraction",
    "shape": "decay",
}  # fmt: skip
DATA = {"draw": "language_sampling", "speaks": "domain_of"}
PROBE = {"checks": "evaluations", "penalty": "l2"}
TRANSFER = {"along": "track_retrieval", "alignment": "probe_before_and_after"}
RENAMED = {"optimizer": OPTIMIZER, "data": DATA, "probe": PROBE, "transfer": TRANSFER}


def renamed(content: dict[str, Any]) -> dict[str, Any]:
    """A config with today's keys."""
    found = {}
    for name, value in content.items():
        if isinstance(value, dict):
            keys = RENAMED.get(name, {})
            value = renamed({keys.get(key, key): inner for key, inner in value.items()})
        found[name] = value
    return found


def rewrite(folder: RunDir) -> dict[str, Any]:
    """Give config.yaml today's keys; returns it."""
    content = renamed(folder.read_config())
    (folder.path / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return content


def settings(content: dict[str, Any], schema: type) -> Any:
    """The typed config of a folder."""
    return typed({key: value for key, value in content.items() if key not in ("generator_version", "from")}, schema)


def migrate_inside(run: Path) -> None:
    """The measures and fine-tunings of one run."""
    for kind, schema in (("probe", ProbeCommand), ("states", MeasureCommand)):
        for path in sorted(run.glob(f"measures/{kind}-*")):
            config = settings(rewrite(RunDir(path)), schema)
            path.rename(path.parent / f"{kind}-{fingerprint(identity(config))}")
    for path in sorted(run.glob("transfer/*")):
        config = settings(rewrite(RunDir(path)), TransferCommand)
        if (path / "scratch" / "config.yaml").exists():
            rewrite(RunDir(path / "scratch"))
        path.rename(path.parent / f"{path.name.rpartition('-')[0]}-{fingerprint(transfer_identity(config))}")


def migrate(run: Path) -> None:
    """One run folder NAME/HASH/seedN."""
    config = settings(rewrite(RunDir(run)), TrainConfig)
    migrate_inside(run)
    name = fingerprint(identity(config))
    folder = RunDir(run)
    results = folder.read_json("results.json")
    if results:
        folder.write_json("results.json", results | {"identity": name})
    target = run.parent.parent / name / run.name
    if target != run:
        target.parent.mkdir(exist_ok=True)
        run.rename(target)
        if not any(run.parent.iterdir()):
            run.parent.rmdir()


if __name__ == "__main__":
    for top in sys.argv[1:]:
        for config in sorted(Path(top).glob("**/seed*/config.yaml")):
            migrate(config.parent)
