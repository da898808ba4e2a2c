"""New UIDs from old ones."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

# PS3.5 9.1: at most 64 characters, no node but "0" begins with a 0.
MAX_UID_LENGTH: Final = 64

_HASH_NODES: Final = 6
_HASH_NODE_DIGITS: Final = 6
_MAX_SUFFIX_DIGITS: Final = 6

_DIGITS: Final = tuple(map(str, range(256)))

# PS3.5 B.2: what follows 2.25 is a UUID.
_UUID_ROOT: Final = ["2", "25"]

# No authority gives out so long a number; the 128 bits of a UUID have more digits.
_MAX_ROOT_DIGITS: Final = 28


def hash_uid(
    uid: str, *, salt: str, prefix_fields: int, suffix_fields: int, numeric_name: str | None
) -> str:
    """Derives a UID from a digest of another, keeping its first and last nodes.

    Args:
        uid: the original, without padding: digits and dots.
        salt: put before it in the digest.
        prefix_fields: nodes kept at the front, at most as many as leave the suffix;
            none of them is, or follows, a number that tells one object from all others.
        suffix_fields: nodes kept at the end, of each at most its last six digits.
        numeric_name: the root that stands in for the kept front, or None.

    Returns:
        A legal UID of at most 64 characters.
    """
    decimal = "".join([_DIGITS[byte] for byte in sha256((salt + uid).encode()).digest()])
    if numeric_name is not None:
        front = numeric_name.split(".")
    else:
        kept = min(prefix_fields, max(0, uid.count(".") + 1 - suffix_fields))
        front = _registered(uid.split(".", kept)[:kept])
    for start in range(0, _HASH_NODES * _HASH_NODE_DIGITS, _HASH_NODE_DIGITS):
        node = decimal[start : start + _HASH_NODE_DIGITS]
        front.append("1" + node[1:] if node[0] == "0" else node)
    if suffix_fields:
        nodes = uid.rsplit(".", suffix_fields)[-suffix_fields:]
        front += [_legal(node[-_MAX_SUFFIX_DIGITS:]) for node in nodes]
    *front, last = front
    return ".".join([*_cut(front, MAX_UID_LENGTH - len(last) - 1), last])


def _registered(front: list[str]) -> list[str]:
    """Returns the nodes of a front, as far as they can be those of a registered root."""
    front = [_legal(node) for node in front]
    if front[:2] == _UUID_ROOT:
        return _UUID_ROOT.copy()
    long = (index for index, node in enumerate(front) if len(node) > _MAX_ROOT_DIGITS)
    return front[: next(long, len(front))]


def _legal(node: str) -> str:
    """Returns a node without the zeros that it must not begin with, and never an empty one."""
    return node.lstrip("0") or "0"


def _cut(front: list[str], room: int) -> list[str]:
    """Drops digits, then nodes, at the end of a front until it has no more than so many."""
    excess = len(".".join(front)) - room
    while excess > 0:
        *rest, node = front
        if excess < len(node):
            return [*rest, node[:-excess]]
        # What is left of a node goes with the dot before it.
        front = rest
        excess -= len(node) + 1
    return front


def stand_in_uid(uid: str, *, salt: str) -> str:
    """Derives a UID that shares nothing with another (PS3.5 B.2, from a UUID's bits)."""
    return f"2.25.{int.from_bytes(sha256((salt + uid).encode()).digest()[:16], 'big')}"
