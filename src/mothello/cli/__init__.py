"""What each script does. Every command imports this room before torch, so it sets how OpenMP's idle threads wait.

OpenMP reads the setting when torch is imported, and never again. With no setting idle threads spin for milliseconds: one
busy neighbor on their core then slows training several times. Threads that sleep at once are slow when alone. The number
is a compromise that docs/LOG.md measures (benchmarks/company.py); a user's own setting wins.
"""

import os

SPINS = "2500"

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = SPINS
