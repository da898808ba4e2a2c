"""Reads the `output` of regex-sub and of file names, and the `groups` beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from profile_service.language.codes import Code
from profile_service.language.dictionary import vrs_of
from profile_service.language.document import Scalar
from profile_service.language.model import (
    Capture,
    ElementRef,
    ElementValue,
    Keep,
    Pattern,
    SimpleAction,
    Template,
)
from profile_service.language.problems import quoted
from profile_service.language.selectors import SelectorError, read_element
from profile_service.language.suggest import nearest, nearest_keyword
from profile_service.language.vr import BYTES_OR_ITEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profile_service.language.values import Table

# What `groups` and `output` name: a captured group, or an element.
OutputName = str | ElementRef

# `{{` and `}}` are braces; `{name}` is a name; anything else with a brace is wrong.
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[^{}]+")


def read_output(
    table: Table,
    pattern: Pattern | None,
    actions: Mapping[OutputName, SimpleAction],
    *,
    elements_need_action: bool,
    may_be_empty: bool,
) -> Template | None:
    """Reads `output`.

    A name is looked for among the captured groups first, then in the dictionary:
    a group is the author's own word, and takes precedence over a keyword.

    Args:
        table: the case of a regex-sub, or the rule of a file name.
        pattern: whose named groups the output may use; None where there is none.
        actions: what `groups` says.
        elements_need_action: an element that `groups` does not name is a violation.
        may_be_empty: `''` is an output, too.

    Returns:
        The template, or None where it is wrong, which is noted.
    """
    key = "output"
    text = table.text(key)
    node = table.value(key)
    is_written = isinstance(node, Scalar) and not node.is_null
    if text is None or not (text or (may_be_empty and is_written)):
        if key not in table:
            table.problems.add(
                Code.WRONG_TYPE, table.node, table.path, "'output' is missing, or says nothing."
            )
        elif text == "":
            table.report(Code.WRONG_TYPE, key, "'output' says nothing.")
        return None
    captured = frozenset() if pattern is None else pattern.group_names
    pieces: list[str | Capture | ElementValue] = []
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:
            table.report(
                Code.OUTPUT_SYNTAX,
                key,
                "The braces of the output do not match. A name stands as {name}, "
                "a brace itself as {{ or }}.",
            )
            return None
        at = found.end()
        if found[1] is None:
            piece = found.group()
            pieces.append(piece[0] if piece in {"{{", "}}"} else piece)
            continue
        value = _read_value(table, found[1], captured, actions, elements_need_action)
        if value is None:
            return None
        pieces.append(value)
    return tuple(pieces)


def _read_value(
    table: Table,
    name: str,
    captured: frozenset[str],
    actions: Mapping[OutputName, SimpleAction],
    elements_need_action: bool,
) -> Capture | ElementValue | None:
    if name in captured:
        return Capture(name, _without_keep(actions.get(name)))
    try:
        element = read_element(name)
    except SelectorError as error:
        table.report(
            Code.UNKNOWN_OUTPUT_NAME,
            "output",
            f"{quoted(name)} is neither a named group of the input-regex nor an element.",
            table.problems.guess(lambda word: nearest(word, captured), name)
            or table.problems.guess(nearest_keyword, error.keyword),
        )
        return None
    vrs = vrs_of(element)
    if vrs and BYTES_OR_ITEMS.issuperset(vrs):
        table.report(
            Code.UNKNOWN_OUTPUT_NAME, "output", f"{quoted(name)} has no value that is text."
        )
        return None
    if element not in actions and elements_need_action:
        table.report(
            Code.UNKNOWN_OUTPUT_NAME,
            "output",
            f"{quoted(name)} is not captured by the input-regex, and 'groups' does not say what "
            "is done to it.",
        )
        return None
    return ElementValue(element, _without_keep(actions.get(element)))


def _without_keep(action: SimpleAction | None) -> SimpleAction | None:
    return None if isinstance(action, Keep) else action
