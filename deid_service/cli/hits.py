"""Says which elements of a file a rule of a profile is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.datadict import keyword_for_tag

from profile_service.language.model import (
    Element,
    ElementRef,
    Keep,
    PathSelector,
    PrivateElement,
    RegexSelector,
    Remove,
    RepeaterElement,
    Rule,
)

if TYPE_CHECKING:
    from deid_service.cli.elements import Shown, Step

FILE_META_GROUP = 0x0002


def is_hit(rule: Rule, shown: Shown, *, recurse: bool) -> bool:
    """Tells whether a rule is about an element.

    Args:
        rule: the rule.
        shown: an element of a file.
        recurse: the profile's `recurse-sequence`.

    Raises:
        PatternTimeoutError: the rule's pattern took too long.
    """
    match rule.selector:
        case RegexSelector(pattern):
            # File meta is addressed by keyword or tag, never by a pattern.
            if shown.steps[0].tag >> 16 == FILE_META_GROUP:
                return False
            # What changes values passes over sequences that match.
            if shown.vr == "SQ" and not isinstance(rule.action, Keep | Remove):
                return False
            return any(pattern.match(path) is not None for path in dotted_paths(shown))
        case PathSelector(parents, element):
            *way, last = shown.steps
            if not selects(element, last):
                return False
            if recurse and not parents:
                return True
            return len(way) == len(parents) and all(
                selects(sequence, step) and index in {None, step.index}
                for (sequence, index), step in zip(parents, way, strict=True)
            )


def selects(element: ElementRef, step: Step) -> bool:
    """Tells whether a step is at an element."""
    match element:
        case Element(tag):
            return step.tag == tag
        case PrivateElement(group, creator, offset):
            return (step.tag >> 16, step.creator, step.tag & 0xFF) == (group, creator, offset)
        case RepeaterElement(value, mask):
            return step.tag & mask == value and not step.tag >> 16 & 1


def dotted_paths(shown: Shown) -> list[str]:
    """Returns the paths of an element that a regex is matched against."""
    keywords = [keyword_for_tag(step.tag) for step in shown.steps]
    spellings = [[f"{step.tag:08x}" for step in shown.steps]]
    if all(keywords):
        spellings.append(keywords)
    return [
        ".".join(
            name if step.index is None else f"{name}.{step.index}"
            for name, step in zip(names, shown.steps, strict=True)
        )
        for names in spellings
    ]
