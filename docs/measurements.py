# ruff: noqa: E501
"""Writes docs/measurements.md from the registry of measures and the rows' columns: python docs/measurements.py."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from mothello.cli.help import documented
from mothello.config import default_of, plain
from mothello.measures.builtin import BUILTIN
from mothello.rows import COLUMNS, QUANTITIES

HEAD = """# Measures and their numbers

Made by `make docs` from the code; change it there.

A measure takes a model and yields rows, one number each. `scripts/measure.py run=RUN measures=[legality,alignment]` writes them to
`RUN/measures/NAME-HASH/table.csv.gz`, where HASH stands for the measure's settings; `scripts/probe.py` is the same command with
`measures=[probes,causal]`. `results.json` beside the table says when, where and on how many games it was measured and holds no
numbers of its own: every table, figure and page is a query over rows.

```python
import mothello
from mothello.measures.probes.headline import headline, preferred
from mothello.measures.probes.verdict import verdicts

table = mothello.load_run("anchor/seed0").table
near = table.query("quantity == 'retrieval_same_ply' and control == 'trained' and map == 'identity'")
near.pivot_table(index="layer", columns=["folder", "source", "language"], values="value")

rows = table[table.folder.str.contains("probes-") & table.step.isna()]
head = headline(rows, *preferred(rows))  # own, across, across_best_map, recovered, kinds, classes, intervals ...
pairs = verdicts(rows, head.probe, head.target, head.layer)  # of every ordered pair: kind, map, recovered, aligned ...
```

`folder` distinguishes repeated measurements of a run. `step` is set only along a training or a fine-tuning, and where an earlier step was measured. Numbers by square or by
ply have those columns filled. One file alone: `pandas.read_csv(path, keep_default_na=False, na_values=[""])`, since the control `null`
is a word. Numbers about a pair of languages, of which there are many, have six digits; all others are written in full.

Fitted probes are kept in `measures/probes-HASH/probes.safetensors`; `mothello.measures.probes.kept.load_probes(folder)` reads them, and
interventions with the same settings use them.

A measure of your own: a class with a `Config` dataclass and `__call__(subject)`, registered by `@MEASURES.register("mine")` in a module
that `plugins=[module]` names; its settings are `+mine.KEY=VALUE`. Controls are other subjects of the same measure:
`subject.random_weights()`, `subject.edited(edit)`.
"""
OPENINGS = """
## Several openings

The transfer of a model that saw one opening only depends on that opening. Pretrain on several, fine-tune each, and evaluate all
languages on each of them (the run's own is always evaluated):

```
python scripts/train.py -m +experiment=prefix seed=0,1,2 "board.prefix=[c2,b2,a2],[c2],[b3,b2,b1]"
python scripts/transfer.py -m run=runs/prefix/HASH1/seed0,runs/prefix/HASH2/seed0 transfer.source=atomic_0 "transfer.openings=[[c2],[c2,b2,a2]]"
```
"""


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _settings(measure: Any) -> Iterator[str]:
    texts = documented(measure.Config)
    for spec in fields(measure.Config):
        default = plain(default_of(spec))
        if spec.name != "name":
            if isinstance(default, dict) and default and spec.name != default["name"]:
                default = default["name"]
            shown = "those of `probes`" if isinstance(default, dict) and default else f"`{_written(default)}`"
            yield f"| `{measure.Config.name}.{spec.name}` | {shown} | {texts.get(spec.name, '')} |"


def page() -> str:
    """The text of docs/measurements.md."""
    parts = [HEAD]
    for measure in BUILTIN:
        parts.append(f"\n## {measure.Config.name}\n\n{' '.join((measure.__doc__ or '').split())}\n")
        if rows := list(_settings(measure)):
            parts.append("\n".join(["", "| setting | default | |", "|---|---|---|", *rows, ""]))
    columns = COLUMNS | {"folder": "of `run.table`: the measure's folder, relative to the run; `.` is the training"}
    for title, names in (("Columns", columns), ("Quantities", QUANTITIES)):
        lines = [f"| `{name}` | {meaning} |" for name, meaning in names.items()]
        parts.append("\n".join([f"\n## {title}", "", f"| {title.lower()} | |", "|---|---|", *lines, ""]))
    return "".join([*parts, OPENINGS])


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(page())
