"""What two profiles treat differently: by elements and what becomes of them, not by lines.

Every element of the dictionary is looked at, at the top level and in the items of a sequence
that neither profile names; what rules name in other places (in one sequence, private elements)
is compared by how it is named. Comments, order and the way a rule is written do not count,
as far as they change nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from profile_service.language.checks import keeps
from profile_service.language.dictionary import all_keywords, find_keyword, hex_path, vrs_of
from profile_service.language.explain import (
    ON_ERROR,
    describe_action,
    describe_filename,
    describe_selector,
    describe_when,
)
from profile_service.language.model import (
    Element,
    EveryDepthSelector,
    Keep,
    OthersSelector,
    PathSelector,
    PatternTimeoutError,
    Profile,
    RegexSelector,
    RegexSub,
    RepeaterElement,
    Settings,
    VrSelector,
)
from profile_service.language.problems import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profile_service.language.model import ElementRef, Pattern, Rule, Selector

TOP, ITEMS, EVERYWHERE = "at the top level", "in items of sequences", "everywhere"

# What a pattern, or a rule for a VR, does to the elements of the dictionary is told for each.
UNKNOWN = "where it is in no dictionary"

# Seconds of computing for all patterns of both profiles on the whole dictionary. Those of an
# honest profile take a fifth.
SECONDS = 3.0

# No profile names it, and patterns see its name in the paths of what is in it.
_SEQUENCE = "ReferencedInstanceSequence"

_STAYS = "stays"

# What is said of a setting whose value nobody is told.
_SECRET = frozenset({"salt"})


class Difference(NamedTuple):
    """Something that two profiles treat differently.

    Attributes:
        elements: what it is about, for people; several that are treated alike.
        where: at which depth; empty for settings and what is named in one place.
        before: what becomes of them by the one profile.
        after: by the other.
    """

    elements: tuple[str, ...]
    where: str
    before: str
    after: str


def difference(before: Profile | None, after: Profile | None) -> list[Difference]:
    """Compares two profiles.

    Args:
        before: the one; None for no profile, by which everything stays as it is.
        after: the other.

    Returns:
        What is treated differently; nothing where they mean the same.

    Raises:
        PatternTimeoutError: their patterns take too long.
    """
    old, new = (profile or _NOTHING for profile in (before, after))
    matching = _Matching(SECONDS)
    return [
        *_settings(old.settings, new.settings),
        *_grouped(_treatments(old, matching), _treatments(new, matching)),
        *_grouped(_named(old), _named(new)),
        *_filenames(old, new),
        *_whole(old, new),
    ]


_NOTHING = Profile("", "", Settings(), (), (), (), None, blank=True, warnings=())


# --- The dictionary ---------------------------------------------------------------------


@dataclass(slots=True)
class _Matching:
    """Matches patterns within a bound on time, each text once."""

    left: float

    def __call__(self, pattern: Pattern, paths: tuple[str, ...]) -> bool:
        began = time.thread_time()
        found = any(pattern.match(path) is not None for path in paths)
        self.left -= time.thread_time() - began
        if self.left < 0:
            raise PatternTimeoutError
        return found


class _Place(NamedTuple):
    """An element of the dictionary at one depth, with the ways in which its path is written."""

    keyword: str
    where: str
    paths: tuple[str, ...]
    element: Element | RepeaterElement
    vrs: frozenset[str]


@lru_cache(maxsize=1)
def _places() -> tuple[_Place, ...]:
    return tuple(
        _Place(keyword, where, (path, hex_path(path)), element, frozenset(vrs_of(element)))
        for keyword in all_keywords()
        if (element := find_keyword(keyword)) is not None
        for where, path in ((TOP, keyword), (ITEMS, f"{_SEQUENCE}.0.{keyword}"))
    )


def _treatments(profile: Profile, matching: _Matching) -> dict[tuple[str, str], str]:
    """Returns what becomes of each element, by its keyword and where it stands."""
    settings = profile.settings
    rules = list(_in_order(profile))
    words = [_words(rule, settings) for rule in rules]
    by_element: dict[object, list[int]] = {}
    # Those that many elements are looked at for.
    wide: list[int] = []
    for number, rule in enumerate(rules):
        selector = rule.selector
        if isinstance(selector, PathSelector) and not isinstance(selector.element, RepeaterElement):
            if not selector.parents:
                by_element.setdefault(selector.element, []).append(number)
        else:
            wide.append(number)
    found = {}
    for place in _places():
        numbers = sorted([*by_element.get(place.element, ()), *wide])
        selected: list[int] = []
        for number in numbers:
            if _selects(
                rules[number].selector, place, settings, matching, any_before=bool(selected)
            ):
                selected.append(number)
        said = [words[number] for number in selected if words[number]]
        if place.keyword == "PatientAge" and place.where == TOP and settings.age_from_birthdate:
            said.insert(0, "is computed from the date of birth")
        rest = _STAYS if selected else _of_others(profile, place)
        found[place.keyword, place.where] = ", then ".join(said) or rest
    return found


def _of_others(profile: Profile, place: _Place) -> str:
    """Says what becomes of an element that no rule selects."""
    base = profile.base
    if profile.settings.remove_undefined:
        return "is removed"
    if base is None:
        return _STAYS
    choice = None
    if isinstance(place.element, Element):
        choice = base.elements.get(place.element.tag)
    else:
        choice = next((each for element, each in base.ranges if element == place.element), None)
    if choice is None:
        choice = next((base.by_vr[vr] for vr in sorted(place.vrs) if vr in base.by_vr), None)
    if choice is None:
        return _STAYS
    treatment = choice.items if place.where == ITEMS and choice.items else choice.unknown
    if isinstance(treatment.action, Keep):
        return _STAYS
    return printable(describe_action(treatment.action, profile.settings)) + ", as its IOD allows"


def _selects(
    selector: Selector,
    place: _Place,
    settings: Settings,
    matching: _Matching,
    *,
    any_before: bool,
) -> bool:
    match selector:
        case RegexSelector(pattern):
            return matching(pattern, place.paths)
        case VrSelector(vrs):
            return not place.vrs.isdisjoint(vrs)
        case OthersSelector():
            return not any_before
        case PathSelector(parents, element):
            deep = settings.recurse_sequence or isinstance(selector, EveryDepthSelector)
            return (
                not parents
                and (place.where == TOP or deep)
                and (element == place.element or _repeats(element, place.element))
            )


def _repeats(element: ElementRef, named: ElementRef) -> bool:
    return (
        isinstance(element, RepeaterElement)
        and isinstance(named, Element)
        and named.tag & element.mask == element.value
    )


def _in_order(profile: Profile) -> Iterator[Rule]:
    """Gives the rules as they run: regex-sub first, the last of them first."""
    yield from (rule for rule in reversed(profile.rules) if isinstance(rule.action, RegexSub))
    yield from (rule for rule in profile.rules if not isinstance(rule.action, RegexSub))


def _words(rule: Rule, settings: Settings) -> str:
    """Says what a rule does; nothing where it leaves all as it is."""
    if keeps(rule):
        return ""
    files = "" if rule.when is None else f"in files {describe_when(rule.when)} "
    return printable(files + describe_action(rule.action, settings) + ON_ERROR[rule.on_error])


# --- What is named otherwise --------------------------------------------------------------


def _named(profile: Profile) -> dict[tuple[str, str], str]:
    """Returns what becomes of private elements, and of those in sequences that rules name."""
    found: dict[tuple[str, str], str] = {}
    for rule in _in_order(profile):
        selector = rule.selector
        if not isinstance(selector, PathSelector):
            where = UNKNOWN
        elif _is_in_dictionary(selector):
            continue
        elif isinstance(selector, EveryDepthSelector) or profile.settings.recurse_sequence:
            where = EVERYWHERE
        else:
            where = ""
        key = printable(describe_selector(selector)), where
        said = _words(rule, profile.settings) or (
            "is kept" if isinstance(rule.action, Keep) else _STAYS
        )
        found[key] = f"{found[key]}, then {said}" if key in found else said
    return found


def _is_in_dictionary(selector: PathSelector) -> bool:
    return not selector.parents and selector.element in _dictionary()


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[object]:
    return frozenset(map(find_keyword, all_keywords()))


def _settings(before: Settings, after: Settings) -> Iterator[Difference]:
    for field in fields(Settings):
        # What is removed is told for each element.
        if field.name in {"remove_undefined", "recurse_sequence", "age_from_birthdate"}:
            continue
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            name = (f"the setting {field.name.replace('_', '-')}",)
            if field.name in _SECRET:
                yield Difference(name, "", "has a value" if old else "none", "has another value")
            else:
                yield Difference(name, "", printable(str(old)), printable(str(new)))


def _filenames(before: Profile, after: Profile) -> Iterator[Difference]:
    old, new = (
        " ".join(printable(describe_filename(rule, each.settings)) for rule in each.filenames)
        for each in (before, after)
    )
    if old != new:
        default = "Files are named after their de-identified SOPInstanceUID."
        yield Difference(("names of files",), "", old or default, new or default)


def _whole(before: Profile, after: Profile) -> Iterator[Difference]:
    """Gives what differs in files that are rejected, and in the base as a whole."""
    for what, say in (("files that are rejected", _rejections), ("the base", _base)):
        old, new = say(before), say(after)
        if old != new:
            yield Difference((what,), "", old or "none", new or "none")


def _rejections(profile: Profile) -> str:
    return printable(
        "; ".join(f"{describe_when(each.when)}: {each.reason}" for each in profile.rejections)
    )


def _base(profile: Profile) -> str:
    if profile.base is None:
        return ""
    mode = profile.settings.leftovers
    words = profile.settings.words
    more = [] if mode == "remove" else [f"leftovers: {mode}"]
    more += [f"keep: {word}" for word in words.keep]
    more += [f"remove: {word}" for word in words.remove]
    more += [f"remove: any {each.name} of {each.table}" for each in words.lists]
    return " ".join((profile.base.name, *profile.base.options, *more))


def _grouped(
    before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]
) -> Iterator[Difference]:
    """Gives what differs, elements together that are treated alike before and after."""
    changed: dict[str, dict[str, tuple[str, str]]] = {}
    for element, where in {**before, **after}:
        pair = tuple(side.get((element, where), _STAYS) for side in (before, after))
        if pair[0] != pair[1]:
            changed.setdefault(element, {})[where] = (pair[0], pair[1])
    groups: dict[tuple[str, str, str], list[str]] = {}
    for element, places in changed.items():
        if len(places) == 2 and places.get(TOP) == places.get(ITEMS):
            places = {EVERYWHERE: places[TOP]}
        for where, (old, new) in places.items():
            groups.setdefault((where, old, new), []).append(element)
    for (where, old, new), elements in groups.items():
        yield Difference(tuple(elements), where, old, new)
