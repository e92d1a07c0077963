"""What a page holds of a run: the model or its readings, probes, languages, games, pairs, and steps of the training."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Int8
from torch import Tensor
from tqdm import tqdm

from mothello.config import ranged
from mothello.errors import UserError
from mothello.explorer.pack import Pack
from mothello.explorer.pairs import counted_pairs, measured_pairs, shares
from mothello.explorer.probes import SHOWN, add_probes, config_for, probes_of
from mothello.explorer.readings import next_moves, record
from mothello.languages.language_set import OutputVocabulary
from mothello.measures.probes.measure import scored_moves
from mothello.othello.replay import replay, squares_to_moves
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.rundir import checkpoints_in, step_of
from mothello.stages.load import load_run
from mothello.stages.run import Run

GAMES = 20
"""Held-out games that a page offers."""
SCORED = 100
"""Games that pairs and steps are counted on; no probe was fitted on them."""
RECORDED = 3_500_000
"""Bytes of readings that a page without a model holds at most: fewer games of larger boards and models."""
ALONG = 900_000
"""The same for the steps of the training together."""


@dataclass(kw_only=True)
class PageConfig:
    """How a page is made."""

    live_up_to: float = ranged(3.0, low=0)
    """Million parameters up to which the page holds the model itself; of a larger one it holds readings of some games."""
    probe_games: int = ranged(2_000, low=16)
    """Games to fit linear probes on, where the run keeps none of that step."""
    steps: int = ranged(12, low=0)
    """Kept steps of the training that are shown at most, besides the last; 0 for none."""


class Content(NamedTuple):
    """A page's data: plain settings, and tensors with their table in them."""

    plain: dict[str, Any]
    pack: Pack


def check(run: Run) -> None:
    """UserError names what of a run a page cannot show."""
    run.subject().check_causal("run: the explorer")
    run.language_set.require_board("run: the explorer")
    run.language_set.require_one_spelling("run: the explorer")


def is_live(run: Run, config: PageConfig) -> bool:
    """Whether the page holds the model."""
    return run.model.n_parameters <= config.live_up_to * 1e6


def kept_steps(run: Run, config: PageConfig) -> list[int]:
    """The kept steps before the run's own that a page shows, thinned out evenly."""
    steps = [step for path in checkpoints_in(run.folder.kept) if (step := step_of(path)) < run.step]
    if len(steps) <= config.steps:
        return steps
    last = len(steps) - 1
    return sorted({steps[round(i * last / max(1, config.steps - 1))] for i in range(config.steps)})


def reading_size(run: Run, lenses: int) -> int:
    """Bytes of the readings of one game."""
    pairs, plies, layers = min(2, len(run.languages)), run.board.n_moves, run.model.config.n_layer + 1
    return plies * pairs * (pairs * layers * run.board.n_cells + lenses * (run.board.n_moves + 2))


def content_of(run: Run, config: PageConfig) -> Content:
    """Everything that the page of a run holds. UserError names what cannot be shown."""
    check(run)
    pack, live = Pack(), is_live(run, config)
    fitted, probe_games = probes_of(run, config.probe_games)
    shown = tuple(pair for pair in SHOWN if pair[0] in fitted.modules)
    best = shown[-1][0]
    moves = scored_moves(run.subject(), config_for(config.probe_games))[:SCORED]
    offered, layers = run.games(GAMES), run.model.config.n_layer + 1
    table = shares(run, fitted, best, moves)
    plain = plain_of(run, offered) | {
        "live": live, "probes": shown, "fitted_on": probe_games, "scored": len(moves), "recorded": None,
        "pairs": measured_pairs(run, best) or counted_pairs(run, table, best),
    }  # fmt: skip
    if live:
        add_model(pack, run)
        add_probes(pack, fitted, shown)
    else:
        games = max(1, min(GAMES, RECORDED // reading_size(run, layers)))
        record(pack, "recorded", run, fitted, best, offered[:games], range(layers))
        plain |= {"games": _listed(offered[:games]), "probes": [(best, "absolute")]}
        plain["readable"] = min(2, len(run.languages))
        plain["recorded"] = {"layers": layers, "lens": list(range(layers))}
    plain["along"] = _along(pack, run, config, moves, offered) if (run.stage == "pretrain" and config.steps) else None
    return Content(plain | {"tensors": pack.table}, pack)


def plain_of(run: Run, offered: Int8[Tensor, "game ply"]) -> dict[str, Any]:
    """Settings of the board, the languages and the model, and the games that are offered."""
    model, languages = run.model.config, run.language_set
    return {
        "board": run.board.size, "games": _listed(offered),
        "maps": {name: cell_map(run.board, name) for name in OPENING_MAPS},
        "languages": [{"name": one.name, "kind": one.kind, "words": one.words} for one in languages.languages],
        "unified": languages.output is OutputVocabulary.unified, "uniform": _uniform(run), "readable": len(run.languages),
        "model": {
            "n_layer": model.n_layer, "n_head": model.n_head, "d_model": model.d_model, "norm": model.norm,
            "activation": model.activation, "qk_norm": model.qk_norm, "positions": run.model.n_positions,
            "output": run.model.output_size,
        },
    }  # fmt: skip


def _uniform(run: Run) -> bool:
    """Whether every legal move is equally likely in the games that the model was trained on, as far as is known."""
    domains = run.config.data.domains.values()
    return run.stage == "pretrain" and all(one.policy.uniform and not one.folder for one in domains)


def _listed(moves: Int8[Tensor, "game ply"]) -> list[list[int]]:
    return [[move for move in game if move >= 0] for game in moves.tolist()]


def add_model(pack: Pack, run: Run) -> None:
    """The weights by their names in a checkpoint; a tied head is the token embedding."""
    for name, x in run.model.state_dict().items():
        if not (run.model.config.tied and name.startswith("head.")):
            pack.add(name, x)


def _along(
    pack: Pack, run: Run, config: PageConfig, scored: Int8[Tensor, "game ply"], offered: Int8[Tensor, "game ply"]
) -> dict[str, Any] | None:
    """Readings at kept steps, each with linear probes of its own; None where none is kept."""
    steps = kept_steps(run, config)
    if not steps:
        return None
    games = max(1, min(3, ALONG // (reading_size(run, 1) * (len(steps) + 1))))
    layer, tables, legal = 0, [], []
    for index, step in enumerate(tqdm([*steps, run.step], desc="along the training", unit="step")):
        there = run if step == run.step else load_run(run.folder.path, step=step)
        fitted, _ = probes_of(there, config.probe_games)
        record(pack, f"along.{index}", there, fitted, "linear", offered[:games], [run.model.config.n_layer])
        tables.append(shares(there, fitted, "linear", scored))
        legal.append([_mass(there, scored[:32], language) for language in range(len(run.languages))])
    layer = counted_pairs(run, tables[-1], "linear")["layer"]
    return {
        "steps": [*steps, run.step], "games": _listed(offered[:games]), "layers": run.model.config.n_layer + 1,
        "lens": [run.model.config.n_layer], "layer": layer, "legal": legal, "scored": len(scored),
        "shares": [table[:2, :2, layer].tolist() for table in tables],
        "note": "each read by linear probes of that step",
    }  # fmt: skip


def _mass(run: Run, moves: Int8[Tensor, "game ply"], language: int) -> float:
    """Mean probability on the legal moves, after every ply but the last."""
    p, _ = next_moves(run, moves, language, run.model.config.n_layer)
    goes_on = moves[:, 1:] >= 0
    legal = squares_to_moves(replay(moves, run.board).legal[:, 1:-1], run.board)
    return float((p[:, :-1] * legal).sum(-1)[goes_on].mean())


def page_facts(run: Run, plain: dict[str, Any]) -> tuple[str, str]:
    """The line below the title, and the footer's first sentences."""
    size, names = run.model.n_parameters / 1e6, run.languages
    listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    facts = (
        f"A transformer of {size:.2g} M parameters ({run.model.config.n_layer} blocks, width {run.model.config.d_model}) "
        f"that was trained on Othello games, {run.board.name}, written in {listed}; step {run.step:,}. "
    )
    facts += "It runs in this page." if plain["live"] else "It is large: the page holds recorded readings of some games."
    if plain["fitted_on"]:
        probes = f"Linear probes, fitted on {plain['fitted_on']:,} games for this page."
    else:
        probes = "The probes are those that the run keeps."
    precision = "Weights are in half precision." if plain["live"] else "Readings hold a byte per cell and move."
    return facts, f"{probes} {precision}"


def total(pack: Pack) -> int:
    """Bytes of the tensors as text."""
    return -(-pack.size // 3) * 4


