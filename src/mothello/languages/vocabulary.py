"""Allocation of token ids: each language gets a range of its own, then anchors make languages share ids."""

from collections.abc import Sequence

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


def _rename(words: Words, old: int, new: int) -> Words:
    return [tuple(new if token == old else token for token in word) for word in words]


def share(words: Sequence[Words], links: Sequence[Sequence[Member]], sharing: Sharing) -> list[Words]:
    """Words after the anchors are applied; every link takes the words of its first member.

    ValueError when components are to be shared between words of different lengths.
    """
    result = [list(table) for table in words]
    for link in links:
        (first, move), *others = link
        for language, linked in others:
            source, target = result[first][move], result[language][linked]
            if sharing is Sharing.move:
                result[language][linked] = source
                continue
            if len(source) != len(target) or len(source) < 2:
                raise ValueError(
                    "languages.anchors.sharing: component needs compositional languages (a column and a row token)"
                )
            for old, new in zip(target, source, strict=True):
                result[language] = _rename(result[language], old, new)
    return result


def compact(words: Sequence[Words]) -> tuple[list[Words], int]:
    """Renumber so that ids which anchors left unused leave no holes; order is kept, PAD stays 0."""
    used = sorted({token for table in words for word in table for token in word})
    new = {token: index for index, token in enumerate(used, start=PAD + 1)}
    return [[tuple(new[token] for token in word) for word in table] for table in words], len(used) + 1
