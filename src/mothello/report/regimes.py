"""What kind of run a run is, and which runs are seeds of the same thing."""

from collections.abc import Mapping, Sequence
from typing import Any

from mothello.report.runs import Run

ROLES = ("naive", "anchor", "unified")
"""Disjoint vocabularies; some moves share a token; one output vocabulary."""


def role(run: Run) -> str:
    """One of ROLES from the config's languages, or "single" for a run of one language."""
    return sharing_of(run.config, len(run.languages))


def sharing_of(config: Mapping[str, Any], n_languages: int) -> str:
    """The same of a config."""
    languages = config.get("languages") or {}
    if n_languages < 2:
        return "single"
    if languages.get("output") == "unified":
        return "unified"
    anchors = languages.get("anchors") or {}
    return "anchor" if anchors.get("count") or anchors.get("moves") else "naive"


def by_regime(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs by label, seeds of one configuration together: naive, anchor, unified first.

    The label is the run's name; where one name stands for several configurations, the identity is added.
    """
    identities: dict[str, set[str]] = {}
    for run in runs:
        identities.setdefault(run.name, set()).add(_identity(run))
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda x: (_rank(x), x.name, _identity(x), x.seed, x.path)):
        label = run.name if len(identities[run.name]) == 1 else f"{run.name} {_identity(run)}"
        groups.setdefault(label, []).append(run)
    return groups


def setting(run: Run) -> tuple[Any, ...]:
    """What two regimes must share to be compared: board, languages, opening."""
    kinds = sorted(language["kind"] for language in run.results["languages"])
    prefix = (run.config.get("data") or {}).get("prefix") or []
    return run.results["board"], tuple(kinds), tuple(prefix)


def anchors(run: Run) -> int:
    """Number of shared moves."""
    settings = (run.config.get("languages") or {}).get("anchors") or {}
    return max(int(settings.get("count") or 0), len(settings.get("moves") or []))


def _identity(run: Run) -> str:
    return str(run.results.get("identity") or run.path.parent.name)


def _rank(run: Run) -> int:
    kind = role(run)
    return ROLES.index(kind) if kind in ROLES else len(ROLES)
