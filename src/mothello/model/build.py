"""A model that fits its languages."""

import torch

from mothello.languages.language_set import LanguageSet
from mothello.model.transformer import GPT, ModelConfig


def build_model(config: ModelConfig, language_set: LanguageSet) -> GPT:
    """A model that fits the languages, not yet initialized."""
    return GPT(config, language_set.vocabulary_size, language_set.max_tokens, language_set.output_size)


def outline(config: ModelConfig, language_set: LanguageSet) -> GPT:
    """The shapes of that model without memory for its weights."""
    sizes = language_set.vocabulary_size, language_set.max_tokens, language_set.output_size
    with torch.device("meta"):
        return GPT(config, *sizes)
