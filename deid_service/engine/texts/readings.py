"""What a text may have been before somebody wrote it otherwise.

Without what nobody sees; with the letters that entities, quoted-printable and bytes stand for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from deid_service.engine.texts.spelling import UNSEEN

# Quoted-printable: letters beyond ASCII, in their bytes.
_QUOTED: Final = re.compile(r"(?:=[89A-F][\dA-F])+")


def readings(text: str) -> Iterator[str]:
    """Yields a text, and what it may have been before somebody wrote it otherwise."""
    yield text
    if (other := meant(text)) != text:
        yield other
    while text := as_utf8(text):
        yield text


def meant(text: str) -> str:
    """Returns a text without what nobody sees, and with the letters that entities stand for."""
    text = text.translate(UNSEEN)
    if "&" in text and ";" in text:
        text = unescape(text)
    return _QUOTED.sub(_unquoted, text) if "=" in text else text


def _unquoted(found: re.Match[str]) -> str:
    octets = bytes.fromhex(found[0].replace("=", ""))
    try:
        text = octets.decode("utf-8")
    except UnicodeError:
        text = octets.decode("latin-1")
    # Letters are written so, and values are not: `b=800`, `TE=85`.
    return text if any(map(str.isalpha, text)) else found[0]


def as_utf8(text: str) -> str:
    """Returns what a text is that was read byte by byte, and is in UTF-8; "" for others."""
    if text.isascii():
        return ""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return ""
