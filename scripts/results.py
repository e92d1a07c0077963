"""See studies/gather.py; every key of the command line: configs/results.yaml."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from mothello.signals import run

if __name__ == "__main__":
    run("studies.gather")
