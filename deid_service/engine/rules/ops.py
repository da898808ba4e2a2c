"""What a profile does to one element: a closed union of cases.

`Node.op` says which case it is for an element; None means that no rule touches it.
Whoever acts on an element, or says what would be done to it, matches the case here
and ends with `assert_never`, so that a new case is a type error wherever it is not
handled.

    case          a value                 a sequence   fragments            absent
    ------------  ----------------------  -----------  -------------------  ------------
    None          stays                   as within    stay                 stays absent
    Kept          stays                   `sequence`   stay                 stays absent
    Dropped       goes                    `sequence`   go                   stays absent
    Fitting       stays where it is of    `sequence`   as Rewritten         as Rewritten
                  its VR; else Rewritten
    Rewritten     becomes another         `sequence`   go where a constant  an Insertion,
                                                       empties them; else   where the node
                                                       they are rejected    has one
    CharacterSet  says how text is read,  rejected     as `becomes`         as `becomes`
                  and is as `becomes`
    ByCreator     as the case that is found for the private creator of its block
    ByVr          as the case that is found for the VR that it is read with
    GroupLength   stays where its group   as within    stay                 stays absent
                  keeps its length

What `sequence` says is one of these; "as within" is DESCEND:

    DESCEND    it stays, and its items are looked at: their elements have cases
    DROP       it goes
    EMPTY      it stays without items
    REJECT     the file is rejected: a sequence has no value that could be changed
    TENTATIVE  it stays where something inside of it is named by a rule, else it goes

What is inside of a sequence that is `dummied` has cases of its own: see `cases`.
An empty value stays empty where it is `Rewritten` without a constant. Fragments are
encapsulated pixel data (PS3.5 A.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, assert_never

from deid_service.engine.rules.actions import KeyedStep, ValueStep
from deid_service.engine.rules.fits import Fit
from deid_service.engine.texts.cleaner import TextStep
from profile_service.language.model import OnError, RegexSub


@dataclass(frozen=True, slots=True)
class RegexSubStep:
    """A regex-sub: its result can depend on elements that come later in the file.

    Attributes:
        name: as receipts count it.
        action: the cases.
        needs: the top-level elements whose original values the outputs name.
    """

    name: str
    action: RegexSub
    needs: frozenset[int]

    @property
    def weight(self) -> int:
        """As how many actions it counts: a match, and what the output is made of, by case."""
        return sum(1 + len(case.output) for case in self.action.cases)


AnyStep = ValueStep | KeyedStep | RegexSubStep | TextStep


class OnSequence(Enum):
    """What is done to an element that turns out to be a sequence; see the module."""

    DESCEND = auto()
    DROP = auto()
    EMPTY = auto()
    REJECT = auto()
    TENTATIVE = auto()


# Compared by identity: what is remembered of an element belongs to the one case that
# was found for it.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Selected:
    """What all cases share of an element that rules select.

    Attributes:
        sequence: what is done where it is a sequence.
        sequence_name: what a receipt counts for that.
        named: a rule selects the element.
        on_path: a rule reaches into it by its path.
        original: its original value is needed elsewhere.
        final: its resulting value is needed elsewhere.
        repeatable: the same element always becomes the same, with the same keys and patient.
        dummied: where it is a sequence, the values inside of it become dummies.
        patient: its value says who the patient is.
    """

    sequence: OnSequence = OnSequence.DESCEND
    sequence_name: str = ""
    named: bool = False
    on_path: bool = False
    original: bool = False
    final: bool = False
    repeatable: bool = False
    dummied: bool = False
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kept(_Selected):
    """It stays as it came."""

    @property
    def says_nothing(self) -> bool:
        """Whether all of it is as without rules, but perhaps that one names it."""
        is_within = self.sequence is OnSequence.DESCEND
        is_noted = self.on_path or self.original or self.final or self.patient
        return is_within and not (is_noted or self.dummied)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dropped(_Selected):
    """It goes.

    Attributes:
        name: what a receipt counts for it.
        unseen: it goes without a look at it, whether it is a value or a sequence.
    """

    name: str
    unseen: bool = field(init=False)

    def __post_init__(self) -> None:
        is_sequence_dropped = self.sequence is OnSequence.DROP and not self.on_path
        object.__setattr__(self, "unseen", is_sequence_dropped and not self.original)

    @property
    def is_whole(self) -> bool:
        """Whether a receipt counts the same for a value and a sequence."""
        return self.unseen and self.sequence_name == self.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rewritten(_Selected):
    """It gets another value.

    Attributes:
        constant: the text that replaces the value before the steps, or None.
        steps: done to each value in turn.
        names: what a receipt counts for it.
        age: PatientAge is computed before the steps.
        on_error: what happens where the steps cannot be done to the value.
        drops_unlisted: it goes where a table says nothing of the patient.
        dummy: the last step gives a dummy. A value of bytes or binary numbers, which steps
            cannot be done to, becomes zeros.
    """

    constant: str | None = None
    steps: tuple[AnyStep, ...] = ()
    names: tuple[str, ...] = ()
    age: bool = False
    on_error: OnError = "reject"
    drops_unlisted: bool = False
    dummy: bool = False

    @property
    def cleans(self) -> bool:
        """Whether all that is done is to clean the text: it may stay as it came."""
        steps = self.steps
        is_all = all(isinstance(step, TextStep) for step in steps)
        return self.constant is None and bool(steps) and is_all

    @property
    def sweeps(self) -> bool:
        """Whether only what identifies somebody goes, wherever that stands."""
        return self.cleans and not any(
            isinstance(step, TextStep) and step.keeps_known for step in self.steps
        )

    @property
    def is_whole(self) -> bool:
        """Whether a value stays as it is, or goes as a whole."""
        return any(isinstance(step, TextStep) and step.whole for step in self.steps)

    @property
    def sweep(self) -> TextStep:
        """What is looked for, of a value that `sweeps`."""
        steps = [step for step in self.steps if isinstance(step, TextStep)]
        return next((step for step in steps if step.by_form), steps[0])

    @property
    def needs(self) -> frozenset[int]:
        """The top-level elements whose original values the new value depends on."""
        return needed_by(self.steps)

    @property
    def reads_value(self) -> bool:
        """Whether the value that is there must be read as text."""
        needs_value = self.final or self.age or bool(self.steps)
        return self.original or (self.constant is None and needs_value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting(Rewritten):
    """It stays as it came where it is what its VR says, and nobody needs its value elsewhere.

    Attributes:
        fit: what that is.
    """

    fit: Fit


@dataclass(frozen=True, slots=True, eq=False)
class CharacterSet:
    """Specific Character Set (0008,0005): from here on it says how text is read.

    Attributes:
        becomes: what is done to it.
    """

    becomes: Kept | Dropped | Rewritten

    @property
    def final(self) -> bool:
        """Whether its resulting value is needed elsewhere."""
        return self.becomes.final


@dataclass(frozen=True, slots=True)
class ByCreator:
    """What is done depends on the private creator: `Node.op` has the case."""


@dataclass(frozen=True, slots=True, eq=False)
class ByVr:
    """What is done depends on the VR: that of the header, or what it stands for.

    In implicit VR, and for UN, that is the dictionary's; SQ for what shows itself to be
    a sequence; else UN.

    Attributes:
        of: the case, by VR.
    """

    of: Mapping[str, Kept | Dropped | Rewritten | CharacterSet | GroupLength | None]


@dataclass(frozen=True, slots=True)
class GroupLength:
    """The length of a group that can change (PS3.5 7.2)."""


# What is done to an element whose creator and VR are known.
Case = Kept | Dropped | Rewritten | CharacterSet | GroupLength

Op = Case | ByCreator | ByVr


# What a receipt does not count: it is of no rule and no setting.
STALE_LENGTH: Final = "stale-length"

# PS3.3-1993: Length to End says how many bytes follow, which can be told only at the
# end. As group lengths it is retired, and goes.
LENGTH_GOES: Final = Dropped(
    name=STALE_LENGTH, sequence=OnSequence.DROP, sequence_name=STALE_LENGTH
)

# What a receipt has a warning for, rather than a count.
MISPLACED_FILE_META: Final = "misplaced-file-meta"

# PatientAge that was left absent or empty, as a date says none.
AGE_NOT_COMPUTED: Final = "age-not-computed"

# What a receipt counts for an element whose value an action could not work on, and that
# was removed or emptied as its rule says.
ON_ERROR: Final = "on-error"

# The same for one that went, as its rule says, where a table says nothing of the patient.
UNLISTED: Final = "on-missing"

# What stands for a value that is replaced whatever it was, before the steps: no value has it.
ANY_VALUE: Final = "\0"

# PS3.10 7.1: group 2 is not part of a data set. What a data set or an item has of it
# goes, as no rule could name it there.
MISPLACED: Final = Dropped(
    name=MISPLACED_FILE_META, sequence=OnSequence.DROP, sequence_name=MISPLACED_FILE_META
)


# What a glance at a tag says where what is done to it was not worked out yet. It is no
# answer: who meets it asks in full.
UNSEEN: Final = Kept()

# What is done to an element whose place an inserted one has taken.
SUPERSEDED: Final = Dropped(
    name="replace-with", sequence=OnSequence.DROP, sequence_name="replace-with"
)


def needed_by(steps: tuple[AnyStep, ...]) -> frozenset[int]:
    """Returns the top-level elements whose original values steps depend on."""
    return frozenset[int]().union(*(step.needs for step in steps if isinstance(step, RegexSubStep)))


def becomes_of(op: Op | None) -> Kept | Dropped | Rewritten:
    """Returns what is done to the value of an element, whatever else is its case."""
    match op:
        case None | ByCreator() | ByVr() | GroupLength():
            return _STAYS
        case CharacterSet():
            return op.becomes
        case Kept() | Dropped() | Rewritten():
            return op
        case _:
            assert_never(op)


_STAYS: Final = Kept()


class Effect(Enum):
    """What is done to an element of a certain form."""

    STAYS = auto()
    GOES = auto()
    CHANGES = auto()
    IS_REJECTED = auto()


def effect_on_value(op: Op | None) -> Effect:
    """Returns what is done to an element that has a value."""
    match becomes_of(op):
        case Kept():
            return Effect.STAYS
        case Dropped():
            return Effect.GOES
        case Rewritten():
            return Effect.CHANGES
        case becomes:
            assert_never(becomes)


def effect_on_sequence(op: Op | None) -> Effect:
    """Returns what is done to an element that is a sequence, apart from its items."""
    if isinstance(op, CharacterSet):
        return Effect.IS_REJECTED
    match becomes_of(op).sequence:
        case OnSequence.DESCEND | OnSequence.TENTATIVE:
            return Effect.STAYS
        case OnSequence.DROP:
            return Effect.GOES
        case OnSequence.EMPTY:
            return Effect.CHANGES
        case OnSequence.REJECT:
            return Effect.IS_REJECTED
        case sequence:
            assert_never(sequence)


def effect_on_fragments(op: Op | None) -> Effect:
    """Returns what is done to an element that is encapsulated pixel data."""
    match becomes_of(op):
        case Kept():
            return Effect.STAYS
        case Dropped():
            return Effect.GOES
        case Rewritten() as rewritten:
            is_emptied = rewritten.constant == "" and not rewritten.steps
            return Effect.CHANGES if is_emptied else Effect.IS_REJECTED
        case becomes:
            assert_never(becomes)


@dataclass(frozen=True, slots=True)
class Insertion:
    """What an absent element becomes.

    Attributes:
        text: the value that is inserted, before the steps; None for PatientAge
            as it is computed.
        steps: done to the value.
        names: what a receipt counts for it.
        items: for a sequence, how many items are made; their contents are the
            insertions of `Children.item`.
        with_age: it is inserted only where PatientAge can be computed.
        drops_unlisted: it is not inserted where a table says nothing of the patient.
    """

    text: str | None
    steps: tuple[AnyStep, ...] = ()
    names: tuple[str, ...] = ()
    items: int = 0
    with_age: bool = False
    drops_unlisted: bool = False
