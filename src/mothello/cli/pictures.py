"""What wandb shows of a finished folder: figures of the report, boards, and the summary in the table of runs."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mothello.report import figures
from mothello.report.board_figure import Drawn, boards_figure, reading_boards
from mothello.report.heatmaps import alignment_maps, scale
from mothello.report.runs import Run, find_runs
from mothello.report.tables import alignment_table, ply_table, training_table, transfer_table
from mothello.report.wandb_mirror import root_of

log = logging.getLogger(__name__)

SHOWN = 2
"""Games whose boards are drawn, and languages that they are drawn for."""


def closing(folder: Path) -> tuple[Mapping[str, Figure], Mapping[str, Any]]:
    """Figures by name and numbers by key; none where the folder's run has not finished."""
    root = root_of(folder)
    for run in find_runs([str(root)]):
        if folder == root:
            return _training(run), {"minutes": run.results["seconds"] / 60}
        inside = str(folder.relative_to(root))
        probes = [x for x in run.probes if x["folder"] == inside]
        if probes:
            return _probes(replace(run, probes=probes)), _headline(probes[0])
        tunings = [x for x in run.transfers if x["folder"] == inside]
        if tunings:
            table = transfer_table([replace(run, transfers=tunings)])
            return {"figures/fine-tuning": figures.transfer_curves(table)}, _ends(tunings[0])
    return {}, {}


def _training(run: Run) -> dict[str, Figure]:
    drawn = {
        "figures/training": figures.training_curves(training_table([run])),
        "figures/legality by ply": figures.ply_curves(ply_table([run])),
    }
    try:
        drawn["boards/next move"] = next_move_boards(run.path)
    except Exception as error:  # a run whose model cannot be loaded has its curves all the same
        log.warning("no boards (%s: %s)", type(error).__name__, error)
    return drawn


def next_move_boards(run_folder: Path) -> Figure:
    """The probability of every next move in the middle of a few held-out games, a column per language."""
    import torch

    from mothello.data.split import Split, corpus
    from mothello.measures.legality.estimate import in_language
    from mothello.measures.legality.exact import next_moves
    from mothello.measures.probes.targets import board_targets
    from mothello.stages.load import load_run

    run = load_run(str(run_folder), torch.device("cpu"))
    language_set, board = run.language_set, run.language_set.board
    moves = corpus(board, run.config.data.corpus_seed, Split.validation, SHOWN).moves(torch.arange(SHOWN))
    states = board_targets(moves, board).classes[0]
    cells = [board.squares.index(square) for square in board.moves]
    rows: list[list[Drawn]] = [[] for _ in moves]
    for language, name in list(enumerate(language_set.names))[:SHOWN]:
        with torch.inference_mode():
            scores = next_moves(run.model, in_language(moves, language, language_set), language_set, language)
        for game, ply in enumerate(((moves >= 0).sum(1) // 2).tolist()):
            shade = torch.zeros(board.n_cells)
            shade[cells] = scores.full[game, ply - 1].exp().float()
            rows[game].append(Drawn(f"{name}, after ply {ply}", states[game, ply - 1].tolist(), shade.tolist()))
    return boards_figure(rows)


def _probes(run: Run) -> dict[str, Figure]:
    rows = alignment_table([run])
    probe, target = ("mlp" if "mlp" in set(rows.probe) else str(rows.probe.iloc[0])), "absolute"
    drawn = {"figures/layers": figures.layer_curves(rows, probe, target)}
    if len(run.languages) > 1:
        regime = str(rows.regime.iloc[0])
        drawn["figures/alignment"] = alignment_maps(rows, regime, probe, target, scale(rows))
    examples = (run.probe or {}).get("examples") or []
    if examples:
        drawn["boards/readings"] = boards_figure([reading_boards(example) for example in examples])
    return drawn


def _headline(content: dict[str, Any]) -> dict[str, float]:
    """The headline, such as "alignment/mlp/absolute/cross"."""
    shown = ("own", "cross", "cross_best_map", "loss_across", "constant", "random_weights", "aligned_pairs", "layer")
    return {
        f"alignment/{name}/{key}": row[key]
        for name, row in content["headline"].items()
        for key in shown
        if row.get(key) is not None
    }


def _ends(tuning: dict[str, Any]) -> dict[str, float]:
    """Legality of every language before and after a fine-tuning."""
    curves, ends = tuning["curves"], (("before", 0), ("after", -1))
    return {f"transfer/{name}/{when}": curves[name][at] for name in tuning["languages"] for when, at in ends}
