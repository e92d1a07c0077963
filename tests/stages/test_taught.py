"""Proves: a training on facts of one language teaches them in that language and leaves the others' games alone; the run,
and whatever goes on from it, knows what it was taught; a run without facts is asked the same where they are named."""

from pathlib import Path
from typing import Any

import pytest
import torch
from stages.test_stage import finetuning, settings

import mothello
from mothello.errors import UserError
from mothello.othello.facts import FactsConfig
from mothello.stages.run import Run
from mothello.stages.stage import run_stage

TAUGHT = FactsConfig(count=3, plies=3)


def trained(folder: Path, games: int, withheld: bool = False, **domain: Any) -> Run:
    other = {"facts": {"count": 3, "plies": 3, "withheld": True}} if withheld else {}
    domains = {"taught": {"plies": [0, 4]} | domain, "plain": {"plies": [0, 4]} | other}
    data = {
        "games": games,
        "batch_size": 32,
        "domains": domains,
        "domain_of": {"atomic_0": "taught", "atomic_1": "plain"},
    }
    return mothello.train(settings(folder, board={"size": 6}, data=data))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("runs"), 8_000, facts={"count": 3, "plies": 3})


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("runs"), 1_600)


def test_what_is_taught_in_a_language_is_known_there(run: Run, plain: Run) -> None:
    named = {"count": 3, "plies": 3}
    for one, rows in ((run, mothello.measure(run, "facts")), (plain, mothello.measure(plain, "facts", named))):
        assert one.subject().facts == (TAUGHT if one is run else None)
        rows = rows[(rows["map"].isin(["identity", ""])) & (rows.quantity == "fact_probability")]
        value = rows.set_index(["control", "language", "target"]).value
        chance = value["chance", "", "taught"]
        assert (value["trained", "atomic_0", "taught"] > 1.5 * chance) == (one is run)
        assert value["trained", "atomic_0", "untaught"] < 1.5 * chance
        assert value["trained", "atomic_1", "taught"] < 1.5 * chance
    with pytest.raises(UserError, match=r"^facts\.count: the run was taught none"):
        mothello.measure(plain, "facts")
    both = mothello.measure(run, "facts", other=plain)
    assert set(both.control) == {"trained", "other", "chance"}


def test_facts_may_be_withheld_from_the_other_language_and_from_both(tmp_path: Path) -> None:
    """Withheld is not taught: the run of the comparison is asked by name."""
    config = {"count": 3, "plies": 3}
    one = trained(tmp_path, 64, withheld=True, facts=config)
    none = trained(tmp_path, 64, withheld=True, facts=config | {"withheld": True})
    assert one.subject().facts == TAUGHT
    assert none.subject().facts is None
    assert set(mothello.measure(one, "facts", other=none).control) == {"trained", "other", "chance"}


def test_the_games_are_the_languages_own(run: Run, plain: Run) -> None:
    assert run.config.data.domains["taught"].facts == TAUGHT
    assert run.content != plain.content
    assert torch.equal(run.games(), plain.games())  # those of measures hold no facts


def test_a_stage_that_goes_on_knows_what_its_run_was_taught(run: Run, plain: Run) -> None:
    for one in (run, plain):
        stage = finetuning(one)
        run_stage(stage, torch.device("cpu"))
        assert mothello.load_run(stage.folder.path).subject().facts == one.subject().facts
