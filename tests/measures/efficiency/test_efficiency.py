"""Proves: on a ladder that follows a law the law is found and every run of the ladder is worth what it is; a run that needs
fewer games is worth more, language by language and by the games that each language saw; real runs make a ladder; what
cannot be compared is one line."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import mothello
from mothello.cli.measure import measure, schema
from mothello.config import plain, typed
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.languages.traits import Traits
from mothello.measures.efficiency.ladder import Law, Rung, games_seen
from mothello.measures.efficiency.measure import Efficiency, EfficiencyConfig
from mothello.measures.measure import Subject, folder_name
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.rows import QUANTITIES, Table, as_table
from mothello.rundir import RunDir
from mothello.stages.pretrain import TrainConfig

SCALE, EXPONENT, FOUR = 30.0, 0.4, Board.of(4)


def excess(games: float) -> float:
    return SCALE * games**-EXPONENT


def planted(
    folder: Path, kinds: list[str], numbers: dict[str, float], languages: dict[str, Any] | None = None, **data: Any
) -> Path:
    """A finished run that holds these excess nats."""
    folder.mkdir(parents=True)
    shape = {"games": 64_000, "batch_size": 64} | data
    config = typed(
        {"board": {"size": 4}, "languages": {"kinds": kinds, **(languages or {})}, "data": shape}, TrainConfig
    )
    run = RunDir(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump({"stage": "pretrain", **plain(config)}))
    final = {f"val/{language}/excess_nats": value for language, value in numbers.items()}
    spoken = [{"name": name, "kind": name.split("_")[0]} for name in config.languages.language_names()]
    about = {"games": 1, "steps": 1, "seconds": 1.0, "board": "4x4", "languages": spoken}
    run.write_results("train", about | {"final": final})
    run.write_status("ok")
    return folder


def rungs(root: Path, kind: str = "atomic", worth: float = 1.0) -> list[str]:
    return [
        str(planted(root / f"{kind}{n}", [kind], {f"{kind}_0": excess(n * worth)}, games=n))
        for n in (64_000, 128_000, 256_000, 512_000)
    ]


def rows(run: Path, kinds: list[str], ladder: list[str]) -> Table:
    made = build_languages(LanguagesConfig(kinds=kinds), FOUR)
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=8), made).initialize(0)
    subject = Subject(model, made, run=RunDir(run))
    found = list(Efficiency(EfficiencyConfig(ladder=ladder))(subject))
    assert {row["quantity"] for row in found} <= QUANTITIES.keys()
    return as_table(found)


def number(table: Table, quantity: str, language: str, column: str = "value") -> float:
    rows = table[(table.quantity == quantity) & (table.language == language) & (table.control == "trained")]
    return float(rows[column].item())


def test_a_law_is_found() -> None:
    law = Law.of([Rung(("atomic", Traits()), n, excess(n)) for n in (1e4, 3e4, 1e5)])
    assert law.scale == pytest.approx(SCALE)
    assert law.exponent == pytest.approx(EXPONENT)
    assert law.games(excess(77_000)) == pytest.approx(77_000)
    with pytest.raises(UserError, match="do not fall"):
        Law.of([Rung(("atomic", Traits()), n, 1 / excess(n)) for n in (1e4, 1e5)])


def test_a_game_is_worth_what_was_planted(tmp_path: Path) -> None:
    """Shares 3:1 of 128,000 games; the second language learned from its 32,000 as if they were 64,000."""
    numbers = {"atomic_0": excess(96_000), "atomic_1": excess(64_000)}
    run = planted(tmp_path / "run", ["atomic*2"], numbers, games=128_000, language_sampling={"shares": [3, 1]})
    rungs(tmp_path / "ladder")
    table = rows(run, ["atomic*2"], [str(tmp_path / "ladder" / "*")])
    assert number(table, "token_efficiency", "atomic_0") == pytest.approx(1)
    assert number(table, "token_efficiency", "atomic_1") == pytest.approx(2)
    assert number(table, "equal_games", "atomic_1") == pytest.approx(64_000)
    assert number(table, "extrapolated", "atomic_0") == 0
    left_out = table[table.control == "ladder"]
    assert len(left_out) == 8
    assert left_out.value.to_numpy() == pytest.approx(1)


def test_the_range_holds_what_a_run_off_the_law_does_to_it(tmp_path: Path) -> None:
    ladder = rungs(tmp_path)
    off = planted(tmp_path / "off", ["atomic"], {"atomic_0": 1.3 * excess(1_000_000)}, games=1_000_000)
    run = planted(tmp_path / "run", ["atomic"], {"atomic_0": excess(2_000_000)}, games=2_000_000)
    table = rows(run, ["atomic"], [*ladder, str(off), str(off)])  # named twice, it is one
    assert number(table, "token_efficiency", "atomic_0", "n") == 5
    low, value, high = (number(table, "token_efficiency", "atomic_0", x) for x in ("low", "value", "high"))
    assert low == pytest.approx(1)  # without the run that is off
    assert low < value < high
    assert number(table, "extrapolated", "atomic_0") == 1
    assert float(table[(table.control == "ladder") & (table.step == 1_000_000)].value.item()) < 0.7


def test_runs_of_an_older_form_are_rungs(tmp_path: Path) -> None:
    """Their config.yaml does not know settings that are new; these have their defaults."""
    ladder = rungs(tmp_path)
    for folder in ladder:
        path = Path(folder) / "config.yaml"
        content = yaml.safe_load(path.read_text())
        del content["stage"], content["model"]["language_ids"], content["data"]["code_switching"]
        del content["optimizer"]["decay_embedding"]
        path.write_text(yaml.safe_dump(content))
    run = planted(tmp_path / "run", ["atomic"], {"atomic_0": excess(200_000)}, games=200_000)
    assert number(rows(run, ["atomic"], ladder), "token_efficiency", "atomic_0") == pytest.approx(1)


def test_every_language_is_compared_with_its_own_kind(tmp_path: Path) -> None:
    ladder = rungs(tmp_path / "a") + rungs(tmp_path / "b", "split", worth=0.5)
    numbers = {"atomic_0": excess(32_000), "split_0": excess(32_000)}
    run = planted(tmp_path / "run", ["atomic", "split"], numbers, games=64_000)
    table = rows(run, ["atomic", "split"], ladder)
    assert number(table, "token_efficiency", "atomic_0") == pytest.approx(1)
    assert number(table, "token_efficiency", "split_0") == pytest.approx(2)  # a run of it needs twice the games
    only = rows(run, ["atomic", "split"], ladder[:4])
    assert set(only.language) == {"atomic_0"}


def test_runs_off_the_law_leave_the_range_alone(tmp_path: Path) -> None:
    """Without the last of these three runs, excess nats rise: no law, and no end of the range."""
    ladder = [
        str(planted(tmp_path / f"{games}", ["atomic"], {"atomic_0": value}, games=games))
        for games, value in ((64_000, 0.40), (128_000, 0.41), (256_000, 0.20))
    ]
    run = planted(tmp_path / "run", ["atomic"], {"atomic_0": 0.3}, games=128_000)
    table = rows(run, ["atomic"], ladder)
    assert number(table, "token_efficiency", "atomic_0", "low") <= number(table, "token_efficiency", "atomic_0", "high")
    assert len(table[table.control == "ladder"]) == 2


def test_another_run_in_a_folder_is_another_result(tmp_path: Path) -> None:
    pattern = [f"{tmp_path}/*"]
    rungs(tmp_path)
    before = folder_name(EfficiencyConfig(ladder=pattern))
    assert folder_name(EfficiencyConfig(ladder=pattern)) == before
    planted(tmp_path / "more", ["atomic"], {"atomic_0": 0.1})
    assert folder_name(EfficiencyConfig(ladder=pattern)) != before


def test_grouped_batches_count_as_they_are(tmp_path: Path) -> None:
    sampling = {"shares": [9, 1], "grouped": True}
    run = planted(tmp_path / "run", ["atomic*2"], {}, games=64_000, batch_size=32, language_sampling=sampling)
    assert games_seen(yaml.safe_load((run / "config.yaml").read_text()), 2) == [29 * 2000, 3 * 2000]


def test_shares_that_change_count_with_their_mean(tmp_path: Path) -> None:
    sampling = {"shares": [1, 1], "shares_end": [1, 3]}
    run = planted(tmp_path / "run", ["atomic*2"], {}, games=128_000, language_sampling=sampling)
    assert games_seen(yaml.safe_load((run / "config.yaml").read_text()), 2) == [48_000, 80_000]


QUICK: dict[str, Any] = {
    "device": {"name": "cpu", "threads": 1, "precision": "fp32"}, "checkpoint_every": 0, "board": {"size": 4},
    "model": {"n_layer": 1, "n_head": 2, "d_model": 16}, "evaluation": {"games": 8, "times": 1},
}  # fmt: skip


def test_runs_make_a_ladder(tmp_path: Path) -> None:
    def trained(name: str, games: int, *kinds: str) -> mothello.Run:
        more = {"name": name, "languages": {"kinds": list(kinds)}, "data": {"games": games, "batch_size": 32}}
        return mothello.train(QUICK | more | {"runs": str(tmp_path)})

    for games in (320, 1280, 5120):
        trained("alone", games, "atomic")
    run = trained("pair", 5120, "atomic*2")
    command = {"run": str(run.folder.path), "measures": ["efficiency"], "device": QUICK["device"]}
    measure(typed(command | {"efficiency": {"ladder": [f"{tmp_path}/alone/*/seed0"]}}, schema()))
    table = mothello.load_run(run.folder.path).table
    worth = table[(table.quantity == "token_efficiency") & (table.control == "trained")]
    assert list(worth.language) == ["atomic_0", "atomic_1"]
    assert bool(((worth.value > 0.2) & (worth.value < 5)).all())


@pytest.mark.parametrize(
    ("ladder", "line"),
    [
        ([], "efficiency.ladder: name at least two finished runs"),
        (["nowhere"], "efficiency.ladder: nowhere is no folder"),
        (["wide", "wide"], "efficiency.ladder: name at least two"),
        (["run", "wide"], "efficiency.ladder: {}/run was not trained from random weights on one language"),
        (["split64000", "split128000"], "efficiency.ladder: no two runs of atomic among them"),
        (["wide", "split64000"], "efficiency.ladder: {}/wide has another model.d_model than the run"),
        (["large", "split64000"], "efficiency.ladder: {}/large has another data.batch_size than the run"),
        (["opening", "split64000"], "efficiency.ladder: {}/opening has another data.prefix than the run"),
        (["unified", "split64000"], "efficiency.ladder: {}/unified has another languages.output than the run"),
        (["ambiguous", "other"], "efficiency.ladder: no two runs of atomic among them"),
        (["other", "again"], "efficiency.ladder: these runs have one number of games"),
        (["blind", "split64000"], "efficiency.ladder: {}/blind knows no excess nats of atomic_0"),
    ],
)
def test_mistakes_are_one_line(ladder: list[str], line: str, tmp_path: Path) -> None:
    run = planted(tmp_path / "run", ["atomic*2"], {"atomic_0": 1.0, "atomic_1": 1.0})
    rungs(tmp_path, "split")
    planted(tmp_path / "blind", ["atomic"], {"atomic_0": float("nan")})
    for name, data in {"large": {"batch_size": 32}, "opening": {"prefix": ["a2"]}, "other": {}, "again": {}}.items():
        planted(tmp_path / name, ["atomic"], {"atomic_0": 1.0}, **data)
    planted(tmp_path / "unified", ["atomic"], {"atomic_0": 1.0}, {"output": "unified"})
    planted(tmp_path / "ambiguous", ["atomic"], {"atomic_0": 1.0}, {"traits": {"atomic_0": {"synonyms": 0.5}}})
    wide = planted(tmp_path / "wide", ["atomic"], {"atomic_0": 1.0}) / "config.yaml"
    wide.write_text(wide.read_text().replace("d_model: 128", "d_model: 64"))
    with pytest.raises(UserError) as mistake:
        rows(run, ["atomic*2"], [str(tmp_path / name) if name != "nowhere" else name for name in ladder])
    assert str(mistake.value).startswith(line.format(tmp_path))
    assert "\n" not in str(mistake.value)
