"""scripts/export_games.py: a folder of shards as text, one game per line."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from omegaconf import MISSING
from torch import Tensor
from tqdm import tqdm

from mothello.cli.dry_run import Estimate
from mothello.cli.main import command
from mothello.cli.units import counted, short, size
from mothello.data.stored import StoredGames
from mothello.errors import UserError
from mothello.files import whole_file
from mothello.othello.notation import move_name
from mothello.own import folder_for


@dataclass(kw_only=True)
class ExportCommand:
    """scripts/export_games.py: a folder of shards as text, one game per line."""

    folder: str = MISSING
    """Folder of shards."""
    out: str = MISSING
    """Text file."""
    dry_run: bool = False


def export_games(config: ExportCommand) -> Path:
    """Write every game as "f5d6c3..."; returns the text file, which appears when it is whole."""
    out = Path(config.out)
    if out.is_symlink() and not out.exists():
        raise UserError(f"out: {out} is a link to nothing; choose another file")
    folder_for(out.resolve().parent)
    if out.exists():
        raise UserError(f"out: {out} exists; choose another file")
    games = StoredGames(config.folder, verify=not config.dry_run)
    names = [move_name(games.board, move) for move in range(games.board.n_moves)] + [""]

    def lines(indices: Tensor) -> list[str]:
        return ["".join(names[move] for move in game) + "\n" for game in games.moves(indices).tolist()]

    if config.dry_run:
        few, begun = min(len(games), 4096), perf_counter()
        text = sum(map(len, lines(torch.arange(few))))
        share, seconds = len(games) / few, perf_counter() - begun
        rows = {"games": f"{len(games):,} of {games.board.name}", "disk": f"{size(share * text)} of text"}
        rows["rate"] = f"{short(few / seconds)} games/s"
        print(Estimate(rows, {"without the disk: writing": share * seconds}).text(file=str(out)), flush=True)
        return out
    with whole_file(out) as file, tqdm(total=len(games), unit="game", unit_scale=True, desc="export") as bar:
        for indices in torch.arange(len(games)).split(65_536):
            file.writelines(line.encode() for line in lines(indices))
            bar.update(len(indices))
        if out.exists():
            raise UserError(f"out: {out} was made by another process meanwhile; choose another file")
    print(f"{counted(len(games), 'game')}: {out}", flush=True)
    return out


main = command("export_games", ExportCommand, export_games)
