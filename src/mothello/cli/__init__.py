"""What each script does. Every command imports this room before torch, so it sets how OpenMP's idle threads wait.

OpenMP reads the setting when torch is imported, and never again. Threads that spin for milliseconds are fastest alone,
but one busy process on the same cores slows them several times; threads that sleep at once are slow alone. The number
is a compromise, measured by benchmarks/company.py (docs/LOG.md, 2026-11-25). A user's own setting wins.
"""

import os

SPINS = "2500"

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = SPINS
