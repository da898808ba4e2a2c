"""Institutions are found by their letters and towns, as machines and people write them."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean, sweep
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


def of(*phrases: str, department: str = "") -> Identity:
    """Returns what identifies a file that has institutions and addresses."""
    identity = Identity()
    identity.harmless = vocabulary().terms
    for phrase in phrases:
        identity.add_phrase(phrase)
    identity.add_phrase(department, is_department=True)
    return identity


@pytest.mark.parametrize(
    ("phrase", "text", "left"),
    [
        # The s of a genitive is no word; digits, points and what the machine is stand at it.
        ("St. Zyx's Regional Medical Center", "SZRMC: CT SZRMC_knee", "CT _knee"),
        ("St. Zyx's Regional Medical Center", "szrmc-ct, SZRMCCT1 T2", "ct, 1 T2"),
        ("St. Zyx's Regional Medical Center", "S.Z.R.M.C. knee", ". knee"),
        ("St. Zyx's Regional Medical Center", "SZRM + aszrmc", "SZRM + aszrmc"),
        ("Zyxel and Women's Hospital", "ZWH, ZAWH, ZW", "ZW"),
        ("Children's Hospital of Zyx", "CHOZ, CHZ", ""),
        # Without its town, and with it.
        ("Zyxel General Hospital, Yxtown, MA", "ZGH, ZGHY1", "1"),
        ("Zyxel Clinic - Yxtown", "ZCY CT", "CT"),
        # Short words that no vocabulary has, by themselves; and what stands in parentheses.
        ("QXU Zyxel Health", "QXU head, QXUX", "head, QXUX"),
        ("Zyxel General Hospital (ZYGE)", "ZYGE head", "head"),
        ("QXMC", "QXMC head", "head"), ("QXM", "QXM1 head", "1 head"),
        ("Best Head Clinic", "head best", "head best"), ("HEAD", "head", "head"),
        # Words that are put together, and such as stay whole.
        ("Universitätsklinikum Zyxburg", "UKZ Kopf, UZ", "Kopf, UZ"),
        ("Kreiskrankenhaus Zyx Nord", "KKZN Kopf", "Kopf"),
        ("Zyxel VA Medical Center", "ZVAMC, ZVMC", ""),
        ("Zyxel Memorial", "ZM", "ZM"), ("Zyxel City Memorial", "ZCM", ""),
        # No abbreviation of an address, nor one that means something else.
        ("12 Zyxel Memorial Drive", "ZMD", "ZMD"), ("Mean Rad Imaging", "MRI", "MRI"),
        ("General Hospital of Zyx", "3 GHZ", "3 GHZ"),
        # Towns before their state and postal code; numbers of these.
        ("12 Oak Road, Reading, PA 19601", "Reading, PA; READING 19601", ""),
        ("12 Oak Road, Reading, PA 19601", "a reading, PA and lateral", "a and lateral"),
        ("12 Oak Road, Reading, PA 19601", "reading 3, pain", "reading 3, pain"),
        ("12 Oak Road, Zyxton, PA 19601", "ZYXTON19601 knee, 19601", "knee"),
        ("12 Oak Road, Zyxton, PA 19600", "119600, 9600", "119600, 9600"),
        ("University of San Zyxcisco", "at San Zyxcisco, San Marino", "at , San Marino"),
    ],
)  # fmt: skip
def test_of_the_file(phrase: str, text: str, left: str) -> None:
    """What the file's institution is called goes from texts that stay, and what is alike stays."""
    assert sweep(text, of(phrase)) == left


@pytest.mark.parametrize(
    ("department", "text", "left"),
    [
        ("Zyxel Center for Breast Imaging", "ZCBI knee", "knee"),
        ("Breast Imaging Center", "BIC knee", "BIC knee"),
        ("Mean Department of Neuro Imaging", "MDNI, MDONI", ""),
        ("Division of Neuro Imaging", "DNI knee", "DNI knee"),
    ],
)
def test_of_departments(department: str, text: str, left: str) -> None:
    """Of a department four letters and more tell which it is."""
    assert sweep(text, of(department=department)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("MGH knee", "knee"), ("UCSF_brain", "brain"), ("HUP5 PROTOCOLS", "5 PROTOCOLS"),
        ("MDACC CT", "CT"), ("Sloan-Kettering CT", "CT"), ("the Mayo Clinic, CT", "the , CT"),
        ("M.D. Anderson knee, MD Anderson knee", "M.D. Anderson knee, knee"),
        # In lower case, within a word, and what means something else.
        ("hup mgh", "hup mgh"), ("AMGH MGHA", "AMGH MGHA"), ("R-CHOP, MSK", "R-CHOP, MSK"),
        ("mass, generally; Mayo score", "mass, generally; Mayo score"),
    ],
)  # fmt: skip
def test_well_known(text: str, left: str) -> None:
    """Letters and names of well-known institutions go, whoever the file is about."""
    assert sweep(text, of()) == left


def test_cleaned() -> None:
    """A cleaned text keeps none of it."""
    identity = of("St. Zyx's Regional Medical Center", "12 Oak Road, Reading, PA 19601")

    assert clean("SZRMC knee MGH, S.Z.R.M.C.", vocabulary(), identity) == "knee"
    assert clean("knee Reading, PA", vocabulary(), identity) == "knee"
    assert clean("a reading of 3", vocabulary(), identity) == "a reading of 3"
