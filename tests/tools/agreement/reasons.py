"""Why our output may differ from that of the reference: every reason that there is.

A reason explains a difference where its predicate says so, and the predicates
are as narrow as they can be: most work out both results. `docs/differences.md`
lists the reasons; a test compares the two.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from deid_service.engine.rules.uids import hash_uid
from profile_service.language.dictionary import find_keyword, find_tag
from profile_service.language.model import (
    Element,
    IncrementDate,
    IncrementDateTime,
    PathSelector,
    PrivateElement,
    RegexSelector,
    RegexSub,
    RelativeDate,
    RepeaterElement,
    ReplaceWith,
)
from profile_service.language.vr import MAX_CHARACTERS
from tests.support.engine.walk import UnreadableError, read_file
from tests.tools.agreement.comparison import (
    Difference,
    ElementDifference,
    FileDifference,
    NameDifference,
    ProfileDifference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profile_service.language.model import Action, DateBound, Rule, Settings
    from tests.tools.agreement.elements import Place, Value


_InFile = ElementDifference | FileDifference | NameDifference


@dataclass(frozen=True)
class Reason:
    """One reason.

    Attributes:
        name: stable.
        sentence: what differs, and why ours is right.
        explains: whether it is the reason for a difference.
    """

    name: str
    sentence: str
    explains: Callable[[Difference], bool]


def _of_element(holds: Callable[[ElementDifference], bool]) -> Callable[[Difference], bool]:
    return lambda each: isinstance(each, ElementDifference) and holds(each)


def _of_file(holds: Callable[[FileDifference], bool]) -> Callable[[Difference], bool]:
    return lambda each: isinstance(each, FileDifference) and holds(each)


def _of_name(holds: Callable[[NameDifference], bool]) -> Callable[[Difference], bool]:
    return lambda each: isinstance(each, NameDifference) and holds(each)


def _of_profile(holds: Callable[[str], bool]) -> Callable[[Difference], bool]:
    return lambda each: isinstance(each, ProfileDifference) and all(map(holds, each.errors))


# --- what a profile says ----------------------------------------------------------------


def _settings(each: _InFile) -> Settings:
    return each.case.profile.settings


def _rules(each: _InFile, action: type[Action]) -> Iterator[Rule]:
    return (rule for rule in each.case.profile.rules if isinstance(rule.action, action))


def _paths(each: _InFile) -> Iterator[PathSelector]:
    for rule in each.case.profile.rules:
        if isinstance(rule.selector, PathSelector):
            yield rule.selector


def _hashed(text: str, settings: Settings) -> str:
    return sha256((settings.salt + text).encode()).hexdigest()[: settings.hash_digits]


def _uid_hashed(text: str, settings: Settings) -> str:
    return hash_uid(
        text,
        salt=settings.salt,
        prefix_fields=settings.uid_prefix_fields,
        suffix_fields=settings.uid_suffix_fields,
        numeric_name=settings.uid_numeric_name,
    )


def _one(value: Value | None) -> str:
    """Returns the text of a value that is one text; empty where it is not."""
    return value.texts[0] if value is not None and value.texts and len(value.texts) == 1 else ""


def _same(one: Value | None, other: Value | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.equals(other)


def _is_empty(value: Value | None) -> bool:
    return value is not None and not value.raw and not value.items


def _only_we_act(each: ElementDifference) -> bool:
    return not _same(each.ours, each.source) and _same(each.theirs, each.passed)


# --- elements ---------------------------------------------------------------------------


def _untouched(each: ElementDifference) -> bool:
    return _same(each.ours, each.source) and _same(each.theirs, each.passed)


def _unknown_vr(each: ElementDifference) -> bool:
    ours, theirs, source = each.ours, each.theirs, each.source
    if ours is None or theirs is None or source is None:
        return False
    # pydicom shows an empty UN with the VR of the dictionary.
    was_unknown = source.written == "UN" or _is_empty(source)
    return (
        was_unknown
        and ours.written == "UN" != theirs.written
        and dataclasses.replace(ours, written=theirs.written).equals(theirs)
    )


_INSTANCE_UID: Final = 0x00080018
_MEDIA_INSTANCE_UID: Final = 0x00020003


def _instance_uid(each: ElementDifference) -> bool:
    if each.path != (_MEDIA_INSTANCE_UID,):
        return False
    in_data_set = _one(each.our_elements.get((_INSTANCE_UID,)))
    if not in_data_set:
        return _one(each.ours).startswith("2.25.") and _same(each.theirs, each.passed)
    return _one(each.ours) == in_data_set


def _hash_of_each(each: ElementDifference) -> bool:
    return _of_each(each, _hashed)


def _uid_of_each(each: ElementDifference) -> bool:
    return _of_each(each, _uid_hashed)


def _of_each(each: ElementDifference, function: Callable[[str, Settings], str]) -> bool:
    if each.source is None or not each.source.texts or each.ours is None:
        return False
    texts = each.source.texts
    # The reference hashes the padding between the values, too.
    padded = each.source.raw.decode("latin-1").rstrip(" \0").split("\\")
    settings = _settings(each)
    limit = MAX_CHARACTERS.get(each.ours.vr)
    return (
        len(texts) > 1
        and each.ours.texts == tuple(text and function(text, settings)[:limit] for text in texts)
        and _one(each.theirs)
        in {function(",".join(joined), settings) for joined in (texts, padded)}
    )


def _uid_zeros(each: ElementDifference) -> bool:
    original = _one(each.source)
    settings = _settings(each)
    if not _UID.fullmatch(original):
        return False
    kept = original.split(".")[-settings.uid_suffix_fields :] if settings.uid_suffix_fields else []
    return (
        any(node[-6:].startswith("0") and len(node[-6:]) > 1 for node in kept)
        and _one(each.ours) in _rehashed(original, settings)
        and any(node.startswith("0") and len(node) > 1 for node in _one(each.theirs).split("."))
    )


_UID: Final = re.compile(r"[0-9.]+")


def _rehashed(uid: str, settings: Settings) -> tuple[str, str]:
    """Returns what one rule and what two rules make of a UID."""
    once = _uid_hashed(uid, settings)
    return once, _uid_hashed(once, settings)


def _hash_cut(each: ElementDifference) -> bool:
    ours, theirs = _one(each.ours), _one(each.theirs)
    limit = MAX_CHARACTERS.get(each.ours.vr) if each.ours is not None else None
    return bool(
        ours
        and len(ours) == limit
        and theirs.startswith(ours)
        and theirs == _hashed(_one(each.source), _settings(each))
    )


def _bounds(each: ElementDifference) -> bool:
    ours = _one(each.ours)[:8]
    # The reference writes years before 1000 with fewer digits.
    theirs = _one(each.theirs).rjust(8, "0")[:8]
    shifts = [
        rule.action.shift
        for rule in each.case.profile.rules
        if isinstance(rule.action, IncrementDate | IncrementDateTime)
    ]
    return ours != "" and any(
        theirs < ours == _day(shift.minimum) or theirs > ours == _day(shift.maximum)
        for shift in shifts
    )


def _day(bound: DateBound | None) -> str:
    if isinstance(bound, RelativeDate):
        bound = (datetime.now().astimezone() + timedelta(days=bound.days)).date()
    return "" if bound is None else bound.strftime("%Y%m%d")


def _datetime_form(each: ElementDifference) -> bool:
    ours, theirs, source = _one(each.ours), _one(each.theirs), _one(each.source)
    if not any(_rules(each, IncrementDateTime)) or len(ours) != len(source):
        return False
    match = _DATETIME.fullmatch(ours)
    if match is None:
        return False
    stem, fraction, offset = match.groups()
    return theirs == f"{stem}.{fraction or '':0<6}{offset or ''}"


_DATETIME: Final = re.compile(r"(.*?)(?:\.(\d+))?([+-]\d\d:?\d\d)?")
_SHORT_DATETIME: Final = re.compile(r"\d{4}(\d\d){0,4}")


def _short_datetime(each: ElementDifference) -> bool:
    source = _one(each.source)
    return (
        any(_rules(each, IncrementDateTime))
        and _SHORT_DATETIME.fullmatch(source) is not None
        and len(_one(each.ours)) == len(source)
        and _one(each.theirs).endswith(".000000")
    )


def _early_year(each: ElementDifference) -> bool:
    is_date = any(_rules(each, IncrementDate))
    theirs = _one(each.theirs)
    return is_date and len(theirs) < 8 and _one(each.ours) == theirs.zfill(8)


def _numbers(each: ElementDifference) -> bool:
    ours, theirs = each.ours, each.theirs
    if ours is None or theirs is None or not ours.texts or not theirs.texts or ours.vr != "DS":
        return False
    written = {
        rule.action.text
        for rule in _rules(each, ReplaceWith)
        if isinstance(rule.action, ReplaceWith)
    }
    return "\\".join(ours.texts) in written and theirs.texts == tuple(
        text and str(float(text)) for text in ours.texts
    )


def _null(each: ElementDifference) -> bool:
    return (
        each.case.construct == "replace-null"
        and _is_empty(each.ours)
        and _same(each.theirs, each.passed)
    )


def _unquoted(each: ElementDifference) -> bool:
    # Not 00080050: an 8 is no octal digit.
    return (
        each.case.construct == "unquoted-tags" and each.path == (0x00100020,) and _only_we_act(each)
    )


def _empty(each: ElementDifference) -> bool:
    return any(_rules(each, RegexSub)) and _is_empty(each.source) and _is_empty(each.ours)


def _empty_is_replaced(each: ElementDifference) -> bool:
    return (
        _is_empty(each.source)
        and _is_empty(each.theirs)
        and any(
            isinstance(rule.action, ReplaceWith) and rule.action.text == _one(each.ours)
            for rule in _rules(each, ReplaceWith)
        )
    )


def _no_file_meta(each: ElementDifference) -> bool:
    has_file_meta = any(path[0] >> 16 == _FILE_META for path in each.source_elements)
    return each.path[0] >> 16 == _FILE_META and not has_file_meta and each.ours is None


_FILE_META: Final = 0x0002


def _character_set(each: ElementDifference) -> bool:
    if not _settings(each).remove_undefined or not _same(each.ours, each.source):
        return False
    if each.path[-1] == 0x00080005:
        return each.theirs is None
    return (
        (0x00080005,) not in each.their_elements
        and "?" not in _one(each.source)
        and "?" in _one(each.theirs)
    )


def _on_path(each: ElementDifference) -> bool:
    if not _settings(each).remove_undefined or each.ours is None or each.theirs is not None:
        return False
    return each.ours.items is not None and any(
        isinstance(parent, Element)
        and parent.tag == each.path[0]
        and None in [i for _, i in path.parents]
        for path in _paths(each)
        for parent, _ in path.parents
    )


def _creator(each: ElementDifference) -> bool:
    tag = each.path[-1]
    return (
        _settings(each).remove_undefined
        and _is_creator(tag)
        and _same(each.ours, each.source)
        and each.theirs is None
        and any(
            path[:-1] == each.path[:-1] and path[-1] >> 8 == tag >> 16 << 8 | tag & 0xFF
            for path in each.our_elements
        )
    )


def _nested_private(each: ElementDifference) -> bool:
    if len(each.path) == 1 or each.theirs is not None or not _settings(each).remove_private_tags:
        return False
    group = each.path[-1] >> 16
    creator, offset = _private_key(each.path, each.our_elements)
    return any(
        isinstance(path.element, PrivateElement)
        and (path.element.group, path.element.creator) == (group, creator)
        and offset in {path.element.offset, _OF_CREATOR}
        for path in _paths(each)
    )


def _is_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _by_wildcard(each: ElementDifference) -> bool:
    return (
        each.ours is None
        and each.theirs is not None
        and not _same(each.theirs, each.passed)
        and any(
            isinstance(path.element, Element)
            and path.element.tag == each.path[-1]
            and None in [index for _, index in path.parents]
            for path in _paths(each)
        )
    )


def _index_and_wildcard(each: ElementDifference) -> bool:
    return _only_we_act(each) and any(
        isinstance(path.element, Element)
        and path.element.tag == each.path[-1]
        and len({index is None for _, index in path.parents}) == 2
        for path in _paths(each)
    )


def _repeater(each: ElementDifference) -> bool:
    entry = find_tag(each.path[-1])
    return (
        _only_we_act(each)
        and each.path[-1] >> 24 in {0x50, 0x60}
        and entry is not None
        and any(
            not isinstance(rule.selector, PathSelector)
            or rule.selector.element == RepeaterElement(each.path[-1] & 0xFF00FFFF, 0xFF00FFFF)
            for rule in each.case.profile.rules
        )
    )


def _private_block(each: ElementDifference) -> bool:
    """The same element of the same creator stands in another block."""
    if not each.path[-1] >> 16 & 1:
        return False
    ours = _in_other_block(each.path, each.our_elements, each.their_elements)
    theirs = _in_other_block(each.path, each.their_elements, each.our_elements)
    return (ours or each.ours is None) and (theirs or each.theirs is None)


def _in_other_block(path: Place, elements: dict[Place, Value], others: dict[Place, Value]) -> bool:
    if path not in elements:
        return False
    key = _private_key(path, elements)
    return any(
        other != path
        and _private_key(other, others) == key
        and others[other].equals(elements[path])
        for other in others
        if other[:-1] == path[:-1] and other[-1] >> 16 == path[-1] >> 16
    )


def _private_key(path: Place, elements: dict[Place, Value]) -> tuple[str, int]:
    tag = path[-1]
    if _is_creator(tag):
        return _one(elements[path]), _OF_CREATOR
    creator = elements.get((*path[:-1], tag >> 16 << 16 | tag >> 8 & 0xFF))
    return _one(creator), tag & 0xFF


_OF_CREATOR: Final = -1

# PS3.3 F.3: offsets of directory records.
_OFFSETS: Final = frozenset({0x00041200, 0x00041202, 0x00041400, 0x00041420, 0x00041504})


def _directory(each: ElementDifference) -> bool:
    return each.path[-1] in _OFFSETS and each.ours is not None and each.theirs is not None


def _both_spellings(each: ElementDifference) -> bool:
    settings = _settings(each)
    once = _one(each.ours)
    return (
        any(isinstance(rule.selector, RegexSelector) for rule in each.case.profile.rules)
        and once == _hashed(_one(each.source), settings)
        and _one(each.theirs) == _hashed(once, settings)
    )


# --- files ------------------------------------------------------------------------------


def _rejected(each: FileDifference, reason: str, words: str = "") -> bool:
    error = each.our_error
    return error is not None and error.reason == reason and words in error.message


def _broken(each: FileDifference, words: str) -> bool:
    return each.our_error is None and words in each.their_error


def _unreadable(each: FileDifference) -> bool:
    """Whether an independent reader cannot read the file either."""
    try:
        read_file(each.case.data)
    except UnreadableError:
        return True
    return False


def _named_value(each: FileDifference) -> tuple[str, ...]:
    """Returns the values of the element that our error is about."""
    if each.our_error is None or each.our_error.tag is None:
        return ()
    tag = int(re.sub(r"\W", "", each.our_error.tag), 16)
    value = each.source_elements.get((tag,))
    return (value.texts or ()) if value is not None else ()


def _left_out(each: FileDifference) -> bool:
    is_unknown = all(
        path[0] >> 16 == _FILE_META or find_tag(path[0]) is None for path in each.source_elements
    )
    return _broken(each, "left out") and each.passed_error == "left out" and is_unknown


def _absent_file_meta(each: FileDifference) -> bool:
    return _broken(each, "KeyError: (0002,")


def _emptied_pixels(each: FileDifference) -> bool:
    return _broken(each, "(7FE0,0010)") and any(_rules(each, ReplaceWith))


def _not_a_uid(each: FileDifference) -> bool:
    is_uid = all(_UID.fullmatch(text) for text in _named_value(each))
    return _rejected(each, "VALUE_NOT_TRANSFORMABLE", "not a UID") and not is_uid


def _not_in_full(each: FileDifference) -> bool:
    formats = [
        rule.action.format
        for rule in each.case.profile.rules
        if isinstance(rule.action, IncrementDate | IncrementDateTime)
    ]
    return _rejected(each, "VALUE_NOT_TRANSFORMABLE", "cannot be moved") and any(
        not any(_is_written_in(text, strptime_format) for strptime_format in formats)
        for text in _named_value(each)
    )


def _is_written_in(text: str, strptime_format: str) -> bool:
    try:
        return datetime.strptime(text, strptime_format).strftime(strptime_format) == text
    except ValueError:
        return False


def _short_datetime_file(each: FileDifference) -> bool:
    return _broken(each, "does not match format '%Y%m%d%H%M%S.%f'") and any(
        _rules(each, IncrementDateTime)
    )


def _early_year_file(each: FileDifference) -> bool:
    return each.our_error is None and _EARLY_YEAR.search(each.their_error) is not None


def _older_date(each: FileDifference) -> bool:
    return each.our_error is None and _OLDER_DATE.search(each.their_error) is not None


def _leap_second(each: FileDifference) -> bool:
    return _broken(each, "second must be in 0..59") and any(_rules(each, IncrementDateTime))


_OLDER_DATE: Final = re.compile(r"time data '\d{4}\.\d\d\.\d\d' does not match format '%Y%m%d'")
_EARLY_YEAR: Final = re.compile(r"time data '\d{5,7}' does not match format '%Y%m%d'")


def _age(each: FileDifference) -> bool:
    birth, study = (_one(each.source_elements.get((tag,))) for tag in (0x00100030, 0x00080020))
    are_dates = _is_written_in(birth, "%Y%m%d") and _is_written_in(study, "%Y%m%d")
    is_computed = _rejected(each, "VALUE_NOT_TRANSFORMABLE", "the age cannot be computed")
    return is_computed and (not are_dates or study < birth)


def _not_in_character_set(each: FileDifference) -> bool:
    return _rejected(each, "VALUE_NOT_ENCODABLE", "character set") and any(
        isinstance(rule.action, ReplaceWith) and not rule.action.text.isascii()
        for rule in _rules(each, ReplaceWith)
    )


def _too_long(each: FileDifference) -> bool:
    return _rejected(each, "VALUE_NOT_ENCODABLE", "holds at most") and (
        any(_rules(each, ReplaceWith)) or any(_rules(each, RegexSub))
    )


# --- names ------------------------------------------------------------------------------


def _usual_name(elements: dict[Place, Value]) -> str:
    uid = _one(elements.get((_INSTANCE_UID,))) or "unnamed"
    modality = _one(elements.get((0x00080060,))) or "NA"
    return f"{uid}.{modality}.dcm"


def _name_follows(each: NameDifference) -> bool:
    our_uid = _one(each.our_elements.get((_INSTANCE_UID,)))
    their_uid = _one(each.their_elements.get((_INSTANCE_UID,)))
    if (
        our_uid
        and their_uid
        and each.ours.replace(our_uid, "") == each.theirs.replace(their_uid, "")
    ):
        return True
    return each.ours == _usual_name(each.our_elements) and each.theirs == _usual_name(
        each.their_elements
    )


def _name_identifies(each: NameDifference) -> bool:
    is_ours = each.ours == _usual_name(each.our_elements)
    return is_ours and each.theirs != _usual_name(each.their_elements)


def _none_in_name(each: NameDifference) -> bool:
    return "None" in each.theirs and each.theirs.replace("None", "") == each.ours


def _directory_name(each: NameDifference) -> bool:
    return each.ours == "DICOMDIR"


# --- profiles ---------------------------------------------------------------------------

_NO_KEYWORD: Final = "Not in DICOM keyword list: "


def _repeater_keyword(error: str) -> bool:
    keyword = error.removeprefix(_NO_KEYWORD)
    return error.startswith(_NO_KEYWORD) and isinstance(find_keyword(keyword), RepeaterElement)


def _pixels_refused(error: str) -> bool:
    return error.startswith("Incorrect value type for Dicom element PixelData (VR=OB or OW)")


# --- all of them ------------------------------------------------------------------------

REASONS: Final = (
    Reason(
        "untouched",
        "What no rule touches leaves as it came, byte for byte. The reference decodes and "
        "encodes every element: it takes VRs from its dictionary, and repairs or drops values "
        "that are not legal.",
        _of_element(_untouched),
    ),
    Reason(
        "unknown-vr-stays",
        "An element that is written as UN gets its new value and stays UN. The reference "
        "writes it with the VR of the dictionary. The values are equal.",
        _of_element(_unknown_vr),
    ),
    Reason(
        "instance-uid-in-step",
        "Media Storage SOP Instance UID (0002,0003) always follows SOP Instance UID; where the "
        "data set has lost it, a UID derived from the old one stands in. The reference leaves "
        "the original in the file meta, or changes it by itself.",
        _of_element(_instance_uid),
    ),
    Reason(
        "hash-of-each-value",
        "Each of several values is hashed on its own, and their number stays. The reference "
        "hashes them joined by commas, into one value.",
        _of_element(_hash_of_each),
    ),
    Reason(
        "uid-of-each-value",
        "Each of several UIDs is replaced on its own. The reference joins them by commas and "
        "makes one of them, which keeps digits of two.",
        _of_element(_uid_of_each),
    ),
    Reason(
        "uid-without-leading-zeros",
        "No node of a new UID begins with a 0 (PS3.5 9.1). The reference cuts nodes at its end to "
        "six digits, and keeps the zeros that those begin with.",
        _of_element(_uid_zeros),
    ),
    Reason(
        "hash-fits",
        "A hash is cut to what the VR can hold (PS3.5 6.2). The reference writes values that "
        "are too long.",
        _of_element(_hash_cut),
    ),
    Reason(
        "date-bounds",
        "`datetime-min` and `datetime-max` hold for every date action, on the rule and on the "
        "section. The reference reads them only on a rule of `increment-datetime`.",
        _of_element(_bounds),
    ),
    Reason(
        "datetime-form",
        "A date and time keeps its form: a fraction of a second is neither added nor made "
        "longer. The reference writes six digits.",
        _of_element(_datetime_form),
    ),
    Reason(
        "datetime-short-forms",
        "The shorter forms of a date and time (PS3.5 6.2) are moved. The reference fails on "
        "them, or reads other digits as minutes and seconds than those that are.",
        lambda each: _of_element(_short_datetime)(each) or _of_file(_short_datetime_file)(each),
    ),
    Reason(
        "older-dates",
        "A date of the older form (PS3.5 6.2), `2004.01.19`, is moved and keeps its form. The "
        "reference fails on it.",
        _of_file(_older_date),
    ),
    Reason(
        "leap-seconds",
        "Second 60 is moved and stays (PS3.5 6.2). The reference fails on it.",
        _of_file(_leap_second),
    ),
    Reason(
        "years-in-four-digits",
        "A year before 1000 is written in four digits. The reference writes fewer, which is no "
        "legal date, and which the next rule cannot read.",
        lambda each: _of_element(_early_year)(each) or _of_file(_early_year_file)(each),
    ),
    Reason(
        "numbers-as-written",
        "A number in `replace-with` is written as the profile has it. The reference writes `3` "
        "into a Decimal String as `3.0`.",
        _of_element(_numbers),
    ),
    Reason(
        "null-empties",
        "`replace-with: ~` empties the element, as `''` does. With the reference it does nothing, "
        "and what was to go stays.",
        _of_element(_null),
    ),
    Reason(
        "unquoted-tags",
        "`name: 00100020` without quotes is the tag that it looks like. The reference reads an "
        "octal number, and leaves Patient ID as it is.",
        _of_element(_unquoted),
    ),
    Reason(
        "empty-stays-empty",
        "An empty value stays empty. The reference matches it by `regex-sub`, and fills it.",
        _of_element(_empty),
    ),
    Reason(
        "empty-is-replaced",
        "An element that is there, but empty, is replaced also where `replace-with-insert` is "
        "false. The reference takes an empty number for an absent one.",
        _of_element(_empty_is_replaced),
    ),
    Reason(
        "no-file-meta",
        "A file without file meta gets none. The reference makes one for an element that a "
        "rule inserts.",
        _of_element(_no_file_meta),
    ),
    Reason(
        "character-set-stays",
        "`remove-undefined` leaves Specific Character Set (0008,0005), which tells how to read "
        "the text that stays. The reference removes it, and question marks take the place of "
        "the text.",
        _of_element(_character_set),
    ),
    Reason(
        "sequence-on-path-stays",
        "`remove-undefined` leaves the sequences on the path to an element that a rule names. "
        "The reference removes them where the path has a `*`, and the element with them.",
        _of_element(_on_path),
    ),
    Reason(
        "creator-stays",
        "`remove-undefined` leaves the private creator of a private element that a rule names "
        "(PS3.5 7.8.1). The reference removes it, and nobody can tell what the element is.",
        _of_element(_creator),
    ),
    Reason(
        "nested-private-stays",
        "Beside `remove-private-tags`, a private element that a rule keeps stays at every depth, "
        "with its creator; one that a rule changes stays where the rule changes it. The "
        "reference looks for its block at the top level alone, and leaves original values in "
        "items.",
        _of_element(_nested_private),
    ),
    Reason(
        "wildcard-inserts-nothing",
        "A path with `*` replaces what is there. The reference also adds the element to every "
        "item that has none.",
        _of_element(_by_wildcard),
    ),
    Reason(
        "index-and-wildcard",
        "A path can have both an item number and a `*`. With the reference it selects nothing.",
        _of_element(_index_and_wildcard),
    ),
    Reason(
        "repeater-keywords",
        "A keyword of a repeating group (`OverlayData`) selects it in every group of the range, "
        "by name and by regex. The reference does not know these keywords.",
        _of_element(_repeater),
    ),
    Reason(
        "private-block",
        "A private element that is inserted beside blocks that `remove-private-tags` removes "
        "gets a block of its own. The reference reuses the number of a removed one. The "
        "creator and the value are equal.",
        _of_element(_private_block),
    ),
    Reason(
        "regex-acts-once",
        "A regex that matches both spellings of a path acts on the element once. The reference "
        "acts twice: a hash is hashed again.",
        _of_element(_both_spellings),
    ),
    Reason(
        "directory-offsets",
        "The offsets in a media directory (PS3.3 F.3) point to the same records in the output. "
        "The reference leaves them as they were, and they point elsewhere.",
        _of_element(_directory),
    ),
    Reason(
        "truncated-file",
        "A file that ends too early is rejected. The reference writes what there is.",
        _of_file(lambda each: _rejected(each, "TRUNCATED") and _unreadable(each)),
    ),
    Reason(
        "malformed-file",
        "A file whose lengths contradict each other is rejected: what it holds is not certain. "
        "The reference reads on.",
        _of_file(lambda each: _rejected(each, "MALFORMED") and _unreadable(each)),
    ),
    Reason(
        "no-known-element",
        "A data set without any element of the public dictionary is de-identified. The "
        "reference takes it for no DICOM file and leaves it out.",
        _of_file(_left_out),
    ),
    Reason(
        "absent-file-meta",
        "`remove` of a file meta element that is absent does nothing. The reference ends in a "
        "KeyError where the rule names it by its tag.",
        _of_file(_absent_file_meta),
    ),
    Reason(
        "emptied-pixel-data",
        "Pixel data can be emptied. The reference refuses the profile, and cannot write the file.",
        lambda each: _of_file(_emptied_pixels)(each) or _of_profile(_pixels_refused)(each),
    ),
    Reason(
        "hashuid-of-a-uid",
        "`hashuid` of a value that is not a UID rejects the file. The reference keeps the last "
        "characters of whatever the value is, which can be a part of a name.",
        _of_file(_not_a_uid),
    ),
    Reason(
        "date-in-full",
        "A date that is not in the format, with all of its digits, rejects the file. The "
        "reference takes `2004119` for a day in November.",
        _of_file(_not_in_full),
    ),
    Reason(
        "age-needs-dates",
        "A birth date or study date that is not legal rejects the file where an age stands that "
        "it contradicts, and so does a study before the birth. The reference leaves the age as "
        "it was, or swaps the dates.",
        _of_file(_age),
    ),
    Reason(
        "value-in-character-set",
        "A new value that the character set of the file cannot hold rejects the file. The "
        "reference writes question marks.",
        _of_file(_not_in_character_set),
    ),
    Reason(
        "value-fits",
        "A new value that is longer than the VR can hold rejects the file. The reference "
        "writes it all the same.",
        _of_file(_too_long),
    ),
    Reason(
        "name-follows-elements",
        "Both outputs are named after their own SOP Instance UID and Modality, which differ for "
        "a reason of their own.",
        _of_name(_name_follows),
    ),
    Reason(
        "name-identifies-nobody",
        "An output is named after its own, de-identified elements, and `unnamed` without them. "
        "The reference names it after the original file or the original UID where a regex, a "
        "tag or a setting changed or removed them.",
        _of_name(_name_identifies),
    ),
    Reason(
        "absent-in-name",
        "An absent element leaves nothing in a name that `filenames` makes. The reference "
        "writes `None`.",
        _of_name(_none_in_name),
    ),
    Reason(
        "directory-name",
        "A media directory is always called DICOMDIR (PS3.10 8.6).",
        _of_name(_directory_name),
    ),
    Reason(
        "repeater-keywords-valid",
        "A profile may use the keywords of repeating groups. The reference refuses it; it is "
        "compared all the same.",
        _of_profile(_repeater_keyword),
    ),
)
