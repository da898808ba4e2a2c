"""YAML text -> a tree of nodes that know their place and their text as written.

Built from the events of the YAML parser, so that no scalar is ever interpreted:
`00100020` stays `00100020`. The work is bounded: text, depth, and the nodes and
characters that aliases expand to have limits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from yaml import CSafeLoader

from profile_service.language.codes import Code
from profile_service.language.problems import Problems, path_below, quoted
from profile_service.language.syntax import explain_syntax_error

if TYPE_CHECKING:
    from collections.abc import Iterator

# A profile with a rule for every element of PS3.15 table E.1-1 has some 40 KB.
MAX_BYTES = 1 << 20

# A profile needs eight levels: document, dicom, fields, rule, regex-sub, case,
# groups, action.
MAX_DEPTH = 32

# A rule is five nodes, and the whole DICOM dictionary some 5,000 rules. Aliases
# count as what they expand to, so that a small text cannot unfold to a huge one.
MAX_NODES = 40_000

_MERGE_KEY = "<<"

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# YAML 1.1, 5.1: what is no character of a stream, nor a byte order mark, which is taken off
# before. Said by what is not allowed, as the rest takes ten times as long to compile.
_ILLEGAL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"
)

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

# The tags of plain data. What they ask for beyond the kind of node does not
# matter: scalars are read as written.
_YAML_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({"!", _YAML_TAG + "str"})
_PLAIN_TAGS = _TEXT_TAGS | {
    _YAML_TAG + kind for kind in ("seq", "map", "int", "float", "bool", "null")
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar as written.

    Attributes:
        text: its text, after quoting and folding are undone.
        plain: whether it stands without quotes, so that `null` means nothing.
        line: from 1.
        column: from 1, in characters.
    """

    text: str
    plain: bool
    line: int
    column: int

    @property
    def is_null(self) -> bool:
        """Whether it says that there is no value."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list; place as in `Scalar`."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping and its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping, in the order written, with merge keys resolved; place as in `Scalar`."""

    entries: dict[str, Entry]
    line: int
    column: int


Node = Scalar | ListNode | MapNode


def load(source: str | bytes, problems: Problems) -> Node | None:
    """Reads one YAML document.

    Args:
        source: the text, or its bytes as UTF-8, with or without a byte order mark.
        problems: takes what is wrong.

    Returns:
        The root, or None where there is none to go on with; problems then holds
        a violation.
    """
    text = _decode(source, problems)
    if text is None:
        return None
    illegal = _ILLEGAL.search(text)
    if illegal is not None:
        problems.add(
            Code.ILLEGAL_CHARACTER,
            _place_of(text, illegal.start()),
            "",
            f"The character U+{ord(illegal.group()):04X} is not allowed in YAML.",
        )
        return None
    builder = _Builder(problems, split_lines(text))
    try:
        return builder.build(yaml.parse(text, Loader=CSafeLoader))
    except _Refused:
        return None
    except yaml.MarkedYAMLError as error:
        found = explain_syntax_error(error, text)
        problems.add(Code.YAML_SYNTAX, found, "", found.message, found.suggestion)
        return None


def split_lines(text: str) -> list[str]:
    """Cuts a text into lines as YAML counts them."""
    return _LINE_BREAK.split(text)


def _decode(source: str | bytes, problems: Problems) -> str | None:
    # A character takes at least a byte: what is too long stays unread.
    if len(source) > MAX_BYTES:
        problems.add(Code.TOO_LARGE, None, "", f"The text is longer than {MAX_BYTES} bytes.")
        return None
    if isinstance(source, str):
        if len(source.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            problems.add(Code.TOO_LARGE, None, "", f"The text is longer than {MAX_BYTES} bytes.")
            return None
        return source.removeprefix("\ufeff")
    if source.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.add(Code.NOT_UTF8, None, "", "The text is UTF-16; it must be saved as UTF-8.")
        return None
    try:
        return source.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        readable = source[: error.start].decode("utf-8")
        problems.add(
            Code.NOT_UTF8,
            _place_of(readable, len(readable)),
            "",
            f"The byte 0x{source[error.start]:02X} at offset {error.start} is not UTF-8 text.",
        )
        return None


def _place_of(text: str, index: int) -> Scalar:
    before = split_lines(text[:index])
    return Scalar("", False, len(before), len(before[-1]) + 1)


class _Refused(Exception):  # noqa: N818 - control flow within this module
    """The document cannot be read further; the problem is noted."""


@dataclass(slots=True)
class _Frame:
    """A collection that is being read."""

    event: yaml.SequenceStartEvent | yaml.MappingStartEvent
    nodes_before: int
    characters_before: int
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What an alias stands for, and how much that is; no node while it is being read."""

    node: Node | None
    nodes: int = 0
    characters: int = 0


class _Builder:
    """Makes the tree, iteratively: depth costs no stack."""

    def __init__(self, problems: Problems, lines: list[str]) -> None:
        self._problems = problems
        # The parser places what is missing at the end on a line after the last one.
        self._end = (len(lines), len(lines[-1]) + 1)
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._nodes = 0
        self._characters = 0
        self._root: Node | None = None

    def build(self, events: Iterator[yaml.Event]) -> Node | None:
        """Consumes the events of one document.

        Raises:
            _Refused: the document cannot be used; the problem is noted.
            yaml.MarkedYAMLError: the text is not YAML.
        """
        documents = 0
        for event in events:
            match event:
                case yaml.ScalarEvent():
                    self._scalar(event)
                case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                    self._open(event)
                case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                    self._close()
                case yaml.AliasEvent():
                    self._alias(event)
                case yaml.DocumentStartEvent():
                    documents += 1
                    if documents > 1:
                        self._refuse(
                            Code.SEVERAL_DOCUMENTS,
                            event,
                            "A second document starts here; a profile is one document.",
                        )
        if documents == 0:
            self._problems.add(Code.EMPTY_DOCUMENT, None, "", "The document is empty.")
        return self._root

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event)
        line, column = self._start(event)
        # The parser says '' or None for a scalar without quotes.
        plain = not event.style and event.tag not in _TEXT_TAGS
        node = Scalar(event.value, plain, line, column)
        self._count(event, 1, len(event.value))
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(node, 1, len(event.value))
        self._append(node)

    def _open(self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent) -> None:
        self._check_tag(event)
        if len(self._frames) == MAX_DEPTH:
            self._refuse(
                Code.TOO_COMPLEX, event, f"The document is nested deeper than {MAX_DEPTH} levels."
            )
        self._frames.append(_Frame(event, self._nodes, self._characters))
        self._count(event, 1, 0)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(None)

    def _close(self) -> None:
        frame = self._frames.pop()
        line, column = self._start(frame.event)
        node: Node
        if isinstance(frame.event, yaml.SequenceStartEvent):
            node = ListNode(tuple(frame.children), line, column)
        else:
            node = MapNode(self._entries(frame.children, self._path()), line, column)
        if frame.event.anchor is not None:
            self._anchors[frame.event.anchor] = _Anchor(
                node,
                self._nodes - frame.nodes_before,
                self._characters - frame.characters_before,
            )
        self._append(node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        anchor = self._anchors.get(event.anchor or "")
        if anchor is None:
            self._refuse(
                Code.YAML_ALIAS,
                event,
                "A text that starts with `*` is an alias, and this one names no anchor above. "
                "Where it is meant as text it must stand in quotes.",
                f'"*{event.anchor}"',
            )
        elif anchor.node is None:
            self._refuse(Code.YAML_ALIAS, event, "The alias names what it stands in.")
        else:
            self._count(event, anchor.nodes, anchor.characters)
            self._append(anchor.node)

    def _append(self, node: Node) -> None:
        if self._frames:
            self._frames[-1].children.append(node)
        else:
            self._root = node

    def _start(self, event: yaml.Event) -> tuple[int, int]:
        mark = event.start_mark
        return self._end if mark is None else min((mark.line + 1, mark.column + 1), self._end)

    def _path(self) -> str:
        """Where the next node stands, for example `dicom.fields[3]`."""
        path = ""
        for frame in self._frames:
            if isinstance(frame.event, yaml.SequenceStartEvent):
                path += f"[{len(frame.children)}]"
            elif len(frame.children) % 2 == 1:
                key = frame.children[-1]
                path = path_below(path, key.text if isinstance(key, Scalar) else "")
        return path

    def _entries(self, children: list[Node], path: str) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[Node] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problems.add(
                    Code.KEY_NOT_TEXT, key, path, "A key must be text, not a list or a mapping."
                )
            elif key.plain and key.text == _MERGE_KEY:
                merged.append(value)
            elif key.text in entries:
                first = entries[key.text].key.line
                self._problems.add(
                    Code.DUPLICATE_KEY,
                    key,
                    path_below(path, key.text),
                    f"The key {quoted(key.text)} stands here again; it is on line {first} already.",
                )
            else:
                entries[key.text] = Entry(key, value)
        for value in merged:
            self._merge(entries, value, path)
        return entries

    def _merge(self, entries: dict[str, Entry], value: Node, path: str) -> None:
        # YAML merge key: what is written wins over what is merged, and of several
        # merged mappings the earlier one.
        for source in value.items if isinstance(value, ListNode) else (value,):
            if isinstance(source, MapNode):
                for text, entry in source.entries.items():
                    entries.setdefault(text, entry)
            else:
                self._problems.add(
                    Code.YAML_MERGE, source, path, "Only mappings can be merged with `<<`."
                )

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            self._refuse(
                Code.YAML_TAG,
                event,
                f"The tag {quoted(event.tag)} is not plain data. "
                "Where a text starts with `!` it must stand in quotes.",
            )

    def _count(self, event: yaml.Event, nodes: int, characters: int) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._nodes > MAX_NODES:
            self._refuse(
                Code.TOO_COMPLEX, event, f"The document has more than {MAX_NODES} nodes up to here."
            )
        if self._characters > MAX_BYTES:
            self._refuse(
                Code.TOO_COMPLEX,
                event,
                f"With its aliases the text is longer than {MAX_BYTES} characters up to here.",
            )

    def _refuse(self, code: Code, event: yaml.Event, message: str, suggestion: str = "") -> None:
        line, column = self._start(event)
        place = Scalar("", False, line, column)
        self._problems.add(code, place, self._path(), message, suggestion)
        raise _Refused
