"""The closing sections: how to repeat the runs, and what each quantity means."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from mothello.report.html import Markup, Text, join, table, tag
from mothello.report.material import Material
from mothello.report.runs import Run

_IDENTITY = ("board", "languages", "model", "data", "objective", "optimizer", "seed")
"""Parts of a run's config that determine its numbers, and the seed."""

DEFINITIONS = {
    "Own, cross": "Share of cells that a probe reads correctly from states of the language it was trained on (own), or "
    "of another language in the same games (cross). A mean over languages, or over ordered pairs.",
    "Loss across languages": "Own minus cross.",
    "Best map": "Cross accuracy against the image of the board under the best of the four symmetries that leave the "
    "opening unchanged. Random play is symmetric too, so disjoint vocabularies fix a language only up to these four.",
    "Null": "The best-map accuracy when every reading is paired with another game at the same ply.",
    "Aligned": "A pair whose best map beats both the 95% quantile of its null and the best constant: a reading can "
    "beat other games by a hair and still say less of the board than the ply does.",
    "Best constant": "The most frequent class per ply and cell, the same for every game.",
    "Random weights": "The same probe, fitted and scored on a model of the same shape that was never trained.",
    "Shuffled": "The same probe, fitted on the boards of other games at the same ply: what its size can make up.",
    "Whole board": "Share of positions of which a probe reads every cell right.",
    "Strict legality": "The greedy next move is legal for the side to move, passes applied. A wrong-language token and "
    "a malformed move count as wrong.",
    "Either colour": "Legal for either side: the criterion of the published code, more lenient.",
    "Chance": "Probability that a random empty square is legal.",
    "Cosine, CKA": "Mean cosine of parallel states, each language centred; and linear centred kernel alignment "
    "(Kornblith et al. 2019) of the same states, at every ply by itself.",
    "Retrieval": "P@1: how often the parallel state is nearest, among a thousand states reached by different moves, "
    "all of the other language (weak) or of both (strong). A rotation (orthogonal Procrustes) comes from other games.",
    "Errors": "False plus missed moves among the model's N likeliest, N the number of legal ones (Li et al. 2023).",
    "Floor, excess": "Conditional entropy of the next token given the game so far, over the positions scored; excess "
    "is the loss above it.",
    "Absolute, relative": "Targets black, white, empty; or mine, theirs, empty, mine being the side that moves next.",
    "Layer": "The residual stream after that many blocks, at the last token of each move; 0 is the embeddings.",
    "Naive, anchor, unified": "Disjoint vocabularies; some moves share their token; inputs per language, but one "
    "shared output vocabulary of moves.",
    "Games seen": "Steps times batch size, every language drawn evenly.",
}


def definition_section() -> Markup:
    parts = [part for name, meaning in DEFINITIONS.items() for part in (tag("dt", name), tag("dd", meaning))]
    return tag("dl", *parts)


def _settings(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _literal(value: Any) -> str:
    """A plain value as Hydra's command line reads it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(_literal(x) for x in value)}]"
    if isinstance(value, str):
        return (
            value
            if value and all(c.isalnum() or c in "_-*./" for c in value)
            else '"' + value.replace('"', '\\"') + '"'
        )
    return repr(value)


def command(run: Run) -> str:
    """The line that trains the run again, every setting that determines its numbers spelled out."""
    chosen = {key: run.config[key] for key in _IDENTITY if key in run.config}
    parts = [f"++{key}={_literal(value)}" for key, value in _settings(chosen)]
    return shlex.join(["python", "scripts/train.py", f"name={run.name}", *parts])


def _measures(run: Run) -> list[str]:
    lines = []
    for measure in (*run.probes, *run.states):
        lines.append("python scripts/measure.py run=FOLDER" + _overrides(measure, ("measures", measure["kind"])))
    for transfer in run.transfers:
        lines.append("python scripts/transfer.py run=FOLDER" + _overrides(transfer, ("transfer", "probes", "seed")))
    return list(dict.fromkeys(lines))


def _overrides(measure: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    config = measure.get("config") or {}
    chosen = {key: config[key] for key in keys if key in config}
    return "".join(" " + shlex.quote(f"++{key}={_literal(value)}") for key, value in _settings(chosen))


def repeat_section(material: Material, files: list[str]) -> Markup:
    """Where every run came from, and the commands."""
    rows = [_origin(regime, run) for regime, runs in material.groups.items() for run in runs]
    head = ["regime", "seed", "folder", "commit", "versions", "device", "parameters", "minutes"]
    parts: list[Text] = [table(head, rows, left=6)]
    for regime, runs in material.groups.items():
        lines = "\n\n".join([command(runs[0]), *_measures(runs[0])])
        parts.append(tag("details", tag("summary", f"Commands: {regime}"), tag("pre", lines)))
    parts.append(tag("p", f"The numbers of this page as tables, beside it: {', '.join(files)}."))
    return join(parts)


def _origin(regime: str, run: Run) -> list[Text]:
    environment = run.results.get("environment") or {}
    versions = environment.get("versions") or {}
    shown = [f"{name} {version}" for name, version in versions.items() if name in ("mothello", "torch")]
    named = [f"python {environment.get('python', '?')}", *shown]
    device = str(run.results.get("device", "unknown"))
    if device == "cpu":
        device = f"cpu, {run.results.get('threads', '?')} threads"
    minutes = run.results.get("seconds")
    return [
        regime,
        str(run.seed),
        "/".join(run.path.parts[-3:]),
        str(environment.get("commit", "unknown")),
        ", ".join(named),
        device,
        f"{run.results.get('parameters', 0):,}",
        "-" if minutes is None else f"{minutes / 60:.1f}",
    ]
