"""What each script does. Every command imports this room before torch, so it sets how OpenMP's idle threads wait.

OpenMP reads the setting when torch is imported, and never again. Threads that spin for milliseconds are fastest alone;
mothello.training.company keeps them from spinning next to other processes. A user's own setting wins.
"""

import os

SPINS = "100000"

if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
    os.environ["GOMP_SPINCOUNT"] = SPINS
