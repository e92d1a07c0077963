"""What wandb shows of a finished folder: figures of the report, boards, and the summary in the table of runs."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mothello.measures.probes.headline import headlines, preferred
from mothello.report import figures, heatmaps, measure_figures, transfer_figures
from mothello.report.board_figure import Drawn, boards_figure, reading_boards
from mothello.report.runs import Run, find_runs, with_realigned
from mothello.report.table import by_ply, pairs, table_of, tasks, training, transfer
from mothello.report.wandb_mirror import root_of

log = logging.getLogger(__name__)

SHOWN = 2
"""Games whose boards are drawn, and languages that they are drawn for."""
HEADLINE = (
    "own", "across", "across_best_map", "loss_across", "recovered", "orbit", "constant", "random_weights",
    "aligned_pairs", "layer",
)  # fmt: skip
"""What the summary holds of every headline."""


def closing(folder: Path) -> tuple[Mapping[str, Figure], Mapping[str, Any]]:
    """Figures by name and numbers by key; none where the folder's run has not finished."""
    root = root_of(folder)
    for run in find_runs([str(root)]):
        if folder == root:
            return _training(run), {"minutes": run.results["seconds"] / 60}
        for owner in (x for model in with_realigned([run]) for x in (model, *model.finetunings)):
            if folder == owner.path:
                return {}, _ends(owner) | {"minutes": owner.results["seconds"] / 60}
            for measure in owner.measures:
                if folder == owner.path / measure.folder:
                    rows = table_of([replace(owner, measures=[measure], finetunings=[], realigned=[])])
                    rows = rows[rows.folder != "."]
                    return _measured(rows, measure.examples), _numbers(rows)
    return {}, {}


def _training(run: Run) -> dict[str, Figure]:
    rows = table_of([run])
    drawn, plies = {"figures/training": figures.training_curves(training(rows))}, by_ply(rows)
    if plies.empty:  # the model is not asked for next moves
        return drawn
    drawn["figures/legality by ply"] = figures.ply_curves(plies)
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


def _measured(rows: pd.DataFrame, examples: list[dict[str, Any]]) -> dict[str, Figure]:
    """The figures of one measurement."""
    drawn, present = {}, set(rows.measure)
    if "probe" in present:
        probe, target = preferred(rows)
        drawn["figures/layers"] = figures.layer_curves(figures.of_kind(rows, probe, target))
        matrices = pairs(rows, probe, target)
        if matrices.language.nunique() > 1:
            drawn["figures/alignment"] = heatmaps.alignment_maps(matrices, heatmaps.scale(matrices))
        if examples:
            drawn["boards/readings"] = boards_figure([reading_boards(example) for example in examples])
    if "alignment" in present:
        drawn["figures/states"] = measure_figures.state_curves(rows)
    if present & {"causal", "patching"}:
        drawn["figures/interventions"] = measure_figures.causal_curves(rows)
    if "transfer" in present:
        curves, scratch = transfer(rows), transfer(rows, control="scratch")
        drawn["figures/fine-tuning"] = transfer_figures.transfer_curves(
            curves[curves.opening == ""], scratch[scratch.opening == ""]
        )
    if "task_transfer" in present:
        drawn["figures/task"] = transfer_figures.task_curves(tasks(rows))
    return drawn


def _numbers(rows: pd.DataFrame) -> dict[str, float]:
    """The headline, such as "alignment/mlp/absolute/across"; of other measures a mean by quantity and layer."""
    numbers = {
        f"alignment/{name}/{key}": value
        for name, head in headlines(rows).items()
        for key in HEADLINE
        if (value := getattr(head, key)) is not None
    }
    one_map = rows["map"].isin(["", "identity"]) | rows.quantity.str.endswith("_best_map")
    others = rows[(rows.measure != "probe") & (rows.control == "trained") & one_map]
    others = others[others.step.isna() & others.ply.isna() & (others.square == "")]
    places = others.layer.map("/layer {:.0f}".format).where(others.layer.notna(), "")
    names = others.measure + "/" + others.quantity + places
    numbers |= {str(name): float(value) for name, value in others.value.groupby(names).mean().items()}
    return numbers


def _ends(child: Run) -> dict[str, float]:
    """Legality of every language before and after a fine-tuning."""
    ends: dict[str, float] = {}
    for name in child.languages:
        if values := [value for line in child.metrics if (value := line.get(f"val/{name}/top1")) is not None]:
            ends |= {f"transfer/{name}/before": values[0], f"transfer/{name}/after": values[-1]}
    return ends
