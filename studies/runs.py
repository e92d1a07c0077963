"""The runs of a study, what they were trained on, and what they cost."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mothello.cli.study_parts import Further
from mothello.files import fingerprint
from mothello.measures.probes.headline import Headline, headline, kinds
from mothello.report.runs import Run
from mothello.rundir import RunDir
from mothello.stages.finetune import FinetuneConfig
from mothello.stages.folders import finetune_folder, stage_identity
from studies import PAPERS

FORK = ""


@dataclass(frozen=True)
class Expected:
    """What a study asks of a cell, as the names of the folders that hold it."""

    train: str
    """Hash of the run; of a fork FORK, since the run that it goes on from, and so its seed, is part of the hash."""
    probe: str
    """measures/probes-HASH."""
    states: Sequence[str]
    """Every other measure: measures/legality-HASH, measures/alignment-HASH and so on."""
    tuned: Sequence[tuple[str, FinetuneConfig]] = ()
    """Source and settings of every fine-tuning."""
    stages: Sequence[Further] = ()
    """What else goes on from the run, in the study's order."""


@dataclass(frozen=True)
class Study:
    """A study as the page needs it; cells by name."""

    name: str
    question: str
    cells: Mapping[str, Expected]
    planned: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """The seeds that are asked for at this scale, by cell."""


def runs_of(study: Study, runs: Iterable[Run]) -> list[Run]:
    """The runs of a study, each with the measurements that it asks for alone, so that another budget or another fit
    under the same name is never averaged with it. Other seeds count where they were probed alike."""
    chosen = []
    for run in runs:
        expected = study.cells.get(run.name)
        if expected is not None and run.path.parent.name == expected.train:
            folders = (expected.probe, *expected.states)
            measures = [measure for measure in run.measures if measure.folder in folders]
            names = [finetune_folder(RunDir(run.path), x, run.seed, source).path.name for source, x in expected.tuned]
            tuned = [child for child in run.finetunings if child.path.name in names]
            chosen.append(replace(run, measures=measures, finetunings=tuned))
    return [run for run in chosen if run.measure("probes") or run.seed in study.planned.get(run.name, [run.seed])]


def group_of(run: Run) -> str:
    """The study that a run was trained for; empty where it was for none."""
    return str((run.config.get("tracking") or {}).get("group") or "")


def of_page(runs: Iterable[Run], studies: Iterable[Study]) -> list[Run]:
    """All but those that another paper's page had trained with seeds that none of these studies asks for: runs of a
    cell of both would else be further seeds of these."""
    asked = {(cell, seed) for study in studies for cell, seeds in study.planned.items() for seed in seeds}
    return [run for run in runs if group_of(run) not in PAPERS or (run.name, run.seed) in asked]


def staged(run: Run, stages: Sequence[Further]) -> dict[str, Run]:
    """The models that a study had go on from a run, by the stage's name; what is not there is left out."""
    made = {"": run}
    for stage in stages:
        identity = fingerprint(stage_identity(stage.command.stage, run.seed, stage.command.at))
        parent = made.get(stage.after)
        for child in (*parent.finetunings, *parent.realigned) if parent is not None else ():
            if child.path.name.endswith(identity) and child.path.parent.name == stage.command.stage.name:
                made[stage.name] = child
    return {name: child for name, child in made.items() if name}


def headline_of(run: Run, target: str = "absolute") -> Headline | None:
    """The headline of MLP probes of absolute or relative colors, where they were measured."""
    measure = run.measure("probes")
    if measure is None or ("mlp", target) not in kinds(measure.rows):
        return None
    return headline(measure.rows, "mlp", target)


def setting(runs: Sequence[Run]) -> str:
    """Boards, models and machines, in words."""

    def listed(values: Iterable[object]) -> str:
        return ", ".join(sorted({str(value) for value in values}))

    shapes = sorted({(run.config["model"]["n_layer"], run.config["model"]["d_model"]) for run in runs})
    models = ", ".join(f"{layers} layers of width {width}" for layers, width in shapes)
    count = len({run.path for run in runs})
    torch = listed(run.results["environment"]["versions"].get("torch", "?") for run in runs)
    devices = listed(run.results.get("device", "?") for run in runs)
    return f"{listed(run.results['board'] for run in runs)}; {models}; {count} runs on {devices}, torch {torch}."


def budget(runs: Iterable[Run]) -> str:
    """How long the runs of a study were trained, and what their probes were fitted on."""
    runs = list(runs)
    configs = [run.config["data"] for run in runs]
    games = Counter((round(config["games"] * config.get("epochs", 1)), config["batch_size"]) for config in configs)
    probes = [probe for run in runs if (probe := run.measure("probes")) is not None]
    fits = sorted({(probe.config["probes"]["games"], probe.results["games"]) for probe in probes})
    parts = [
        f"{count:,} games in steps of {batch} ({n} run{'s' if n > 1 else ''})"
        for (count, batch), n in sorted(games.items())
    ]
    parts += [f"probes fitted on {fitted:,} games and scored on {tested:,}" for fitted, tested in fits]
    machines = Counter(map(_machine, runs))
    if len(machines) > 1:
        parts.append(f"trained on {', '.join(f'{name} ({n})' for name, n in sorted(machines.items()))}")
    return f"Budget: {'; '.join(parts)}." if parts else ""


def _machine(run: Run) -> str:
    """Device and number format of a training: another one makes another model of the same seed."""
    execution = RunDir(run.path).read_json("execution.json")
    return f"{execution.get('device', 'cpu')}, {'bf16' if execution.get('bf16') else 'fp32'}"


def tuning(runs: Iterable[Run]) -> str:
    """Games, optimizer and evaluation of fine-tuning; empty where there was none."""
    settings = {
        f"{child.results['games']:,} games in one language, {child.config['optimizer']['name']}, learning rate "
        f"{child.config['optimizer']['lr']:g}; legality estimated on {child.config['evaluation']['games']} games per "
        "language"
        for run in runs
        for child in run.finetunings
    }
    return "; ".join(sorted(settings))


def image_agreement(runs: Iterable[Run]) -> dict[str, float]:
    """Share of cells in which boards agree with their image under each map but the identity."""
    for run in runs:
        if (probe := run.measure("probes")) is not None:
            rows = probe.rows.query("control == 'image' and target == 'absolute' and map != 'identity'")
            return dict(zip(rows["map"], rows.value, strict=True))
    return {}


def costs(runs: Iterable[Run]) -> Iterator[dict[str, Any]]:
    """A row per run and measurement: seconds, memory, and what it was."""
    for run in runs:
        head = {"run": str(run.path)} | {key: run.results.get(key, "?") for key in ("device", "threads")}
        parts = [(".", "training", [run.results])]
        parts += [(measure.folder, "measures", [measure.results]) for measure in run.measures]
        parts += [(str(x.path.relative_to(run.path)), "finetuning", _tuning_parts(run, x)) for x in run.finetunings]
        for folder, part, contents in parts:
            seconds = sum(float(content.get("seconds") or 0) for content in contents)
            yield head | {"folder": folder, "part": part, "seconds": seconds, "memory": contents[0].get("memory_gb")}


def _tuning_parts(run: Run, child: Run) -> list[dict[str, Any]]:
    """results.json of a fine-tuning, of its control, and of the probes before and after it."""
    control = RunDir(child.path.with_name(f"{child.path.name}-scratch")).read_json("results.json")
    after = [measure for measure in child.measures if measure.name == "probes"]
    before = [RunDir(run.path / measure.folder).read_json("results.json") for measure in after]
    return [child.results, control, *(measure.results for measure in after), *before]
