"""Jobs that end in every possible way, at no cost: python tests/house/jobs.py -m title=ok,raise,kill"""

import os
import signal
import time
from pathlib import Path

from mothello.cli.main import command
from mothello.cli.report import ReportCommand
from mothello.signals import run


def job(config: ReportCommand) -> None:
    """What ``title`` says; a file of that name tells that the job has begun."""
    begun = Path(f"begun-{config.title}")
    again = begun.exists()
    begun.touch()
    if config.title == "raise":
        raise ZeroDivisionError("on purpose")
    if config.title == "exit":
        raise SystemExit(3)
    if config.title == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.title == "requeue" and not again:
        os.kill(os.getpid(), signal.SIGUSR2)
    if config.title.startswith("sleep"):
        time.sleep(float(config.title.removeprefix("sleep")))


main = command("report", ReportCommand, job)

if __name__ == "__main__":
    run("__main__")
