"""scripts/export.py: a run as a folder that transformers opens by itself."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from mothello.cli.main import command
from mothello.cli.units import counted, size, table
from mothello.errors import UserError
from mothello.files import locked
from mothello.interop.export import FILES, Format, build, probes_of, write_export
from mothello.interop.vocabulary import SIGN
from mothello.own import folder_for, refilled, replaced
from mothello.stages.load import load_run


@dataclass(kw_only=True)
class ExportModelCommand:
    """scripts/export.py: a run for other tools."""

    run: str = MISSING
    """A run's folder, or that of a stage in it."""
    out: str = MISSING
    """Folder of the export."""
    format: Format = Format.mothello
    """mothello: a class of the house's own, for every option of the model, which lies in the folder; gpt2: GPT-2's."""
    step: int | None = None
    """One of the steps that the run has kept, 0 for its random weights; by default the last."""
    force: bool = False
    """Replace an earlier export in the same folder; all else there is kept."""
    dry_run: bool = False
    """Say what would be written, and write nothing."""


def own_files(folder: Path) -> list[Path]:
    """The files of an earlier export in a folder."""
    return [folder / name for name in FILES if (folder / name).is_file()]


def export(config: ExportModelCommand) -> Path:
    """Write OUT; returns it. UserError where it holds what is no export, or an export and force is not given."""
    folder = folder_for(config.out, FILES, SIGN).resolve()
    own = own_files(folder)
    if own and not config.force:
        raise UserError(f"out: {config.out} holds an export; choose another folder, or force=true to replace it")
    run = load_run(config.run, step=config.step)
    made, probes = build(run, config.format), probes_of(run)
    if config.dry_run:
        rows = {
            "class": f"{type(made).__name__}, {run.model.n_parameters:,} parameters",
            "disk": size(sum(x.nbytes for x in made.parameters())),
            "probes": str(probes) if probes else "none kept (scripts/probe.py keeps the probes that it fits)",
            "folder": f"{config.out}{' (its export would be replaced)' if own else ''}",
        }
        print(table(rows), flush=True)
        return folder
    with locked(folder, "out"):
        if own:
            print(replaced(folder, own), flush=True)
        with refilled(folder, own, FILES[0]) as part:
            write_export(run, part, config.format, Path(config.out).name)
    print(f"{type(made).__name__}, {counted(len(own_files(folder)), 'file')}: {config.out}", flush=True)
    print(f"how to open it: {Path(config.out) / 'README.md'}", flush=True)
    return folder


main = command("export", ExportModelCommand, export)
