"""The model card of an export, filled from the rows and the config of a run: README.md."""

from collections.abc import Iterator, Sequence

import yaml

from mothello.config import shown
from mothello.measures.probes.headline import headline, kinds
from mothello.rows import WORDS, Table
from mothello.stages.folders import identity
from mothello.stages.run import Run

SKILL = {
    "top1": "most likely next move is legal", "mass": "probability of legal moves",
    "masked_accuracy": "hidden move is guessed",
}  # fmt: skip
BASES = ("chance", "best")
"""Controls that stand beside a share: by counting, and the best possible."""
STATES = {
    "cosine": "cosine of parallel states", "retrieval_same_ply": "parallel state found among others of its ply",
}  # fmt: skip


def card(run: Run, snippet: str, files: Sequence[str]) -> str:
    """The whole card. snippet: Python that opens the export. files: in the folder."""
    config, size, settings = run.config, run.model.n_parameters, identity(run.config)
    if run.stage == "import":
        del settings["data"]
    masked = str(config.model.mask) == "full"
    head = {
        "library_name": "transformers", "pipeline_tag": "fill-mask" if masked else "text-generation",
        "tags": ["mothello", "othello"],
    }  # fmt: skip
    lines = [
        "---", yaml.safe_dump(head, sort_keys=False).strip(), "---", "",
        f"# {config.name}: Othello on {run.board.name} in {_languages(run)}", "",
        f"A transformer of {size:,} parameters that reads games of Othello, written in {_languages(run)}, and predicts "
        f"{'moves that are hidden' if masked else 'the next move'}.",
        "It was made with mothello, a testbed for cross-lingual alignment and transfer: the languages are artificial, "
        "and there is a true board behind every text.", "",
        "## Training", "",
        _training(run),
        "What differs from the defaults:", "", "```yaml", yaml.safe_dump(settings, sort_keys=False).strip(),
        "```", "", "## Legality", "", *_skill(run), "", "## Alignment", "", *_alignment(run), "",
        "## Use", "", "```python", snippet.strip(), "```", "",
        "Texts are token names with blanks between them; `languages.json` holds every move's word in every language, "
        "the board, and what the classes of the head mean.", "",
        f"Files: {', '.join(f'`{name}`' for name in sorted(files))}.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _training(run: Run) -> str:
    """Where the weights come from."""
    config, content = run.config, run.folder.read_config()
    if run.stage == "import":
        read = content["settings"]
        return f"The weights are those of a checkpoint of {read['kind']}, {read['file']} ({read['content']})."
    if run.stage != "pretrain":
        return f"{run.step:,} steps of the stage `{run.stage}`, which went on from another run (seed {config.seed})."
    objective = f"objective `{config.objective.name}`, seed {config.seed}"
    return f"{run.step:,} steps of pretraining on {config.data.games:,} games ({objective})."


def _languages(run: Run) -> str:
    names = run.languages
    few = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return f"the language {few}" if len(names) == 1 else f"{len(names)} languages ({few})"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def _rows(run: Run) -> Table:
    """Every row of the run, of an earlier step those of that step."""
    rows = run.table
    rows = rows.assign(**{name: rows[name].fillna("") for name in WORDS})
    return rows if run.earlier is None else rows[rows.step == run.earlier]


def _newest(rows: Table) -> Table:
    """Of several steps the last, of several measurements the last."""
    rows = rows[rows.step.isna() | (rows.step == rows.step.max())]
    return rows[rows.folder == rows.folder.iloc[-1]] if len(rows) else rows


def _skill(run: Run) -> Iterator[str]:
    """A table of what the model can do in every language, with its bases: of a measure, else of the evaluation while it
    was trained."""
    rows = _rows(run)
    rows = rows[rows.quantity.isin(list(SKILL)) & (rows.language != "") & rows.ply.isna() & (rows.source == "")]
    for measure in ("legality", "masked", "training"):
        found = _newest(rows[(rows.measure == measure) & (rows.opening == "") & (rows.target == "")])
        columns = [
            (quantity, control)
            for quantity in SKILL
            for control in ("trained", *BASES)
            if len(found[(found.quantity == quantity) & (found.control == control)])
        ]
        if any(control == "trained" for _, control in columns):
            each = {key: group.value.iloc[0] for key, group in found.groupby(["language", "quantity", "control"])}
            names = [SKILL[quantity] if control == "trained" else control for quantity, control in columns]
            body = [
                [name, *(_percent(each[name, *key]) if (name, *key) in each else "" for key in columns)]
                for name in run.languages
            ]
            yield from _table(["language", *names], body)
            when = ", in the evaluation along the training" if measure == "training" else ""
            yield from ("", f"On held-out games{when}. chance: a guess that knows no board, by counting.")
            return
    yield f"Not measured: `{shown('measure', run=str(run.folder.path))}`."


def _alignment(run: Run) -> Iterator[str]:
    """What probes of one language read in the others; else states compared; else how to measure it."""
    if len(run.languages) < 2:
        yield "One language: there is nothing to align."
        return
    rows = _rows(run)
    probes = _newest(rows[rows.measure == "probe"])
    heads = [headline(probes, *kind) for kind in kinds(probes)]
    if heads:
        yield from ("Share of cells of the board that a probe reads right from the residual stream:", "")
        body = [
            [f"{head.probe}, {head.target} colors, layer {head.layer}"]
            + ["" if x is None else _percent(x) for x in (head.own, head.across, head.across_best_map, head.constant)]
            for head in heads
        ]
        columns = ["probe", "own language", "another's probe", "under the best map", "best constant"]
        yield from _table(columns, body)
        return
    states = _newest(
        rows[(rows.measure == "alignment") & rows.quantity.isin(list(STATES)) & (rows["map"] == "identity")]
    )
    states = states[states.control.isin(["trained", "unrelated", "permuted", "chance"])]
    if len(states):
        found = states[(states.control == "trained") & (states.quantity == "retrieval_same_ply")]
        layer = float(found.groupby("layer").value.mean().sort_values().index[-1])
        states = states[states.layer.isna() | (states.layer == layer)]
        yield from (f"Means over pairs of languages, layer {int(layer)}:", "")
        body = [
            [STATES[str(key[0])], str(key[1]), f"{group.value.mean():.3f}"]
            for key, group in states.groupby(["quantity", "control"])
        ]
        yield from _table(["quantity", "control", "value"], body)
        return
    yield f"Not measured: `{shown('probe', run=str(run.folder.path))}`."
