"""Texts are cleaned and swept within bounds, in scripts and forms as people write them."""

from __future__ import annotations

import re

import pytest

from deid_service.engine.rules.identity import Identity
from deid_service.engine.rules.texts import MAX_CHARACTERS, clean, sweep
from profile_service.language.standard import vocabulary


def somebody() -> Identity:
    """Returns what identifies Jane Doe."""
    identity = Identity()
    identity.add_name("Doe^Jane^Mary")
    identity.add_name("O'Brien-Müller^Sean")
    identity.add_number("PAT12345")
    identity.add_number("12")
    identity.add_phrase("St. Mary Hospital")
    identity.add_date("19700203")
    return identity


@pytest.mark.parametrize(
    "form",
    [
        "Doe", "DOE", "doe, jane", "Jane Doe", "DOE^JANE", "Doe_Jane", "janedoe", "Mary",
        "Brien", "MUELLER", "Muller", "müller", "pat12345", "st. mary hospital",
        "19700203", "1970-02-03", "03.02.1970", "3.2.1970", "02/03/1970", "2/3/1970", "03/02/70",
        "3 Feb 1970", "03-FEB-1970", "February 3, 1970", "3. February 1970",
    ],
)  # fmt: skip
def test_forms(form: str) -> None:
    """What identifies is found as a word of its own, wherever it stands, every time."""
    for text, left in (
        (f"CT {form} knee {form}", ["CT", "knee"]),
        (f"{form}: CT", ["CT"]),
        (f"({form})", []),
    ):
        assert re.findall(r"\w\w+", sweep(text, somebody())) == left


@pytest.mark.parametrize("text", ["DOES", "overdoe", "12 slices", "MARYLAND", "PAT123456", "1970"])
def test_others(text: str) -> None:
    """What only looks alike stays: parts of words, short numbers."""
    assert sweep(text, somebody()) == text


@pytest.mark.parametrize("text", ["JD", "dj", "Brien", "pat12345", "12345678"])
def test_never_kept(text: str) -> None:
    """A cleaned text has no initials, names or identifiers, whatever a vocabulary has."""
    words = vocabulary() | {"jd", "dj", "brien"}

    assert clean(f"knee {text} left", words, somebody()) == "knee left"


@pytest.mark.parametrize(
    "text",
    ["a" * 65_000, "1 " * 32_000, "doe " * 16_000, "x@" * 30_000, "1(" * 30_000, "\\\\" * 30_000],
)
def test_long_texts(text: str) -> None:
    """Texts that were made to take long are answered, and nothing that identifies stays."""
    assert "doe" not in clean(text, vocabulary(), somebody()).lower()
    assert "doe" not in sweep(text, somebody()).lower()


def test_too_long_a_text() -> None:
    """Of a text that nobody could have read nothing stays."""
    assert clean("knee " * MAX_CHARACTERS, vocabulary(), somebody()) == ""


def test_vocabulary() -> None:
    """The vocabulary has words of imaging and of medicine, and no names of people."""
    words = vocabulary()

    assert {"chest", "contrast", "flair", "lesion", "sagittal", "schulter", "leukemia"} <= words
    assert not {"smith", "johnson", "kowalski", "hodgkin", "crohn", "doe", "jane"} & words


def test_bytes() -> None:
    """What identifies is found in bytes, in one byte a character or two, at any offset."""
    somebody_else = Identity()
    somebody_else.add_name("M\u00fcller^Hans")
    for encoding in ("latin-1", "utf-8", "utf-16-le", "utf-16-be"):
        for before in (b"", b"\1"):
            value = before + " of M\u00fcller ".encode(encoding)
            assert somebody_else.may_be_in(value), (encoding, before)
    assert not somebody_else.may_be_in(bytes(range(256)) * 4)
