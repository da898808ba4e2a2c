"""What no rule addresses is in the output byte for byte; what one does is what it says."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.support.engine.every_way import every_way, plan_of
from tests.support.engine.expectation import assert_equals, expected
from tests.support.engine.files import ALL_FILES, DICOM_FILES, name_of
from tests.support.engine.profiles import PROFILES, compiled
from tests.support.engine.walk import UnreadableError, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.engine.walk import Element

# Files that a profile cannot be applied to, and why.
REJECTED = {
    # Its Study Date is in the form of ACR-NEMA, with dots.
    ("ExplVR_BigEnd.dcm", "twelve rules"): "VALUE_NOT_TRANSFORMABLE",
}

# Media directories have offsets that must change: their tests are elsewhere.
FILES = [path for path in DICOM_FILES if not path.name.startswith("DICOMDIR")]

_OWN_META = {0x00020000, 0x00020012, 0x00020013}


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_a_blank_profile_changes_nothing(path: Path) -> None:
    """With a blank profile any bytes come out as they came in."""
    data = path.read_bytes()

    outcome = every_way(data, plan_of())

    assert outcome.output == data
    assert outcome.error is None


@pytest.mark.parametrize("profile_name", PROFILES)
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_what_a_rule_addresses_changes(path: Path, profile_name: str) -> None:
    """At every depth the output has what the profile says, and else what the input has."""
    data = path.read_bytes()
    profile, plan = compiled(profile_name)
    outcome = every_way(data, plan)
    if outcome.error is not None:
        assert outcome.error[0] == _expected_rejection(path, data, profile_name), outcome.error
        return
    before = read_file(data)

    after = read_file(outcome.output)

    assert_equals(expected(before.elements, before.syntax, profile), after.elements)
    assert after.preamble == _cleared(before.preamble)
    assert after.syntax == before.syntax or not after.elements
    _assert_meta(before.meta, after.meta)


def _cleared(preamble: bytes) -> bytes:
    return preamble and preamble[-4:].rjust(len(preamble), b"\0")


def _assert_meta(before: list[Element], after: list[Element]) -> None:
    if not before:
        assert not after
        return
    old = {each.tag: each for each in before}
    new = {each.tag: each for each in after}
    assert sorted(new) == sorted(old.keys() | _OWN_META)
    for tag in new.keys() - _OWN_META - {0x00020003}:
        assert new[tag].raw == old[tag].raw
    (length,) = struct.unpack("<I", new[0x00020000].value)
    assert length == sum(len(each.raw) for each in after) - len(new[0x00020000].raw)


def _expected_rejection(path: Path, data: bytes, profile_name: str) -> str | None:
    try:
        read_file(data)
    except UnreadableError:
        return "TRUNCATED" if "truncated" in path.name else "NOT_DICOM"
    return REJECTED.get((path.name, profile_name))
