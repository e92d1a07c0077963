"""Settings of every test: one thread, and the same Hypothesis examples in every run."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("mothello", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mothello")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Workers run side by side; commands under test may have set another count."""
    torch.set_num_threads(1)
