"""The settings of a study: scripts/study.py, and the files in configs/study and configs/scale."""

from dataclasses import dataclass, field
from typing import Any

from mothello.config import check_name


@dataclass(kw_only=True)
class Fragments:
    """Config fragments, merged over the config of the command of that name. A fragment's key ``choose`` names options
    of config groups: {choose: {languages: atomic_split, model: small}, data: {games: 60000}}."""

    train: dict[str, Any] = field(default_factory=dict)
    probe: dict[str, Any] = field(default_factory=dict)
    measure: dict[str, Any] = field(default_factory=dict)
    transfer: dict[str, Any] = field(default_factory=dict)
    stage: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class CellConfig(Fragments):
    """One cell of a study: a setting, trained from one or several seeds. Its name is the name of its runs, so equal
    cells of several studies share their runs."""

    seeds: list[int] = field(default_factory=list)
    """Its seeds; empty: those of the scale."""
    fork: str = ""
    """CELL or CELL/STAGE, a cell before it: the training goes on from the last step of that cell's run of the same
    seed, or from what a stage made of it, with the settings of that run but for the cell's own; empty: from random
    weights."""


@dataclass(kw_only=True)
class Tuning:
    """A further way of fine-tuning, next to that of ``transfer``."""

    cells: list[str] = field(default_factory=lambda: ["*"])
    """Patterns of cells, among those that are fine-tuned."""
    transfer: dict[str, Any] = field(default_factory=dict)
    """A fragment, merged over the others."""


@dataclass(kw_only=True)
class FurtherStage:
    """A stage that goes on from runs, as scripts/stage.py does."""

    cells: list[str] = field(default_factory=lambda: ["*"])
    """Patterns of cells."""
    after: str = ""
    """The name of an earlier stage here, whose model it goes on from; by default the run's."""
    stage: dict[str, Any] = field(default_factory=dict)
    """A fragment, merged over the others."""
    measure: dict[str, Any] = field(default_factory=dict)
    """What is measured of its model, a fragment merged over ``measure``; by default what the stage itself measures."""


@dataclass(kw_only=True)
class Comparison:
    """A measure that needs other runs of the study, taken when all parts are finished."""

    cells: list[str] = field(default_factory=lambda: ["*"])
    """Patterns of cells, whose runs are measured."""
    other: str = ""
    """CELL or CELL/SEED, the run that they are compared with, by default that of the same seed; empty: none."""
    measure: dict[str, Any] = field(default_factory=dict)
    """What is measured: a fragment of its own, not merged over ``measure``."""


@dataclass(kw_only=True)
class ScaleConfig(Fragments):
    """What a study adds or changes at one scale."""

    seeds: list[int] = field(default_factory=list)
    """Seeds of cells without seeds of their own; empty: seed 0."""
    cells: dict[str, list[int]] = field(default_factory=dict)
    """Seeds of single cells, by name or pattern; an empty list leaves the cell out."""


@dataclass(kw_only=True)
class StudyCommand(Fragments):
    """scripts/study.py: cells x seeds and the measurements on each, then the report.

    Fragments are merged in this order, the last one wins: ``budget`` (of the scale), ``at.SCALE``, the cell's, and
    those of the study itself, which are left to the command line.
    """

    name: str = "custom"
    """What it is called, as its report."""
    question: str = ""
    """What it asks, for the page."""
    scale: str = ""
    """Name of the scale, set by scale=NAME (configs/scale)."""
    budget: Fragments = field(default_factory=Fragments)
    """What the scale asks for."""
    at: dict[str, ScaleConfig] = field(default_factory=dict)
    """What this study changes at a scale."""
    cells: dict[str, CellConfig] = field(default_factory=dict)
    """Settings by name."""
    experiments: list[str] = field(default_factory=list)
    """Short for cells of one experiment each."""
    seeds: list[int] = field(default_factory=list)
    """The seeds of every cell; empty: what the files say, else seed 0."""
    transfer_from: list[str] = field(default_factory=list)
    """Cells whose runs are also fine-tuned; patterns such as *_unified name several."""
    tunings: dict[str, Tuning] = field(default_factory=dict)
    """Further ways of fine-tuning, by any name."""
    stages: dict[str, FurtherStage] = field(default_factory=dict)
    """What else goes on from runs, such as learning a task, by any name."""
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    """What is measured at the end, by any name."""
    measures: bool = True
    """False: train only."""
    parts: list[str] = field(default_factory=list)
    """Only parts CELL/SEED that match one of these patterns, such as naive/* or */0; empty: all."""
    runs: str = ""
    """Where run folders go; by default runs/SCALE."""
    threads: int = 0
    """CPU threads of each part, 0 for all cores, shared among the jobs of a joblib launcher."""
    plugins: list[str] = field(default_factory=list)
    """Modules of your own that every part imports first."""
    report: str = "report"
    """Folder of the page; empty: no page. By default report/NAME."""
    minutes: float = 0.0
    """Measured time on 2 cores per seed, printed first."""
    searchpath: list[str] = field(default_factory=list)
    """What --config-dir and hydra.searchpath of the command line ask for: the parts look there, too."""
    dry_run: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.scale:
            check_name(self.scale, "scale")
