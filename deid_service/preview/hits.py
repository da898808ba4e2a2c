"""Says which elements of a file a rule of a profile is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from deid_service.engine.encoding.tags import FILE_META, is_creator, is_private
from deid_service.engine.rules.facts import Facts
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
from deid_service.engine.walk.notes import PATIENT_AGE_FROM_BIRTHDATE
from deid_service.preview.elements import Step
from profile_service.language.model import (
    Element,
    Keep,
    OthersSelector,
    PathSelector,
    Profile,
    Remove,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from deid_service.engine.rules.ops import Case
    from deid_service.preview.elements import Shown


_SOP_CLASS: Final = 0x00020002


def hits(rule: Rule, profile: Profile, found: Iterable[Shown]) -> list[Shown]:
    """Returns the elements that a rule is about, as if it were the only one.

    What a rule about all others is about depends on those that run before it.

    The engine says what it would do to each; nothing of a rule is worked out here.

    Args:
        rule: a rule of the profile.
        profile: says whether rules apply at every depth.
        found: the elements of a file.

    Raises:
        DicomError: the rule's pattern took too long.
    """
    if isinstance(rule.action, Keep):
        # What a rule protects shows where another action would be seen.
        rule = replace(rule, action=Remove())
    before: tuple[Rule, ...] = ()
    if isinstance(rule.selector, OthersSelector):
        before = tuple(
            replace(each, action=Keep()) for each in profile.rules[: profile.rules.index(rule)]
        )
    found = list(found)
    if rule.when is not None and not facts_of(found).hold(rule.when):
        return []
    settings = replace(
        profile.settings,
        remove_private_tags=False,
        remove_undefined=False,
        age_from_birthdate=None,
    )
    rules = Rules.of(
        replace(
            profile,
            settings=settings,
            rules=(*before, replace(rule, when=None)),
            filenames=(),
            rejections=(),
            base=None,
        )
    )
    waiting = [shown for shown in found if _waits(rules, shown)]
    hit = [shown for shown in found if shown not in waiting and _acts_on(rules, shown)]
    if not waiting:
        return hit
    done = {shown.steps for shown in (*waiting, *hit)}
    left = [shown.steps for shown in found if shown.steps not in done]
    return hit + [shown for shown in waiting if not any(_is_for(shown, steps) for steps in left)]


def treatments(rules: Rules, found: Collection[Shown]) -> Callable[[Shown], str]:
    """Returns what says by what an element of a file is treated, as receipts count it.

    It says nothing where that is no rule and no setting.

    Args:
        rules: of the profile.
        found: the elements of the file.
    """
    of_file = rules.for_file(facts_of(found))
    there = {shown.steps for shown in found}

    def by(shown: Shown) -> str:
        tag = shown.steps[-1].tag
        if shown.steps not in there and is_private(tag) and is_creator(tag):
            # It came with an element of its block: what would be done to one that was there
            # was done to none.
            return ""
        return ", ".join(_names(becomes_of(_op_of(of_file, shown)), shown.vr == "SQ"))

    return by


def facts_of(found: Iterable[Shown]) -> Facts:
    """Returns what a file says of itself, as the engine sees it."""
    values = {
        shown.steps[0].tag: tuple(str(shown.content).split("\\")) if shown.content else ()
        for shown in found
        if len(shown.steps) == 1
    }
    return Facts(values, "".join(values.get(_SOP_CLASS, ())))


def lines_of_rules(profile: Profile, found: Iterable[Shown]) -> dict[tuple[Step, ...], list[int]]:
    """Returns the lines of the rules that are about elements, by the ways to them.

    Raises:
        DicomError: a pattern of the profile took too long.
    """
    lines: dict[tuple[Step, ...], list[int]] = {}
    found = list(found)
    tags = {shown.steps[-1].tag for shown in found}
    for rule in profile.rules:
        if _is_about_none(rule, tags):
            continue
        for shown in hits(rule, profile, found):
            lines.setdefault(shown.steps, []).append(rule.line)
    return lines


def _is_about_none(rule: Rule, tags: set[int]) -> bool:
    """Whether a rule names an element that is nowhere: most rules do in most files."""
    selector = rule.selector
    if not isinstance(selector, PathSelector) or not isinstance(selector.element, Element):
        return False
    return selector.element.tag not in tags


def _names(becomes: Kept | Dropped | Rewritten, is_sequence: bool) -> tuple[str, ...]:
    match becomes:
        case Kept():
            return ()
        case Dropped(name=name):
            return (becomes.sequence_name if is_sequence else name,)
        case Rewritten(names=names):
            if is_sequence:
                return (becomes.sequence_name,)
            return (PATIENT_AGE_FROM_BIRTHDATE, *names) if becomes.age else names
        case _:
            assert_never(becomes)


def _waits(rules: Rules, shown: Shown) -> bool:
    """Whether an element stays for what stays in it, or in its block, and else goes."""
    becomes = becomes_of(_op_of(rules, shown))
    if shown.vr == "SQ":
        return becomes.sequence is OnSequence.TENTATIVE
    tag = shown.steps[-1].tag
    return is_private(tag) and is_creator(tag) and isinstance(becomes, Dropped)


def _is_for(waiting: Shown, steps: tuple[Step, ...]) -> bool:
    """Whether an element that waits stays for another one."""
    *way, last = waiting.steps
    depth = len(way)
    if list(steps[:depth]) != way or len(steps) <= depth:
        return False
    if waiting.vr == "SQ":
        return steps[depth].tag == last.tag
    # PS3.5 7.8.1: (gggg,00bb) is the creator of (gggg,bb00-bbFF).
    return steps[depth].tag >> 8 == last.tag >> 16 << 8 | last.tag & 0xFF


def _acts_on(rules: Rules, shown: Shown) -> bool:
    op = _op_of(rules, shown)
    becomes = becomes_of(op)
    if isinstance(becomes, Kept) or not (becomes.named or rules.in_force.others_go):
        return False
    effect = effect_on_sequence(op) if shown.vr == "SQ" else effect_on_value(op)
    return effect is not Effect.STAYS


def _op_of(rules: Rules, shown: Shown) -> Case | None:
    """Returns what is done to an element."""
    node = rules.top
    *way, last = shown.steps
    if last.tag >> 16 == FILE_META and not way:
        return node.file_meta_ops[last.tag]
    for step in way:
        children = node.children(step.tag, step.creator)
        if children is None or step.index is None:
            return None
        node = children.item(step.index)
    return node.op(last.tag, last.creator, shown.vr)
