"""What comes from files and servers cannot steer a terminal."""

from __future__ import annotations

import pytest

from deid_service.cli.console import enum_word, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ünïcode 名前", "Ünïcode 名前"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    """Control characters and direction marks are written as escapes, all else as it is."""
    assert printable(text) == expected


def test_enum_values_become_words() -> None:
    """An enum value loses its prefix and its underscores."""
    assert enum_word("VERDICT_NOT_CONSULTED", "VERDICT") == "not consulted"
