"""What a file says about its de-identification (PS3.3 C.7.1.1 and C.12.1, PS3.15 E.1.1).

With `provenance` a profile has rules of its own behind those that are written: they
say that the patient's identity was removed, by which profile, and what became of dates.
What nobody can tell from a profile is not said: whether pixels show a name, and which
options of the standard it amounts to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from profile_service.language.codes import Code
from profile_service.language.dangers import listed
from profile_service.language.model import PathSelector, ReplaceWith, Rule
from profile_service.language.reach import EXAMINATION, element_of
from profile_service.language.vr import MAX_CHARACTERS

if TYPE_CHECKING:
    from profile_service.language.model import Base
    from profile_service.language.reach import Reach
    from profile_service.language.values import Table

PROVENANCE: Final = "provenance"

BASE: Final = "base"

_PROGRAM: Final = "deid-cascade"

_BASIC: Final = "basic"

# PS3.16 CID 7050: the code for what was done, and its meaning.
_CID_7050: Final = {
    _BASIC: ("113100", "Basic Application Confidentiality Profile"),
    "clean-graphics": ("113103", "Clean Graphics Option"),
    "clean-structured-content": ("113104", "Clean Structured Content Option"),
    "clean-descriptors": ("113105", "Clean Descriptors Option"),
    "retain-longitudinal-full-dates": (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    "retain-longitudinal-modified-dates": (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    "retain-patient-characteristics": ("113108", "Retain Patient Characteristics Option"),
    "retain-device-identity": ("113109", "Retain Device Identity Option"),
    "retain-uids": ("113110", "Retain UIDs Option"),
    "retain-safe-private": ("113111", "Retain Safe Private Option"),
    "retain-institution-identity": ("113112", "Retain Institution Identity Option"),
}


def provenance_rules(
    dicom: Table, reach: Reach, name: str, digest: str, *, keeps_any: bool, leaves_some: bool
) -> tuple[Rule, ...]:
    """Returns the rules that say what was done; none where the profile asks for none.

    A base asks for it unless the profile says otherwise, or only counts what identifies.
    Notes where what they say would not be true.

    Args:
        dicom: the section.
        reach: which of the written rules select what.
        name: of the profile.
        digest: 64 hex digits for its text, as versions of profiles have it.
        keeps_any: a written rule keeps something, which the base may not.
        leaves_some: what identifies somebody in texts is only counted.
    """
    has_base = reach.base is not None
    asked = dicom.switch(PROVENANCE) if PROVENANCE in dicom else has_base and not leaves_some
    if not asked:
        return ()
    key = PROVENANCE if PROVENANCE in dicom else BASE
    left = reach.direct_left()
    if left:
        dicom.report_key(
            Code.PROVENANCE_UNTRUE,
            key,
            f"Files would say that the identity of the patient was removed, but no rule changes "
            f"{listed(left)}.",
        )
        return ()
    if leaves_some:
        dicom.report_key(
            Code.PROVENANCE_UNTRUE,
            key,
            "Files would say that the identity of the patient was removed, but 'leftovers: count' "
            "leaves it in texts.",
        )
        return ()
    path, line = dicom.at(key), dicom.key(key).line
    said = [
        (PathSelector((), element_of(keyword)), text)
        for keyword, text in (
            ("PatientIdentityRemoved", "YES"),
            ("DeidentificationMethod", "\\".join(_method(name, digest))),
            ("LongitudinalTemporalInformationModified", _dates(reach)),
        )
    ]
    if reach.base is not None and not keeps_any:
        said += _codes(reach.base)
    return tuple(
        Rule(selector=selector, action=ReplaceWith(text, insert=True), path=path, line=line)
        for selector, text in said
    )


def _codes(base: Base) -> list[tuple[PathSelector, str]]:
    """Returns De-identification Method Code Sequence, with an item for each thing done."""
    sequence = element_of("DeidentificationMethodCodeSequence")
    # What other programs have said of the file before goes: it is not known to hold still.
    said = [(PathSelector((), sequence), "")]
    for index, done in enumerate((_BASIC, *base.options)):
        value, meaning = _CID_7050[done]
        for keyword, text in (
            ("CodeValue", value),
            ("CodingSchemeDesignator", "DCM"),
            ("CodeMeaning", meaning),
        ):
            said.append((PathSelector(((sequence, index),), element_of(keyword)), text))
    return said


def _method(name: str, digest: str) -> tuple[str, ...]:
    """Returns the values of Deidentification Method: profile, its digest, and the program."""
    # In ASCII: it is written in whatever character set a file has.
    ascii_name = "".join(char for char in name if char.isascii() and char.isprintable())
    short = ascii_name.replace("\\", "/")[: MAX_CHARACTERS["LO"]].strip()
    # The last is a short one: padding to an even length must not make it too long.
    return tuple(part for part in (short, digest, _PROGRAM) if part)


def _dates(reach: Reach) -> str:
    """Returns what became of dates, as (0028,0303) says it."""
    left = len(reach.dates_left())
    if left == len(EXAMINATION):
        return "UNMODIFIED"
    return "MODIFIED" if left or reach.dates_moved() else "REMOVED"
