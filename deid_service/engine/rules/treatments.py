"""What a base does to elements that no rule selects."""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.dictionary import private_vr_of, vr_of
from deid_service.engine.encoding.tags import PIXEL_DATA, is_group_length, is_private
from deid_service.engine.encoding.values import OPAQUE_VRS
from deid_service.engine.rules.fits import CHARACTERS, FITS
from deid_service.engine.rules.selection import is_told_by_tag, selects
from profile_service.language.model import (
    Base,
    Choice,
    Keep,
    Needs,
    PrivateElement,
    Remove,
    Sweep,
    Treatment,
)

# In these, what identifies somebody is looked for where they stay.
_SWEPT: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_SWEPT_PRIVATE: Final = frozenset({"OB", "UN"})
_SWEPT_TEXT: Final = Treatment(Sweep(), "dummy")
_SWEPT_KEPT: Final = Treatment(Sweep(by_form=False), "dummy")
_SWEPT_CODE: Final = Treatment(Sweep(is_code=True), "dummy")
_SWEPT_BYTES: Final = Treatment(Sweep(), "remove")

# Of concepts (PS3.16 8), as terminologies and institutions number them, and of files of a medium.
_CODES: Final = frozenset({0x00080100, 0x00080119, 0x00041500})

# In these, which hold no text, it is looked whether they do. Not in binary numbers of public
# elements that are those, nor in numbers of items: of frames there are thousands.
_LOOKED_AT: Final = Treatment(Sweep(whole=True), "empty")
_LOOKED_AT_PRIVATE: Final = Treatment(Sweep(whole=True), "remove")

# PS3.5 7.4.3: type 2.
_MAY_BE_EMPTY: Final = 2

_PRIVATE_GOES: Final = Treatment(Remove())


class Treatments:
    """What a base does in files of one kind."""

    def __init__(self, base: Base, needs: Needs | None) -> None:
        """Takes a base as it is.

        Args:
            base: of the profile.
            needs: what the IOD of the files needs; None where that is not known.
        """
        self._base = base
        self._needs = needs

    def is_told_by_tag(self, tag: int) -> bool:
        """Whether what is done to an element does not depend on its VR."""
        if is_told_by_tag(tag) or (is_private(tag) and not self._base.private):
            return True
        # What only a later edition of the dictionary has is of the VR that a file says.
        return self._choice_by_tag(tag) is not None and vr_of(tag) != "UN"

    def of(self, element: tuple[int, str | None], vr: str, *, top: bool) -> Treatment | None:
        """Returns what is done to an element; None where that is nothing.

        Args:
            element: its tag and, for a private one, its creator.
            vr: that it is read with.
            top: it stands at the top level.
        """
        treatment = self._by_table(element, vr, top=top)
        if treatment is not None and not isinstance(treatment.action, Keep):
            return treatment
        tag = element[0]
        if is_told_by_tag(tag):
            return treatment
        if is_private(tag):
            return _of_private(element, vr, treatment)
        if vr in _SWEPT:
            if treatment is not None:
                return _SWEPT_KEPT
            return _SWEPT_CODE if tag in _CODES else _SWEPT_TEXT
        is_array = vr in OPAQUE_VRS and treatment is None and tag >> 16 != PIXEL_DATA >> 16
        is_strange = vr in FITS and vr_of(tag) not in FITS.keys() | OPAQUE_VRS
        is_number = vr in CHARACTERS and top
        return _LOOKED_AT if is_number or is_array or is_strange else treatment

    def _by_table(self, element: tuple[int, str | None], vr: str, *, top: bool) -> Treatment | None:
        base, (tag, creator) = self._base, element
        if is_group_length(tag):
            return None
        choice = self._choice_by_tag(tag)
        if choice is None and is_private(tag):
            private = PrivateElement(tag >> 16, creator or "", tag & 0xFF)
            is_safe = tag & 0xFFFF > 0xFF and private in base.private
            if not is_safe:
                return _PRIVATE_GOES
            choice = base.private[private]
        elif choice is None and vr_of(tag) == "UN":
            choice = base.strangers
        if choice is None:
            choice = None if tag in base.kinds else base.by_vr.get(vr)
        if choice is None:
            return None
        if not top and choice.items is not None:
            is_needed = self._needs is not None and self._needs.items.get(tag) == _MAY_BE_EMPTY
            return choice.present if is_needed else choice.items
        if self._needs is None:
            return choice.unknown
        match (self._needs.top if top else self._needs.items).get(tag):
            case 1:
                return choice.valued
            case 2:
                return choice.present
            case _:
                return choice.free

    def _choice_by_tag(self, tag: int) -> Choice | None:
        if is_private(tag):
            return None
        choice = self._base.elements.get(tag)
        if choice is None:
            choice = next(
                (each for element, each in self._base.ranges if selects(element, tag, None)), None
            )
        return choice


def _of_private(
    element: tuple[int, str | None], vr: str, treatment: Treatment | None
) -> Treatment | None:
    """Returns what is done to a private element that stays by what a table says of it."""
    tag, creator = element
    if vr in _SWEPT:
        listed = private_vr_of(tag >> 16, creator or "", tag & 0xFF)
        if listed in FITS:
            # Nobody has vouched for a text there.
            return _LOOKED_AT_PRIVATE
        # That an element is safe says what belongs there, not what somebody wrote.
        return _SWEPT_TEXT
    if vr in _SWEPT_PRIVATE:
        return _SWEPT_BYTES
    return _LOOKED_AT_PRIVATE if vr in FITS or vr in OPAQUE_VRS else treatment
