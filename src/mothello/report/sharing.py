"""What the languages of a run share (its sharing), and which runs are seeds of the same thing (its label)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mothello.config import flat
from mothello.report.labels import labels_of, natural
from mothello.report.runs import Run, with_realigned

SHARINGS = ("naive", "anchors", "unified", "single")
"""Disjoint vocabularies; some moves share their tokens; one output vocabulary; a single language."""


def n_languages(config: Mapping[str, Any]) -> int:
    """Number of languages of a run's config, such as kinds: [atomic*2, split]."""
    kinds = (config.get("languages") or {}).get("kinds") or ["atomic*2"]
    return sum(int(kind.partition("*")[2] or 1) for kind in map(str, kinds))


def sharing_of(config: Mapping[str, Any]) -> str:
    """One of SHARINGS, of a run's config."""
    languages = config.get("languages") or {}
    if n_languages(config) < 2:
        return "single"
    if languages.get("output") == "unified":
        return "unified"
    letters = (languages.get("anchors") or {}).get("subtokens")
    return "anchors" if n_anchors(config) or letters else "naive"


def n_anchors(config: Mapping[str, Any]) -> int:
    """Number of shared words: those counted or named, a share of all moves', and those linked one by one."""
    anchors = (config.get("languages") or {}).get("anchors") or {}
    share, size = anchors.get("overlap") or 0, (config.get("board") or {}).get("size") or 6
    shared = max(int(anchors.get("count") or 0), len(anchors.get("moves") or []), round(share * (size**2 - 4)))
    return shared + len(anchors.get("links") or [])


def _objective(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run's objective, whatever the form of its config."""
    objective = config.get("objective") or {}
    return {"name": "causal_lm"} | ({"name": objective} if isinstance(objective, str) else dict(objective))


def targets_of(config: Mapping[str, Any]) -> str:
    """What a run's config had it learn from: the moves that were drawn (sampled), or what they were drawn from
    (expected), and whether the softmax is over their language's tokens alone. Of another objective: its name."""
    settings = _objective(config)
    if settings["name"] != "causal_lm":
        return str(settings["name"])
    return f"{settings.get('targets', 'sampled')}{', own tokens' * (settings.get('softmax') == 'language')}"


def by_label(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs and the models realigned from them by label (labels.py), seeds of one configuration together, in the order
    of SHARINGS."""
    runs = list(with_realigned(runs))
    labels, groups = labels_of(runs), dict[str, list[Run]]()
    for run in sorted(runs, key=_order):
        groups.setdefault(labels[run.name, run.identity], []).append(run)
    return {label: _alike(group) for label, group in groups.items()}


def _order(run: Run) -> tuple[Any, ...]:
    """By sharing, name, board and games."""
    place = SHARINGS.index(sharing_of(run.config)), natural(run.name), int(run.results["board"].split("x")[0])
    return *place, run.results["games"], run.identity, run.seed, run.path


def _alike(runs: Sequence[Run]) -> list[Run]:
    """The runs of one label, each with what the others were measured by."""
    counts = Counter(measure.folder for run in runs for measure in run.measures)
    return [replace(run, alike=counts) for run in runs]


def setting(run: Run) -> tuple[Any, ...]:
    """What two runs must have in common to be compared: board, languages and their traits, opening, model, targets (of
    another objective than the causal one all its settings), games and batches seen. Of realigned models also how they
    were realigned, and the same of the runs that they were realigned from."""
    kinds = sorted(language["kind"] for language in run.results["languages"])
    data, model = run.config.get("data") or {}, run.config.get("model") or {}
    traits = (run.config.get("languages") or {}).get("traits") or {}
    objective, targets = _objective(run.config), targets_of(run.config)
    shape = {"init": "gpt2"} | {key: value for key, value in model.items() if key != "attention"}
    return (
        run.results["board"], tuple(kinds), str(sorted(traits.items())), tuple(data.get("prefix") or []),
        str(sorted(shape.items())), targets if objective["name"] == "causal_lm" else str(sorted(objective.items())),
        run.results["games"], data.get("batch_size"), str(sorted(flat(run.settings).items())),
        () if run.origin is None else setting(run.origin),
    )  # fmt: skip
