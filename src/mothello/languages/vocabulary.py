"""Allocation of token ids: each language gets a range of its own, then anchors make languages share ids."""

from collections import Counter
from collections.abc import Sequence

import torch

from mothello.errors import UserError
from mothello.languages.anchors import Member, Sharing
from mothello.languages.language import PAD
from mothello.seeding import generator

Words = list[tuple[int, ...]]


def allocate(local: Sequence[Words]) -> tuple[list[Words], int]:
    """Words with ids local to each language (0, 1, ...) -> words with disjoint global ids, and the vocabulary size.

    Id 0 is PAD. A later language never moves the ids of an earlier one.
    """
    offset, words = PAD + 1, []
    for table in local:
        words.append([tuple(offset + token for token in word) for word in table])
        offset += 1 + max(token for word in table for token in word)
    return words, offset


def _share_moves(words: Sequence[Words], links: Sequence[Sequence[Member]]) -> list[Words]:
    """Every move of a link takes the word of the first move."""
    result = [list(table) for table in words]
    for (first, move), *others in links:
        for language, linked in others:
            result[language][linked] = result[first][move]
    return result


def _share_components(words: Sequence[Words], links: Sequence[Sequence[Member]]) -> list[Words]:
    """Corresponding tokens of linked words become one token, wherever they occur: the lowest id of each class."""
    name = {token: token for table in words for word in table for token in word}
    for (first, move), *others in links:
        for language, linked in others:
            source, target = words[first][move], words[language][linked]
            if len(source) != len(target) or len(source) < 2:
                raise UserError(
                    "languages.anchors.sharing: component needs compositional languages (a column and a row token)"
                )
            for one, other in zip(sorted(source), sorted(target), strict=True):  # columns, then rows
                low, high = sorted((name[one], name[other]))
                name = {token: low if root == high else root for token, root in name.items()}
    for table in words:
        own = {token for word in table for token in word}
        if len({name[token] for token in own}) < len(own):
            raise UserError("languages.anchors: two columns or rows of one language would share a token")
    return [[tuple(name[token] for token in word) for word in table] for table in words]


def share(words: Sequence[Words], links: Sequence[Sequence[Member]], sharing: Sharing) -> list[Words]:
    """Words after the anchors are applied; a link takes the tokens of its lowest-indexed language.

    UserError when components are shared between words of different lengths, or links contradict each other.
    """
    return _share_moves(words, links) if sharing is Sharing.move else _share_components(words, links)


def share_tokens(words: Sequence[Words], n_moves: int, share: float) -> list[Words]:
    """Languages whose words have several tokens take tokens of the first of them, until that share is common.

    n_moves: words of moves in each table, before synonyms and markers, which keep their tokens. Tokens are matched in a
    fixed order, so that a larger share contains a smaller one. UserError where the share cannot be reached.
    """
    result, inventories = list(words), [sorted({t for word in table[:n_moves] for t in word}) for table in words]
    long = [index for index, table in enumerate(words) if max(map(len, table[:n_moves])) > 1]
    if len(long) < 2:
        raise UserError("languages.anchors.subtokens: needs two languages with words of several tokens")
    writers = Counter(token for tokens in inventories for token in tokens)
    base, *others = ([token for token in inventories[index] if writers[token] == 1] for index in long)
    for index, own in zip(long[1:], others, strict=True):
        sizes = len(inventories[long[0]]), len(inventories[index])
        common = len(set(inventories[index]) & set(inventories[long[0]]))
        missing = round(share * min(sizes)) - common
        if not 0 < missing <= min(len(base), len(own)):
            line = f"{common} of {min(sizes)} tokens are common, {min(len(base), len(own))} more can be"
            raise UserError(f"languages.anchors.subtokens: {share:g} cannot be reached; {line}")
        name = dict(zip(_order(own, index)[:missing], _order(base, long[0])[:missing], strict=True))
        result[index] = [tuple(name.get(token, token) for token in word) for word in words[index]]
    return result


def _order(tokens: list[int], language: int) -> list[int]:
    """The tokens in one fixed order, another for every language."""
    draw = generator(0, "subtokens", language)
    return [tokens[i] for i in torch.randperm(len(tokens), generator=draw).tolist()]


def compact(words: Sequence[Words]) -> tuple[list[Words], int]:
    """Renumber the ids in their order without holes; anchors leave some ids unused. PAD stays 0."""
    used = sorted({token for table in words for word in table for token in word})
    new = {token: index for index, token in enumerate(used, start=PAD + 1)}
    return [[tuple(new[token] for token in word) for word in table] for table in words], len(used) + 1
