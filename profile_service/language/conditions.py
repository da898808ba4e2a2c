"""Reads `when`: the files that a rule is for, and those that are rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from profile_service.language.codes import Code
from profile_service.language.dictionary import find_uid
from profile_service.language.document import ListNode, MapNode, Scalar
from profile_service.language.model import Element, Rejection, When
from profile_service.language.selectors import SelectorError, read_element
from profile_service.language.suggest import nearest_keyword
from profile_service.language.values import Table
from profile_service.language.vr import problem

if TYPE_CHECKING:
    from collections.abc import Callable

WHEN: Final = "when"
REJECT: Final = "reject"

# Nothing behind pixel data is looked at before a file is de-identified.
_LAST: Final = 0x7FE00010

# PS3.10 7.1: what stands before is the file meta, and commands.
_FIRST: Final = 0x00040000

# The reason is told in a line.
_MAX_REASON: Final = 200

_KEYS: Final = (
    "modality",
    "sop-class",
    "manufacturer",
    "image-type",
    "burned-in-annotation",
    "present",
    "absent",
)


def read_when(rule: Table) -> When | None:
    """Reads the condition of a rule; None where it has none, or a wrong one, which is noted."""
    node = rule.value(WHEN)
    if node is None:
        return None
    if not isinstance(node, MapNode) or not node.entries:
        rule.report(
            Code.CONDITION, WHEN, f"'{WHEN}' takes a mapping with some of {', '.join(_KEYS)}."
        )
        return None
    table = Table(node, rule.at(WHEN), rule.problems)
    for key in table:
        if key not in _KEYS:
            table.report_unknown(Code.CONDITION, key, "a condition on a file", _KEYS)
    return When(
        modalities=_texts(table, "modality", _code),
        sop_classes=_texts(table, "sop-class", _sop_class),
        manufacturers=_texts(table, "manufacturer", lambda text: text.strip() or None),
        image_types=_texts(table, "image-type", _code),
        burned_in=_texts(table, "burned-in-annotation", _burned_in),
        present=_tags(table, "present"),
        absent=_tags(table, "absent"),
    )


def read_rejection(rule: Table) -> Rejection | None:
    """Reads a rule that rejects files; what is wrong with it is noted."""
    for key in rule:
        if key not in {WHEN, REJECT}:
            rule.report_key(
                Code.OPTION_WITHOUT_ACTION,
                key,
                f"A rule with '{REJECT}' has '{WHEN}', and no more.",
            )
    reason = rule.text(REJECT)
    if reason is not None and not (0 < len(reason) <= _MAX_REASON and reason.isprintable()):
        rule.report(
            Code.OUT_OF_RANGE,
            REJECT,
            f"'{REJECT}' takes the reason: a line of at most {_MAX_REASON} characters.",
        )
        return None
    if WHEN not in rule:
        rule.report_key(Code.CONDITION, REJECT, f"Without '{WHEN}' every file would be rejected.")
        return None
    when = read_when(rule)
    if when is None or reason is None:
        return None
    return Rejection(when, reason, rule.path, rule.node.line)


def _texts(table: Table, key: str, read: Callable[[str], str | None]) -> tuple[str, ...]:
    node = table.value(key)
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    texts = [read(item.text) for item in items if isinstance(item, Scalar) and not item.is_null]
    found = tuple(text for text in texts if text is not None)
    if len(found) != len(items) or not found:
        table.report(Code.CONDITION, key, f"'{key}' takes a value or a list of values.")
        return ()
    return found


def _code(text: str) -> str | None:
    upper = text.strip().upper()
    return upper if upper and problem("CS", upper) is None else None


def _burned_in(text: str) -> str | None:
    # What YAML 1.1 takes for a switch is written without quotes.
    return {"YES": "YES", "TRUE": "YES", "NO": "NO", "FALSE": "NO"}.get(text.strip().upper())


def _sop_class(text: str) -> str | None:
    """Returns a UID, for one or for the name or keyword of PS3.6."""
    return text if problem("UI", text) is None else find_uid(text)


def _tags(table: Table, key: str) -> tuple[int, ...]:
    node = table.value(key)
    if node is None:
        return ()
    tags = []
    for item in node.items if isinstance(node, ListNode) else (node,):
        text = item.text if isinstance(item, Scalar) else ""
        try:
            element = read_element(text)
        except SelectorError as error:
            guess = error.suggestion or table.problems.guess(nearest_keyword, error.keyword)
            table.report(Code.CONDITION, key, error.message, guess)
            continue
        tag = element.tag if isinstance(element, Element) else 0
        if tag >> 16 & 1 or not _FIRST <= tag <= _LAST:
            table.report(
                Code.CONDITION,
                key,
                f"'{key}' takes public elements of the data set, up to its pixel data.",
            )
        else:
            tags.append(tag)
    return tuple(tags)
