"""Games on disk: a folder of memory-mapped shards, for recorded games and for whoever wants files.

    corpus.json         what it is: {"version", "board", "count", "source", "shards": [{"file", "count", "checksum"}]}
    shard-00000.npy     uint8 [game, ply], move indices, 255 after the end
    shard-00000.orbit.npy   uint32 [game], the hash of the game's orbit, which decides its split
    shard-00000.json    {"first", "count", "checksum", ...}: written last, so a shard with it is whole

A shard's content depends on the source and its place alone: a killed job goes on where it stopped, and any number of
workers writes identical files.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from mothello.data.corpus import WholeGames
from mothello.data.orbit import orbit_hash
from mothello.data.predict import Predictor
from mothello.othello.board import Board, board

FORMAT_VERSION = 1
END = 255


class StoredError(ValueError):
    """A folder of games that is missing, incomplete or damaged: one line that names the file."""


def checksum(path: Path) -> str:
    """BLAKE2b of a file, 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _atomically(path: Path, write: Callable[[Path], Any]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    write(part)
    os.replace(part, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    _atomically(path, lambda part: part.write_text(json.dumps(content, indent=1) + "\n"))


def _save(path: Path, array: np.ndarray) -> None:
    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())

    _atomically(path, write)


def shard_names(folder: Path, number: int) -> tuple[Path, Path, Path]:
    """(moves, orbits, JSON) of a shard."""
    stem = f"shard-{number:05d}"
    return folder / f"{stem}.npy", folder / f"{stem}.orbit.npy", folder / f"{stem}.json"


def write_shard(
    folder: Path,
    number: int,
    first: int,
    parts: Iterable[Int8[Tensor, "game ply"]],
    on: Board,
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write one shard; returns what its JSON says. parts: its games, in order."""
    games, orbits = [], []
    for moves in parts:
        games.append(np.where(moves.numpy() < 0, END, moves.numpy()).astype(np.uint8))
        orbits.append(orbit_hash(moves, on).numpy().astype(np.uint32))
    file, orbit_file, described = shard_names(folder, number)
    _save(file, np.concatenate(games))
    _save(orbit_file, np.concatenate(orbits))
    count = sum(map(len, games))
    content = {"file": file.name, "first": first, "count": count, "checksum": checksum(file), **about}
    write_json(described, content)
    return content


def whole_shard(folder: Path, number: int, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a finished shard's JSON says, None when the shard must still be written (or is damaged)."""
    file, orbit_file, described = shard_names(folder, number)
    if not (file.exists() and orbit_file.exists() and described.exists()):
        return None
    content = json.loads(described.read_text())
    same = all(content.get(key) == value for key, value in about.items())
    return content if same and content["checksum"] == checksum(file) else None


def write_index(folder: Path, on: Board, source: Mapping[str, Any], shards: Sequence[Mapping[str, Any]]) -> None:
    """Write corpus.json, the last file: a folder with it is complete."""
    listed = [{key: shard[key] for key in ("file", "count", "checksum")} for shard in shards]
    content = {
        "version": FORMAT_VERSION,
        "board": on.name,
        "count": sum(shard["count"] for shard in shards),
        "source": dict(source),
        "shards": listed,
    }
    write_json(folder / "corpus.json", content)


def read_index(folder: Path) -> dict[str, Any]:
    """What corpus.json says. StoredError names the file that is missing, foreign or cut short."""
    path = folder / "corpus.json"
    if not path.exists():
        raise StoredError(
            f"folder: {path} does not exist; scripts/generate.py and scripts/import_games.py write it last"
        )
    try:
        content = json.loads(path.read_text())
        version = content["version"]
        _ = content["board"], content["count"], content["source"], content["shards"]
    except (ValueError, KeyError, TypeError):
        raise StoredError(f"folder: {path} is damaged") from None
    if version != FORMAT_VERSION:
        raise StoredError(f"folder: {path} has format version {version}, this code reads {FORMAT_VERSION}")
    return content


class StoredGames(WholeGames):
    """The games of a folder, memory-mapped, or those of them whose orbit's hash lies in one part of a split.

    part: (low, high) in 0..1. StoredError names the file that is missing or damaged; ``verify`` reads all of them.
    """

    def __init__(
        self,
        folder: str | Path,
        part: tuple[float, float] = (0.0, 1.0),
        size: int | None = None,
        verify: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.index = read_index(self.folder)
        self.board = board(int(self.index["board"][0]))
        self.shards, orbits = [], []
        for number, listed in enumerate(self.index["shards"]):
            file, orbit_file, _ = shard_names(self.folder, number)
            self.shards.append(self._open(file, listed, verify))
            if part != (0.0, 1.0):
                orbits.append(self._map(orbit_file))
        self.starts = np.cumsum([0, *(len(shard) for shard in self.shards)])
        self.rows: np.ndarray | None = None  # None: every game
        if orbits:
            hashed = np.concatenate(orbits).astype(np.float64) / 2**32
            self.rows = np.flatnonzero((hashed >= part[0]) & (hashed < part[1]))
        self.available = int(self.starts[-1]) if self.rows is None else len(self.rows)
        if size is not None and size > self.available:
            raise StoredError(
                f"folder: {self.folder} has {self.available:,} games in this split, {size:,} were asked for"
            )
        self.size = self.available if size is None else size
        self._predictor: Predictor | None = None

    def known(self, predictor: Predictor | None) -> "StoredGames":
        """The same games, with a predictor where one is known."""
        self._predictor = predictor
        return self

    @staticmethod
    def _map(file: Path) -> np.ndarray:
        try:
            return np.load(file, mmap_mode="r")
        except (OSError, ValueError):
            raise StoredError(f"folder: {file} is missing or damaged") from None

    def _open(self, file: Path, listed: Mapping[str, Any], verify: bool) -> np.ndarray:
        shard = self._map(file)
        if shard.shape != (listed["count"], self.board.n_moves) or shard.dtype != np.uint8:
            raise StoredError(f"folder: {file} holds {shard.shape[0]} games, corpus.json says {listed['count']}")
        if verify and checksum(file) != listed["checksum"]:
            raise StoredError(f"folder: {file} is damaged: its checksum differs from corpus.json")
        return shard

    def __len__(self) -> int:
        return self.size

    def moves(self, indices: Int64[Tensor, " game"]) -> Int8[Tensor, "game ply"]:
        asked = indices.cpu().numpy()
        assert not len(asked) or (asked.min() >= 0 and asked.max() < self.available), "no such game"
        rows = asked if self.rows is None else self.rows[asked]
        shard = np.searchsorted(self.starts, rows, side="right") - 1
        result = np.empty((len(rows), self.board.n_moves), dtype=np.uint8)
        for number in np.unique(shard):
            here = shard == number
            result[here] = self.shards[number][rows[here] - self.starts[number]]
        return torch.from_numpy(result.view(np.int8)).to(indices.device)  # 255 is -1

    @property
    def predictor(self) -> Predictor | None:
        return self._predictor
