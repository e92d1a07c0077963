"""The process that talks to wandb: ``python -m mothello.mirror``, started by tracking.py for one run.

Its input is one line of JSON (what to follow, and how to begin), then, when the run has ended, another. Between them it
copies new lines of the run's metrics.jsonl to wandb. It may raise, hang or be killed: the run goes on without it.
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
    metrics, ended = Follower(Path(order["metrics"]), order["offset"]), False
    while not ended:
        ended = bool(select.select([sys.stdin], [], [], POLL)[0])  # a line, or nobody there any more
        for line in metrics.lines():
            values = {key: float("nan") if value is None else value for key, value in line.items()}
            run.log(values, step=line["step"])
    last = sys.stdin.readline()
    run.finish(exit_code=json.loads(last)["exit_code"] if last else 1)


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
