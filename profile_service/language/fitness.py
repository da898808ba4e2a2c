"""Checks that an action fits the elements that a rule names.

An element may have one of several VRs (`US or SS`): the action fits when it fits
one of them. Where no dictionary knows the VR, the file decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from profile_service.language.codes import Code
from profile_service.language.dictionary import format_tag, name_of
from profile_service.language.document import ListNode
from profile_service.language.model import (
    ACTION_NAMES,
    MANDATORY_IN_FILE_META,
    Action,
    Assign,
    Clean,
    Dummy,
    Element,
    Hash,
    HashUid,
    IncrementDate,
    IncrementDateTime,
    Jitter,
    Keep,
    KeyedHash,
    KeyedShift,
    KeyedUid,
    Lookup,
    OfPatient,
    OnError,
    PrivateElement,
    Pseudonym,
    RegexSub,
    Remove,
    ReplaceWith,
)
from profile_service.language.spelling import spelling_problem
from profile_service.language.vr import (
    BINARY_NUMBERS,
    BYTES_OR_ITEMS,
    MULTI_VALUED,
    NOT_HASHABLE,
    problem,
)

if TYPE_CHECKING:
    from profile_service.language.model import CodePattern, Spelling
    from profile_service.language.selectors import Target
    from profile_service.language.values import Table

_BINARY = BYTES_OR_ITEMS | BINARY_NUMBERS

# Too short for a UID: a new one has at least 42 characters.
_NOT_UIDS = _BINARY | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "SH", "TM"}

# No pseudonym of these is legal and, among 10 million, unlike the others.
_NOT_SPELLED = _BINARY | {"AS", "DA", "DS", "DT", "IS", "TM"}

# The VRs that an action can never work on; a number can be written into free text.
_UNFIT: dict[type[Action], frozenset[str]] = {
    Hash: NOT_HASHABLE,
    HashUid: _NOT_UIDS,
    IncrementDate: _BINARY,
    IncrementDateTime: _BINARY,
    Jitter: BYTES_OR_ITEMS | {"AE", "AS", "AT", "CS", "DA", "DT", "PN", "TM", "UI", "UR"},
    RegexSub: _BINARY,
    Clean: _BINARY | {"AS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"},
    KeyedHash: _NOT_SPELLED,
    Pseudonym: _NOT_SPELLED,
    Lookup: _BINARY,
    KeyedUid: _NOT_UIDS,
    KeyedShift: _BINARY | {"AE", "AS", "CS", "DS", "IS", "PN", "UI", "UR"},
}

# A hash is no legal value of these, though they hold text.
_HASH_NOT_LEGAL = frozenset({"AS", "DA", "DT", "TM"})

_PIXEL_DATA = 0x7FE00010

_FILE_META_GROUP = 0x0002
_MEDIA_STORAGE_SOP_CLASS = 0x00020002
_TRANSFER_SYNTAX = 0x00020010

# Of these nothing may change: no file could be read with another version or
# transfer syntax than its own.
_UNCHANGEABLE = frozenset((0x00020001, _TRANSFER_SYNTAX))

# PS3.3 C.12.1.1.1 and PS3.10 7.1: the SOP Class UID, in the data set and the file meta.
_SOP_CLASS = frozenset((0x00080016, 0x00020002))

# Groups that belong to some kinds of objects only, and make no sense in others.
_MISPLACED = {
    0x0004: "a media directory",
    0x0028: "an image",
    0x5200: "a multi-frame object",
    0x5400: "a waveform",
    0x7FE0: "an image",
    0xFFFA: "a signed object",
    0xFFFC: "a padded file",
}


def fit(action: Action, target: Target, key: str, rule: Table) -> Action:
    """Notes where an action does not fit, and resolves whether it inserts.

    Args:
        action: of the rule.
        target: what the rule names.
        key: the action's key, as written; `name` where there is none.
        rule: where problems are noted.

    Returns:
        The action as it is carried out.
    """
    element = target.selector.element
    if isinstance(element, Element) and element.tag >> 16 == _FILE_META_GROUP:
        _check_file_meta(action, element.tag, key, rule)
    is_sop_class = isinstance(element, Element) and element.tag in _SOP_CLASS
    if is_sop_class and isinstance(action, HashUid | Dummy) and not target.dotted:
        rule.report_key(
            Code.SOP_CLASS_HASHED,
            key,
            f"{name_of(element)} says what kind of object the file is, by a UID that the standard "
            "gives: hashed, no reader knows the file any more. Leave it as it is.",
        )
    if isinstance(action, Dummy) and element == Element(_PIXEL_DATA):
        rule.report_key(
            Code.ACTION_NOT_FOR_VR, key, "There is no dummy of pixel data: remove it, or keep it."
        )
    unfit = _UNFIT.get(type(action), frozenset())
    if target.vrs and unfit.issuperset(target.vrs):
        vr = " or ".join(target.vrs)
        if isinstance(action, HashUid | KeyedUid) and not _BINARY.issuperset(target.vrs):
            reason = f"{vr} is too short for a UID."
        else:
            reason = f"'{ACTION_NAMES[type(action)]}' cannot work on {vr}."
        rule.report_key(Code.ACTION_NOT_FOR_VR, key, f"{name_of(element)} is {vr}: {reason}")
    if isinstance(action, Hash) and target.vrs and _HASH_NOT_LEGAL.issuperset(target.vrs):
        rule.report_key(
            Code.HASH_NOT_LEGAL,
            key,
            f"{name_of(element)} is {target.vrs[0]}: a hash is not a legal value of it.",
        )
    if isinstance(action, Assign):
        _check_code(action.pattern, target.vrs, name_of(target.selector.element), rule)
    if _is_spelled(action) and not unfit.issuperset(target.vrs):
        _check_spelling(action.spelling, target, key, rule)
    if isinstance(action, ReplaceWith):
        _check_value(action, target, rule)
    return _resolve_insert(action, target, rule)


def fit_vrs(action: Action, vrs: tuple[str, ...], key: str, rule: Table) -> None:
    """Notes where an action fits none of the VRs that a rule selects by, or not all.

    Args:
        action: of the rule.
        vrs: that it selects by.
        key: the action's key, as written; `vr` where there is none.
        rule: where problems are noted.
    """
    unfit = sorted(_UNFIT.get(type(action), frozenset()).intersection(vrs))
    if unfit:
        rule.report_key(
            Code.ACTION_NOT_FOR_VR,
            key,
            f"'{ACTION_NAMES[type(action)]}' cannot work on {' and '.join(unfit)}.",
        )
    if isinstance(action, Hash) and (not_legal := sorted(_HASH_NOT_LEGAL.intersection(vrs))):
        rule.report_key(
            Code.HASH_NOT_LEGAL,
            key,
            f"A hash is not a legal value of {' and '.join(not_legal)}.",
        )
    if isinstance(action, Assign):
        for vr in vrs:
            _check_code(action.pattern, (vr,), f"An element of {vr}", rule)
    if _is_spelled(action):
        for vr in vrs:
            reason = None if vr in unfit else spelling_problem(vr, action.spelling)
            if reason is not None:
                rule.report_key(
                    Code.VALUE_NOT_FOR_VR, key, f"{vr} cannot hold the pseudonym: {reason}"
                )
    if isinstance(action, ReplaceWith):
        for vr in vrs:
            if (reason := problem(vr, action.text)) is not None:
                rule.report(
                    Code.VALUE_NOT_FOR_VR, "replace-with", f"{vr} cannot hold the value: {reason}"
                )


def _is_spelled(action: Action) -> TypeGuard[KeyedHash | Pseudonym | Lookup]:
    """Whether an action writes pseudonyms."""
    writes = isinstance(action, KeyedHash | Pseudonym)
    return writes or (isinstance(action, Lookup) and action.unlisted == "hash")


def _check_file_meta(action: Action, tag: int, key: str, rule: Table) -> None:
    if isinstance(action, Lookup):
        rule.report_key(
            Code.TABLE_COLUMN,
            key,
            "The elements of the file meta are written before it is known who the patient is.",
        )
    if isinstance(action, Keep) or tag not in MANDATORY_IN_FILE_META:
        return
    is_class = tag == _MEDIA_STORAGE_SOP_CLASS and isinstance(action, Dummy)
    replaces = isinstance(action, Remove | ReplaceWith | OfPatient)
    if tag in _UNCHANGEABLE or is_class or replaces:
        what = "changed" if tag in _UNCHANGEABLE else "removed or replaced"
        rule.report_key(
            Code.FILE_META_MANDATORY,
            key,
            f"{name_of(Element(tag))} cannot be {what}: no file can do without it.",
        )


def check_outcome(on_error: OnError, target: Target, rule: Table) -> None:
    """Notes where a file is rejected whatever a rule says of values that its action cannot change.

    Args:
        on_error: what the rule says.
        target: what it names.
        rule: where problems are noted.
    """
    element = target.selector.element
    if isinstance(element, Element) and element.tag in MANDATORY_IN_FILE_META:
        if on_error == "reject":
            return
        rule.report_key(
            Code.OUTCOME_WITHOUT_EFFECT,
            "on-error",
            f"No file can do without {name_of(element)}: one in which its value cannot be changed "
            "is rejected.",
        )


def _check_value(action: ReplaceWith, target: Target, rule: Table) -> None:
    reasons = [problem(vr, action.text) for vr in target.vrs]
    value = rule.value("replace-with")
    if isinstance(value, ListNode) and len(value.items) > 1:
        reasons = [
            reason if vr in MULTI_VALUED or reason is not None else f"{vr} has a single value."
            for vr, reason in zip(target.vrs, reasons, strict=True)
        ]
    if reasons and all(reason is not None for reason in reasons):
        rule.report(
            Code.VALUE_NOT_FOR_VR,
            "replace-with",
            f"{name_of(target.selector.element)} cannot hold the value: {reasons[0]}",
        )


def _check_code(pattern: CodePattern, vrs: tuple[str, ...], name: str, rule: Table) -> None:
    """Notes where a code is not legal in any of the VRs that an element may have."""
    reasons = [problem(vr, pattern.code(pattern.last)) for vr in vrs]
    if reasons and all(reason is not None for reason in reasons):
        rule.report(Code.VALUE_NOT_FOR_VR, "assign", f"{name} cannot hold the code: {reasons[0]}")


def _check_spelling(spelling: Spelling, target: Target, key: str, rule: Table) -> None:
    """Notes where a pseudonym is not legal in any of the VRs that an element may have."""
    reasons = [spelling_problem(vr, spelling) for vr in target.vrs]
    if reasons and all(reason is not None for reason in reasons):
        rule.report_key(
            Code.VALUE_NOT_FOR_VR,
            "length" if "length" in rule else "alphabet" if "alphabet" in rule else key,
            f"{name_of(target.selector.element)} cannot hold the pseudonym: {reasons[0]}",
        )


def _resolve_insert(action: Action, target: Target, rule: Table) -> Action:
    if not isinstance(action, ReplaceWith | OfPatient) or not action.insert:
        return action
    element = target.selector.element
    if isinstance(element, PrivateElement) and not target.vrs:
        rule.report(
            Code.PRIVATE_NOT_INSERTED,
            "name",
            f"The VR of {name_of(element)} is in no dictionary: the element is replaced where "
            "it is present, and not inserted where it is absent.",
        )
    if not target.is_one_place:
        return replace(action, insert=False)
    kind = _MISPLACED.get(element.tag >> 16) if isinstance(element, Element) else None
    if kind is not None and isinstance(element, Element) and not target.dotted:
        rule.report(
            Code.INSERT_MISPLACED,
            "name",
            f"{name_of(element)} {format_tag(element.tag)} belongs to {kind}, and is inserted into "
            "every file that has none.",
            "replace-with-insert: false",
        )
    return action
