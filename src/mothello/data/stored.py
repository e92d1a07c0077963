"""Games on disk: a folder of memory-mapped shards, for recorded games and for use by other programs.

    corpus.json         {"version", "board", "count", "source", "shards": [{"file", "count", "checksum"}]}
    shard-00000.npy     uint8 [game, ply], move indices, 255 after the end
    shard-00000.orbit.npy   uint32 [game], the hash of the game's orbit, which decides its split
    shard-00000.json    {"first", "count", "checksum", ...}: written last, so a shard with it is whole

The content of a shard depends only on the source and the shard's place: a killed job continues where it stopped, and
any number of workers write identical files.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.commands import words
from mothello.data.corpus import WholeGames
from mothello.data.oracle import Oracle
from mothello.data.orbit import orbit_hash
from mothello.errors import UserError
from mothello.files import checksum, json_text, whole_file, write_whole
from mothello.othello.board import SIZES, Board
from mothello.reading import COUNT, misfit, parse_json

FORMAT_VERSION = 1
END = 255
INDEX = ("corpus.json", "rejected.txt")
_INDEX = {
    "version": COUNT, "board": re.compile(r"([468])x\1"), "count": COUNT,
    "source": {"kind?": str, "prefix?": ([str], []), "policy?": {str: float}},
    "shards": ([{"file": str, "count": COUNT, "checksum": str}], []),
}  # fmt: skip
_BOARDS = {Board.of(size).name: Board.of(size) for size in SIZES}


class StoredError(UserError):
    """A folder of games that is missing, incomplete or damaged. The message is one line that names the file."""


def shard_names(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """(moves, orbits, JSON) of a shard."""
    stem = f"shard-{number:05d}"
    return folder / f"{stem}.npy", folder / f"{stem}.orbit.npy", folder / f"{stem}.json"


def own_files(folder: Path, key: str = "out") -> list[Path]:
    """What the house wrote to a folder of games: the index and what goes with it, and shards whose orbits are there.
    StoredError when corpus.json is something else, or when another's file has the name of a shard's."""
    named = [
        path for path in sorted(folder.glob("shard-*")) if re.fullmatch(r"shard-\d{5}(\.orbit)?\.(npy|json)", path.name)
    ]
    for path in named:
        if not shard_names(folder, int(path.name[6:11]))[1].is_file():
            raise StoredError(f"{key}: {path} has the name of a shard and is none; move it, or choose another folder")
    indexed = (folder / "corpus.json").exists() and bool(read_index(folder, key))
    return [path for path in (*named, *(folder / name for name in INDEX * indexed)) if path.is_file()]


def write_shard(
    folder: Path, number: int, first: int, parts: Iterable[Int8[Tensor, "game ply"]], board: Board,
    about: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write one shard; returns the content of its JSON. parts: its games, in order."""
    games, orbits = [], []
    for moves in parts:
        games.append(np.where(moves.numpy() < 0, np.uint8(END), moves.numpy().astype(np.uint8)))
        orbits.append(orbit_hash(moves, board).numpy().astype(np.uint32))
    file, orbit_file, described = shard_names(folder, number)
    for path, arrays in ((orbit_file, orbits), (file, games)):
        with whole_file(path) as out:
            np.save(out, np.concatenate(arrays))
    count = sum(map(len, games))
    sums = {"checksum": checksum(file), "orbit_checksum": checksum(orbit_file)}
    content = {"file": file.name, "first": first, "count": count, **sums, **about}
    write_whole(described, json_text(content, indent=1) + "\n")
    return content


def whole_shard(folder: Path, number: int, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Content of a finished shard's JSON; None when the shard is missing, damaged or of another source."""
    file, orbit_file, described = shard_names(folder, number)
    if not (file.exists() and orbit_file.exists() and described.exists()):
        return None
    try:
        content = parse_json(described.read_bytes())
        same = all(content[key] == value for key, value in about.items())
        sums = content["checksum"], content["orbit_checksum"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if same and sums == (checksum(file), checksum(orbit_file)) else None


def write_index(folder: Path, board: Board, source: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> None:
    """Write corpus.json, the last file: a folder with it is complete."""
    listed = [{key: shard[key] for key in ("file", "count", "checksum")} for shard in shards]
    count = sum(shard["count"] for shard in shards)
    content = {"version": FORMAT_VERSION, "board": board.name, "count": count, "source": source, "shards": listed}
    write_whole(folder / "corpus.json", json_text(content, indent=1) + "\n")


def read_index(folder: Path, key: str = "folder") -> dict[str, Any]:
    """Content of corpus.json. StoredError names the file that is missing, damaged or of another version, after the key
    that holds the folder."""
    path = folder / "corpus.json"
    if not path.exists():
        writers = " and ".join(words(name)[-1] for name in ("generate", "import_games"))
        raise StoredError(f"{key}: {path} does not exist; {writers} write it last")
    try:
        content = parse_json(path.read_bytes())
        wrong = misfit(content, _INDEX)
    except (OSError, ValueError) as error:
        wrong = str(error)
    if wrong:
        raise StoredError(f"{key}: {path} is damaged, or not of this command ({wrong})")
    if (version := content["version"]) != FORMAT_VERSION:
        raise StoredError(f"{key}: {path} has format version {version}, this code reads {FORMAT_VERSION}")
    return content


class StoredGames(WholeGames):
    """The games of a folder, memory-mapped, or the games of one part of a split.

    part: (low, high) in 0..1, the hash values of orbits that belong to the part. verify: read all files and compare
    checksums. StoredError names the file that is missing or damaged.
    """

    oracle: Oracle | None = None

    def __init__(
        self, folder: str | Path, part: tuple[float, float] = (0.0, 1.0), size: int | None = None, verify: bool = False
    ) -> None:
        self.folder = Path(folder)
        self.index = read_index(self.folder)
        self.board = _BOARDS[self.index["board"]]
        self.shards, orbits = [], []
        for number, listed in enumerate(self.index["shards"]):
            file, orbit_file, _ = shard_names(self.folder, number)
            shape = (listed["count"], self.board.n_moves)
            self.shards.append(self._open(file, shape, np.uint8))
            if verify and checksum(file) != listed["checksum"]:
                raise StoredError(f"folder: {file} is damaged: its checksum differs from corpus.json")
            if part != (0.0, 1.0):
                orbits.append(self._open(orbit_file, shape[:1], np.uint32))
        self.starts = np.cumsum([0, *(len(shard) for shard in self.shards)])
        self.rows: np.ndarray | None = None  # None: every game
        if orbits:
            hashed = np.concatenate(orbits).astype(np.float64) / 2**32
            self.rows = np.flatnonzero((hashed >= part[0]) & (hashed < part[1]))
        self.available = int(self.starts[-1]) if self.rows is None else len(self.rows)
        if size is not None and size > self.available:
            raise StoredError(f"folder: {self.folder} has {self.available:,} games in this split, fewer than {size:,}")
        self.size = self.available if size is None else size

    def with_oracle(self, oracle: Oracle | None) -> "StoredGames":
        """The same games, with the oracle of their source."""
        self.oracle = oracle
        return self

    @staticmethod
    def _open(file: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
        try:
            array = np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError, BadZipFile):
            raise StoredError(f"folder: {file} is missing or damaged") from None
        if array.shape != shape or array.dtype != kind:
            has = f"{array.shape[0]} games" if array.shape[1:] == shape[1:] and array.ndim else "something else"
            raise StoredError(f"folder: {file} holds {has}, corpus.json says {shape[0]}")
        return array

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        wanted = indices.cpu().numpy()
        assert not len(wanted) or (wanted.min() >= 0 and wanted.max() < self.size), "no such game"
        rows = wanted if self.rows is None else self.rows[wanted]
        shard = np.searchsorted(self.starts, rows, side="right") - 1
        result = np.empty((len(rows), self.board.n_moves), dtype=np.uint8)
        for number in np.unique(shard):
            inside = shard == number
            result[inside] = self.shards[number][rows[inside] - self.starts[number]]
        return torch.from_numpy(result.view(np.int8)).to(indices.device)  # 255 is -1
