"""Warnings about what a profile does that is understood, and yet leaks or breaks files.

Each says why, and what to write instead. What rules do is looked at at the top level,
where the elements stand that this is about; a pattern that takes too long is taken for
one that treats them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from profile_service.language.base import MODIFIED_DATES
from profile_service.language.checks import key_of
from profile_service.language.codes import Code
from profile_service.language.dictionary import (
    name_of,
    vrs_of,
)
from profile_service.language.lookups import ON_MISSING
from profile_service.language.model import (
    Hash,
    HashUid,
    IncrementDate,
    KeyedShift,
    Lookup,
    PathSelector,
    PrivateCreatorBlock,
    PrivateElement,
    RegexSelector,
    Remove,
    ReplaceWith,
    VrSelector,
    actions_in,
)
from profile_service.language.patterns import preceded
from profile_service.language.reach import moves, shift_of
from profile_service.language.suggest import nearest_creator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.language.model import Rule, Settings
    from profile_service.language.reach import Reach
    from profile_service.language.values import Table

    Read: TypeAlias = tuple[Rule, Table]

# PS3.3: type 1 in every composite IOD (general study, general series and SOP common
# modules), and in the modules of pixels.
_OBJECT: Final = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
)
_PIXELS: Final = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
)

# PS3.3: type 2 in every composite IOD of a patient: there, though it may be empty.
_MAY_BE_EMPTY: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "SeriesNumber",
)

# What holds UIDs that standards give, and that say what something is, not who. That no
# rule may name the class of the file itself is a matter of fitness.
_REGISTERED: Final = (
    "SOPClassUID",
    "RelatedGeneralSOPClassUID",
    "OriginalSpecializedSOPClassUID",
    "SOPClassesInStudy",
    "SOPClassesSupported",
    "ReferencedSOPClassUID",
    "ReferencedRelatedGeneralSOPClassUIDInFile",
    "ReferencedSOPClassUIDInFile",
    "ReferencedTransferSyntaxUIDInFile",
    "AvailableTransferSyntaxUID",
    "EncryptedContentTransferSyntaxUID",
    "MACCalculationTransferSyntaxUID",
    "CodingSchemeUID",
    "ContextUID",
    "MappingResourceUID",
    "ImplementationClassUID",
)

# What keeps a pattern from them.
_NOT_REGISTERED: Final = (
    "(?!.*(?:SOPClass|TransferSyntax|CodingScheme|Context|Mapping|ImplementationClass))"
)

# More of them would not be read.
_MANY: Final = 3

# VRs that hold neither a date nor a text that could be one.
_NO_DATES: Final = frozenset(("AE", "AS", "CS", "PN", "TM", "UI", "UR"))

# How soon all that a value could be is hashed, at a million in two seconds: one core.
_FALLS: Final = {
    "AS": "the ages of people are tried at once",
    "DA": "the days of a century are tried at once",
    "DT": "the minutes of a century are tried within two minutes",
    "TM": "the seconds of a day are tried at once",
    "PN": "a list of a million names is tried within seconds",
}
_NUMBERS_FALL: Final = "all numbers of seven digits are tried within half a minute"


_SAME_SHIFT: Final = (
    "The dates of all patients move by the same amount: who knows one date of anybody "
    "knows all. Use 'keyed-shift', which moves those of each patient by "
    "their own amount, or empty them where nobody needs the time between examinations."
)


def check_dangers(rules: list[Read], reach: Reach, settings: Settings, dicom: Table) -> None:
    """Notes what leaks or breaks files.

    Args:
        rules: each with the table that it was read from, in the order written.
        reach: which of them select what.
        settings: of the profile.
        dicom: the section.
    """
    for rule, table in rules:
        _check_hash(rule, table, settings)
        _check_registered(rule, table, reach)
        _check_date_on_other(rule, table)
        _check_creators(rule, table)
        _check_needed(rule, table, reach)
    _check_shifts(rules, reach, dicom)
    _check_dates_apart(rules, reach)
    _check_undefined(reach, settings, dicom)
    _check_direct(reach, dicom)


def _check_hash(rule: Rule, table: Table, settings: Settings) -> None:
    if settings.salt or not any(isinstance(action, Hash) for action in actions_in(rule.action)):
        return
    selector = rule.selector
    vrs: tuple[str, ...] = ()
    if isinstance(selector, PathSelector):
        vrs = vrs_of(selector.element)
    elif isinstance(selector, VrSelector):
        vrs = selector.vrs
    falls = _FALLS.get(vrs[0] if len(vrs) == 1 else "", _NUMBERS_FALL)
    table.report_key(
        Code.HASH_WITHOUT_SALT,
        "hash" if isinstance(rule.action, Hash) else "regex-sub",
        "Whoever has the result finds the value by hashing all that it could be, as there is no "
        f"salt: {falls}. Use 'keyed-hash', whose key stands in no profile, or set 'salt' in the "
        "'dicom' section to a long random text that stays secret.",
    )


def _check_registered(rule: Rule, table: Table, reach: Reach) -> None:
    if not isinstance(rule.action, HashUid):
        return
    hit = _selected(rule, _REGISTERED, reach)
    if not hit:
        return
    if isinstance(rule.selector, RegexSelector):
        table.report(
            Code.REGISTERED_UID_HASHED,
            "regex",
            f"The pattern selects {listed(hit[:_MANY])}{' and others' * bool(hit[_MANY:])}, whose "
            "UIDs standards give: hashed, they say nothing any more, and identify nobody as they "
            "are.",
            preceded(_NOT_REGISTERED, rule.selector.pattern.source),
        )
    else:
        table.report_key(
            Code.REGISTERED_UID_HASHED,
            "hashuid",
            f"{hit[0]} holds UIDs that standards give: hashed, they say nothing any more, and "
            "identify nobody as they are. Leave it as it is.",
        )


def _check_date_on_other(rule: Rule, table: Table) -> None:
    selector = rule.selector
    if shift_of(rule.action) is None or not isinstance(selector, PathSelector):
        return
    vrs = vrs_of(selector.element)
    if vrs and _NO_DATES.issuperset(vrs):
        table.report(
            Code.NOT_A_DATE,
            "name",
            f"{name_of(selector.element)} is {vrs[0]}, which holds no date: every file that has "
            "one is rejected. Replace it or remove it.",
        )


def _check_creators(rule: Rule, table: Table) -> None:
    selector = rule.selector
    if not isinstance(selector, PathSelector):
        return
    for element in (*(parent for parent, _ in selector.parents), selector.element):
        if not isinstance(element, PrivateElement | PrivateCreatorBlock):
            continue
        known = table.problems.guess(nearest_creator, element.creator)
        if known:
            table.report(
                Code.CREATOR_LIKE_KNOWN,
                "name",
                "A private creator is compared letter by letter, and this one is close to one "
                "that is known.",
                known,
            )


def _check_needed(rule: Rule, table: Table, reach: Reach) -> None:
    match rule.action:
        case Lookup(unlisted="remove"):
            if hit := _selected(rule, (*_OBJECT, *_PIXELS, *_MAY_BE_EMPTY), reach):
                table.report(
                    Code.NEEDED_ELEMENT,
                    ON_MISSING,
                    f"No object of a patient can do without {hit[0]} (types 1 and 2 in PS3.3), "
                    "which goes where the table says nothing.",
                    "hash",
                )
            return
        case Remove():
            needed, emptied = _selected(rule, (*_OBJECT, *_PIXELS), reach), False
            empty = _selected(rule, _MAY_BE_EMPTY, reach)
        case ReplaceWith(text=""):
            needed, emptied = _selected(rule, (*_OBJECT, *_PIXELS), reach), True
            empty = []
        case _:
            return
    key = key_of(rule.selector)
    if needed:
        table.report(
            Code.NEEDED_ELEMENT,
            key,
            f"No {'image' if needed[0] in _PIXELS else 'object'} can do without "
            f"{listed(needed)} (type 1 in PS3.3){', or with an empty one' * emptied}. Keep it; "
            "a UID can be hashed.",
        )
    if empty:
        table.report(
            Code.NEEDED_ELEMENT,
            key,
            f"Every object of a patient has {listed(empty)}, though it may be empty (type 2 in "
            "PS3.3). Empty it rather than take it out.",
            "replace-with: ''",
        )


def _check_shifts(rules: list[Read], reach: Reach, dicom: Table) -> None:
    """Notes the first shift that is the same for everybody, and the first that is random."""
    fixed = jittered = False
    base = reach.base
    if base is not None and MODIFIED_DATES in base.options and KeyedShift() not in base.keyed:
        fixed = True
        dicom.report_key(Code.SAME_SHIFT_FOR_ALL, "options", _SAME_SHIFT)
    for rule, table in rules:
        shift = shift_of(rule.action)
        if shift is None:
            continue
        key = "increment-date" if isinstance(rule.action, IncrementDate) else "increment-datetime"
        if shift.jitter is not None and not jittered:
            jittered = True
            table.report_key(
                Code.DATES_MOVED_APART,
                key,
                "With a jitter each date of each file moves by another amount: the dates of a "
                "study contradict each other, times between examinations are lost, and many files "
                "of a patient together tell the date. Use 'keyed-shift', which moves all dates of "
                "a patient by the same amount, or empty them.",
            )
        elif shift.jitter is None and shift.days and not fixed:
            fixed = True
            table.report_key(
                Code.SAME_SHIFT_FOR_ALL,
                key,
                _SAME_SHIFT,
            )


def _check_dates_apart(rules: list[Read], reach: Reach) -> None:
    moved, left = reach.dates_moved(), reach.dates_left()
    if not moved or not left:
        return
    for rule, table in rules:
        hit = _selected(rule, moved, reach) if moves(rule) else []
        if hit:
            table.report(
                Code.DATES_LEFT,
                key_of(rule.selector),
                f"{hit[0]} moves, but {listed(left)} of the same examination "
                f"{'stays' if len(left) == 1 else 'stay'}, and so "
                f"{'tells' if len(left) == 1 else 'tell'} by how much. Move or empty all of them.",
            )
            return


def _check_undefined(reach: Reach, settings: Settings, dicom: Table) -> None:
    if not settings.remove_undefined:
        return
    gone = [keyword for keyword in (*_OBJECT, *_PIXELS) if not reach.selecting(keyword)]
    if gone:
        dicom.report_key(
            Code.UNDEFINED_NEEDED,
            "remove-undefined",
            f"No rule names {listed(gone)}, which every image needs (type 1 in PS3.3): they are "
            "removed. Name each of them in a rule without an action, which keeps it.",
        )


def _check_direct(reach: Reach, dicom: Table) -> None:
    left = reach.direct_left()
    if left:
        dicom.report_key(
            Code.IDENTIFIER_LEFT,
            "fields",
            f"No rule changes {listed(left)}: whoever gets the file knows the patient. Empty "
            "what nobody needs with replace-with: '', and replace or hash the others.",
        )


def _selected(rule: Rule, keywords: Iterable[str], reach: Reach) -> list[str]:
    return [keyword for keyword in keywords if reach.selects(rule, keyword)]


def listed(keywords: list[str]) -> str:
    """Returns some words as a sentence has them."""
    *others, last = keywords
    return f"{', '.join(others)} and {last}" if others else last
