"""From a command line to a typed config: every mistake of a user ends as one line and exit code 2."""

import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mothello.cli import sweep
from mothello.config import one_line, typed
from mothello.errors import UserError
from mothello.training.checkpoint import CheckpointError
from mothello.training.stopping import Stopped

T = TypeVar("T")

SCHEMAS: dict[str, type] = {}
"""The schema of every command, by the name of its root in configs/; Hydra finds it as NAME_schema."""
CONFIGS = Path(__file__).parents[3] / "configs"


def _line(error: BaseException, schema: type) -> str:
    """One line out of Hydra's several."""
    text = re.sub(r"\x1b\[\d+m", "", str(error)).strip()
    options = re.search(r"Available options in '(.*?)':\s*((?:\s*\S+)+)", text)
    missing = re.search(r"Could not (?:find|load) '(.*?)'", text)
    if missing:
        group, _, name = missing[1].rpartition("/")
        if group == "hydra/launcher":
            return f"{group}: {name!r} is not installed; pip install -e '.[launchers]' adds joblib and submitit"
        choices = sorted(p.stem for p in (CONFIGS / group).glob("*.yaml")) if group else []
        listed = ", ".join(choices or (options[2].split() if options else []))
        return f"{group or 'config'}: unknown {name!r}" + (f"; choices: {listed}" if listed else "")
    added = re.search(r"Could not override '(experiment|study)'", text)
    if added:
        return f"{added[1]}: say +{added[1]}=NAME, it is added to the config"
    return one_line(error, schema)


def fail(message: str, code: int = 2) -> NoReturn:
    """One line to standard error, exit code 2 for a mistake."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _ended(error: BaseException) -> NoReturn:
    """One line on what ended a command before its time, exit code 128 + N for signal N, else 1."""
    code = 128 + getattr(error, "number", signal.SIGINT) if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(error, Stopped | FloatingPointError) and os.environ.get("RANK", "0") != "0":
        raise SystemExit(code)  # torchrun: the same in every process, and the first one speaks
    fail(str(error) or "interrupted", code)


def folder_for(path: str, key: str = "out") -> Path:
    """A folder to write to. UserError where a file stands in the way."""
    folder = Path(path)
    for part in (folder, *folder.parents):
        if part.is_file():
            raise UserError(f"{key}: {part} is a file")
    return folder


def _node(schema: type) -> DictConfig:
    """A schema as Hydra merges it. Settings of plug-ins (fields of any type) take keys that it does not know."""
    node = OmegaConf.structured(schema)
    for spec in fields(schema):
        if spec.type is Any or spec.type == dict[str, Any]:
            OmegaConf.set_struct(node[spec.name], False)
    return node


def command(name: str, schema: type[T], action: Callable[[T], Any]) -> Callable[[], None]:
    """The ``main`` of a script: compose configs/NAME.yaml with the command line, check it, call ``action``."""

    SCHEMAS[name] = schema
    ConfigStore.instance().store(name=f"{name}_schema", node=_node(schema))

    def job(content: DictConfig) -> Any:
        try:
            return action(typed(content, schema))
        except (UserError, CheckpointError) as error:
            fail(str(error))  # SystemExit passes through Hydra without its own lines
        except (KeyboardInterrupt, FloatingPointError, OSError) as error:
            _ended(error)

    def start(task: Callable[[DictConfig], Any]) -> None:
        hydra.main(config_path=str(CONFIGS), config_name=name, version_base="1.3")(task)()

    def main() -> None:
        os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # exceptions come here instead of being printed by Hydra
        if not CONFIGS.is_dir():
            fail(f"configs: {CONFIGS} does not exist; run from a checkout (pip install -e .)")
        try:
            if sweep.asked_for(sys.argv[1:]):
                raise SystemExit(sweep.sweep(start, schema, action))
            start(job)
        except (HydraException, OmegaConfBaseException) as error:
            fail(_line(error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error, schema))

    return main
