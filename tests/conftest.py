"""Settings of every test: one thread, no compiler unless a test asks for it, and the same Hypothesis examples in every run."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from mothello.othello.engine import Engine, using

settings.register_profile("mothello", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mothello")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="store the loss curves of tests/golden anew")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Workers run side by side; commands under test may have set another count."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _eager() -> Iterator[None]:
    """No test starts a compiler by playing many games; those that prove the compiled engine ask for it."""
    with using(Engine.eager):
        yield
