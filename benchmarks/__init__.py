"""How fast the parts are on this machine. Run from the root of a checkout, such as: python -m benchmarks.engine"""

import mothello.cli  # noqa: F401 - before torch, as in the scripts, so that OpenMP waits as it does in training
