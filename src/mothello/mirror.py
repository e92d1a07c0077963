"""The process that talks to wandb: ``python -m mothello.mirror``, started by tracking.py for one run.

Its input is one line of JSON (what to follow, and how to begin), then, when the run has ended, another. Between them it
copies new lines of the run's metrics.jsonl to wandb; the last line also names pictures, and numbers for the table of
runs. It may raise, hang or be killed: the run goes on without it.
"""

import json
import os
import select
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

POLL = 0.5
"""Seconds between looks at the metrics."""
OURS = "mirror: "
"""How lines of the log begin that are not wandb's."""
STARTED = "started"
"""What the log says when wandb has answered."""


METRICS = {
    "train/*": None,
    "val/*": None,
    "align/*": None,
    "val/top1": "last,max",
    "val/loss": "last,min",
    "val/excess_nats": "last,min",
}
"""What is drawn against games seen, and what the table of runs keeps of it (None: the last value)."""


class Follower:
    """Complete lines that are appended to a file, from an offset on; the file may be replaced meanwhile."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path, self.offset = path, offset

    def lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            for text in file:
                if not text.endswith(b"\n"):
                    return
                self.offset += len(text)
                yield json.loads(text)


def mirror() -> None:
    """Follow one run to its end."""
    order = json.loads(sys.stdin.readline())
    os.environ.setdefault("WANDB_PROGRAM", order["argv"][0])
    sys.argv = order["argv"]
    import wandb

    run = wandb.init(**order["init"], settings=wandb.Settings(console="off", x_stats_pid=order["pid"]))
    print(OURS + STARTED, flush=True)
    per_step = order["games_per_step"]
    if per_step:
        run.define_metric("games", summary="max")
        for name, summary in METRICS.items():
            run.define_metric(name, step_metric="games", summary=summary)
    metrics, ended = Follower(Path(order["metrics"]), order["offset"]), False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], POLL)[0])  # a line, or nobody there any more
        for line in metrics.lines():
            values = {key: float("nan") if value is None else value for key, value in line.items()}
            run.log(values | ({"games": line["step"] * per_step} if per_step else {}), step=line["step"])
    last = json.loads(sys.stdin.readline() or '{"exit_code": 1, "pictures": {}, "summary": {}}')
    if last["pictures"]:
        run.log({name: wandb.Image(path) for name, path in last["pictures"].items()})
    run.summary.update(last["summary"])
    run.finish(exit_code=last["exit_code"])


def main() -> NoReturn:
    """Ends at once, whatever wandb wants to do before."""
    code = 0
    try:
        mirror()
    except Exception as error:
        traceback.print_exc()
        print(f"{OURS}{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
