"""Which elements one rule selects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deid_service.engine.encoding.tags import (
    FILE_META,
    SPECIFIC_CHARACTER_SET,
    is_creator,
    is_group_length,
    is_private,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.budget import match
from profile_service.language.model import (
    Action,
    Element,
    ElementRef,
    OfPatient,
    OthersSelector,
    PathSelector,
    PatternTimeoutError,
    PrivateCreatorBlock,
    PrivateElement,
    RegexSelector,
    Remove,
    RepeaterElement,
    ReplaceWith,
    Rule,
    Selector,
)


@dataclass(frozen=True, slots=True)
class Active:
    """A rule that can select something at or below a level of a data set.

    Attributes:
        order: when it runs.
        rule: the rule.
        depth: how many of its parents lie above the level.
        anywhere: it selects at every depth (recurse-sequence, `**`).
    """

    order: int
    rule: Rule
    depth: int
    anywhere: bool

    @property
    def path(self) -> PathSelector | None:
        """What it selects by a path; None where it selects otherwise."""
        selector = self.rule.selector
        return selector if isinstance(selector, PathSelector) else None

    @property
    def parent(self) -> tuple[ElementRef, int | None]:
        """The sequence of the level that its path leads into, and the item; None: all."""
        selector = self.rule.selector
        assert isinstance(selector, PathSelector)
        return selector.parents[self.depth]

    @property
    def inserts(self) -> bool:
        """Whether it can insert what is absent at or below the level."""
        path = self.path
        action = self.rule.action
        return (
            path is not None
            and isinstance(action, ReplaceWith | OfPatient)
            and action.insert
            and all(
                index is not None and isinstance(parent, Element)
                for parent, index in path.parents[self.depth :]
            )
        )

    @property
    def inserted_index(self) -> int | None:
        """The item that it inserts something into."""
        return self.parent[1] if self.inserts else None

    @property
    def removes_others(self) -> bool:
        """Whether it removes what no rule before it selects."""
        return isinstance(self.rule.selector, OthersSelector) and isinstance(
            self.rule.action, Remove
        )


def named_by(rule: Rule) -> Iterable[ElementRef]:
    """Yields what the selector of a rule names: sequences on the way, and the element."""
    if isinstance(rule.selector, PathSelector):
        yield from (sequence for sequence, _ in rule.selector.parents)
        yield rule.selector.element


def selects(element: ElementRef, tag: int, creator: str | None) -> bool:
    """Whether a tag, in the block of a creator, is that of an element that a rule names."""
    match element:
        case Element():
            return element.tag == tag
        case RepeaterElement():
            return tag & element.mask == element.value and not tag >> 16 & 1
        case PrivateElement():
            return (
                element.creator == creator
                and element.group == tag >> 16
                and element.offset == tag & 0xFF
                and tag & 0xFFFF > 0xFF
            )
        case PrivateCreatorBlock():
            return element.creator == creator and element.group == tag >> 16 and tag & 0xFFFF > 0xFF


def selects_many(selector: Selector) -> bool:
    """Whether a rule is about elements of many kinds, sequences among them."""
    if not isinstance(selector, PathSelector):
        return True
    element = selector.element
    return isinstance(element, PrivateCreatorBlock) or (
        isinstance(element, RepeaterElement) and element.is_whole
    )


def is_told_by_tag(tag: int) -> bool:
    """Whether an element is never selected by its VR, nor as one that no rule names."""
    is_of_structure = is_group_length(tag) or (is_private(tag) and is_creator(tag))
    return is_of_structure or tag >> 16 == FILE_META or tag == SPECIFIC_CHARACTER_SET


def matches(selector: RegexSelector, spellings: tuple[str, ...], tag: int) -> bool:
    """Whether a regular expression matches one of the spellings of an element.

    Raises:
        DicomError: it takes too long.
    """
    try:
        return any(match(selector.pattern, path) is not None for path in spellings)
    except PatternTimeoutError:
        raise DicomError(
            Reason.LIMIT_EXCEEDED,
            "a regular expression took too long on the path of the element",
            tag=tag,
        ) from None


def last_of(rules: list[Active], does: Callable[[Action], bool]) -> int:
    """Returns when the last of the rules runs whose action does something; -1: none."""
    return max((active.order for active in rules if does(active.rule.action)), default=-1)


def removes(action: Action) -> bool:
    """Whether an action removes an element."""
    return isinstance(action, Remove)


def empties(action: Action) -> bool:
    """Whether an action leaves nothing in a sequence."""
    return removes(action) or (isinstance(action, ReplaceWith) and not action.text)
