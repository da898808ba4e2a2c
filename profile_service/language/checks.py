"""Warnings that only the profile as a whole shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from profile_service.language.codes import Code
from profile_service.language.dictionary import all_keywords
from profile_service.language.model import (
    ACTION_NAMES,
    IncrementDate,
    IncrementDateTime,
    Keep,
    PatternTimeoutError,
    RegexSub,
    Remove,
    ReplaceWith,
    Rule,
    Selector,
    Settings,
)

if TYPE_CHECKING:
    from profile_service.language.patterns import GuardedPattern
    from profile_service.language.values import Table

# Seconds for looking through the dictionary with all patterns of a profile. An
# honest pattern takes a thousandth of a second; the warning is not worth more.
_SEARCH_SECONDS = 0.1


class KeywordSearch:
    """Looks for patterns that match keywords in the middle only, within a bound on time."""

    def __init__(self) -> None:
        self._left = _SEARCH_SECONDS

    def matches_middle_only(self, pattern: GuardedPattern) -> bool:
        """Whether a pattern matches no keyword from the start, but one in the middle.

        False as well where the time does not suffice to tell.
        """
        started = time.monotonic()
        try:
            return self._look(pattern)
        except PatternTimeoutError:
            return False
        finally:
            self._left -= time.monotonic() - started

    def _look(self, pattern: GuardedPattern) -> bool:
        until = time.monotonic() + self._left
        in_middle = False
        for keyword in all_keywords():
            if time.monotonic() >= until:
                return False
            if pattern.match(keyword) is not None:
                return False
            in_middle = in_middle or pattern.found_in(keyword, self._left)
        return in_middle


def check_rules(rules: list[tuple[Rule, Table]], settings: Settings, dicom: Table) -> None:
    """Notes what rules do to each other, and that nothing changes data.

    Args:
        rules: each with the table that it was read from, in the order written.
        settings: of the profile.
        dicom: the section.
    """
    _check_order(rules)
    changing_settings = (
        settings.remove_private_tags,
        settings.remove_undefined,
        settings.age_from_birthdate is not None,
    )
    if not any(changing_settings) and all(_keeps(rule) for rule, _ in rules):
        dicom.report_key(
            Code.CHANGES_NOTHING,
            "fields",
            "No rule and no setting changes data: nothing that identifies is taken out.",
        )


def _keeps(rule: Rule) -> bool:
    match rule.action:
        case Keep():
            return True
        case IncrementDate(_, shift) | IncrementDateTime(_, shift):
            bounded = shift.minimum is not None or shift.maximum is not None
            return shift.days == 0 and shift.jitter is None and not bounded
        case _:
            return False


def _check_order(rules: list[tuple[Rule, Table]]) -> None:
    # As rules run: regex-sub first, the last of them first.
    substitutions = [pair for pair in rules if isinstance(pair[0].action, RegexSub)]
    others = [pair for pair in rules if not isinstance(pair[0].action, RegexSub | Keep)]
    earlier: dict[Selector, tuple[Rule, Table]] = {}
    for rule, table in (*reversed(substitutions), *others):
        if rule.selector in earlier:
            _compare(*earlier[rule.selector], rule, table)
        earlier[rule.selector] = (rule, table)


def _compare(first: Rule, first_table: Table, then: Rule, then_table: Table) -> None:
    undone = isinstance(then.action, Remove | ReplaceWith) and first.action != then.action
    if isinstance(first.action, Remove):
        # What is removed stays removed, unless it is inserted again.
        undone = isinstance(then.action, ReplaceWith) and then.action.insert
    selector = "name" if "name" in then_table else "regex"
    if undone:
        first_table.report(
            Code.RULE_UNDONE,
            selector,
            f"What '{ACTION_NAMES[type(first.action)]}' does here is undone by "
            f"'{ACTION_NAMES[type(then.action)]}' in {then.path}, line {then.line}.",
        )
    else:
        then_table.report(
            Code.RULE_REPEATED,
            selector,
            f"The same is named in {first.path}, line {first.line}, already; "
            "both rules run, one after the other.",
        )
