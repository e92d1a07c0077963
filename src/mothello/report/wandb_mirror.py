"""The reader that copies the folder of a stage or a measure to wandb, while it is written (follow) or afterwards.

Each folder becomes a wandb run of its own: metrics.jsonl as history, then the figures of the report and the summary.
"""

import faulthandler
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from mothello.errors import UserError
from mothello.files import fingerprint, whole_file, write_whole
from mothello.reading import metrics_line
from mothello.report.style import save
from mothello.rundir import RunDir

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between looks at a folder that is followed."""
PATIENCE = 600.0
"""Seconds after which a call that hangs ends the process, with a traceback in the log."""
METRICS = {
    "train/*": None, "val/*": None, "align/*": None, "val/top1": "last,max", "val/loss": "last,min",
    "val/excess_nats": "last,min",
}  # fmt: skip
"""What is drawn against games seen, and what the table of runs keeps of it (None: the last value)."""
MARK = "wandb/mirrored"
"""A file that holds the end of the run that was mirrored last."""


def clipped(text: str, limit: int) -> str:
    """The text within wandb's limit; a longer one ends in a hash of the whole."""
    return text if len(text) <= limit else f"{text[: limit - 9]}-{fingerprint({'text': text})}"


def root_of(folder: Path) -> Path:
    """The pretrained run that a folder belongs to: RUN, RUN/measures/NAME-HASH, RUN/finetune/SOURCE-HASH ..."""
    while folder.parent.name == "measures" or "parent" in RunDir(folder).read_config():
        folder = folder.parent.parent
    return folder


def folders(path: Path) -> list[Path]:
    """A run's folder and those of the measures and later stages in it that hold a status."""
    inside = (status.parent for status in path.rglob("status.json"))
    return sorted({path, *(folder for folder in inside if (folder / "config.yaml").exists())})


def once(paths: Iterable[Path]) -> list[Path]:
    """The folders without copies of the same run, which a warning names."""
    kept: dict[tuple[Any, ...], Path] = {}
    for path in paths:
        key: tuple[Any, ...] = (path.resolve(),)
        with suppress(UserError):
            config, results = RunDir(path).read_config(), RunDir(path).read_results()
            if "identity" in results and "parent" not in config:
                key = (config.get("name"), results["identity"], config["seed"])
        if kept.setdefault(key, path) is not path:
            log.warning("%s is a copy of %s; left out", path, kept[key])
    return list(kept.values())


def is_mirrored(folder: Path) -> bool:
    """Whether wandb has everything of the folder's last run."""
    mark = folder / MARK
    return mark.exists() and mark.read_text() == str(RunDir(folder).read_status().get("written"))


def description(folder: Path, sharing: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """The arguments of wandb.init: config, group, job type, name, tags. sharing: of a run's config."""
    root, config = RunDir(root_of(folder)).read_config(), RunDir(folder).read_config()
    own, above = config.get("tracking") or {}, root.get("tracking") or {}
    cell, labels = str(root.get("name")), {"cell": str(root.get("name")), "sharing": sharing(root)}
    kind = folder.name.rpartition("-")[0] or folder.parent.name if folder != root_of(folder) else ""
    job = "pretrain" if not kind else kind if folder.parent.name == "measures" else "finetune"
    name = f"{cell}-seed{config.get('seed', root.get('seed', 0))}" + (f"-{kind}" if kind else "")
    tags = dict.fromkeys([*(own.get("tags") or above.get("tags") or []), *labels.values()])
    return {
        "project": own.get("project") or above.get("project") or "mothello",
        "config": {"languages": root.get("languages"), "seed": root.get("seed", 0)} | config | labels,
        "group": clipped(own.get("group") or above.get("group") or cell, 128),
        "job_type": clipped(str(config.get("stage") or job), 64),
        "name": clipped(name, 128),
        "tags": [clipped(str(tag), 64) for tag in tags if tag],
    }


def is_alive(process: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def lines(folder: RunDir, follow: int | None) -> Iterator[dict[str, Any]]:
    """The lines of metrics.jsonl. follow: also those appended later, until the run ends or the process with this id."""
    path, offset, running = folder.path / "metrics.jsonl", 0, True
    while running:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        running = follow is not None and folder.read_status().get("status") == "running" and is_alive(follow)
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                for text in file:
                    if text.endswith(b"\n"):  # else it is still being written
                        offset += len(text)
                        if (line := metrics_line(text)) is not None:
                            yield line
        if running:
            time.sleep(POLL)


def mirror(
    path: Path, mode: Literal["offline", "online"], follow: int | None, init: Mapping[str, Any],
    closing: Callable[[Path], tuple[Mapping[str, Figure], Mapping[str, Any]]],
) -> None:  # fmt: skip
    """Copy one folder to a wandb run. closing: the figures and the summary of a finished folder."""
    import wandb

    folder = RunDir(path)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    settings = wandb.Settings(console="off", x_stats_pid=follow or os.getpid())
    run = wandb.init(**init, mode=mode, dir=str(path), settings=settings)
    print("started", flush=True)
    config = init["config"]
    per_step = ((config.get("data") or (config.get("transfer") or {}).get("data")) or {}).get("batch_size", 0)
    if per_step:
        run.define_metric("games", summary="max")
        for name, kept in METRICS.items():
            run.define_metric(name, step_metric="games", summary=kept)
    for line in lines(folder, follow):
        values = {key: float("nan") if value is None else value for key, value in line.items()}
        run.log(values | ({"games": line["step"] * per_step} if per_step else {}), step=line["step"])
    status = folder.read_status()
    if status.get("status") == "ok":
        figures, summary = closing(path)
        pictures = {name: wandb.Image(str(_saved(figure, path, name))) for name, figure in figures.items()}
        if pictures:
            run.log(pictures)
        run.summary.update(dict(summary))
    run.finish(exit_code=0 if status.get("status") == "ok" else 1)
    faulthandler.cancel_dump_traceback_later()
    write_whole(path / MARK, str(status.get("written")))


def _saved(figure: Figure, folder: Path, name: str) -> Path:
    """FOLDER/wandb/pictures/NAME.png."""
    path = folder / "wandb" / "pictures" / f"{name.replace('/', '-')}.png"
    with whole_file(path) as file:
        save(figure, file)
    return path
