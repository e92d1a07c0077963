"""Importing the package settles how long OpenMP's idle threads spin, and leaves a user's own choice alone."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterable

import pytest

import mothello


class Load:
    """A /proc/loadavg that tells one number of running threads after the other."""

    def __init__(self, running: Iterable[int | None]) -> None:
        self.running = itertools.cycle(running)

    def __call__(self, path: str) -> "Load":
        assert path == "/proc/loadavg"
        return self

    def read_text(self) -> str:
        number = next(self.running)
        if number is None:
            raise FileNotFoundError
        return f"1.50 1.20 1.00 {number}/812 4711\n"


@pytest.mark.parametrize(
    ("running", "spins"),
    [([1], "100000"), ([0], "1000"), ([2], "1000"), ([3, 2, 5], "1000"), ([3, 1, 2], "100000"), ([None], "1000")],
)
def test_threads_spin_long_where_nothing_else_runs(
    running: list[int | None], spins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mothello, "Path", Load(running))
    assert mothello._spins() == spins


@pytest.mark.parametrize("own", [{"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "passive"}, {}])
def test_the_users_own_setting_wins(own: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mothello, "Path", Load([1]))
    environment = dict(own)
    mothello._settle_spins(environment)
    assert environment == (own or {"GOMP_SPINCOUNT": "100000", "MOTHELLO_SPINS": "100000"})


def test_a_child_has_company(monkeypatch: pytest.MonkeyPatch) -> None:
    """It inherits what its parent chose, which is not the user's choice; several may run at once."""
    monkeypatch.setattr(mothello, "Path", Load([1]))
    environment: dict[str, str] = {}
    for expected in ("100000", "1000", "1000"):
        mothello._settle_spins(environment)
        assert environment["GOMP_SPINCOUNT"] == expected


def test_it_is_settled_by_the_import() -> None:
    environment = {name: x for name, x in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import mothello, os; print(os.environ['GOMP_SPINCOUNT'])"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() in ("1000", "100000")
