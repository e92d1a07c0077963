"""Pretraining and measuring from a script or a notebook."""

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

import mothello.measures.builtin  # noqa: F401
from mothello.config import typed
from mothello.errors import UserError
from mothello.measures.measure import MEASURES, takes_other
from mothello.model.edited import Edited
from mothello.rows import Table, read_tidy
from mothello.stages.fork import forked, pretraining
from mothello.stages.load import load_run
from mothello.stages.measuring import measure_run, measured_subject
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run
from mothello.stages.stage import run_stage
from mothello.training.device import resolve


def train(settings: Mapping[str, Any]) -> Run:
    """Pretrain with settings such as {"data": {"games": 20_000}}, and load the run. Keys are those of scripts/train.py;
    what is not given has its default; {"fork": RUN, "at": STEP} goes on from a step of a run, what is not given is as
    there. A finished run is loaded at once, an interrupted one is resumed."""
    fork = settings.get("fork")
    base = forked(fork, settings.get("at", 0)) if fork else {}
    asked = settings.get("objective", {})
    name = asked.get("name") if isinstance(asked, Mapping) else asked
    if base and name not in (None, base["objective"]["name"]):
        del base["objective"]  # of another objective's settings none stay
    config = typed(OmegaConf.merge(base, settings, {"fork": base["fork"]} if base else {}), TrainConfig)  # type: ignore[arg-type]
    device, stage = resolve(config.device), pretraining(config)
    run_stage(stage, device)
    return load_run(stage.folder.path, device)


def measure(run: Run, name: str, settings: Mapping[str, Any] | None = None, other: Run | None = None) -> Table:
    """The rows of a measure of a run, such as "legality" or "probes"; written to its folder, unless they are there.
    settings: such as {"games": 400}; keys are those of scripts/measure.py. other: a run to compare it with, where the
    measure does. An edited model's are not written."""
    config = MEASURES.typed({"name": name, **(settings or {})}, name)
    if other is not None and not takes_other(name):
        raise UserError(f"other: has no effect on {name}; leave it out")
    if isinstance(run.model, Edited):
        import pandas as pd

        return pd.DataFrame(MEASURES.build(config)(measured_subject(run, config, run.config.device, other)))
    return read_tidy(measure_run(run, config, run.config.device, other=other).path)
