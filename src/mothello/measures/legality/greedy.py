"""Greedy decoding of whole moves after every ply of a game at once.

A move of several tokens is decoded in as many forward passes as the longest word has tokens, not one per ply: the
tokens decoded so far hang on the game's row as branches. The branch of ply t stands at the positions that follow that
ply and attends to the game up to it and to itself, so its logits are those of the row cut off there.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mothello.data.batch import Batch
from mothello.languages.language import DEAD, ROOT
from mothello.languages.language_set import LanguageSet, OutputVocabulary
from mothello.model.edited import Model
from mothello.model.inputs import Inputs

ROWS_AT_ONCE = 256
"""Games in one pass of the model."""


class Greedy(NamedTuple):
    """The move that follows each ply, by argmax. Entry t follows move t; the last move of a game is predicted too."""

    move: Int64[Tensor, "game ply"]
    """Move index, -1 where the tokens spell none."""
    wrong_language: Bool[Tensor, "game ply"]
    """A token that the language never writes (its first bad token)."""
    malformed: Bool[Tensor, "game ply"]
    """Tokens of the language that spell no move."""
    probabilities: Float[Tensor, "game ply output"]
    """Distribution over the first token (the move itself under a unified output), full vocabulary."""


def branches(
    tokens: Int64[Tensor, "game token"], ends: Int64[Tensor, "game branch"], written: list[Tensor], n_positions: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows with branch tokens appended, their positions, and who may attend to whom.

    Each branch follows the token at its end; it reads the row up to there, and itself. written: the branches'
    tokens, one [game, branch] per depth.
    """
    (n, length), plies, device = tokens.shape, ends.shape[1], tokens.device
    tokens = torch.cat([tokens, *written], 1)
    steps = [ends + 1 + depth for depth in range(len(written))]
    base = torch.arange(length, device=device).expand(n, length)
    positions = torch.cat([base, *steps], 1).clamp(max=n_positions - 1)
    total = tokens.shape[1]
    mask = torch.zeros(n, total, total, dtype=torch.bool, device=device)
    mask[:, :length, :length] = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    own_ply = torch.eye(plies, dtype=torch.bool, device=device)
    for depth in range(len(written)):
        rows = slice(length + depth * plies, length + (depth + 1) * plies)
        mask[:, rows, :length] = base.unsqueeze(1) <= ends.unsqueeze(-1)
        for earlier in range(depth + 1):
            mask[:, rows, length + earlier * plies : length + (earlier + 1) * plies] = own_ply
    return tokens, positions, mask


def first_logits(model: Model, batch: Batch) -> Float[Tensor, "game ply output"]:
    """Logits after every ply of the games but the last."""
    ends = batch.move_ends[:, :-1].clamp(min=0)
    parts = zip(batch.tokens.split(ROWS_AT_ONCE), batch.language.split(ROWS_AT_ONCE), strict=True)
    logits = torch.cat([model(Inputs(tokens, language=language)).logits for tokens, language in parts])
    return logits.gather(1, ends.unsqueeze(-1).expand(-1, -1, logits.shape[-1])).float()


def greedy_moves(
    model: Model,
    batch: Batch,
    language_set: LanguageSet,
    language: int,
    among: int | None = None,
    first: Tensor | None = None,
) -> Greedy:
    """Decode the next move after every ply of games in one language.

    among: a language; the move is spelt in its tokens alone, which another one than the games' translates. By default
    among all tokens, in the games' language. first: the games' :func:`first_logits` where they are known. Call in eval
    mode, without gradients.
    """
    device = batch.tokens.device
    ends = batch.move_ends[:, :-1].clamp(min=0)
    logits = first_logits(model, batch) if first is None else first
    nothing = torch.zeros(ends.shape, dtype=torch.bool, device=device)
    if language_set.output is OutputVocabulary.unified:
        return Greedy(logits.argmax(-1), nothing, nothing, logits.softmax(-1))
    speaker = language if among is None else among
    own, trie = language_set.own_table[speaker].to(device), language_set.trie(speaker)
    next_state, move_at = trie.next_state.to(device), trie.move.to(device)
    probabilities = logits.softmax(-1)

    def choose(scores: Tensor) -> Tensor:
        return (scores.masked_fill(~own, -torch.inf) if among is not None else scores).argmax(-1)

    token = choose(logits)
    state, move = next_state[ROOT, token], move_at[ROOT, token]
    foreign = ~own[token]
    written: list[Tensor] = []
    for _ in range(1, language_set.languages[speaker].max_word):
        open_words = (state != DEAD) & (state != ROOT)
        if not bool(open_words.any()):
            break
        written.append(token)
        tokens, positions, mask = branches(batch.tokens, ends, written, model.n_positions)
        scores = model(Inputs(tokens, positions, mask, batch.language)).logits[:, -ends.shape[1] :].float()
        token = torch.where(open_words, choose(scores), token)
        foreign = foreign | (open_words & ~own[token])
        move = torch.where(open_words, move_at[state, token], move)
        state = torch.where(open_words, next_state[state, token], state)
    return Greedy(move, foreign, (move < 0) & ~foreign, probabilities)
