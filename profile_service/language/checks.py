"""Warnings that only the profile as a whole shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from profile_service.language.codes import Code
from profile_service.language.dictionary import all_keywords, hex_path
from profile_service.language.model import (
    ACTION_NAMES,
    Assign,
    IncrementDate,
    IncrementDateTime,
    Keep,
    OfPatient,
    OthersSelector,
    PathSelector,
    Pattern,
    PatternTimeoutError,
    RegexSelector,
    RegexSub,
    Remove,
    ReplaceWith,
    Rule,
    Selector,
    Settings,
    VrSelector,
    When,
)

if TYPE_CHECKING:
    from profile_service.language.patterns import GuardedPattern
    from profile_service.language.values import Table

# Seconds of computing for looking through the dictionary with all patterns of a profile. An
# honest pattern takes a thousandth of a second; the warning is not worth more.
_SEARCH_SECONDS = 0.3

# The same for the paths of some sixty elements. An honest pattern takes a ten-thousandth.
_PATHS_SECONDS = 0.2

# A pattern that matches so many keywords from the start is meant as it is written.
_MANY_FROM_START = 25

# One that matches so many times more in the middle is probably meant for those:
# `Date` matches DateTime, but not StudyDate.
_TIMES_MORE = 8


class KeywordSearch:
    """Looks which elements patterns match, within a bound on time for all of them."""

    def __init__(self) -> None:
        self._left = _SEARCH_SECONDS
        self._left_for_paths = _PATHS_SECONDS
        self._found: dict[tuple[str, str], bool] = {}

    def expects_more(self, pattern: GuardedPattern) -> bool:
        """Whether the author of a pattern probably expects it to match in the middle.

        False as well where the time does not suffice to tell.
        """
        until = time.thread_time() + self._left
        try:
            return self._look(pattern, until)
        except PatternTimeoutError:
            return False
        finally:
            self._left = until - time.thread_time()

    def matches(self, pattern: Pattern, path: str) -> bool:
        """Whether a pattern matches the path of an element in keywords, or in hex digits.

        True as well where the time does not suffice to tell.
        """
        question = (pattern.source, path)
        if question not in self._found:
            until = time.thread_time() + self._left_for_paths
            self._found[question] = self._left_for_paths <= 0 or _matches(pattern, path)
            self._left_for_paths = until - time.thread_time()
        return self._found[question]

    def _look(self, pattern: GuardedPattern, until: float) -> bool:
        start = middle = 0
        for keyword in all_keywords():
            left = until - time.thread_time()
            if left <= 0 or start >= _MANY_FROM_START:
                return False
            if pattern.match(keyword) is not None:
                start += 1
            else:
                middle += pattern.found_in(keyword, left)
        return middle > start * _TIMES_MORE


def _matches(pattern: Pattern, path: str) -> bool:
    try:
        return any(pattern.match(spelled) is not None for spelled in (path, hex_path(path)))
    except PatternTimeoutError:
        return True


def check_rules(
    rules: list[tuple[Rule, Table]], settings: Settings, dicom: Table, *, has_base: bool
) -> bool:
    """Notes what rules do to each other, and that nothing changes data.

    Args:
        rules: each with the table that it was read from, in the order written.
        settings: of the profile.
        dicom: the section.
        has_base: what no rule selects is changed by a base.

    Returns:
        Whether any rule or setting changes data.
    """
    _check_order(rules)
    _check_codes(rules)
    changing_settings = (
        has_base,
        settings.remove_private_tags,
        settings.remove_undefined,
        settings.age_from_birthdate is not None,
    )
    if any(changing_settings) or not all(keeps(rule) for rule, _ in rules):
        return True
    dicom.report_key(
        Code.CHANGES_NOTHING,
        "fields",
        "No rule and no setting changes data: nothing that identifies is taken out.",
    )
    return False


def keeps(rule: Rule) -> bool:
    """Whether a rule leaves every value as it is, whatever its action is called."""
    match rule.action:
        case Keep():
            return True
        case IncrementDate(_, shift) | IncrementDateTime(_, shift):
            bounded = shift.minimum is not None or shift.maximum is not None
            return shift.days == 0 and shift.jitter is None and not bounded
        case _:
            return False


def key_of(selector: Selector) -> str:
    """Returns the key of a rule that says which elements it is about."""
    match selector:
        case PathSelector():
            return "name"
        case RegexSelector():
            return "regex"
        case VrSelector():
            return "vr"
        case OthersSelector():
            return "others"


def _check_order(rules: list[tuple[Rule, Table]]) -> None:
    # As rules run: regex-sub first, the last of them first.
    substitutions = [pair for pair in rules if isinstance(pair[0].action, RegexSub)]
    others = [pair for pair in rules if not isinstance(pair[0].action, RegexSub | Keep)]
    earlier: dict[tuple[Selector, When | None], tuple[Rule, Table]] = {}
    for rule, table in (*reversed(substitutions), *others):
        key = (rule.selector, rule.when)
        if key in earlier:
            _compare(*earlier[key], rule, table)
        earlier[key] = (rule, table)


def _check_codes(rules: list[tuple[Rule, Table]]) -> None:
    """Notes a second pattern of codes: a patient has one."""
    found = [(rule.action, table) for rule, table in rules if isinstance(rule.action, Assign)]
    for action, table in found[1:]:
        if action.pattern != found[0][0].pattern:
            table.report(
                Code.CODE_PATTERN,
                "assign",
                "Another rule gives patients codes of another pattern; a patient has one code.",
            )


def _compare(first: Rule, first_table: Table, then: Rule, then_table: Table) -> None:
    undone = (
        isinstance(then.action, Remove | ReplaceWith | OfPatient) and first.action != then.action
    )
    if isinstance(first.action, Remove):
        # What is removed stays removed, unless it is inserted again.
        undone = isinstance(then.action, ReplaceWith | OfPatient) and then.action.insert
    selector = key_of(then.selector)
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
