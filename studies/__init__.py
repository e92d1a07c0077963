"""The page of one paper: published numbers and predictions compared with what the committed runs say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

FOLDER = Path(__file__).parent
RESULTS = FOLDER.parent / "results"
"""Runs and page of this checkout."""


def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


CRITERIA = SimpleNamespace(**_read("criteria"))
PUBLISHED = SimpleNamespace(**_read("published"))
PAPERS = _read("papers")
"""Published numbers of other papers, by page."""
