"""Proves: a masked run goes the whole way from the command line: dry run, training (a second call does nothing), its numbers,
loading, measures, the page, fine-tuning; what asks for the next move is refused in one line. A prefix hides what follows:
states do not depend on it, and they do where the whole game is read."""

from pathlib import Path

import pytest
import torch
from house.commands import QUIET, TINY, TINY_MEASURE, TINY_PROBE, run
from torch import Tensor

import mothello
from mothello.config import identity
from mothello.data.batch import Context
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.measure import Subject
from mothello.measures.probes.config import ProbesConfig
from mothello.model.build import build_model
from mothello.model.inputs import AttentionMask, Inputs
from mothello.model.transformer import ModelConfig
from mothello.objectives.masked_lm import MASK
from mothello.othello.board import Board
from mothello.rows import read_tidy
from mothello.rundir import RunDir
from mothello.training.device import Precision

FOUR = Board.of(4)
MASKED = ["+experiment=masked", *TINY, "languages=atomic_compositional"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, "train", *MASKED, "run=run") == 0
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_the_numbers_of_the_training(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    final = RunDir("run").read_results()["final"]
    for language in ("atomic_0", "compositional_0"):
        found = {key.split("/")[2]: value for key, value in final.items() if key.startswith(f"val/{language}/")}
        assert {"top1", "chance", "mass", "masked_accuracy", "best_accuracy", "masked_excess_nats"} <= set(found)
        assert 0 < found["chance"] < found["best_accuracy"] < 1
        assert found["masked_accuracy"] <= found["top1"]
        assert found["masked_excess_nats"] > 0
        assert found["floor"] is None
    assert RunDir("run").read_results()["by_ply"] == {}
    assert run(monkeypatch, "train", *MASKED, "run=run") == 0
    assert "finished already" in capsys.readouterr().out
    assert run(monkeypatch, "train", *MASKED, "run=other", "dry_run=true") == 0
    assert "scored" in capsys.readouterr().out
    assert run(monkeypatch, "train", *MASKED, "run=other") == 0
    assert "hidden moves guessed" in capsys.readouterr().out
    assert mothello.load_run("other").model.token_embedding.weight.equal(
        mothello.load_run("run").model.token_embedding.weight
    )


def test_by_default_hidden_moves_are_measured(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Legality is refused where it is asked for by name."""
    assert run(monkeypatch, "measure", "run=run", "alignment.games=8") == 0
    names = {path.name.split("-")[0] for path in Path("run/measures").iterdir()}
    assert {"masked", "alignment"} <= names
    assert "legality" not in names
    assert run(monkeypatch, "measure", "run=run", "measures=[legality]") == 2


def test_a_loaded_run_reads_the_mask_token(inside: Path) -> None:
    loaded = mothello.load_run("run")
    assert loaded.config.languages.special_tokens == [MASK]
    assert len(loaded.model.token_embedding.weight) == loaded.language_set.vocabulary_size + 1
    assert len(loaded.model.head.weight) == loaded.language_set.vocabulary_size
    with pytest.raises(UserError, match=r"^run: next_moves asks for the next move"):
        loaded.next_moves("b1", "atomic_0")


def test_measures_and_the_page(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = [*TINY_MEASURE, "masked.games=8", "masked.draws=10"]
    few = [word for word in few if not word.startswith("legality")]
    assert run(monkeypatch, "measure", "run=run", "measures=[masked,alignment]", *few) == 0
    assert "compositional_0, prefix" in capsys.readouterr().out
    assert run(monkeypatch, "measure", "run=run", "measures=[legality]", *QUIET) == 2
    assert capsys.readouterr().err.startswith("error: measures: legality asks for the next move, which a model")
    prefix = "probes.context=prefix"
    assert run(monkeypatch, "probe", "run=run", "measures=[probes]", *TINY_PROBE, prefix) == 0
    assert run(monkeypatch, "probe", "run=run", "measures=[probes]", *TINY_PROBE) == 0
    seen = {}
    for table in Path("run/measures").glob("probes-*"):
        rows = read_tidy(table)
        (seen[table],) = rows[rows.quantity == "sees_game"].value
    assert sorted(seen.values()) == [0, 1]
    assert run(monkeypatch, "report", "runs=[run]", "out=page") == 0
    page = Path("page/index.html").read_text()
    for words in ("Hidden moves", "of at most", "models of full attention: the states"):
        assert words in page
    assert "Time to skill" not in page


def test_fine_tuning_watches_hidden_moves(
    inside: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tune = ["run=run", "transfer.data.games=64", "transfer.data.batch_size=32", "transfer.evaluation.games=8", *QUIET]
    once = [*tune, "transfer.probe_before_and_after=false", "transfer.scratch=false"]
    assert run(monkeypatch, "transfer", *once, "transfer.openings=[[b1]]") == 2
    assert "error: transfer.openings: the next move follows them" in capsys.readouterr().err
    assert run(monkeypatch, "transfer", *once) == 0
    (child,) = Path("run/finetune").iterdir()
    lines = RunDir(child).read_metrics()
    assert any("val/compositional_0/masked_accuracy" in line for line in lines)
    assert not any("translated" in key for line in lines for key in line)


def test_a_causal_run_has_no_token_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "train", *TINY, "run=run") == 0
    few = ["transfer.data.games=64", "transfer.data.batch_size=32", *QUIET]
    assert run(monkeypatch, "transfer", "run=run", *few, "+transfer.objective={name: masked_lm}") == 2
    assert "error: transfer.objective: masked_lm needs the token 'mask', which the run's model does not read" in (
        capsys.readouterr().err
    )
    assert run(monkeypatch, "probe", "run=run", "measures=[probes]", *TINY_PROBE, "probes.context=prefix") == 2
    assert "error: probes.context: has no effect on a causal model" in capsys.readouterr().err


def subject() -> Subject:
    language_set = build_languages(LanguagesConfig(kinds=["atomic", "split"], special_tokens=[MASK]), FOUR)
    config = ModelConfig(n_layer=2, n_head=2, d_model=16, mask=AttentionMask.full)
    return Subject(build_model(config, language_set).initialize(2).eval(), language_set, precision=Precision.fp32)


def games(n: int = 12) -> Tensor:
    return corpus(FOUR, 0, Split.probe, 200).moves(torch.arange(n))


def test_a_prefix_is_read_row_by_row_with_mask_tokens_behind_it() -> None:
    whole = subject()
    prefix = whole.reading(Context.prefix, "probes.context")
    found, mask = prefix.states(games(4), 1), whole.language_set.special(MASK)
    words = whole.language_set.languages[1].words
    for game, moves in enumerate(games(4).tolist()):
        tokens: list[int] = []
        for ply, move in enumerate(moves):
            if move < 0:
                assert float(found[:, game, ply].abs().max()) == 0
                continue
            tokens += words[move]
            row = tokens + [mask] * (whole.language_set.languages[1].max_tokens - len(tokens))
            hidden = whole.model(Inputs(torch.tensor([row])), hidden=True).hidden
            assert hidden is not None
            torch.testing.assert_close(found[:, game, ply], hidden[:, 0, len(tokens) - 1], rtol=1e-4, atol=1e-5)


def test_states_of_a_prefix_do_not_depend_on_what_follows() -> None:
    whole = subject()
    prefix, moves, ply = whole.reading(Context.prefix, "probes.context"), games(40), 5
    cut = moves.clone()
    cut[:, ply + 1 :] = -1
    for language in range(2):
        before, after = prefix.states(moves, language), prefix.states(cut, language)
        torch.testing.assert_close(before[:, :, : ply + 1], after[:, :, : ply + 1], rtol=1e-4, atol=1e-5)
        seen = whole.states(moves, language)[1:, :, ply] - whole.states(cut, language)[1:, :, ply]  # control
        assert float(seen.abs().max()) > 1e-3
    assert prefix.random_weights().context is Context.prefix
    assert [row["value"] for row in whole.context_rows()] == [1.0]
    assert [row["value"] for row in prefix.context_rows()] == [0.0]


def test_the_context_of_a_causal_model_is_no_setting_and_the_default_renames_nothing() -> None:
    language_set = build_languages(LanguagesConfig(kinds=["atomic"]), FOUR)
    causal = Subject(build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), language_set).eval(), language_set)
    with pytest.raises(UserError, match=r"^probes\.context: has no effect on a causal model"):
        causal.reading(Context.prefix, "probes.context")
    assert list(causal.reading(Context.game, "probes.context").context_rows()) == []
    assert identity(ProbesConfig()) == {}
    assert identity(ProbesConfig(context=Context.prefix)) == {"context": "prefix"}
