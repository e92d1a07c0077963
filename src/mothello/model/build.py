"""A model that fits its languages."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from mothello.languages.language_set import LanguageSet
from mothello.model.transformer import GPT, ModelConfig


def build_model(config: ModelConfig, language_set: LanguageSet) -> GPT:
    """A model that fits the languages, not yet initialized."""
    return GPT(config, *_sizes(language_set))


def _sizes(language_set: LanguageSet) -> tuple[int, int, int, int, int]:
    sizes = language_set.vocabulary_size, language_set.max_tokens, language_set.output_size
    return *sizes, len(language_set.languages), len(language_set.special_tokens)


class _Bare(TorchFunctionMode):
    """Within: modules are made without drawing weights. Torch imports its compiler to draw without memory."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        draws = getattr(function, "__module__", "") == "torch.nn.init"
        return None if draws else function(*args, **(kwargs or {}))


def outline(config: ModelConfig, language_set: LanguageSet) -> GPT:
    """The shapes of that model without memory for its weights."""
    sizes = _sizes(language_set)
    with torch.device("meta"), _Bare():
        return GPT(config, *sizes)
