"""The settings of the languages of a run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

from mothello.config import NOT_IDENTITY, check_name, without_effect
from mothello.errors import UserError
from mothello.languages.anchors import AnchorConfig
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.traits import Traits


class OutputVocabulary(StrEnum):
    """The classes that a model predicts: the tokens of its languages (own), or the moves of the board, one output
    vocabulary for all languages (unified)."""

    own = "own"
    unified = "unified"


@dataclass(kw_only=True)
class LanguagesConfig:
    """The languages of a run."""

    kinds: list[str] = field(default_factory=lambda: ["atomic*2"])
    """One entry per language, "atomic*20" for twenty of a kind."""
    names: list[str] = field(default_factory=list)
    """Names, one per language; by default the kind and a number, such as split_0."""
    vocabulary_seed: int = 0
    """Decides the words of kinds that draw them (split: the lengths); the training seed never does."""
    longest_word: int = 3
    """Longest word of a split language, in tokens."""
    options: dict[str, Any] = field(default_factory=dict)
    """Settings of other kinds: languages.options.KIND.KEY."""
    traits: dict[str, Traits] = field(default_factory=dict)
    """What sets single languages apart, by their names: languages.traits.NAME.KEY."""
    output: OutputVocabulary = OutputVocabulary.own
    anchors: AnchorConfig = field(default_factory=AnchorConfig)
    special_tokens: list[str] = field(default_factory=list, metadata=NOT_IDENTITY)
    """Not to be set: a training takes them from its objectives, and a loaded run from its config."""

    def __post_init__(self) -> None:
        used = dict.fromkeys(self.expanded_kinds())
        if unused := set(self.options) - set(used):
            raise UserError(f"languages.options.{min(unused)}: has no effect without such a language; leave it out")
        configs = {kind: self.config_of(kind) for kind in used}
        self.options = {kind: configs[kind] for kind in self.options if configs[kind] != type(configs[kind])()}
        if not any(hasattr(config, "longest_word") for config in configs.values()):
            without_effect(self, "languages", "without a split language", "longest_word")
        if not any(LANGUAGE_KINDS.get(kind).drawn for kind in used):
            without_effect(self, "languages", "without a split language", "vocabulary_seed")
        names = self.language_names()
        for name in names:
            check_name(name, "languages.names")
        if len(set(names)) < len(names):
            raise UserError("languages.names: two languages have the same name")
        self._check_traits(names)

    def _check_traits(self, names: list[str]) -> None:
        """Traits that are those of every language are left out, so that they change no identity."""
        kinds = dict(zip(names, self.expanded_kinds(), strict=True))
        for name, traits in self.traits.items():
            if name not in kinds:
                raise UserError(f"languages.traits: no language {name!r}; there are {', '.join(names)}")
            traits.check(f"languages.traits.{name}", LANGUAGE_KINDS.get(kinds[name]))
        self.traits = {name: traits for name, traits in self.traits.items() if traits != Traits()}

    def with_special(self, tokens: Sequence[str]) -> "LanguagesConfig":
        """The same with special tokens for a model to read, besides those that are there."""
        return replace(self, special_tokens=list(dict.fromkeys([*self.special_tokens, *tokens])))

    def config_of(self, kind: str) -> Any:
        """The settings of one kind, as its own dataclass."""
        key, options = f"languages.options.{kind}", self.options.get(kind) or {}
        schema = LANGUAGE_KINDS.get(kind, "languages.kinds").Config
        if is_dataclass(options):
            return options
        if not isinstance(options, Mapping):
            raise UserError(f"{key}: {options!r} is no mapping; write {key}.KEY=...")
        if options.get("longest_word", self.longest_word) != self.longest_word:
            raise UserError(f"{key}.longest_word: write languages.longest_word")
        common = {"longest_word": self.longest_word} if "longest_word" in {spec.name for spec in fields(schema)} else {}
        return LANGUAGE_KINDS.typed({"name": kind} | common | dict(options), key)

    def expanded_kinds(self) -> list[str]:
        """The kind of each language."""
        kinds: list[str] = []
        for entry in self.kinds:
            match = re.fullmatch(r"(\w+?)(?:\*(\d+))?", entry.replace(" ", ""))
            if match is None or match[1] not in LANGUAGE_KINDS or match[2] == "0":
                known = ", ".join(LANGUAGE_KINDS)
                raise UserError(f"languages.kinds: {entry!r} is not one of {known} (or atomic*20)")
            kinds += [match[1]] * int(match[2] or 1)
        if not kinds:
            raise UserError("languages.kinds: name at least one language")
        return kinds

    def language_names(self) -> list[str]:
        """The name of each language."""
        kinds = self.expanded_kinds()
        if self.names:
            if len(self.names) != len(kinds):
                raise UserError(f"languages.names: {len(self.names)} names for {len(kinds)} languages")
            return list(self.names)
        return [f"{kind}_{kinds[:index].count(kind)}" for index, kind in enumerate(kinds)]
