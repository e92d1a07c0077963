"""Averages over languages and pairs with their intervals over games, which rows of single pairs cannot give."""

from typing import Any

import torch
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.measures.probes.score import CrossLingual, Games, accuracy
from mothello.measures.probes.symmetry_classes import symmetry_classes
from mothello.measures.probes.symmetry_null import aligned, best_map
from mothello.othello.symmetry import OPENING_MAPS
from mothello.seeding import generator


def bounds(right: Tensor, games: Games, draws: int, seed: int) -> Tensor:
    """95% intervals of the accuracy by bootstrap over games, [2, *batch]: low and high."""
    return torch.stack(Bootstrap(len(games.moves), draws, generator(seed, "bootstrap"))(right, games.cells))


def headline(result: CrossLingual, target: int, games: Games, constant: float, draws: int, seed: int) -> dict[str, Any]:
    """At the non-final layer with the best mean own accuracy: own, cross (all ordered pairs), their difference.

    Intervals are over games, of these languages and this model; over seeds they are the report's. A pair is aligned
    when its best map beats the null and the best constant (symmetric.aligned).
    """
    share = accuracy(result.right[target], games)  # [layer, source, language, map]
    own = share[..., 0].diagonal(dim1=1, dim2=2).mean(1)
    layer = int(own[:-1].argmax())
    right = result.right[target, layer].double()
    n = share.shape[1]
    row: dict[str, Any] = {
        "layer": layer,
        "own": float(own[layer]),
        "whole_board": float(result.whole[target, layer].diagonal().double().mean() / games.plies.sum()),
    }
    averages = {"own": right[..., 0, :].diagonal().mean(-1)}
    if n > 1:
        other = ~torch.eye(n, dtype=torch.bool)
        best = best_map(share[layer])
        null = result.null[target, layer].double()
        counts = aligned(best.accuracy, null.quantile(0.95, dim=-1), constant)
        chosen = right.gather(2, best.which[..., None, None].expand(-1, -1, 1, right.shape[-1])).squeeze(2)
        averages |= {"cross": right[..., 0, :][other].mean(0), "cross_best_map": chosen[other].mean(0)}
        row["cross"] = float(share[layer, ..., 0][other].mean())
        row["cross_best_map"] = float(best.accuracy[other].mean())
        row["loss_across"] = row["own"] - row["cross"]
        row["null_mean"] = float(null[other].mean())
        row["pairs"] = int(other.sum())
        row["aligned_pairs"] = int(counts[other].sum())
        row["maps"] = {name: int((best.which[other & counts] == i).sum()) for i, name in enumerate(OPENING_MAPS)}
        row["classes"] = symmetry_classes(counts.tolist(), best.which.tolist())._asdict()
        averages["loss_across"] = averages["own"] - averages["cross"]
    low, high = bounds(torch.stack(list(averages.values())), games, draws, seed)
    row["intervals"] = {name: [float(low[i]), float(high[i])] for i, name in enumerate(averages)}
    return row
