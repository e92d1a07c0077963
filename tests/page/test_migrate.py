"""Proves: a table of probes of an earlier version gets the orbit reader, of the games that it was scored on, loses the rows
of the null and keeps all others as they were; a second migration changes nothing."""

import gzip
import shutil
from pathlib import Path

import pytest

from mothello.measures.probes.headline import headline
from mothello.rows import FILE, read_tidy
from studies import RESULTS
from studies.migrate_measures import migrate_measures

OLD = (
    "probe,null_mean,trained,mlp,absolute,0,atomic_0,atomic_1,,,,,,0.53,,,1000",
    "probe,null_95,trained,mlp,absolute,0,atomic_0,atomic_1,,,,,,0.54,,,1000",
    "probe,aligned,trained,mlp,absolute,0,atomic_0,atomic_1,main,,,,,1,,,400",
)


def lines(folder: Path) -> list[str]:
    return gzip.decompress((folder / FILE).read_bytes()).decode().splitlines()


def test_a_table_without_the_orbit_reader_gets_it(tmp_path: Path) -> None:
    run = next((RESULTS / "mini" / "naive").iterdir()) / "seed0"
    committed = next(
        path.parent for path in run.glob(f"measures/probes-*/{FILE}") if "shuffled" in "".join(lines(path.parent))
    )
    folder = tmp_path / "seed0" / "measures" / committed.name
    shutil.copytree(committed, folder)
    shutil.copyfile(run / "config.yaml", tmp_path / "seed0" / "config.yaml")
    others = [
        line
        for line in lines(committed)
        if ",orbit," not in line and line.split(",")[1] not in ("null_mean", "null_95", "aligned")
    ]
    text = "\n".join([*others, *OLD]) + "\n"
    (folder / FILE).write_bytes(gzip.compress(text.encode()))
    migrate_measures(folder)
    assert [line for line in lines(folder) if ",orbit," not in line] == others
    found = [line for line in lines(folder) if ",orbit," in line]
    assert [line.split(",")[4] for line in found] == ["absolute", "relative"]
    assert headline(read_tidy(folder), "mlp", "absolute").orbit == pytest.approx(0.726, abs=0.005)
    before = (folder / FILE).read_bytes()
    migrate_measures(folder)
    assert (folder / FILE).read_bytes() == before
