"""What identified people in earlier files of a stream, for later files of the same patients.

Files are of the same patient where they have the PatientID or the StudyInstanceUID in common,
also by way of others. What is known of a patient is looked for in that patient's files alone:
so what goes from a text does not grow with the stream.

Nothing of it is written anywhere, and it goes with the stream. Files of a stream come one after
the other, and one is remembered when it has come through: so what becomes of a file depends on
those before it, and not on how their bytes were cut.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeVar

from deid_service.engine.texts.identity import Identity

# Names, numbers, addresses and dates of one patient: those of some fifty studies. Each takes
# up to fifty forms, which are made anew whenever something is added.
MAX_OF_PATIENT: Final = 256

# Of all patients of a stream together: some four megabytes.
MAX_OF_STREAM: Final = 16_384

# What is longer counts as several, and a patient with nothing as so many.
_CHARACTERS: Final = 64
_PATIENT: Final = 8

# A name is in its words.
_Value = TypeVar("_Value", str, tuple[str, ...])


class Earlier:
    """What is remembered of the patients of a stream.

    Attributes:
        version: grows with whatever is remembered or forgotten.
    """

    def __init__(self) -> None:
        """Starts with nobody."""
        self.version = 0
        # Who was met least lately comes first.
        self._patients: dict[_Patient, None] = {}
        self._by_key: dict[str, _Patient] = {}
        self._size = 0
        self._has_forgotten = False
        # The one that was remembered last: those of a series are one. Nothing has changed since.
        self._last: Identity | None = None
        self._last_is_whole = True

    def is_whole(self, identity: Identity) -> bool:
        """Whether all is remembered that earlier files of a patient have shown."""
        if identity is self._last:
            return self._last_is_whole
        known = self._known(identity.patient)
        if not known:
            return not (self._has_forgotten and identity.patient)
        return not any(each.is_full for each in known)

    def join(self, identity: Identity) -> None:
        """Adds to what a file shows what earlier files of the patient have shown."""
        for each in self._known(identity.patient):
            identity.patient |= each.identity.patient
            identity.names |= each.identity.names
            for mine, theirs in zip(_texts(identity), _texts(each.identity), strict=True):
                mine |= theirs

    def remember(self, identity: Identity) -> None:
        """Remembers what a file shows that has come through, joined by what was known before.

        Beyond the bound of a patient nothing is added; beyond that of the stream, who was met
        least lately is forgotten.
        """
        if not identity.patient or identity is self._last:
            return
        self._last = None
        patient, *others = self._known(identity.patient) or [_Patient()]
        for each in others:
            self._forget(each)
            patient.is_full |= each.is_full
        if patient in self._patients:
            del self._patients[patient]
            self._size -= patient.size + _PATIENT
        if patient.add(identity) or others:
            self.version += 1
        self._patients[patient] = None
        self._size += patient.size + _PATIENT
        self._by_key.update(dict.fromkeys(patient.identity.patient, patient))
        self._has_forgotten |= len(identity.patient) > len(patient.identity.patient)
        while self._size > MAX_OF_STREAM:
            self._forget(next(iter(self._patients)))
            self._has_forgotten = True
        self._last_is_whole = self.is_whole(identity)
        self._last = identity

    def _known(self, keys: Collection[str]) -> list[_Patient]:
        found = (self._by_key.get(key) for key in sorted(keys))
        return list(dict.fromkeys(each for each in found if each is not None))

    def _forget(self, patient: _Patient) -> None:
        del self._patients[patient]
        self._size -= patient.size + _PATIENT
        for key in patient.identity.patient:
            del self._by_key[key]


class _Patient:
    """What is remembered of one patient.

    Attributes:
        identity: all of it.
        size: how much that is.
        is_full: something was not added.
    """

    def __init__(self) -> None:
        self.identity = Identity()
        self.size = 0
        self.is_full = False

    def add(self, identity: Identity) -> bool:
        """Adds what there is room for, in an order that is the same for the same files."""
        before = self.size
        self._add(self.identity.patient, identity.patient)
        self._add(self.identity.names, identity.names)
        for mine, theirs in zip(_texts(self.identity), _texts(identity), strict=True):
            self._add(mine, theirs)
        return self.size > before

    def _add(self, mine: set[_Value], theirs: set[_Value]) -> None:
        for value in sorted(theirs - mine):
            size = _size_of(value)
            if self.size + size > MAX_OF_PATIENT:
                self.is_full = True
            else:
                mine.add(value)
                self.size += size


def _texts(identity: Identity) -> tuple[set[str], ...]:
    """Returns all that identifies, but for names, by kinds."""
    numbers, phones = identity.numbers, identity.phones
    return numbers, phones, identity.phrases, identity.departments, identity.dates


def _size_of(entry: str | tuple[str, ...]) -> int:
    length = len(entry) if isinstance(entry, str) else sum(map(len, entry))
    return 1 + length // _CHARACTERS
