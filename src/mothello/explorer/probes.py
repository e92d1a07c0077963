"""The probes of a page: those that the run keeps, else linear ones fitted now."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mothello.explorer.pack import Pack, rounded
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.kept import FILE, kept_for
from mothello.measures.probes.measure import fitted_probes
from mothello.stages.run import Run

SHOWN = (("linear", "absolute"), ("linear", "relative"), ("mlp", "absolute"))
"""What a page shows of (kind, target): boards by absolute colors, interventions by linear probes of relative ones."""


class Probes(NamedTuple):
    """Fitted probes, and the games that they were fitted on where that was done for the page."""

    fitted: FittedProbes
    games: int | None


def kept_probes(run: Run) -> FittedProbes | None:
    """Those that the run keeps for this state of the model, fitted the longest."""
    folders = sorted(path.parent for path in run.folder.path.glob(f"measures/*/{FILE}"))
    found = [kept_for(folder, run.subject()) for folder in folders]
    linear = [one for one in found if one and one.cover(["linear"])]
    return max(linear, key=lambda one: one.steps, default=None)


def config_for(games: int) -> ProbesConfig:
    """Linear probes on that many games."""
    return ProbesConfig(probes=["linear"], games=games, shuffled=False, random_weights=False)


def probes_of(run: Run, games: int) -> Probes:
    """The probes of a run: kept ones, else linear ones on that many games."""
    kept = kept_probes(run)
    return Probes(kept, None) if kept else Probes(fitted_probes(run.subject(), config_for(games)), games)


def on_raw_states(fitted: FittedProbes, kind: str, target: str, source: int) -> dict[str, Tensor]:
    """The weights of one kind, target and language for states as they are, [layer, in, out]: what normalizes the states
    is put into the first matrix and its bias; matrices are in half precision."""
    weights = dict(fitted.weights(kind, target, source))
    first, bias = ("W", "b") if kind == "linear" else ("W_in", "b_in")
    weights[first] = weights[first] * fitted.scale[source].transpose(1, 2)
    weights = {name: (rounded(x) if name.startswith("W") else x).double() for name, x in weights.items()}
    weights[bias] = weights[bias] - fitted.mean[source].double() @ weights[first]
    return weights


def add_probes(pack: Pack, fitted: FittedProbes, shown: tuple[tuple[str, str], ...]) -> None:
    """Every probe by language and layer, as "probe.KIND.TARGET.LANGUAGE.LAYER.NAME"; matrices as [out, in]."""
    names = {"W_in": "W_in", "b_in": "b_in", "W_out": "W", "b_out": "b", "W": "W", "b": "b"}
    for kind, target in shown:
        for source in range(fitted.mean.shape[0]):
            for name, layers in on_raw_states(fitted, kind, target, source).items():
                for layer, x in enumerate(layers):
                    matrix = name.startswith("W")
                    values, precision = (x.T, "f2") if matrix else (x.flatten(), "f4")
                    pack.add(f"probe.{kind}.{target}.{source}.{layer}.{names[name]}", values, precision)


@torch.no_grad()
def scores(
    fitted: FittedProbes, kind: str, target: str, source: int, states: Float[Tensor, "layer row d_model"]
) -> Float[Tensor, "layer row cell class"]:
    """What the probes of a language say of states, whatever language they come from."""
    weights = {name: x.float() for name, x in on_raw_states(fitted, kind, target, source).items()}
    if kind == "mlp":
        states = (states @ weights["W_in"] + weights["b_in"]).relu()
    last = ("W", "b") if kind == "linear" else ("W_out", "b_out")
    return (states @ weights[last[0]] + weights[last[1]]).unflatten(-1, (-1, 3))
