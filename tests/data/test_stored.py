"""Proves that games on disk are the games that were written: round trips of every board, cut into any shards and parts;
the same bytes however they are written, also after a job was killed at any of its writes; that whatever is missing,
foreign or damaged ends as one line that names the file; that the splits of a folder part its games and share no game nor
mirror image; and that shards are memory-mapped. Negative controls: a healthy folder passes where each damaged one is
refused, other games give other bytes, and a split by a hash that knows no symmetries shares mirror images.
"""

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from games import random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from mothello.data import stored
from mothello.data.split import PARTS
from mothello.data.stored import StoredError, StoredGames, shard_names, whole_shard, write_index, write_shard
from mothello.othello.board import SIZES, Board
from mothello.othello.counter import random_bits
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS, move_map

ALPHA = 1e-4
ABOUT = {"version": 1, "kind": "test"}
FOUR, SIX = Board.of(4), Board.of(6)


def cut(moves: Tensor, lengths: list[int]) -> Iterator[Tensor]:
    """The rows in pieces of those lengths, the last as long as it must be."""
    for length in lengths:
        if len(moves) > length:
            yield moves[:length]
            moves = moves[length:]
    yield moves


def write(folder: Path, board: Board, moves: Tensor, shards: list[int], parts: list[int]) -> Path:
    """A folder of games in shards of those sizes, each written in those parts."""
    first, written = 0, []
    for number, games in enumerate(cut(moves, shards)):
        written.append(write_shard(folder, number, first, cut(games, parts), board, ABOUT))
        first += len(games)
    write_index(folder, board, {"kind": "recorded"}, written)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty 4x4 games in three shards."""
    return write(tmp_path, FOUR, random_games(0, torch.arange(60), FOUR), [20, 25], [7])


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def mistake(folder: Path, named: str | Path | None = None, part: tuple[float, float] = (0.0, 0.7), **how: Any) -> str:
    """The StoredError of opening the folder: one line that begins with its key and names the file."""
    with pytest.raises(StoredError) as caught:
        StoredGames(folder, part, **how)
    text = str(caught.value)
    assert text.startswith("folder: ")
    assert str(folder if named is None else folder / named) in text
    assert "\n" not in text
    return text


# Round trips.


LENGTHS = st.lists(st.integers(1, 30), max_size=4)


@settings(max_examples=25)
@given(st.sampled_from(SIZES), st.integers(1, 60), LENGTHS, LENGTHS, st.data())
def test_games_come_back_as_they_were_written(
    size: int, n: int, shards: list[int], parts: list[int], data: st.DataObject
):
    board = Board.of(size)
    moves = random_games(1, torch.arange(n), board)
    moves[::3, data.draw(st.integers(1, board.n_moves)) :] = -1  # recorded games may stop anywhere
    asked = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), max_size=20)), dtype=torch.int64)
    with TemporaryDirectory() as name:
        games = StoredGames(write(Path(name), board, moves, shards, parts), verify=True)
        assert len(games) == games.available == n
        assert games.board is board
        assert games.index["count"] == n
        assert len(games.shards) == len(list(cut(moves, shards)))
        found = games.moves(asked)
        assert found.dtype == torch.int8
        assert torch.equal(found, moves[asked])
        assert torch.equal(games.moves(torch.arange(n)), moves)
        assert games.first_scored(asked).tolist() == [0] * len(asked)


def test_what_the_json_files_say(folder: Path):
    index = json.loads((folder / "corpus.json").read_text())
    assert (index["version"], index["board"], index["count"]) == (1, "4x4", 60)
    assert index["source"] == {"kind": "recorded"}
    first = 0
    for number, listed in enumerate(index["shards"]):
        file, orbits, described = shard_names(folder, number)
        content = json.loads(described.read_text())
        assert content == {**listed, "first": first, "orbit_checksum": stored.checksum(orbits), **ABOUT}
        assert content["file"] == file.name
        assert content["checksum"] == stored.checksum(file)
        assert len(np.load(file)) == len(np.load(orbits)) == content["count"]
        first += content["count"]
    assert {f"shard-{n:05d}{end}" for n in range(3) for end in (".npy", ".orbit.npy", ".json")} | {
        "corpus.json"
    } == set(everything(folder))


def test_end_of_game_is_255_on_disk(folder: Path):
    moves = random_games(0, torch.arange(20), FOUR)
    assert (moves < 0).any()
    raw = np.load(shard_names(folder, 0)[0])
    assert raw.dtype == np.uint8
    assert raw.tolist() == torch.where(moves < 0, 255, moves.int()).tolist()


def test_an_oracle_is_what_was_made_known(folder: Path):
    games = StoredGames(folder)
    assert games.oracle is None
    assert games.with_oracle(torch.zeros_like).oracle is torch.zeros_like
    assert games.with_oracle(None).oracle is None


# The same bytes.


@settings(max_examples=8)
@given(st.sampled_from(SIZES), LENGTHS, LENGTHS, LENGTHS)
def test_bytes_do_not_depend_on_how_they_were_written(
    size: int, shards: list[int], parts: list[int], others: list[int]
):
    board = Board.of(size)
    moves = random_games(2, torch.arange(40), board)
    with TemporaryDirectory() as one, TemporaryDirectory() as other, TemporaryDirectory() as changed:
        first = everything(write(Path(one), board, moves, shards, parts))
        assert everything(write(Path(other), board, moves, shards, others)) == first
        assert everything(write(Path(one), board, moves, shards, others)) == first  # over the files that stand there
        moves[17] = random_games(3, torch.arange(1), board)  # control: one other game
        assert everything(write(Path(changed), board, moves, shards, parts)) != first


def test_dtype_of_the_moves_does_not_matter(tmp_path: Path):
    moves = random_games(2, torch.arange(40), FOUR)
    for name, games in (("8", moves), ("64", moves.long())):
        (tmp_path / name).mkdir()
        write(tmp_path / name, FOUR, games, [20], [7])
    assert everything(tmp_path / "8") == everything(tmp_path / "64")


# Killed jobs.


class Killed(BaseException):
    """No exception that anyone catches."""


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_killed_shard_is_not_whole_and_is_written_again(
    number: int,
    renamed: bool,
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
):
    """Killed right before and right after each of a shard's three files gets its name."""
    place = tmp_path_factory.mktemp("killed")
    moves, about = random_games(0, torch.arange(20), FOUR), {**ABOUT, "count": 20, "first": 0}
    replace, done = Path.replace, []

    def killed(source: Path, target: Path) -> None:
        if len(done) < number or renamed:
            replace(source, target)
        done.append(target)
        if len(done) > number:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            write_shard(place, 0, 0, cut(moves, [7]), FOUR, ABOUT)
    moves_file, orbit_file, described = shard_names(place, 0)
    there = [file.exists() for file in (orbit_file, moves_file, described)]  # in the order of writing
    assert there == [k < number + renamed for k in range(3)]
    assert (whole_shard(place, 0, about) is not None) == (number + renamed == 3)
    mistake(place, "corpus.json")
    write_shard(place, 0, 0, cut(moves, [7]), FOUR, ABOUT)
    content = whole_shard(place, 0, about)
    assert content is not None
    assert content["count"] == 20
    for file in shard_names(place, 0):
        assert file.read_bytes() == (folder / file.name).read_bytes()


def test_a_shard_of_other_games_must_be_written_again(folder: Path):
    assert whole_shard(folder, 1, {**ABOUT, "first": 20, "count": 25}) is not None
    for other in ({"version": 2}, {"first": 21}, {"count": 24}, {"seed": 0}, {"kind": None}):
        assert whole_shard(folder, 1, {**ABOUT, **other}) is None
    assert whole_shard(folder, 3, ABOUT) is None


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_shard_that_lost_a_file_must_be_written_again(which: int, folder: Path):
    shard_names(folder, 1)[which].unlink()
    assert whole_shard(folder, 1, ABOUT) is None
    assert whole_shard(folder, 0, ABOUT) is not None


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def test_a_damaged_shard_must_be_written_again(folder: Path):
    flip_a_bit(shard_names(folder, 1)[0])
    assert whole_shard(folder, 1, ABOUT) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"version": 1, "kind": "test"}'])
def test_a_shard_whose_json_is_damaged_must_be_written_again(content: str, folder: Path):
    """As a machine that lost its power may leave it: the JSON is not flushed before it gets its name."""
    shard_names(folder, 1)[2].write_text(content)
    assert whole_shard(folder, 1, ABOUT) is None


def test_a_shard_with_damaged_orbits_must_be_written_again(folder: Path):
    """They decide the split of its games."""
    flip_a_bit(shard_names(folder, 1)[1])
    assert whole_shard(folder, 1, ABOUT) is None


# Mistakes.


def rewrite(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """Damage that edits corpus.json."""

    def damage(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return damage


def saved(make: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Damage that writes another array in place of a file's."""
    return lambda path: np.save(path, make(np.load(path)))


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None


def shortened(to: int) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(path.read_bytes()[:to]) and None


SHARD, ORBITS = "shard-00001.npy", "shard-00001.orbit.npy"


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        pytest.param(Path.unlink, "does not exist", id="missing"),
        pytest.param(text("half a fil"), "damaged", id="no json"),
        pytest.param(text(""), "damaged", id="empty"),
        pytest.param(text("[]"), "damaged", id="a list"),
        pytest.param(text("3"), "damaged", id="a number"),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), "damaged", id="no text"),
        pytest.param(shortened(100), "damaged", id="cut"),
        pytest.param(rewrite(lambda c: c.pop("shards")), "damaged", id="no shards"),
        pytest.param(rewrite(lambda c: c.pop("version")), "damaged", id="no version"),
        pytest.param(rewrite(lambda c: c.update(version=2)), "version 2, this code reads 1", id="version 2"),
        pytest.param(rewrite(lambda c: c.update(board="5x5")), "", id="board 5x5"),
        pytest.param(rewrite(lambda c: c.update(board="board")), "", id="board board"),
        pytest.param(rewrite(lambda c: c.update(board=4)), "", id="board 4"),
        pytest.param(rewrite(lambda c: c["shards"][1].pop("count")), "", id="a shard without count"),
        pytest.param(rewrite(lambda c: c.update(shards=3)), "", id="shards 3"),
    ],
)
def test_a_bad_index_is_named(damage: Callable[[Path], None], what: str, folder: Path):
    StoredGames(folder, (0.0, 0.7), verify=True)  # control: nothing is wrong before
    damage(folder / "corpus.json")
    assert what in mistake(folder, "corpus.json")


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        pytest.param(Path.unlink, "missing or damaged", id="missing"),
        pytest.param(text("not an array"), "missing or damaged", id="no array"),
        pytest.param(text(""), "missing or damaged", id="empty"),
        pytest.param(text("PK\x03\x04"), "missing or damaged", id="begins like a zip file"),
        pytest.param(shortened(40), "missing or damaged", id="cut in the header"),
        pytest.param(shortened(200), "missing or damaged", id="cut in the games"),
        pytest.param(saved(lambda a: a[:-1]), "holds 24 games, corpus.json says 25", id="one short"),
        pytest.param(saved(lambda a: np.concatenate([a, a])), "holds 50 games, corpus.json says 25", id="too long"),
        pytest.param(saved(lambda a: a[:, :-1]), "", id="plies of another board"),
        pytest.param(saved(lambda a: a.astype(np.int64)), "", id="another dtype"),
        pytest.param(saved(lambda a: a[0, 0]), "", id="a single number"),
    ],
)
def test_a_bad_shard_is_named(damage: Callable[[Path], None], what: str, folder: Path):
    damage(folder / SHARD)
    assert what in mistake(folder, SHARD, (0.0, 1.0))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(Path.unlink, id="missing"),
        pytest.param(text("not an array"), id="no array"),
        pytest.param(text(""), id="empty"),
        pytest.param(shortened(200), id="cut"),
        pytest.param(saved(lambda a: a[:-1]), id="one short"),
        pytest.param(saved(lambda a: np.concatenate([a, a])), id="too long"),
    ],
)
def test_bad_orbits_are_named(damage: Callable[[Path], None], folder: Path):
    """With a wrong number of them, the hashes of all later games would move: games would change their split."""
    StoredGames(folder, (0.0, 0.7))
    damage(folder / ORBITS)
    StoredGames(folder)  # all games: orbits are not looked at
    mistake(folder, ORBITS)


def test_verify_finds_a_single_bit(folder: Path):
    StoredGames(folder, verify=True)
    flip_a_bit(folder / SHARD)
    assert len(StoredGames(folder)) == 60  # opening reads no shard
    assert "checksum differs" in mistake(folder, SHARD, verify=True)


def test_an_index_of_fewer_shards_holds_fewer_games(folder: Path):
    """The folder is what corpus.json says, whatever else lies in it."""
    rewrite(lambda c: c["shards"].pop())(folder / "corpus.json")
    assert len(StoredGames(folder)) == 45


# Splits.


def with_images(size: int, n: int, seed: int = 0) -> Tensor:
    """Random games and all of their images, in an order that tells nothing."""
    board = Board.of(size)
    moves = random_games(seed, torch.arange(n), board)
    images = [torch.tensor((*move_map(board, name), -1), dtype=torch.int8)[moves.long()] for name in OPENING_MAPS]
    return torch.cat(images)[torch.randperm(4 * n, generator=torch.Generator().manual_seed(seed))]


def orbit(game: tuple[int, ...], board: Board, maps: tuple[str, ...] = OPENING_MAPS) -> tuple[int, ...]:
    """The least of a game's images: what they share."""
    return min(tuple(move_map(board, name)[move] for move in game if move >= 0) for name in maps)


def parts(folder: Path) -> list[list[tuple[int, ...]]]:
    found = [StoredGames(folder, part) for part in PARTS.values()]
    return [list(map(tuple, games.moves(torch.arange(len(games))).tolist())) for games in found]


def leaks(groups: list[list[tuple[int, ...]]], board: Board) -> int:
    """How many orbits stand in more than one split."""
    orbits = [{orbit(game, board) for game in games} for games in groups]
    return sum(map(len, orbits)) - len(set().union(*orbits))


@pytest.mark.parametrize("size", SIZES)
def test_splits_part_the_games_and_share_no_mirror_image(size: int, tmp_path: Path):
    moves = with_images(size, 150)
    groups = parts(write(tmp_path, Board.of(size), moves, [100, 333], [64]))
    assert sorted(game for games in groups for game in games) == sorted(map(tuple, moves.tolist()))
    assert all(groups)
    assert leaks(groups, Board.of(size)) == 0
    places = {game: row for row, game in enumerate(map(tuple, moves.tolist()))}
    for games in groups:  # in the order in which they were written
        rows = [places[game] for game in games]
        assert size == 4 or rows == sorted(rows)  # a 4x4 game may stand at several places


@pytest.mark.parametrize("size", SIZES)
def test_a_hash_that_knows_no_symmetries_would_leak(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Negative control for the test above."""

    def plain(moves: Tensor, board: Board) -> Tensor:
        code = torch.zeros(len(moves), dtype=torch.int64)
        for column in moves.long().T:
            code = code * 1_000_003 + column + 2
        return random_bits(0, code, 0)

    monkeypatch.setattr(stored, "orbit_hash", plain)
    moves = with_images(size, 150)
    groups = parts(write(tmp_path, Board.of(size), moves, [100, 333], [64]))
    assert sorted(game for games in groups for game in games) == sorted(map(tuple, moves.tolist()))
    assert leaks(groups, Board.of(size)) > 20


def test_maps_that_exchange_the_colors_are_no_reason_to_stay_together(tmp_path: Path):
    """A game's image under such a map is no game: the orbit has four members, not eight."""
    moves = with_images(6, 100)
    groups = parts(write(tmp_path, SIX, moves, [], []))
    where = {game: k for k, games in enumerate(groups) for game in games}
    image = torch.tensor((*move_map(SIX, OTHER_MAPS[0]), -1), dtype=torch.int8)[moves.long()]
    (tmp_path / "other").mkdir()
    others = parts(write(tmp_path / "other", SIX, image, [], []))
    elsewhere = {game: k for k, games in enumerate(others) for game in games}
    pairs = zip(map(tuple, moves.tolist()), map(tuple, image.tolist()), strict=True)
    assert any(where[game] != elsewhere[mirrored] for game, mirrored in pairs)


def test_splits_have_their_share_of_the_games(tmp_path: Path):
    moves = random_games(4, torch.arange(6000), SIX)
    folder = write(tmp_path, SIX, moves, [2500], [1000])
    counts = [StoredGames(folder, part).available for part in PARTS.values()]
    assert sum(counts) == 6000
    assert chisquare(counts, [4200, 600, 600, 600]).pvalue > ALPHA
    assert chisquare(counts, [3900, 700, 700, 700]).pvalue < ALPHA  # control


def test_the_split_of_a_game_does_not_depend_on_its_folder(tmp_path: Path):
    moves = random_games(5, torch.arange(200), SIX)
    groups = []
    for name, rows in (("all", slice(None)), ("some", slice(None, None, 3))):
        (tmp_path / name).mkdir()
        groups.append(parts(write(tmp_path / name, SIX, moves[rows], [40], [])))
    kept = set(map(tuple, moves[::3].tolist()))
    assert [[game for game in games if game in kept] for games in groups[0]] == groups[1]


# Memory and sizes.


def test_shards_are_mapped_not_read(folder: Path):
    games = StoredGames(folder, (0.0, 0.7))
    for shard in games.shards:
        assert type(shard) is np.memmap
        assert not shard.flags.writeable
        assert shard.base is not None
    before = everything(folder)
    games.moves(torch.arange(len(games))).fill_(3)  # what is handed out is the caller's
    assert everything(folder) == before
    assert not (games.moves(torch.arange(len(games))) == 3).all()


def test_opening_a_folder_takes_no_memory_for_its_games(tmp_path: Path):
    """Four million bytes of games, of which Python allocates next to nothing."""
    moves = random_games(0, torch.arange(1000), SIX).repeat(125, 1)
    write(tmp_path, SIX, moves, [100_000], [])
    tracemalloc.start()
    try:
        games = StoredGames(tmp_path)
        games.moves(torch.tensor([0, 99_999, 100_000]))
        opened = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        copies = [np.array(shard) for shard in games.shards]  # control: copies are seen
        copied = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(map(len, copies)) == 125_000
    assert opened < 200_000 < 4_000_000 <= copied


@pytest.mark.parametrize("part", [(0.0, 1.0), (0.0, 0.7), (0.9, 1.0)])
def test_more_games_than_there_are_is_refused(part: tuple[float, float], folder: Path):
    available = StoredGames(folder, part).available
    assert 0 < available <= 60
    for size in (1, available):
        assert len(StoredGames(folder, part, size)) == size
    text = mistake(folder, part=part, size=available + 1)
    assert re.search(rf"has {available} games in this split, fewer than {available + 1}", text)


def test_indices_outside_are_refused(folder: Path):
    games = StoredGames(folder)
    assert games.moves(torch.arange(0)).shape == (0, 12)
    for index in (-1, 60):
        with pytest.raises(AssertionError, match="no such game"):
            games.moves(torch.tensor([3, index]))
