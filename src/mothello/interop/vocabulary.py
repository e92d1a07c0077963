"""Names of token ids, a tokenizer over them, and the languages as plain data: what a reader of an export needs."""

from typing import Any

from mothello.config import plain
from mothello.languages.language import PAD, Language
from mothello.languages.language_set import LanguageSet
from mothello.languages.traits import Traits
from mothello.othello.board import Board
from mothello.othello.notation import move_name

SIGN = "mothello languages"
PAD_NAME = "<pad>"


def token_names(language_set: LanguageSet) -> list[str]:
    """The name of every id that the model reads: padding, the languages' tokens, special tokens.

    A token has the name of the first language that writes it: ``atomic_0.c2`` writes c2, ``split_0.c2_1`` is the first
    token of a longer word for it, ``compositional_0.c`` is in every word of column c, and ``atomic_0.t17`` in words of
    several moves, such as a marker.
    """
    names = [PAD_NAME] + [""] * (language_set.vocabulary_size - 1)
    for language in language_set.languages:
        uses: dict[int, list[tuple[int, int, int]]] = {}
        for spelling, word in enumerate(language.words):
            for part, token in enumerate(word):
                uses.setdefault(token, []).append((spelling % language.n_moves, part, len(word)))
        for token in sorted(uses):
            if not names[token]:
                name = f"{language.name}.{_called(uses[token], language_set.board)}"
                names[token] = f"{language.name}.t{token}" if name in names or name.endswith(".") else name
    return names + [f"<{name}>" for name in language_set.special_tokens]


def _called(uses: list[tuple[int, int, int]], board: Board) -> str:
    """What a token stands for: a move, a part of a move's word, a column or a row; empty for anything else."""
    moves, parts = {move for move, _, _ in uses}, {part for _, part, _ in uses}
    squares = [move_name(board, move) for move in sorted(moves)]
    if len(moves) == 1:
        return squares[0] if max(length for *_, length in uses) == 1 else f"{squares[0]}_{min(parts) + 1}"
    columns, rows = {square[0] for square in squares}, {square[1] for square in squares}
    return columns.pop() if len(columns) == 1 else rows.pop() if len(rows) == 1 else ""


def text_of(tokens: list[int], names: list[str]) -> str:
    """Token ids as the text that the tokenizer reads, up to the padding."""
    return " ".join(names[token] for token in tokens if token != PAD)


def languages_content(language_set: LanguageSet) -> dict[str, Any]:
    """What languages.json holds: the board, every language's words as token names, and the classes of the head."""
    names, board = token_names(language_set), language_set.board
    moves = [move_name(board, move) for move in range(board.n_moves)]
    unified = language_set.output_size != language_set.vocabulary_size
    linked = [[[language_set.names[index], moves[move]] for index, move in link] for link in language_set.links]
    return {
        "format": SIGN, "version": 1, "board": board.name, "moves": moves,
        "start": {"black": _squares(board.start[0]), "white": _squares(board.start[1])},
        "output": str(language_set.output), "classes": moves if unified else names[: language_set.output_size],
        "languages": [_language(one, moves, names) for one in language_set.languages], "anchors": linked,
    }  # fmt: skip


def _squares(bits: int) -> list[str]:
    return ["abcdefgh"[i % 8] + str(i // 8 + 1) for i in range(64) if bits >> i & 1]


def _language(language: Language, moves: list[str], names: list[str]) -> dict[str, Any]:
    """words: every way to write each move, as token names."""
    words = {
        move: [[names[token] for token in word] for word in language.spellings(index)]
        for index, move in enumerate(moves)
    }
    traits = {} if language.traits == Traits() else {"traits": plain(language.traits)}
    return {"name": language.name, "kind": language.kind, **traits, "words": words}


def build_tokenizer(language_set: LanguageSet) -> Any:
    """A fast tokenizer of transformers: words between blanks are token names; a name that it does not know is an
    error."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    names = token_names(language_set)
    tokenizer: Any = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    special = {f"{name}_token": f"<{name}>" for name in language_set.special_tokens if name == "mask"}
    more = [f"<{name}>" for name in language_set.special_tokens if name != "mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD_NAME, additional_special_tokens=more, padding_side="right",
        model_max_length=language_set.max_tokens, clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"], **special,
    )  # fmt: skip
