"""Links by a bilingual dictionary, some of whose entries may be missing or wrong."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Bool, Int8, Int64
from torch import Tensor

from mothello.aligners.aligner import ALIGNERS, Links, Side, one_to_one
from mothello.config import ranged
from mothello.errors import UserError
from mothello.languages.dictionary import dictionary
from mothello.languages.language_set import LanguageSet
from mothello.othello.board import Board
from mothello.othello.symmetry import move_map
from mothello.seeding import generator


class Mistake(StrEnum):
    """What a wrong entry says instead of the move's own word. uniform: the word of any other move. neighbor: of a move
    on one of the up to eight squares around it. mirror: of its image under the half turn of the board, the one symmetry
    of the opening that moves every square."""

    uniform = "uniform"
    neighbor = "neighbor"
    mirror = "mirror"


@ALIGNERS.register("dictionary")
class DictionaryAligner:
    """Links a word with its translation, where both stand in the two texts. Words that both languages write alike have
    no entry."""

    @dataclass(kw_only=True)
    class Config:
        """Coverage, mistakes and the filter."""

        name: str = "dictionary"
        coverage: float = ranged(1.0, above=0, high=1)
        """Share of moves in the dictionary; a larger share contains a smaller one."""
        wrong: float = ranged(0.0, low=0, high=1)
        """Share of its entries that are wrong; a larger share contains a smaller one. Both directions of a pair of
        languages have the same entries."""
        mistake: Mistake = Mistake.uniform
        """What a wrong entry says: the word of any other move (uniform), of a neighbor on the board (neighbor), or of
        the move half a turn of the board away (mirror)."""
        one_to_one: bool = True
        """Keep a link only where it is the only one of both its words, as published: where both moves of a homonym
        stand in a game, they have no link. false: each of them has several."""

        def __post_init__(self) -> None:
            if self.mistake is not Mistake.uniform and not self.wrong:
                raise UserError("mistake: has no effect without wrong entries (wrong); leave it out")

    reads_states = False
    games = 0

    def __init__(self, config: Config, language_set: LanguageSet, pair: tuple[int, int]) -> None:
        """UserError where no word has an entry."""
        self.config, self.translates = config, translations(config, language_set, pair)

    def fit(self, moves: Int8[Tensor, "game ply"]) -> None:
        """Nothing is learned."""

    def links(self, one: Side, other: Side) -> Links:
        """The pairs of words that have an entry."""
        self.translates = self.translates.to(one.word.device)
        found = self.translates[one.word.unsqueeze(2), other.word.unsqueeze(1)]
        return one_to_one(found) if self.config.one_to_one else found


def translations(
    config: DictionaryAligner.Config, language_set: LanguageSet, pair: tuple[int, int]
) -> Bool[Tensor, "word word"]:
    """Whether a word of the first language has the entry of a word of the second. The last row and column, those of
    word -1, have none."""
    low, high = sorted(pair)
    names = [language_set.names[index] for index in (low, high)]
    covered = dictionary(language_set, config.coverage, "coverage")[low, high].nonzero().squeeze(1)
    if not len(covered):
        raise UserError(f"coverage: no move of the dictionary is written in two ways in {' and '.join(names)}")
    said = _entries(config, covered, language_set.board, "/".join(names))
    first, second = language_set.word_id_table[[low, high]]
    form = language_set.board.n_moves * torch.arange(language_set.n_forms).unsqueeze(1)
    here, there = first[form + covered].unsqueeze(1), second[form + said].unsqueeze(0)
    table = torch.zeros(int(first.max()) + 2, int(second.max()) + 2, dtype=torch.bool)
    table[here, there] = True
    table[-1], table[:, -1] = False, False
    return table if pair == (low, high) else table.T


def _entries(
    config: DictionaryAligner.Config, covered: Int64[Tensor, " entry"], board: Board, names: str
) -> Int64[Tensor, " entry"]:
    """The move whose word each entry says. The wrong ones are the first of a fixed order of the entries."""
    count = round(config.wrong * len(covered))
    if config.wrong and not count:
        raise UserError(f"wrong: {config.wrong:g} of {len(covered)} entries is none")
    draw = generator(0, "wrong entries", board.name, names)
    order = torch.randperm(board.n_moves, generator=draw)
    wrong = order[torch.isin(order, covered)][:count]
    instead = _mistaken(config.mistake, board, draw)
    return torch.where(torch.isin(covered, wrong), instead[covered], covered)


def _mistaken(mistake: Mistake, board: Board, draw: torch.Generator) -> Int64[Tensor, " move"]:
    """Another move for every move."""
    if mistake is Mistake.mirror:
        return torch.tensor(move_map(board, "rot180"))
    square = torch.tensor(board.moves)
    place = torch.stack([square // 8, square % 8], 1)
    apart = (place.unsqueeze(0) - place.unsqueeze(1)).abs().amax(-1)
    possible = apart == 1 if mistake is Mistake.neighbor else apart > 0
    return torch.multinomial(possible.float(), 1, generator=draw).squeeze(1)
