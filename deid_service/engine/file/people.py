"""Who a file is about: collected from how its data set begins, before it is walked.

Names stand anywhere by their VR; identifiers, addresses and phone numbers in the elements
that are for them. They are collected at every depth of the groups in which they stand,
which come before functional groups and pixel data, as far as that may be held.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Final

from deid_service.engine.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    CharacterSetError,
    CharacterSets,
    character_sets,
)
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import (
    DELIMITER_GROUP,
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
from deid_service.engine.encoding.values import read_value
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.layouts.trails import Footsteps, Taken, Trail
from deid_service.engine.texts.identity import MAX_OF_A_KIND, Identity
from profile_service.language.model import PATIENT_ID

# Behind it come overlays, functional groups, waveforms and pixels.
_LAST_GROUP: Final = 0x0070

_ITEM_END: Final = ITEM_DELIMITER & 0xFFFF

# What is read before others have their turn: it takes ten to twenty milliseconds at the most.
_BYTES_AT_ONCE: Final = 64 * 1024

# As many as structured reports have, and some more.
_MAX_DEPTH: Final = 40

# Longer ones are no names or numbers.
_MAX_LENGTH: Final = 1024

_NUMBERS: Final = frozenset(
    {
        0x00080050, 0x00100020, 0x00100022, 0x00101000, 0x00101090, 0x00102154, 0x00102155,
        0x00102299, 0x00181000, 0x00200010, 0x00321033, 0x00380010, 0x00380060,
        0x00400009, 0x00401001, 0x00402016, 0x00402017, 0x00401008, 0x00404023, 0x00080094,
        0x00401103, 0x00081010, 0x00400512, 0x00400551,
    }
)  # fmt: skip
_PHONES: Final = frozenset({0x00080094, 0x00102154, 0x00102155, 0x00401103})
_PHRASES: Final = frozenset(
    {
        0x00080080, 0x00080081, 0x00080092, 0x00081040, 0x00101040, 0x00101005, 0x00101060,
        0x00101080, 0x00102180, 0x001021F0, 0x00380300, 0x00380400, 0x00401102, 0x00100021,
        0x00102297,
    }
)  # fmt: skip
_DEPARTMENT: Final = 0x00081040
_BIRTH_DATE: Final = 0x00100030

# At the top level.
_TELLS_PATIENT: Final = frozenset({PATIENT_ID, STUDY_INSTANCE_UID})

# Elements other than names of people and dates that identify.
IDENTIFYING: Final = _NUMBERS | _PHRASES


def people_of(
    buffer: bytes,
    encoding: Encoding,
    identifying: Collection[int],
    *,
    with_dates: bool,
    with_patient: bool,
    ended: bool,
    footsteps: Footsteps | None = None,
) -> Generator[None, None, Identity | None]:
    """Collects what identifies somebody, in steps of some ten milliseconds.

    Args:
        buffer: how the data set begins.
        encoding: of the data set.
        identifying: those of `IDENTIFYING` that do not stay: what stays is no secret.
        with_dates: all dates do, not that of birth alone.
        with_patient: what the patient is known by is wanted, too.
        ended: no more input comes, or may be held.
        footsteps: get what is looked at.

    Returns:
        In the end what was found; None where more of the input must be there for that.

    Raises:
        DicomError: it is too much.
    """
    tells_patient = _TELLS_PATIENT if with_patient else frozenset()
    reader = _Reader(buffer, identifying, with_dates, tells_patient, footsteps)
    end = yield from reader.elements(0, len(buffer), encoding, DEFAULT_CHARACTER_SETS, 0)
    if footsteps is not None and end >= 0:
        footsteps.end(end)
    return reader.identity if ended or end >= 0 else None


def people_along(trail: Trail, elements: tuple[bytes, ...]) -> Identity:
    """Collects what identifies somebody in a file with a trail.

    Args:
        trail: of the file.
        elements: along it.

    Raises:
        DicomError: it is too much.
    """
    identity = Identity()
    for (taken, start), element in zip(trail.taken, elements, strict=True):
        _take(identity, taken, element[start:])
    return identity


# Reads on, with pauses; returns in the end up to where, or -1 where it is not all there.
_Reading = Generator[None, None, int]


class _Reader:
    """Reads what there is of a data set."""

    def __init__(
        self,
        buffer: bytes,
        identifying: Collection[int],
        with_dates: bool,
        tells_patient: frozenset[int],
        footsteps: Footsteps | None,
    ) -> None:
        self.identity = Identity()
        self._footsteps = footsteps
        self._buffer = buffer
        self._identifying = identifying
        self._tells_patient = tells_patient
        always = {SPECIFIC_CHARACTER_SET, _BIRTH_DATE}
        self._wanted = frozenset(always).union(identifying, tells_patient)
        self._vrs = frozenset({"DA", "DT", "PN"} if with_dates else {"PN"})
        self._codes: dict[Encoding, frozenset[int]] = {}
        # Where others have their turn.
        self._pause = _BYTES_AT_ONCE

    # Long for the same reason as `Walk._read_elements`: it is on the way of every file.
    def elements(
        self, position: int, end: int, encoding: Encoding, charsets: CharacterSets, depth: int
    ) -> _Reading:
        """Reads elements up to an end, an item delimiter, or behind the last group."""
        buffer, quad = self._buffer, encoding.quad
        explicit, short = encoding.explicit, encoding.short_codes
        wanted, codes = self._wanted, self._codes_of(encoding)
        last_group = DELIMITER_GROUP - 1 if depth else _LAST_GROUP
        last = end - HEADER
        footsteps = self._footsteps
        while position <= last:
            if position > self._pause:
                yield None
                self._pause = position + _BYTES_AT_ONCE
            group, element, code, length = quad(buffer, position)
            if group > last_group:
                if group != DELIMITER_GROUP:
                    return position
                if footsteps is not None:
                    footsteps.fixed(position, position + HEADER)
                return position + HEADER if element == _ITEM_END else -1
            tag = group << 16 | element
            header = position
            if code in short:
                start = position + HEADER
                position = start + length
                if tag not in wanted and code not in codes:
                    if footsteps is not None:
                        footsteps.passed(header, start, position, is_free=not depth)
                    continue
                vr = encoding.vr_names[code]
            else:
                start = position + HEADER
                if explicit:
                    start = position + LONG_HEADER
                    if start > end:
                        return -1
                    length = encoding.long(buffer, position + HEADER)[0]
                    vr = encoding.vr_names.get(code, "UN")
                    if vr == "UN":
                        vr = vr_of(tag)
                else:
                    vr = vr_of(tag)
                    length = code | length << 16
                if length == UNDEFINED_LENGTH or vr == "SQ":
                    if footsteps is not None:
                        footsteps.fixed(header, start)
                    is_unknown = explicit and encoding.vr_names.get(code, "UN") == "UN"
                    inside = IMPLICIT_LITTLE if is_unknown else encoding
                    stop = end if length == UNDEFINED_LENGTH else start + length
                    position = yield from self._items(start, stop, inside, charsets, depth, length)
                    if position < 0:
                        return -1
                    continue
                position = start + length
                if tag not in wanted and vr not in self._vrs:
                    if footsteps is not None:
                        footsteps.passed(header, start, position, is_free=not depth)
                    continue
            if position > end:
                return -1
            value = buffer[start:position]
            if tag == SPECIFIC_CHARACTER_SET:
                charsets = _charsets(value, charsets)
                if footsteps is not None:
                    footsteps.fixed(header, position)
                continue
            taken: Taken | None = None
            if 0 < length <= _MAX_LENGTH:
                taken = Taken(tag, vr, charsets, encoding)
                if tag in self._tells_patient:
                    identifies = tag in self._identifying
                    taken = taken._replace(identifies=identifies, tells_patient=not depth)
                _take(self.identity, taken, value)
            if footsteps is not None:
                footsteps.passed(header, start, position, is_free=not depth, taken=taken)
        if position > end:
            return -1
        # Of the top level there may be more.
        return position if depth and position == end else -1

    def _items(
        self,
        position: int,
        end: int,
        encoding: Encoding,
        charsets: CharacterSets,
        depth: int,
        length: int,
    ) -> _Reading:
        if end > len(self._buffer) or depth >= _MAX_DEPTH:
            return -1
        while position < end:
            if end - position < HEADER:
                return -1
            if position > self._pause:
                yield None
                self._pause = position + _BYTES_AT_ONCE
            group, element, size = encoding.item(self._buffer, position)
            tag = group << 16 | element
            if self._footsteps is not None:
                self._footsteps.fixed(position, position + HEADER)
            position += HEADER
            if tag == SEQUENCE_DELIMITER:
                return position
            if tag != ITEM:
                return -1
            stop = end if size == UNDEFINED_LENGTH else min(position + size, end)
            position = yield from self.elements(position, stop, encoding, charsets, depth + 1)
            if position < 0:
                return -1
        return position if length != UNDEFINED_LENGTH else -1

    def _codes_of(self, encoding: Encoding) -> frozenset[int]:
        """Returns the VRs whose elements are wanted, as `quad` reads them."""
        codes = self._codes.get(encoding)
        if codes is None:
            names = encoding.vr_names.items() if encoding.explicit else ()
            codes = frozenset(code for code, vr in names if vr in self._vrs)
            self._codes[encoding] = codes
        return codes


def _take(identity: Identity, taken: Taken, value: bytes) -> None:
    """Takes the value of an element that identifies."""
    tag, vr, charsets, encoding, identifies, tells_patient = taken
    try:
        texts = read_value(vr, value, charsets, big=encoding.big)
    except (CharacterSetError, ValueError, KeyError):
        # What it is in cannot be told: its letters may be those of most.
        texts = value.rstrip(b" \0").decode("latin-1").split("\\")
    for text in texts:
        if tells_patient:
            identity.add_patient(text)
        if not identifies:
            continue
        if vr == "PN":
            identity.add_name(text)
        elif vr in {"DA", "DT"}:
            identity.add_date(text)
        elif tag in _PHONES:
            identity.add_phone(text)
        elif tag in _NUMBERS:
            identity.add_number(text)
        else:
            identity.add_phrase(text, is_department=tag == _DEPARTMENT)
    if identity.is_too_large:
        raise DicomError(
            Reason.LIMIT_EXCEEDED,
            f"more than {MAX_OF_A_KIND} names, numbers, addresses or dates identify somebody",
            tag=tag,
            vr=vr,
        )


def _charsets(value: bytes, before: CharacterSets) -> CharacterSets:
    try:
        return character_sets(value.rstrip(b" \0").decode("latin-1"))
    except CharacterSetError:
        return before
