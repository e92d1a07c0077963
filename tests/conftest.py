"""Settings of every test: one thread, no compiler unless a test asks for it, and the same Hypothesis examples in every run."""

import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from mothello.othello.lazy_compile import Engine, using
from mothello.training import company

settings.register_profile("mothello", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mothello")
company._watching.acquire(blocking=False)  # no test moves this process to other cores
torch.set_num_threads(1)  # already for fixtures of modules, which are made before those of a test
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: tests of Ctrl-C need Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
