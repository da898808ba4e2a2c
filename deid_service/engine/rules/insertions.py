"""Insertions that are the same in every file, in bytes."""

from __future__ import annotations

from deid_service.engine.encoding.charsets import CHARSET_VRS, DEFAULT_CHARACTER_SETS
from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.headers import ITEM, Encoding
from deid_service.engine.encoding.tags import PIXEL_DATA
from deid_service.engine.rules.nodes import Node
from deid_service.engine.rules.ops import Insertion
from deid_service.engine.rules.rewriting import Place, bytes_of, constant_texts, element_of


def prepared(node: Node, encoding: Encoding) -> list[bytes | None]:
    """Returns the insertions of a node in bytes; None for those that depend on the file."""
    known = node.prepared.get(encoding)
    if known is None:
        known = [_prepare(node, tag, node.insertions[tag], encoding) for tag in node.insertion_tags]
        node.prepared[encoding] = known
    return known


def _prepare_items(node: Node, tag: int, encoding: Encoding) -> bytes | None:
    """Returns a sequence that rules make, where its items are the same in every file."""
    made = node.children_after(tag, None)
    items = b""
    for index in range(0 if made is None else made.wanted):
        assert made is not None
        content = b""
        for blob in prepared(made.item(index), encoding):
            if blob is None:
                return None
            content += blob
        items += encoding.item_header(ITEM, len(content)) + content
    return encoding.header(tag, "SQ", len(items)) + items


def _prepare(node: Node, tag: int, insertion: Insertion, encoding: Encoding) -> bytes | None:
    if insertion.with_age or insertion.text is None or insertion.steps:
        return None
    if insertion.items:
        return _prepare_items(node, tag, encoding)
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
