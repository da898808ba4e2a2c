"""Which rules select the elements of the top level that protection hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from profile_service.language.checks import keeps
from profile_service.language.dictionary import find_keyword, vrs_of
from profile_service.language.model import (
    Element,
    EveryDepthSelector,
    IncrementDate,
    IncrementDateTime,
    Keep,
    KeyedShift,
    OthersSelector,
    PathSelector,
    RegexSelector,
    RepeaterElement,
    VrSelector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.language.checks import KeywordSearch
    from profile_service.language.model import (
        Action,
        Base,
        DateShift,
        ElementRef,
        Rule,
        Settings,
    )

_ID: Final = "PatientID"
_OTHER_IDS: Final = "OtherPatientIDsSequence"

# What tells at once who somebody is, and stands in nearly every file.
_DIRECT: Final = ("PatientName", _ID, "PatientBirthDate", "OtherPatientIDs", _OTHER_IDS)

# The dates of one examination: any of them tells the others.
EXAMINATION: Final = (
    "InstanceCreationDate",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "AcquisitionDateTime",
    "PerformedProcedureStepStartDate",
)


_KEEP: Final = Keep()


class Reach:
    """Which rules select elements of the top level."""

    def __init__(
        self, rules: Iterable[Rule], settings: Settings, search: KeywordSearch, base: Base | None
    ) -> None:
        self._settings = settings
        self.base = base
        self._search = search
        # What is done to some files is not done to all.
        self._rules = [rule for rule in rules if rule.when is None]
        # Profiles name thousands of elements one by one, and few in other ways.
        self._by_element: dict[ElementRef, list[Rule]] = {}
        self._others: list[Rule] = []
        for rule in self._rules:
            selector = rule.selector
            if isinstance(selector, PathSelector) and isinstance(selector.element, Element):
                if not selector.parents:
                    self._by_element.setdefault(selector.element, []).append(rule)
            else:
                self._others.append(rule)

    def selects(self, rule: Rule, keyword: str) -> bool:
        """Whether a rule selects an element."""
        selector = rule.selector
        if isinstance(selector, RegexSelector):
            return self._search.matches(selector.pattern, keyword)
        if isinstance(selector, VrSelector):
            return any(vr in selector.vrs for vr in vrs_of(element_of(keyword)))
        if isinstance(selector, OthersSelector):
            before = self._rules[: self._rules.index(rule)]
            return not any(self.selects(each, keyword) for each in before)
        element, named = selector.element, element_of(keyword)
        if isinstance(element, RepeaterElement):
            return not selector.parents and named.tag & element.mask == element.value
        return not selector.parents and element == named

    def selecting(self, keyword: str) -> list[Rule]:
        """Returns the rules that select an element."""
        others = (rule for rule in self._others if self.selects(rule, keyword))
        return [*self._by_element.get(element_of(keyword), ()), *others]

    def treats(self, keyword: str) -> bool:
        """Whether an element goes or changes."""
        selecting = self.selecting(keyword)
        if not selecting:
            return self._settings.remove_undefined or not isinstance(self._of_base(keyword), Keep)
        return any(not keeps(rule) for rule in selecting)

    def direct_left(self) -> list[str]:
        """Returns what tells at once who the patient is, and stays."""
        return [
            keyword
            for keyword in _DIRECT
            if not (self._treats_other_ids() if keyword == _OTHER_IDS else self.treats(keyword))
        ]

    def dates_moved(self) -> list[str]:
        """Returns the dates of an examination that move."""
        return [
            keyword
            for keyword in EXAMINATION
            if any(moves(rule) for rule in self.selecting(keyword))
            or (not self.selecting(keyword) and _is_shift(self._of_base(keyword)))
        ]

    def dates_left(self) -> list[str]:
        """Returns the dates of an examination that stay."""
        return [keyword for keyword in EXAMINATION if not self.treats(keyword)]

    def _of_base(self, keyword: str) -> Action:
        """Returns what the base does to an element that no rule selects."""
        choice = None if self.base is None else self.base.elements.get(element_of(keyword).tag)
        return _KEEP if choice is None else choice.unknown.action

    def _treats_other_ids(self) -> bool:
        """Whether the identifiers in the items of OtherPatientIDsSequence go or change."""
        return self.treats(_OTHER_IDS) or any(
            not keeps(rule) and self._selects_other_ids(rule) for rule in self._rules
        )

    def _selects_other_ids(self, rule: Rule) -> bool:
        selector = rule.selector
        if isinstance(selector, RegexSelector):
            return self._search.matches(selector.pattern, f"{_OTHER_IDS}.0.{_ID}")
        if isinstance(selector, VrSelector | OthersSelector):
            return self.selects(rule, _ID)
        if isinstance(selector, EveryDepthSelector) or self._settings.recurse_sequence:
            return self.selects(rule, _ID)
        return selector == PathSelector(((element_of(_OTHER_IDS), None),), element_of(_ID))


def element_of(keyword: str) -> Element:
    """Returns the element that a keyword of this room stands for."""
    element = find_keyword(keyword)
    if not isinstance(element, Element):
        raise LookupError(keyword)  # noqa: TRY004 -- a keyword of this room that is none
    return element


def shift_of(action: Action) -> DateShift | None:
    """Returns by how much an action moves dates; None for one that moves none."""
    return action.shift if isinstance(action, IncrementDate | IncrementDateTime) else None


def moves(rule: Rule) -> bool:
    """Whether a rule moves dates."""
    return _is_shift(rule.action) and not keeps(rule)


def _is_shift(action: Action) -> bool:
    return isinstance(action, KeyedShift) or shift_of(action) is not None
