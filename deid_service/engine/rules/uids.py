"""New UIDs from old ones."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

# PS3.5 9.1: at most 64 characters, no node but "0" begins with a 0.
MAX_UID_LENGTH: Final = 64

_HASH_NODES: Final = 6
_HASH_NODE_DIGITS: Final = 6
_MAX_SUFFIX_DIGITS: Final = 6


def hash_uid(
    uid: str, *, salt: str, prefix_fields: int, suffix_fields: int, numeric_name: str | None
) -> str:
    """Derives a UID from a digest of another, keeping its first and last nodes.

    Args:
        uid: the original, without padding.
        salt: put before it in the digest.
        prefix_fields: nodes kept at the front, at most as many as leave the suffix.
        suffix_fields: nodes kept at the end, of each at most its last six digits.
        numeric_name: the root that stands in for the kept front, or None.

    Returns:
        A UID of at most 64 characters.
    """
    nodes = uid.split(".")
    digest = sha256((salt + uid).encode()).digest()
    decimal = "".join(map(str, digest))
    if numeric_name is not None:
        front = numeric_name.split(".")
    else:
        front = nodes[: min(prefix_fields, max(0, len(nodes) - suffix_fields))]
    for start in range(0, _HASH_NODES * _HASH_NODE_DIGITS, _HASH_NODE_DIGITS):
        node = decimal[start : start + _HASH_NODE_DIGITS]
        front.append("1" + node[1:] if node[0] == "0" else node)
    if suffix_fields:
        # What is left of a cut node can begin with zeros, which a node must not.
        front += [
            node[-_MAX_SUFFIX_DIGITS:].lstrip("0") or "0" if node else node
            for node in nodes[-suffix_fields:]
        ]
    *front, last = front
    while len(".".join(front)) + 1 + len(last) > MAX_UID_LENGTH:
        if len(front[-1]) > 1:
            front[-1] = front[-1][:-1]
        else:
            front.pop()
    return ".".join([*front, last])


def stand_in_uid(uid: str, *, salt: str) -> str:
    """Derives a UID that shares nothing with another (PS3.5 B.2, from a UUID's bits)."""
    return f"2.25.{int.from_bytes(sha256((salt + uid).encode()).digest()[:16], 'big')}"
