"""scripts/explore.py: a run as one offline page with the live model in it."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from mothello.cli.main import command
from mothello.cli.units import counted, size, table
from mothello.errors import UserError
from mothello.explorer.along import BYTES as ALONG
from mothello.explorer.along import kept_steps
from mothello.explorer.content import BYTES as READINGS
from mothello.explorer.content import PageConfig, check, is_live
from mothello.explorer.page import SIGN, write_page
from mothello.explorer.probes import SHOWN, kept_probes
from mothello.own import folder_for
from mothello.stages.load import load_run
from mothello.stages.run import Run

PAGE = "explorer.html"


@dataclass(kw_only=True)
class ExploreCommand(PageConfig):
    """scripts/explore.py: a run as one offline page."""

    run: str = MISSING
    """A run's folder, or that of a stage in it."""
    out: str = ""
    """The page; by default RUN/explorer.html."""
    step: int | None = None
    """One of the steps that the run has kept, 0 for its random weights; by default the last."""
    force: bool = False
    """Replace an earlier page."""
    dry_run: bool = False
    """Say what would be written, and write nothing."""


def page_of(config: ExploreCommand, run: Run) -> Path:
    """Where the page goes. UserError where another file stands there, or a page and force is not given."""
    out = Path(config.out) if config.out else run.folder.path / PAGE
    folder_for(out.resolve().parent)
    if out.is_dir() or out.is_symlink() or (out.exists() and SIGN not in out.read_text(errors="replace")):
        raise UserError(f"out: {out} is not of this command; choose another file")
    if out.exists() and not config.force:
        raise UserError(f"out: {out} exists; choose another file, or force=true to replace it")
    return out


def explore(config: ExploreCommand) -> Path:
    """Write the page; returns its path."""
    run = load_run(config.run, step=config.step)
    check(run)
    out = page_of(config, run)
    if config.dry_run:
        print(
            table(_plan(config, run) | {"file": f"{out}{' (would be replaced)' if out.exists() else ''}"}), flush=True
        )
        return out
    written = write_page(run, out, config)
    what = "with the live model" if is_live(run, config) else "with recorded readings"
    print(f"page {what}, {size(written)}: {out.resolve()}", flush=True)
    return out


def _plan(config: ExploreCommand, run: Run) -> dict[str, str]:
    kept, steps, model = kept_probes(run), kept_steps(run, config.steps), run.model.config
    if kept:
        shown = [kept.modules[kind] for kind, _ in SHOWN if kind in kept.modules]
        numbers = sum(x.numel() for module in shown for x in module.parameters()) // len(kept.targets)
    else:
        numbers = 6 * len(run.languages) * (model.n_layer + 1) * model.d_model * run.board.n_cells
    live = 2 * (run.model.n_parameters + numbers) if is_live(run, config) else READINGS
    return {
        "model": f"{run.model.n_parameters:,} parameters, {'live' if is_live(run, config) else 'as recorded readings'}",
        "probes": "kept by the run" if kept else f"linear, fitted on {counted(config.probe_games, 'game')} now",
        "along": counted(len(steps), "kept step"),
        "disk": f"about {size(4 / 3 * (live + bool(steps) * ALONG))} at most",
    }


main = command("explore", ExploreCommand, explore)
