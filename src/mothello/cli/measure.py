"""scripts/measure.py: strict legality, exact, and alignment without probes, into measures/states-HASH of a run."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import MISSING
from tqdm import tqdm

from mothello.bootstrap import Bootstrap
from mothello.cli.cost.measure import measure_costs
from mothello.cli.main import command
from mothello.cli.train import resolve_device
from mothello.config import NOT_IDENTITY
from mothello.data.split import Split, corpus, probe_corpus
from mothello.files import locked
from mothello.languages.language_set import LanguageSet
from mothello.measures.alignment.config import AlignmentConfig
from mothello.measures.alignment.embeddings import neighbours, word_embeddings
from mothello.measures.alignment.measures import Positions, Value, chances, pair_values
from mothello.measures.legality.estimate import count_legality, rules
from mothello.measures.parallel import image_states, layer_states
from mothello.measures.positions import Pool, draw_positions
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OPENING_MAPS, move_map
from mothello.rows import format_table, write_tidy
from mothello.seeding import generator
from mothello.stages.folders import identity
from mothello.stages.load import load_run, measured, random_weights_model
from mothello.stages.run import Run
from mothello.stages.running import describe_device, require_single_process, running
from mothello.training.device import Compile, DeviceConfig, autocast
from mothello.training.distributed import World


@dataclass(kw_only=True)
class MeasureCommand:
    """scripts/measure.py: strict legality, exact, and alignment without probes, of one run."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    """The run's folder."""
    legality_games: int = 400
    """Games after whose every ply the next move is asked for."""
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)

    def __post_init__(self) -> None:
        if self.legality_games < 2:
            raise ValueError(f"legality_games: {self.legality_games} is below 2")


Row = dict[str, Any]
BY_PLY = ("top1", "mass", "chance")
"""Columns of legality that are also told ply by ply."""


def legality_rows(run: Run, config: MeasureCommand) -> Iterator[Row]:
    """Every column of exact legality, with intervals over games, in every language."""
    moves = corpus(run.board, run.config.data.corpus_seed, Split.probe, config.legality_games)
    games = moves.moves(torch.arange(config.legality_games, device=run.model.head.weight.device))
    truth = rules(games, run.language_set)
    compiled = config.device.compile is Compile.always
    model: GPT = torch.compile(run.model) if compiled else run.model  # type: ignore[assignment]
    bootstrap = Bootstrap(len(games), config.alignment.draws, generator(0, "bootstrap"))
    for index, name in enumerate(tqdm(run.language_set.names, desc="legality", unit="language", mininterval=1)):
        with autocast(games.device, config.device.precision):
            counts = count_legality(model, games, run.language_set, index, exact=True, truth=truth)
        plies = counts.scored.sum(1).cpu()
        for quantity, column in counts.columns.items():
            control = "chance" if quantity == "chance" else "trained"
            head: Row = {
                "measure": "legality", "quantity": "top1" if quantity == "chance" else quantity, "control": control,
                "language": name, "n": len(games),
            }  # fmt: skip
            low, high = bootstrap(column.sum(1).cpu(), plies)
            yield head | {"value": counts.mean(quantity), "low": float(low), "high": float(high)}
            for ply, value in enumerate(counts.by_ply(quantity) if quantity in BY_PLY else [], start=1):
                if value is not None:
                    yield head | {"ply": ply, "value": value}


def _positions(run: Run, config: MeasureCommand) -> Positions:
    settings = config.alignment
    half = settings.games // 2
    games = probe_corpus(run.board, run.config.data.corpus_seed, half, settings.games - half)
    moves = games.moves(torch.arange(settings.games, device=run.model.head.weight.device))
    pool = draw_positions(moves[half:], settings.pool, generator(settings.seed, "pool"))
    bootstrap = Bootstrap(settings.games, settings.draws, generator(settings.seed, "bootstrap"))
    return Positions(moves, Pool(pool.game + half, pool.ply), bootstrap)


def _row(value: Value, measure: str, **where: Any) -> Row:
    row = {key: content for key, content in value._asdict().items() if content is not None}
    return {"measure": measure} | where | row


def alignment_rows(
    model: GPT, language_set: LanguageSet, positions: Positions, config: MeasureCommand, control: str
) -> Iterator[Row]:
    """Every measure of every ordered pair and layer. control: what the model counts as."""
    names, precision = language_set.names[: config.alignment.languages], config.device.precision
    layers = range(model.config.n_layer + 1)
    title = "states" if control == "trained" else "states, random weights"
    bar = tqdm(total=len(layers) * len(names), desc=title, unit="pass", mininterval=1)
    for layer in layers:
        of = [
            layer_states(model, positions.moves, language_set, index, layer, precision) for index in range(len(names))
        ]
        for second, language in enumerate(names):
            images = image_states(model, positions.moves, language_set, second, layer, precision)
            for first, source in enumerate(names):
                for value in pair_values(of[first], images, positions) if first != second else ():
                    if value.control == "trained" or control == "trained":
                        row = _row(value, "alignment", layer=layer, source=source, language=language)
                        yield row | ({"control": control} if value.control == "trained" else {})
            bar.update()
    bar.close()


def embedding_rows(model: GPT, language_set: LanguageSet, control: str, languages: int) -> Iterator[Row]:
    """Neighbours and margins of the token embeddings, of the moves written without a token that both languages have."""
    table = model.token_embedding.weight.detach().float().cpu()
    words = [
        word_embeddings(table, language_set.word_table[i], language_set.length_table[i])
        for i in range(len(language_set.names))
    ]
    ids = [set(language.ids) for language in language_set.languages]
    for first, source in enumerate(language_set.names[:languages]):
        for second, language in enumerate(language_set.names[:languages]):
            if first == second:
                continue
            common = ids[first] & ids[second]
            own = [
                torch.tensor([not common & set(word) for word in language_set.languages[i].words])
                for i in (first, second)
            ]
            for name in OPENING_MAPS:
                image = torch.tensor(move_map(language_set.board, name))
                asked = own[0] & own[1][image]
                if not bool(asked.any()):
                    continue
                found = neighbours(words[first], words[second], image, asked)
                for quantity, value in (("neighbours", found.precision), ("margin", found.margin)):
                    yield {
                        "measure": "embedding", "quantity": quantity, "control": control, "layer": 0, "source": source,
                        "language": language, "map": name, "value": value, "n": int(asked.sum()),
                    }  # fmt: skip


def measure_states(run: Run, config: MeasureCommand) -> list[Row]:
    """All rows of the table."""
    rows, several = list(legality_rows(run, config)), len(run.language_set.names) > 1
    if not several:
        return rows
    positions = _positions(run, config)
    rows += [_row(value, "alignment") for value in chances(positions)]
    models = {"trained": run.model}
    if config.alignment.random_weights:
        models["random_weights"] = random_weights_model(run)
    for control, model in models.items():
        rows += alignment_rows(model, run.language_set, positions, config, control)
        rows += embedding_rows(model, run.language_set, control, config.alignment.languages)
    return rows


def _summary(rows: list[Row]) -> dict[str, Any]:
    """For results.json: legality by language; of the states the mean over pairs by quantity, control and layer."""
    legality: dict[str, dict[str, float]] = {}
    means: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in rows:
        if row["measure"] == "legality" and "ply" not in row:
            name = "chance" if row["control"] == "chance" else row["quantity"]
            legality.setdefault(row["language"], {})[name] = row["value"]
        elif row["measure"] != "legality" and row.get("map") == "identity":
            of = means.setdefault(row["quantity"], {}).setdefault(row["control"], {})
            of.setdefault(row["layer"], []).append(row["value"])
    states = {
        quantity: {
            control: {str(layer): sum(values) / len(values) for layer, values in layers.items()}
            for control, layers in controls.items()
        }
        for quantity, controls in means.items()
    }
    return {"legality": legality, "states": states}


def measure(config: MeasureCommand) -> dict[str, Any]:
    """Measure a run; returns results.json."""
    require_single_process()
    device = resolve_device(config)
    run = load_run(config.run, device)
    folder = run.folder.measure("states", identity(config))
    if config.dry_run:
        done = " (finished already)" if measured(folder, run) else ""
        print(measure_costs(run, config).table(folder=f"{folder.path}{done}"), flush=True)
        return {}
    if measured(folder, run) and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    print(f"measuring {run.folder.path} -> {folder.path}", flush=True)
    begun = time.monotonic()
    with locked(folder.path), running(folder, World(), config):
        rows = measure_states(run, config)
        write_tidy(folder.path, rows)
        content = _summary(rows)
        about = {"board": run.board.name, "games": config.alignment.games} | run.reached
        about |= {"seconds": time.monotonic() - begun} | describe_device(device, World())
        folder.write_results("states", content | about)
        folder.write_status("ok")
    _print(content, folder.path)
    return folder.read_results()


def _print(content: dict[str, Any], folder: Path) -> None:
    print(f"legality\n{format_table(content['legality'])}")
    rows = {}
    for quantity, controls in content["states"].items():
        layers = controls["trained"]
        best = max(layers, key=lambda layer: layers[layer])
        others = {control: of.get(best) for control, of in controls.items() if control != "trained"}
        rows[quantity] = {"best layer": best, "trained": layers[best]} | others
    if rows:
        print(f"languages beside one another, mean over pairs\n{format_table(rows)}")
    print(f"every layer, pair and ply: {folder / 'table.csv.gz'}", flush=True)


main = command("measure", MeasureCommand, measure)
