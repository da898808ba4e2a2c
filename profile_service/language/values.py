"""Reads values of a mapping: each getter takes what authors write and notes what is wrong.

Scalars come as written, so `true`, `yes` and `"true"` are the same switch, and
`2`, `2.0` and `"2"` the same number.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, TypeVar

from profile_service.language.codes import Code
from profile_service.language.document import Entry, ListNode, MapNode, Node, Scalar
from profile_service.language.problems import Problems, path_below, quoted
from profile_service.language.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")

# What YAML 1.1 takes for a switch.
_SWITCH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?", re.ASCII)


class Table:
    """A mapping of the document together with its path and where problems go.

    A getter gives None for a key that is absent, and for one whose value is
    wrong after noting that.
    """

    def __init__(self, node: MapNode, path: str, problems: Problems) -> None:
        self.node = node
        self.path = path
        self.problems = problems

    def __contains__(self, key: str) -> bool:
        return key in self.node.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.node.entries)

    def key(self, key: str) -> Scalar:
        """Where a key stands that is there."""
        return self.node.entries[key].key

    def value(self, key: str) -> Node | None:
        """The value of a key, whatever it is."""
        entry = self.node.entries.get(key)
        return None if entry is None else entry.value

    def at(self, key: str) -> str:
        """The path of a key."""
        return path_below(self.path, key)

    def report(self, code: Code, key: str, message: str, suggestion: str = "") -> None:
        """Notes a problem with the value of a key: the place is that of the value."""
        self.problems.add(code, self.node.entries[key].value, self.at(key), message, suggestion)

    def report_key(self, code: Code, key: str, message: str, suggestion: str = "") -> None:
        """Notes a problem with a key itself."""
        self.problems.add(code, self.node.entries[key].key, self.at(key), message, suggestion)

    def report_unknown(self, code: Code, key: str, what: str, known: Iterable[str]) -> None:
        """Notes a key that is none of the known ones, with the nearest of them."""
        guess = self.problems.guess(lambda word: nearest(word, known), key)
        self.report_key(code, key, f"{quoted(key)} is not {what}.", guess)

    def switch(self, key: str) -> bool | None:
        """Reads true or false."""
        text = self._scalar(key, "true or false")
        if text is None:
            return None
        value = _SWITCH.get(text.lower())
        if value is None:
            self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes true or false.")
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        """Reads a whole number between two bounds."""
        text = self._scalar(key, "a whole number")
        if text is None:
            return None
        if _WHOLE.fullmatch(text) is None:
            self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes a whole number.")
            return None
        number = int(text.partition(".")[0])
        if not least <= number <= most:
            self.report(Code.OUT_OF_RANGE, key, f"{quoted(key)} lies between {least} and {most}.")
            return None
        return number

    def number(self, key: str, most: float = math.inf) -> float | None:
        """Reads a finite number whose magnitude is at most `most`."""
        text = self._scalar(key, "a number")
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes a number.")
            return None
        number = float(text)
        if not math.isfinite(number) or abs(number) > most:
            self.report(Code.OUT_OF_RANGE, key, f"The number of {quoted(key)} is too large.")
            return None
        return number

    def text(self, key: str) -> str | None:
        """Reads a text; a value that says nothing is the empty text."""
        node = self.value(key)
        if node is None:
            return None
        if not isinstance(node, Scalar):
            self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes a text.")
            return None
        return "" if node.is_null else node.text

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """Reads one of a few words."""
        known = tuple(choices)
        wanted = f"one of {', '.join(known)}"
        text = self._scalar(key, wanted)
        if text is None:
            return None
        if text not in known:
            self.report(
                Code.OUT_OF_RANGE,
                key,
                f"{quoted(key)} takes {wanted}.",
                self.problems.guess(lambda word: nearest(word, known), text),
            )
            return None
        return text

    def parsed(self, key: str, code: Code, parse: Callable[[str], _T], what: str) -> _T | None:
        """Reads a text that `parse` understands, or gives None for."""
        text = self._scalar(key, what)
        if text is None:
            return None
        value = parse(text)
        if value is None:
            self.report(code, key, f"{quoted(key)} takes {what}.")
        return value

    def items(self, key: str, what: str) -> tuple[Node, ...]:
        """Reads a list; the items are whatever they are."""
        node = self.value(key)
        if node is None:
            return ()
        if not isinstance(node, ListNode):
            self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes a list of {what}.")
            return ()
        return node.items

    def _scalar(self, key: str, what: str) -> str | None:
        entry: Entry | None = self.node.entries.get(key)
        if entry is None:
            return None
        if isinstance(entry.value, Scalar) and not entry.value.is_null:
            return entry.value.text
        found = "has no value" if isinstance(entry.value, Scalar) else "is not a scalar"
        self.report(Code.WRONG_TYPE, key, f"{quoted(key)} takes {what}, and {found}.")
        return None
