"""Measures what a profile does by what the standard asks (PS3.15, table E.1-1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, assert_never

from deid_service.engine.encoding.tags import FILE_META, SOP_INSTANCE_UID
from deid_service.engine.rules.ops import (
    Dropped,
    Effect,
    Kept,
    OnSequence,
    Rewritten,
    becomes_of,
    effect_on_sequence,
    effect_on_value,
)
from deid_service.engine.rules.rules import Rules
from profile_service.language.checks import keeps
from profile_service.language.dictionary import all_sequences, vrs_of
from profile_service.language.model import (
    ACTION_NAMES,
    Dummy,
    Element,
    Keep,
    Profile,
    RepeaterElement,
)
from profile_service.language.standard import Attribute, attributes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deid_service.engine.rules.nodes import Node
    from deid_service.engine.rules.ops import Op
    from profile_service.language.standard import Option

# PS3.10 7.1: it names the instance again, and the engine makes it follow.
_MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003

# An element of a private block whose creator no rule can know.
_PRIVATE: Final = 0x00991001

# PS3.5 7.6: the even groups of a repeating range.
_REPEATING_GROUPS: Final = range(0, 0x20, 2)

# Where all elements of a repeating group are meant: dimensions, and data.
_OF_A_GROUP: Final = (0x0005, 0x3000)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a profile does to an element in one place.

    Attributes:
        effect: as the engine says.
        by: the actions or settings that do it, as receipts count them.
    """

    effect: Effect
    by: tuple[str, ...]

    @property
    def protects(self) -> bool:
        """Whether the value does not come out as it was."""
        return self.effect is not Effect.STAYS


class Extent(Enum):
    """Where a profile treats an attribute; the value is for people and programs."""

    EVERYWHERE = "everywhere"
    TOP_LEVEL = "top level only"
    ITEMS = "items only"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a profile does to an attribute of the table.

    Attributes:
        attribute: with what the standard does.
        top: what the profile does to it at the top level.
        items: what it does to it in the items of sequences that no rule names.
    """

    attribute: Attribute
    top: Treatment
    items: Treatment

    @property
    def extent(self) -> Extent:
        """Where it is treated."""
        match self.top.protects, self.items.protects:
            case True, True:
                return Extent.EVERYWHERE
            case True, False:
                return Extent.TOP_LEVEL
            case False, True:
                return Extent.ITEMS
            case _:
                return Extent.NOWHERE

    @property
    def kept_by(self) -> tuple[Option, ...]:
        """The options of the standard that keep it."""
        return tuple(option for option, code in self.attribute.options.items() if code == "K")


def measure(profile: Profile) -> list[Measured]:
    """Returns what a profile does to each attribute of the table, in its order.

    The engine says what it would do; nothing of a rule is worked out here.

    Raises:
        DicomError: a pattern of the profile took too long.
    """
    # An action that moves nothing treats nothing.
    rules = Rules.of(
        replace(
            profile,
            rules=tuple(
                replace(rule, action=Keep()) if keeps(rule) else rule for rule in profile.rules
            ),
        )
    )
    probe = _Probe(rules)
    return [
        Measured(attribute, probe.at_top(attribute), probe.in_items(attribute))
        for attribute in attributes()
    ]


class _Probe:
    """Asks the rules of a profile about attributes."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        sequence = _a_sequence(rules)
        op = rules.top.op(sequence, None, "SQ")
        self._item: Node | None = None
        # Where items as a whole are treated, all that is in them is.
        self._whole = _on_sequence(op)
        if effect_on_sequence(op) is Effect.STAYS:
            children = rules.top.children(sequence, None)
            self._item = None if children is None else children.item(0)

    def at_top(self, attribute: Attribute) -> Treatment:
        """Returns what is done to an attribute at the top level."""
        rules = self._rules
        element = attribute.element
        if element == Element(_MEDIA_STORAGE_SOP_INSTANCE_UID) and rules.changes_instance_uid:
            return _on_value(rules.top.op(SOP_INSTANCE_UID, None, "UI"))
        if isinstance(element, Element) and element.tag >> 16 == FILE_META:
            return _on_value(rules.top.file_meta_ops[element.tag])
        vr = _vr(attribute)
        return _least(_on(attribute, rules.top.op(tag, None, vr)) for tag in _tags(attribute))

    def in_items(self, attribute: Attribute) -> Treatment:
        """Returns what is done to an attribute in an item of a sequence that no rule names."""
        item = self._item
        if item is None:
            return self._whole
        vr = _vr(attribute)
        return _least(_on(attribute, item.op(tag, None, vr)) for tag in _tags(attribute))


def _a_sequence(rules: Rules) -> int:
    """Returns a public sequence that no rule names, or any where rules name all."""
    for tag in all_sequences():
        becomes = becomes_of(rules.top.op(tag, None, "SQ"))
        if not (becomes.named or becomes.on_path):
            return tag
    return all_sequences()[0]


def _tags(attribute: Attribute) -> list[int]:
    """Returns elements that stand for all that an attribute is about."""
    match attribute.element:
        case Element(tag):
            return [tag]
        case RepeaterElement(value, mask):
            elements = (value & 0xFFFF,) if mask & 0xFFFF else _OF_A_GROUP
            return [
                value & 0xFF000000 | group << 16 | element
                for group in _REPEATING_GROUPS
                for element in elements
            ]
        case None:
            return [_PRIVATE]


def _on(attribute: Attribute, op: Op | None) -> Treatment:
    return _on_sequence(op) if _vr(attribute) == "SQ" else _on_value(op)


def _vr(attribute: Attribute) -> str:
    """Returns the VR of an attribute."""
    vrs = () if attribute.element is None else vrs_of(attribute.element)
    # The dictionary can be of an earlier edition than the table.
    return vrs[0] if vrs else "SQ" if attribute.name.endswith(" Sequence") else "UN"


def _on_sequence(op: Op | None) -> Treatment:
    becomes = becomes_of(op)
    if becomes.sequence is OnSequence.TENTATIVE:
        # Where it stays, all that it holds goes but for what rules name.
        return Treatment(Effect.GOES, (becomes.sequence_name,))
    effect = effect_on_sequence(op)
    if becomes.dummied and effect is Effect.STAYS:
        return Treatment(Effect.CHANGES, (ACTION_NAMES[Dummy],))
    return Treatment(effect, () if effect is Effect.STAYS else (becomes.sequence_name,))


def _on_value(op: Op | None) -> Treatment:
    becomes = becomes_of(op)
    effect = effect_on_value(op)
    match becomes:
        case Kept():
            return Treatment(effect, ())
        case Dropped(name=name):
            return Treatment(effect, (name,))
        case Rewritten(names=names, age=age):
            return Treatment(effect, ("patient-age-from-birthdate",) * age + names)
        case _:
            assert_never(becomes)


def _least(treatments: Iterable[Treatment]) -> Treatment:
    """Returns the one of some treatments that protects least."""
    return min(treatments, key=lambda treatment: treatment.protects)
