"""mothello: when does a multilingual model align its languages, and when does skill transfer?"""

import os

__version__ = "0.1.0"

# OpenMP reads this once, when torch is first imported. Idle threads otherwise spin for their next task: on a machine
# with anything else to do, a training step took many times as long (docs/LOG.md).
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
