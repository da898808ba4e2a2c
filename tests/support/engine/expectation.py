"""What a profile makes of a data set, worked out as plainly as it is specified.

The rules run one after the other over the whole tree, in memory, without any
thought of speed. It shares no code with the engine, and knows the actions whose
results do not hang on chance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_keyword

from profile_service.language.model import (
    Element as Named,
)
from profile_service.language.model import (
    ElementRef,
    EveryDepthSelector,
    Hash,
    HashUid,
    IncrementDate,
    Keep,
    PathSelector,
    PrivateCreatorBlock,
    PrivateElement,
    Profile,
    RegexSelector,
    Remove,
    RepeaterElement,
    ReplaceWith,
    Rule,
    Selector,
    Settings,
)
from tests.support.engine.build import header, item_header
from tests.support.engine.walk import Element, Item, Place, Syntax, vr_by_dictionary

CHARACTER_SET = 0x00080005


@dataclass
class Want:
    """An element that the output must have.

    Attributes:
        path: where it is in the input, or would be.
        vr: of the element.
        source: as it is in the input; None for an inserted one.
        value: the new value; None where it stays as it came.
        items: of a sequence, else None.
        named: a rule selects it.
    """

    path: Place
    vr: str
    source: Element | None = None
    value: bytes | None = None
    items: list[WantedItem] | None = None
    named: bool = False

    @property
    def tag(self) -> int:
        """The tag as a 32-bit number."""
        return self.path[-1]

    @property
    def text(self) -> str:
        """The value as text, for values that have no characters beyond ASCII."""
        value = self.value
        if value is None and self.source is not None:
            value = self.source.value
        return (value or b"").decode("latin-1").strip(" \0")

    @property
    def is_untouched(self) -> bool:
        """Whether it is in the output byte for byte."""
        return (
            self.source is not None
            and self.value is None
            and (
                self.items is None
                or (
                    [item.source for item in self.items] == self.source.items
                    and all(item.is_untouched for item in self.items)
                )
            )
        )


@dataclass
class WantedItem:
    """An item that the output must have; without a source it is a new one."""

    source: Item | None
    wants: Level

    @property
    def is_untouched(self) -> bool:
        """Whether it is in the output byte for byte."""
        if self.source is None:
            return False
        return [want.source for want in self.wants.wants] == self.source.elements and all(
            want.is_untouched for want in self.wants.wants
        )


@dataclass
class Level:
    """The elements of a data set or an item."""

    wants: list[Want]
    path: Place = ()
    syntax: Syntax = field(default_factory=lambda: Syntax(explicit=True))
    charset: str = ""
    elements: list[Element] = field(default_factory=list)

    def find(self, tag: int) -> Want | None:
        """Returns the element of a tag, if there is one."""
        return next((want for want in self.wants if want.tag == tag), None)

    def creator(self, tag: int) -> str | None:
        """Returns the private creator of the block that a tag lies in."""
        number = tag & 0xFFFF
        if not tag >> 16 & 1 or number <= 0xFF:
            return None
        creator = self.find(tag >> 16 << 16 | number >> 8)
        return None if creator is None else creator.text

    def add(self, want: Want) -> None:
        """Inserts an element in the order of tags."""
        at = next((i for i, each in enumerate(self.wants) if each.tag > want.tag), len(self.wants))
        self.wants.insert(at, want)


def expected(elements: list[Element], syntax: Syntax, profile: Profile) -> Level:
    """Returns what the data set must be after a profile."""
    top = _level(elements, (), syntax, "")
    for rule in profile.rules:
        _run(rule, top, profile.settings)
    _apply_settings(top, profile)
    _drop_group_lengths(top)
    return top


def assert_equals(level: Level, elements: list[Element]) -> None:
    """Compares a data set with what it must be, at every depth."""
    assert [hex(each.tag) for each in elements] == [hex(want.tag) for want in level.wants], (
        f"the elements at {_shown(level.path)}"
    )
    for want, element in zip(level.wants, elements, strict=True):
        where = _shown(want.path)
        if want.is_untouched:
            assert want.source is not None
            assert element.raw == want.source.raw, f"{where} is not as it was"
            continue
        if want.items is None:
            assert element.value == want.value, f"{where} is not what the profile says"
            vr = want.source.vr if want.source else want.vr
            wanted = header(want.tag, _written(want, vr), len(element.value), level.syntax)
            assert element.header == wanted, f"the header of {where}"
            continue
        items = element.items or []
        assert len(items) == len(want.items), f"the items of {where}"
        if want.source is not None:
            assert element.header[:-4] == want.source.header[:-4], f"the header of {where}"
            was_emptied = want.value is not None
            assert element.undefined == (want.source.undefined and not was_emptied), where
        for wanted_item, item in zip(want.items, items, strict=True):
            if wanted_item.source is not None:
                is_undefined = wanted_item.source.header[4:] == b"\xff\xff\xff\xff"
                assert (item.header[4:] == b"\xff\xff\xff\xff") == is_undefined, where
            assert_equals(wanted_item.wants, item.elements)


def hashed(value: str, settings: Settings, limit: int = 64) -> str:
    """Returns what the action `hash` makes of a value."""
    digest = sha256((settings.salt + value).encode()).hexdigest()
    return digest[: min(settings.hash_digits, limit)]


def hashed_uid(uid: str, settings: Settings) -> str:
    """Returns what the action `hashuid` makes of a UID."""
    nodes = uid.split(".")
    digits = "".join(str(byte) for byte in sha256((settings.salt + uid).encode()).digest())
    middle = [digits[i : i + 6] for i in range(0, 36, 6)]
    middle = [node if node[0] != "0" else "1" + node[1:] for node in middle]
    prefix = nodes[: min(settings.uid_prefix_fields, len(nodes) - settings.uid_suffix_fields)]
    suffix = [str(int(node[-6:])) for node in nodes[len(nodes) - settings.uid_suffix_fields :]]
    made = ".".join(prefix + middle + suffix)
    if len(made) <= 64:
        return made
    front, last = made.rsplit(".", 1)
    return front[: 63 - len(last)].rstrip(".") + "." + last


def _written(want: Want, vr: str) -> str:
    """Returns the VR that the header says: a UN of the input stays UN."""
    if want.source is not None and want.source.syntax.explicit:
        return want.source.header[4:6].decode()
    return vr


def _level(elements: list[Element], path: Place, syntax: Syntax, charset: str) -> Level:
    for element in elements:
        if element.tag == CHARACTER_SET:
            charset = element.value.decode("latin-1").strip(" \0")
    if elements:
        syntax = elements[0].syntax
    level = Level([], path, syntax, charset, elements)
    for element in elements:
        items = None
        if element.items is not None:
            inner = Syntax(explicit=False) if element.header[4:6] == b"UN" else syntax
            items = [
                WantedItem(item, _level(item.elements, (*element.path, index), inner, charset))
                for index, item in enumerate(element.items)
            ]
        level.wants.append(Want(element.path, element.vr, element, items=items))
    return level


def _levels(level: Level) -> Iterator[Level]:
    yield level
    for want in level.wants:
        for item in want.items or ():
            yield from _levels(item.wants)


# --- rules ---


def _run(rule: Rule, top: Level, settings: Settings) -> None:
    selector = rule.selector
    if isinstance(selector, RegexSelector):
        for level in list(_levels(top)):
            for want in list(level.wants):
                if any(selector.pattern.match(path) is not None for path in _dotted(want.path)):
                    _act(rule, level, want, settings, by_regex=True)
        return
    assert isinstance(selector, PathSelector)
    reached = [top]
    if selector.parents:
        insert = isinstance(rule.action, ReplaceWith) and rule.action.insert
        for parent, index in selector.parents:
            reached = [
                below for level in reached for below in _below(level, parent, index, insert=insert)
            ]
    elif settings.recurse_sequence or isinstance(selector, EveryDepthSelector):
        reached = list(_levels(top))
    for level in reached:
        selected = [want for want in level.wants if _selects(selector.element, want.tag, level)]
        for want in selected:
            _act(rule, level, want, settings, by_regex=_is_many(selector.element))
        if (
            not selected
            and isinstance(rule.action, ReplaceWith)
            and rule.action.insert
            and (level is top or selector.parents)
        ):
            _insert(selector.element, level, rule.action.text)


def _insert(element: ElementRef, level: Level, text: str) -> None:
    """Inserts an element, in the block of its creator if it is private."""
    creators: dict[int, str] = {}
    if isinstance(element, PrivateElement):
        tag = element.group << 16 | 0x10
        while (there := level.find(tag)) is not None and there.text != element.creator:
            tag += 1
        if there is None:
            creator = _padded(element.creator.encode(), "LO")
            level.add(Want((*level.path, tag), "LO", value=creator))
        tag = tag >> 16 << 16 | (tag & 0xFF) << 8 | element.offset
        creators[tag >> 8] = element.creator
    else:
        assert isinstance(element, Named)
        tag = element.tag
        if tag >> 16 == 2:
            return
    vr = vr_by_dictionary(tag, creators)
    want = Want((*level.path, tag), vr, named=True)
    want.items = [] if vr == "SQ" else None
    want.value = _padded(text.encode(), vr)
    level.add(want)


def _below(level: Level, parent: ElementRef, index: int | None, *, insert: bool) -> list[Level]:
    found = [want for want in level.wants if _selects(parent, want.tag, level)]
    if not found and insert and isinstance(parent, Named):
        want = Want((*level.path, parent.tag), "SQ", items=[])
        level.add(want)
        found = [want]
    levels = []
    for want in found:
        items = want.items
        if items is None:
            continue
        while insert and index is not None and len(items) <= index:
            is_un = want.source is not None and want.source.header[4:6] == b"UN"
            syntax = Syntax(explicit=False) if is_un else level.syntax
            inner = Level([], (*want.path, len(items)), syntax, level.charset)
            items.append(WantedItem(None, inner))
        levels += [item.wants for i, item in enumerate(items) if index is None or i == index]
    return levels


def _selects(element: ElementRef, tag: int, level: Level) -> bool:
    if isinstance(element, Named):
        return tag == element.tag
    if isinstance(element, RepeaterElement):
        is_length = not tag & 0xFFFF
        return tag & element.mask == element.value and not (tag >> 16 & 1 or is_length)
    if isinstance(element, PrivateCreatorBlock):
        in_block = tag & 0xFFFF > 0xFF and tag >> 16 == element.group
        return in_block and level.creator(tag) == element.creator
    return (
        tag >> 16 == element.group
        and tag & 0xFF == element.offset
        and level.creator(tag) == element.creator
    )


def _is_many(element: ElementRef) -> bool:
    return isinstance(element, PrivateCreatorBlock) or (
        isinstance(element, RepeaterElement) and element.mask in {0xFFFF0000, 0xFF000000}
    )


def _act(rule: Rule, level: Level, want: Want, settings: Settings, *, by_regex: bool) -> None:
    action = rule.action
    want.named = True
    if isinstance(action, Remove):
        level.wants.remove(want)
        block = level.find(want.tag >> 16 << 16 | (want.tag & 0xFFFF) >> 8)
        is_last = all(each.tag >> 8 != want.tag >> 8 for each in level.wants)
        if block is not None and block.source is None and is_last:
            # Its private creator was inserted with it.
            level.wants.remove(block)
    elif isinstance(action, ReplaceWith):
        if want.items is not None:
            if not by_regex or not action.text:
                want.items.clear()
                want.value = b""
        else:
            want.value = _padded(action.text.encode(), want.vr)
    elif not isinstance(action, Keep) and want.items is None:
        texts = _texts(want, level)
        if any(texts):
            new = [_transformed(action, text, want.vr, settings) if text else "" for text in texts]
            want.value = _padded("\\".join(new).encode(), want.vr)


def _transformed(action: object, text: str, vr: str, settings: Settings) -> str:
    match action:
        case Hash():
            return hashed(text, settings, {"SH": 16, "CS": 16, "AE": 16, "DA": 8}.get(vr, 64))
        case HashUid():
            return hashed_uid(text, settings)
        case IncrementDate(shift=shift):
            # PS3.5 6.2: dates of the older form have dots between their parts.
            form = "%Y.%m.%d" if "." in text else "%Y%m%d"
            return (datetime.strptime(text, form) + timedelta(days=shift.days)).strftime(form)
    raise NotImplementedError


def _texts(want: Want, level: Level) -> list[str]:
    value = want.value
    if value is None:
        assert want.source is not None
        value = want.source.value
    encodings = convert_encodings(level.charset.split("\\") if level.charset else None)
    text = decode_bytes(value.rstrip(b" \0"), encodings, {0x5C, 0x5E, 0x3D})
    return text.split("\\")


def _padded(value: bytes, vr: str) -> bytes:
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def _dotted(path: Place) -> Iterator[str]:
    """Yields the spellings of a path: keywords of what has one, below what has none, and hex."""
    if _keyword(path[-1]):
        yield ".".join(
            (_keyword(part) or f"{part:08x}") if i % 2 == 0 else str(part)
            for i, part in enumerate(path)
        )
    yield ".".join(f"{part:08x}" if i % 2 == 0 else str(part) for i, part in enumerate(path))


def _keyword(tag: int) -> str | None:
    try:
        return dictionary_keyword(tag) or None
    except KeyError:
        return None


# --- settings ---


def _apply_settings(top: Level, profile: Profile) -> None:
    settings = profile.settings
    if settings.remove_undefined:
        _keep_named(top, [rule.selector for rule in profile.rules])
    if settings.remove_private_tags or settings.remove_undefined:
        for level in _levels(top):
            _drop_private(level, profile)


def _keep_named(level: Level, selectors: list[Selector]) -> bool:
    """Takes away what no rule names, and says whether something named is left."""
    kept = []
    for want in level.wants:
        has_named = False
        for item in want.items or ():
            has_named = _keep_named(item.wants, selectors) or has_named
        is_creator = want.tag >> 16 & 1 and 0x10 <= want.tag & 0xFFFF <= 0xFF
        on_path = any(_leads_on(selector, want.path) for selector in selectors)
        if want.named or has_named or on_path or is_creator or want.tag == CHARACTER_SET:
            kept.append(want)
    level.wants[:] = kept
    return any(want.named or want.items for want in kept)


def _leads_on(selector: Selector, path: Place) -> bool:
    """Whether a dotted rule reaches into the sequence at a path."""
    tags, indices = path[::2], path[1::2]
    if not isinstance(selector, PathSelector) or len(selector.parents) < len(tags):
        return False
    return all(
        isinstance(parent, Named) and parent.tag == tag
        for (parent, _), tag in zip(selector.parents, tags, strict=False)
    ) and all(
        wanted in {None, index}
        for (_, wanted), index in zip(selector.parents, indices, strict=False)
    )


def _drop_private(level: Level, profile: Profile) -> None:
    """Takes away private elements that no rule names, and creators without elements."""
    wants = level.wants
    stays = {id(want): _is_kept_at_depth(level, want.tag, profile) for want in wants}
    for want in [each for each in wants if each.tag >> 16 & 1]:
        number = want.tag & 0xFFFF
        if not 0x10 <= number <= 0xFF and not want.named and not stays[id(want)]:
            wants.remove(want)
    blocks = {want.tag >> 8 for want in wants if want.tag >> 16 & 1 and want.tag & 0xFFFF > 0xFF}
    for want in [each for each in wants if each.tag >> 16 & 1]:
        number = want.tag & 0xFFFF
        block = want.tag >> 16 << 8 | number
        is_named = want.named or stays[id(want)]
        if 0x10 <= number <= 0xFF and block not in blocks and not is_named:
            wants.remove(want)


def _is_kept_at_depth(level: Level, tag: int, profile: Profile) -> bool:
    """Whether rules of the top level keep a private element, and none does something else."""
    actions = [
        rule.action
        for rule in profile.rules
        if isinstance(rule.selector, PathSelector)
        and not rule.selector.parents
        and not isinstance(rule.selector.element, RepeaterElement)
        and _selects(rule.selector.element, tag, level)
    ]
    is_kept = bool(actions) and all(isinstance(action, Keep) for action in actions)
    return is_kept and profile.settings.remove_private_tags


def _drop_group_lengths(top: Level) -> None:
    """A group length stays where the group is as long as before."""
    for level in reversed(list(_levels(top))):
        for want in [each for each in level.wants if each.tag & 0xFFFF == 0]:
            if want.is_untouched and not want.named:
                group = want.tag >> 16
                before = sum(len(e.raw) for e in level.elements if e.tag >> 16 == group)
                after = sum(_size(e, level.syntax) for e in level.wants if e.tag >> 16 == group)
                if after != before:
                    level.wants.remove(want)


def _size(want: Want, syntax: Syntax) -> int:
    if want.is_untouched:
        assert want.source is not None
        return len(want.source.raw)
    size = len(header(want.tag, want.vr, 0, syntax)) + len(want.value or b"")
    for item in want.items or ():
        size += len(item_header(0, 0)) + (len(item.source.delimiter) if item.source else 0)
        size += sum(_size(each, item.wants.syntax) for each in item.wants.wants)
    return size + (len(want.source.tail) if want.source and want.items else 0)


def _shown(path: Place) -> str:
    return ".".join(f"{part:08x}" if i % 2 == 0 else str(part) for i, part in enumerate(path))
