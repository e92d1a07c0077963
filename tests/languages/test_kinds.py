"""Proves: a kind of language is a registered class with its own settings; settings of a kind that is not used, or of no
kind, are errors that name the key; settings equal to the kind's defaults change no identity."""

from dataclasses import dataclass
from typing import Any

import pytest

from mothello.config import identity, plain, typed
from mothello.errors import UserError
from mothello.languages.kinds import LANGUAGE_KINDS
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.othello.board import Board


class Repeated:
    """Every move is its own token, several times."""

    drawn = False

    @dataclass(kw_only=True)
    class Config:
        name: str = "repeated"
        times: int = 2

    def __init__(self, config: Config) -> None:
        self.times = config.times

    def words(self, board: Board, seed: int, name: str) -> list[tuple[int, ...]]:
        return [(move,) * self.times for move in range(board.n_moves - (self.times == 9))]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LANGUAGE_KINDS._entries, "repeated", Repeated)


def config(**settings: Any) -> LanguagesConfig:
    return typed(settings, LanguagesConfig, "languages")


def test_a_kind_has_settings_of_its_own() -> None:
    made = config(kinds=["atomic", "repeated"], options={"repeated": {"times": 3}})
    language_set = build_languages(made, Board.of(4))
    assert [language.max_word for language in language_set.languages] == [1, 3]
    assert identity(made)["options"] == {"repeated": {"name": "repeated", "times": 3}}
    assert identity(typed(plain(made), LanguagesConfig)) == identity(made)  # config.yaml, read back


def test_settings_at_their_default_change_no_identity() -> None:
    assert identity(config(kinds=["repeated"], options={"repeated": {"times": 2}})) == {"kinds": ["repeated"]}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"options": {"repeated": {}}}, r"languages\.options\.repeated: has no effect"),
        ({"options": {"atomic": {"times": 1}}}, r"languages\.options\.atomic\.times: unknown key; choices: name"),
        ({"kinds": ["repeated"], "options": {"repeated": 3}}, r"languages\.options\.repeated: 3 is no mapping"),
        ({"kinds": ["split"], "options": {"split": {"longest_word": 2}}}, r".*: write languages\.longest_word"),
        ({"kinds": ["repeated"], "vocabulary_seed": 1}, r"languages\.vocabulary_seed: has no effect"),
        ({"kinds": ["repeat"]}, r"languages\.kinds: 'repeat' is not one of atomic, split, compositional, repeated"),
    ],
)
def test_a_setting_without_a_kind_is_an_error_that_names_it(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        config(**settings)


def test_a_kind_that_leaves_moves_out_is_named() -> None:
    with pytest.raises(UserError, match=r"^languages\.kinds: repeated must write each of the 12 moves"):
        build_languages(config(kinds=["repeated"], options={"repeated": {"times": 9}}), Board.of(4))
