"""scripts/import_model.py: a checkpoint of minGPT, TransformerLens or nanoGPT as a run."""

from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING

from mothello.cli.main import command
from mothello.cli.units import counted, table
from mothello.config import check, check_name, ranged, shown
from mothello.errors import UserError
from mothello.interop.foreign import Kind
from mothello.interop.import_run import read_model, write_run
from mothello.interop.orders import Order
from mothello.model.config import Activation
from mothello.othello.board import BoardConfig
from mothello.rundir import RunDir


@dataclass(kw_only=True)
class ImportModelCommand:
    """scripts/import_model.py: a checkpoint of others as a run."""

    file: str = MISSING
    """A state dict, as torch or safetensors saves it; nothing in it is executed."""
    kind: Kind = MISSING
    """Whose layout it has."""
    run: str = MISSING
    """Folder of the run that is made."""
    vocabulary: Order = Order.othello_world
    """What the ids stand for: othello_world, the playable squares by row letter and column digit (several languages one
    after the other); metaothello, all squares row by row and the pass; mothello, the playable squares row by row."""
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    n_head: int = ranged(0, 0, 64)
    """Heads; 0: as the file says, which minGPT's does not."""
    activation: Activation | None = None
    """Of the MLP; by default what published models of the kind have. nanoGPT has had two: to be given."""
    folded: bool = False
    """TransformerLens: the norms were layer norms, whose weights went into the layers after them (LNPre)."""
    name: str = "imported"
    """Of the run, on pages."""
    games: int = ranged(0, 0)
    """Games that it was trained on, for pages; 0: not known."""
    force: bool = False
    """Replace what the house wrote in the run's folder; all else there is kept."""
    dry_run: bool = False
    """Read the file, and write nothing."""

    def __post_init__(self) -> None:
        check(self, "")
        check_name(self.name, "name")


def import_model(config: ImportModelCommand) -> Path:
    """Make the run; returns its folder. UserError where the file is not of the kind, or the folder is in use."""
    folder = RunDir(config.run)
    folder.check_own(config.force)
    if not config.force and any(folder.own()):
        raise UserError(f"run: {config.run} holds a run; choose another folder, or force=true to replace it")
    made = read_model(
        Path(config.file), config.kind, config.vocabulary, config.board, config.n_head, config.activation,
        config.folded, config.name, config.games,
    )  # fmt: skip
    languages, model = made.language_set, made.model
    if config.dry_run:
        layers, heads = counted(model.config.n_layer, "layer"), counted(model.config.n_head, "head")
        width = f"{layers} of width {model.config.d_model}, {heads}"
        rows = {"model": f"{width}, {model.n_parameters:,} parameters", "languages": ", ".join(languages.names)}
        print(table(rows | {"board": languages.board.name, "folder": config.run}), flush=True)
        return folder.path
    results = write_run(made, folder)
    top1, chance = (results["final"].get(f"val/{name}", float("nan")) for name in ("top1", "chance"))
    print(f"{model.n_parameters:,} parameters, legality {top1:.3f} (chance {chance:.3f}): {folder.path}", flush=True)
    return folder.path


main = command("import_model", ImportModelCommand, import_model, lambda config, _: shown("measure", run=config.run))
