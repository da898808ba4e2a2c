"""Words of everyday English: they stay as they stand in a sentence, and are nobody's name."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


def cleaned(text: str, *names: str) -> str:
    """Returns what stays of a text of a file with these names."""
    identity = Identity()
    identity.harmless = vocabulary().terms
    for name in names:
        identity.add_name(name)
    return clean(text, vocabulary(), identity)


@pytest.mark.parametrize(
    "text",
    [
        "Slipped on wet floorboards while carrying groceries",
        "the patient squeezed the rubber bulb twice and shivered",
        "the machine stopped midway, resent everything afterwards",
        # Where a sentence begins a word that is no noun shows itself by the next.
        "Stumbled over a doorstep. Screamed when lifted",
        # In capitals what is no noun stays.
        "UNABLE TO TOLERATE, STOPPED PREMATURELY, SHIVERED",
        "RT KNEE: WHIMPERED, 2 views",
        # And every word, where all of the text is in capitals, of those that few are called by.
        "SLIPPED ON WET FLOORBOARDS WITH GROCERIES",
        "TALLER THAN WIDE, IN KEEPING WITH IT",
        # What people are called by, too, beside what is known.
        "allergic to walnuts and honey, hit by a car door",
        "seven days ago, keeps falling",
    ],
)
def test_stays(text: str) -> None:
    """A sentence that says nothing about anybody stays as it is."""
    assert cleaned(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # Written as a name, a noun may be one: of a company, a ward, a person.
        ("Fell in Groceries yesterday", "Fell in yesterday"),
        ("GROCERIES CT CHEST today", "CT CHEST today"),
        ("CT chest Groceries", "CT chest"),
        # Three letters in capitals are somebody's initials.
        ("CT CHEST IRK", "CT CHEST"),
        # Of two words nobody sees how they are written.
        ("GROCERIES CHEST", "CHEST"),
        # What many people are called by, too, is in capitals no word.
        ("BAKER CT CHEST, BAKER", "CT CHEST"),
        # In small letters it is called so by what stands behind it.
        ("transferred from doorstep hospital today", "transferred from today"),
        ("seen in groceries medical centre", "seen in medical centre"),
        ("FELL AT WHIMPERING SCHOOL", "FELL AT SCHOOL"),
        ("works for groceries, employed by DOORSTEP", "works for employed by"),
        # And beside what is not known, where somebody is called so.
        ("met walnuts zyxwick there", "met there"),
        ("fell at doorstep zyxwick today", "fell at today"),
        # What begins no sentence, or is followed by no word of one.
        ("Whimpering Zyxwick seen", "seen"),
    ],
)
def test_goes(text: str, left: str) -> None:
    """A word that may be somebody's or something's name by how it is written goes."""
    assert cleaned(text) == left


@pytest.mark.parametrize("name", ["Honey^Ann", "Shivered^Ann", "Floorboard^Ann"])
def test_of_the_file(name: str) -> None:
    """A word that somebody in the file is called by never stays."""
    word = name.partition("^")[0].lower()

    assert cleaned(f"the {word} of today", name) == "the of today"
    assert cleaned(f"{word.title()} at once", name) == "at once"
    assert cleaned(f"KNEE {word.upper()}", name) == "KNEE"


def test_table() -> None:
    """Its words are no terms, and no names of people or places but those that are marked."""
    words = vocabulary()

    assert words.everyday.isdisjoint(words.terms)
    assert words.any_case < words.everyday
    assert words.any_case.isdisjoint(words.names)
    assert {"floorboards", "shivered", "walnuts", "savour"} <= words.everyday
    assert {"shivered", "halfway"} <= words.any_case
    assert not {"floorboards", "irk"} & words.any_case
    assert {"baker", "taller"} <= words.names
    assert words.seldom < words.everyday & words.names
    assert "taller" in words.seldom
    assert "baker" not in words.seldom
    assert not {"smith", "johnson", "street", "miss", "boston", "orlando"} & words.everyday
