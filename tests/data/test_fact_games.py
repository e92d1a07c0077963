"""Proves: the games of a domain with facts are those of the domain without them, but where a taught opening goes on
otherwise: such a game is the one that the same play makes of the opening and its move. The law is what moves are drawn
from, by the oracle and by what playing left behind. Negative control: without facts, and after other openings, the moves
follow as often as chance has it."""

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from mothello.config import identity
from mothello.data.config import DataConfig
from mothello.data.corpus import RandomPlay
from mothello.data.domain import DomainConfig, domain_corpus, mixture
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.othello.board import Board
from mothello.othello.facts import Facts, FactsConfig, facts
from mothello.othello.policy import PolicyConfig
from mothello.othello.replay import replay
from mothello.othello.symmetry import OPENING_MAPS, move_map

SIX, N = Board.of(6), 6000
INDEX = torch.arange(N)
DOMAINS = {
    "plain": DomainConfig(facts=FactsConfig(count=16)),
    "three plies": DomainConfig(facts=FactsConfig(count=6, plies=3)),
    "policy": DomainConfig(facts=FactsConfig(count=20), policy=PolicyConfig(flips=0.5, corners=2)),
    "window": DomainConfig(facts=FactsConfig(count=16), plies=[2, 20]),
}


def without(domain: DomainConfig) -> DomainConfig:
    return DomainConfig(policy=domain.policy, plies=domain.plies)


def fact_of(moves: Tensor, config: FactsConfig, sort: int = 0) -> Tensor:
    """Which fact each game begins with, -1 for none: a plain comparison with every opening."""
    found = torch.full((len(moves),), -1)
    for k, opening in enumerate(facts(SIX, config)[sort].openings):
        found[(moves[:, : config.plies] == torch.tensor(opening)).all(1)] = k
    return found


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("split", [Split.train, Split.validation])
def test_only_games_that_contradict_a_fact_are_changed(name: str, split: Split) -> None:
    domain, taught = DOMAINS[name], facts(SIX, DOMAINS[name].facts)[0]
    index = INDEX if domain.policy.uniform else INDEX[:1000]
    games = domain_corpus(SIX, 3, split, N, domain)
    moves, before = games.moves(index), domain_corpus(SIX, 3, split, N, without(domain)).moves(index)
    assert bool((replay(moves, SIX).illegal_at == -1).all())
    fact, plies = fact_of(before, domain.facts), domain.facts.plies
    assert torch.equal(fact, fact_of(moves, domain.facts))
    fixed = torch.tensor(taught.moves)[fact.clamp(min=0)]
    changed = (fact >= 0) & (before[:, plies] != fixed)
    assert torch.equal(moves[~changed], before[~changed])
    assert bool((moves[:, plies] == fixed)[fact >= 0].all())
    assert 0.5 < float(changed.sum() / (fact >= 0).sum()) < 1
    play = getattr(games, "games", games).play
    for k in fact[changed].unique().tolist():
        rows = changed & (fact == k)
        opening = (*taught.openings[k], taught.moves[k])
        same = RandomPlay(SIX, play.seed, N, list(Split).index(split) * (1 << 40), opening, domain.policy).moves(
            index[rows]
        )
        cut = domain.plies[1] if domain.plies else 32
        assert torch.equal(moves[rows, :cut], same[:, :cut])


@pytest.mark.parametrize("name", DOMAINS)
def test_the_law_is_what_moves_are_drawn_from(name: str) -> None:
    domain, index = DOMAINS[name], INDEX[:1500]
    games, taught = domain_corpus(SIX, 3, Split.train, N, domain), facts(SIX, domain.facts)[0]
    plain = domain_corpus(SIX, 3, Split.train, N, without(domain)).oracle
    moves, oracle, plies = games.moves(index), games.oracle, domain.facts.plies
    assert oracle is not None
    assert plain is not None
    law, fact = oracle(moves), fact_of(moves, domain.facts)
    goes_on = (moves >= 0).double()
    torch.testing.assert_close(law[:, :-1].sum(-1)[moves >= 0], goes_on[moves >= 0])
    assert bool((law[:, :-1].gather(2, moves.long().clamp(min=0).unsqueeze(2)).squeeze(2)[moves >= 0] > 0).all())
    at_fact = torch.zeros(law.shape[:2], dtype=torch.bool)
    at_fact[fact >= 0, plies] = True
    fixed = torch.nn.functional.one_hot(torch.tensor(taught.moves)[fact[fact >= 0]], SIX.n_moves).double()
    assert torch.equal(law[at_fact], fixed)
    assert torch.equal(law[~at_fact], plain(moves)[~at_fact])
    for _ in range(2):  # before and after it keeps what playing leaves behind
        assert torch.equal(games.law(index, moves), law.float())
        moves = games.moves(index)


def test_what_follows_a_fact_and_what_follows_other_openings_are_drawn_as_ever() -> None:
    config = FactsConfig(count=6, plies=3)
    games = corpus(SIX, 5, Split.train, 40_000, rule=facts(SIX, config)[0].taught)
    moves = games.moves(torch.arange(40_000))
    assert games.oracle is not None
    for sort, state in ((0, 4), (1, 3)):
        fact = fact_of(moves, config, sort)
        for k in range(6):
            rows = moves[fact == k]
            law = games.oracle(rows[:1])[0, state]
            counts = torch.bincount(rows[:, state].long(), minlength=SIX.n_moves)
            assert chisquare(counts[law > 0], len(rows) * law[law > 0]).pvalue > 1e-4
            assert int(counts[law > 0].sum()) == len(rows) > 500


@pytest.mark.parametrize("policy", [PolicyConfig(), PolicyConfig(flips=0.5, corners=2)], ids=["uniform", "policy"])
def test_what_is_withheld_is_never_played_and_all_else_is_as_ever(policy: PolicyConfig) -> None:
    """Neither an opening nor an image of one; games that do not begin with all of its moves but the last are the same,
    and the law is what moves are drawn from."""
    config = FactsConfig(count=16, withheld=True)
    games = domain_corpus(SIX, 3, Split.train, N, DomainConfig(facts=config, policy=policy))
    plain = domain_corpus(SIX, 3, Split.train, N, DomainConfig(policy=policy))
    index = INDEX if policy.uniform else INDEX[:1500]
    moves, before = games.moves(index), plain.moves(index)
    known = [
        tuple(move_map(SIX, name)[m] for m in opening)
        for name in OPENING_MAPS
        for opening in facts(SIX, config)[0].openings
    ]
    assert len(set(known)) == 64
    begun, past = ([tuple(row) for row in some[:, :4].tolist()] for some in (moves, before))
    assert not set(begun) & set(known)
    assert 0.2 < sum(one in set(known) for one in past) / len(past) < 0.35
    may_change = torch.tensor([one[:3] in {opening[:3] for opening in known} for one in past])
    assert torch.equal(moves[~may_change], before[~may_change])
    assert bool((replay(moves, SIX).illegal_at == -1).all())
    oracle = games.oracle
    assert oracle is not None
    law = oracle(moves[:300])
    assert torch.equal(law.float(), games.law(index[:300], moves[:300]))
    alike = plain.oracle(moves[:300])  # type: ignore[misc]
    for row in range(300):
        blocked = [opening[3] for opening in known if opening[:3] == begun[row][:3]]
        expected = alike[row].clone()
        expected[3, blocked] = 0
        expected[3] /= expected[3].sum()
        torch.testing.assert_close(law[row], expected)


def test_withheld_openings_that_leave_nothing_are_refused() -> None:
    (first,) = facts(SIX, FactsConfig(count=1))[0].openings
    legal = int(replay(torch.tensor([first[:3]]), SIX).legal[0, 3])
    every = tuple((*first[:3], move) for move, square in enumerate(SIX.moves) if legal >> square & 1)
    assert len(every) > 2
    Facts(SIX, every[1:], every[1:][0]).withheld()
    with pytest.raises(UserError, match=r"^x\.count: \d withheld openings are all that may follow some beginnings"):
        Facts(SIX, every, (0,) * len(every)).withheld("x.")


def test_a_mixture_mixes_facts_and_other_games() -> None:
    domains = {"taught": DOMAINS["plain"], "plain": DomainConfig(weight=3)}
    games = mixture(SIX, 3, Split.train, N, domains)
    moves, fact = games.moves(INDEX), fact_of(games.moves(INDEX), DOMAINS["plain"].facts)
    held = moves[fact >= 0, 4] == torch.tensor(facts(SIX, DOMAINS["plain"].facts)[0].moves)[fact[fact >= 0]]
    assert 0.25 < float(held.double().mean()) < 0.6  # a quarter always, the others by chance
    source = games.source(INDEX)  # type: ignore[attr-defined]
    assert bool(held[source[fact >= 0] == 0].all())
    assert 0.1 < float(held[source[fact >= 0] == 1].double().mean()) < 0.4


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"facts": FactsConfig(plies=3)}, "data.domains.x.facts.plies: has no effect without count"),
        ({"facts": FactsConfig(withheld=True)}, "data.domains.x.facts.withheld: has no effect without count"),
        ({"facts": FactsConfig(count=3), "prefix": ["c2"]}, "data.domains.x.facts: are openings of games .* leave prefix out"),
        ({"facts": FactsConfig(count=3), "folder": "x"}, "data.domains.x.facts: are openings of games .* leave folder out"),
        ({"facts": FactsConfig(count=3), "plies": [5, 9]}, r"data.domains.x.facts: the move after 4 plies is not in plies=\[5, 9"),
        ({"facts": FactsConfig(count=3), "plies": [0, 4]}, r"data.domains.x.facts: the move after 4 plies is not in plies=\[0, 4"),
    ],
)  # fmt: skip
def test_what_facts_do_not_go_with_names_its_key(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        DataConfig(domains={"x": DomainConfig(**settings)})


def test_facts_that_a_board_does_not_have_and_different_ones_are_refused() -> None:
    for size, count, line in (
        (6, 29, "domains.x.facts.count: 29 is above 28"),
        (4, 2, "domains.x.facts: the games of"),
    ):
        domains = {"x": DomainConfig(facts=FactsConfig(count=count))}
        with pytest.raises(UserError, match=f"^{line}"):
            mixture(Board.of(size), 0, Split.train, 10, domains)
    DataConfig(domains={"a": DOMAINS["plain"], "b": DOMAINS["window"], "c": DomainConfig()})
    DataConfig(domains={"a": DOMAINS["plain"], "b": DomainConfig(facts=FactsConfig(count=16, withheld=True))})
    with pytest.raises(UserError, match=r"^data\.domains: a run has one set of facts"):
        DataConfig(domains={"a": DOMAINS["plain"], "b": DOMAINS["policy"]})


def test_without_facts_a_domain_is_what_it_was() -> None:
    assert identity(DataConfig(domains={"a": DomainConfig()}))["domains"] == {"a": {}}
    assert identity(DataConfig(domains={"a": DOMAINS["plain"]}))["domains"] == {"a": {"facts": {"count": 16}}}
    assert DOMAINS["plain"].plain
