"""The encoding of fields, for what is said so often that protobuf takes long for it.

Protocol Buffers encoding: a field is its key, which is its number and its wire type, and then
its value. A number is a varint: seven bits a byte, lowest first. A text, bytes or a message is
its length, a varint, and as many bytes. Messages are put together by putting their fields
together, in any order.
"""

from __future__ import annotations

# The wire type of what has a length; that of a number is 0.
_LENGTH_DELIMITED = 2

# Nearly all lengths and numbers are less.
_SMALL = 1024


def number_key(number: int) -> bytes:
    """Returns the key of a field that is a number or an enumeration, by its number below 16."""
    return bytes((number << 3,))


def bytes_key(number: int) -> bytes:
    """Returns the key of a field that is a text, bytes or a message, as above."""
    return bytes((number << 3 | _LENGTH_DELIMITED,))


def varint(number: int) -> bytes:
    """Returns a number that is not negative."""
    return _VARINTS[number] if number < _SMALL else _written(number)


def length(data: bytes) -> bytes:
    """Returns how many bytes these are, which stands before them."""
    size = len(data)
    return _VARINTS[size] if size < _SMALL else _written(size)


def bytes_field(key: bytes, data: bytes) -> bytes:
    """Returns a field that is a text in UTF-8, bytes or a message."""
    return key + length(data) + data


def _written(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_VARINTS = tuple(map(_written, range(_SMALL)))
