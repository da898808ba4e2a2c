"""What rules reach at one level of a data set: the top level, or an item of a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from deid_service.engine.encoding.dictionary import keyword_of
from deid_service.engine.encoding.tags import (
    FILE_META,
    LENGTH_TO_END,
    PATIENT_AGE,
    SPECIFIC_CHARACTER_SET,
    is_group_length,
)
from deid_service.engine.rules.budget import begin_element
from deid_service.engine.rules.in_force import InForce
from deid_service.engine.rules.selection import (
    Active,
    is_told_by_tag,
    matches,
    selects,
)
from profile_service.language.model import (
    Dummy,
    Element,
    ElementRef,
    OthersSelector,
    PrivateCreatorBlock,
    PrivateElement,
    RegexSelector,
    RepeaterElement,
    VrSelector,
)


class Spot(NamedTuple):
    """Where a level of a data set is.

    Attributes:
        top: it is the top level.
        keyword_path: its dotted path in keywords, with a dot at the end; empty for the top
            level, and where no regular expression asks for it. A sequence without a keyword
            stands in it as a hex tag.
        hex_path: the same in hex tags.
        dummied: values in it that no rule selects become dummies.
    """

    top: bool
    keyword_path: str = ""
    hex_path: str = ""
    dummied: bool = False


class Reach:
    """What rules reach at and below a level.

    Attributes:
        rules: all that are in force.
        actives: those that can select something here or below, in the order in which they
            run.
        spot: where the level is.
        top: see `Spot`.
        dummied: see `Spot`.
    """

    def __init__(self, rules: InForce, actives: tuple[Active, ...], spot: Spot) -> None:
        """Takes the rules as they are; what they reach is worked out when it is asked for.

        Args:
            rules: see there.
            actives: see there.
            spot: see there.
        """
        self.rules = rules
        self.actives = actives
        self.spot = spot
        self.top = spot.top
        self.dummied = spot.dummied

    # --- what kinds of elements they can be about ---

    @cached_property
    def _selects_by_vr(self) -> bool:
        return self.dummied or any(
            isinstance(active.rule.selector, VrSelector) for active in self.actives
        )

    def is_told_by_tag(self, tag: int) -> bool:
        """Whether what is done to an element does not depend on its VR."""
        if self._selects_by_vr:
            return is_told_by_tag(tag)
        treatments = self.rules.treatments
        return treatments is None or treatments.is_told_by_tag(tag)

    @cached_property
    def is_by_creator(self) -> bool:
        """Whether private elements need their creators to be told apart.

        To be selected, or to take their creators along where the others go. The VR of a
        private element can depend on its creator, too.
        """
        rules, profile = self.rules, self.rules.profile
        settings = profile.settings
        removes_private = settings.remove_private_tags or settings.remove_undefined
        return (
            self._selects_by_vr
            or (profile.base is not None and bool(profile.base.private))
            or rules.others_go
            or (removes_private and (profile.has_regex or bool(profile.kept)))
        ) or any(
            isinstance(element, PrivateElement | PrivateCreatorBlock)
            or (removes_private and isinstance(element, Element) and element.tag >> 16 & 1)
            for element in self.named()
        )

    @cached_property
    def is_deep(self) -> bool:
        """Whether anything can be done inside of a sequence that no path names."""
        profile = self.rules.profile
        return bool(
            profile.has_regex
            or profile.settings.remove_undefined
            or profile.settings.remove_private_tags
            or any(active.anywhere for active in self.actives)
            or self.dummied
            or profile.base is not None
        )

    @cached_property
    def is_open(self) -> bool:
        """Whether rules can select a tag which they do not name."""
        profile = self.rules.profile
        return (
            any(active.anywhere for active in self.actives)
            or profile.settings.remove_undefined
            or profile.settings.remove_private_tags
            or self.is_by_creator
            or self.dummied
            or profile.base is not None
            or any(isinstance(element, RepeaterElement) for element in self.named())
        )

    # --- what they name, and select ---

    def named(self) -> Iterable[ElementRef]:
        """Yields what the rules name at this level: elements, and sequences on the way."""
        for active in self.actives:
            if (path := active.path) is None:
                continue
            if active.depth < len(path.parents):
                yield path.parents[active.depth][0]
            else:
                yield path.element

    def named_tags(self) -> set[int]:
        """Returns the tags that something can be done to, where rules select what they name."""
        profile = self.rules.profile
        tags = {element.tag for element in self.named() if isinstance(element, Element)}
        if self.top:
            tags |= profile.originals | profile.finals | profile.says_patient
            tags.add(LENGTH_TO_END)
            if profile.computes_age:
                tags.add(PATIENT_AGE)
        if self.actives or self.top:
            tags.add(SPECIFIC_CHARACTER_SET)
        return tags | {tag >> 16 << 16 for tag in tags}

    def selecting(self, tag: int, creator: str | None, vr: str | None) -> tuple[list[Active], bool]:
        """Returns the rules that select an element, and whether one reaches into it.

        Args:
            tag: of the element.
            creator: of its block.
            vr: that it is read with; None for one that is absent.

        Raises:
            DicomError: a regular expression takes too long.
        """
        selecting: list[Active] = []
        on_path = False
        if is_group_length(tag):
            # Not data of its own, and no rule can name it.
            return selecting, on_path
        begin_element()
        # The file meta is selected by its own rules only.
        spellings = self._spellings(tag) if tag >> 16 != FILE_META else ()
        for active in self.actives:
            selector = active.rule.selector
            if isinstance(selector, RegexSelector):
                if matches(selector, spellings, tag):
                    selecting.append(active)
            elif isinstance(selector, VrSelector | OthersSelector):
                is_named = isinstance(selector, OthersSelector) and bool(selecting)
                is_of_vr = isinstance(selector, OthersSelector) or vr in selector.vrs
                if vr and is_of_vr and not is_named and not is_told_by_tag(tag):
                    selecting.append(active)
            elif active.depth < len(selector.parents):
                on_path = on_path or selects(selector.parents[active.depth][0], tag, creator)
            elif selects(selector.element, tag, creator):
                selecting.append(active)
        return selecting, on_path

    def _spellings(self, tag: int) -> tuple[str, ...]:
        """Returns the paths of an element that a regular expression can match."""
        keyword = keyword_of(tag)
        by_tags = f"{self.spot.hex_path}{tag:08x}"
        return (by_tags,) if keyword is None else (f"{self.spot.keyword_path}{keyword}", by_tags)

    def depends_on_creator(self, tag: int, creator: str) -> bool:
        """Whether a rule selects an element as one of a creator's block, and not by its tag."""
        return any(
            isinstance(element, PrivateElement | PrivateCreatorBlock)
            and selects(element, tag, creator)
            for element in (*self.named(), *self.rules.profile.kept)
        )

    # --- what they reach inside of a sequence ---

    def into(self, tag: int, creator: str | None, after: int = -1) -> list[Active]:
        """Returns the rules whose paths lead into a sequence.

        Args:
            tag: of the sequence.
            creator: of its block.
            after: only rules that run later than this one count.
        """
        return [
            active
            for active in self.actives
            if (path := active.path) is not None
            and active.order > after
            and len(path.parents) > active.depth
            and selects(path.parents[active.depth][0], tag, creator)
        ]

    def dummies_within(self, tag: int, creator: str | None) -> bool:
        """Whether the values inside of a sequence become dummies, as far as none is selected."""
        if not self.rules.has_dummies:
            return False
        rules, _ = self.selecting(tag, creator, "SQ")
        if rules:
            return any(isinstance(active.rule.action, Dummy) for active in rules)
        treatments = self.rules.treatments
        treatment = (
            None if treatments is None else treatments.of((tag, creator), "SQ", top=self.top)
        )
        return self.dummied or (treatment is not None and isinstance(treatment.action, Dummy))


def items_made(reaching: Iterable[Active]) -> int:
    """Returns how many items there are at least of a sequence that rules reach into.

    PS3.5 7.5: items are counted from the first; those before the one that a rule names are
    made, too.
    """
    inserting = [index for active in reaching if (index := active.inserted_index) is not None]
    return max(inserting, default=-1) + 1
