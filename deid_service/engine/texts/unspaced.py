"""What is written without spaces: the known words that letters in a row are made of.

Chinese, Japanese and, in part, Korean put words together with nothing between them
(`胸部CT`, `右膝関節正面`), and so do German and its like (`Handwurzelfraktur`) and the names of
sequences (`t2mapfs`). Nothing tells where a word ends, so each way of cutting is tried. A name
is hardly cut: its surname is no word, or a single letter that stands beside no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

# Kana, Han and Hangul; what stands between them is split off: `T2`, `10`.
_RUN: Final = re.compile("([\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+)")

# Letters of the longest word that others are made of.
_MAX_WORD: Final = 20


def runs_of(token: str) -> tuple[list[str], list[str]]:
    """Returns what of a token is in letters that are written without spaces, and the others."""
    pieces = _RUN.split(token)
    return pieces[1::2], [each for each in pieces[0::2] if each]


def is_made_of(
    run: str, words: AbstractSet[str], joints: AbstractSet[str], *, at_ends: bool = True
) -> bool:
    """Whether letters can be cut into words.

    Args:
        run: the letters, as the words are written.
        words: what they may be made of; joints, too.
        joints: those that may stand between words, and beside no other joint.
        at_ends: whether a joint may stand at the begin and at the end, too.
    """
    # The places that are reached, with a word before them or (True) with a joint.
    places = [(0, False)]
    reached = set(places)
    for begin, behind_joint in places:
        for end in range(begin + 1, min(begin + _MAX_WORD, len(run)) + 1):
            # Most are none: names come here, too.
            if run[begin:end] not in words:
                continue
            is_joint = run[begin:end] in joints
            if is_joint and (behind_joint or not (begin or at_ends)):
                continue
            if (end, is_joint) not in reached:
                reached.add((end, is_joint))
                places.append((end, is_joint))
    return bool(run) and ((len(run), False) in reached or (at_ends and (len(run), True) in reached))


def words_in(run: str, words: AbstractSet[str]) -> Iterator[str]:
    """Yields the words that stand in letters, wherever they may be cut."""
    for begin in range(len(run)):
        for end in range(begin + 1, min(begin + _MAX_WORD, len(run)) + 1):
            if run[begin:end] in words:
                yield run[begin:end]
