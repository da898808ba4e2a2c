"""What is done to the values of elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from profile_service.language.model.elements import ElementRef
from profile_service.language.model.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Keep:
    """Leaves the element. Protects it from remove-private-tags and remove-undefined."""


@dataclass(frozen=True, slots=True)
class Remove:
    """The element goes. Absent: stays absent. Empty: goes too."""


@dataclass(frozen=True, slots=True)
class ReplaceWith:
    r"""The value becomes the text. Absent: inserted when `insert`. Empty: replaced.

    Attributes:
        text: the new value as text; a backslash separates values where the VR
            has several. Empty: the element is emptied, and a sequence is left
            without items.
        insert: an absent element is inserted. Never true for a regex, for a
            nested path with `*`, for a repeater, nor for an element whose VR is in
            no dictionary. With `Settings.recurse_sequence` it concerns the top
            level only.
    """

    text: str
    insert: bool


@dataclass(frozen=True, slots=True)
class Hash:
    """The first `Settings.hash_digits` hex digits of SHA-256(salt + value).

    Absent and empty: stay as they are.
    """


@dataclass(frozen=True, slots=True)
class HashUid:
    """A UID derived from SHA-256(salt + uid). Absent and empty: stay as they are."""


@dataclass(frozen=True, slots=True)
class ReplaceUid:
    """Another UID, made of SHA-256(salt + UID) alone (PS3.5 B.2); those of the standard stay.

    What is no UID becomes one, too. Absent and empty: stay as they are.
    """


# What stands between the parts of a word of German and the like.
LINKS: Final = frozenset(("s", "n", "en", "es"))


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What a cleaned text may keep; in lower case.

    Attributes:
        terms: words, and phrases of two to four words with a space between them.
        names: those of all words that many people are called by, or that, in languages
            without spaces, say nothing beside a word alone.
        stems: those of the words of which names of sequences are put together (`t2map`).
        parts: those of which words of German and the like are (`handwurzelfraktur`), and the
            links between them, which are no terms.
        everyday: words of everyday sentences that are no terms, as in capitals they may be
            anybody's name; they stay in small letters.
        any_case: those of them that are no nouns, and so no institution: they stay in capitals,
            too, and where a sentence begins.
        seldom: those of them that few people and no places are called by: they stay in a text
            that is all in capitals, too.
    """

    terms: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    everyday: frozenset[str] = frozenset()
    any_case: frozenset[str] = frozenset()
    seldom: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Clean:
    """Of a text stays what is known to be harmless: words of a vocabulary, numbers, codes.

    Never a word that identifies somebody in the same file, a date, a phone number, an
    e-mail address or a URL. Absent and empty: stay as they are.

    Attributes:
        needed: a dummy stands where nothing is left.
        vocabulary: what stays; none where the base of the profile has it.
    """

    needed: bool = False
    vocabulary: Vocabulary = field(default=Vocabulary(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What identifies somebody goes; all else of a text stays. Absent and empty: as they are.

    Attributes:
        by_form: what tells somebody by its form goes, too, whoever the file is about; not from
            an element that an option keeps, as the address of an institution.
        is_code: a number by itself is what the element is for, and nobody's.
        whole: a value that is no text stays or goes as a whole: it stays where it is what its VR
            says, or a text that is known to be harmless.
    """

    by_form: bool = True
    is_code: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CapAge:
    """An age of more than 89 years becomes 90 years. Absent and empty: stay as they are."""


@dataclass(frozen=True, slots=True)
class Dummy:
    """A value that is legal for the VR, and the same whatever the value was.

    A UID becomes one that depends on it alone (PS3.5 B.2). A sequence keeps its items,
    and all values inside of it that no rule selects become dummies, but for code strings,
    which say what the others are. Absent and empty: stay as they are.
    """


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a pseudonym is written.

    Attributes:
        alphabet: its characters, each once.
        length: how many of them.
    """

    alphabet: str
    length: int


@dataclass(frozen=True, slots=True)
class KeyedHash:
    """HMAC-SHA-256 of the value under a key, in some characters; of a UI, a UID.

    The value that is the patient's ID becomes the patient's pseudonym, as `Pseudonym` writes
    it. Absent and empty: stay as they are.
    """

    spelling: Spelling


@dataclass(frozen=True, slots=True)
class KeyedUid:
    """A UID from HMAC-SHA-256 of the UID under a key. UIDs of the standard stay.

    Absent and empty: stay as they are.
    """


@dataclass(frozen=True, slots=True)
class KeyedShift:
    """Moves dates by the days of the patient, see `ShiftRange`. Absent and empty: stay."""


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """The value becomes the pseudonym of the patient. Absent: inserted. Empty: replaced.

    Attributes:
        insert: as that of `ReplaceWith`.
    """

    spelling: Spelling
    insert: bool


JitterUnit = Literal["days", "weeks", "years", "hours", "minutes", "seconds"]


@dataclass(frozen=True, slots=True)
class DateJitter:
    """A random non-zero whole number of `unit` within -reach .. +reach; reach >= 1."""

    reach: int
    unit: JitterUnit


@dataclass(frozen=True, slots=True)
class RelativeDate:
    """A moment so many days (fractional, may be negative) from now."""

    days: float


DateBound = date | RelativeDate


@dataclass(frozen=True, slots=True)
class DateShift:
    """By how much a date moves, and between what it stays.

    Attributes:
        days: days added, may be fractional or negative.
        jitter: a random amount added to that, or None.
        minimum: the earliest result, or None.
        maximum: the latest result, or None.
    """

    days: float
    jitter: DateJitter | None
    minimum: DateBound | None
    maximum: DateBound | None


@dataclass(frozen=True, slots=True)
class IncrementDate:
    """Moves a date written in `format` (strptime). Absent and empty: stay as they are."""

    format: str
    shift: DateShift


@dataclass(frozen=True, slots=True)
class IncrementDateTime:
    """Moves a date and time written in `format` (strptime).

    With the default format, every legal DT form (PS3.5 6.2) is moved and keeps
    its form. Absent and empty: stay as they are.
    """

    format: str
    shift: DateShift


@dataclass(frozen=True, slots=True)
class Jitter:
    """Adds a random non-zero amount within -reach .. +reach, uniform.

    Attributes:
        reach: the largest amount, positive.
        whole: the amount is a whole number (`jitter-type: int`); reach >= 1.
        minimum: the smallest result, or None.
        maximum: the largest result, or None.
    """

    reach: float
    whole: bool
    minimum: float | None
    maximum: float | None


@dataclass(frozen=True, slots=True)
class CodePattern:
    """Codes that are given one after the other: digits, and what is around them.

    Attributes:
        before: the digits.
        digits: how many there are.
        after: the digits.
        is_random: in no order that anybody could know.
    """

    before: str
    digits: int
    after: str
    is_random: bool = False

    @property
    def series(self) -> str:
        """What all codes have in common: of one series none is given twice."""
        return f"{self.before}{{}}{self.after}"

    @property
    def last(self) -> int:
        """The greatest number; the least is 1."""
        return int(10**self.digits) - 1

    def code(self, number: int) -> str:
        """Returns the code with a number."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"


@dataclass(frozen=True, slots=True)
class Assign:
    """The value becomes the code that was given to the patient. Absent: inserted. Empty: replaced.

    Attributes:
        pattern: of the codes.
        insert: as that of `ReplaceWith`.
    """

    pattern: CodePattern
    insert: bool


@dataclass(frozen=True, slots=True, order=True)
class Column:
    """A column of a table of patients.

    Attributes:
        table: the name of the table; which one has that name is said by where files go to.
        name: of the column.
    """

    table: str
    name: str


# What becomes of an element where the table says nothing of the patient: the file is
# rejected, the pseudonym of the patient stands there, or the element goes.
OnUnlisted = Literal["reject", "hash", "remove"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """The value becomes what a table says of the patient. Absent: inserted. Empty: replaced.

    Attributes:
        column: where it says it.
        unlisted: what happens where it says nothing.
        spelling: of the pseudonym that stands there then, as `Pseudonym` writes it.
        insert: as that of `ReplaceWith`.
    """

    column: Column
    unlisted: OnUnlisted
    spelling: Spelling
    insert: bool


# What an element becomes that depends on the patient alone, whatever its value.
OfPatient = Pseudonym | Assign | Lookup


# What pseudonyms are needed for.
KeyedAction = KeyedHash | KeyedUid | KeyedShift | OfPatient


SimpleAction = (
    Keep
    | Remove
    | ReplaceWith
    | Hash
    | HashUid
    | Dummy
    | ReplaceUid
    | CapAge
    | Clean
    | Sweep
    | IncrementDate
    | IncrementDateTime
    | Jitter
    | KeyedAction
)


@dataclass(frozen=True, slots=True)
class Capture:
    """What a named group captured, put through an action when there is one.

    A group that took no part in the match gives the empty text.
    """

    name: str
    action: SimpleAction | None


@dataclass(frozen=True, slots=True)
class ElementValue:
    """The value of a top-level element, put through an action when there is one.

    In a regex-sub the value is the original one; in an output file name it is
    the de-identified one. An absent element gives the empty text.
    """

    element: ElementRef
    action: SimpleAction | None


Template = tuple[str | Capture | ElementValue, ...]


@dataclass(frozen=True, slots=True)
class RegexSubCase:
    """One alternative of a regex-sub: the pattern of the value, and what it becomes."""

    pattern: Pattern
    output: Template


@dataclass(frozen=True, slots=True)
class RegexSub:
    """The first case whose pattern matches from the start gives the new value.

    No match rejects the file. Absent and empty: stay as they are.
    """

    cases: tuple[RegexSubCase, ...]


Action = SimpleAction | RegexSub


# The name of each action in the profile language; receipts count by it.
ACTION_NAMES: dict[type[Action], str] = {
    Keep: "keep",
    Remove: "remove",
    ReplaceWith: "replace-with",
    Hash: "hash",
    HashUid: "hashuid",
    Dummy: "dummy",
    ReplaceUid: "replace-uid",
    CapAge: "cap-age",
    Clean: "clean",
    Sweep: "leftover",
    IncrementDate: "increment-date",
    IncrementDateTime: "increment-datetime",
    Jitter: "jitter",
    KeyedHash: "keyed-hash",
    KeyedUid: "keyed-uid",
    KeyedShift: "keyed-shift",
    Pseudonym: "pseudonym",
    Assign: "assign",
    Lookup: "lookup",
    RegexSub: "regex-sub",
}


def actions_in(action: Action) -> Iterator[SimpleAction]:
    """Yields an action, or those within a regex-sub."""
    if not isinstance(action, RegexSub):
        yield action
        return
    for case in action.cases:
        for piece in case.output:
            if isinstance(piece, Capture | ElementValue) and piece.action is not None:
                yield piece.action
