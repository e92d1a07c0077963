"""What is typed after a command's name: overrides, flags, launchers. What cannot be read is one line that says how to
write it."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from mothello.config import quoted
from mothello.errors import UserError


class CommandLine(NamedTuple):
    """What stands after a command's name."""

    overrides: list[str]
    launcher: list[str]
    """hydra/launcher=NAME and hydra.launcher.KEY=VALUE."""
    sweep: bool
    """-m: every combination of the values is a job."""
    for_hydra: str
    """Empty, "help", or "hydra" for --cfg and the like, which Hydra answers by itself."""


def command_line(arguments: list[str]) -> CommandLine:
    """Read a command line. UserError names the argument that cannot be read."""
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]
    flags = parser.parse_intermixed_args(arguments)
    asks = flags.help or flags.hydra_help or flags.cfg or flags.info or flags.shell_completion
    if sum(map(bool, (flags.run, flags.multirun, flags.cfg, flags.info, flags.shell_completion))) > 1:
        refuse("only one of --run, --multirun, --cfg, --info and --shell-completion is done")
    if asks:
        return CommandLine(flags.overrides, [], sweep=False, for_hydra="help" if flags.help else "hydra")
    overrides, launcher, sweep = [], [], bool(flags.multirun)
    for name in ("config_name", "config_path", "package", "resolve", "experimental_rerun"):
        if getattr(flags, name):
            refuse(f"--{name.replace('_', '-')} has no effect")
    if flags.config_dir:
        if not Path(flags.config_dir).is_dir():
            raise UserError(f"--config-dir: {flags.config_dir} is no folder")
        overrides.append(f"hydra.searchpath={quoted([f'file://{Path(flags.config_dir).resolve()}'])}")
    for text in flags.overrides:
        override = parsed(text)
        if text.startswith(("hydra/launcher=", "hydra.launcher.", "+hydra.launcher.")):
            launcher.append(text)
        elif text == "hydra.mode=MULTIRUN":
            sweep = True
        elif text.startswith("hydra") and not text.startswith("hydra.searchpath="):
            key = override.key_or_group
            raise UserError(
                f"{key}: has no effect; of Hydra's keys, hydra/launcher, hydra.launcher and hydra.searchpath have"
            )
        else:
            overrides.append(text)
    for text in overrides if not sweep else []:
        if parsed(text).is_sweep_override():
            key, _, value = text.partition("=")
            number = f", a number {key}={value.replace(',', '_')}" * bool(re.fullmatch(r"\d{1,3}(,\d{3})+", value))
            listed = shlex.quote(f"{key}=[{value}]")
            raise UserError(
                f"{text}: several values; add -m to run each; a list is {listed}, a text {hint(text)}{number}"
            )
    return CommandLine(overrides, launcher, sweep, for_hydra="")


def refuse(message: str) -> NoReturn:
    """UserError about flags, which a setting is not."""
    if flag := re.search(r"unrecognized arguments: --?([a-z][a-z_.]*)(?=[ =]|$)", message):
        message = f"{message}; write {flag[1]}=VALUE"
    raise UserError(f"command line: {message}; a setting is KEY=VALUE, a sweep -m KEY=VALUE,VALUE")


def hint(text: str) -> str:
    """An override with its value quoted, as it would be typed into a shell."""
    key, _, value = text.partition("=")
    return shlex.quote(f"{key}={quoted(value)}")


def parsed(text: str) -> Override:
    """One override. UserError names it and says how to quote its value."""
    try:
        if text.startswith("="):
            raise HydraException
        return OverridesParser.create().parse_override(text)
    except HydraException:
        key, _, value = text.partition("=")
        closed = "close it, quote what is in it, or " * value.startswith(("[", "{", "'", '"'))
        how = f"{closed}quote the value: {hint(text)}"
        if re.fullmatch(r"\[[\w./]+=[^=]*(,[\w./]+=[^=]*)*\]", value):
            how = f"write each as a setting of its own: {key}.KEY=VALUE, of a group {key}.choose.GROUP=NAME"
        elif value.endswith(","):
            how = "write a value after the last comma, or remove the comma"
        words, form = key.split("."), r"[+~]{0,2}([A-Za-z_$][\w$@/-]*|\d+)"
        odd = [i for i, word in enumerate(words) if not re.fullmatch(form, word, re.ASCII)]
        if odd and odd[0]:
            how = f"write {'.'.join(words[: odd[0]])}={{{words[odd[0]]}:...}}"
        elif odd or "=" not in text:
            how = "write KEY=VALUE" if odd else f"write {key}=VALUE"
        raise UserError(f"{text}: cannot be read; {how}") from None
