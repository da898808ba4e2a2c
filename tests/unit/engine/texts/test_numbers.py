"""Numbers of people go from texts that stay, and those of things, sizes and versions do not."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import TextStep, clean, sweep
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


def nobody() -> Identity:
    """Returns an identity that says of nobody, and knows what words are."""
    identity = Identity()
    identity.harmless = vocabulary().terms
    return identity


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # Behind a label.
        ("PID4471823 knee", "knee"), ("Pt ID 44718, knee", "Pt , knee"), ("Acc# 4471823", ""),
        ("accession: A447182 knee", "knee"), ("Fallnummer 447182, Knie", "Knie"),
        ("HN 4471823", ""), ("NHC: 44718 rodilla", "rodilla"), ("visit 10023456", ""),
        ("病历号 447182 头颅", "头颅"), ("등록번호 4471823 복부", "복부"), ("chart #44718", ""),
        # Among words, with what stands before it, and alone.
        ("CT 4471823 knee", "CT knee"), ("knee (44718230)", "knee ( )"), ("A447182 knee", "knee"),
        ("knee: AB4471823.", "knee: AB4471823."),
        ("4471823, knee", "knee"),
    ],
)  # fmt: skip
def test_of_people(text: str, left: str) -> None:
    """They go, with their labels."""
    assert sweep(text, nobody()) == left


@pytest.mark.parametrize(
    "text",
    [
        # Of things, versions, days and lists; round, joined to something, and short.
        "PN 4471823", "Rev. 4471823", "build 44718231", "S/N 4471823", "524288 voxels",
        "knee 20190312", "knee 2000000", "knee_4471823_ax", "4471823-2 coil", "v1.4471823 knee",
        "syngo 4471823.1", "T3525SpTx", "knee 447182", "ulVersion = 4471823", "4471823",
        # Of fewer digits behind what means something else.
        "case 12, chart 3", "ID 471", "acc 2 3 4 5", "ACC 2x2x2", "MPI 4471", "HN 70 Gy",
    ],
)  # fmt: skip
def test_of_things(text: str) -> None:
    """They stay."""
    assert sweep(text, nobody()) == text


def test_of_codes_and_cleaned_texts() -> None:
    """A code stays as a whole; a cleaned text keeps no letter of a number."""
    code = TextStep("leftover", keeps_known=False, needs_value=False, is_code=True)

    assert sweep("113091000", nobody(), code) == "113091000"
    assert clean("A4471823 knee", vocabulary(), nobody()) == "knee"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("nursing home in Little Rock", "nursing home in"),
        ("LONG BEACH knee", "knee"),
        ("Palm Beach, Cherry Hill", ""),
        ("little rocking, long branch", "little rocking, long branch"),
    ],
)
def test_towns_of_two_words(text: str, left: str) -> None:
    """Towns whose words are in the vocabulary go as a whole."""
    assert sweep(text, nobody()) == left
