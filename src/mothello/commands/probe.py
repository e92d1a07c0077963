"""scripts/probe.py: probes and alignment of one run, into measures/probe-HASH/results.json of its folder."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Int8
from torch import Tensor

from mothello.alignment.symmetric import NULL_GAMES, best_map, null_of_maximum
from mothello.commands.cost_probing import probing_costs
from mothello.commands.entry import command
from mothello.commands.loading import LoadedRun, load_run, measured
from mothello.commands.running import alone
from mothello.commands.train import resolve_device
from mothello.config import ProbeCommand, identity, plain
from mothello.data.split import Split, corpus
from mothello.languages.family import Family
from mothello.model.transformer import GPT
from mothello.othello.notation import game_text
from mothello.othello.symmetry import OPENING_MAPS
from mothello.probing.baselines import best_constant, image_agreement, images
from mothello.probing.crosslingual import CrossLingual, evaluate_probes
from mothello.probing.targets import TARGETS, BoardTargets, board_targets
from mothello.probing.train import ProbeConfig, fit_probes
from mothello.seeding import derive, generator
from mothello.stages.stage import build_model
from mothello.training.device import Precision


class Measured(NamedTuple):
    """Probes of one model, scored on held-out games: per probe kind, and the truth they were scored against."""

    probes: dict[str, CrossLingual]
    truth: BoardTargets
    fit: BoardTargets
    moves: Int8[Tensor, "game ply"]


def measure(
    model: GPT, family: Family, corpus_seed: int, config: ProbeConfig, precision: Precision, title: str
) -> Measured:
    """Fit on the first games of the probe split, score on the ones behind them."""
    device = model.head.weight.device
    games = corpus(family.board, corpus_seed, Split.probe, config.games + config.batch_size + config.test_games)
    probes = fit_probes(model, family, games, config, precision, title)
    start = config.games + config.batch_size
    moves = games.moves(torch.arange(start, start + config.test_games, device=device))
    fit_moves = games.moves(torch.arange(min(config.games, 2000), device=device))
    scored = evaluate_probes(model, family, probes, moves, precision)
    return Measured(scored, board_targets(moves, family.board), board_targets(fit_moves, family.board), moves)


def _nulls(measured: Measured, family: Family, config: ProbeConfig, result: CrossLingual) -> Any:
    """95% quantile of the null of the best map: [target, layer, source, language]."""
    draw = generator(config.seed, "null")
    n = min(NULL_GAMES, len(measured.moves))
    scored = measured.truth.scored[:n].cpu()
    quantiles = torch.empty(result.readings.shape[:4])
    for target in range(len(TARGETS)):
        moved = images(measured.truth.classes[target, :n].cpu(), family.board)
        for layer, source, language in torch.cartesian_prod(*map(torch.arange, quantiles.shape[1:])).tolist():
            reading = result.readings[target, layer, source, language, :n]
            null = null_of_maximum(reading, moved, scored, config.draws, draw)
            quantiles[target, layer, source, language] = null.quantile(0.95)
    return quantiles


def headline(accuracy: Tensor, standard_error: Tensor) -> dict[str, Any]:
    """At the non-final layer with the best mean own accuracy: own, cross (all ordered pairs), their difference.

    accuracy: [layer, source, language, map] of one probe and target.
    """
    raw, best = accuracy[..., 0], best_map(accuracy)
    own = raw.diagonal(dim1=1, dim2=2).mean(1)
    layer = int(own[:-1].argmax())
    n = raw.shape[1]
    other = ~torch.eye(n, dtype=torch.bool)
    row: dict[str, Any] = {"layer": layer, "own": float(own[layer])}
    row["own_standard_error"] = float(standard_error[layer].diagonal().mean())
    if n > 1:
        row["cross"] = float(raw[layer][other].mean())
        row["cross_standard_error"] = float(standard_error[layer][other].mean())
        row["cross_best_map"] = float(best.accuracy[layer][other].mean())
        row["loss_across"] = row["own"] - row["cross"]
        row["maps"] = {name: int((best.which[layer][other] == i).sum()) for i, name in enumerate(OPENING_MAPS)}
    return row


def _rounded(values: Tensor) -> Any:
    return torch.round(values.double(), decimals=5).tolist()


def _examples(measured: Measured, family: Family, layer: int, probe: str, count: int = 2) -> list[dict[str, Any]]:
    """A few boards as read from two languages by the first language's probe (absolute colours), beside the truth."""
    result = []
    readings = measured.probes[probe].readings
    for game in range(min(count, len(measured.moves))):
        length = int(measured.truth.scored[game].sum())
        ply = length * (2 + game) // 4
        languages = range(min(2, len(family.languages)))
        result.append(
            {
                "game": game_text(measured.moves[game].tolist()[: ply + 1], family.board),
                "ply": ply + 1,
                "layer": layer,
                "probe": probe,
                "source": family.names[0],
                "truth": measured.truth.classes[0, game, ply].tolist(),
                "readings": {
                    family.names[language]: readings[0, layer, 0, language, game, ply].tolist()
                    for language in languages
                },
            }
        )
    return result


def results_of(trained: Measured, untrained: Measured | None, family: Family, config: ProbeConfig) -> dict[str, Any]:
    """Everything that goes into results.json; axes name the dimensions of the nested lists."""
    heads: dict[str, Any] = {}
    for probe, result in trained.probes.items():
        for index, target in enumerate(TARGETS):
            row = headline(result.accuracy[index], result.standard_error[index])
            row["constant"] = float(best_constant(trained.fit, trained.truth)[index])
            if untrained is not None:
                random = untrained.probes[probe].accuracy[index, row["layer"], :, :, 0]
                row["random_weights"] = float(random.diagonal().mean())
            heads[f"{probe}/{target}"] = row
    best_probe = "mlp" if "mlp" in trained.probes else config.probes[0]
    n_layers = trained.probes[best_probe].accuracy.shape[1]
    content: dict[str, Any] = {
        "axes": {
            "probe": config.probes, "target": list(TARGETS), "layer": list(range(n_layers)),
            "source": family.names, "language": family.names, "map": list(OPENING_MAPS),
        },
        "unit": "share of cells read correctly, over scored plies of held-out games",
        "board": family.board.name,
        "games": config.test_games,
        "accuracy": _rounded(torch.stack([x.accuracy for x in trained.probes.values()])),
        "standard_error": _rounded(torch.stack([x.standard_error for x in trained.probes.values()])),
        "null_95": _rounded(torch.stack([_nulls(trained, family, config, x) for x in trained.probes.values()])),
        "constant": dict(zip(TARGETS, _rounded(best_constant(trained.fit, trained.truth)), strict=True)),
        "image_agreement": {
            target: dict(zip(OPENING_MAPS, values, strict=True))
            for target, values in zip(TARGETS, _rounded(image_agreement(trained.truth, family.board)), strict=True)
        },
        "headline": heads,
        "examples": _examples(trained, family, heads[f"{best_probe}/absolute"]["layer"], best_probe),
    }  # fmt: skip
    if untrained is not None:
        content["random_weights"] = _rounded(torch.stack([x.accuracy for x in untrained.probes.values()]))
    return content


def measure_model(
    run: LoadedRun, model: GPT, config: ProbeConfig, precision: Precision, baseline: bool
) -> dict[str, Any]:
    """Probe a model of a run (as pretrained, or fine-tuned from it); with the random-weights baseline if asked."""
    seed = run.config.data.corpus_seed
    trained = measure(model, run.family, seed, config, precision, "probes")
    untrained = None
    if baseline:
        device = model.head.weight.device
        fresh = build_model(run.config.model, run.family).initialize(derive(run.config.seed, "random weights"))
        untrained = measure(fresh.to(device).eval(), run.family, seed, config, precision, "probes, random weights")
    return results_of(trained, untrained, run.family, config)


def probe(config: ProbeCommand) -> dict[str, Any]:
    """Probe a run; returns results.json."""
    alone()
    device = resolve_device(config)
    run = load_run(config.run, device)
    folder = run.folder.measure("probe", identity(config))
    if config.dry_run:
        costs = probing_costs(run, config.probe, config.device.precision, config.probe.random_weights)
        print(costs.table(folder=f"{folder.path}{' (finished already)' if measured(folder, run) else ''}"), flush=True)
        return {}
    if measured(folder, run) and not config.force:
        print(f"finished already: {folder.path} (force=true to redo)", flush=True)
        return folder.read_results()
    print(f"probing {run.folder.path} -> {folder.path}", flush=True)
    folder.write_config(plain(config))
    folder.write_status("running")
    try:
        content = measure_model(run, run.model, config.probe, config.device.precision, config.probe.random_weights)
    except BaseException as error:
        folder.write_status("failed", error=f"{type(error).__name__}: {error}")
        raise
    folder.write_results("probe", content | run.reached)
    folder.write_status("ok")
    for name, row in content["headline"].items():
        cross = f", cross {row['cross']:.3f} (best map {row['cross_best_map']:.3f})" if "cross" in row else ""
        random = f", random weights {row['random_weights']:.3f}" if "random_weights" in row else ""
        print(f"{name}: layer {row['layer']}, own {row['own']:.3f}{cross}; constant {row['constant']:.3f}{random}")
    return folder.read_results()


main = command("probe", ProbeCommand, probe)
