"""scripts/wandb_mirror.py: copy run folders to wandb, while a run writes them or afterwards. Offline by default."""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NoReturn

from mothello.errors import UserError
from mothello.signals import stoppable, told

log = logging.getLogger(__name__)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mothello-wandb", description=__doc__)
    parser.error = _refuse  # type: ignore[method-assign]
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="folder of a run, a fine-tuning or a measure")
    follow = "stay until the run ends (or the process PID does); else only what has ended is copied"
    parser.add_argument("--follow", nargs="?", const=os.getpid(), type=int, metavar="PID", help=follow)
    parser.add_argument("--mode", choices=["offline", "online"], default=os.environ.get("WANDB_MODE") or "offline")
    parser.add_argument("--force", action="store_true", help="copy again what wandb has already")
    options = parser.parse_args(words)
    options.runs = [path if (path / "status.json").exists() else _found(path) for path in options.runs]
    return options


def _found(path: Path) -> Path:
    """The run that is meant by a beginning of its folder, its parts, or last."""
    from mothello.stages.find import find_run

    try:
        folder = find_run(path)
    except UserError as error:
        _refuse(str(error))
    if not (folder / "status.json").exists():
        _refuse(f"run: {path} is no folder of a run, a stage or a measure")
    return folder


def _refuse(message: str) -> NoReturn:
    """One line, as every command's."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    raise SystemExit(2)


def _mirror(folder: Path, mode: Literal["offline", "online"], follow: int | None) -> bool:
    """Copy one folder; False after an error, which is logged."""
    from mothello.cli.pictures import closing
    from mothello.files import placed
    from mothello.report.sharing import sharing_of
    from mothello.report.wandb_mirror import description, mirror

    try:
        with placed(folder):
            mirror(folder, mode, follow, description(folder, sharing_of), closing)
    except Exception as error:
        traceback.print_exc()
        print(f"wandb: {folder}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def main(words: Sequence[str] | None = None) -> None:
    """The command. With --follow: the folders given alone; else everything in them that is not mirrored yet."""
    options = _arguments(words)
    try:
        with stoppable():
            code = _copied(options)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        code = told(stop)
    os._exit(code)  # at once, whatever wandb wants to do before


def _copied(options: argparse.Namespace) -> int:
    from mothello.report.wandb_mirror import folders, is_mirrored, once

    if options.follow is not None:
        chosen = options.runs
    else:
        inside = [folder for path in once(options.runs) for folder in folders(path)]
        chosen = [folder for folder in inside if options.force or not is_mirrored(folder)]
    done = [_mirror(folder.resolve(), options.mode, options.follow) for folder in chosen]
    if not chosen:
        print("wandb: nothing new to copy (--force copies again)", flush=True)
        return 0
    print(f"wandb: {sum(done)} of {len(done)} folders copied ({options.mode})", flush=True)
    return 0 if all(done) else 1


if __name__ == "__main__":
    main()
