"""A run as a folder that transformers opens by itself: weights, tokenizer, languages, probes, a model card."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from mothello.errors import UserError
from mothello.files import json_text
from mothello.interop.card import card
from mothello.interop.vocabulary import build_tokenizer, languages_content, text_of, token_names
from mothello.measures.probes.kept import FILE as PROBES
from mothello.measures.probes.kept import kept_for
from mothello.stages.run import Run


class Format(StrEnum):
    """Whose class holds the model: the house's own, or GPT-2's of transformers."""

    mothello = "mothello"
    gpt2 = "gpt2"


LANGUAGES, MODELING = "languages.json", "modeling_mothello.py"
FILES = (
    LANGUAGES, "config.json", "generation_config.json", "model.safetensors", MODELING, "tokenizer.json",
    "tokenizer_config.json", PROBES, "README.md",
)  # fmt: skip
"""What an export may hold; the first bears the sign of the house."""

SNIPPET = """
from transformers import {kind}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{folder}"{remote})
model = {kind}.from_pretrained("{folder}"{remote})
inputs = tokenizer("{text}", return_tensors="pt")
output = model(**inputs{more}, output_hidden_states=True)
print(output.logits.shape, len(output.hidden_states))
"""


def check_library() -> None:
    """UserError where transformers is missing."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise UserError("format: needs the library transformers; pip install 'mothello[interop]'") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Within: transformers draws no bars and warns of nothing that it is told on purpose."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity_error()
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


def probes_of(run: Run) -> Path | None:
    """The last kept probes that were fitted on this state of the model."""
    kept = [
        path for path in sorted(run.folder.path.glob(f"measures/*/{PROBES}")) if kept_for(path.parent, run.subject())
    ]
    return max(kept, key=lambda path: kept_for(path.parent, run.subject()).steps, default=None)  # type: ignore[union-attr]


def build(run: Run, form: Format) -> Any:
    """The run's model as a class of transformers. UserError names the option that a class cannot hold."""
    check_library()
    from mothello.interop.to_gpt2 import as_gpt2
    from mothello.interop.to_transformers import as_transformers

    return as_gpt2(run.model) if form is Format.gpt2 else as_transformers(run.model, run.languages)


def write_export(run: Run, out: Path, form: Format, name: str = "") -> None:
    """Write every file of an export into a folder. name: the folder's later name, for the card."""
    made, special = build(run, form), run.language_set.special_tokens
    own = form is Format.mothello
    with _quiet():
        if own:
            kind = type(made).__name__
            classes = {"AutoConfig": "MothelloConfig", "AutoModel": "MothelloModel", _auto(run): kind}
            made.config.auto_map = {auto: f"modeling_mothello.{one}" for auto, one in classes.items()}
        if "mask" in special:
            made.config.mask_token_id = run.language_set.special("mask")
        made.save_pretrained(out)
        build_tokenizer(run.language_set).save_pretrained(out)
    if own:
        shutil.copyfile(Path(__file__).with_name(MODELING), out / MODELING)
    (out / LANGUAGES).write_text(json_text(languages_content(run.language_set), indent=1) + "\n")
    if probes := probes_of(run):
        shutil.copyfile(probes, out / PROBES)
    for path in out.iterdir():
        if path.name not in FILES:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    files = {*(path.name for path in out.iterdir()), "README.md"}
    (out / "README.md").write_text(card(run, _snippet(run, form, name or out.name), sorted(files)))


def _auto(run: Run) -> str:
    return "AutoModelForMaskedLM" if str(run.model.config.mask) == "full" else "AutoModelForCausalLM"


def _snippet(run: Run, form: Format, folder: str) -> str:
    """Python that opens the export and reads the beginning of a game."""
    game = run.language_set.encode(run.games(1)[:, :3].cpu(), run.games(1).new_zeros(1).long().cpu())
    config = run.model.config
    asked = config.language_ids or bool(config.separate)
    return SNIPPET.format(
        kind=_auto(run), folder=folder, remote=", trust_remote_code=True" if form is Format.mothello else "",
        text=text_of(game.tokens[0].tolist(), token_names(run.language_set)),
        more=", language=inputs.input_ids.new_zeros(1)" if asked else "",
    )  # fmt: skip
