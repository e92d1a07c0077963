"""Settings of every test: one thread, and the same Hypothesis examples in every run."""

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("mothello", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mothello")
