"""The page's scripts under node: content and tensors of a run go in, JSON comes out."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from mothello.config import typed
from mothello.explorer.content import add_model, plain_of
from mothello.explorer.pack import Pack, rounded
from mothello.explorer.page import CORE, script
from mothello.explorer.probes import SHOWN, add_probes
from mothello.files import json_text
from mothello.measures.probes.config import PROBES
from mothello.measures.probes.fit import FittedProbes
from mothello.measures.probes.targets import TARGETS
from mothello.model.build import build_model
from mothello.othello.board import Board
from mothello.rundir import RunDir
from mothello.stages.build import language_set_of
from mothello.stages.pretrain import TrainConfig
from mothello.stages.run import Run

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: make browser")


def evaluate(
    driver: str, inputs: dict[str, Any] | None = None, pack: Pack | None = None, names: tuple[str, ...] = CORE
) -> Any:
    """What the body of a function of (inputs, tensors) returns; it sees the page's scripts."""
    assert NODE is not None
    given = {"inputs": inputs or {}, "table": pack.table if pack else {}, "text": pack.text() if pack else ""}
    tail = f"""
const {{inputs, table, text}} = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));
const tensors = new Tensors(table, bytesOf(text));
process.stdout.write(JSON.stringify((() => {{ {driver} }})()));
"""
    with tempfile.TemporaryDirectory() as folder:
        program, data = Path(folder, "program.js"), Path(folder, "data.json")
        program.write_text('"use strict";\n' + script(names) + tail)
        data.write_text(json_text(given))
        done = subprocess.run([NODE, str(program), str(data)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def made_run(settings: dict[str, Any], seed: int = 0) -> Run:
    """A run of those settings whose weights are drawn, large enough to tell, and as half precision holds them."""
    config = typed(OmegaConf.create({"name": "made"} | settings), TrainConfig)
    languages, draw = language_set_of(config), torch.Generator().manual_seed(seed)
    model = build_model(config.model, languages).initialize(seed).eval()
    with torch.no_grad():
        for name, x in model.named_parameters():
            noise = torch.randn(x.shape, generator=draw)
            x.copy_(rounded(1 + 0.2 * noise if "norm" in name and name.endswith("weight") else 0.17 * noise))
    return Run(RunDir("nowhere"), config, Board.of(config.board.size), languages, model, 0)


def made_probes(run: Run, seed: int = 0) -> FittedProbes:
    """Probes of a run that are drawn, linear and MLP, as half precision holds them."""
    d, layers, languages = run.model.config.d_model, run.model.config.n_layer + 1, len(run.languages)
    draw, k = torch.Generator().manual_seed(seed), len(TARGETS) * layers * languages
    modules = {kind: PROBES[kind](k, d, 3 * run.board.n_cells, 24, draw) for kind in PROBES}
    with torch.no_grad():
        for module in modules.values():
            for x in module.parameters():
                x.copy_(rounded(torch.randn(x.shape, generator=draw)))
    mean = torch.randn(languages, layers, 1, d, generator=draw)
    scale = torch.rand(languages, layers, 1, 1, generator=draw).expand(-1, -1, 1, d) + 0.5
    return FittedProbes(modules, TARGETS, mean, scale.contiguous(), 0)


def packed(run: Run, fitted: FittedProbes, games: int = 4) -> tuple[dict[str, Any], Pack]:
    """What a page would hold of them."""
    pack = Pack()
    add_model(pack, run)
    add_probes(pack, fitted, SHOWN)
    return plain_of(run, run.games(games)) | {"live": True, "probes": SHOWN}, pack
