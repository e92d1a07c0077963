"""What the studies of configs/study ask for, in the words of the pages."""

from pathlib import Path

from mothello.cli.compose import composed
from mothello.cli.study_config import StudyCommand
from mothello.cli.study_plan import cells_of, names_of, part_of
from mothello.report.runs import Run, find_runs
from mothello.rundir import RunDir
from mothello.stages.measuring import measure_folder
from studies import RESULTS
from studies.runs import FORK, Expected, Study, of_page, runs_of


def expected(config: StudyCommand) -> dict[str, Expected]:
    """What the study asks of every cell, as the names of the folders that it would write."""
    cells = {}
    for cell, settings in cells_of(config).items():
        part = part_of(config, cell, 0)
        run = RunDir(part.probe.run)
        probes = part.probe.probes  # type: ignore[attr-defined]
        configs = [probes, *part.measure.configs, *(x for x in part.probe.configs if x != probes)]
        names = [str(measure_folder(run, config).path.relative_to(run.path)) for config in configs]
        first = part.train.languages.language_names()[0]
        tuned = [(command.transfer.source or first, command.transfer) for command in part.transfers]
        cells[cell] = Expected(FORK if settings.fork else run.path.parent.name, names[0], names[1:], tuned, part.stages)
    return cells


def study_of(name: str, scale: str, *changes: str) -> Study:
    """A study of a page, from its file. changes: overrides of the command line that trained its runs."""
    config = composed("study", StudyCommand, [f"+study={name}", f"scale={scale}", *changes])
    planned: dict[str, list[int]] = {cell: [] for cell in cells_of(config)}
    for cell, seed in names_of(config):
        planned[cell].append(seed)
    return Study(name, config.question, expected(config), planned)


def study_runs(name: str, scale: str = "mini", out: Path = RESULTS) -> list[Run]:
    """The committed runs of a study, with the measurements that it asks for: what notebooks read."""
    study = study_of(name, scale)
    return runs_of(study, of_page(find_runs([str(out / scale)]), [study]))
