"""Settings of the training games."""

from dataclasses import dataclass, field

from mothello.config import check, check_name, ranged
from mothello.data.code_switching import CodeSwitching
from mothello.data.domain import DomainConfig
from mothello.data.language_sampling import LanguageSampling, Pairing
from mothello.errors import UserError


@dataclass(kw_only=True)
class DataConfig:
    """The training games."""

    games: int = ranged(400_000, low=1)
    """Games in the training corpus."""
    epochs: float = ranged(1.0, above=0)
    """Number of visits of each game."""
    batch_size: int = ranged(128, low=1)
    """Games per step."""
    corpus_seed: int = 0
    """Decides the games; the training seed does not."""
    prefix: list[str] = field(default_factory=list)
    """Opening of every training game, such as [c2, b2, a2]."""
    domains: dict[str, DomainConfig] = field(default_factory=dict)
    """Sources of the games by name, mixed by their weights; by default uniform random play."""
    domain_of: dict[str, str] = field(default_factory=dict)
    """Language -> the only domain of its games; other languages draw from the mixture."""
    language_sampling: LanguageSampling = field(default_factory=LanguageSampling)
    """Assignment of games to languages."""
    code_switching: CodeSwitching = field(default_factory=CodeSwitching)
    """Words of other languages in a game."""

    def __post_init__(self) -> None:
        check(self, "data")
        for name, domain in self.domains.items():
            check_name(name, f"data.domains.{name}")
            domain.check(f"data.domains.{name}")
        if self.prefix and self.domains:
            raise UserError("data.prefix: with domains, give the opening to each of them (data.domains.NAME.prefix)")
        for language, name in self.domain_of.items():
            if name not in self.domains:
                raise UserError(f"data.domain_of.{language}: no domain {name!r}; there are {list(self.domains)}")
        facts = {(one.facts.count, one.facts.plies) for one in self.domains.values() if one.facts.count}
        if len(facts) > 1:
            raise UserError("data.domains: a run has one set of facts; give domains the same count and plies, or none")
        if self.domain_of and self.language_sampling.pairing is Pairing.parallel:
            raise UserError("data.domain_of: parallel corpora hold every game in every language; leave domain_of out")
        if self.steps < 1:
            raise UserError("data.games: games x epochs is less than one batch")

    @property
    def steps(self) -> int:
        """Optimizer steps, of whole batches only."""
        return int(round(self.games * self.epochs, 6)) // self.batch_size
