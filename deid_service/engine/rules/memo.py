"""What became of elements, remembered by their bytes: for a stream, a patient, and texts."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from deid_service.engine.encoding.charsets import CharacterSetError, CharacterSets
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.rules.ops import CharacterSet, Kept, Rewritten
from deid_service.engine.rules.pseudonyms import Patient, Pseudonyms, patient_from
from deid_service.engine.texts.cleaner import Cleaner
from deid_service.engine.texts.listed import NOTHING_LISTED, Listed

# What became of an element: the new one (None where it stays as it came), what a
# receipt counts, and the resulting value.
Became = tuple[bytes | None, tuple[str, ...], str]

# Elements remembered, and the longest of them in bytes: half a megabyte at the most.
# Of the files that are worked on, most have the same identities.
_MAX_MEMO: Final = 1024
MAX_MEMO_ELEMENT: Final = 256

# Patients of one stream whose memos are kept: those whose files come mixed.
_MAX_PATIENTS: Final = 4

# For so many people or visits at once, where texts are cleaned.
_MAX_IDENTITIES: Final = 4


# What an element was, and what became of it.
Recalled = tuple[Kept | Rewritten | CharacterSet, Encoding, Became]


class Memo(dict[bytes, Recalled]):
    """What became of elements, by their bytes; with the case and the encoding for both.

    What becomes of texts depends on whom the file is about, so files of others have
    another memo (`of`).

    The files of a series share most of what identifies them, so most elements
    that a rule changes have been seen a file before. A memo holds values of patients.
    What elements become under keys is one patient's: each has a memo of their own.

    Attributes:
        pseudonyms: made with the keys of the stream, and of the patient; None where there
            are no keys.
        awaits_patient: what is done depends on who the patient is, and this is of none.
        listed: what no text says, whoever a file is about.
    """

    def __init__(
        self,
        *,
        learns: bool = True,
        pseudonyms: Pseudonyms | None = None,
        awaits_patient: bool = False,
        cleaner: Cleaner | None = None,
        listed: Listed = NOTHING_LISTED,
    ) -> None:
        """Starts empty.

        Args:
            learns: remembers anything.
            pseudonyms: see there.
            awaits_patient: see there.
            cleaner: of the texts of the files at hand, which have it in common.
            listed: see there.
        """
        super().__init__()
        self.pseudonyms = pseudonyms
        self.awaits_patient = awaits_patient
        self.cleaner = Cleaner() if cleaner is None else cleaner
        self.listed = listed
        self._by_identity: dict[object, Memo] = {}
        self._by_trail: dict[Hashable, Memo] = {}
        self._longest = MAX_MEMO_ELEMENT if learns else 0
        self._of_patients: dict[Hashable, Memo] = {}

    def another(
        self,
        pseudonyms: Pseudonyms | None = None,
        *,
        awaits_patient: bool = False,
        listed: Listed | None = None,
    ) -> Memo:
        """Returns an empty one that learns where this does; with what this has listed, or else."""
        return Memo(
            learns=self._longest > 0,
            pseudonyms=pseudonyms,
            awaits_patient=awaits_patient,
            cleaner=self.cleaner,
            listed=self.listed if listed is None else listed,
        )

    def along(self, found: Hashable) -> Memo | None:
        """Returns the one of files with the same elements along the same trail as one before."""
        return self._by_trail.get(found)

    def of(self, cleaner: Cleaner, found: Hashable = None) -> Memo:
        """Returns the one of files that are about the same people as some at hand.

        Args:
            cleaner: of their texts.
            found: the trail of the file and the elements along it, if it has one.
        """
        memo = self._of_identity(cleaner)
        if found is not None:
            if len(self._by_trail) >= _MAX_IDENTITIES:
                self._by_trail.clear()
            self._by_trail[found] = memo
        return memo

    def _of_identity(self, cleaner: Cleaner) -> Memo:
        key = cleaner.identity.key()
        memo = self._by_identity.get(key)
        if memo is None:
            if len(self._by_identity) >= _MAX_IDENTITIES:
                self._by_identity.clear()
            memo = self._by_identity[key] = Memo(
                learns=self._longest > 0,
                pseudonyms=self.pseudonyms,
                awaits_patient=self.awaits_patient,
                cleaner=cleaner,
                listed=self.listed,
            )
        return memo

    def of_patient(self, patient: Patient) -> Memo:
        """Returns the one of a patient, of which the last few are kept.

        Only where there are keys.
        """
        key = (patient.known_by, *patient.values.items())
        known = self._of_patients.get(key)
        return self._add(key, patient) if known is None else known

    def of_values(self, values: dict[int, bytes], charsets: CharacterSets) -> Memo | None:
        """Returns the one of the patient that values say; None where they say none.

        Args:
            values: of the elements that say it, as they stand in the file, by tag.
            charsets: that they are in.
        """
        key = (charsets, *values.items())
        known = self._of_patients.get(key)
        if known is not None:
            return known
        assert self.pseudonyms is not None
        try:
            patient = patient_from(values, charsets, self.pseudonyms.settings)
        except CharacterSetError:
            return None
        return None if patient.known_by is None else self._add(key, patient)

    def _add(self, key: Hashable, patient: Patient) -> Memo:
        assert self.pseudonyms is not None
        if len(self._of_patients) >= _MAX_PATIENTS:
            self._of_patients.clear()
        self._by_identity.clear()
        self._by_trail.clear()
        memo = self._of_patients[key] = self.another(self.pseudonyms.of(patient))
        return memo

    def clear(self) -> None:
        """Forgets all."""
        super().clear()
        self._of_patients.clear()
        self._by_identity.clear()
        self._by_trail.clear()

    def remember(
        self,
        op: Kept | Rewritten | CharacterSet,
        encoding: Encoding,
        element: bytes,
        became: Became,
    ) -> None:
        """Adds an entry; all others go when there are too many."""
        new = became[0]
        if len(element) > self._longest or (new and len(new) > MAX_MEMO_ELEMENT):
            return
        if len(self) >= _MAX_MEMO:
            self.clear()
        self[element] = (op, encoding, became)
