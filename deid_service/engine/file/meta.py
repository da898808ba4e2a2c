"""The preamble and the file meta information (PS3.10 7.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from deid_service.engine.encoding.charsets import DEFAULT_CHARACTER_SETS
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import (
    EXPLICIT_LITTLE,
    HEADER,
    IMPLICIT_LITTLE,
    LONG_HEADER,
    UNDEFINED_LENGTH,
    Encoding,
)
from deid_service.engine.encoding.tags import TRANSFER_SYNTAX
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.metas import KnownMeta, Metas
from deid_service.engine.file.transfer_syntax import (
    TransferSyntax,
    guessed_encoding,
    transfer_syntax_of,
)
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.rules.actions import KeyedStep
from deid_service.engine.rules.ops import AnyStep, Dropped, Kept, Rewritten, becomes_of
from deid_service.engine.rules.pseudonyms import Pseudonyms
from deid_service.engine.rules.rewriting import (
    Place,
    apply_steps,
    becomes_zeros,
    bytes_of,
    constant_texts,
    dummy_of,
    element_of,
    texts_of,
    zeros_of,
)
from deid_service.engine.rules.rules import Rules
from deid_service.engine.rules.uids import MAX_UID_LENGTH, stand_in_uid
from deid_service.engine.version import RELEASE
from deid_service.engine.walk.notes import name_of, outcome_of
from profile_service.language.model import MANDATORY_IN_FILE_META

# PS3.7 D.3.3.2: who wrote the file. The UID is a UUID in the form of PS3.5 B.2,
# and stands for this engine.
IMPLEMENTATION_CLASS_UID: Final = "2.25.233829574871923654381299106533180461847"
IMPLEMENTATION_VERSION_NAME: Final = f"DEIDCASC_{RELEASE}"[:16]

# How many elements are read in one call: some ten milliseconds of work.
_ELEMENTS_AT_ONCE: Final = 10_000

PREAMBLE_LENGTH: Final = 128
MAGIC: Final = b"DICM"

_GROUP_LENGTH: Final = 0x00020000
_SOP_CLASS_UID: Final = 0x00020002
_INSTANCE_UID: Final = 0x00020003
_IMPLEMENTATION_CLASS: Final = 0x00020012
_IMPLEMENTATION_VERSION: Final = 0x00020013
_PRIVATE_INFORMATION: Final = 0x00020102

# Ways to read the data sets of one file meta: there are two encodings, and as a rule one
# limit.
_MAX_WAYS: Final = 4

# The group length element, and the header of the instance UID.
_GROUP_LENGTH_HEADER: Final = b"\x02\0\0\0UL\4\0"
_GROUP_LENGTH_SIZE: Final = 12
_GROUP_LENGTH_HEADERS: Final = {
    each: each.header(_GROUP_LENGTH, "UL", 4) for each in (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
}
_INSTANCE_UID_HEADER: Final = b"\x02\0\3\0UI"
_FILE_META_GROUP: Final = b"\x02\0"


class MetaElement(NamedTuple):
    """An element of the file meta, as it came.

    Attributes:
        tag: of the element.
        vr: of the element.
        value: its value.
        whole: header and value.
        offset: in the file, in bytes.
    """

    tag: int
    vr: str
    value: bytes
    whole: bytes
    offset: int

    def text(self) -> str:
        """Returns the value without padding."""
        return self.value.rstrip(b" \0").decode("latin-1")


class FileMeta:
    """Reads the file meta in pieces, and writes it again.

    Attributes:
        need: how many bytes must be there for the next element; 0 where it is there
            already, and enough was read at once.
        elements: read so far, by tag.
        misplaced: whether elements of group 2 stood behind the end of the file meta.
        max_held_bytes: how long the file meta may be, and how much of the file may be held.
    """

    def __init__(
        self, rules: Rules, metas: Metas, pseudonyms: Pseudonyms | None, max_held_bytes: int
    ) -> None:
        """Starts with no elements.

        Args:
            rules: what is done to its elements.
            metas: what was made of others before.
            pseudonyms: by the keys of the stream, of no patient; None without keys.
            max_held_bytes: how long the file meta may be.
        """
        self.need = 8
        self.elements: dict[int, MetaElement] = {}
        self.misplaced = False
        # Where the file meta ends, in the file, by what its group length says.
        self._stated_end: int | None = None
        self._rules = rules
        self._metas = metas
        self._pseudonyms = pseudonyms
        self._encoding: Encoding | None = None
        self.max_held_bytes = max_held_bytes
        self._held = 0
        self._known: KnownMeta | None = None
        # Whether something was done by a key.
        self._is_keyed = False

    def read(self, data: bytes, position: int, base: int) -> tuple[int, bool]:
        """Reads elements up to the first of another group.

        The file meta ends where its group length says, or at the first element that
        stands there once more. What of group 2 follows is not kept.

        Args:
            data: the input.
            position: where the next element begins in it.
            base: the offset of `data` in the file.

        Returns:
            Where reading stopped in `data`, and whether the file meta has ended.

        Raises:
            DicomError: it cannot be read.
        """
        size = len(data)
        self.need = HEADER
        if not self._held and (end := self.recognize(data, position, size, base)):
            return end, True
        read = 0
        while size - position >= HEADER:
            if read == _ELEMENTS_AT_ONCE:
                self.need = 0
                break
            read += 1
            encoding = self._encoding
            if encoding is None:
                # PS3.10 7.1: explicit VR little endian; some writers do otherwise.
                is_explicit = data[position + 4 : position + 6].isalpha()
                encoding = self._encoding = EXPLICIT_LITTLE if is_explicit else IMPLICIT_LITTLE
            group, number, code, length = encoding.quad(data, position)
            if group != 2:
                return position, True
            tag = group << 16 | number
            if self._has_ended(tag, base + position):
                self.misplaced = True
            if self.misplaced and (code in EXPLICIT_LITTLE.vr_names) is not encoding.explicit:
                # It stands in a data set that is encoded otherwise.
                return position, True
            vr, header = self._vr_and_header(encoding, tag, code, base + position)
            if size - position < header:
                self.need = header
                break
            if not encoding.explicit:
                length = code | length << 16
            elif header == LONG_HEADER:
                length = encoding.long(data, position + HEADER)[0]
            if length == UNDEFINED_LENGTH or vr == "SQ":
                raise _error(Reason.MALFORMED, "a sequence in the file meta", tag, base + position)
            if self._held + header + length > self.max_held_bytes:
                raise _error(
                    Reason.LIMIT_EXCEEDED,
                    f"the file meta is longer than {self.max_held_bytes} bytes",
                    tag,
                    base + position,
                )
            end = position + header + length
            if end > size:
                self.need = end - position
                break
            self._held += header + length
            whole = data[position:end]
            element = MetaElement(tag, vr, whole[header:], whole, base + position)
            position = end
            if self.misplaced:
                self._check_repeated(element)
                continue
            if tag == _GROUP_LENGTH and not self.elements and length == 4:
                self._stated_end = base + end + int.from_bytes(element.value, "little")
            self.elements[tag] = element
        return position, False

    def _vr_and_header(
        self, encoding: Encoding, tag: int, code: int, offset: int
    ) -> tuple[str, int]:
        """Returns the VR of an element, and how long its header is."""
        if not encoding.explicit:
            return vr_of(tag), HEADER
        vr = encoding.vr_names.get(code)
        if vr is None:
            raise _error(Reason.MALFORMED, "the element has no legal VR", tag, offset)
        return vr, HEADER if code in encoding.short_codes else LONG_HEADER

    def _has_ended(self, tag: int, offset: int) -> bool:
        """Whether an element of group 2 at an offset is behind the end of the file meta.

        A group length before whose end no transfer syntax stands is a wrong one.
        """
        return tag in self.elements or (
            offset == self._stated_end and TRANSFER_SYNTAX in self.elements
        )

    def _check_repeated(self, element: MetaElement) -> None:
        """Refuses a second file meta that says otherwise than the first how to read the file."""
        if element.tag not in {TRANSFER_SYNTAX, _SOP_CLASS_UID}:
            return
        first = self.elements.get(element.tag)
        if first is None or first.text() != element.text():
            raise _error(
                Reason.MALFORMED,
                "a second file meta contradicts the first",
                element.tag,
                element.offset,
            )

    def recognize(self, data: bytes, position: int, size: int, base: int) -> int:
        """Tells a file meta that differs from a known one in the instance UID only.

        What stands before and behind the UID is byte for byte what was read
        element by element before, so it need not be read again.

        Args:
            data: the input.
            position: where the file meta begins in it.
            size: where the input ends in it.
            base: the offset of `data` in the file.

        Returns:
            Where it ends in the input, or 0.
        """
        start = position + _GROUP_LENGTH_SIZE
        if data[position : start - 4] != _GROUP_LENGTH_HEADER:
            return 0
        end = start + int.from_bytes(data[start - 4 : start], "little")
        uid = data.find(_INSTANCE_UID_HEADER, start, end)
        if uid < 0 or size < end + 2 or data[end : end + 2] == _FILE_META_GROUP:
            return 0
        behind = uid + 8 + int.from_bytes(data[uid + 6 : uid + 8], "little")
        known = self._metas.get((data[start:uid], data[behind:end]))
        if known is None or behind > end or end - position > self.max_held_bytes:
            return 0
        self._known = known
        self._encoding = EXPLICIT_LITTLE
        whole = data[uid:behind]
        self.elements[_INSTANCE_UID] = MetaElement(
            _INSTANCE_UID, "UI", whole[8:], whole, base + uid
        )
        return end

    def use(self, rules: Rules) -> None:
        """Takes the rules as they are for the file, which are the same for the file meta."""
        self._rules = rules

    def transfer_syntax_uid(self) -> str:
        """Returns the transfer syntax UID, or the empty text."""
        if self._known is not None:
            return self._known.syntax_uid
        element = self.elements.get(TRANSFER_SYNTAX)
        return "" if element is None else element.text()

    def transfer_syntax(self) -> TransferSyntax | None:
        """Returns how the data set is encoded, or None where nothing says it.

        Raises:
            DicomError: the transfer syntax is not known.
        """
        if self._known is not None:
            return self._known.syntax
        element = self.elements.get(TRANSFER_SYNTAX)
        uid = "" if element is None else element.text()
        if element is None or not uid:
            return None
        if uid in self._rules.profile.settings.private_transfer_syntaxes:
            # What the data set looks like says how it is encoded.
            return None
        syntax = transfer_syntax_of(uid)
        if syntax is None:
            raise _error(
                Reason.UNKNOWN_TRANSFER_SYNTAX,
                "the transfer syntax is neither the standard's nor one that the profile lists",
                element.tag,
                element.offset,
            )
        return syntax

    def is_encapsulated(self) -> bool:
        """Whether the pixel data of the file is encapsulated, by its transfer syntax."""
        syntax = self.transfer_syntax()
        return syntax is not None and syntax.encapsulated

    def sop_class(self) -> str:
        """Returns the Media Storage SOP Class UID, or the empty text."""
        if self._known is not None:
            return self._known.sop_class
        element = self.elements.get(_SOP_CLASS_UID)
        return "" if element is None else element.text()

    def note_learned(self, layouts: Layouts) -> None:
        """Takes note that more is known of files with this file meta."""
        self._metas.note_learned(layouts)

    def layouts_of(self, beginning: bytes) -> Layouts | None:
        """Returns the layouts of data sets that begin so; None where nothing is learned.

        What was learned holds for data sets that are encoded as the file meta says that it
        was learned under; and not for guessed ones.

        Args:
            beginning: as for `guessed_encoding`.
        """
        known = self._known
        encoding = None if known is None else known.learnable
        if known is None or encoding is None or len(beginning) < HEADER:
            return None
        seen = guessed_encoding(beginning)
        if seen is not encoding and seen is not None:
            return None
        way = (encoding, self.max_held_bytes, self._rules)
        layouts = known.layouts.get(way)
        if layouts is None and len(known.layouts) < _MAX_WAYS:
            layouts = known.layouts.setdefault(way, Layouts())
        return layouts

    def write(
        self, instance_uid: str | None, count: Callable[[tuple[str, ...]], None]
    ) -> list[bytes]:
        """Returns the file meta of the output.

        Elements that no rule names stay as they came. The instance UID follows
        the data set, the writer is named, and the group length is made right.

        Args:
            instance_uid: the SOP Instance UID of the output; None where it has none.
                Not looked at where no rule acts on it.
            count: takes the names of the actions on an element that they changed.

        Raises:
            DicomError: a rule cannot transform a value.
        """
        changes = self._rules.changes_instance_uid
        encoding = self._encoding or EXPLICIT_LITTLE
        instance = self.elements.get(_INSTANCE_UID)
        known = self._known or self._write_others(encoding)
        for names in known.changes:
            count(names)
        written: bytes | None = None
        if instance is not None:
            place = Place(_INSTANCE_UID, "UI", instance.offset)
            if changes and instance_uid:
                written = _instance_uid(encoding, place, instance_uid)
            else:
                written, names = self._rewritten(instance, encoding)
                count(names)
                if changes and written == instance.whole:
                    uid = self._stand_in(instance)
                    written = _element(encoding, place, [uid] if uid else [])
        written = written or b""
        length = len(known.before) + len(written) + len(known.after)
        return [
            _GROUP_LENGTH_HEADERS[encoding] + encoding.long_bytes(length),
            known.before,
            written,
            known.after,
        ]

    def _write_others(self, encoding: Encoding) -> KnownMeta:
        """Writes all but the instance UID, and remembers it."""
        changes = []
        written: dict[int, bytes] = {}
        for element in self.elements.values():
            if element.tag in {_GROUP_LENGTH, _INSTANCE_UID}:
                continue
            new, names = self._rewritten(element, encoding)
            if new is not None:
                written[element.tag] = new
            if names:
                changes.append(names)
        for tag, insertion in self._rules.top.file_meta_insertions.items():
            if tag not in self.elements and insertion.text is not None:
                place = Place(tag, vr_of(tag), 0)
                texts = constant_texts(place, insertion.text)
                texts = self._after_steps(place, texts, insertion.steps)
                written[tag] = _element(encoding, place, texts)
                changes.append(insertion.names)
        for tag, vr, text in (
            (_IMPLEMENTATION_CLASS, "UI", IMPLEMENTATION_CLASS_UID),
            (_IMPLEMENTATION_VERSION, "SH", IMPLEMENTATION_VERSION_NAME),
        ):
            written[tag] = _element(encoding, Place(tag, vr, 0), [text])
        before = b"".join(written[tag] for tag in sorted(written) if tag < _INSTANCE_UID)
        after = b"".join(written[tag] for tag in sorted(written) if tag > _INSTANCE_UID)
        known = KnownMeta(
            before,
            after,
            changes,
            self.transfer_syntax(),
            self.transfer_syntax_uid(),
            self.sop_class(),
        )
        tags = list(self.elements)
        if _PRIVATE_INFORMATION in self.elements or self._is_keyed:
            return known
        if encoding is EXPLICIT_LITTLE and tags == sorted(tags) and tags[0] == _GROUP_LENGTH:
            wholes = {tag: element.whole for tag, element in self.elements.items()}
            key = (
                b"".join(wholes[tag] for tag in tags if _GROUP_LENGTH < tag < _INSTANCE_UID),
                b"".join(wholes[tag] for tag in tags if tag > _INSTANCE_UID),
            )
            known = self._metas.add(key, known)
        return known

    def _stand_in(self, instance: MetaElement) -> str:
        """Returns the UID that stands for one that the data set has lost.

        PS3.10 7.1: the file meta cannot do without one, and the original is
        what the profile took away.
        """
        uid = instance.text()
        if uid and self._pseudonyms is not None and "uid" in self._rules.profile.key_purposes:
            return self._pseudonyms.uid(uid)
        return uid and stand_in_uid(uid, salt=self._rules.profile.settings.salt)

    def _after_steps(self, place: Place, texts: list[str], steps: tuple[AnyStep, ...]) -> list[str]:
        for step in steps:
            # It would be remembered beyond the stream that its key is for.
            self._is_keyed |= isinstance(step, KeyedStep)
        return apply_steps(place, texts, steps, self._rules.profile.settings, {}, self._pseudonyms)

    def _rewritten(
        self, element: MetaElement, encoding: Encoding
    ) -> tuple[bytes | None, tuple[str, ...]]:
        """Returns an element as its rules leave it (None: gone), and what to count."""
        op = becomes_of(self._rules.top.file_meta_ops[element.tag])
        if isinstance(op, Kept):
            return element.whole, ()
        if isinstance(op, Dropped):
            return None, (op.name,)
        try:
            return self._rewritten_by(op, element, encoding)
        except DicomError as error:
            outcome, name = outcome_of(op, error), name_of(error)
            # Without it, or with another, it could not be told what the file is.
            if outcome == "reject" or element.tag in MANDATORY_IN_FILE_META:
                raise
        if outcome == "remove":
            return None, (name,)
        place = Place(element.tag, element.vr, element.offset)
        is_dummy = outcome == "dummy"
        value = dummy_of(place, len(element.value), encoding) if is_dummy else b""
        return element_of(encoding, place, None, value), (name,)

    def _rewritten_by(
        self, op: Rewritten, element: MetaElement, encoding: Encoding
    ) -> tuple[bytes, tuple[str, ...]]:
        """Returns an element whose value has changed, and what to count."""
        place = Place(element.tag, element.vr, element.offset)
        if becomes_zeros(op, element.vr):
            if not element.value:
                return element.whole, ()
            zeros = zeros_of(place, len(element.value))
            return element_of(encoding, place, None, zeros), op.names
        if op.constant is not None:
            texts = constant_texts(place, op.constant)
        else:
            texts = texts_of(place, element.value, DEFAULT_CHARACTER_SETS, big=False)
            if not texts:
                return element.whole, ()
        texts = self._after_steps(place, texts, op.steps)
        return _element(encoding, place, texts), op.names


def _instance_uid(encoding: Encoding, place: Place, uid: str) -> bytes:
    """Returns the instance UID as an element; nearly always a short one in explicit VR."""
    if encoding is EXPLICIT_LITTLE and len(uid) <= MAX_UID_LENGTH and uid.isascii():
        # PS3.5 9.1: padded with NUL to an even length.
        value = uid.encode() + b"\0" * (len(uid) % 2)
        return _INSTANCE_UID_HEADER + len(value).to_bytes(2, "little") + value
    return _element(encoding, place, [uid])


def _element(encoding: Encoding, place: Place, texts: list[str]) -> bytes:
    value = bytes_of(place, texts, DEFAULT_CHARACTER_SETS, big=False)
    return element_of(encoding, place, None, value)


def _error(reason: Reason, message: str, tag: int, offset: int) -> DicomError:
    return DicomError(reason, message, tag=tag, offset=offset)
