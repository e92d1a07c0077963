"""The commands outside of a checkout: ``mothello-train`` and its sisters, which ``mothello`` lists. In a checkout
they are scripts. A leaf."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mothello
from mothello.signals import run

COMMANDS = {
    "train": "pretrain one run, or a sweep of them; resume it",
    "stage": "go on from a run: fine-tune, realign, learn a task",
    "transfer": "fine-tune on one language, score all of them",
    "measure": "measures of a run: legality, alignment, probes and more",
    "probe": "probes and interventions of a run",
    "study": "many runs, their measures and one page",
    "report": "one page over any runs",
    "runs": "list runs, or compare two configs",
    "corpus": "what the games of a training are like",
    "generate": "random games on disk",
    "import_games": "recorded games into a folder",
    "export_games": "a folder of games as text",
    "export": "a run as a folder for transformers",
    "import_model": "a checkpoint of minGPT, TransformerLens or nanoGPT as a run",
    "explore": "a run as one offline page with the live model",
    "wandb": "copy run folders to wandb",
}
"""Name of the module in mothello.cli, and what it does."""
SHOWS = ("runs",)
"""Commands that compute nothing."""
CHECKOUT = Path(__file__).parents[2]
"""Where the package lies in a checkout."""


def in_checkout() -> bool:
    """Whether the scripts and the configs of a checkout are there."""
    return (CHECKOUT / "scripts" / "train.py").is_file() and (CHECKOUT / "configs" / "train.yaml").is_file()


def configs() -> Path:
    """The folder of the configs: a checkout's, else the package's own."""
    return CHECKOUT / "configs" if in_checkout() else Path(__file__).parent / "configs"


def words(name: str) -> list[str]:
    """How a user calls a command, such as python scripts/train.py or mothello-train."""
    script = "wandb_mirror" if name == "wandb" else name
    return ["python", f"scripts/{script}.py"] if in_checkout() else [f"mothello-{_dashed(name)}"]


def main() -> None:
    """mothello COMMAND ...: the same as mothello-COMMAND; without one, the list."""
    typed = sys.argv[1:] or ["--help"]
    if typed[0] == "--version":
        print(f"mothello {mothello.__version__}")
        return
    if typed[0] == "help" and len(typed) > 1:
        typed = [*typed[1:], "--help"]
    asked, sys.argv[1:] = typed[0], typed
    if (name := asked.replace("-", "_")) in COMMANDS:
        sys.argv[:2] = [f"mothello-{asked}"]
        run(f"mothello.cli.{name}", name not in SHOWS)
        return
    if asked not in ("-h", "--help", "help"):
        print(f"error: unknown command {asked!r}; choices: {', '.join(map(_dashed, COMMANDS))}", file=sys.stderr)
        raise SystemExit(2)
    width = max(map(len, COMMANDS))
    print("mothello COMMAND KEY=VALUE ..., the same as mothello-COMMAND; its settings: mothello COMMAND --help\n")
    print("\n".join(f"mothello-{_dashed(name):{width}}  {what}" for name, what in COMMANDS.items()))


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def __getattr__(name: str) -> Callable[[], None]:
    """The entry point of a command, by its name."""
    if name not in COMMANDS:
        raise AttributeError(name)
    return partial(run, f"mothello.cli.{name}", name not in SHOWS)
