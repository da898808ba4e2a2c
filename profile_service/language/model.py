"""What a valid profile says, as data.

The model is what `parse_profile` makes and what the engine executes: it knows
neither YAML nor DICOM encoding. All defaults are resolved: an action carries
the options that apply to it, whether they were written on the rule, in the
`dicom` section, or nowhere.

What each action does to an element that is absent or empty is said in its
docstring. Each value of a multi-valued element is transformed on its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class PatternTimeoutError(Exception):
    """A regular expression took longer than a worker may be held, or would on its text."""


class Pattern(Protocol):
    """A regular expression that cannot hold a worker."""

    @property
    def source(self) -> str:
        """The expression as its author wrote it."""
        ...

    @property
    def group_names(self) -> frozenset[str]:
        """The names of its named groups."""
        ...

    def most_seconds(self, text: str) -> float:
        """How long a match on a text can take at the most, in seconds of computing."""
        ...

    def match(self, text: str) -> dict[str, str | None] | None:
        """Match from the start, not necessarily to the end, of the text.

        Returns:
            The named groups (None for one that took no part), or None where the
            text does not match.

        Raises:
            PatternTimeoutError: the bound on time was reached, or the text is too long
                for it to be kept.
        """
        ...


# --- Which elements -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Element:
    """One tag, as a 32-bit number: (0010,0020) is 0x00100020."""

    tag: int


@dataclass(frozen=True, slots=True)
class PrivateElement:
    """An element of a private creator's block, wherever the block is (PS3.5 7.8.1).

    Attributes:
        group: the group number, odd.
        creator: the private creator, as it stands in (gggg,0010-00FF), without
            trailing spaces.
        offset: the low byte of the element number.
    """

    group: int
    creator: str
    offset: int


@dataclass(frozen=True, slots=True)
class PrivateCreatorBlock:
    """All elements of a private creator's block, wherever the block is (PS3.5 7.8.1).

    Attributes:
        group: the group number, odd.
        creator: the private creator, as in a PrivateElement.
    """

    group: int
    creator: str


@dataclass(frozen=True, slots=True)
class RepeaterElement:
    """An element of every group of a repeating range (PS3.5 7.6), or all of even groups.

    A tag belongs to it when `tag & mask == value` and its group is even.
    """

    value: int
    mask: int

    @property
    def is_whole(self) -> bool:
        """Whether all elements of its groups belong to it."""
        return not self.mask & 0xFFFF


ElementRef = Element | PrivateElement | PrivateCreatorBlock | RepeaterElement


@dataclass(frozen=True, slots=True)
class PathSelector:
    """Elements by their place.

    Attributes:
        parents: the sequences on the way from the top level, each with the index
            of the item (from 0), or None for every item. Empty: the top level
            (and every depth where `Settings.recurse_sequence` says so). The
            sequence of a parent is an Element or a PrivateElement.
        element: the element itself.
    """

    parents: tuple[tuple[ElementRef, int | None], ...]
    element: ElementRef


@dataclass(frozen=True, slots=True)
class EveryDepthSelector(PathSelector):
    """An element at every depth (`**`), the top level too; `parents` is empty."""


@dataclass(frozen=True, slots=True)
class RegexSelector:
    """Elements at every depth whose dotted path matches from the start.

    The path is tried in its keyword spelling (in which a sequence without a keyword
    stands in hex) and in its hex spelling: `OtherPatientIDsSequence.0.PatientID`,
    `20011000.0.PatientID`, `00101002.0.00100020` (lower case). File meta elements are
    reached by name only.
    """

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class VrSelector:
    """Elements at every depth whose values are read with one of some VRs.

    That is the VR of the element's header; in implicit VR, and for UN, the dictionary's,
    of private elements by their creators. An unknown element is UN, unless it shows
    itself to be a sequence. Private creators, group lengths, (0008,0005) and the file
    meta are not selected so.
    """

    vrs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OthersSelector:
    """Every element, at every depth, that no rule selects which runs before.

    What a VrSelector does not select is not selected so either.
    """


Selector = PathSelector | RegexSelector | VrSelector | OthersSelector


# --- What is done to them -------------------------------------------------------------


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


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """What a cleaned text may keep; in lower case.

    Attributes:
        terms: words, and phrases of two to four words with a space between them.
        names: those of the words that many people are called by.
    """

    terms: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()


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
    """What identifies somebody in the same file goes; all else of a text stays.

    Absent and empty: stay as they are.
    """


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


# What becomes of an element whose value an action cannot work on: the file is rejected,
# the element goes, it is emptied, or gets a dummy.
OnError = Literal["reject", "remove", "empty", "dummy"]


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a file: all that it says must hold; of several values one is enough.

    What says nothing always holds.

    Attributes:
        modalities: Modality (0008,0060).
        sop_classes: UIDs; SOP Class UID, in the data set or the file meta.
        manufacturers: how Manufacturer (0008,0070) begins, in any letter case.
        image_types: one of the values of Image Type (0008,0008).
        burned_in: Burned In Annotation (0028,0301).
        present: tags of elements that stand at the top level.
        absent: tags of elements of which none stands there.
    """

    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    image_types: tuple[str, ...] = ()
    burned_in: tuple[str, ...] = ()
    present: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """An entry of `dicom.fields` that rejects files.

    Attributes:
        when: which files.
        reason: why, as whoever sent the file is told.
        path: where it stands, for example `dicom.fields[3]`.
        line: the line in the text, from 1.
    """

    when: When
    reason: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `dicom.fields`.

    Attributes:
        selector: which elements.
        action: what is done to them.
        path: where it stands, for example `dicom.fields[3]`.
        line: the line in the text, from 1.
        on_error: what happens where the action cannot work on a value.
        when: for which files it is a rule; None for all.
    """

    selector: Selector
    action: Action
    path: str
    line: int
    on_error: OnError = "reject"
    when: When | None = None


# --- The base ------------------------------------------------------------------------


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
    keyed: tuple[KeyedAction, ...]


# --- The profile ----------------------------------------------------------------------


AgeUnit = Literal["D", "M", "Y"]

# Where the same patient has the same pseudonym: in all of a site, a group, or a project.
KeyScope = Literal["site", "group", "project"]

# What a key is for; each has its own.
KeyPurpose = Literal["hash", "uid", "shift", "table"]


@dataclass(frozen=True, slots=True)
class Words:
    """What an institution knows of its own texts.

    Attributes:
        keep: words and phrases that cleaned texts keep; in lower case, each once.
        remove: those that no text keeps, in the forms in which people write them.
        lists: the columns of tables whose words, or names of people, no text keeps either;
            in the order of their names.
    """

    keep: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    lists: tuple[Column, ...] = ()


# The columns of lists: words and phrases as they stand, and names of people.
LISTED_WORDS = "word"
NAMES = "name"


# What becomes of a text that stays, and says who somebody is: it loses that, or the file is
# rejected, or it is only counted.
Leftovers = Literal["remove", "reject", "count"]

# What becomes of a file that does not say who the patient is: it is rejected, or its study
# stands for the patient.
OnMissing = Literal["reject", "study"]


@dataclass(frozen=True, slots=True)
class ShiftRange:
    """By how many days the dates of a patient may move; the key says by how many they do.

    Attributes:
        first: the least number of days, may be negative.
        last: the greatest.
        weeks: whole weeks only, so that weekdays stay.
        zero: the dates of a patient may stay as they are.
    """

    first: int
    last: int
    weeks: bool = False
    zero: bool = False

    @property
    def count(self) -> int:
        """How many numbers of days there are to choose from."""
        first, last, _ = self._steps()
        return max(last - first + 1 - self._skips_zero(first, last), 0)

    def days(self, number: int) -> int:
        """Returns the number of days that a number stands for, which may be any from 0 on."""
        first, last, unit = self._steps()
        step = first + number % self.count
        if self._skips_zero(first, last) and step >= 0:
            step += 1
        return step * unit

    def _steps(self) -> tuple[int, int, int]:
        unit = 7 if self.weeks else 1
        return -(-self.first // unit), self.last // unit, unit

    def _skips_zero(self, first: int, last: int) -> bool:
        return not self.zero and first <= 0 <= last


@dataclass(frozen=True, slots=True)
class ShiftColumn:
    """A table that says by how many days the dates of a patient move.

    Attributes:
        column: where it says it; a whole number, at most `MAX_SHIFT_DAYS` either way.
        zero: the dates of a patient may stay as they are.
    """

    column: Column
    zero: bool = False

    def problem(self, text: str) -> str | None:
        """Says why a text is no number of days, without the text; None where it is."""
        if _DAYS.fullmatch(text) is None or abs(int(text)) > MAX_SHIFT_DAYS:
            return f"A number of days is whole, and at most {MAX_SHIFT_DAYS} either way."
        if not self.zero and int(text) == 0:
            return "Dates would stay as they are, which 'shift-zero' of the profile allows."
        return None


# More than a hundred years say no more, and leave the calendar.
MAX_SHIFT_DAYS = 36_525
_DAYS = re.compile(r"[+-]?[0-9]{1,5}", re.ASCII)

# (0010,0020) and (0010,0021).
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021


@dataclass(frozen=True, slots=True)
class PseudonymSettings:
    """How pseudonyms come about, and who a patient is: the mapping `pseudonyms`.

    Attributes:
        scope: where the same patient has the same pseudonym.
        generation: of the key; None for the one in use.
        elements: tags of the top-level elements that say who the patient is.
        ignore_case: values that differ in letter case alone are the same.
        missing: what becomes of a file that does not say it.
        shift: None where no date moves by a key.
        shift_from: the table that says it before the key does; None where none does.
        uid_root: what UIDs begin with; None for 2.25 (PS3.5 B.2).
    """

    scope: KeyScope = "project"
    generation: int | None = None
    elements: tuple[int, ...] = (PATIENT_ID, ISSUER_OF_PATIENT_ID)
    ignore_case: bool = False
    missing: OnMissing = "reject"
    shift: ShiftRange | None = None
    shift_from: ShiftColumn | None = None
    uid_root: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the `dicom` section that are not defaults of an action.

    Attributes:
        salt: put before the value in every hash.
        hash_digits: hex digits kept of a hash, 1 to 64.
        hash_normalize: values that PS3.5 6.2 takes for the same have the same hash:
            spaces around them, and around the components of a person name, say nothing,
            nor do empty components and groups at the end of one.
        hash_ignore_case: values that differ in letter case alone have the same hash.
        uid_prefix_fields: nodes of the UID that hashuid keeps at the front.
        uid_suffix_fields: nodes that it keeps at the end.
        uid_numeric_name: the root used instead of the kept prefix, or None.
        remove_private_tags: private elements go, at every depth, except those
            that a rule names.
        remove_undefined: elements that no rule names go, at every depth.
        recurse_sequence: rules apply at every depth.
        age_from_birthdate: the finest unit that PatientAge is computed in, or
            None where it is not computed.
        date_format: the strptime format of the dates that an age is computed from.
        private_transfer_syntaxes: UIDs of vendors that files may come in; how such a
            file is encoded is told by its first elements.
        pseudonyms: of what is done by a key.
        leftovers: what becomes of texts that stay, and say who somebody is.
        words: that the institution keeps or removes.
    """

    salt: str = ""
    hash_digits: int = 16
    hash_normalize: bool = False
    hash_ignore_case: bool = False
    uid_prefix_fields: int = 4
    uid_suffix_fields: int = 1
    uid_numeric_name: str | None = None
    remove_private_tags: bool = False
    remove_undefined: bool = False
    recurse_sequence: bool = False
    age_from_birthdate: AgeUnit | None = None
    date_format: str = "%Y%m%d"
    private_transfer_syntaxes: tuple[str, ...] = ()
    pseudonyms: PseudonymSettings = PseudonymSettings()
    leftovers: Leftovers = "remove"
    words: Words = Words()


@dataclass(frozen=True, slots=True)
class FilenameRule:
    """One entry of `filenames`: the output name of a file whose name matches.

    Attributes:
        pattern: matched from the start of the original name, or None for every name.
        output: the new name, before it is made safe for a file system.
    """

    pattern: Pattern | None
    output: Template


@dataclass(frozen=True, slots=True)
class Violation:
    """One problem in a profile text.

    Attributes:
        code: stable, for example `UNKNOWN_KEYWORD`.
        path: where in the document, for example `dicom.fields[3].name`.
        line: from 1; 0 when there is no place.
        column: from 1, in characters; 0 when there is no place.
        message: what is wrong, in a sentence.
        suggestion: what was probably meant, or the empty text.
    """

    code: str
    path: str
    line: int
    column: int
    message: str
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A valid profile.

    Attributes:
        name: free text of the author.
        description: free text of the author.
        settings: see there.
        rules: in the order written.
        filenames: in the order written.
        rejections: files that are not de-identified at all, in the order written.
        base: what is done where no rule selects; None for nothing.
        blank: `fields: []` and no other setting: data is not de-identified.
        warnings: what the author should know, in the order of the text.
    """

    name: str
    description: str
    settings: Settings
    rules: tuple[Rule, ...]
    filenames: tuple[FilenameRule, ...]
    rejections: tuple[Rejection, ...]
    base: Base | None
    blank: bool
    warnings: tuple[Violation, ...]

    @property
    def codes(self) -> CodePattern | None:
        """The codes that patients are given; None where they are given none."""
        found = (action for rule in self.rules for action in actions_in(rule.action))
        return next((action.pattern for action in found if isinstance(action, Assign)), None)

    @property
    def key_purposes(self) -> frozenset[KeyPurpose]:
        """What keys the profile needs; none for most."""
        kinds, patient = self.action_types, self.settings.pseudonyms
        found = {purpose for kind in kinds for purpose in _KEY_PURPOSES.get(kind, ())}
        if any(each.unlisted == "hash" for each in self._lookups):
            found |= {"hash", "uid"}
        if patient.shift is None:
            found -= {"shift"}
        return frozenset(found)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is looked up of patients, in the order of the names; nothing for most."""
        found = {each.column for each in self._lookups}
        source = self.settings.pseudonyms.shift_from
        if source is not None and KeyedShift in self.action_types:
            found.add(source.column)
        return tuple(sorted(found))

    @property
    def _lookups(self) -> Iterator[Lookup]:
        for rule in self.rules:
            yield from (each for each in actions_in(rule.action) if isinstance(each, Lookup))

    @property
    def action_types(self) -> frozenset[type[SimpleAction]]:
        """What is done by rules, and by a base with a key."""
        of_base: tuple[SimpleAction, ...] = () if self.base is None else self.base.keyed
        of_rules = (action for rule in self.rules for action in actions_in(rule.action))
        return frozenset(type(action) for action in (*of_base, *of_rules))


_KEY_PURPOSES: dict[type[SimpleAction], tuple[KeyPurpose, ...]] = {
    # A hash on a UI is a UID.
    KeyedHash: ("hash", "uid"),
    Pseudonym: ("hash", "uid"),
    KeyedUid: ("uid",),
    KeyedShift: ("shift",),
    Assign: ("table",),
}
