"""Page sizes and tokens."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from profile_service.errors import InvalidPageSizeError, InvalidPageTokenError
from profile_service.paging import page_size, read_token, write_token


def test_a_size_of_zero_is_the_default() -> None:
    """Sizes go from 1 to 1000, 0 means 100, and what is above is 1000."""
    assert [page_size(size) for size in (0, 1, 1000, 1001, 2**31 - 1)] == [100, 1, 1000, 1000, 1000]


def test_a_negative_size_is_refused() -> None:
    """A negative size is refused."""
    with pytest.raises(InvalidPageSizeError):
        page_size(-1)


def test_a_token_gives_its_entry_back() -> None:
    """What was written for a list is read for that list."""
    token = write_token("sites/a", "sites/a/groups/g")
    assert read_token("sites/a", token) == "sites/a/groups/g"


def test_a_token_belongs_to_one_list() -> None:
    """The token of one list is none of another."""
    with pytest.raises(InvalidPageTokenError):
        read_token("sites/b", write_token("sites/a", "sites/a/groups/g"))


@given(st.text())
def test_what_is_no_token_is_refused(token: str) -> None:
    """A text that was never a token is refused, unless it is empty: the first page."""
    assume(token)
    for listed in ("", "sites/a"):
        with pytest.raises(InvalidPageTokenError) as caught:
            read_token(listed, token)
        assert caught.value.field == "page_token"


@given(st.text())
def test_a_made_up_token_holds_nothing_but_printable_text(entry: str) -> None:
    """An entry that no list has given is refused, or is text that a query can take."""
    token = write_token("sites/a", entry)
    if entry.isascii() and entry.isprintable():
        assert read_token("sites/a", token) == entry
    else:
        with pytest.raises(InvalidPageTokenError):
            read_token("sites/a", token)
