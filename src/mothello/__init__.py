"""mothello: when does a multilingual model align its languages, and when does skill transfer?"""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

__version__ = "0.1.0"


def _spins() -> str:
    """How long OpenMP's idle threads spin for their next task before they sleep. Longer is a fifth faster on a machine
    that is free, and many times slower where anything else runs (docs/LOG.md); so look, a few milliseconds."""
    try:
        running = []
        for _ in range(5):
            running.append(int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]))  # this process included
            time.sleep(0.001)
    except (OSError, IndexError, ValueError):
        return "1000"
    return "100000" if min(running) == 1 else "1000"


def _settle_spins(environment: MutableMapping[str, str]) -> None:
    """Read once by OpenMP, when torch is first imported. A process started by one of ours has company: short there.
    MOTHELLO_SPINS=system leaves OpenMP as it is."""
    chosen = environment.get("MOTHELLO_SPINS")
    if chosen == "system":
        return
    if chosen and environment.get("GOMP_SPINCOUNT") == chosen:
        environment["GOMP_SPINCOUNT"] = "1000"
    elif "GOMP_SPINCOUNT" not in environment and "OMP_WAIT_POLICY" not in environment:
        environment["MOTHELLO_SPINS"] = environment["GOMP_SPINCOUNT"] = _spins()


_settle_spins(os.environ)
