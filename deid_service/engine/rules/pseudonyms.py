"""Pseudonyms: what values and patients become under keys that nobody else has.

All are of HMAC-SHA-256 (RFC 2104), under a key for each purpose: without it, what came out
says no more about what went in than a random number would. With it, and with all that went
in at hand, anybody finds who is who: keys are kept no longer than the stream that they
were given for, and stand in no text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from hmac import digest
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn

from deid_service.engine.encoding.charsets import CharacterSets
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.tags import STUDY_INSTANCE_UID
from deid_service.engine.encoding.values import read_value
from deid_service.engine.rules.dates import moved_by_days
from deid_service.engine.rules.errors import (
    NotFittingError,
    NotInTableError,
    NotTransformableError,
)
from deid_service.engine.rules.hashing import normalized
from deid_service.engine.rules.uids import MAX_UID_LENGTH
from profile_service.language.model import (
    ISSUER_OF_PATIENT_ID,
    PATIENT_ID,
    Column,
    KeyPurpose,
    Lookup,
    PseudonymSettings,
    Spelling,
)
from profile_service.language.vr import MAX_CHARACTERS, NOT_HASHABLE, problem

_HASH: Final = "sha256"

# Parts what a patient is known by, which holds no control characters.
_SEPARATOR: Final = "\0"

# Of what stands for the patient where nothing says who it is.
_STUDY: Final = "study"

_UID: Final = re.compile(r"[0-9.]*", re.ASCII)

# PS3.6 A: what the standard registers is below its root, in nodes of few digits. What
# else is found there was made up, and may be about anybody.
_REGISTERED: Final = re.compile(r"1\.2\.840\.10008(?:\.[0-9]{1,4}){0,9}", re.ASCII)

# PS3.5 B.2: what follows is a UUID as a number; RFC 9562 5.8: of a kind that says only
# that it is one.
_UUID_ROOT: Final = "2.25"
_UUID_VERSION: Final = 8 << 76 | 0b10 << 62
_UUID_MASK: Final = ~(0xF << 76 | 0b11 << 62)

# The VRs that hold no word of 16 characters.
_NOT_SPELLED: Final = (NOT_HASHABLE | {"AS", "DA", "DT", "TM"}) - {"UI"}


_NO_TABLES: Final[Mapping[str, bytes]] = MappingProxyType({})
_NOTHING_SAID: Final[Mapping[Column, str]] = MappingProxyType({})


class Keys:
    """The keys of one stream, by purpose; 32 bytes each.

    Attributes:
        id: names them, and says nothing about them.
    """

    __slots__ = ("_hash", "_shift", "_table", "_tables", "_uid", "id")

    def __init__(
        self,
        key_id: str,
        keys: Mapping[KeyPurpose, bytes],
        tables: Mapping[str, bytes] = _NO_TABLES,
    ) -> None:
        """Takes keys.

        Args:
            key_id: names them; empty where nothing is done by a key of a site.
            keys: each by its purpose; one that the profile does not need may be missing.
            tables: those by which patients are found in tables, by the names of these.
        """
        self._tables = tables
        self.id = key_id
        self._hash = keys.get("hash", b"")
        self._uid = keys.get("uid", b"")
        self._shift = keys.get("shift", b"")
        self._table = keys.get("table", b"")

    def __repr__(self) -> str:
        return f"Keys({self.id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not written anywhere")

    def of_text(self, text: str) -> int:
        """Returns the number that stands for a text."""
        return _number(self._hash, text)

    def of_uid(self, uid: str) -> int:
        """Returns the number that stands for a UID."""
        return _number(self._uid, uid)

    def of_patient(self, patient: str) -> int:
        """Returns the number that says by how much the dates of a patient move."""
        return _number(self._shift, patient)

    def among_codes(self, patient: str) -> bytes:
        """Returns what a patient is found by among those who have codes: 32 bytes."""
        return _digest(self._table, patient)

    def in_table(self, table: str, patient: str) -> bytes:
        """Returns what a patient is found by in a table: 32 bytes."""
        return _digest(self._tables.get(table, b""), patient)


def _digest(key: bytes, text: str) -> bytes:
    if not key:
        raise NotTransformableError("there is no key for it")
    return digest(key, text.encode("utf-8", "surrogatepass"), _HASH)


def _number(key: bytes, text: str) -> int:
    return int.from_bytes(_digest(key, text), "big")


class Patient(NamedTuple):
    """Who the patient of a file is.

    Attributes:
        known_by: what tells the patient from all others; None where the file does not say it.
        id: the PatientID, as other places are compared with it; may be empty.
        values: of the elements that say it, as they stand in the file, by tag.
    """

    known_by: str | None
    id: str
    values: dict[int, bytes]

    def __repr__(self) -> str:
        return "Patient()"


class Given(NamedTuple):
    """What was given to a patient elsewhere.

    Attributes:
        code: of the pattern of the profile; None where it has none.
        said: what tables say of the patient, by their columns; a column that says nothing is
            not there.
    """

    code: str | None = None
    said: Mapping[Column, str] = _NOTHING_SAID

    def __repr__(self) -> str:
        return "Given()"


# What patients were given, by what they are known by.
Known = dict[str, Given]


class Pseudonyms:
    """Makes the pseudonyms of one patient, and of values.

    Attributes:
        keys: that they are made with.
        patient: whose they are; None where that is not known, or not yet.
        known: what patients were given elsewhere, as far as it is known on the stream.
    """

    __slots__ = ("_days", "keys", "known", "patient", "settings")

    def __init__(
        self,
        keys: Keys,
        settings: PseudonymSettings,
        patient: Patient | None,
        known: Known | None = None,
    ) -> None:
        self.known: Known = {} if known is None else known
        self.keys = keys
        self.settings = settings
        self.patient = patient
        self._days: int | None = None

    def __repr__(self) -> str:
        return f"Pseudonyms({self.keys!r})"

    def of(self, patient: Patient) -> Pseudonyms:
        """Returns those of a patient, by the same keys."""
        return Pseudonyms(self.keys, self.settings, patient, self.known)

    def of_value(self, value: str, vr: str, spelling: Spelling) -> str:
        """Returns what a value becomes: the patient's pseudonym where it is the patient's ID."""
        if vr == "UI":
            return self.uid(value)
        text = comparable(value, vr, self.settings)
        if not text:
            return ""
        patient = self.patient
        if patient is not None and patient.known_by is not None and text == patient.id:
            text = patient.known_by
        return self._spelled(text, vr, spelling)

    def of_patient(self, vr: str, spelling: Spelling) -> str:
        """Returns the pseudonym of the patient."""
        if vr == "UI":
            return self._uid_of(self._known_by())
        return self._spelled(self._known_by(), vr, spelling)

    def code(self, vr: str) -> str:
        """Returns the code that the patient was given."""
        code = self._given().code
        if code is None:
            raise NotTransformableError("no code was given to the patient")
        return fitting(code, vr)

    def looked_up(self, action: Lookup, vr: str) -> str:
        """Returns what a table says of the patient, or what stands for it."""
        said = self._given().said.get(action.column)
        if said:
            return fitting(said, vr)
        if action.unlisted == "hash":
            return self.of_patient(vr, action.spelling)
        raise NotInTableError(
            f"the table {action.column.table} says nothing of the patient in the column "
            f"{action.column.name}"
        )

    def uid(self, value: str) -> str:
        """Returns what a UID becomes; those of the standard stay."""
        value = value.strip()
        if _REGISTERED.fullmatch(value):
            return value
        if not _UID.fullmatch(value):
            raise NotTransformableError("the value is not a UID")
        return self._uid_of(value)

    def moved(self, value: str, vr: str) -> str:
        """Returns a date, with a time or without, moved by the days of the patient."""
        days = self._days
        if days is None:
            days = self._days = self._days_of_patient()
        try:
            return moved_by_days(value, vr, days)
        except ValueError as error:
            raise NotTransformableError(f"the value cannot be moved: {error}") from None

    def _days_of_patient(self) -> int:
        source, shift = self.settings.shift_from, self.settings.shift
        if source is not None:
            said = self._given().said.get(source.column)
            if said:
                if (reason := source.problem(said)) is not None:
                    raise NotFittingError(f"the table {source.column.table} has no days: {reason}")
                return int(said)
            if shift is None:
                raise NotInTableError(
                    f"the table {source.column.table} does not say by how many days the dates of "
                    "the patient move"
                )
        if shift is None:
            raise NotTransformableError("the profile has no range of days")
        return shift.days(self.keys.of_patient(self._known_by()))

    def _given(self) -> Given:
        """Returns what the patient was given; who begins with a file has asked for it."""
        given = self.known.get(self._known_by())
        if given is None:
            raise NotTransformableError("what the patient was given is not known here")
        return given

    def _known_by(self) -> str:
        known_by = None if self.patient is None else self.patient.known_by
        if known_by is None:
            raise NotTransformableError("who the patient is, is not known here")
        return known_by

    def _spelled(self, text: str, vr: str, spelling: Spelling) -> str:
        if vr in _NOT_SPELLED:
            raise NotTransformableError(f"a pseudonym is text, which the VR {vr} cannot hold")
        if spelling.length > MAX_CHARACTERS.get(vr, spelling.length):
            raise NotTransformableError(f"the VR {vr} holds fewer characters")
        number = self.keys.of_text(text)
        alphabet, base = spelling.alphabet, len(spelling.alphabet)
        written = []
        for _ in range(spelling.length):
            number, digit = divmod(number, base)
            written.append(alphabet[digit])
        return "".join(written)

    def _uid_of(self, value: str) -> str:
        number = self.keys.of_uid(value)
        root = self.settings.uid_root
        if root is None:
            return f"{_UUID_ROOT}.{number >> 128 & _UUID_MASK | _UUID_VERSION}"
        # PS3.5 9.1: a node does not begin with 0.
        digits = MAX_UID_LENGTH - len(root) - 1
        return f"{root}.{number % (10**digits - 10 ** (digits - 1)) + 10 ** (digits - 1)}"


def fitting(value: str, vr: str) -> str:
    """Returns a value that an element of a VR is to have.

    Raises:
        NotFittingError: it cannot hold it.
    """
    reason = problem(vr, value)
    if reason is not None:
        raise NotFittingError(f"the new value does not fit: {reason}")
    return value


def comparable(value: str, vr: str, settings: PseudonymSettings) -> str:
    """Returns one spelling for all values that say the same (PS3.5 6.2)."""
    value = normalized(value.strip(" \0"), vr)
    if not value.isascii():
        # The character sets of files spell what looks alike in several ways.
        value = unicodedata.normalize("NFC", value)
    return value.casefold() if settings.ignore_case else value


def patient_from(
    values: dict[int, bytes], charsets: CharacterSets, settings: PseudonymSettings
) -> Patient:
    """Returns who the patient is.

    Args:
        values: of the elements that may say it, as they stand in the file, by tag; those that
            are absent are not there.
        charsets: that they are in.
        settings: of the profile.

    Raises:
        CharacterSetError: a value is not in the character sets.
    """
    texts = {}
    for tag, value in values.items():
        vr = vr_of(tag)
        text = "\\".join(read_value(vr, value, charsets, big=False))
        texts[tag] = comparable(text, vr, settings)
    # Who issued an identifier need not be said.
    needed = [tag for tag in settings.elements if tag != ISSUER_OF_PATIENT_ID]
    known_by: str | None = None
    if all(texts.get(tag) for tag in needed):
        parts = [texts.get(tag, "") for tag in settings.elements]
        known_by = _SEPARATOR.join(parts).rstrip(_SEPARATOR)
    elif settings.missing == "study" and (study := texts.get(STUDY_INSTANCE_UID)):
        known_by = _SEPARATOR.join([_STUDY, study])
    return Patient(known_by, texts.get(PATIENT_ID, ""), values)
