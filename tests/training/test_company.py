"""Proves: a process confines itself to the cores that others leave, frees itself when they have gone, and computes the same
bits meanwhile; it leaves alone whoever chose otherwise."""

import os
from collections.abc import Iterator

import pytest
import torch

from mothello.training import company
from mothello.training.company import Reading, Watcher, cores_left, wanted


@pytest.mark.parametrize(
    ("own", "every", "cores", "confined", "left"),
    [
        (2.0, 2.0, 2, False, 2),  # alone
        (2.0, 2.4, 2, False, 2),  # a passer-by
        (1.3, 2.0, 2, False, 1),  # one busy process on two cores, our threads spinning
        (1.0, 2.0, 2, True, 1),  # the same, after making room
        (1.0, 1.3, 2, True, 1),
        (1.0, 1.1, 2, True, 2),  # it has gone
        (0.5, 2.0, 2, True, 1),  # never none
        (0.1, 8.0, 8, False, 1),
        (6.0, 8.0, 8, False, 6),
        (1.0, 0.0, 2, False, 2),  # no numbers
    ],
)
def test_cores_left(own: float, every: float, cores: int, confined: bool, left: int) -> None:
    before = Reading(100.0, 5.0, 50.0)
    assert cores_left(before, Reading(101.0, 5.0 + own, 50.0 + every), cores, confined) == left
    assert cores_left(before, Reading(104.0, 5.0 + 4 * own, 50.0 + 4 * every), cores, confined) == left


class Machine:
    """Clocks that a test moves, and where the process was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.sent = Reading(0.0, 0.0, 0.0), list[list[int]]()
        monkeypatch.setattr(company, "read", lambda _: self.now)
        monkeypatch.setattr(Watcher, "_run_on", lambda _, cores: self.sent.append(sorted(cores)))

    def second(self, watcher: Watcher, own: float, others: float) -> None:
        self.now = Reading(self.now.clock + 1, self.now.own + own, self.now.every + own + others)
        watcher.look()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_it_makes_room_and_comes_back(machine: Machine) -> None:
    watcher = Watcher(2, [0, 1])
    machine.second(watcher, 2.0, 0.1)
    assert machine.sent == []
    assert watcher.teams is None
    machine.second(watcher, 1.3, 0.7)
    assert len(machine.sent[0]) == 1
    assert watcher.teams is not None
    machine.second(watcher, 1.0, 1.0)  # nothing new
    machine.second(watcher, 0.5, 1.0)  # not alone on the core
    assert len(machine.sent) == 2
    machine.second(watcher, 1.0, 0.0)
    assert machine.sent[2:] == [[0, 1]]
    assert watcher.teams is None


def test_a_process_that_waits_for_its_children_is_free(machine: Machine) -> None:
    watcher = Watcher(2, [0, 1])
    machine.second(watcher, 0.0, 2.0)
    assert machine.sent == []
    machine.second(watcher, 1.3, 0.7)
    assert len(machine.sent[0]) == 1
    machine.second(watcher, 0.0, 2.0)
    assert machine.sent[1:] == [[0, 1]]
    assert watcher.teams is None


def test_few_threads_on_many_cores_stay(machine: Machine) -> None:
    watcher = Watcher(2, range(8))
    machine.second(watcher, 2.0, 5.0)
    assert machine.sent == []
    machine.second(watcher, 1.1, 6.9)
    assert len(machine.sent[0]) == 1


@pytest.fixture
def _two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="not Linux")
@pytest.mark.usefixtures("_two_threads")
def test_confined_threads_compute_the_same_bits() -> None:
    x = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))
    cores = os.sched_getaffinity(0)
    free = x.sum()
    watcher = Watcher(2, cores)
    watcher.confine(1)
    try:
        assert os.sched_getaffinity(0) == set(watcher.chosen)
        assert torch.get_num_threads() == 2
        assert x.sum() == free
    finally:
        watcher.free()
    assert os.sched_getaffinity(0) == cores
    torch.set_num_threads(1)
    assert x.sum() != free  # why the number of threads stays


@pytest.mark.parametrize(
    ("threads", "environment", "expected"),
    [
        (2, {"GOMP_SPINCOUNT": "100000"}, True),
        (1, {"GOMP_SPINCOUNT": "100000"}, False),
        (2, {"GOMP_SPINCOUNT": "1000"}, False),
        (2, {}, False),
        (2, {"GOMP_SPINCOUNT": "100000", "OMP_PROC_BIND": "true"}, False),
        (2, {"GOMP_SPINCOUNT": "100000", "LOCAL_WORLD_SIZE": "2"}, False),
    ],
)
def test_who_chose_otherwise_is_left_alone(threads: int, environment: dict[str, str], expected: bool) -> None:
    assert wanted(threads, environment) == expected
