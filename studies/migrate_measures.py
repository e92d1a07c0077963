"""Folders of measures of earlier versions -> one folder per measure, all numbers as rows. Called by studies.migrate."""

import csv
import gzip
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml

from mothello.config import plain, typed
from mothello.data.split import probe_corpus
from mothello.measures.builtin import BUILTIN
from mothello.measures.measure import MEASURES, folder_name
from mothello.measures.probes.baselines import best_of_orbits
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.targets import TARGETS, board_targets
from mothello.othello.board import Board
from mothello.rows import FILE, write_tidy
from mothello.rundir import RunDir

Row = dict[str, Any]
QUANTITIES = {
    "spelled": "mass_any_move", "mass_restricted": "mass_own_tokens", "first_token_mass": "mass_first_token"
}  # fmt: skip
ABOUT = (
    "version", "environment", "board", "games", "step", "steps", "seconds", "device", "threads", "processes",
    "memory_gb", "torch",
)  # fmt: skip
DROPPED = ("null_mean", "null_95", "aligned")
"""Of a null that never bound; the verdict is a query over the other rows."""
AVERAGES = {"cross": "across", "cross_best_map": "across_best_map", "loss_across": "loss_across"}
assert BUILTIN


def migrate_measures(path: Path) -> None:
    """Turn one folder of measures/ into today's; one in today's form gets the name that its config has today."""
    kind, content = path.name.rpartition("-")[0], RunDir(path).read_config()
    if kind == "probe":
        rows, results = _rows(path), RunDir(path).read_json("results.json")
        edits = [row for row in rows if row["measure"] in ("causal", "patching")]
        probed = [row for row in rows if row["measure"] == "probe"]
        probes = content["probe"]
        if "fit_steps" not in results:  # before and after a fine-tuning: without controls, whatever the config said
            probes |= {"random_weights": False, "shuffled": False, "other_maps": False}
        target = _write(path, "probes", probes, _probe_rows(probed, results))
        add_orbits(target)
        if results.get("examples"):
            (target / "examples.json").write_text(json.dumps(results["examples"]))
        if edits:
            _write(path, "causal", content["causal"] | {"probes": probes}, edits)
        shutil.rmtree(path)
    elif kind == "states":
        rows, results = _rows(path), RunDir(path).read_json("results.json")
        legality, alignment = ([row for row in rows if (row["measure"] == "legality") == is_] for is_ in (True, False))
        settings = {"games": content["legality_games"], "draws": content["alignment"]["draws"]}
        _write(path, "legality", settings, _legality_rows(legality, results))
        if alignment:
            _write(path, "alignment", content["alignment"], alignment)
        shutil.rmtree(path)
    elif kind in MEASURES:
        if kind not in content:
            content = {"measures": [kind], kind: content}
            (path / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        config: Any = typed(content[kind], MEASURES.get(kind).Config)
        path = path.rename(path.parent / folder_name(config))
        if kind == "probes":
            add_orbits(path)


def _rows(path: Path) -> list[Row]:
    """The table as written: numbers are text, and what is empty is left out."""
    text = gzip.decompress((path / FILE).read_bytes()).decode()
    rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(io.StringIO(text))]
    rows = [row for row in rows if row["quantity"] not in DROPPED]
    return [row | {"quantity": QUANTITIES.get(row["quantity"], row["quantity"])} for row in rows]


def add_orbits(path: Path) -> None:
    """Give a folder of probes, which lies in that of its model, the baseline of orbits. It takes no model: the games
    are known."""
    rows, model = _rows(path), RunDir(path.parents[1]).read_config()
    if any(row.get("control") == "orbit" for row in rows):
        return
    config: Any = typed(RunDir(path).read_config()["probes"], ProbesConfig)
    values = _orbits(model["board"]["size"], model["data"].get("corpus_seed", 0), config.sizes)
    first = next(i for i, row in enumerate(rows) if row["quantity"] == "accuracy" and row["control"] != "constant")
    head = {"measure": "probe", "quantity": "accuracy", "control": "orbit", "n": config.test_games}
    added = [head | {"target": name, "value": value} for name, value in zip(TARGETS, values, strict=True)]
    write_tidy(path, [*rows[:first], *added, *rows[first:]])


@cache
def _orbits(size: int, seed: int, sizes: tuple[int, ...]) -> list[float]:
    """The orbit reader by target, on the games that probes are scored on."""
    board = Board.of(size)
    indices = torch.arange(sum(sizes[:-1]), sum(sizes))
    return best_of_orbits(board_targets(probe_corpus(board, seed, *sizes).moves(indices), board), board).tolist()


def _write(old: Path, name: str, settings: dict[str, Any], rows: Iterable[Row]) -> Path:
    """A folder of today's form beside the old one."""
    config: Any = typed(settings, MEASURES.get(name).Config)
    folder, before = RunDir(old.parent / folder_name(config)), RunDir(old)
    write_tidy(folder.path, rows)
    head = {key: value for key, value in before.read_config().items() if key in ("run", "device")}
    head |= {"measures": [name], name: plain(config)}
    (folder.path / "config.yaml").write_text(yaml.safe_dump(head, sort_keys=False))
    results = before.read_json("results.json")
    games = getattr(config, "test_games", getattr(config, "games", None))
    about = {key: results[key] for key in ABOUT if key in results} | {"games": games}
    if name in ("causal", "alignment"):  # their seconds are among those of probes and of legality
        del about["seconds"]
    folder.write_json("results.json", {"kind": name} | about)
    shutil.copyfile(old / "status.json", folder.path / "status.json")
    return folder.path


def _legality_rows(rows: list[Row], results: dict[str, Any]) -> Iterator[Row]:
    """The means over plies in full."""
    for row in rows:
        name = "chance" if row["control"] == "chance" else row["quantity"]
        whole = {QUANTITIES.get(key, key): value for key, value in results["legality"][row["language"]].items()}
        yield row if "ply" in row else row | {"value": whole[name]}


def _probe_rows(rows: list[Row], results: dict[str, Any]) -> Iterator[Row]:
    """Averages as rows, in full at the layer of the headline, and whatever else results.json alone held."""
    if "fit_steps" in results:
        yield {"measure": "probe", "quantity": "fit_steps", "control": "trained", "value": results["fit_steps"]}
    for row in rows:
        whole = row["control"] == "constant" and "ply" not in row
        yield row | {"value": results["constant"][row["target"]]} if whole else row
    for name, head in results["headline"].items():
        probe, target = name.split("/")
        mine = [row for row in rows if row.get("probe") == probe and row["target"] == target and "layer" in row]
        yield from _averages(mine, head, {"measure": "probe", "probe": probe, "target": target})
    yield from _other_maps(results)


def _averages(rows: list[Row], head: dict[str, Any], common: Row) -> Iterator[Row]:
    own: dict[tuple[str, int], list[float]] = defaultdict(list)
    pairs: dict[int, dict[tuple[str, str], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["quantity"] != "accuracy" or "square" in row or "ply" in row:
            continue
        pair, layer = (row["source"], row["language"]), int(row["layer"])
        if pair[0] == pair[1] and row["map"] == "identity":
            own[row["control"], layer].append(float(row["value"]))
        elif pair[0] != pair[1] and row["control"] == "trained":
            pairs[layer][pair][row["map"]] = float(row["value"])
    for (control, layer), values in own.items():
        key = "own" if control == "trained" else control
        yield from _average(common, "own", control, layer, fmean(values), head, key)
    for layer, by_pair in pairs.items():
        raw = fmean(maps["identity"] for maps in by_pair.values())
        best = fmean(max(maps.values()) for maps in by_pair.values())
        averages = {"cross": raw, "cross_best_map": best, "loss_across": fmean(own["trained", layer]) - raw}
        for key, value in averages.items():
            yield from _average(common, AVERAGES[key], "trained", layer, value, head, key)


def _average(
    common: Row, quantity: str, control: str, layer: int, value: float, head: dict[str, Any], key: str
) -> Iterator[Row]:
    row = common | {"quantity": quantity, "control": control, "layer": layer, "value": value}
    if layer == head["layer"] and key in head:
        row |= {"value": head[key]}
        row |= dict(zip(("low", "high"), head["intervals"].get(key, []), strict=False))
    yield row


def _other_maps(results: dict[str, Any]) -> Iterator[Row]:
    outside = results.get("outside", {})
    names = results["axes"]["language"]
    for name, tables in outside.items():
        if name == "map":
            continue
        probe, target = name.split("/")
        for key, quantity in (("kept", "other_map"), ("exchanged", "other_map_swapped")):
            for map_, table in zip(outside["map"], tables[key], strict=True):
                for source, line in zip(names, table, strict=True):
                    for language, value in zip(names, line, strict=True):
                        if source != language:
                            yield {
                                "measure": "probe", "quantity": quantity, "control": "trained", "probe": probe,
                                "target": target, "layer": results["headline"][name]["layer"], "source": source,
                                "language": language, "map": map_, "value": value, "n": results["games"],
                            }  # fmt: skip
