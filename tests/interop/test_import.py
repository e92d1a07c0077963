"""Proves: a checkpoint in a published layout gives the logits of an independent model of that layout, square for square;
it becomes a run that every command reads; what is not of its kind is refused in one line, and nothing in it is executed."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import TINY_MEASURE, TINY_PROBE, run
from interop.foreign_models import MinGPT, NanoGPT, folded, lens_forward, lens_state
from safetensors.torch import save_file
from torch import Tensor, nn

from mothello.data.split import Split, corpus
from mothello.errors import UserError
from mothello.interop.foreign import Kind
from mothello.interop.import_run import Imported, read_model
from mothello.interop.orders import Order
from mothello.languages.language import PAD
from mothello.model.inputs import Inputs
from mothello.model.transformer import Activation
from mothello.othello.board import Board, BoardConfig
from mothello.othello.notation import move_name
from mothello.stages.load import load_run

SIZES = {"layers": 2, "heads": 2, "d": 32}
Run = Callable[[Tensor], Tensor]


def random(model: nn.Module, seed: int) -> nn.Module:
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter * 0.2 + 0.2 * torch.randn(parameter.shape, generator=draw))
    return model.eval()


def their_id(order: Order, square: str, size: int = 8) -> int:
    """The id of a square such as d3, from the published words alone."""
    letter, digit = "abcdefgh".index(square[0]), int(square[1]) - 1
    if order is Order.metaothello:
        return 1 + 8 * digit + letter
    starts = {f"{x}{y}" for x in "abcdefgh"[size // 2 - 1 : size // 2 + 1] for y in (size // 2, size // 2 + 1)}
    names = [f"{x}{y + 1}" for x in "abcdefgh"[:size] for y in range(size)]
    return 1 + [name for name in names if name not in starts].index(square)


def check_same(made: Imported, theirs: Run, order: Order, size: int = 8) -> None:
    """Logits of every ply of a few games, square by square."""
    board = Board.of(size)
    names = [move_name(board, move) for move in range(board.n_moves)]
    ids = [their_id(order, name, size) for name in names]
    games = corpus(board, 0, Split.probe, 4).moves(torch.arange(4))
    with torch.no_grad():
        for index in range(len(made.language_set.languages)):
            tokens = made.language_set.encode(games, torch.full((4,), index)).tokens
            ours = made.model(Inputs(tokens)).logits
            words = [word[0] for word in made.language_set.languages[index].words]
            for game, row, logits in zip(games.tolist(), tokens, ours, strict=True):
                played = [move for move in game if move >= 0][: board.n_moves - 1]
                assert (row[: len(played)] != PAD).all()
                shift = board.n_moves * index
                got = theirs(torch.tensor([ids[move] + shift for move in played]))
                want = got[:, [0, *(i + shift for i in ids)]]
                torch.testing.assert_close(logits[: len(played), [0, *words]], want, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("order", "rows"), [(Order.othello_world, 61), (Order.metaothello, 66)])
def test_mingpt(tmp_path: Path, order: Order, rows: int, seed: int) -> None:
    theirs = random(MinGPT(rows, 59, **SIZES), seed)
    torch.save(theirs.state_dict(), tmp_path / "gpt.ckpt")
    made = read_model(tmp_path / "gpt.ckpt", Kind.mingpt, order, BoardConfig(size=8), n_head=2)
    check_same(made, theirs, order)
    assert (str(made.config.model.init), made.language_set.names) == ("mingpt", ["atomic_0"])


def test_mingpt_in_three_languages_on_a_smaller_board(tmp_path: Path) -> None:
    theirs = random(MinGPT(1 + 3 * 32, 31, **SIZES), 0)
    save_file({f"module.{name}": x for name, x in theirs.state_dict().items()}, tmp_path / "gpt.safetensors")
    made = read_model(tmp_path / "gpt.safetensors", Kind.mingpt, Order.othello_world, BoardConfig(size=6), n_head=2)
    assert made.language_set.names == ["atomic_0", "atomic_1", "atomic_2"]
    check_same(made, theirs, Order.othello_world, size=6)


@pytest.mark.parametrize("seed", range(3))
def test_transformerlens_as_it_was_trained_and_folded(tmp_path: Path, seed: int) -> None:
    state = lens_state(61, 59, seed=seed, **SIZES)
    torch.save(state, tmp_path / "lens.pth")
    where = (Kind.transformerlens, Order.othello_world, BoardConfig(size=8))
    check_same(read_model(tmp_path / "lens.pth", *where), lambda ids: lens_forward(state, ids), Order.othello_world)
    wide = lens_state(61, 59, layers=1, heads=2, d=80, seed=seed)  # wider than the vocabulary, as the published ones
    inside = folded(wide)
    assert inside["unembed.b_U"].abs().max() > 0.1
    torch.save(inside, tmp_path / "folded.pth")
    made = read_model(tmp_path / "folded.pth", *where, folded=True)
    check_same(made, lambda ids: lens_forward(inside, ids), Order.othello_world)
    ids = torch.arange(1, 30)
    one, other = (lens_forward(x, ids).log_softmax(-1) for x in (wide, inside))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=0)  # folding is the same model


@pytest.mark.parametrize(("bias", "tanh"), [(True, True), (True, False), (False, True)])
def test_nanogpt(tmp_path: Path, bias: bool, tanh: bool) -> None:
    theirs = random(NanoGPT(61, 128, **SIZES, bias=bias, tanh=tanh), 0)
    state = {f"_orig_mod.{name}": x for name, x in theirs.state_dict().items()}
    whole = {"model": state, "model_args": {"n_head": 2, "bias": bias}, "iter_num": 3, "config": {"dataset": "othello"}}
    torch.save(whole, tmp_path / "ckpt.pt")
    activation = Activation.gelu_tanh if tanh else Activation.gelu
    where = (tmp_path / "ckpt.pt", Kind.nanogpt, Order.othello_world, BoardConfig(size=8))
    made = read_model(*where, activation=activation)
    assert (made.config.model.tied, made.config.model.bias, made.config.model.n_head) == (True, bias, 2)
    check_same(made, theirs, Order.othello_world)
    with pytest.raises(UserError, match=r"^activation: the file does not say"):
        read_model(*where)
    with pytest.raises(UserError, match=r"^n_head: 4; the file has 2"):
        read_model(*where, n_head=4, activation=activation)


def test_another_order_gives_other_squares(tmp_path: Path) -> None:
    theirs = random(MinGPT(61, 59, **SIZES), 0)
    torch.save(theirs.state_dict(), tmp_path / "gpt.ckpt")
    made = read_model(tmp_path / "gpt.ckpt", Kind.mingpt, Order.mothello, BoardConfig(size=8), n_head=2)
    with pytest.raises(AssertionError, match="not close"):
        check_same(made, theirs, Order.othello_world)


def mingpt_state(**changed: Tensor | None) -> dict[str, Tensor]:
    state = random(MinGPT(61, 59, **SIZES), 0).state_dict() | {name.replace("/", "."): x for name, x in changed.items()}
    return {name: x for name, x in state.items() if x is not None}


def lens_with(**changed: Tensor) -> dict[str, Tensor]:
    return lens_state(61, 59, seed=0, **SIZES) | {name.replace("/", "."): x for name, x in changed.items()}


REFUSED: list[tuple[str, Any, str]] = [
    ("mingpt", mingpt_state(**{"ln_f/bias": None}), "is no mingpt model: ln_f.bias is missing"),
    ("mingpt", mingpt_state(**{"head/bias": torch.zeros(61)}), "it has no place for head.bias"),
    ("mingpt", lens_with(), "is no mingpt model: blocks.0.ln1.weight is missing"),
    ("mingpt", mingpt_state(**{"head/weight": torch.full((61, 32), torch.nan)}), "head.weight .* not finite"),
    ("mingpt", mingpt_state(pos_emb=torch.zeros(1, 40, 32)), "40 positions; a game needs 59"),
    ("mingpt", mingpt_state(**{"tok_emb/weight": torch.zeros(64, 32)}), "64 tokens; vocabulary=othello_world has 60"),
    (
        "mingpt",
        mingpt_state(**{"blocks/1/mlp/0/weight": torch.zeros(96, 32)}),
        r"blocks.1.up.weight is \(96, 32\) there",
    ),
    ("mingpt", ["no", "dict"], "holds no state dict"),
    ("mingpt", {"step": 3}, "step is no tensor"),
    ("transformerlens", folded(lens_with()), "blocks.0.ln1.w is missing: its norms are folded"),
    ("transformerlens", lens_with(**{"unembed/b_U": torch.ones(61)}), "unembed.b_U is not zero"),
    ("transformerlens", lens_with(**{"blocks/0/mlp/W_gate": torch.ones(3)}), "no place for blocks.0.mlp.W_gate"),
    ("nanogpt", mingpt_state(), "is no nanogpt model"),
]


@pytest.mark.parametrize(("kind", "content", "line"), REFUSED, ids=[line for *_, line in REFUSED])
def test_what_is_refused_is_named_in_one_line(
    tmp_path: Path,
    kind: str,
    content: Any,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, "it.pth")
    more = ["activation=gelu"] if kind == "nanogpt" else []
    heads = [] if kind == "transformerlens" else ["n_head=2"]
    assert run(monkeypatch, "import_model", "file=it.pth", f"kind={kind}", "run=made", *more, *heads) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: file: ")
    assert error.count("\n") == 1
    with pytest.raises(AssertionError, match=line):
        raise AssertionError(error)
    assert not Path("made").exists()


class Burglar:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("burgled"),)


def test_nothing_in_a_file_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": mingpt_state(), "config": Burglar()}, "it.pth")
    Path("raw.pth").write_bytes(pickle.dumps(Burglar()))
    Path("short.safetensors").write_bytes(b"abc")
    for name in ("it.pth", "raw.pth", "short.safetensors", "absent.pth"):
        assert run(monkeypatch, "import_model", f"file={name}", "kind=mingpt", "n_head=2", "run=made") == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: file: {name} ")
        assert error.count("\n") == 1
    assert not Path("burgled").exists()
    pickle.loads(Path("raw.pth").read_bytes())
    assert Path("burgled").exists(), "the negative control"


def test_it_is_a_run_that_every_command_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    theirs = random(MinGPT(25, 11, **SIZES), 0)
    torch.save(theirs.state_dict(), "gpt.ckpt")
    call = ["file=gpt.ckpt", "kind=mingpt", "board=4x4", "run=runs/theirs"]
    assert run(monkeypatch, "import_model", *call) == 2
    assert "error: n_head: the file does not say" in capsys.readouterr().err
    call.append("n_head=2")
    assert run(monkeypatch, "import_model", *call, "dry_run=true") == 0
    assert "atomic_0, atomic_1" in capsys.readouterr().out
    assert not Path("runs").exists()
    assert run(monkeypatch, "import_model", *call) == 0
    loaded = load_run("runs/theirs")
    assert (loaded.stage, loaded.languages, loaded.board.name) == ("import", ["atomic_0", "atomic_1"], "4x4")
    assert loaded.table.value.notna().all()
    assert run(monkeypatch, "measure", "run=runs/theirs", *TINY_MEASURE) == 0
    assert run(monkeypatch, "probe", "run=runs/theirs", *TINY_PROBE, "measures=[probes]") == 0
    assert {"legality", "alignment", "probe", "training"} <= set(load_run("runs/theirs").table.measure)
    assert run(monkeypatch, "report", "runs=[runs]") == 0
    page = Path("report/index.html").read_text()
    assert "scripts/import_model.py" in page
    assert "scripts/train.py" not in page
    capsys.readouterr()
    assert run(monkeypatch, "import_model", *call) == 2
    assert "force=true to replace it" in capsys.readouterr().err
    Path("runs/theirs/mine.txt").write_text("mine")
    assert run(monkeypatch, "import_model", *call, "force=true") == 0
    assert Path("runs/theirs/mine.txt").read_text() == "mine"
    assert set(load_run("runs/theirs").table.measure) == {"training"}
