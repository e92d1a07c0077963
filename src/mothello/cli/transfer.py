"""scripts/transfer.py: fine-tune a run on one language, and measure what that does to every language."""

from typing import Any

from mothello.cli.dry_run import finetune_estimate, place_of
from mothello.cli.main import command
from mothello.config import shown
from mothello.errors import keyed, renamed
from mothello.measures.transfer.measure import TransferConfig, overview
from mothello.rows import FILE, format_table, measured, read_tidy
from mothello.stages.find import find_run
from mothello.stages.finetune import Finetune, TransferCommand
from mothello.stages.load import load_run
from mothello.stages.measuring import measure_folder, measure_run
from mothello.stages.running import require_single_process
from mothello.stages.stage import run_stage
from mothello.training.device import resolve


def transfer(config: TransferCommand) -> dict[str, Any]:
    """Fine-tune a run on one language; returns results.json of the fine-tuning."""
    require_single_process()
    device = resolve(config.device)
    with renamed("step", "at"):
        run = load_run(config.run, device, config.at)
    with keyed(config.key):
        stage = Finetune(config.transfer, config, run)
    stage.check()
    if config.dry_run:
        print(f"fine-tuning {run.folder.path} on {stage.source}", flush=True)
        estimate = finetune_estimate(config, stage, device)
        print(estimate.text(folder=place_of(stage.folder, stage.config.data.steps)), flush=True)
        return {"seconds": estimate.seconds}
    folder = measure_folder(stage.folder, TransferConfig())
    probes = [config.probes] * config.transfer.probe_before_and_after
    control = [Finetune(config.transfer, config, run, scratch=True)] * config.transfer.scratch
    trained = [stage.folder, *(part.folder for part in control)]
    places = (run.folder, run.earlier), (stage.folder, None)
    measures = [folder, *(measure_folder(where, x, step) for x in probes for where, step in places)]
    if not stage.config.force and all(part.finished for part in trained) and all(map(measured, measures)):
        print(f"finished already: {stage.folder.path} (force=true to redo)", flush=True)
        return stage.folder.read_results()
    for measure in probes:
        measure_run(run, measure, config.device, config.force, config.tracking)
    results = run_stage(stage, device)
    for part in control:
        run_stage(part, device)
    child = load_run(stage.folder.path, device)
    for measure in probes:
        measure_run(child, measure, config.device, config.force, config.tracking)
    rows = read_tidy(measure_run(child, TransferConfig(), config.device, force=True).path)
    print(f"fine-tuned on {stage.source}: strict top-1 legality\n{format_table(overview(rows))}")
    print(f"every step and language: {folder.path / FILE}", flush=True)
    return results


def following(config: TransferCommand, _: Any) -> str:
    """The command after a fine-tuning: the page of the run, which shows it."""
    return shown("report", runs=[str(find_run(config.run))])


main = command("transfer", TransferCommand, transfer, following)
