"""How probes are fitted and scored."""

from dataclasses import dataclass, field

from mothello.measures.probes.linear import LinearProbes
from mothello.measures.probes.mlp import MLPProbes

PROBES: dict[str, type[LinearProbes] | type[MLPProbes]] = {"linear": LinearProbes, "mlp": MLPProbes}


@dataclass(kw_only=True)
class ProbeConfig:
    """How probes are fitted and scored."""

    probes: list[str] = field(default_factory=lambda: list(PROBES))
    games: int = 8_000
    """Fresh games to fit on, each seen in every language."""
    epochs: int = 1
    """Times that each of them is seen."""
    held_out: int = 128
    """Other games, by which every probe keeps its best weights."""
    evaluations: int = 10
    """Times that the held-out games are read on the way."""
    patience: int = 3
    """Checks without a gain of a thousandth by any probe, after which the fit ends."""
    test_games: int = 400
    """Other games again, to score on."""
    batch_size: int = 16
    """Games per step."""
    hidden: int = 256
    """Hidden units of the MLP probe."""
    lr: float = 0.2
    """Peak learning rate of Muon (docs/LOG.md); it falls to zero linearly."""
    bias_lr: float = 0.03
    """The same of the biases, by Adam."""
    l2: float = 0.0
    """On half the squared norm of a probe's matrices, beside the mean loss of a cell: scikit-learn's C is
    1 / (l2 * cells * rows)."""
    seed: int = 0
    """Probe initialisation."""
    random_weights: bool = True
    """Control: fit the same probes on a model with random weights."""
    shuffled: bool = True
    """Control: probes of the board of another game at the same ply."""
    draws: int = 1000
    """Draws of the null of the maximum over the symmetry maps, and of the bootstrap over games."""

    def __post_init__(self) -> None:
        for name in self.probes:
            if name not in PROBES:
                raise ValueError(f"probe.probes: {name!r} is not one of {', '.join(PROBES)}")
        if not self.probes:
            raise ValueError("probe.probes: name at least one of " + ", ".join(PROBES))
        lowest = {
            "games": 1, "epochs": 1, "held_out": 1, "evaluations": 1, "patience": 1, "test_games": 2, "batch_size": 2,
            "hidden": 2, "draws": 1,
        }  # fmt: skip
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise ValueError(f"probe.{name}: {getattr(self, name)} is below {low}")
        for name in ("lr", "bias_lr"):
            if getattr(self, name) <= 0:
                raise ValueError(f"probe.{name}: {getattr(self, name)} is not positive")
        if self.l2 < 0:
            raise ValueError(f"probe.l2: {self.l2} is negative")

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Games to fit on and held out, whole batches of each, and to score on."""
        fit, held_out = max(1, self.games // self.batch_size), -(-self.held_out // self.batch_size)
        return fit * self.batch_size, held_out * self.batch_size, self.test_games

    @property
    def all_games(self) -> int:
        return sum(self.sizes)

    @property
    def first_test_game(self) -> int:
        return self.all_games - self.test_games
