"""scripts/import_games.py: recorded games, checked by strict replay, into a folder of shards."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from omegaconf import MISSING
from tqdm import tqdm

from mothello.cli.dry_run import Estimate, rehearsal
from mothello.cli.generate import trained_on
from mothello.cli.main import command
from mothello.cli.units import counted, size
from mothello.config import check, ranged
from mothello.data.game_import import Imported, import_records
from mothello.data.stored import StoredGames, own_files
from mothello.errors import UserError
from mothello.files import is_trace, locked
from mothello.othello.board import Board, BoardConfig
from mothello.othello.game_files import ENDINGS, Reader, Record, format_of, reader
from mothello.own import folder_for, refilled, replaced

TRIED = 4_000_000
"""Bytes of files that a dry run reads."""


@dataclass(kw_only=True)
class ImportCommand:
    """scripts/import_games.py: recorded games into a folder of shards."""

    files: list[str] = field(default_factory=list)
    """WTHOR (.wtb), text (.txt, .pgn, .ggf, .csv, .tsv) or pickle (.pickle, .pkl) files, packed (.gz, .bz2, .xz, .zip)
    or not, or folders of them."""
    format: str = "auto"
    """auto (by the file's ending), wthor, text or pickle."""
    mirror: bool = False
    """Games that are legal only with the colors of the start position exchanged are kept, mirrored; else set aside."""
    out: str = MISSING
    """Folder of the shards."""
    board: BoardConfig = field(default_factory=lambda: BoardConfig(size=8))
    shard_games: int = ranged(1_000_000, low=1)
    """Games of a file."""
    force: bool = False
    """Replace what an earlier import wrote to the same folder; all else there is kept."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        check(self, "")
        if self.format not in ("auto", "wthor", "text", "pickle"):
            raise ValueError(f"format: {self.format!r} is not one of auto, wthor, text, pickle")


def listed(config: ImportCommand) -> list[Path]:
    """The files to read, folders opened. UserError names the one that is not there."""
    found: list[Path] = []
    for name in config.files:
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if format_of(p) and p.is_file())
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


def _describe(seen: Imported, n_files: int, folder: Path, mirror: bool) -> str:
    notes = [f"{seen.unfinished:,} unfinished"] * (seen.unfinished > 0)
    notes += [f"{seen.repeated:,} repeated"] * (seen.repeated > 0)
    notes += [f"{seen.other_score:,} with another result in the file"] * (seen.other_score > 0)
    notes += [f"{seen.other_start:,} mirrored"] * (mirror and seen.other_start > 0)
    noted = f" ({', '.join(notes)})" if notes else ""
    other = f" ({seen.other_start:,} in the other start position: mirror=true imports them)"
    shown = f"{folder / 'rejected.txt'}{other if seen.other_start and not mirror else ''}"
    aside = f"{seen.set_aside:,} set aside in {shown}, the first: {seen.first_problem}"
    kept = f"{counted(n_files, 'file')}: {counted(seen.kept, 'game')} kept{noted}"
    return f"{kept}; {aside if seen.set_aside else 'none set aside'}"


def _estimate(config: ImportCommand, files: list[Path]) -> Estimate:
    """How long all files take, by importing the first ones elsewhere."""
    sizes = [path.stat().st_size for path in files]
    few = next((n for n in range(1, len(files)) if sum(sizes[:n]) > TRIED), len(files))
    begun, share = perf_counter(), max(1, sum(sizes)) / max(1, sum(sizes[:few]))
    with rehearsal() as part:
        first = replace(config, files=list(map(str, files[:few])), out=str(part / "games"), force=False, dry_run=False)
        games = len(StoredGames(import_games(first)))
        stored = sum(path.stat().st_size for path in (part / "games").iterdir())
    rows = {
        "files": f"{len(files):,}, {size(sum(sizes))}",
        "games": f"{games:,} legal in {few:,} of the files; about {share:,.1f} times that in all",
        "disk": size(share * stored),
        "rate": f"{games / (perf_counter() - begun):,.0f} games/s, read, replayed and written",
    }
    return Estimate(rows, {"reading and replaying": share * (perf_counter() - begun)})


def import_games(config: ImportCommand) -> Path:
    """Read the files; returns the folder, in which nothing changes before all of them are read."""
    folder = folder_for(config.out).resolve()
    _own(folder, config.force)
    files = [(path, reader(path, config.format)) for path in listed(config)]
    if config.dry_run:
        print(_estimate(config, [path for path, _ in files]).text(folder=config.out), flush=True)
        return folder
    with locked(folder, "out"):
        return _import(config, files, folder)


def _own(folder: Path, force: bool) -> list[Path]:
    """What is replaced. UserError when there is something, and it is not to be replaced."""
    if not folder.exists():
        return []
    own = own_files(folder)
    if not own and not all(map(is_trace, folder.iterdir())):
        raise UserError(f"out: {folder} is not empty and holds no corpus; it is not replaced")
    if own and not force:
        raise UserError(f"out: {folder} holds games; choose another folder, or force=true to replace them")
    return own


def _with_total(files: list[tuple[Path, Reader]], board: Board, bar: tqdm) -> Iterator[tuple[str, Iterator[Record]]]:
    """The records of every file; the bar's total is guessed from the bytes of the files that are read."""
    sizes, done = [path.stat().st_size for path, _ in files], 0
    for (path, read), size_ in zip(files, sizes, strict=True):
        yield str(path), read(path, board)
        done += size_
        bar.total = round(bar.n * sum(sizes) / max(1, done))


def _import(config: ImportCommand, files: list[tuple[Path, Reader]], folder: Path) -> Path:
    board, own = Board.of(config.board.size), _own(folder, config.force)
    if own:
        print(replaced(folder, own), flush=True)
    with refilled(folder, own, "corpus.json") as part:
        with (
            (part / "rejected.txt").open("w", encoding="utf-8", errors="backslashreplace") as rejected,
            tqdm(desc="import", unit="game", unit_scale=True) as bar,
        ):
            each = _with_total(files, board, bar)
            source = {"kind": "recorded", "files": [path.name for path, _ in files]}
            seen = import_records(each, board, part, config.shard_games, source, rejected, bar.update, config.mirror)
        if not seen.kept:
            reason = f"the first problem: {seen.first_problem}" if seen.first_problem else "they hold none"
            raise UserError(f"files: no legal game in {counted(len(files), 'file')}; {reason}")
        if not seen.set_aside:
            (part / "rejected.txt").unlink()
    print(_describe(seen, len(files), Path(config.out), config.mirror), flush=True)
    return folder


main = command("import_games", ImportCommand, import_games, trained_on)
