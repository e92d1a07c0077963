"""Tracker: JSON lines always, wandb as a mirror that can fail without hurting the run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mothello.rundir import RunDir

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class TrackingConfig:
    """Where numbers go besides the run's folder."""

    wandb: bool = False
    mode: str = "offline"
    """wandb's mode: offline (no account needed; ``wandb sync`` later), online or disabled."""
    project: str = "mothello"
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.mode not in ("offline", "online", "disabled"):
            raise ValueError(f"tracking.mode: {self.mode!r} is not one of offline, online, disabled")


class Tracker:
    """Logs numbers by step. Use as a context manager, so that wandb is told how the run ended."""

    def __init__(
        self,
        config: TrackingConfig,
        run: RunDir,
        settings: Mapping[str, Any],
        group: str,
        job_type: str,
        name: str,
    ) -> None:
        self.run, self._wandb = run, None
        if config.wandb and config.mode != "disabled":
            try:
                import wandb

                run.path.mkdir(parents=True, exist_ok=True)
                self._wandb = wandb.init(
                    project=config.project,
                    mode=config.mode,  # type: ignore[arg-type]
                    dir=str(run.path),
                    config=dict(settings),
                    group=group,
                    job_type=job_type,
                    name=name,
                    tags=config.tags,
                    reinit="create_new",  # two jobs of a sweep share one process but never a run
                    settings=wandb.Settings(silent=True, console="off"),
                )
            except Exception as error:
                log.warning("wandb is not available (%s); numbers go to %s only", error, run.path)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._mirror(lambda wandb: wandb.finish(exit_code=0 if kind is None else 1, quiet=True))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step; keys such as "train/loss"."""
        self.run.append_metrics({"step": step, **values})
        self._mirror(lambda wandb: wandb.log({**values, "step": step}, step=step))

    def _mirror(self, action: Any) -> None:
        if self._wandb is None:
            return
        try:
            action(self._wandb)
        except Exception as error:
            log.warning("wandb failed (%s); numbers go to %s only", error, self.run.path)
            self._wandb = None
