"""What a page holds of a run: the model or its readings, probes, languages, games, pairs, and steps of the training."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Int8
from torch import Tensor

from mothello.config import check as check_ranges
from mothello.config import ranged
from mothello.explorer.along import add_along, kept_steps
from mothello.explorer.pack import Pack
from mothello.explorer.pairs import counted_pairs, measured_pairs, shares
from mothello.explorer.probes import SHOWN, add_probes, config_for, probes_of
from mothello.explorer.readings import listed, reading_size, record
from mothello.languages.language_set import OutputVocabulary
from mothello.measures.probes.measure import scored_moves
from mothello.othello.symmetry import OPENING_MAPS, cell_map
from mothello.stages.run import Run

GAMES = 20
"""Held-out games that a page offers."""
SCORED = 100
"""Games that pairs and steps are counted on; no probe was fitted on them."""
BYTES = 3_500_000
"""Of the readings that a page without a model holds, at most: of larger models fewer games, but always one."""


@dataclass(kw_only=True)
class PageConfig:
    """How a page is made."""

    live_up_to: float = ranged(3.0, low=0)
    """Million parameters up to which the page holds the model; of a larger one it holds readings of some games."""
    probe_games: int = ranged(2_000, low=16)
    """Games to fit linear probes on, for steps of which the run keeps none."""
    steps: int = ranged(12, low=0)
    """Kept steps of the training that are shown at most, besides the last; 0 for none."""

    def __post_init__(self) -> None:
        check_ranges(self, "")


class Content(NamedTuple):
    """A page's data: plain settings, and tensors."""

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


def content_of(run: Run, config: PageConfig) -> Content:
    """Everything that the page of a run holds. UserError names what cannot be shown."""
    check(run)
    pack, live = Pack(), is_live(run, config)
    fitted, probe_games = probes_of(run, config.probe_games)
    shown = tuple(pair for pair in SHOWN if pair[0] in fitted.modules)
    best = shown[-1][0]
    scored = scored_moves(run.subject(), config_for(config.probe_games))[:SCORED]
    plain = plain_of(run, offered := run.games(GAMES)) | {
        "live": live, "probes": shown, "fitted_on": probe_games, "scored": len(scored), "recorded": None, "along": None,
        "pairs": measured_pairs(run, best) or counted_pairs(run, shares(run, fitted, best, scored), best),
    }  # fmt: skip
    if live:
        add_model(pack, run)
        add_probes(pack, fitted, shown)
    else:
        layers = run.model.config.n_layer + 1
        some = offered[: max(1, min(GAMES, BYTES // reading_size(run, layers)))]
        record(pack, "recorded", run, fitted, best, some, range(layers))
        plain |= {"games": listed(some), "probes": [(best, "absolute")], "readable": min(2, len(run.languages))}
        plain["recorded"] = {"layers": layers, "lens": list(range(layers))}
    if steps := kept_steps(run, config.steps):
        plain["along"] = add_along(pack, run, steps, config.probe_games, scored, offered)
    return Content(plain | {"tensors": pack.table}, pack)


def plain_of(run: Run, offered: Int8[Tensor, "game ply"]) -> dict[str, Any]:
    """Settings of the board, the languages and the model, and the games that are offered."""
    model, languages = run.model.config, run.language_set
    return {
        "board": run.board.size, "games": listed(offered), "readable": len(run.languages),
        "maps": {name: cell_map(run.board, name) for name in OPENING_MAPS},
        "languages": [{"name": one.name, "kind": one.kind, "words": one.words} for one in languages.languages],
        "unified": languages.output is OutputVocabulary.unified, "uniform": _uniform(run),
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


def add_model(pack: Pack, run: Run) -> None:
    """The weights by their names in a checkpoint; a tied head is the token embedding."""
    for name, x in run.model.state_dict().items():
        if not (run.model.config.tied and name.startswith("head.")):
            pack.add(name, x)


def page_facts(run: Run, plain: dict[str, Any]) -> tuple[str, str]:
    """The line below the title, and the footer's first sentences."""
    size, names, model = run.model.n_parameters / 1e6, run.languages, run.model.config
    listed_names = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    where = "It runs in this page." if plain["live"] else "It is large: the page holds recorded readings of some games."
    facts = (
        f"A transformer of {size:.2g} M parameters ({model.n_layer} blocks, width {model.d_model}), trained on Othello "
        f"games, {run.board.name}, written in {listed_names}; step {run.step:,}. {where}"
    )
    kept = "The probes of the last step are those that the run keeps."
    fitted = f"Linear probes, fitted on {plain['fitted_on']:,} games for this page." if plain["fitted_on"] else kept
    return facts, fitted + (" Weights are in half precision." if plain["live"] else " A reading is a byte.")
