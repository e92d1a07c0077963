"""Allocation of token ids: each language gets a range of its own, then anchors make languages share ids."""

from collections.abc import Sequence

from mothello.errors import UserError
from mothello.languages.anchors import Member, Sharing
from mothello.languages.language import PAD

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
            for one, other in zip(source, target, strict=True):
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


def compact(words: Sequence[Words]) -> tuple[list[Words], int]:
    """Renumber the ids in their order without holes; anchors leave some ids unused. PAD stays 0."""
    used = sorted({token for table in words for word in table for token in word})
    new = {token: index for index, token in enumerate(used, start=PAD + 1)}
    return [[tuple(new[token] for token in word) for word in table] for table in words], len(used) + 1
