"""Pages of lists: sizes and tokens.

A token says after which entry the next page begins. It is written so that nobody
reads a meaning into it, and holds nothing but names that its holder has seen: one
that was made up reaches no entry that a name of the caller's would not reach.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from profile_service.errors import InvalidPageSizeError, InvalidPageTokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Entry = TypeVar("Entry")

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

# The largest number that an entry can have: bigint.
MAX_NUMBER = 2**63 - 1


def page_size(size: int) -> int:
    """Returns how many entries a page has: no more than the maximum (google.aip.dev/158).

    Raises:
        InvalidPageSizeError: the size is negative.
    """
    if size < 0:
        raise InvalidPageSizeError("page_size", "must not be negative.")
    return min(size, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def write_token(listed: str, last: str) -> str:
    """Returns the token of the page that begins after an entry.

    Args:
        listed: what is listed, so that the token of one list is none of another.
        last: the last entry of the page before.
    """
    return base64.urlsafe_b64encode(f"{listed}\n{last}".encode()).decode()


def read_token(listed: str, token: str) -> str:
    """Returns the entry after which a page begins; the empty text for the first page.

    Raises:
        InvalidPageTokenError: the token is not one of this list.
    """
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_token() from None
    found, separator, last = text.partition("\n")
    if not separator or found != listed or not last.isascii() or not last.isprintable():
        raise invalid_token()
    return last


def read_number(listed: str, token: str) -> int:
    """Returns the number of the entry after which a page begins; 0 for the first page.

    Args:
        listed: what is listed.
        token: of the page.

    Raises:
        InvalidPageTokenError: the token is not one of this list.
    """
    last = read_token(listed, token) or "0"
    if not last.isdecimal() or int(last) > MAX_NUMBER:
        raise invalid_token()
    return int(last)


def cut(
    found: Sequence[Entry], size: int, listed: str, last: Callable[[Entry], str]
) -> tuple[Sequence[Entry], str]:
    """Returns a page, and the token of the next one; the empty text where there is none.

    Args:
        found: the entries of the page, and one more where there is a next page.
        size: how many entries a page has.
        listed: what is listed.
        last: how a token names an entry.
    """
    page = found[:size]
    return page, write_token(listed, last(page[-1])) if len(found) > size else ""


def invalid_token() -> InvalidPageTokenError:
    """Returns the error for a token that is none of a list."""
    return InvalidPageTokenError("page_token", "must be the next_page_token of this list.")
