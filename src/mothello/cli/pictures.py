"""What wandb shows at the end of a run: the report's figures and boards, as PNG files in the run's wandb folder."""

from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Int8
from matplotlib.figure import Figure
from torch import Tensor

from mothello.languages.language_set import LanguageSet
from mothello.measures.legality.estimate import in_language
from mothello.measures.legality.exact import next_moves
from mothello.measures.probes.targets import board_targets
from mothello.model.transformer import GPT
from mothello.report import figures
from mothello.report.board_figure import Drawn, boards_figure, reading_boards
from mothello.report.heatmaps import alignment_maps, scale
from mothello.report.runs import Run
from mothello.report.tables import alignment_table, ply_table, training_table, transfer_table

SHOWN = 2
"""Games whose boards are drawn, and languages that they are drawn for."""


def saved(drawn: Mapping[str, Figure], folder: Path) -> dict[str, Path]:
    """FOLDER/wandb/pictures/NAME.png of every figure, by name."""
    where = folder / "wandb" / "pictures"
    where.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name, figure in drawn.items():
        paths[name] = where / f"{name.replace('/', '-')}.png"
        figure.savefig(paths[name], dpi=110)
    return paths


def training_pictures(
    run: Run, model: GPT, language_set: LanguageSet, moves: Int8[Tensor, "game ply"]
) -> dict[str, Figure]:
    """Curves, legality by ply, and what the model would play on a few boards."""
    return {
        "figures/training": figures.training_curves(training_table([run])),
        "figures/legality by ply": figures.ply_curves(ply_table([run])),
        "boards/next move": next_move_boards(model, language_set, moves),
    }


def next_move_boards(model: GPT, language_set: LanguageSet, moves: Int8[Tensor, "game ply"]) -> Figure:
    """The probability of every next move in the middle of a few games, a column per language."""
    some = moves[:SHOWN]
    boards = board_targets(some, language_set.board).classes[0]
    plies = ((some >= 0).sum(1) // 2).tolist()
    cells = [language_set.board.squares.index(square) for square in language_set.board.moves]
    rows: list[list[Drawn]] = [[] for _ in some]
    for language, name in list(enumerate(language_set.names))[:SHOWN]:
        with torch.inference_mode():
            found = next_moves(model, in_language(some, language, language_set), language_set, language).full.exp()
        for game, ply in enumerate(plies):
            shade = torch.zeros(language_set.board.n_cells)
            shade[cells] = found[game, ply - 1].float().cpu()
            state = boards[game, ply - 1].tolist()
            rows[game].append(Drawn(f"{name}, after ply {ply}", state, shade.tolist()))
    return boards_figure(rows)


def probe_pictures(run: Run) -> dict[str, Figure]:
    """Alignment by layer and as matrices, and boards as probes read them; run holds the one measurement."""
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


def transfer_pictures(run: Run) -> dict[str, Figure]:
    """The curves of a fine-tuning; run holds the one."""
    return {"figures/fine-tuning": figures.transfer_curves(transfer_table([run]))}
