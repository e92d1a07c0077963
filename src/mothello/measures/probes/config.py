"""How probes are fitted and scored."""

from dataclasses import dataclass, field, replace

from mothello.config import check, ranged
from mothello.data.batch import Context
from mothello.errors import UserError
from mothello.measures.probes.linear import LinearProbes
from mothello.measures.probes.mlp import MLPProbes

PROBES: dict[str, type[LinearProbes] | type[MLPProbes]] = {"linear": LinearProbes, "mlp": MLPProbes}


@dataclass(kw_only=True)
class ProbesConfig:
    """How probes are fitted and scored."""

    name: str = "probes"
    probes: list[str] = field(default_factory=lambda: list(PROBES))
    """Kinds of probes."""
    games: int = ranged(8_000, low=1)
    """Fresh games to fit on, each seen in every language."""
    epochs: int = ranged(1, low=1)
    """Times that each of them is seen."""
    held_out: int = ranged(128, low=1)
    """Other games, on which every probe chooses its best weights."""
    evaluations: int = ranged(10, low=1)
    """Times that the held-out games are read along the fit."""
    patience: int = ranged(3, low=1)
    """Evaluations without a gain of a thousandth by any probe, after which the fit ends."""
    test_games: int = ranged(400, low=2)
    """Further games, to score on."""
    batch_size: int = ranged(16, low=2)
    """Games per step."""
    hidden: int = ranged(256, low=2)
    """Hidden units of the MLP probe."""
    lr: float = ranged(0.2, above=0)
    """Peak learning rate of Muon (docs/LOG.md); it falls to zero linearly."""
    bias_lr: float = ranged(0.03, above=0)
    """The learning rate of the biases, by Adam."""
    l2: float = ranged(0.0, low=0)
    """Weight of half the squared norm of a probe's matrices, added to the mean loss per cell: scikit-learn's C is
    1 / (l2 * cells * rows)."""
    seed: int = 0
    """Initializes the probes."""
    random_weights: bool = True
    """Control: the same probes on a model with random weights."""
    shuffled: bool = True
    """Control: probes of the board of another game at the same ply."""
    other_maps: bool = True
    """Read across languages once more at the headline's layer: under the maps outside the opening's group (a control),
    and every cell under a map of its own."""
    draws: int = ranged(1000, low=1)
    """Draws of the bootstrap over games."""
    context: Context = Context.game
    """What a model of full attention is shown where its states are read: the whole game, or the prefix up to there and
    mask tokens after it, as much as a causal model sees. The prefix takes a pass of the model per ply."""

    def __post_init__(self) -> None:
        for name in self.probes:
            if name not in PROBES:
                raise UserError(f"probes.probes: {name!r} is not one of {', '.join(PROBES)}")
        if not self.probes:
            raise UserError("probes.probes: name at least one of " + ", ".join(PROBES))
        check(self, "probes")

    def shrunk(self, share: float) -> "ProbesConfig":
        """The same on a share of the games."""
        few = {name: max(2, round(getattr(self, name) * share)) for name in ("games", "held_out", "test_games")}
        return replace(self, **few)

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
