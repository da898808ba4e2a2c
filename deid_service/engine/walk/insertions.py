"""Elements inserted where a rule says what an absent one becomes."""

from __future__ import annotations

from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import (
    ITEM,
    Encoding,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.insertions import prepared
from deid_service.engine.rules.nodes import Children
from deid_service.engine.rules.ops import (
    Insertion,
    needed_by,
)
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.rules.rewriting import (
    Place,
    apply_steps,
    bytes_of,
    constant_texts,
    count_growth,
)
from deid_service.engine.walk.levels import (
    END,
    BlockEnd,
    Kind,
    Level,
    Watch,
)
from deid_service.engine.walk.notes import PATIENT_AGE_FROM_BIRTHDATE, Notes
from deid_service.engine.walk.pixel_data import written
from deid_service.engine.walk.splicer import Splicer


class Insertions:
    """Does what is due before an element, or at the end of a level."""

    def __init__(self, splicer: Splicer, notes: Notes, profile: CompiledProfile) -> None:
        self._splicer = splicer
        self._notes = notes
        self._profile = profile

    def reach(self, level: Level, tag: int) -> None:
        """Does what is due before an element of a tag, or at the end of a level."""
        while (due := level.next_due(tag)) is not None:
            if isinstance(due, tuple):
                self._insert_range(level, *due)
            else:
                if not isinstance(due, Watch | BlockEnd):
                    self._splicer.depend()
                due(level, tag)

    def _insert_range(self, level: Level, first: int, stop: int) -> None:
        """Inserts the elements of a range of a node's insertions."""
        splicer = self._splicer
        node = level.node
        if node is None:
            return
        blobs = prepared(node, level.encoding)
        tags = node.insertion_tags
        for index in range(first, stop):
            tag = tags[index]
            insertion = node.insertions[tag]
            blob = blobs[index]
            if blob is None:
                self.insert(level, tag, vr_of(tag), insertion)
            else:
                is_final = level.tag is None and tag in self._profile.finals
                final = insertion.text or "" if is_final else None
                splicer.insert(level, blob, tag, insertion.names, final)
                if final is not None:
                    place = Place(tag, vr_of(tag), splicer.base + splicer.position)
                    self._notes.note_final(place, final)

    def insert(self, level: Level, tag: int, vr: str, insertion: Insertion) -> None:
        """Inserts an element that is not the same in every file, or leaves it absent."""
        splicer = self._splicer
        splicer.depend()
        place = Place(tag, vr, splicer.base + splicer.position)
        made = self._made(level, place, insertion)
        if made is None:
            return
        new, texts = made
        splicer.write(level, new)
        splicer.count(insertion.names)
        if level.tag is None and tag in self._profile.finals:
            self._notes.note_final(place, "\\".join(texts))

    def _made(
        self, level: Level, place: Place, insertion: Insertion
    ) -> tuple[bytes, list[str]] | None:
        """Returns an inserted element and its values, or None where there is nothing to insert."""
        encoding = level.encoding
        if insertion.items:
            assert level.node is not None
            made = level.node.children_after(place.tag, None)
            assert made is not None
            items = self.items(level, made, 0, encoding)
            return encoding.header(place.tag, "SQ", len(items)) + items, []
        computed = self._notes.age(stands=False) if insertion.with_age else None
        if insertion.with_age and computed is None:
            return None
        if insertion.text is not None:
            texts = constant_texts(place, insertion.text)
        else:
            assert computed is not None
            self._splicer.count((PATIENT_AGE_FROM_BIRTHDATE,))
            texts = [computed]
        if needed_by(insertion.steps) - self._notes.originals.keys():
            raise place.error(
                Reason.NOT_SUPPORTED, "a regex-sub on a computed element needs later elements"
            )
        notes = self._notes
        try:
            texts = apply_steps(
                place,
                texts,
                insertion.steps,
                self._profile.settings,
                notes.originals,
                notes.memo.pseudonyms,
            )
        except DicomError as error:
            if error.reason is Reason.NOT_IN_TABLE and insertion.drops_unlisted:
                return None
            raise
        value = bytes_of(place, texts, level.charsets, big=encoding.big)
        new = written(level, place, None, value)
        count_growth(place, new, 0)
        return new, texts

    def items(self, level: Level, children: Children, first: int, encoding: Encoding) -> bytes:
        """Returns the items that rules make in a sequence, from one on."""
        items = []
        for index in range(first, children.wanted):
            node = children.item(index)
            inside = Level(
                Kind.ELEMENTS,
                encoding,
                tag=level.tag or 0,
                offset=0,
                end=END,
                undefined=False,
                charsets=level.charsets,
                node=node,
            )
            content = b""
            for tag in node.insertion_tags:
                place = Place(tag, vr_of(tag), self._splicer.base + self._splicer.position)
                made = self._made(inside, place, node.insertions[tag])
                if made is not None:
                    content += made[0]
            items.append(encoding.item_header(ITEM, len(content)) + content)
        return b"".join(items)
