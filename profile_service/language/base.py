"""The protection of the standard as data that a profile stands on (PS3.15 Annex E).

What table E.1-1 and its options say becomes, for each element, a `Choice`: what is done
by what the IOD of the file needs of the element. The rules of the profile go before it.

    code     IOD needs a value  needs it there  needs nothing  is not known
    -------  -----------------  --------------  -------------  ------------
    X        dummy              emptied         goes           goes
    Z        dummy              emptied         emptied        emptied
    D        dummy              dummy           dummy          dummy
    X/Z      dummy              emptied         goes           emptied
    X/D      dummy              dummy           goes           dummy
    Z/D      dummy              emptied         emptied        dummy
    X/Z/D    dummy              emptied         goes           dummy
    X/Z/U*   stays, and the UIDs in its items become others
    U        another UID
    K        stays
    C        a date moves, a time stays with its date; of a text stays what is known to be
             harmless; sequences stay, and what is in them is treated as everywhere; of what
             else cannot be cleaned (overlays, documents), the basic action is done

X in the items of sequences goes, unless the IOD needs it there: which sequence needs a
value of it is not known. Where several options are about an element, K goes before C, but
for dates that move: one that stays beside them would tell by how much. In
what becomes dummies, UIDs become what they do everywhere, so that references stay intact.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from profile_service.language.codes import Code
from profile_service.language.dictionary import all_keywords, find_keyword, vrs_of
from profile_service.language.document import Scalar
from profile_service.language.model import (
    PATIENT_ID,
    Base,
    CapAge,
    Choice,
    Clean,
    DateShift,
    Dummy,
    Element,
    IncrementDate,
    IncrementDateTime,
    Keep,
    KeyedHash,
    KeyedShift,
    KeyedUid,
    Needs,
    Remove,
    RepeaterElement,
    ReplaceUid,
    ReplaceWith,
    Spelling,
    Treatment,
)
from profile_service.language.pseudonyms import PSEUDONYMS
from profile_service.language.spelling import ALPHABET, LENGTH
from profile_service.language.standard import (
    EDITION,
    OPTIONS,
    attributes,
    iod_needs,
    safe_private,
    vocabulary,
)
from profile_service.language.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.language.model import (
        KeyedAction,
        PrivateElement,
        Settings,
        SimpleAction,
    )
    from profile_service.language.settings import Defaults
    from profile_service.language.standard import ActionCode, Attribute, Option
    from profile_service.language.values import Table

# What `base` of a profile takes.
BASES: Final = (f"ps3.15-{EDITION}-basic",)

# Options that do nothing yet, and so must not be named.
NOT_IMPLEMENTED: Final = frozenset({"clean-pixel-data", "clean-recognizable-visual-features"})

FULL_DATES: Final = "retain-longitudinal-full-dates"
MODIFIED_DATES: Final = "retain-longitudinal-modified-dates"
_SAFE_PRIVATE: Final = "retain-safe-private"
_UIDS: Final = "retain-uids"
_CLEANS: Final = "clean-descriptors"

_FILE_META: Final = (
    0x00020016,
    0x00020017,
    0x00020018,
    0x00020026,
    0x00020027,
    0x00020028,
    0x00020100,
    0x00020102,
)

# RetrieveURL, StoredInstanceBaseURI, FolderAccessURI, FileAccessURI, StorageURL, RetrieveURI.
_WHERE: Final = (0x00081190, 0x00080407, 0x00080408, 0x00080409, 0x00404073, 0x0040E010)

# PS3.3 C.7.1.1: what is there only beside what goes (type 1C), and dates of other calendars,
# which are texts: PatientBirthDateInAlternativeCalendar, PatientDeathDateInAlternativeCalendar,
# PatientAlternativeCalendar, ResponsiblePersonRole.
_BESIDE_WHAT_GOES: Final = (0x00100033, 0x00100034, 0x00100035, 0x00102298)

# How elements are called that somebody describes something in, in words of their own; and
# those of them that programs read.
_DESCRIPTORS: Final = re.compile(
    r".*(Descriptions?|DescriptionTrial|Comments?|CommentTrial|Comments\w+|Label|Title|Explanation"
    r"|Notes|Remarks|Summary|Purpose|Rationale|Reason|ReasonFor\w+|ReasonsFor\w+"
    r"|AdditionalInformation)|TextValue|TrackingID"
)
_FOR_PROGRAMS: Final = re.compile(
    r"(PrivateDataElement|DataElement|Compression|HPGL|DCT|Transform|Histogram).*"
)
_DESCRIBING: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})

# PS3.3 C.9.2: an overlay plane is none without its data, which go.
_OVERLAYS: Final = RepeaterElement(0x60000000, 0xFF000000)

_PATIENT_AGE: Final = Element(0x00101010)

_DATE_VRS: Final = frozenset({"DA", "DT", "TM"})

_KEEP: Final = Treatment(Keep())
_GOES: Final = Treatment(Remove())
_EMPTY: Final = Treatment(ReplaceWith("", insert=False))
_DUMMY: Final = Treatment(Dummy(), "dummy")
_ANOTHER_UID: Final = Treatment(ReplaceUid(), "dummy")

_KEPT: Final = Choice.always(_KEEP)
_KEYED_UID: Final = Choice.always(Treatment(KeyedUid(), "dummy"))
_PSEUDONYM: Final = KeyedHash(Spelling(ALPHABET, LENGTH))
_NEW_UID: Final = Choice.always(_ANOTHER_UID)
_GONE: Final = Choice(valued=_DUMMY, present=_EMPTY, free=_GOES, unknown=_GOES, items=_GOES)

_CLEANED: Final = Choice(
    valued=Treatment(Clean(needed=True), "dummy"),
    present=Treatment(Clean(), "empty"),
    free=Treatment(Clean(), "empty"),
    unknown=Treatment(Clean(needed=True), "dummy"),
)

# The table of needs does not have what E.1-1 does not name.
_CLEANED_WITH_VALUE: Final = Choice.always(Treatment(Clean(needed=True), "dummy"))

# What can be cleaned.
_TEXTS: Final = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})

_CODES: Final[dict[ActionCode, Choice]] = {
    "X": _GONE,
    "Z": Choice(valued=_DUMMY, present=_EMPTY, free=_EMPTY, unknown=_EMPTY),
    "D": Choice.always(_DUMMY),
    "X/Z": Choice(valued=_DUMMY, present=_EMPTY, free=_GOES, unknown=_EMPTY),
    "X/D": Choice(valued=_DUMMY, present=_DUMMY, free=_GOES, unknown=_DUMMY),
    "Z/D": Choice(valued=_DUMMY, present=_EMPTY, free=_EMPTY, unknown=_DUMMY),
    "X/Z/D": Choice(valued=_DUMMY, present=_EMPTY, free=_GOES, unknown=_DUMMY),
    "X/Z/U*": _KEPT,
    "U": _NEW_UID,
    "K": _KEPT,
}

# UIDs in these say what something is, not which: classes, syntaxes, schemes. Standards
# and vendors give them.
_KINDS_END: Final = (
    "ClassUID",
    "SyntaxUID",
    "SchemeUID",
    "ContextUID",
    "ResourceUID",
    "CreatorUID",
)
_KINDS_HOLD: Final = ("SOPClass", "TransferSyntax")
_NOT_KINDS: Final = frozenset({"InstanceCreatorUID"})


class Wanted(NamedTuple):
    """What a profile says of its base.

    Attributes:
        options: of the standard.
        days: by how many days dates move; None where they do not, or by a key.
        keyed: what becomes of identifiers and UIDs is said by a key.
        keyed_shift: by how many days the dates of a patient move is, too.
    """

    options: frozenset[Option]
    days: float | None = None
    keyed: bool = False
    keyed_shift: bool = False


def read_base(dicom: Table, settings: Settings, defaults: Defaults) -> Base | None:
    """Reads `base` and `options` of the section; None where it names no base.

    Args:
        dicom: the section.
        settings: of the section.
        defaults: of its date actions.
    """
    if "base" not in dicom:
        for key in ("options", "leftovers", "earlier-files", "words"):
            if key in dicom:
                dicom.report_key(
                    Code.BASE_OPTIONS,
                    key,
                    f"'{key}' stands beside a base, and there is none.",
                    f"base: {BASES[0]}",
                )
        return None
    if dicom.choice("base", BASES) is None:
        return None
    options = _read_options(dicom)
    if {FULL_DATES, MODIFIED_DATES} <= options:
        dicom.report(
            Code.BASE_OPTIONS,
            "options",
            f"'{FULL_DATES}' and '{MODIFIED_DATES}' exclude each other.",
        )
    moves = MODIFIED_DATES in options
    keyed = PSEUDONYMS in dicom
    patient = settings.pseudonyms
    has_days = patient.shift is not None or patient.shift_from is not None
    keyed_shift = moves and keyed and has_days
    days = defaults.date_increment if moves and not keyed_shift else None
    if moves and not keyed_shift and (not days or days % 1):
        dicom.report(
            Code.BASE_OPTIONS,
            "options",
            f"'{MODIFIED_DATES}' needs to know by how many days dates move: 'shift-days' of "
            "'pseudonyms', by a key for each patient, or one 'date-increment' for all, of whole "
            "days and not 0.",
            "pseudonyms: {shift-days: [-365, -30]}",
        )
        return None
    return base_of(Wanted(frozenset(options), days, keyed, keyed_shift))


def _read_options(dicom: Table) -> set[Option]:
    options: set[Option] = set()
    for node in dicom.items("options", "options of the standard"):
        text = node.text if isinstance(node, Scalar) else ""
        known = next((option for option in OPTIONS if option == text), None)
        if text in NOT_IMPLEMENTED:
            dicom.report(Code.NOT_IMPLEMENTED, "options", f"'{text}' is not implemented.")
        elif known is None or known in options:
            dicom.report(
                Code.OUT_OF_RANGE,
                "options",
                f"'options' takes some of {', '.join(OPTIONS)}, each once.",
                dicom.problems.guess(lambda word: nearest(word, OPTIONS), text),
            )
        else:
            options.add(known)
    return options


def base_of(wanted: Wanted) -> Base:
    """Returns the protection of the standard with some of its options."""
    return _made(wanted)


@cache
def _made(wanted: Wanted) -> Base:
    options = wanted.options
    elements: dict[int, Choice] = {}
    ranges: list[tuple[RepeaterElement, Choice]] = []
    for each in attributes():
        choice = _choice_of(each, wanted)
        if isinstance(each.element, Element):
            elements[each.element.tag] = choice
        elif isinstance(each.element, RepeaterElement):
            ranges.append((each.element, choice))
    ranges.append((_OVERLAYS, _GONE))
    # PS3.3 10.3, C.12.1.1.10: where instances are to be had names machines and UIDs.
    elements |= {tag: elements.get(tag, _GONE) for tag in (*_WHERE, *_BESIDE_WHAT_GOES)}
    if _CLEANS in options:
        elements |= {tag: elements.get(tag, _CLEANED_WITH_VALUE) for tag in _descriptors()}
    # PS3.10 7.1: who sent and received a file, and what a vendor adds to its meta.
    elements |= dict.fromkeys(_FILE_META, _GONE)
    new_uid = _keyed_uid(wanted)
    if new_uid is not _NEW_UID:
        elements = {tag: new_uid if each is _NEW_UID else each for tag, each in elements.items()}
        elements[PATIENT_ID] = Choice.always(Treatment(_PSEUDONYM, "dummy"))
    if elements[_PATIENT_AGE.tag] is _KEPT:
        elements[_PATIENT_AGE.tag] = Choice.always(Treatment(CapAge(), "remove"))
    return Base(
        name=BASES[0],
        options=tuple(sorted(options)),
        elements=elements,
        ranges=tuple(ranges),
        by_vr={
            "PN": _CODES["X/Z/D"],
            "UI": _KEPT if _UIDS in options else new_uid,
            **{vr: _date_choice(vr, _CODES["X/Z/D"], wanted) for vr in sorted(_DATE_VRS)},
        },
        kinds=_kinds(),
        private=_private(wanted) if _SAFE_PRIVATE in options else {},
        strangers=_GONE,
        needs=_needs(),
        vocabulary=vocabulary(),
        hides_dates=FULL_DATES not in options,
        hides_uids=_UIDS not in options,
        keyed=tuple(_keyed(wanted)),
    )


def _keyed(wanted: Wanted) -> Iterator[KeyedAction]:
    """Yields what is done by a key."""
    if wanted.keyed:
        yield _PSEUDONYM
        yield KeyedUid()
    if wanted.keyed_shift:
        yield KeyedShift()


def _keyed_uid(wanted: Wanted) -> Choice:
    """Returns what is done to UIDs."""
    return _KEYED_UID if wanted.keyed else _NEW_UID


def _choice_of(attribute: Attribute, wanted: Wanted) -> Choice:
    codes = {attribute.options[option] for option in wanted.options if option in attribute.options}
    basic = _CODES[attribute.basic]
    moves = MODIFIED_DATES in wanted.options and MODIFIED_DATES in attribute.options
    if "K" in codes and not moves:
        return _KEPT
    if "C" not in codes:
        return basic
    if moves:
        vrs = () if attribute.element is None else vrs_of(attribute.element)
        # The dictionary can be of an earlier edition.
        vr = vrs[0] if vrs else "DT" if attribute.name.endswith(" DateTime") else ""
        return _date_choice(vr, basic, wanted)
    if not isinstance(attribute.element, Element):
        return basic
    vrs = vrs_of(attribute.element)
    if "SQ" in vrs or (not vrs and attribute.name.endswith(" Sequence")):
        return _KEPT
    return _CLEANED if _TEXTS.issuperset(vrs) else basic


def _date_choice(vr: str, basic: Choice, wanted: Wanted) -> Choice:
    """Returns what is done to dates and times of a VR."""
    if FULL_DATES in wanted.options:
        return _KEPT
    if MODIFIED_DATES not in wanted.options:
        return basic
    action: SimpleAction
    shift = DateShift(wanted.days or 0.0, None, None, None)
    match vr:
        case "DA" | "DT" if wanted.keyed_shift:
            action = KeyedShift()
        case "DA":
            action = IncrementDate("%Y%m%d", shift)
        case "DT":
            action = IncrementDateTime("%Y%m%d%H%M%S.%f", shift)
        case "TM" | "SH":
            # Whole days leave the time of the day, and the time zone.
            return _KEPT
        case _:
            return basic
    return Choice(
        valued=Treatment(action, "dummy"),
        present=Treatment(action, "empty"),
        free=Treatment(action, "remove"),
        unknown=Treatment(action, "dummy"),
    )


def _private(wanted: Wanted) -> dict[PrivateElement, Choice | None]:
    """Returns what is done to private elements that are safe to keep."""
    dates: Choice | None = _GONE
    if FULL_DATES in wanted.options:
        dates = None
    elif MODIFIED_DATES in wanted.options:
        # By their VR: as what else a date would stand is not said.
        dates = _date_choice("DT", _GONE, wanted)
    uids = None if _UIDS in wanted.options else _keyed_uid(wanted)
    treated = {"keep": None, "uid": uids, "date": dates}
    return {element: treated[each.treatment] for element, each in safe_private().items()}


@cache
def _needs() -> dict[str, Needs]:
    """Returns what IODs need, by SOP class; classes of one IOD share theirs."""
    shared = {id(needs): Needs(*needs) for needs in iod_needs().values()}
    return {uid: shared[id(needs)] for uid, needs in iod_needs().items()}


@cache
def _descriptors() -> frozenset[int]:
    """Returns the elements that describe something in somebody's own words."""
    return frozenset(
        element.tag
        for keyword in all_keywords()
        if isinstance(element := find_keyword(keyword), Element)
        and _DESCRIBING.issuperset(vrs_of(element))
        and _DESCRIPTORS.fullmatch(keyword)
        and not _FOR_PROGRAMS.fullmatch(keyword)
    )


@cache
def _kinds() -> frozenset[int]:
    """Returns the elements whose UIDs say what something is."""
    found = set()
    for keyword in all_keywords():
        element = find_keyword(keyword)
        if (
            isinstance(element, Element)
            and vrs_of(element) == ("UI",)
            and keyword not in _NOT_KINDS
            and (keyword.endswith(_KINDS_END) or any(part in keyword for part in _KINDS_HOLD))
        ):
            found.add(element.tag)
    return frozenset(found) - {
        each.element.tag for each in attributes() if isinstance(each.element, Element)
    }
