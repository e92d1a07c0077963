"""Proves: docs/measurements.md is what docs/measurements.py makes of the registry and the rows' columns, and every setting,
column and quantity is explained."""

import runpy
from pathlib import Path

from mothello.measures.builtin import BUILTIN
from mothello.rows import COLUMNS, QUANTITIES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_made_from_the_code() -> None:
    made = runpy.run_path(str(DOCS / "measurements.py"))
    text = made["page"]()
    assert (DOCS / "measurements.md").read_text() == text, "run: python docs/measurements.py"
    for name, meaning in (COLUMNS | QUANTITIES).items():
        assert f"| `{name}` | {meaning} |" in text
    for measure in BUILTIN:
        for name in set(measure.Config.__dataclass_fields__) - {"name"}:
            assert made["documented"](measure.Config)[name], f"{measure.Config.name}.{name} is not explained"
