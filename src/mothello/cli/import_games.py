"""scripts/import_games.py: recorded games, checked by strict replay, into a folder of shards."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import MISSING
from tqdm import tqdm

from mothello.cli.cost.games import importing_costs
from mothello.cli.main import command, folder_for
from mothello.data.game_import import Imported, import_records
from mothello.errors import UserError
from mothello.othello.board import Board, BoardConfig
from mothello.othello.game_files import ENDINGS, Record, RecordError, reader


def _positive(name: str, value: int, low: int = 1) -> None:
    if value < low:
        raise UserError(f"{name}: {value} is below {low}")


@dataclass(kw_only=True)
class ImportCommand:
    """scripts/import_games.py: recorded games into a folder of shards."""

    files: list[str] = field(default_factory=list)
    """WTHOR (.wtb), text (.txt) or pickle (.pickle, .pkl) files, or folders of them."""
    format: str = "auto"
    """auto (by the file's ending), wthor, text or pickle."""
    out: str = MISSING
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    shard_games: int = 1_000_000
    force: bool = False
    """Replace what an earlier import wrote to the same folder."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        _positive("shard_games", self.shard_games)
        if self.format not in ("auto", "wthor", "text", "pickle"):
            raise ValueError(f"format: {self.format!r} is not one of auto, wthor, text, pickle")


def listed(config: ImportCommand) -> list[Path]:
    """The files to read, folders opened. UserError names the one that is not there."""
    found: list[Path] = []
    for name in config.files:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS)
            if not inside:
                raise UserError(f"files: {path} holds no file that ends in {', '.join(ENDINGS)}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"files: {path} does not exist")
    if not found:
        raise UserError("files: name at least one file or folder, such as files=[games.txt]")
    return found


def _describe(seen: Imported, n_files: int, folder: Path) -> str:
    notes = [f"{seen.unfinished:,} unfinished"] * (seen.unfinished > 0)
    notes += [f"{seen.repeated:,} repeated"] * (seen.repeated > 0)
    notes += [f"{seen.other_score:,} with another result in the file"] * (seen.other_score > 0)
    noted = f" ({', '.join(notes)})" if notes else ""
    aside = f"; {seen.set_aside:,} set aside in {folder / 'rejected.txt'}, the first: {seen.first_problem}"
    return f"{n_files} files: {seen.kept:,} games kept{noted}{aside if seen.set_aside else '; none set aside'}"


def _dry(
    files: list[Path], readers: list[Callable[[Path, Board], Iterator[Record]]], board: Board, folder: Path
) -> Path:
    costs = importing_costs(files, lambda number: readers[number](files[number], board), board)
    print(costs.table(folder=str(folder)), flush=True)
    return folder


def import_games(config: ImportCommand) -> Path:
    """Read the files; returns the folder. Written beside it first, so an older folder is whole until the new one is."""
    board, folder = Board.of(config.board.size), folder_for(config.out)
    if folder.exists() and not config.force:
        raise UserError(f"out: {folder} exists; choose another folder, or force=true to replace it")
    if folder.exists() and not (folder / "corpus.json").exists() and any(folder.iterdir()):
        raise UserError(f"out: {folder} holds no corpus; it is not replaced")
    files = listed(config)
    readers = [reader(path, config.format) for path in files]
    if config.dry_run:
        return _dry(files, readers, board, folder)
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        with (
            (part / "rejected.txt").open("w", encoding="utf-8") as rejected,
            tqdm(desc="import", unit="game", unit_scale=True) as bar,
        ):
            each = ((str(path), read(path, board)) for path, read in zip(files, readers, strict=True))
            source = {"kind": "recorded", "files": [path.name for path in files]}
            seen = import_records(each, board, part, config.shard_games, source, rejected, bar.update)
    except RecordError:
        shutil.rmtree(part)
        raise
    if not seen.kept:
        reason = f"the first problem: {seen.first_problem}" if seen.first_problem else "they hold none"
        shutil.rmtree(part)
        raise UserError(f"files: no legal game in {len(files)} files; {reason}")
    if not seen.set_aside:
        (part / "rejected.txt").unlink()
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    print(_describe(seen, len(files), folder), flush=True)
    return folder


main = command("import_games", ImportCommand, import_games)
