"""scripts/transfer.py: fine-tune a run on one language, and measure what that does to every language."""

from typing import Any

from mothello.cli.cost.probing import transfer_costs
from mothello.cli.cost.table import where
from mothello.cli.main import command
from mothello.cli.probe import ProbeCommand, probe
from mothello.files import locked
from mothello.measures.causal.config import CausalConfig
from mothello.measures.measure import folder_name
from mothello.measures.transfer.measure import TransferConfig, rows_of
from mothello.measures.transfer.rows import overview
from mothello.rows import format_table, write_tidy
from mothello.rundir import RunDir
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.load import load_run
from mothello.stages.running import require_single_process, running
from mothello.stages.stage import run_stage
from mothello.training.device import resolve
from mothello.training.distributed import World


def transfer(config: TransferCommand) -> dict[str, Any]:
    """Fine-tune a run on one language; returns results.json of the fine-tuning."""
    require_single_process()
    device = resolve(config.device)
    run = load_run(config.run, device)
    stage = Finetune(config, run)
    stage.check()
    if config.dry_run:
        print(f"fine-tuning {run.folder.path} on {stage.source}", flush=True)
        costs = transfer_costs(config, run, stage.language)
        print(costs.table(folder=where(stage.folder, stage.config.data.steps)), flush=True)
        return {}
    folder = measure_folder(stage.folder)
    if stage.folder.finished and folder.finished and not stage.config.force:
        print(f"finished already: {stage.folder.path} (force=true to redo)", flush=True)
        return stage.folder.read_results()
    if config.transfer.probe_before_and_after:
        _probe(config, run.folder)
    results = run_stage(stage, device)
    if config.transfer.scratch:
        run_stage(Finetune(config, run, scratch=True), device)
    if config.transfer.probe_before_and_after:
        _probe(config, stage.folder)
    _measure(stage, folder)
    return results


def measure_folder(child: RunDir) -> RunDir:
    """Where the measure of a fine-tuning stands, in its folder."""
    return RunDir(child.path / "measures" / folder_name(TransferConfig()))


def _probe(config: TransferCommand, folder: RunDir) -> None:
    """Probe the model of a folder, without interventions."""
    probe(
        ProbeCommand(
            run=str(folder.path), probe=config.probe, causal=CausalConfig(cases=0), device=config.device,
            tracking=config.tracking, force=config.force,
        )
    )  # fmt: skip


def _measure(stage: Finetune, folder: RunDir) -> None:
    with locked(folder.path), running(folder, World(), TransferConfig()):
        rows = list(rows_of(stage.folder.path, stage.language_set.names))
        write_tidy(folder.path, rows)
        folder.write_results("transfer", {})
        folder.write_status("ok")
    print(f"fine-tuned on {stage.source}: strict top-1 legality\n{format_table(overview(rows))}")
    print(f"every step and language: {folder.path / 'table.csv.gz'}", flush=True)


main = command("transfer", TransferCommand, transfer)
