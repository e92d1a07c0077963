"""Proves: what was realigned from a run is a model of its own wherever runs are read: with a label, rows, tasks and commands of
its own, gathered without weights, and a point whose alignment is read from itself; nothing of it is the run's."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from house.commands import TINY, TINY_CAUSAL, TINY_MEASURE, TINY_PROBE, fragment
from house.commands import run as command

from mothello.report.page import render
from mothello.report.reference import commands
from mothello.report.runs import Run, find_runs, with_realigned
from mothello.report.sharing import by_label
from mothello.report.table import table_of, tasks
from mothello.rows import FILE, read_tidy, write_tidy
from mothello.rundir import RunDir
from studies.gather import gather
from studies.points import ALIGNMENTS, points
from studies.runs import headline_of

GAMES = "data:{games:64,batch_size:32},evaluation:{games:4,times:1}"
MEASURED = "measure:{measures:[legality,alignment]}"
MOVER = f"choose:{{stage:task}},stage:{{task:{{name:mover}},controls:[],{GAMES}"


def realigned(aligner: str) -> str:
    return f"stage:{{choose:{{stage:realign}},stage:{{controls:[],aligner:{{{aligner}}},{GAMES}}}}},{MEASURED}"


STAGES = (
    f"mover:{{stage:{{{MOVER}}}}}}}",
    f"on_the_way:{{stage:{{{MOVER},auxiliary:{{realign:{{weight:0.1}}}}}}}}}}",
    f"gold:{{{realigned('name:gold')}}}",
    f"after_gold:{{after:gold,stage:{{{MOVER}}}}}}}",
    f"half:{{{realigned('name:dictionary,coverage:0.5')}}}",
    f"after_half:{{after:half,stage:{{{MOVER}}}}}}}",
    f"whole:{{{realigned('name:dictionary')}}}",
    f"again:{{after:whole,{realigned('name:gold')}}}",
)
LABELS = [
    "naive", "naive, realigned by dictionary links, coverage 0.5", "naive, realigned by dictionary links, coverage 1.0",
    "naive, realigned by dictionary links, realigned by gold links", "naive, realigned by gold links",
]  # fmt: skip


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/mini of a tiny study with two seeds."""
    small = [*fragment("probe", [*TINY_PROBE, *TINY_CAUSAL]), *fragment("measure", TINY_MEASURE)]
    small += fragment("stage", ["tracking=jsonl", "device=cpu", "device.threads=1"])
    call = ["+study=demo", *fragment("train", TINY), *small, "experiments=[naive]", "report=", "seeds=[0,1]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here := tmp_path_factory.mktemp("studied"))
        assert command(patch, "study", *call, f"+stages={{{','.join(STAGES)}}}") == 0
    (path,) = here.glob("runs/*")
    return path.rename(here / "mini")


@pytest.fixture
def runs(studied: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return shutil.copytree(studied, tmp_path / "mini")


def models(folder: Path) -> list[Run]:
    return list(with_realigned(find_runs([str(folder)])))


def test_a_realigned_model_is_a_model_of_its_own_at_any_depth(studied: Path) -> None:
    found = find_runs([str(studied)])
    assert [run.seed for run in found] == [0, 1]  # what lies in a run is no run beside it
    assert [len(run.realigned) for run in found] == [3, 3]
    for run in found:
        assert [x.config["stage"] for x in run.finetunings] == ["task", "task"]
        assert run.origin is None
        for child in run.realigned:
            assert child.origin is not None
            assert (child.origin.path, child.seed) == (run.path, run.seed)
            assert {x.name for x in child.measures} == {"legality", "alignment"}
            again = "dictionary" in child.path.name and child.finetunings == []
            assert [x.name for x in child.realigned] == [LABELS[3]] * again
            assert [x.path.parent.parent for x in child.finetunings] == [child.path] * (not again)
    assert len(models(studied)) == 2 * 5


def test_one_that_is_not_finished_is_not_there(runs: Path) -> None:
    (path,) = runs.glob("naive/*/seed0/realign/gold-*")
    RunDir(path).write_status("running")
    first, second = find_runs([str(runs)])
    assert [len(run.realigned) for run in (first, second)] == [2, 3]


def test_seeds_share_a_label_and_ways_do_not(studied: Path) -> None:
    groups = by_label(find_runs([str(studied)]))
    assert list(groups) == LABELS
    assert [[run.seed for run in own] for own in groups.values()] == [[0, 1]] * 5


def test_the_page_shows_it_with_what_it_was_taught(studied: Path) -> None:
    found = find_runs([str(studied)])
    rows, text = table_of(found), render(found, "study")
    assert all(text.count(label) > 2 for label in LABELS)
    assert "1 setting, 2 models, " in text
    assert "8 models realigned from them" in text
    assert "256 + 64</td>" in text
    assert "256 + 64 + 64</td>" in text
    taught = tasks(rows).groupby("label").run.nunique().to_dict()
    assert taught == {LABELS[0]: 2, f"{LABELS[0]}, with realign by gold links": 2, LABELS[1]: 2, LABELS[4]: 2}
    ways = {run.path: read_tidy(run.path / alignment(run)) for run in models(studied)}
    for path, table in ways.items():
        own = rows[(rows.run == str(path)) & (rows.measure == "alignment") & (rows.finetuning == "")]
        assert own.value.dropna().tolist() == table[table.measure == "alignment"].value.dropna().tolist()
    assert (
        len({tuple(table.value.fillna(0)) for table in ways.values()}) == len(ways) - 2
    )  # a whole dictionary's links are gold
    without = render([without_realigned(run) for run in found], "study")
    assert "realigned by" not in without


def without_realigned(run: Run) -> Run:
    return type(run)(run.path, run.config, run.results, run.metrics, run.measures, run.finetunings)


def alignment(run: Run) -> str:
    measure = run.measure("alignment")
    assert measure is not None
    return measure.folder


def test_its_commands_make_it_again(studied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the lines of the page: the same folders, which are finished."""
    monkeypatch.chdir(studied.parent)
    (one,) = [run for run in models(studied) if run.name == LABELS[4] and run.seed == 0]
    lines = commands(one)
    assert [line.split()[1] for line in lines] == [f"scripts/{x}.py" for x in ("stage", "measure", "measure", "stage")]
    (child,) = one.finetunings
    assert f"run={one.origin.path.relative_to(studied.parent)}" in lines[0]  # type: ignore[union-attr]
    assert f"run={one.path.relative_to(studied.parent)}" in lines[-1]
    assert child.config["parent"] == "../.."


def plant(run: Run, near: float, gains: tuple[float, float] = (0.5, 0.2)) -> None:
    """What the tables of a model and of its tasks say: retrieval through the identity, and gains of the source and the other."""
    measure = run.measure("alignment")
    assert measure is not None
    pairs = [("atomic_0", "atomic_1"), ("atomic_1", "atomic_0")]
    head = {"measure": "alignment", "quantity": "retrieval", "control": "trained", "map": "identity"}
    write_tidy(run.path / measure.folder, [
        head | {"layer": layer, "source": one, "language": other, "value": near}
        for layer in range(3) for one, other in pairs
    ])  # fmt: skip
    for child in run.finetunings:
        (path,) = child.path.glob(f"measures/*/{FILE}")
        task: dict[str, Any] = {
            "measure": "task_transfer",
            "quantity": "task_accuracy",
            "control": "trained",
            "target": "mover",
        }
        ends = [(f"atomic_{i}", step, 0.3 + gain * (step > 0)) for i, gain in enumerate(gains) for step in (0, 2)]
        write_tidy(path.parent, [
            task | {"source": "atomic_0", "language": name, "step": step, "value": value} for name, step, value in ends
        ])  # fmt: skip


def test_it_is_a_point_whose_alignment_is_its_own(runs: Path) -> None:
    for run in models(runs):
        plant(run, 0.1 * run.name.count("gold") + 0.3 * run.name.count("dictionary") + 0.2)
    known = points(find_runs([str(runs)])).sort_values(["cell", "seed"])
    by_cell = known.groupby("cell").retrieval.agg(["mean", "size"])
    half = "naive, realigned by dictionary links, coverage 0.5"
    assert by_cell["mean"].to_dict() == pytest.approx({"naive": 0.2, LABELS[4]: 0.3, half: 0.5})
    assert by_cell["size"].tolist() == [2, 2, 2]  # what was realigned on the way is no point
    assert known.follows.tolist() == pytest.approx([0.4] * 6)
    objectives = known.groupby("cell").objective.first().to_dict()
    assert objectives == {"naive": "causal_lm"} | dict.fromkeys((LABELS[4], half), "causal_lm, then realign")
    assert set(known.study) == {"demo"}
    assert known[known.cell != "naive"][["probe", "probe_best_map"]].isna().all(axis=None)
    assert all(headline_of(run) is not None for run in find_runs([str(runs)]))  # they are probed, and it is not
    assert known.skill.groupby(known.cell).first().nunique() > 1
    assert set(ALIGNMENTS) <= set(known.columns)


def test_a_table_of_a_realigned_model_changes_its_point_alone(runs: Path) -> None:
    for place, run in enumerate(models(runs)):
        plant(run, 0.2 + 0.01 * place)  # or they would be one point
    before = points(find_runs([str(runs)]))
    (one,) = [run for run in models(runs) if run.name == LABELS[4] and run.seed == 1]
    plant(one, 0.9, (0.5, 0.5))
    after = points(find_runs([str(runs)]))
    changed = after[(after.retrieval != before.retrieval) | (after.follows != before.follows)]
    assert [(x.cell, x.seed, x.retrieval) for x in changed.itertuples()] == [(LABELS[4], 1, pytest.approx(0.9))]
    plant(one, 0.9, (0.01, 0.01))  # nothing is learned
    assert len(points(find_runs([str(runs)]))) == len(after) - 1


def test_what_is_gathered_holds_it_without_weights(runs: Path, tmp_path: Path) -> None:
    (begun,) = runs.glob("naive/*/seed1/realign/gold-*/task/mover-*")
    RunDir(begun).write_status("running")
    gather(runs, tmp_path / "out")
    names = [path.relative_to(tmp_path / "out/mini") for path in (tmp_path / "out/mini").rglob("*")]
    assert not [x for x in names if "checkpoints" in x.parts or x.suffix in (".safetensors", ".lock", ".pt")]
    assert list(runs.glob("naive/*/seed0/realign/gold-*/checkpoints/*"))  # what was left out was there
    assert list(runs.glob("naive/*/seed0/realign/gold-*/task/*/checkpoints/*"))
    kept, all_of_them = models(tmp_path / "out/mini"), models(runs)
    assert [x.name for x in kept] == [x.name for x in all_of_them]
    assert [len(x.finetunings) for x in kept] == [len(x.finetunings) for x in all_of_them]
    assert sum(len(x.finetunings) for x in kept) == 7  # of eight, the one that was begun
