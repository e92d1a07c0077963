"""scripts/probe.py: probes and alignment of one run, into measures/probe-HASH of its folder."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from omegaconf import MISSING

from mothello.cli.cost.probing import probing_costs
from mothello.cli.main import command
from mothello.cli.train import resolve_device
from mothello.config import NOT_IDENTITY
from mothello.data.split import probe_corpus
from mothello.files import locked
from mothello.languages.language_set import LanguageSet
from mothello.measures.causal.config import CausalConfig
from mothello.measures.causal.rows import causal_rows, causal_summary
from mothello.measures.probes.averages import headline
from mothello.measures.probes.baselines import best_constant, image_agreement, unrelated_agreement
from mothello.measures.probes.config import ProbeConfig
from mothello.measures.probes.fit import SHUFFLED, FittedProbes, fit_probes
from mothello.measures.probes.other_maps import outside_maps
from mothello.measures.probes.rows import Row, board_rows, probe_rows, shuffled_rows, told
from mothello.measures.probes.score import CrossLingual, Games, accuracy, evaluate_probes
from mothello.measures.probes.targets import TARGETS, BoardTargets, board_targets
from mothello.model.transformer import GPT
from mothello.othello.notation import game_text
from mothello.othello.symmetry import OPENING_MAPS, OTHER_MAPS
from mothello.rows import write_tidy
from mothello.seeding import generator
from mothello.stages.folders import identity
from mothello.stages.load import load_run, measured, random_weights_model
from mothello.stages.run import Run
from mothello.stages.running import describe_device, require_single_process, running
from mothello.tracking import TrackingConfig, start_mirror
from mothello.training.device import DeviceConfig, Precision
from mothello.training.distributed import World


@dataclass(kw_only=True)
class ProbeCommand:
    """scripts/probe.py: probes and alignment of one run."""

    run: str = field(default=MISSING, metadata=NOT_IDENTITY)
    """The run's folder."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    causal: CausalConfig = field(default_factory=CausalConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig, metadata=NOT_IDENTITY)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=NOT_IDENTITY)
    force: bool = field(default=False, metadata=NOT_IDENTITY)
    dry_run: bool = field(default=False, metadata=NOT_IDENTITY)


class Measured(NamedTuple):
    """Probes of one model, scored on held-out games: per probe kind, and the games they were scored on."""

    fitted: FittedProbes
    probes: dict[str, CrossLingual]
    games: Games
    fit: BoardTargets


def measure(
    model: GPT,
    language_set: LanguageSet,
    corpus_seed: int,
    config: ProbeConfig,
    precision: Precision,
    title: str,
    shuffled: bool,
) -> Measured:
    """Fit on the first games of the probe split, score on the last ones; between them are those held out."""
    device = model.head.weight.device
    games = probe_corpus(language_set.board, corpus_seed, *config.sizes)
    targets = (*TARGETS, SHUFFLED) if shuffled else TARGETS
    fitted = fit_probes(model, language_set, games, config, precision, title, targets)
    moves = games.moves(torch.arange(config.first_test_game, config.all_games, device=device))
    fit_moves = games.moves(torch.arange(min(config.games, 2000), device=device))
    null = generator(config.seed, "null")
    scored = evaluate_probes(model, language_set, fitted, moves, precision, config.draws, null)
    truth, fit = (board_targets(some, language_set.board) for some in (moves, fit_moves))
    return Measured(fitted, scored, Games(moves, truth), fit)


def _examples(
    measured: Measured, language_set: LanguageSet, layer: int, probe: str, count: int = 2
) -> list[dict[str, Any]]:
    """A few boards as read from two languages by the first language's probe (absolute colours), beside the truth."""
    result = []
    readings = measured.probes[probe].readings
    for game in range(min(count, len(measured.games.moves))):
        length = int(measured.games.truth.scored[game].sum())
        ply = length * (2 + game) // 4
        languages = range(min(2, len(language_set.languages)))
        result.append(
            {
                "game": game_text(measured.games.moves[game].tolist()[: ply + 1], language_set.board),
                "ply": ply + 1,
                "layer": layer,
                "probe": probe,
                "source": language_set.names[0],
                "truth": measured.games.truth.classes[0, game, ply].tolist(),
                "readings": {
                    language_set.names[language]: readings[0, layer, 0, language, game, ply].tolist()
                    for language in languages
                },
            }
        )
    return result


def _rounded(values: torch.Tensor) -> Any:
    return torch.round(values.double(), decimals=5).tolist()


def results_of(
    trained: Measured, untrained: Measured | None, language_set: LanguageSet, config: ProbeConfig
) -> dict[str, Any]:
    """results.json: a headline for every probe and target with its baselines, and what they were measured on."""
    heads: dict[str, Any] = {}
    constants = best_constant(trained.fit, trained.games.truth).tolist()
    for probe, result in trained.probes.items():
        for index, target in enumerate(TARGETS):
            row = headline(result, index, trained.games, constants[index], config.draws, config.seed)
            row["constant"] = constants[index]
            if untrained is not None:
                random = accuracy(untrained.probes[probe].right[index, row["layer"], :, :, 0], untrained.games)
                row["random_weights"] = float(random.diagonal().mean())
            if result.shuffled is not None:
                shuffled = accuracy(result.shuffled[row["layer"]], trained.games)
                row["shuffled"] = float(shuffled.mean())
            heads[f"{probe}/{target}"] = row
    best_probe = "mlp" if "mlp" in trained.probes else config.probes[0]
    return {
        "axes": {
            "probe": config.probes, "target": list(TARGETS),
            "layer": list(range(trained.probes[best_probe].whole.shape[1])),
            "source": language_set.names, "language": language_set.names, "map": list(OPENING_MAPS),
        },
        "unit": "share of cells read correctly, over scored plies of held-out games",
        "board": language_set.board.name,
        "games": config.test_games,
        "fit_steps": trained.fitted.steps,
        "constant": dict(zip(TARGETS, constants, strict=True)),
        "unrelated": dict(zip(TARGETS, _rounded(unrelated_agreement(trained.games.truth)), strict=True)),
        "image_agreement": {
            target: dict(zip(OPENING_MAPS, values, strict=True))
            for target, values in zip(
                TARGETS, _rounded(image_agreement(trained.games.truth, language_set.board)), strict=True
            )
        },
        "headline": heads,
        "examples": _examples(trained, language_set, heads[f"{best_probe}/absolute"]["layer"], best_probe),
    }  # fmt: skip


def rows_of(
    trained: Measured, untrained: Measured | None, language_set: LanguageSet, config: ProbeConfig, heads: dict[str, Any]
) -> Iterator[Row]:
    """The tidy table."""
    yield from board_rows(trained.games, trained.fit, language_set)
    for name, result in trained.probes.items():
        layers = [heads[f"{name}/{target}"]["layer"] for target in TARGETS]
        common = (language_set, trained.fit, config.draws, config.seed)
        yield from probe_rows(name, result, trained.games, *common, layers=layers)
        yield from shuffled_rows(name, result, trained.games, language_set)
        if untrained is not None:
            yield from probe_rows(name, untrained.probes[name], untrained.games, *common, control="random_weights")


class Content(NamedTuple):
    """What a measurement writes: results.json, and the rows of its table."""

    results: dict[str, Any]
    rows: list[Row]


def measure_model(
    run: Run, model: GPT, config: ProbeConfig, precision: Precision, causal: CausalConfig | None,
    title: str = "probes",
) -> Content:  # fmt: skip
    """Probe a model of a run (as pretrained, or fine-tuned from it). causal: also make these interventions, and fit
    the controls that the config asks for."""
    seed, language_set = run.config.data.corpus_seed, run.language_set
    trained = measure(model, language_set, seed, config, precision, title, causal is not None and config.shuffled)
    untrained = None
    if causal is not None and config.random_weights:
        fresh = random_weights_model(run)
        untrained = measure(fresh, language_set, seed, config, precision, f"{title}, random weights", shuffled=False)
    results = results_of(trained, untrained, language_set, config)
    if causal is not None and len(language_set.languages) > 1:
        layers = {name: results["headline"][f"{name}/absolute"]["layer"] for name in trained.probes}
        games = trained.games
        outside = outside_maps(model, language_set, trained.fitted, games.moves, games.truth, layers, precision)
        results["outside"] = {"map": list(OTHER_MAPS)} | {
            f"{name}/absolute": {key: _rounded(values) for key, values in found._asdict().items()}
            for name, found in outside.items()
        }
    rows = list(rows_of(trained, untrained, language_set, config, results["headline"]))
    if causal is not None:
        edits = list(causal_rows(model, language_set, trained.fitted, trained.games.moves, causal, precision))
        rows, results["causal"] = rows + edits, causal_summary(edits, model.config.n_layer)
    return Content(results, rows)


def probe(config: ProbeCommand) -> dict[str, Any]:
    """Probe a run; returns results.json."""
    require_single_process()
    device = resolve_device(config)
    run = load_run(config.run, device)
    folder = run.folder.measure("probe", identity(config))
    if config.dry_run:
        costs = probing_costs(run, config.probe, config.device.precision, config.causal)
        print(costs.table(folder=f"{folder.path}{' (finished already)' if measured(folder, run) else ''}"), flush=True)
        return {}
    if measured(folder, run) and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    print(f"probing {run.folder.path} -> {folder.path}", flush=True)
    begun = time.monotonic()
    with locked(folder.path), running(folder, World(), config):
        start_mirror(folder, config.tracking)
        content, rows = measure_model(run, run.model, config.probe, config.device.precision, config.causal)
        write_tidy(folder.path, rows)
        about = {"seconds": time.monotonic() - begun} | describe_device(device, World())
        folder.write_results("probe", content | run.reached | about)
        folder.write_status("ok")
    print(told(content, folder.path), flush=True)
    return folder.read_results()


main = command("probe", ProbeCommand, probe)
