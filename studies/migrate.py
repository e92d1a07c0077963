"""Run folders of earlier versions -> today's keys and folder names: python -m studies.migrate FOLDER [FOLDER ...].

A run folder's name is a hash of the settings that differ from the defaults; before, it was a hash of all settings.
Every measure has a folder of its own, and its numbers are rows; before, probe-HASH and states-HASH held two measures
each, and results.json held a second copy of some numbers. Folders in today's form are left as they are, so the script
may be run twice.
"""

import gzip
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mothello.config import plain, typed
from mothello.files import fingerprint
from mothello.measures.measure import folder_name
from mothello.measures.transfer.measure import TransferConfig
from mothello.rows import FILE, write_tidy
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.folders import identity, own_settings
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run
from studies.migrate_measures import DROPPED, migrate_measures

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
            keys: dict[str, str] = RENAMED.get(name, {})
            value = renamed({keys.get(str(key), str(key)): inner for key, inner in value.items()})
        found[name] = value
    return found


def rewrite(folder: RunDir) -> dict[str, Any]:
    """Give config.yaml today's keys; returns it."""
    content = renamed(folder.read_config())
    if isinstance(content.get("objective"), str):
        content["objective"] = {"name": content["objective"]}
    if "transfer" in content and "probe" in content:
        content = {{"probe": "probes"}.get(key, key): value for key, value in content.items()}
    (folder.path / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return content


def rename_masses(folder: Path) -> None:
    """Today's names of columns in metrics.jsonl and results.json of a stage, and in the table of a measure."""
    for name in ("metrics.jsonl", "results.json"):
        path = folder / name
        text = path.read_text() if path.exists() else ""
        if "first_token_mass" in text:
            path.write_text(text.replace("first_token_mass", "mass_first_token"))
    path = folder / FILE
    text = gzip.decompress(path.read_bytes()).decode() if path.exists() else ""
    if ",first_token_mass," in text:
        path.write_bytes(gzip.compress(text.replace(",first_token_mass,", ",mass_first_token,").encode(), mtime=0))


def settings(content: dict[str, Any], schema: type) -> Any:
    """The typed config of a folder."""
    return typed(own_settings(content), schema)


def migrate_inside(run: Path) -> None:
    """The measures of one run or fine-tuning."""
    rename_masses(run)
    for path in sorted(run.glob("measures/*-*")):
        rewrite(RunDir(path))
        rename_masses(path)
        migrate_measures(path)


class Tuning:
    """A fine-tuning of earlier versions: transfer/SOURCE-HASH, the control in scratch/, one table for everything."""

    def __init__(self, run: Path, config: TrainConfig, path: Path) -> None:
        self.run, self.old = RunDir(run), RunDir(path)
        content = rewrite(self.old)
        self.command, begun = settings(content, TransferCommand), content["from"]
        language_set = language_set_of(config)
        parent = Run(self.run, config, language_set.board, language_set, None, begun["step"])  # type: ignore[arg-type]
        self.stages = [Finetune(self.command.transfer, self.command, parent, scratch) for scratch in (False, True)]
        self.results, self.table = self.old.read_results(), pd.read_csv(path / FILE, dtype=str, keep_default_na=False)

    def migrate(self) -> None:
        """Into RUN/finetune, and the probes from before it into the run's measures."""
        child, control = self.stages
        for stage, old in ((child, self.old.path), (control, self.old.path / "scratch")):
            if old.exists():
                self.move(stage, RunDir(old))
        self.measure(child.folder.path / "measures" / folder_name(TransferConfig()), "transfer", "", {})
        own, all_seconds = self.seconds(self.old), self.results.get("seconds_all", 0)
        rest = all_seconds - own - (self.seconds(control.folder) if control.folder.path.exists() else 0)
        for when, folder in (("before", self.run), ("after", child.folder)):
            if when in self.results.get("alignment", {}):
                self.probes(when, folder, rest / 2)
        shutil.rmtree(self.old.path)
        if not any(self.old.path.parent.iterdir()):
            self.old.path.parent.rmdir()

    def seconds(self, folder: RunDir) -> float:
        """Of its training."""
        if folder is self.old:
            return float(self.results["seconds"])
        return float(max(line.get("train/seconds", 0) for line in folder.read_metrics()))

    def move(self, stage: Finetune, old: RunDir) -> None:
        """A folder of the form of a run."""
        new = stage.folder
        new.path.mkdir(parents=True)
        for name in ("status.json", "execution.json", "metrics.jsonl"):
            shutil.copyfile(old.path / name, new.path / name)
        (new.path / "config.yaml").write_text(yaml.safe_dump(stage.content(), sort_keys=False))
        last = [line for line in new.read_metrics() if "val/top1" in line][-1]
        kept = ("version", "environment", "board", "compiled", "device", "threads", "processes", "memory_gb", "torch")
        trained = self.run.read_json("results.json")
        new.write_json("results.json", {key: self.results[key] for key in kept if key in self.results} | {
            "kind": "train", "identity": fingerprint(stage.identity),
            "final": {key: value for key, value in last.items() if key.startswith("val/")},
            "floors": {name: {"nats": last[f"val/{name}/floor"]} for name in stage.language_set.names},
            "languages": trained["languages"], "parameters": trained["parameters"], "steps": int(last["step"]),
            "games": int(last["step"]) * stage.config.data.batch_size,
            "seconds": self.seconds(self.old if stage is self.stages[0] else new),
        })  # fmt: skip

    def measure(self, path: Path, measure: str, step: str, content: dict[str, Any]) -> None:
        """A measure's folder, with its rows of the table: those of a step, or with their steps."""
        kind, folder = path.name.partition("-")[0], RunDir(path)
        rows = self.table[(self.table.measure == measure) & ((self.table.step == step) | (step == ""))]
        path.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.old.path / "status.json", path / "status.json")
        rows = rows.assign(step="") if step else rows
        rows = rows[~rows.quantity.isin(DROPPED)]
        records = rows.to_dict("records")
        write_tidy(path, [{str(key): value for key, value in row.items() if value != ""} for row in records])
        about = {key: self.results[key] for key in ("version", "environment")}
        folder.write_json("results.json", about | {"kind": kind} | content)
        if measure == "transfer":
            config = {"measures": ["transfer"], "transfer": plain(TransferConfig())}
            (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def probes(self, when: str, folder: RunDir, seconds: float) -> None:
        """The probes before or after, as a measure of the model that they read."""
        device, heads = self.command.device, self.results["alignment"][when]
        config = {"run": str(folder.path), "probe": plain(self.command.probes), "device": plain(device)}
        path = folder.path / "measures" / f"probe-{when}"  # of an earlier form, which migrate_inside knows
        constant = {key.split("/")[1]: row["constant"] for key, row in heads["headline"].items()}
        steps = self.stages[0].config.data.steps
        reached = self.stages[0].content()["from"] if when == "before" else {"step": steps, "steps": steps}
        self.measure(path, "probe", "0" if when == "before" else str(steps), heads | reached | {
            "constant": constant, "games": self.command.probes.test_games, "board": self.results["board"],
            "unit": "share of cells read correctly, over scored plies of held-out games", "seconds": seconds,
        })  # fmt: skip
        (path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def migrate(run: Path) -> None:
    """One run folder NAME/HASH/seedN."""
    config = settings(rewrite(RunDir(run)), TrainConfig)
    for path in sorted(run.glob("transfer/*")):
        Tuning(run, config, path).migrate()
    for path in (run, *sorted(run.glob("finetune/*"))):
        rewrite(RunDir(path))
        migrate_inside(path)
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
