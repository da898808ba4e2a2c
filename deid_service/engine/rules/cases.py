"""What is done to the elements of one level: the actions that select each, as one case.

The rules of a profile act as if they ran one after the other over the whole data set. An
element sees them one after the other all the same: the actions that select it are put into
one case, in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.tags import (
    FILE_META,
    LENGTH_TO_END,
    PATIENT_AGE,
    PIXEL_DATA,
    PIXEL_DATA_GROUP,
    SPECIFIC_CHARACTER_SET,
    is_creator,
    is_group_length,
    is_private,
)
from deid_service.engine.rules.chains import REMOVE, Chain, SequenceChain
from deid_service.engine.rules.fits import FITS
from deid_service.engine.rules.ops import (
    LENGTH_GOES,
    MISPLACED,
    ByCreator,
    ByVr,
    Case,
    CharacterSet,
    Dropped,
    Fitting,
    GroupLength,
    Kept,
    OnSequence,
    Op,
    Rewritten,
)
from deid_service.engine.rules.reach import Reach
from deid_service.engine.rules.remembered import Remembered, Room
from deid_service.engine.rules.selection import is_told_by_tag, selects
from profile_service.language.model import Dummy, Remove

REMOVE_PRIVATE_TAGS: Final = "remove-private-tags"
REMOVE_UNDEFINED: Final = "remove-undefined"

# What the values inside of a dummied sequence are about is said by code strings and tags.
_SAYS_WHAT: Final = frozenset({"AT", "CS"})

_DUMMY: Final = Dummy()


class Cases:
    """Makes the cases of one level; remembers none."""

    def __init__(self, reach: Reach, room: Room) -> None:
        """Takes what rules reach at the level.

        Args:
            reach: that.
            room: for what cases remember by VR.
        """
        self._reach = reach
        self._rules = reach.rules
        self._profile = reach.rules.profile
        self._room = room
        # A reference in a dummied sequence leads where those to the same instance do elsewhere.
        self._has_base = reach.rules.treatments is not None

    def of_tag(self, tag: int) -> Op | None:
        """Returns what is done to an element, as far as its tag says it."""
        if tag >> 16 == FILE_META:
            return MISPLACED
        if is_private(tag) and self._reach.is_by_creator:
            return ByCreator()
        return self.of((tag, None))

    def of(self, element: tuple[int, str | None]) -> Case | ByVr | None:
        """Returns what is done to an element, given its tag and the creator of its block."""
        tag, creator = element
        if self._reach.is_told_by_tag(tag):
            return self.make(tag, creator, vr_of(tag))
        return ByVr(Remembered(partial(self.make, tag, creator), self._room))

    def touches_group(self, group: int) -> bool:
        """Whether an element of a group, or one below it, can change its length."""
        reach = self._reach
        if group == PIXEL_DATA >> 16:
            # Its elements are known, and too large to wait for what is not done to them.
            return any(self.make(tag, None, vr_of(tag)) is not None for tag in PIXEL_DATA_GROUP)
        return (
            reach.is_deep or reach.is_open or any(tag >> 16 == group for tag in reach.named_tags())
        )

    def make(self, tag: int, creator: str | None, vr: str) -> Case | None:
        """Makes the case of an element; None where nothing is done to it.

        Args:
            tag: of the element.
            creator: of its block.
            vr: that it is read with.
        """
        reach = self._reach
        rules, on_path = reach.selecting(tag, creator, vr)
        chain = Chain(self._profile.settings, present=True)
        sequences = SequenceChain()
        for active in rules:
            inserts = reach.top or not active.anywhere
            chain.add(active.rule, inserts=inserts)
            sequences.add(active.rule, inserts=inserts)
        is_dummied = reach.dummied and not (
            rules or is_told_by_tag(tag) or vr in _SAYS_WHAT or (vr == "UI" and self._has_base)
        )
        if is_dummied:
            chain.add_action(_DUMMY, "reject")
            sequences.dummied = True
        others_go = bool(rules) and rules[-1].removes_others
        if others_go and on_path:
            sequences.result = OnSequence.DESCEND
        elif others_go and self._rules.has_tentative:
            sequences.result = OnSequence.TENTATIVE
        elif self._rules.others_go and not rules and is_private(tag) and is_creator(tag):
            # It stays for what is in its block.
            chain.add_action(REMOVE, "reject")
        is_age = reach.top and tag == PATIENT_AGE and self._profile.computes_age
        if not (rules or tag >> 16 == FILE_META or tag == SPECIFIC_CHARACTER_SET):
            self._add_settings((tag, creator), chain, sequences, on_path=on_path)
            if is_age:
                chain.drop = None
        if not rules and chain.drop is None and tag != SPECIFIC_CHARACTER_SET and not is_age:
            self._add_base((tag, creator), vr, chain, sequences, on_path=on_path)
        op = self._described(
            (tag, vr),
            chain,
            sequences,
            named=(bool(rules) and not others_go) or is_age or is_dummied,
            on_path=on_path,
            is_age=is_age,
        )
        if tag == SPECIFIC_CHARACTER_SET:
            return CharacterSet(op)
        if (
            isinstance(op, Kept)
            and op.says_nothing
            and not (op.named and self._rules.has_tentative)
        ):
            if reach.top and tag == LENGTH_TO_END and not rules:
                return LENGTH_GOES
            is_changing = is_group_length(tag) and self.touches_group(tag >> 16)
            return GroupLength() if is_changing else None
        return op

    def _add_settings(
        self,
        element: tuple[int, str | None],
        chain: Chain,
        sequences: SequenceChain,
        *,
        on_path: bool,
    ) -> None:
        """Adds what settings do to an element, a private one of a creator, that no rule names."""
        settings = self._profile.settings
        if is_private(element[0]) and settings.remove_private_tags and not self._is_kept(element):
            chain.drop = sequences.name = REMOVE_PRIVATE_TAGS
            sequences.result = OnSequence.DROP
        elif settings.remove_undefined and not self._reach.dummied:
            chain.drop = sequences.name = REMOVE_UNDEFINED
            sequences.result = (
                OnSequence.TENTATIVE if self._rules.has_tentative else OnSequence.DROP
            )
        if on_path:
            sequences.result = OnSequence.DESCEND

    def _is_kept(self, element: tuple[int, str | None]) -> bool:
        """Whether a rule of the top level keeps a private element, at every depth.

        Where another rule changes it at the top level, it stays there alone: nobody
        wants it as it is.
        """
        return any(selects(kept, *element) for kept in self._profile.kept) and not any(
            selects(changed, *element) for changed in self._profile.changed
        )

    def _add_base(
        self,
        element: tuple[int, str | None],
        vr: str,
        chain: Chain,
        sequences: SequenceChain,
        *,
        on_path: bool,
    ) -> None:
        """Adds what the base does to an element that no rule selects."""
        treatments = self._rules.treatments
        treatment = None if treatments is None else treatments.of(element, vr, top=self._reach.top)
        if treatment is None or (sequences.dummied and not isinstance(treatment.action, Remove)):
            return
        chain.add_action(treatment.action, treatment.on_error)
        if not on_path:
            sequences.protect(treatment.action)

    def _described(
        self,
        element: tuple[int, str],
        chain: Chain,
        sequences: SequenceChain,
        *,
        named: bool,
        on_path: bool,
        is_age: bool,
    ) -> Kept | Dropped | Rewritten:
        tag, vr = element
        top = self._reach.top
        original = top and tag in self._profile.originals
        final = top and tag in self._profile.finals
        patient = top and tag in self._profile.says_patient
        case: Callable[..., Kept | Dropped | Rewritten]
        if chain.drop is not None:
            case = partial(Dropped, name=chain.drop)
        elif chain.constant is not None or chain.steps or is_age:
            is_left = chain.is_whole and not (original or final or patient)
            case = partial(
                partial(Fitting, fit=FITS[vr]) if is_left and vr in FITS else Rewritten,
                constant=chain.constant,
                steps=tuple(chain.steps),
                names=tuple(chain.names),
                age=is_age and chain.constant is None,
                on_error=chain.on_error,
                drops_unlisted=chain.drops_unlisted,
                dummy=chain.gives_dummy,
            )
        else:
            case = Kept
        # Pixel data depends on the transfer syntax, too, and what is in a sequence that may
        # stay or go on what else is in it.
        is_repeatable = not (is_age or original or tag == PIXEL_DATA or self._rules.has_tentative)
        return case(
            sequence=sequences.result,
            sequence_name=sequences.name,
            dummied=sequences.dummied,
            named=named,
            on_path=on_path,
            original=original,
            final=final,
            patient=patient,
            repeatable=chain.is_repeatable and is_repeatable,
        )
