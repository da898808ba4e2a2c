"""Which worker takes the next connection: one of those with the least load.

`docs/decisions/connection-steering.md` says how, and what it gains.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# asm-generic/socket.h; Python has no name for it.
_SO_ATTACH_REUSEPORT_CBPF = 51

# linux/filter.h and linux/bpf_common.h: return a constant; load a word from an
# absolute offset, where this one stands for a random number; remainder by a
# constant; jump if equal to a constant.
_RETURN = 0x06
_LOAD = 0x20
_RANDOM = 0xFFFFF000 + 56
_MODULO = 0x94
_JUMP_EQUAL = 0x15


def steering_program(choices: Sequence[int]) -> bytes:
    """Returns a classic BPF program that picks one of some sockets, each as likely.

    Args:
        choices: places of sockets in their group, in the order they joined it.
    """
    instructions = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(choices))]
    for number, choice in enumerate(choices[:-1]):
        instructions += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, choice)]
    instructions.append((_RETURN, 0, 0, choices[-1]))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)


@dataclass
class _Group:
    """The listening sockets on one address, in the kernel's order, and their program."""

    members: list[tuple[int, socket.socket]] = field(default_factory=list)
    program: bytes = b""


class Balancer:
    """Lets the workers with the least load take the next connections."""

    def __init__(self) -> None:
        """Begins with no workers."""
        self._groups: dict[str, _Group] = {}

    def add(self, worker: int, sockets: Sequence[socket.socket]) -> None:
        """Takes in a worker's listening sockets, the latest to join their groups."""
        for one in sockets:
            self._groups.setdefault(str(one.getsockname()), _Group()).members.append((worker, one))

    def remove(self, worker: int) -> None:
        """Lets a worker's sockets go."""
        for group in self._groups.values():
            for place, (owner, one) in enumerate(group.members):
                if owner == worker:
                    one.close()
                    # The kernel fills the gap with the last of the group.
                    last = group.members.pop()
                    if place < len(group.members):
                        group.members[place] = last
                    group.program = b""
                    break

    def clear(self) -> None:
        """Lets all sockets go."""
        for group in self._groups.values():
            for _, one in group.members:
                one.close()
        self._groups.clear()

    def steer(self, current: Sequence[float]) -> None:
        """Renews the programs where the loads change them.

        Args:
            current: how much each worker has to do.
        """
        for group in self._groups.values():
            loads = [current[worker] for worker, _ in group.members]
            least = [place for place, load in enumerate(loads) if load == min(loads)]
            program = steering_program(least) if least else b""
            if program != group.program:
                group.program = program
                if group.members:
                    _attach(group.members[0][1], program)


def _attach(one: socket.socket, program: bytes) -> None:
    """Attaches a program to the group of a socket, if the kernel lets it."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions of eight bytes, and their address.
    described = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    # Without it the kernel's hash decides: less even, but nothing is lost.
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)
