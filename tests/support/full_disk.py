"""A disk that has room for so many bytes, without one."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from deid_service.client.outputs import OutputError, PartialFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.contract.wire import Buffer


def writing_until_full(room: int) -> Callable[[PartialFile, Buffer], None]:
    """Returns what stands for `PartialFile.write` where there is so much room, in bytes."""
    write = PartialFile.write

    def full(self: PartialFile, data: Buffer) -> None:
        nonlocal room
        room -= len(data)
        if room < 0:
            raise OutputError.of("It cannot be written", OSError(errno.ENOSPC, "no space"))
        write(self, data)

    return full
