"""The dictionaries of pydicom say the same with and without the rest of it."""

from __future__ import annotations

import subprocess
import sys

from pydicom import datadict
from pydicom._private_dict import private_dictionaries

from deid_service.engine.encoding.dictionary import keyword_of, private_vr_of, vr_of
from profile_service.language.dictionaries import DICOM, PRIVATE, REPEATERS, private_vr


def told(tag: int) -> tuple[str, str] | None:
    """Returns what pydicom says of the VR and the keyword of an element."""
    try:
        return datadict.dictionary_VR(tag), datadict.dictionary_keyword(tag)
    except KeyError:
        return None


def told_of_private(tag: int, creator: str) -> str | None:
    """Returns what pydicom says of the VR of a private element."""
    try:
        return datadict.private_dictionary_VR(tag, creator)
    except KeyError:
        return None


def test_public_elements() -> None:
    """Each element, each of a range, and their neighbours have the keyword that pydicom gives."""
    ranges = [int(key.replace("x", digit), 16) for key in REPEATERS for digit in "02468ACEF"]
    near = {tag + off for tag in [*DICOM, *ranges] for off in (0, 1, 0x20000)}
    tags = {tag for tag in near if tag < 2**32}
    assert len(tags) > 10_000

    for tag in tags:
        pydicoms = told(tag)
        assert keyword_of(tag) == ((pydicoms and pydicoms[1]) or None), hex(tag)
        if pydicoms is not None and not tag >> 16 & 1 and tag & 0xFFFF:
            assert vr_of(tag)[:2] in pydicoms[0], hex(tag)
        if pydicoms is None and tag & 0xFFFF and not tag >> 16 & 1:
            assert vr_of(tag) == "UN", hex(tag)


def test_private_elements() -> None:
    """Each element of each creator has the VR that pydicom gives, in any block."""
    assert private_dictionaries is PRIVATE
    counted = 0
    for creator, entries in PRIVATE.items():
        for key in entries:
            tag = int(key.replace("x", "1"), 16)
            assert private_vr(tag, creator) == told_of_private(tag, creator), (hex(tag), creator)
            counted += private_vr(tag, creator) is not None
    assert counted > 5000
    assert private_vr(0x00091001, "NOBODY") is None
    assert private_vr_of(0x0029, "SIEMENS CSA HEADER", 0x10) == "OB"


def test_the_rest_of_pydicom_is_not_loaded() -> None:
    """A command that de-identifies starts without readers and decoders, and shares the tables."""
    code = """
import sys
import deid_service.cli.apply
assert "pydicom" not in sys.modules
from profile_service.language.dictionaries import DICOM
import pydicom.datadict
assert pydicom.datadict.DicomDictionary is DICOM
"""

    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
