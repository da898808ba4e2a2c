"""Texts are cleaned and swept within bounds, in scripts and forms as people write them."""

from __future__ import annotations

import re
from dataclasses import replace

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
    words = replace(vocabulary(), terms=vocabulary().terms | {"jd", "dj", "brien"})

    assert clean(f"knee {text} left", words, somebody()) == "knee left"


@pytest.mark.parametrize(
    "text",
    [
        "CT CHEST/ABD/PELVIS W CONTRAST", "ISOVUE-370", "Gadavist 7.5 mL", "FDG PET CT",
        "t2_tirm_tra_dark-fluid_3mm", "AbdRoutine  3.0  I40f", "ep2d_diff_3scan_trace_p2_TRACEW",
        "Kniegelenk links seitlich", "Echographie hépatique", "MR Enterography", "DR Chest",
        "b0 500 1000 1500", "Hodgkin's lymphoma", "known Crohn disease", "Swan-Ganz catheter",
        "CE 90ml @ 3 ml/s", "Brown tumor", "J70f  3",
    ],
)  # fmt: skip
def test_stays(text: str) -> None:
    """Protocols, sequences, agents, codes and eponyms stay as they are, space by space."""
    assert clean(text, vocabulary(), Identity()) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # A name beside what is not known, a name alone, a name in a phrase that is none.
        ("knee Zzyx Brown", "knee"), ("Brown, Zzyx: knee", "knee"), ("knee Crohn", "knee"),
        ("Hodgkin, lymphoma", "lymphoma"), ("MacLong knee", "knee"), ("DR WHITE knee", "DR knee"),
        ("knee J. Zzyx", "knee"), ("Dr. Bone, knee", "knee"), ("knee (Zzyx", "knee"),
        ("knee 555-0142-77", "knee"), ("knee 617.555.0142", "knee"), ("Mar-12-20 knee", "knee"),
        ("2020/072 knee", "knee"), ("P.O. Box 4711 knee", "knee"),
    ],
)  # fmt: skip
def test_goes(text: str, left: str) -> None:
    """Names that are words as well go beside what is not known; so do forms of contact."""
    assert clean(text, vocabulary(), Identity()) == left


def test_phrase_of_somebody() -> None:
    """What is called after somebody does not stay where somebody of that name is in the file."""
    identity = Identity()
    identity.add_name("Hodgkin^Dorothy")

    assert clean("Hodgkin lymphoma", vocabulary(), identity) == "lymphoma"


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
    words = vocabulary().terms

    assert {"chest", "contrast", "flair", "lesion", "sagittal", "schulter", "leukemia"} <= words
    assert {"isovue", "gadobutrol", "hodgkin lymphoma", "angioplasty", "sans"} <= words
    assert not {"smith", "johnson", "kowalski", "hodgkin", "crohn", "doe", "jane"} & words
    assert not {"munich", "boston", "leicester", "pittsburgh", "heidelberg"} & words
    assert vocabulary().names < words


def test_bytes() -> None:
    """What identifies is found in bytes, in one byte a character or two, at any offset."""
    somebody_else = Identity()
    somebody_else.add_name("M\u00fcller^Hans")
    for encoding in ("latin-1", "utf-8", "utf-16-le", "utf-16-be"):
        for before in (b"", b"\1"):
            value = before + " of M\u00fcller ".encode(encoding)
            assert somebody_else.may_be_in(value), (encoding, before)
    assert not somebody_else.may_be_in(bytes(range(256)) * 4)
