"""The preamble and the file meta information (PS3.10 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from pydicom.uid import UID_dictionary

from deid_service.engine.charsets import DEFAULT_CHARACTER_SETS
from deid_service.engine.dictionary import vr_of
from deid_service.engine.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.plan import Node
from deid_service.engine.rewriting import Place, apply_steps, bytes_of, constant_texts, texts_of
from deid_service.engine.uids import stand_in_uid
from profile_service.language.model import Settings

ENGINE_VERSION: Final = version("deid-cascade")

# PS3.7 D.3.3.2: who wrote the file. The UID is a UUID in the form of PS3.5 B.2,
# and stands for this engine.
IMPLEMENTATION_CLASS_UID: Final = "2.25.233829574871923654381299106533180461847"
IMPLEMENTATION_VERSION_NAME: Final = f"DEIDCASCADE_{ENGINE_VERSION}"[:16]

PREAMBLE_LENGTH: Final = 128
MAGIC: Final = b"DICM"

_GROUP_LENGTH: Final = 0x00020000
_INSTANCE_UID: Final = 0x00020003
_TRANSFER_SYNTAX: Final = 0x00020010
_IMPLEMENTATION_CLASS: Final = 0x00020012
_IMPLEMENTATION_VERSION: Final = 0x00020013

_IMPLICIT: Final = "1.2.840.10008.1.2"
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
# PS3.5 A.5 and the JPIP referenced deflated ones: the data set is deflated.
_DEFLATED: Final = frozenset(
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
_TRANSFER_SYNTAXES: Final = frozenset(
    uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"
)


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded.

    Attributes:
        encoding: of its elements.
        deflated: the whole data set is deflated (PS3.5 A.5).
    """

    encoding: Encoding
    deflated: bool = False


@dataclass(frozen=True, slots=True)
class MetaElement:
    """An element of the file meta, as it came.

    Attributes:
        tag: of the element.
        vr: of the element.
        value: its value.
        offset: in the file, in bytes.
        whole: header and value.
    """

    tag: int
    vr: str
    value: bytes
    offset: int
    whole: bytes


class FileMeta:
    """Reads the file meta in pieces, and writes it again.

    Attributes:
        need: how many bytes must be there for the next element.
        elements: read so far.
    """

    def __init__(self, max_held_bytes: int) -> None:
        self.need = 8
        self.elements: list[MetaElement] = []
        self._encoding: Encoding | None = None
        self._max_held = max_held_bytes
        self._held = 0

    def read(self, data: bytes, start: int, offset: int) -> tuple[int, bool]:
        """Reads elements up to the first of another group.

        Args:
            data: the input.
            start: where the next element begins in it.
            offset: of that place in the file.

        Returns:
            Where reading stopped in `data`, and whether the file meta has ended.

        Raises:
            DicomError: it cannot be read.
        """
        position = start
        while len(data) - position >= 8:
            if self._encoding is None:
                # PS3.10 7.1: explicit VR little endian; some writers do otherwise.
                is_explicit = data[position + 4 : position + 6].isalpha()
                self._encoding = EXPLICIT_LITTLE if is_explicit else IMPLICIT_LITTLE
            encoding = self._encoding
            group, element, code, length = encoding.quad(data, position)
            tag = group << 16 | element
            if group != 2:
                return position, True
            header = 8
            if encoding.explicit:
                vr = encoding.vr_names.get(code)
                if vr is None:
                    raise _error(Reason.MALFORMED, "the element has no legal VR", tag, offset)
                if code not in encoding.short_codes:
                    header = 12
                    if len(data) - position < header:
                        self.need = header
                        return position, False
                    length = encoding.long(data, position + 8)[0]
            else:
                vr = vr_of(tag)
                length = code | length << 16
            here = offset + position - start
            if length == UNDEFINED_LENGTH or vr == "SQ":
                raise _error(Reason.MALFORMED, "a sequence in the file meta", tag, here)
            end = position + header + length
            self._held += header + length
            if self._held > self._max_held:
                raise _error(
                    Reason.LIMIT_EXCEEDED,
                    f"the file meta is longer than {self._max_held} bytes",
                    tag,
                    here,
                )
            if end > len(data):
                self._held -= header + length
                self.need = end - position
                return position, False
            whole = data[position:end]
            self.elements.append(MetaElement(tag, vr, whole[header:], here, whole))
            position = end
        self.need = 8
        return position, False

    def transfer_syntax(self) -> TransferSyntax | None:
        """Returns how the data set is encoded, or None where nothing says it.

        Raises:
            DicomError: the transfer syntax is not known.
        """
        element = next((each for each in self.elements if each.tag == _TRANSFER_SYNTAX), None)
        uid = "" if element is None else element.value.rstrip(b" \0").decode("latin-1")
        if element is None or not uid:
            return None
        if uid not in _TRANSFER_SYNTAXES:
            raise _error(
                Reason.UNKNOWN_TRANSFER_SYNTAX,
                "the transfer syntax is not one of the standard's",
                element.tag,
                element.offset,
            )
        if uid == _IMPLICIT:
            return TransferSyntax(IMPLICIT_LITTLE)
        if uid == _BIG_ENDIAN:
            return TransferSyntax(EXPLICIT_BIG)
        return TransferSyntax(EXPLICIT_LITTLE, uid in _DEFLATED)

    def sop_class(self) -> str:
        """Returns the Media Storage SOP Class UID, or the empty text."""
        value = next((each.value for each in self.elements if each.tag == 0x00020002), b"")
        return value.rstrip(b" \0").decode("latin-1")

    def write(
        self,
        node: Node,
        settings: Settings,
        *,
        instance_uid_changes: bool,
        instance_uid: str | None,
        counts: dict[str, int],
    ) -> bytes:
        """Returns the file meta of the output.

        Elements that no rule names stay as they came. The instance UID follows
        the data set, the writer is named, and the group length is made right.

        Args:
            node: the top level of the plan.
            settings: of the profile.
            instance_uid_changes: whether a rule acts on the SOP Instance UID.
            instance_uid: the resulting one; None where the element is absent.
            counts: of elements changed, added to.

        Raises:
            DicomError: a rule cannot transform a value.
        """
        encoding = self._encoding or EXPLICIT_LITTLE
        written: dict[int, bytes] = {}
        for element in self.elements:
            new = self._rewritten(element, encoding, node, settings, counts)
            if new is not None:
                written[element.tag] = new
        for tag, insertion in node.file_meta_insertions.items():
            if tag not in {element.tag for element in self.elements} and insertion.text is not None:
                place = Place(tag, vr_of(tag), 0)
                texts = constant_texts(place, insertion.text)
                texts = apply_steps(place, texts, insertion.steps, settings, {})
                written[tag] = _element(encoding, place, texts)
                for name in insertion.names:
                    counts[name] = counts.get(name, 0) + 1
        if instance_uid_changes and _INSTANCE_UID in written:
            if not instance_uid:
                instance_uid = self._stand_in(settings)
            written[_INSTANCE_UID] = _element(
                encoding, Place(_INSTANCE_UID, "UI", 0), [instance_uid] if instance_uid else []
            )
        for tag, vr, text in (
            (_IMPLEMENTATION_CLASS, "UI", IMPLEMENTATION_CLASS_UID),
            (_IMPLEMENTATION_VERSION, "SH", IMPLEMENTATION_VERSION_NAME),
        ):
            written[tag] = _element(encoding, Place(tag, vr, 0), [text])
        written.pop(_GROUP_LENGTH, None)
        body = b"".join(written[tag] for tag in sorted(written))
        length = encoding.long_bytes(len(body))
        return encoding.header(_GROUP_LENGTH, "UL", 4) + length + body

    def _stand_in(self, settings: Settings) -> str:
        """Returns the UID that stands for one that the data set has lost.

        PS3.10 7.1: the file meta cannot do without one, and the original is
        what the profile took away.
        """
        original = next(each.value for each in self.elements if each.tag == _INSTANCE_UID)
        uid = original.rstrip(b" \0").decode("latin-1")
        return uid and stand_in_uid(uid, salt=settings.salt)

    def _rewritten(
        self,
        element: MetaElement,
        encoding: Encoding,
        node: Node,
        settings: Settings,
        counts: dict[str, int],
    ) -> bytes | None:
        op = node.lookup(element.tag)
        if op is None or not (op.drop or op.changes):
            return element.whole
        names = (op.drop,) if op.drop else op.names
        if not op.drop and op.constant is None and not element.value.rstrip(b" \0"):
            return element.whole
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        if op.drop:
            return None
        place = Place(element.tag, element.vr, element.offset)
        if op.constant is not None:
            texts = constant_texts(place, op.constant)
        else:
            texts = texts_of(place, element.value, DEFAULT_CHARACTER_SETS, big=False)
        return _element(encoding, place, apply_steps(place, texts, op.steps, settings, {}))


def guessed_encoding(header: bytes) -> Encoding | None:
    """Tells the encoding of a data set from its first eight bytes, where it can be told.

    The first element of a data set lies in a group of at most 0x0020 in every
    SOP class, so one byte of the group number is zero and shows the byte order;
    a VR shows explicit VR.
    """
    low, high = header[0], header[1]
    is_explicit = any(header[4:6] == vr.encode() for vr in EXPLICIT_LITTLE.vr_names.values())
    if high == 0 and 0 < low <= _MAX_FIRST_GROUP:
        if is_explicit:
            return EXPLICIT_LITTLE
        length = int.from_bytes(header[4:8], "little")
        return IMPLICIT_LITTLE if length < _MAX_FIRST_LENGTH or length == UNDEFINED_LENGTH else None
    if low == 0 and 0 < high <= _MAX_FIRST_GROUP and is_explicit:
        return EXPLICIT_BIG
    return None


_MAX_FIRST_GROUP: Final = 0x20

# Longer than any first value (character set, date, UID), shorter than text read
# as a number.
_MAX_FIRST_LENGTH: Final = 0x10000


def _element(encoding: Encoding, place: Place, texts: list[str]) -> bytes:
    value = bytes_of(place, texts, DEFAULT_CHARACTER_SETS, big=False)
    return encoding.header(place.tag, place.vr, len(value)) + value


def _error(reason: Reason, message: str, tag: int, offset: int) -> DicomError:
    return DicomError(reason, message, tag=tag, offset=offset)
