"""Reads what is done by a key: how pseudonyms are written, and who a patient is.

An extension of the language. The key itself stands in no profile: it is the site's.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, get_args

from profile_service.language.codes import Code
from profile_service.language.dictionary import name_of, vrs_of
from profile_service.language.document import ListNode, MapNode, Scalar
from profile_service.language.lookups import SHIFT_FROM, read_shift_from
from profile_service.language.model import (
    ISSUER_OF_PATIENT_ID,
    MAX_SHIFT_DAYS,
    Assign,
    CodePattern,
    Element,
    KeyedHash,
    KeyedShift,
    KeyScope,
    Lookup,
    OnMissing,
    Pseudonym,
    PseudonymSettings,
    ShiftRange,
    actions_in,
)
from profile_service.language.problems import quoted
from profile_service.language.selectors import SelectorError, read_name
from profile_service.language.spelling import NO_TEXT, read_spelling
from profile_service.language.suggest import nearest_keyword
from profile_service.language.values import Table
from profile_service.language.vr import UID_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.language.model import Rule

PSEUDONYMS: Final = "pseudonyms"

# What may stand around the number of a code.
_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)

# What stands for the number of a code.
_PATTERN: Final = re.compile(r"([^{}\\]{0,48})\{(0{1,9})\}([^{}\\]{0,48})", re.ASCII)

_KEYS: Final = (
    "scope",
    "generation",
    "patient",
    "ignore-case",
    "missing",
    SHIFT_FROM,
    "shift-days",
    "shift-weeks",
    "shift-zero",
    "uid-root",
)

# A UID has at most 64 characters (PS3.5 9.1): behind the longest root there is room for 31
# digits of the HMAC, which is 102 bits.
_MAX_ROOT: Final = 32

_MAX_GENERATION: Final = 1_000_000
_MAX_ELEMENTS: Final = 4


def read_keyed_hash(table: Table) -> KeyedHash | None:
    """Reads `keyed-hash`."""
    spelling = read_spelling(table)
    return None if spelling is None else KeyedHash(spelling)


def read_pseudonym(table: Table) -> Pseudonym | None:
    """Reads `pseudonym`."""
    spelling = read_spelling(table)
    return None if spelling is None else Pseudonym(spelling, insert=True)


def read_assign(table: Table) -> Assign | None:
    """Reads `assign`: a pattern such as LUNG-{0000}."""
    text = table.text("assign")
    found = None if text is None else _PATTERN.fullmatch(text)
    if found is None or not _VISIBLE.fullmatch(found[1] + found[3] + "0"):
        table.report(
            Code.CODE_PATTERN,
            "assign",
            "'assign' takes a pattern of ASCII characters without spaces, with one to nine zeros "
            "in braces that stand for the number.",
            "LUNG-{0000}",
        )
        return None
    is_random = table.switch("random-order") or False
    return Assign(CodePattern(found[1], len(found[2]), found[3], is_random), insert=True)


def read_keyed_shift(table: Table, patient: PseudonymSettings) -> KeyedShift | None:
    """Reads `keyed-shift`, which needs a range of days in the section, or a table."""
    if patient.shift is None and patient.shift_from is None:
        table.report_key(
            Code.SHIFT_RANGE,
            "keyed-shift",
            "'keyed-shift' needs to know between how many days it may choose: 'shift-days' of "
            "'pseudonyms' in the dicom section, or 'shift-from', a table that says how many.",
            "pseudonyms: {shift-days: [-365, -30]}",
        )
        return None
    return KeyedShift()


def read_pseudonyms(dicom: Table) -> PseudonymSettings:
    """Reads the mapping `pseudonyms` of the section; what is wrong is noted."""
    node = dicom.value(PSEUDONYMS)
    if node is None:
        return PseudonymSettings()
    if not isinstance(node, MapNode):
        dicom.report(Code.WRONG_TYPE, PSEUDONYMS, f"{quoted(PSEUDONYMS)} takes a mapping.")
        return PseudonymSettings()
    table = Table(node, dicom.at(PSEUDONYMS), dicom.problems)
    for key in table:
        if key not in _KEYS:
            table.report_unknown(Code.UNKNOWN_SETTING, key, f"a key of '{PSEUDONYMS}'", _KEYS)
    scopes: tuple[KeyScope, ...] = get_args(KeyScope)
    scope = table.choice("scope", scopes)
    outcomes: tuple[OnMissing, ...] = get_args(OnMissing)
    missing = table.choice("missing", outcomes)
    defaults = PseudonymSettings()
    return PseudonymSettings(
        scope=next((each for each in scopes if each == scope), defaults.scope),
        generation=table.whole("generation", 1, _MAX_GENERATION),
        elements=_read_elements(table) or defaults.elements,
        ignore_case=table.switch("ignore-case") or False,
        missing=next((each for each in outcomes if each == missing), defaults.missing),
        shift=_read_shift(table),
        shift_from=read_shift_from(table),
        uid_root=_read_uid_root(table),
    )


def on_a_base(patient: PseudonymSettings, dicom: Table, rules: Iterable[Rule]) -> PseudonymSettings:
    """Lets the study stand for a patient whom a file does not say, beside a base.

    Not where the profile says what becomes of such files, nor where anything is told of
    patients one by one: a study is none of those who have a code or stand in a table.
    """
    node = dicom.value(PSEUDONYMS)
    if not isinstance(node, MapNode):
        return patient
    is_said = "missing" in Table(node, dicom.at(PSEUDONYMS), dicom.problems)
    told = (action for rule in rules for action in actions_in(rule.action))
    is_told = any(isinstance(action, Assign | Lookup) for action in told)
    if is_said or is_told or patient.shift_from is not None:
        return patient
    return replace(patient, missing="study")


def _read_elements(table: Table) -> tuple[int, ...]:
    """Reads the elements that say who the patient is; none where they are wrong, or not said."""
    node = table.value("patient")
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    tags = tuple(_tag_of(item, table) for item in items if isinstance(item, Scalar))
    known = tuple(tag for tag in tags if tag is not None)
    if len(known) < len(tags):
        return ()
    if not 0 < len(known) == len(items) <= _MAX_ELEMENTS or len(set(known)) < len(known):
        message = f"'patient' takes a list of elements, at most {_MAX_ELEMENTS}, and each once."
    elif set(known) == {ISSUER_OF_PATIENT_ID}:
        message = "Who issued the identifier does not say who the patient is."
    else:
        return known
    table.report(Code.PATIENT_ELEMENT, "patient", message)
    return ()


def _read_uid_root(table: Table) -> str | None:
    key = "uid-root"
    root = table.parsed(key, Code.UID_ROOT, lambda text: text or None, "a UID root")
    if root is None:
        return None
    if len(root) > _MAX_ROOT or UID_ROOT.fullmatch(root) is None:
        table.report(
            Code.UID_ROOT,
            key,
            f"{quoted(key)} takes a UID root of at most {_MAX_ROOT} characters, such as "
            "1.2.840.99999.",
        )
        return None
    return root


def _tag_of(item: Scalar, table: Table) -> int | None:
    """Returns the tag of an element of the top level that holds text; else notes what it is."""
    try:
        target = read_name(item.text)
    except SelectorError as error:
        guess = error.suggestion or table.problems.guess(nearest_keyword, error.keyword)
        table.report(error.code, "patient", error.message, guess)
        return None
    element = target.selector.element
    vrs = vrs_of(element)
    is_text = vrs and not NO_TEXT & set(vrs)
    if isinstance(element, Element) and not target.dotted and is_text and element.tag >> 16 > 2:
        return element.tag
    table.report(
        Code.PATIENT_ELEMENT,
        "patient",
        f"{name_of(element)} is no element of the top level that holds a text: it cannot say who "
        "the patient is.",
    )
    return None


def _read_shift(table: Table) -> ShiftRange | None:
    key = "shift-days"
    weeks, zero = table.switch("shift-weeks") or False, table.switch("shift-zero") or False
    node = table.value(key)
    if node is None:
        for option in ("shift-weeks", "shift-zero"):
            if option in table and (option, SHIFT_FROM in table) != ("shift-zero", True):
                table.report_key(
                    Code.SHIFT_RANGE, option, f"'{option}' says nothing without '{key}'."
                )
        return None
    items = node.items if isinstance(node, ListNode) else ()
    texts = [item.text for item in items if isinstance(item, Scalar)]
    days = [int(text) for text in texts if re.fullmatch(r"[+-]?[0-9]{1,6}", text, re.ASCII)]
    if len(items) != 2 or len(days) != 2 or max(map(abs, days)) > MAX_SHIFT_DAYS:
        message = f"'{key}' takes two whole numbers, of at most {MAX_SHIFT_DAYS}: from, and to."
    else:
        found = ShiftRange(days[0], days[1], weeks, zero)
        if found.count > 1:
            return found
        message = "There are not two numbers of days to choose from, so all would be the same."
    table.report(Code.SHIFT_RANGE, key, message, f"{key}: [-365, -30]")
    return None
