"""Averages over languages and pairs, by layer. Their intervals over games cannot be had from rows of single pairs."""

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.measure import Row
from mothello.measures.probes.score import CrossLingual, Games, accuracy
from mothello.measures.probes.targets import TARGETS


def own_accuracy(result: CrossLingual, games: Games) -> Float[Tensor, "target layer"]:
    """Every language read by its own probes, mean over languages."""
    return accuracy(result.right[..., 0, :], games).diagonal(dim1=2, dim2=3).mean(-1)


def best_layers(result: CrossLingual, games: Games) -> list[int]:
    """For each target the layer below the last at which own probes read best."""
    return own_accuracy(result, games)[:, :-1].argmax(1).tolist()


def average_rows(result: CrossLingual, games: Games, bootstrap: Bootstrap) -> Iterator[Row]:
    """own, across, across_best_map and loss_across of every target and layer; the caller adds the probe and control."""
    n, own = result.right.shape[2], own_accuracy(result, games)
    other = ~torch.eye(n, dtype=torch.bool)
    for target, name in enumerate(TARGETS):
        for layer in range(result.right.shape[1]):
            share = accuracy(result.right[target, layer], games)
            values = {"own": float(own[target, layer])}
            if n > 1:
                values["across"] = float(share[..., 0][other].mean())
                values["across_best_map"] = float(share.amax(-1)[other].mean())
                values["loss_across"] = values["own"] - values["across"]
            by_game = _by_game(result.right[target, layer].double(), share, other)
            low, high = bootstrap(torch.stack([by_game[quantity] for quantity in values]), games.cells)
            for i, (quantity, value) in enumerate(values.items()):
                row: Row = {"measure": "probe", "quantity": quantity, "target": name, "layer": layer, "value": value}
                yield row | {"low": float(low[i]), "high": float(high[i]), "n": len(games.moves)}


def _by_game(
    right: Float[Tensor, "source language map game"], share: Float[Tensor, "source language map"],
    other: Bool[Tensor, "source language"],
) -> dict[str, Float[Tensor, " game"]]:  # fmt: skip
    """Cells read right in every game, the same means."""
    means = {"own": right[..., 0, :].diagonal().mean(-1)}
    if bool(other.any()):
        winner = share.argmax(-1)[..., None, None].expand(-1, -1, 1, right.shape[-1])
        chosen = right.gather(2, winner).squeeze(2)
        means |= {"across": right[..., 0, :][other].mean(0), "across_best_map": chosen[other].mean(0)}
        means["loss_across"] = means["own"] - means["across"]
    return means
