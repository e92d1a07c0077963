"""The fine-tunings of a run, read from their folders inside it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mothello.measures.transfer.curve import curves, summary
from mothello.rows import COLUMNS, read_tidy
from mothello.rundir import RunDir

SCRATCH = "-scratch"
Content = dict[str, Any]


def finetunings(
    run: Path, probes: Sequence[Mapping[str, Any]], read: Callable[[RunDir, str], Content | None],
    probes_of: Callable[[Path], Sequence[Mapping[str, Any]]],
) -> list[Content]:  # fmt: skip
    """Per fine-tuning: its results with source, languages, curves, summary, scratch (curves of the control), metrics,
    table, config and alignment (before, after). probes: of the run. read: (folder, kind) -> results, None where a
    folder is not finished. probes_of: folder of a fine-tuning -> its probe measures."""
    children = sorted(path for path in run.glob("finetune/*") if path.is_dir() and not path.name.endswith(SCRATCH))
    contents = (_content(run, path, probes, read, probes_of(path)) for path in children)
    return [content for content in contents if content is not None]


def _content(
    run: Path, path: Path, probes: Sequence[Mapping[str, Any]], read: Callable[[RunDir, str], Content | None],
    after: Sequence[Mapping[str, Any]],
) -> Content | None:  # fmt: skip
    folder, control = RunDir(path), RunDir(path.with_name(path.name + SCRATCH))
    results = read(folder, "train")
    measures = sorted(path.glob("measures/transfer-*/table.csv.gz"))
    if results is None:
        return None
    table = read_tidy(measures[0].parent) if measures else pd.DataFrame(columns=list(COLUMNS))
    config, names = folder.read_config(), [language["name"] for language in results["languages"]]
    settings, lines = config["finetune"], folder.read_metrics()
    source = settings["source"] or names[0]
    curve = curves(lines, names)
    scratch = curves(control.read_metrics(), names) if control.finished else None
    alignment = _alignment(probes, after)
    parts = [results, control.read_json("results.json"), *alignment.values()]
    own = {"transfer": settings, "seed": config["seed"]}
    own |= alignment["after"]["config"] if alignment else {}
    return results | {
        "source": source, "languages": names, "curves": curve, "scratch": scratch,
        "summary": summary(curve, source, names, scratch), "metrics": lines, "table": table,
        "alignment": alignment, "config": own, "folder": str(path.relative_to(run)),
        "written": str(folder.read_status().get("written", "")), "step": config["from"]["step"],
        "seconds_all": sum(float(x.get("seconds") or 0) for x in parts),
    }  # fmt: skip


def _alignment(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The probes of the fine-tuned model, and those of its parent that were fitted alike."""
    for measure in after:
        for other in before:
            if other["config"] and Path(other["folder"]).name == Path(measure["folder"]).name:
                return {"before": other, "after": measure}
    return {}
