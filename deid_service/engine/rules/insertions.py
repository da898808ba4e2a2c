"""Insertions that are the same in every file, in bytes."""

from __future__ import annotations

from deid_service.engine.encoding.charsets import CHARSET_VRS, DEFAULT_CHARACTER_SETS
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import Insertion
from deid_service.engine.rules.rewriting import Place, bytes_of, constant_texts, element_of


def prepared(node: Node, encoding: Encoding) -> list[bytes | None]:
    """Returns the insertions of a node in bytes; None for those that depend on the file."""
    known = node.prepared.get(encoding)
    if known is None:
        known = [_prepare(tag, node.insertions[tag], encoding) for tag in node.insertion_tags]
        node.prepared[encoding] = known
    return known


def _prepare(tag: int, insertion: Insertion, encoding: Encoding) -> bytes | None:
    if insertion.with_age or insertion.text is None or insertion.steps or insertion.items:
        return None
    if tag == PIXEL_DATA:
        # It depends on the transfer syntax.
        return None
    vr = vr_of(tag)
    if not insertion.text:
        return encoding.header(tag, vr, 0)
    if not insertion.text.isascii() and vr in CHARSET_VRS:
        return None
    place = Place(tag, vr, 0)
    value = bytes_of(
        place, constant_texts(place, insertion.text), DEFAULT_CHARACTER_SETS, big=encoding.big
    )
    return element_of(encoding, place, None, value)
