"""Finds who the patient of a data set is, before anything is done to it.

What dates become depends on the patient, whose identifier stands behind the first of
them (PS3.3 C.2: group 0010, after group 0008). So the elements of the top level are
passed until it is certain, and only then the walk begins.
"""

from __future__ import annotations

from typing import Final

from deid_service.engine.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    CharacterSetError,
    character_sets,
)
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
    EXPLICIT_LITTLE,
    HEADER,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_DELIMITER,
    LONG_HEADER,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.pseudonyms import Patient, patient_from
from deid_service.engine.rules.rules import Rules
from profile_service.language.model import PATIENT_ID

# Sequences of undefined length within each other. What is deeper is left to the walk, which
# says what is wrong with it.
_MAX_LEVELS: Final = 64

# How much more input is waited for when some is missing, in bytes, at the most: what is
# there is looked at once more with what comes.
_MORE: Final = 1 << 16

# What is looked at before others have their turn: some ten milliseconds at the most.
_BYTES_AT_ONCE: Final = 1 << 17


class PatientFinder:
    """Looks for the patient in the elements of the top level, in pieces of input.

    Attributes:
        need: how many bytes from the first on must be there before looking on makes sense; 0
            where there is more to look at.
    """

    def __init__(self, rules: Rules, encoding: Encoding, *, base: int, max_held_bytes: int) -> None:
        """Starts before the first element.

        Args:
            rules: say what tells who the patient is.
            encoding: of the data set.
            base: its absolute offset.
            max_held_bytes: how far it may be to the last element that is needed.
        """
        self.need = HEADER
        self._settings = rules.profile.settings.pseudonyms
        self._required = rules.profile.needs_patient
        self._wanted = {PATIENT_ID, SPECIFIC_CHARACTER_SET, *self._settings.elements}
        self._last = max(self._wanted)
        self._base = base
        self._max_held = max_held_bytes
        self._values: dict[int, bytes] = {}
        # How far it has looked, and the encodings of the items that are open there, those of
        # sequences between them; the first is that of the data set.
        self._position = 0
        self._is_over = False
        self._open: list[Encoding] = [encoding]

    def find(self, data: bytes, start: int, *, ended: bool = False) -> Patient | None:
        """Looks at more of the input.

        Args:
            data: the input, with all from the first element on.
            start: of the first element in it.
            ended: no more will come.

        Returns:
            The patient, or None where input is missing, or others are to have their turn.

        Raises:
            DicomError: who the patient is cannot be told, and must be.
        """
        while True:
            has_passed = self._look(data, start, ended=ended)
            if not has_passed:
                return None
            patient = self._patient()
            wants_study = self._settings.missing == "study" and self._required
            if patient.known_by is None and wants_study and STUDY_INSTANCE_UID not in self._wanted:
                self._wanted.add(STUDY_INSTANCE_UID)
                self._last = max(self._wanted)
                continue
            if patient.known_by is None and self._required:
                raise DicomError(
                    Reason.VALUE_NOT_TRANSFORMABLE,
                    "who the patient is, on which the pseudonyms depend, is not said",
                    tag=self._settings.elements[0],
                    offset=self._base,
                )
            return patient

    def _patient(self) -> Patient:
        values = self._values.copy()
        declared = values.pop(SPECIFIC_CHARACTER_SET, b"").rstrip(b" \0").decode("latin-1")
        try:
            charsets = character_sets(declared) if declared else DEFAULT_CHARACTER_SETS
            return patient_from(values, charsets, self._settings)
        except CharacterSetError:
            raise DicomError(
                Reason.VALUE_NOT_TRANSFORMABLE,
                "what says who the patient is, is not in the specific character set",
                tag=self._settings.elements[0],
                offset=self._base,
            ) from None

    # Long for the same reason as `Walk._read_elements`: it is on the way of every file.
    def _look(self, data: bytes, start: int, *, ended: bool) -> bool:
        """Passes elements; whether all that may be wanted is passed, or there is no more."""
        if self._is_over:
            return True
        position = start + self._position
        size = len(data)
        opened = self._open
        encoding = opened[-1]
        quad, short = encoding.quad, encoding.short_codes
        explicit = encoding.explicit
        furthest = start + self._max_held
        pause = size if ended else position + _BYTES_AT_ONCE
        while True:
            if position > furthest:
                raise DicomError(
                    Reason.LIMIT_EXCEEDED,
                    f"who the patient is does not stand within {self._max_held} bytes",
                    tag=self._settings.elements[0],
                    offset=self._base,
                )
            if position > pause:
                self._position = position - start
                self.need = 0
                return False
            if position + HEADER > size:
                return self._wait(data, start, position, HEADER, ended=ended)
            group, element, code, length = quad(data, position)
            header = HEADER
            if group == DELIMITER_GROUP:
                length = encoding.long(data, position + 4)[0]
                tag = group << 16 | element
                if len(opened) == 1:
                    return self._give_up()
                if tag == ITEM and length == UNDEFINED_LENGTH:
                    if position + HEADER + HEADER > size:
                        return self._wait(data, start, position, HEADER + HEADER, ended=ended)
                    encoding = _encoding_of_item(encoding, data, position + HEADER)
                    opened.append(encoding)
                elif tag == ITEM:
                    position += length
                elif tag in {ITEM_DELIMITER, SEQUENCE_DELIMITER}:
                    opened.pop()
                    encoding = opened[-1]
                else:
                    return self._give_up()
                position += HEADER
                quad, short = encoding.quad, encoding.short_codes
                explicit = encoding.explicit
                if len(opened) > _MAX_LEVELS:
                    return self._give_up()
                continue
            tag = group << 16 | element
            is_top = len(opened) == 1
            if is_top and tag > self._last:
                return self._pass(start, position)
            vr = None
            if code not in short:
                if explicit:
                    vr = encoding.vr_names.get(code)
                    if vr is None:
                        return self._give_up()
                    header = LONG_HEADER
                    if position + header > size:
                        return self._wait(data, start, position, header, ended=ended)
                length = encoding.long(data, position + header - 4)[0]
                if length == UNDEFINED_LENGTH:
                    opened.append(IMPLICIT_LITTLE if vr == "UN" else encoding)
                    encoding = opened[-1]
                    quad, short = encoding.quad, encoding.short_codes
                    explicit = encoding.explicit
                    position += header
                    continue
            if is_top and tag in self._wanted and tag not in self._values:
                if length > self._max_held:
                    return self._give_up()
                if position + header + length > size:
                    return self._wait(data, start, position, header + length, ended=ended)
                value = position + header
                self._values[tag] = data[value : value + length]
                if tag == self._last:
                    return self._pass(start, position)
            position += header + length

    def _pass(self, start: int, position: int) -> bool:
        """Remembers where to look on, should more be wanted; returns True."""
        self._position = position - start
        return True

    def _give_up(self) -> bool:
        """Leaves what cannot be read to the walk, which says what is wrong; returns True."""
        self._is_over = True
        return True

    def _wait(self, data: bytes, start: int, position: int, wanted: int, *, ended: bool) -> bool:
        """Remembers where to look on; returns True where no more will come."""
        self._position = position - start
        there = len(data) - start
        self.need = max(self._position + wanted, there + min(there, _MORE))
        self._is_over = ended
        return ended


def _encoding_of_item(encoding: Encoding, data: bytes, position: int) -> Encoding:
    """Returns how an item is encoded: some writers do otherwise there than around it."""
    group, _, code, _ = encoding.quad(data, position)
    is_explicit = code in EXPLICIT_LITTLE.vr_names
    if group == DELIMITER_GROUP or encoding.big or is_explicit is encoding.explicit:
        return encoding
    return EXPLICIT_LITTLE if is_explicit else IMPLICIT_LITTLE
