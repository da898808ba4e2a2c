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
    from profile_service.language.reach import Reach
    from profile_service.language.values import Table

PROVENANCE: Final = "provenance"

_PROGRAM: Final = "deid-cascade"


def provenance_rules(dicom: Table, reach: Reach, name: str, digest: str) -> tuple[Rule, ...]:
    """Returns the rules that say what was done; none where the profile asks for none.

    Notes where what they say would not be true.

    Args:
        dicom: the section.
        reach: which of the written rules select what.
        name: of the profile.
        digest: 64 hex digits for its text, as versions of profiles have it.
    """
    if PROVENANCE not in dicom or not dicom.switch(PROVENANCE):
        return ()
    left = reach.direct_left()
    if left:
        dicom.report_key(
            Code.PROVENANCE_UNTRUE,
            PROVENANCE,
            f"Files would say that the identity of the patient was removed, but no rule changes "
            f"{listed(left)}.",
        )
        return ()
    said = {
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "\\".join(_method(name, digest)),
        "LongitudinalTemporalInformationModified": _dates(reach),
    }
    return tuple(
        Rule(
            selector=PathSelector((), element_of(keyword)),
            action=ReplaceWith(text, insert=True),
            path=dicom.at(PROVENANCE),
            line=dicom.key(PROVENANCE).line,
        )
        for keyword, text in said.items()
    )


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
