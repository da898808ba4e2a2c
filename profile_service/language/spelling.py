"""Reads how a pseudonym is written, and says which VRs can hold it."""

from __future__ import annotations

import re
from typing import Final

from profile_service.language.codes import Code
from profile_service.language.model import Spelling
from profile_service.language.values import Table
from profile_service.language.vr import BINARY_NUMBERS, BYTES_OR_ITEMS, problem

# Digits and capital letters but for those that are taken for another: legal in every VR
# that holds words (AE, CS, LO, PN, SH, ...).
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 16

# So many of all are taken from 256 bits without any being likelier than others.
_MAX_LENGTH: Final = 32

# Among so many patients, two are to be alike less often than once in a million: with n
# pseudonyms of N, that is about n * n / 2N.
_PATIENTS: Final = 10_000_000
_LEAST: Final = _PATIENTS * _PATIENTS // 2 * 1_000_000

# What may part the values of an element, or the parts of a name, or is no character that
# is seen.
_ALPHABET: Final = re.compile(r"[!-~]+", re.ASCII)
_NOT_IN_ALPHABET: Final = frozenset("\\^=")

# VRs whose values say who somebody is as a text.
NO_TEXT: Final = BYTES_OR_ITEMS | BINARY_NUMBERS


def read_spelling(table: Table) -> Spelling | None:
    """Reads `alphabet` and `length` of a rule; what is wrong is noted."""
    alphabet = table.text("alphabet") if "alphabet" in table else ALPHABET
    length = table.whole("length", 1, _MAX_LENGTH) if "length" in table else LENGTH
    if alphabet is None or length is None:
        return None
    is_legal = _ALPHABET.fullmatch(alphabet) and not _NOT_IN_ALPHABET & set(alphabet)
    if not is_legal or len(set(alphabet)) < max(len(alphabet), 2):
        table.report(
            Code.PSEUDONYM_ALPHABET,
            "alphabet",
            "'alphabet' takes two or more ASCII characters, each once, without spaces and "
            "without \\, ^ and =, which part values and names.",
        )
        return None
    if len(alphabet) ** length < _LEAST:
        needed = next(n for n in range(1, 67) if len(alphabet) ** n >= _LEAST)
        longer = f"length: {needed}" if needed <= _MAX_LENGTH else ""
        table.report(
            Code.PSEUDONYM_TOO_SHORT,
            "length" if "length" in table else "alphabet",
            f"Of 10 million patients two would have the same pseudonym more often than once in a "
            f"million: {length} of {len(alphabet)} characters are too few.",
            longer,
        )
        return None
    return Spelling(alphabet, length)


def spelling_problem(vr: str, spelling: Spelling) -> str | None:
    """Says why a VR cannot hold a pseudonym; of UI and what holds no text it is no matter."""
    if vr == "UI" or vr in NO_TEXT:
        return None
    reasons = (problem(vr, character) for character in spelling.alphabet)
    found = next((reason for reason in reasons if reason is not None), None)
    return found or problem(vr, spelling.alphabet[0] * spelling.length)
