"""What a profile says as a whole: its settings, rules and base."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from profile_service.language.model.actions import (
    Assign,
    CodePattern,
    Column,
    KeyedHash,
    KeyedShift,
    KeyedUid,
    Lookup,
    Pseudonym,
    SimpleAction,
    Template,
    actions_in,
)
from profile_service.language.model.base import Base
from profile_service.language.model.patterns import Pattern
from profile_service.language.model.rules import Rejection, Rule

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
        earlier_files: what identifies somebody in earlier files of the same patient, on the
            same stream, is looked for in texts, too.
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
    earlier_files: bool = False
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
