"""Proves: an export opens in another process without mothello and without a network, and gives the run's numbers; its
tokenizer reads and writes what the run does; it replaces nothing that is not its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from house.commands import TINY, TINY_PROBE, run
from safetensors.torch import load_file, save_file

from mothello.languages.language_set import LanguagesConfig, LanguageSet, build_languages
from mothello.languages.traits import Marker, Traits
from mothello.model.inputs import Inputs
from mothello.othello.board import Board
from mothello.stages.load import load_run

pytest.importorskip("transformers")

from mothello.interop.export import FILES, Format, write_export
from mothello.interop.vocabulary import build_tokenizer, languages_content, text_of, token_names


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """run: two languages with common tokens, probes kept, exported to out; masked: a masked model."""
    folder = tmp_path_factory.mktemp("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(patch, "train", "+experiment=anchor", *TINY, "languages=mix", "model.norm=rms", "run=run") == 0
        assert run(patch, "train", *TINY, "objective=masked_lm", "run=masked") == 0
        assert run(patch, "train", *TINY, "run=plain") == 0
        assert run(patch, "export", "run=run", "out=before") == 0
        assert run(patch, "probe", "run=run", *TINY_PROBE, "measures=[probes]") == 0
        assert run(patch, "export", "run=run", "out=out") == 0
    return folder


@pytest.fixture
def here(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(base)
    return base


ELSEWHERE = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("mothello", "hydra", "jaxtyping"):
            raise ImportError(name)
sys.meta_path.insert(0, Absent())
import socket
def refused(*_): raise OSError("the network is off")
socket.socket.connect = refused
import transformers
from safetensors.torch import load_file, save_file
for folder in sys.argv[1:]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    kind = transformers.AutoModelForMaskedLM if tokenizer.mask_token else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(folder, trust_remote_code=True)
    texts = open(f"{folder}/texts.txt").read().splitlines()
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    got = model(**inputs, output_hidden_states=True)
    assert tokenizer.batch_decode(inputs.input_ids, skip_special_tokens=True) == texts
    hidden = {f"hidden_{i}": x for i, x in enumerate(got.hidden_states)}
    found = {"ids": inputs.input_ids, "there": inputs.attention_mask, "logits": got.logits, **hidden}
    save_file(found, f"{folder}/got.safetensors")
    print(type(model).__module__)
assert not {"mothello", "hydra"} & set(sys.modules)
"""


def elsewhere(folders: list[Path], home: Path) -> list[str]:
    """Another process reads the texts of every export; returns the modules of the classes."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", ELSEWHERE, *map(str, folders)]
    done = subprocess.run(words, cwd=home, env=clean | quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_they_open_elsewhere_and_give_the_same_numbers(here: Path, tmp_path: Path) -> None:
    runs = {name: load_run(name) for name in ("run", "masked", "plain")}
    batches = {name: [one.batch(one.games(4), language) for language in one.languages] for name, one in runs.items()}
    for name, loaded in runs.items():
        (out := tmp_path / name).mkdir()
        write_export(loaded, out, Format.gpt2 if name == "plain" else Format.mothello)
        texts = [text_of(row, token_names(loaded.language_set)) for x in batches[name] for row in x.tokens.tolist()]
        (out / "texts.txt").write_text("\n".join(texts))
    modules = elsewhere([tmp_path / name for name in runs], tmp_path)
    assert all(module.startswith("transformers_modules.") for module in modules[:2])
    assert modules[2] == "transformers.models.gpt2.modeling_gpt2"
    assert not (tmp_path / "plain/modeling_mothello.py").exists()
    for name, loaded in runs.items():
        got = load_file(tmp_path / name / "got.safetensors")
        for index, batch in enumerate(batches[name]):
            rows = slice(4 * index, 4 * index + 4)
            there, width = got["there"][rows].bool(), min(got["ids"].shape[1], batch.tokens.shape[1])
            assert torch.equal(got["ids"][rows, :width], batch.tokens[:, :width])
            assert not there[:, width:].any()
            with torch.no_grad():
                there, ours = there[:, :width], loaded.model(Inputs.of(batch), hidden=True)
            assert ours.hidden is not None
            if name == "plain":
                ours.hidden[-1] = loaded.model.norm(ours.hidden[-1])
            both = {"logits": ours.logits, **{f"hidden_{i}": x for i, x in enumerate(ours.hidden)}}
            for key, x in both.items():
                theirs = got[key][rows, :width][there]
                torch.testing.assert_close(theirs, x[:, :width][there], atol=1e-5, rtol=0)


def test_what_lies_in_an_export(here: Path) -> None:
    loaded = load_run("run")
    assert {path.name for path in Path("out").iterdir()} == {*FILES}
    assert {path.name for path in Path("before").iterdir()} == {*FILES} - {"probes.safetensors"}
    (kept,) = Path("run").glob("measures/*/probes.safetensors")
    assert Path("out/probes.safetensors").read_bytes() == kept.read_bytes()
    card, before = Path("out/README.md").read_text(), Path("before/README.md").read_text()
    legality = loaded.table
    legality = legality[
        (legality.quantity == "top1") & (legality.step == loaded.step) & (legality.control == "trained")
    ]
    for name in loaded.languages:
        value = float(legality[legality.language == name].value.iloc[-1])
        assert f"| {name} | {100 * value:.1f}%" in card
        assert f"| {name} | {100 * value:.1f}%" in before
    assert "chance" in card
    assert "another's probe" in card
    assert "Not measured" in before
    assert "Not measured" not in card
    content = json.loads(Path("out/languages.json").read_text())
    assert content == languages_content(loaded.language_set)
    assert len(content["classes"]) == loaded.model.output_size


def test_registered_it_needs_no_code_of_the_folder(here: Path) -> None:
    import transformers

    import mothello.interop.registered  # noqa: F401
    from mothello.interop.modeling_mothello import MothelloForCausalLM

    assert type(transformers.AutoModelForCausalLM.from_pretrained("out")) is MothelloForCausalLM


def languages(**settings: Any) -> LanguageSet:
    return build_languages(LanguagesConfig(**settings), Board.of(4))


SETS = [
    {"kinds": ["atomic*2"]},
    {"kinds": ["split", "compositional", "atomic"], "anchors": {"count": 1}},
    {
        "kinds": ["atomic"],
        "traits": {"atomic_0": Traits(synonyms=0.5, mover=Marker.before)},
        "special_tokens": ["mask"],
    },
    {"kinds": ["atomic"], "traits": {"atomic_0": Traits(homonyms=0.5)}},
]


@pytest.mark.parametrize("settings", SETS)
def test_the_tokenizer_reads_and_writes_every_word(settings: dict[str, Any]) -> None:
    if isinstance(settings.get("anchors"), dict):
        from mothello.languages.anchors import AnchorConfig

        settings = settings | {"anchors": AnchorConfig(**settings["anchors"])}
    made = languages(**settings)
    names, tokenizer = token_names(made), build_tokenizer(made)
    assert len(set(names)) == len(names) == made.vocabulary_size + len(made.special_tokens) == len(tokenizer)
    assert all(name and not name.count(" ") for name in names)
    for language, content in zip(made.languages, languages_content(made)["languages"], strict=True):
        for move, words in enumerate(content["words"].values()):
            assert [tuple(tokenizer(" ".join(word)).input_ids) for word in words] == language.spellings(move)
    assert tokenizer.decode(list(range(len(names)))) == " ".join(names)
    assert tokenizer.pad_token_id == 0
    assert (tokenizer.mask_token_id if made.special_tokens else -1) == (
        made.special("mask") if made.special_tokens else -1
    )
    with pytest.raises(Exception, match="UNK"):
        tokenizer("atomic_9.c2")


def test_names_say_what_a_token_stands_for() -> None:
    names = token_names(languages(kinds=["compositional", "split", "atomic"]))
    assert names[1:9] == [f"compositional_0.{x}" for x in "abcd1234"]
    assert {"atomic_0.a1", "split_0.d4_1", "split_0.b1"} & set(names) >= {"atomic_0.a1"}


def test_nothing_of_others_is_replaced(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded, out = Path("run").resolve(), ["out=out"]
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/config.json").write_text("mine")
    assert run(monkeypatch, "export", f"run={loaded}", *out, "force=true") == 2
    assert capsys.readouterr().err.startswith("error: out: out/config.json is not of this command")
    Path("out/config.json").rename("out/mine.json")
    assert run(monkeypatch, "export", f"run={loaded}", *out, "dry_run=true") == 0
    assert "MothelloForCausalLM" in capsys.readouterr().out
    assert [path.name for path in Path("out").iterdir()] == ["mine.json"]
    assert run(monkeypatch, "export", f"run={loaded}", *out) == 0
    before = Path("out/model.safetensors").read_bytes()
    assert run(monkeypatch, "export", f"run={loaded}", *out) == 2
    assert "force=true to replace it" in capsys.readouterr().err
    weights = load_file("out/model.safetensors")
    save_file({name: x + 1 for name, x in weights.items()}, "out/model.safetensors")
    assert run(monkeypatch, "export", f"run={loaded}", *out, "force=true") == 0
    assert Path("out/model.safetensors").read_bytes() == before
    assert Path("out/mine.json").read_text() == "mine"
    assert "keeps mine.json" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "option"), [("run", "model.norm=rms"), ("masked", "the full attention")])
def test_gpt2_names_what_it_cannot_hold(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    assert run(monkeypatch, "export", f"run={name}", "out=new", "format=gpt2") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: format: gpt2 cannot hold {option}")
    assert error.count("\n") == 1
    assert not Path("new").exists()


def test_importing_mothello_imports_no_transformers() -> None:
    code = "import sys, mothello, mothello.cli.export, mothello.interop.export; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_the_library_one_line_says_so(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert run(monkeypatch, "export", "run=run", "out=new") == 2
    assert capsys.readouterr().err.startswith("error: format: needs the library transformers; pip install")
    assert not Path("new").exists()
