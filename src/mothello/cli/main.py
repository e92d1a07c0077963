"""From a command line to a typed config and its action: every mistake of a user ends as one line and exit code 2."""

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from mothello.cli.compose import CONFIGS, composed, entered, options_of, schema_node
from mothello.cli.line import command_line
from mothello.errors import UserError
from mothello.messages import one_line, unknown_key
from mothello.signals import speaks

T = TypeVar("T")

SCHEMAS: dict[str, type] = {}
"""The schema of every command, by the name of its root in configs/; Hydra finds it as NAME_schema."""


def _line(error: BaseException, schema: type) -> str:
    """One line out of Hydra's several."""
    text = re.sub(r"\x1b\[\d+m", "", str(error)).strip()
    options = re.search(r"Available options in '.*?':((?:\n\t\S+)+)", text)
    missing = re.search(r"Could not (?:find|load) '(.*?)'", text)
    if missing:
        group, _, name = missing[1].rpartition("/")
        listed = ", ".join(options[1].split() if options else options_of(group))
        return f"{group or 'config'}: unknown {name!r}" + (f"; choices: {listed}" if listed else "")
    added = re.search(r"Could not override '(experiment|study)'", text)
    if added:
        return f"{added[1]}: is not set by default; use +{added[1]}=NAME"
    if absent := re.search(r"Could not override '(\w+)'\. No match", text):
        known = [spec.name for spec in fields(schema)]
        inner = "train" in known and options_of(absent[1])
        hint = f"; of the runs: train.choose.{absent[1]}=NAME" if inner else ""
        return unknown_key(absent[1], known) + hint
    return " ".join(text.split()) if text.startswith("Could not override") else one_line(error, schema)


def _missing(line: str, schema: type) -> str:
    """Of a key that must be given, what it is."""
    key = line.removesuffix(": must be given")
    if key == line:
        return ""
    from mothello.cli.help import documented

    text = documented(schema).get(key, "").rstrip(".")
    return f"{f' ({text[:1].lower()}{text[1:]})' if text else ''}; --help explains every key"


def _told(error: OSError) -> str:
    """The file, and what is wrong with it."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def fail(message: str, code: int = 2) -> NoReturn:
    """One line to standard error, exit code 2 for a mistake."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    raise SystemExit(code)


@contextmanager
def one_line_errors(schema: type) -> Iterator[None]:
    """Within: what a user can mend, and what ends a command from outside, ends the process with one line."""
    try:
        yield
    except UserError as error:
        fail(f"{error}{_missing(str(error), schema)}")
    except (HydraException, OmegaConfBaseException) as error:
        fail(_line(error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error, schema))
    except FloatingPointError as error:
        fail(str(error), 1) if speaks() else sys.exit(1)  # torchrun: the same in every process
    except BrokenPipeError:
        raise  # the reader of the output has left, which is no error
    except OSError as error:
        fail(_told(error), 1)


def log_to_console() -> None:
    """Warnings of the house, with time and room, among what a command prints."""
    logging.raiseExceptions = False  # no traceback where the reader of the output has left
    form = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format=form, force=True)


def command(
    name: str,
    schema: type[T],
    action: Callable[[T], Any],
    then: Callable[[T, Any], str] | None = None,
    processes: bool = False,
) -> Callable[[], None]:
    """The ``main`` of a script: compose configs/NAME.yaml with the command line, check it, call ``action``; with -m a
    job for every combination of values. then: of the config and what the action returned, the command to type next.
    processes: whether several processes of torchrun may be one job."""

    SCHEMAS[name] = schema
    ConfigStore.instance().store(name=f"{name}_schema", node=schema_node(schema))

    def main() -> None:
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions come here instead of being printed by Hydra
        if not CONFIGS.is_dir():
            fail(
                f"configs: {CONFIGS} does not exist; the installation is broken: pip install --force-reinstall mothello"
            )
        with one_line_errors(schema):
            line = command_line(sys.argv[1:])
            if line.for_hydra == "help":
                from mothello.cli.help import help_text

                print(help_text(name, schema, line.overrides))
                return
            if line.for_hydra:
                sys.argv[1:] = [text for text in sys.argv[1:] if text not in line.overrides]
                sys.argv += entered(schema, line.overrides)
                hydra.main(config_path=str(CONFIGS), config_name=name, version_base="1.3")(lambda _: None)()
                return
            log_to_console()
            if line.sweep:
                from mothello.cli.jobs import run_all, sweep_jobs
                from mothello.cli.launchers import check_one_process, launcher_of

                if not processes:
                    check_one_process(line.launcher)
                jobs = sweep_jobs(name, schema, action, line.overrides)
                raise SystemExit(run_all(jobs, launcher_of(line.launcher)))
            if line.launcher:
                raise UserError("hydra/launcher: runs the jobs of a sweep or a study; add -m")
            config = composed(name, schema, line.overrides)
            result = action(config)
            if then is not None and not getattr(config, "dry_run", False) and speaks():
                print(f"next: {then(config, result)}", flush=True)

    return main
