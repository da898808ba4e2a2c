"""What is done to each element that no rule selects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from profile_service.language.model.actions import KeyedAction, SimpleAction, Vocabulary
from profile_service.language.model.elements import PrivateElement, RepeaterElement
from profile_service.language.model.rules import OnError


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a base does to an element.

    Attributes:
        action: that is done.
        on_error: what happens where it cannot work on a value.
    """

    action: SimpleAction
    on_error: OnError = "reject"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a base does to an element, by what the IOD of a file needs of it (PS3.5 7.4).

    Attributes:
        valued: the IOD needs a value there (type 1).
        present: it needs the element there, which may be empty (type 2).
        free: it can do without.
        unknown: the IOD of the file is not known.
        items: in items of sequences, where that is the same whatever the IOD needs.
    """

    valued: Treatment
    present: Treatment
    free: Treatment
    unknown: Treatment
    items: Treatment | None = None

    @classmethod
    def always(cls, treatment: Treatment) -> Choice:
        """Returns the choice that depends on nothing."""
        return cls(treatment, treatment, treatment, treatment)


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """What an IOD needs of elements: 1 a value, 2 that they are there; by their tags.

    Attributes:
        top: at the top level.
        items: in items of sequences.
    """

    top: Mapping[int, int]
    items: Mapping[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """What is done to each element that no rule of a profile selects.

    Attributes:
        name: with its edition.
        options: of the standard, in the order of the alphabet.
        elements: by tag.
        ranges: elements of repeating groups.
        by_vr: those that are in neither, by their VR. What has no entry stays.
        kinds: of those, the elements whose UIDs say what something is; they stay.
        strangers: public elements that no dictionary knows.
        private: private elements that are safe; those without a choice of their own go by
            their VR. All other private elements go.
        needs: what the IOD of a file needs, by its SOP class.
        vocabulary: what cleaned texts keep.
        hides_dates: dates do not stay, and so are looked for in texts.
        hides_uids: the same of UIDs.
        keyed: what it does by a key; nothing where there is none.
    """

    name: str
    options: tuple[str, ...]
    elements: Mapping[int, Choice]
    ranges: tuple[tuple[RepeaterElement, Choice], ...]
    by_vr: Mapping[str, Choice]
    kinds: frozenset[int]
    strangers: Choice
    private: Mapping[PrivateElement, Choice | None]
    needs: Mapping[str, Needs]
    vocabulary: Vocabulary
    hides_dates: bool
    hides_uids: bool
    keyed: tuple[KeyedAction, ...]
