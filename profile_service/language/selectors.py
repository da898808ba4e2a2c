"""Reads which elements a rule is about: keyword, tag, private, repeater, nested path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from profile_service.language.codes import Code
from profile_service.language.dictionary import (
    find_keyword,
    find_repeater,
    find_tag,
    format_tag,
    repeater_from,
    vrs_of,
)
from profile_service.language.model import (
    Element,
    ElementRef,
    EveryDepthSelector,
    PathSelector,
    PrivateCreatorBlock,
    PrivateElement,
    RepeaterElement,
)
from profile_service.language.problems import quoted
from profile_service.language.vr import MAX_CHARACTERS, problem

# Longer than any path of real data; it bounds the work on a hostile one.
MAX_NAME_CHARACTERS = 1024

_HEX_TAG = re.compile(r"(?:0x)?([0-9a-f]{8})", re.IGNORECASE | re.ASCII)
_PAIR = re.compile(
    r"\(\s*(?:0x)?([0-9a-fx]{4})\s*,\s*(?:0x)?([0-9a-fx]{4})\s*\)", re.IGNORECASE | re.ASCII
)
_REPEATER = re.compile(r"(?:0x)?(?!0x)([0-9a-fx]{8})", re.IGNORECASE | re.ASCII)
_TRIPLE = re.compile(r"\(([^,]*),(.*),([^,]*)\)", re.DOTALL)
_GROUP = re.compile(r"\s*(?:0x)?([0-9a-f]{4})\s*", re.IGNORECASE | re.ASCII)
_BLOCK = "*"
_EVERY_DEPTH = "**"
_OFFSET = re.compile(r"\s*(?:0x)?([0-9a-f]{2})\s*", re.IGNORECASE | re.ASCII)
_SLIPPED_TAG = re.compile(r"(?:0x)?([0-9a-f]{3,12})", re.IGNORECASE | re.ASCII)
_BARE_PAIR = re.compile(r"([0-9a-f]{4})\s*[,:]\s*([0-9a-f]{4})", re.IGNORECASE | re.ASCII)
_INDEX = re.compile(r"\*|[0-9]{1,6}", re.ASCII)
# PS3.5 7.6: a repeating group leaves the last two digits of the group open; of a whole
# group, or of repeating groups as a whole, all digits of the element are.
_RANGES = frozenset((0xFF00FFFF, 0xFFFF0000, 0xFF000000))

# A part of a dotted path: dots within parentheses or quotes belong to the part.
_PART = re.compile(r"""\((?:[^()"']|"[^"]*"|'[^']*')*\)|[^.]+""")

# PS3.5 7.8.1: odd groups that cannot be private.
_NEVER_PRIVATE = frozenset((0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF))

# PS3.5 7.5: items and delimiters are no elements of their own.
_DELIMITERS = 0xFFFE


class SelectorError(Exception):
    """A name selects nothing.

    Attributes:
        code: why, as a stable code.
        message: why, in a sentence.
        suggestion: what was probably meant, or the empty text.
        keyword: what was probably meant for a keyword, or the empty text; a guess
            at which one takes time, and is left to who reports the error.
    """

    def __init__(self, code: Code, message: str, suggestion: str = "", keyword: str = "") -> None:
        self.code = code
        self.message = message
        self.suggestion = suggestion
        self.keyword = keyword
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Target:
    """What a name selects, with what the dictionaries know about it.

    Attributes:
        selector: the elements.
        vrs: the VRs that they may have; empty where no dictionary knows.
    """

    selector: PathSelector
    vrs: tuple[str, ...]

    @property
    def dotted(self) -> bool:
        """Whether the name is a path into sequences."""
        return bool(self.selector.parents)

    @property
    def is_one_place(self) -> bool:
        """Whether an absent element would have exactly one place and a known VR."""
        return (
            bool(self.vrs)
            and not isinstance(self.selector.element, RepeaterElement)
            and all(index is not None for _, index in self.selector.parents)
        )


# Profiles come again and again (every validation, every resolution), and name
# the same elements: a few thousand entries of a few hundred bytes.
@lru_cache(maxsize=4096)
def read_name(name: str) -> Target:
    """Reads a `name`.

    Raises:
        SelectorError: it selects nothing.
    """
    if len(name) > MAX_NAME_CHARACTERS:
        raise SelectorError(
            Code.BAD_PATH, f"The name is longer than {MAX_NAME_CHARACTERS} characters."
        )
    parts = _split(name.strip())
    if parts[0] == _EVERY_DEPTH:
        if len(parts) != 2:
            raise SelectorError(
                Code.BAD_PATH, "After ** stands one element, which is selected at every depth."
            )
        element = _read_selected(parts[1])
        return Target(EveryDepthSelector((), element), vrs_of(element))
    parents: list[tuple[ElementRef, int | None]] = []
    for sequence, index in zip(parts[:-1:2], parts[1::2], strict=False):
        number = _read_index(name, sequence, index)
        parents.append((_read_parent(sequence), number))
    if len(parts) % 2 == 0:
        raise SelectorError(
            Code.BAD_PATH, "The name ends with an item; the element within the item is missing."
        )
    element = _read_selected(parts[-1])
    return Target(PathSelector(tuple(parents), element), vrs_of(element))


def read_element(name: str) -> ElementRef:
    """Reads the name of one element, without a path.

    Raises:
        SelectorError: it names no element, or several that are no repeating range.
    """
    element = _read_selected(name)
    if isinstance(element, PrivateCreatorBlock):
        raise SelectorError(
            Code.BAD_PRIVATE, "A whole private block stands only at the end of a name."
        )
    if isinstance(element, RepeaterElement) and element.is_whole:
        raise SelectorError(Code.BAD_TAG, "A whole group stands only at the end of a name.")
    return element


def _read_selected(name: str) -> ElementRef:
    """Reads the last part of a name: an element, a whole group or a whole private block.

    Raises:
        SelectorError: it names none of these.
    """
    text = name.strip()
    element = find_keyword(text) or _read_tag(text)
    if element is None and text.startswith("(") and text.count(",") >= 2:
        return _read_private(text)
    if element is None:
        raise _not_an_element(text)
    tag = element.tag if isinstance(element, Element) else element.value
    if isinstance(element, RepeaterElement) and element.is_whole:
        _check_group(tag >> 16)
        return element
    if tag & 0xFFFF == 0 and isinstance(element, Element):
        raise SelectorError(
            Code.NOT_ADDRESSABLE,
            f"{format_tag(tag)} is a group length, which follows from the other elements.",
        )
    if tag >> 16 == _DELIMITERS:
        raise SelectorError(
            Code.NOT_ADDRESSABLE,
            f"{format_tag(tag)} is an item or a delimiter, not an element with a value.",
        )
    return element


def _check_group(group: int) -> None:
    """Checks that the elements of a group can be named together."""
    if group % 2 == 1:
        raise SelectorError(
            Code.BAD_TAG,
            "A private group is not named as a whole: 'remove-private-tags' removes all, and "
            f'({group:04X}, "creator", *) names a block.',
        )
    if group in {0x0000, 0x0002, _DELIMITERS}:
        raise SelectorError(
            Code.NOT_ADDRESSABLE, f"The elements of group {group:04X} are named one by one."
        )


def _split(name: str) -> list[str]:
    if "." not in name:
        return [name]
    parts: list[str] = []
    at = 0
    while True:
        found = _PART.match(name, at)
        if found is None:
            raise SelectorError(Code.BAD_PATH, "A part of the dotted name is empty.")
        parts.append(found.group().strip())
        at = found.end()
        if at == len(name):
            return parts
        if name[at] != ".":
            raise SelectorError(Code.BAD_PATH, "A part of the dotted name goes on after its ).")
        at += 1


def _read_parent(sequence: str) -> ElementRef:
    element = read_element(sequence)
    if isinstance(element, RepeaterElement):
        raise SelectorError(
            Code.NOT_A_SEQUENCE, f"{quoted(sequence)} is a repeating range, not a sequence."
        )
    vrs = vrs_of(element)
    if vrs and "SQ" not in vrs:
        raise SelectorError(
            Code.NOT_A_SEQUENCE,
            f"{quoted(sequence)} is not a sequence: its VR is {' or '.join(vrs)}.",
        )
    return element


def _read_index(name: str, sequence: str, index: str) -> int | None:
    if _INDEX.fullmatch(index) is not None:
        return None if index == "*" else int(index)
    if index == _EVERY_DEPTH:
        raise SelectorError(Code.BAD_PATH, "Every depth, **, stands only at the beginning.")
    if index.startswith("*"):
        raise SelectorError(
            Code.BAD_PATH, f"{quoted(name)} looks like a pattern, which stands under 'regex'."
        )
    is_element = find_keyword(index) is not None or _read_tag(index) is not None
    raise SelectorError(
        Code.BAD_PATH,
        f"After {quoted(sequence)} an item number (from 0) or * is expected, not {quoted(index)}.",
        name.replace(f"{sequence}.{index}", f"{sequence}.*.{index}", 1) if is_element else "",
    )


def _read_tag(text: str) -> Element | RepeaterElement | None:
    pair = _PAIR.fullmatch(text)
    digits = pair[1] + pair[2] if pair is not None else ""
    if not digits:
        plain = _HEX_TAG.fullmatch(text) or _REPEATER.fullmatch(text)
        if plain is None:
            return None
        digits = plain[1]
    if "x" not in digits.lower():
        return Element(int(digits, 16))
    repeater = repeater_from(digits)
    # The dictionary has a few retired ranges of other forms.
    if repeater.mask not in _RANGES and find_repeater(repeater) is None:
        raise SelectorError(
            Code.BAD_TAG,
            f"{quoted(text)} is not a repeating range: the x stand for the last two digits "
            "of the group, or for all digits of the element.",
            f"({digits[:2]}xx,{digits[4:]})"
            if "x" not in (digits[:2] + digits[4:]).lower()
            else "",
        )
    return repeater


def _read_private(text: str) -> PrivateElement | PrivateCreatorBlock:
    form = '(odd group, "creator", two hex digits)'
    parts = _TRIPLE.fullmatch(text)
    if parts is None:
        raise SelectorError(Code.BAD_PRIVATE, f"A private element is named as {form}.")
    group_digits, offset_digits = _GROUP.fullmatch(parts[1]), _OFFSET.fullmatch(parts[3])
    if group_digits is None:
        raise SelectorError(Code.BAD_PRIVATE, f"The group must be four hex digits, as in {form}.")
    group = int(group_digits[1], 16)
    creator = _unquote(parts[2].strip()).rstrip(" ")
    is_block = parts[3].strip() == _BLOCK
    if offset_digits is None and not is_block:
        raise SelectorError(
            Code.BAD_PRIVATE,
            "The element must be the two last hex digits of its number: the block is found "
            "by the creator.",
            _offset_suggestion(group, creator, parts[3].strip()),
        )
    if group % 2 == 0:
        raise SelectorError(
            Code.BAD_PRIVATE, f"Private groups are odd; {group:04X} is even (PS3.5 7.8)."
        )
    if group in _NEVER_PRIVATE:
        raise SelectorError(Code.BAD_PRIVATE, f"The group {group:04X} cannot be private.")
    if not creator.strip():
        raise SelectorError(Code.BAD_PRIVATE, "The private creator is empty.")
    if "\\" in creator or problem("LO", creator) is not None:
        raise SelectorError(
            Code.BAD_PRIVATE,
            f"A private creator has at most {MAX_CHARACTERS['LO']} characters, without "
            "backslashes and control characters.",
        )
    if offset_digits is None:
        return PrivateCreatorBlock(group, creator)
    return PrivateElement(group, creator, int(offset_digits[1], 16))


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def _offset_suggestion(group: int, creator: str, digits: str) -> str:
    number = digits.lower().removeprefix("0x")
    if not 0 < len(number) <= 4 or any(digit not in "0123456789abcdef" for digit in number):
        return ""
    return f'({group:04X}, "{creator}", {number[-2:].zfill(2).upper()})'


def _not_an_element(text: str) -> SelectorError:
    if not text:
        return SelectorError(Code.UNKNOWN_KEYWORD, "The name is empty.")
    if "{" in text or "*" in text or "\\" in text:
        return SelectorError(
            Code.UNKNOWN_KEYWORD,
            f"{quoted(text)} is not a DICOM keyword. A pattern stands under 'regex'.",
        )
    slipped = _SLIPPED_TAG.fullmatch(text)
    if slipped is not None and any(digit.isdigit() for digit in text):
        return SelectorError(
            Code.BAD_TAG,
            f"{quoted(text)} looks like a tag, but a tag has eight hex digits.",
            _tag_suggestion(slipped[1]),
        )
    bare = _BARE_PAIR.fullmatch(text)
    if bare is not None:
        return SelectorError(
            Code.BAD_TAG,
            f"{quoted(text)} looks like a tag, which is written with parentheses.",
            f"({bare[1]},{bare[2]})",
        )
    if text[0] == "(" and ")" not in text:
        return SelectorError(
            Code.BAD_TAG,
            f"{quoted(text)} looks like the beginning of a tag. Between braces, a name with a "
            "comma must stand in quotes.",
        )
    if text[0] in "([":
        return SelectorError(
            Code.BAD_TAG, f"{quoted(text)} looks like a tag, which is written as (gggg,eeee)."
        )
    return SelectorError(
        Code.UNKNOWN_KEYWORD, f"{quoted(text)} is not a DICOM keyword.", keyword=text
    )


def _tag_suggestion(digits: str) -> str:
    """Reads a number as a tag whose leading zeros were lost, where a dictionary knows it."""
    value = int(digits, 16)
    return f"{value:08X}" if value <= 0xFFFFFFFF and find_tag(value) is not None else ""
