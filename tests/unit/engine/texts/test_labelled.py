"""Numbers and days behind what says of what they are go from cleaned texts; the words stay."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pain began 1/19", "pain began"), ("onset 11/27, fever", "onset , fever"),
        ("onset of pain 3/14", "onset of pain"), ("injury 19/3", "injury"),
        ("surgery started on 3/14.", "surgery started on"), ("last seen 3/14", "last seen"),
    ],
)  # fmt: skip
def test_days_without_a_year(text: str, left: str) -> None:
    """The day on which something began goes."""
    assert clean(text, vocabulary(), Identity()) == left


@pytest.mark.parametrize(
    "text",
    [
        # Of fractions, of sizes and of spans; no month, and a value.
        "started 1/2 dose", "surgery 1/3 cm", "surgery 3/4 mm", "onset 3-4 days ago",
        "onset 2.5 weeks", "onset 13/14", "surgery 3/14.5", "began 3/14/7",
    ],
)  # fmt: skip
def test_no_days(text: str) -> None:
    """What only looks like one stays."""
    assert clean(text, vocabulary(), Identity()) == text
