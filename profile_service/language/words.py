"""Reads `words`: what an institution knows of its own texts.

An extension of the language. Long or secret lists do not belong into a profile's text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from profile_service.language.codes import Code
from profile_service.language.document import MapNode, Scalar
from profile_service.language.model import Words
from profile_service.language.values import Table

if TYPE_CHECKING:
    from profile_service.language.document import Node

WORDS: Final = "words"

_KEEP, _REMOVE = "keep", "remove"

# More than anybody reads through; of the length of a text that most elements hold.
_MAX_WORDS: Final = 1000
_MAX_CHARACTERS: Final = 64

# A cleaned text keeps phrases of up to four words.
_MAX_PHRASE: Final = 4

_WORD: Final = re.compile(r"[^\W_]+")


def read_words(dicom: Table) -> Words:
    """Reads the mapping `words` of the section; what is wrong is noted."""
    node = dicom.value(WORDS)
    if node is None:
        return Words()
    if not isinstance(node, MapNode):
        dicom.report(Code.WRONG_TYPE, WORDS, "'words' takes a mapping of 'keep' and 'remove'.")
        return Words()
    table = Table(node, dicom.at(WORDS), dicom.problems)
    for key in table:
        if key not in {_KEEP, _REMOVE}:
            table.report_unknown(Code.UNKNOWN_SETTING, key, "a key of 'words'", (_KEEP, _REMOVE))
    kept = (" ".join(_WORD.findall(text.lower())) for text in _read(table, _KEEP, _MAX_PHRASE))
    removed = _read(table, _REMOVE, _MAX_CHARACTERS)
    return Words(tuple(sorted(set(kept))), tuple(sorted(set(removed))))


def _read(table: Table, key: str, most: int) -> list[str]:
    nodes = table.items(key, "words and phrases")
    texts = [text for node in nodes if (text := _text_of(node, most))]
    if len(texts) < len(nodes) or len(texts) > _MAX_WORDS:
        table.report(
            Code.OUT_OF_RANGE,
            key,
            f"'{key}' takes at most {_MAX_WORDS} texts of 2 to {_MAX_CHARACTERS} characters and "
            f"one to {most} words.",
        )
        return []
    return texts


def _text_of(node: Node, most: int) -> str:
    """Returns a text that can be looked for; "" for what is none."""
    text = node.text.strip() if isinstance(node, Scalar) and not node.is_null else ""
    is_fit = 1 < len(text) <= _MAX_CHARACTERS and 0 < len(_WORD.findall(text)) <= most
    return text if is_fit else ""
