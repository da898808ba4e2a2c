"""Reads `words`: what an institution knows of its own texts.

An extension of the language. Long or secret lists do not belong into a profile's text, which
names tables instead: of words (`remove-from`) and of names of people (`remove-names-from`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from profile_service.language.codes import Code
from profile_service.language.document import MapNode, Scalar
from profile_service.language.lookups import TABLE_NAME
from profile_service.language.model import LISTED_WORDS, NAMES, Column, Words
from profile_service.language.values import Table

if TYPE_CHECKING:
    from profile_service.language.document import Node

WORDS: Final = "words"

_KEEP, _REMOVE = "keep", "remove"

# Which tables are lists, and of what.
_LISTS: Final = {"remove-from": LISTED_WORDS, "remove-names-from": NAMES}

_KEYS: Final = (_KEEP, _REMOVE, *_LISTS)

# Of either kind.
_MAX_LISTS: Final = 16

# More than anybody reads through; of the length of a text that most elements hold.
_MAX_WORDS: Final = 1000
MAX_CHARACTERS: Final = 64

# A cleaned text keeps phrases of up to four words.
_MAX_PHRASE: Final = 4

_WORD: Final = re.compile(r"[^\W_]+")


def read_words(dicom: Table) -> Words:
    """Reads the mapping `words` of the section; what is wrong is noted."""
    node = dicom.value(WORDS)
    if node is None:
        return Words()
    if not isinstance(node, MapNode):
        dicom.report(
            Code.WRONG_TYPE, WORDS, f"'words' takes a mapping of some of {', '.join(_KEYS)}."
        )
        return Words()
    table = Table(node, dicom.at(WORDS), dicom.problems)
    for key in table:
        if key not in _KEYS:
            table.report_unknown(Code.UNKNOWN_SETTING, key, "a key of 'words'", _KEYS)
    kept = (" ".join(_WORD.findall(text.lower())) for text in _read(table, _KEEP, _MAX_PHRASE))
    removed = _read(table, _REMOVE, MAX_CHARACTERS)
    lists = {
        Column(name, column) for key, column in _LISTS.items() for name in _read_names(table, key)
    }
    return Words(tuple(sorted(set(kept))), tuple(sorted(set(removed))), tuple(sorted(lists)))


def _read_names(table: Table, key: str) -> list[str]:
    """Reads the names of tables."""
    nodes = table.items(key, "names of tables")
    names = [node.text for node in nodes if isinstance(node, Scalar) and not node.is_null]
    if (
        len(names) < len(nodes)
        or len(names) > _MAX_LISTS
        or not all(map(TABLE_NAME.fullmatch, names))
    ):
        table.report(
            Code.OUT_OF_RANGE,
            key,
            f"'{key}' takes the names of at most {_MAX_LISTS} tables, which are named like "
            "containers: small letters, digits, and . _ - between them.",
        )
        return []
    return names


def _read(table: Table, key: str, most: int) -> list[str]:
    nodes = table.items(key, "words and phrases")
    texts = [text for node in nodes if (text := _text_of(node, most))]
    if len(texts) < len(nodes) or len(texts) > _MAX_WORDS:
        table.report(
            Code.OUT_OF_RANGE,
            key,
            f"'{key}' takes at most {_MAX_WORDS} texts of 2 to {MAX_CHARACTERS} characters and "
            f"one to {most} words.",
        )
        return []
    return texts


def _text_of(node: Node, most: int) -> str:
    """Returns a text that can be looked for; "" for what is none."""
    text = node.text.strip() if isinstance(node, Scalar) and not node.is_null else ""
    return text if is_fit(text, most) else ""


def is_fit(text: str, most: int = MAX_CHARACTERS) -> bool:
    """Whether a text can be looked for: of so many words, and neither too short nor too long."""
    return 1 < len(text) <= MAX_CHARACTERS and 0 < len(_WORD.findall(text)) <= most
