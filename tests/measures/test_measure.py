"""Proves: a control is another subject of the same measure (random weights leave no trace of the trained ones, an edited
model is measured with its edit); alignment reads every language once per map, whatever the layers, and in groups of
layers gives the same rows; kept probes read as the fitted ones did, without unpickling; every measure can be shrunk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mothello.config import identity
from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.measures.alignment import measure as alignment
from mothello.measures.alignment.measure import Alignment, AlignmentConfig
from mothello.measures.builtin import BUILTIN
from mothello.measures.causal.measure import Causal, CausalConfig
from mothello.measures.legality.measure import Legality, LegalityConfig
from mothello.measures.measure import MEASURES, Row, Subject, folder_name
from mothello.measures.probes import measure as probes_measure
from mothello.measures.probes.config import ProbesConfig
from mothello.measures.probes.fit import SHUFFLED, fit_probes
from mothello.measures.probes.headline import headline, preferred
from mothello.measures.probes.kept import FILE, kept_for, load_probes, one_probe, save_probes
from mothello.measures.probes.measure import Probes
from mothello.measures.probes.score import read
from mothello.measures.probes.targets import TARGETS
from mothello.model.build import build_model
from mothello.model.transformer import ModelConfig
from mothello.othello.board import Board
from mothello.rows import as_table
from mothello.training.device import Precision

LANGUAGES = build_languages(LanguagesConfig(kinds=["atomic", "split"]), Board.of(4))
FEW = AlignmentConfig(games=16, pool=20, draws=10)
BRIEF = ProbesConfig(games=32, batch_size=16, test_games=8, held_out=8, evaluations=1, hidden=8, draws=10)


def subject(**more: Any) -> Subject:
    shape = ModelConfig(n_layer=2, n_head=2, d_model=16, zero_init=True)
    model = build_model(shape, LANGUAGES).initialize(0).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return Subject(model, LANGUAGES, precision=Precision.fp32, **more)


def test_random_weights_are_new_and_the_same_for_a_seed() -> None:
    trained = subject(seed=3, folder=Path("x"))
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    control, again = trained.random_weights(), trained.random_weights()
    assert (control.control, control.folder, control.model.training) == ("random_weights", None, False)
    for name, value in control.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
        assert "norm" in name or "bias" in name or not torch.equal(value, before[name])
        assert torch.equal(trained.model.state_dict()[name], before[name])
    assert float(control.model.state_dict()["blocks.0.down.weight"].abs().max()) > 0  # although training began at zero
    other = subject(seed=4).random_weights().model.state_dict()["head.weight"]
    assert not torch.equal(other, control.model.state_dict()["head.weight"])


def test_an_edited_model_is_measured_with_its_edit() -> None:
    plain = subject()
    erased = plain.edited(lambda site, x: torch.zeros_like(x) if site == "embedding" else x)
    measure = Legality(LegalityConfig(games=4, draws=10))
    rows, edited = as_table(measure(plain)), as_table(measure(erased))
    assert set(rows.control) == {"trained", "chance"}
    assert set(edited.control) == {"edited", "chance"}
    mass = [table[(table.quantity == "mass") & table.ply.isna()].value.tolist() for table in (rows, edited)]
    assert mass[0] != mass[1]
    assert torch.equal(
        erased.states(corpus(Board.of(4), 0, Split.probe, 2).moves(torch.arange(2)), 0)[0], torch.zeros(2, 12, 16)
    )


@dataclass(frozen=True)
class Counted(Subject):
    """Counts passes over all games by language."""

    calls: Any = None

    def states(self, moves: torch.Tensor, language: int) -> torch.Tensor:
        self.calls.append((language, len(moves)))
        return super().states(moves, language)


def ordered(rows: Iterator[Row]) -> list[str]:
    return sorted(str(sorted(row.items())) for row in rows)


def test_alignment_reads_every_language_once_per_map(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    plain = subject()
    counted = Counted(plain.model, LANGUAGES, precision=Precision.fp32, calls=calls)
    config = replace(FEW, random_weights=False)
    rows = ordered(Alignment(config)(counted))
    assert sorted(calls) == [(language, 16) for language in range(2) for _ in range(4)]
    monkeypatch.setattr(alignment, "MEMORY", 1)  # one layer at a time, three times the passes
    monkeypatch.setattr(alignment, "GAMES_AT_ONCE", 16)
    assert ordered(Alignment(config)(counted)) == rows
    assert len(calls) == 8 * (1 + 3)


def test_alignment_of_one_language_is_nothing() -> None:
    one = build_languages(LanguagesConfig(kinds=["atomic"]), Board.of(4))
    model = build_model(ModelConfig(n_layer=1, n_head=2, d_model=16), one).initialize(0).eval()
    assert list(Alignment(FEW)(Subject(model, one))) == []


def test_kept_probes_read_as_the_fitted_ones(tmp_path: Path) -> None:
    trained = subject(step=7)
    games = corpus(LANGUAGES.board, 0, Split.probe, 100)
    fitted = fit_probes(trained, games, BRIEF, (*TARGETS, SHUFFLED))
    save_probes(tmp_path, fitted, BRIEF, trained)
    kept = load_probes(tmp_path)
    assert kept.targets == TARGETS
    assert kept.steps == fitted.steps
    x = trained.states(games.moves(torch.arange(4)), 1)
    rows = x.flatten(1, 2)
    for kind in BRIEF.probes:
        for target in TARGETS:
            expected = read(fitted, kind, target, 1, fitted.normalize(rows, 1), Precision.fp32)
            assert torch.equal(read(kept, kind, target, 1, kept.normalize(rows, 1), Precision.fp32), expected)
            one = one_probe(kept, kind, target, layer=2, language=1)
            assert torch.equal(one(x[2]).flatten(0, 1), expected[2])
            assert one.logits(x[2]).shape == (4, 12, 16, 3)
    assert kept_for(tmp_path, trained) is not None
    assert kept_for(tmp_path, replace(trained, step=8)) is None
    assert kept_for(tmp_path / "none", trained) is None
    (tmp_path / FILE).write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        load_probes(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        load_probes(tmp_path / "none")


def test_interventions_use_kept_probes_of_the_same_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained, config = subject(), replace(BRIEF, random_weights=False, other_maps=False)
    rows = as_table(Probes(config)(trained.kept_in(tmp_path / folder_name(config))))
    assert headline(rows, *preferred(rows)).pairs == 2
    causal = CausalConfig(cases=4, draws=10, languages=1, probes=config)
    inside = trained.kept_in(tmp_path / folder_name(causal))
    fresh = ordered(Causal(causal)(trained))

    def fails(*_: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("mothello.measures.probes.measure.fitted_probes", fails)
    assert ordered(Causal(causal)(inside)) == fresh
    with pytest.raises(AssertionError, match="fitted again"):
        list(Causal(replace(causal, probes=replace(config, seed=1)))(inside))
    assert probes_measure.EXAMPLES in {path.name for path in (tmp_path / folder_name(config)).iterdir()}


@pytest.mark.parametrize("measure", BUILTIN, ids=lambda measure: measure.Config.name)
def test_every_measure_shrinks_and_has_its_name(measure: Any) -> None:
    config = measure.Config()
    assert MEASURES.get(config.name) is measure
    assert identity(config) == {}
    small = config.shrunk(1 / 16)
    for size in ("batches",) if hasattr(config, "batches") else ("games", "cases", "test_games"):
        if hasattr(config, size):
            assert getattr(small, size) == pytest.approx(max(2, getattr(config, size) / 16), rel=0.05)
    assert folder_name(config).startswith(f"{config.name}-")
    assert config.shrunk(1e-9) is not None
