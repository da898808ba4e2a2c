"""The worker's side of what a supervisor and its workers tell each other; see `supervisor`."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import signal
import socket
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path

# How a worker is told what it is: file descriptors and the address.
ENVIRONMENT = "DEIDCASCADE_WORKER"

READY, LISTEN, SERVING, MORE = b"R", b"L", b"S", b"+"

# Where the numbers stand that a worker and its supervisor share, and how many they are;
# behind them come those of what is served.
LOAD_AT, BEATS_AT, OWN = 0, 1, 2

# A host name may stand for several addresses, each with a listening socket.
MAX_SOCKETS = 16

# How often a worker shows that it is alive.
BEAT_SECONDS = 0.5

# A worker that cannot even beat ends by itself, so that it does not outlive a
# supervisor that was killed; whole seconds.
ORPHAN_SECONDS = 60


class Worker:
    """The end of a worker process; made from its environment."""

    def __init__(self, address: str, control: socket.socket, part: memoryview) -> None:
        self.address = address
        self._control = control
        self._part = part
        # Numbers of its own, which the supervisor reads and keeps.
        self.cells = part[OWN:]

    @classmethod
    def from_environment(cls) -> Worker | None:
        """Returns the worker that this process is, or None where it is not one."""
        text = os.environ.pop(ENVIRONMENT, None)
        if text is None:
            return None
        control, board, begin, end, address = text.split(" ", 4)
        memory = memoryview(mmap.mmap(int(board), 0)).cast("q")
        os.close(int(board))
        return cls(address, socket.socket(fileno=int(control)), memory[int(begin) : int(end)])

    def wait_for_turn(self) -> bool:
        """Waits until this worker may listen; False when it is to exit instead.

        Workers listen one after the other, so that the supervisor knows the order
        of their sockets in the kernel's group.
        """
        self._control.sendall(READY)
        return self._control.recv(1) == LISTEN

    def serving(self) -> None:
        """Tells the supervisor that the worker listens and serves; from now on it is to beat."""
        # What is loaded by now stays to the end: to look for garbage in it takes some hundredths
        # of the time of all calls.
        gc.freeze()
        sockets = _listening_sockets(port=int(self.address.rpartition(":")[2]))
        socket.send_fds(self._control, [SERVING], [each.fileno() for each in sockets])
        for each in sockets:
            each.close()

    def report_load(self, load: int) -> None:
        """Notes how much this worker has to do, in whatever unit all workers use."""
        grown = load > self._part[LOAD_AT]
        self._part[LOAD_AT] = load
        if grown:
            # A full buffer holds enough to wake the supervisor; one that is gone
            # is told of elsewhere.
            with suppress(OSError):
                self._control.send(MORE, socket.MSG_DONTWAIT)

    def beat(self) -> None:
        """Shows that the worker is alive; to be called every BEAT_SECONDS by what serves."""
        self._part[BEATS_AT] += 1
        # The kernel ends what does not come by here again, whoever holds its threads.
        signal.alarm(ORPHAN_SECONDS)

    def beat_for_ever(self) -> None:
        """Beats from a thread, where calls are served by threads."""

        def run() -> None:
            while True:
                self.beat()
                time.sleep(BEAT_SECONDS)

        threading.Thread(target=run, name="beat", daemon=True).start()

    def fileno(self) -> int:
        """Returns a descriptor that becomes readable when the worker is to drain and exit."""
        return self._control.fileno()

    def wait_for_end(self) -> None:
        """Waits until the worker, which had its turn, is to drain and exit."""
        self._control.recv(1)


def _listening_sockets(port: int) -> list[socket.socket]:
    """Returns duplicates of this process's sockets that listen on a port.

    The server library keeps its sockets to itself; Linux lists them.
    """
    found: dict[int, socket.socket] = {}
    folder = Path("/proc/self/fd")
    for entry in list(folder.iterdir()) if folder.is_dir() else ():
        try:
            duplicate = os.dup(int(entry.name))
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # That of the listing itself, or one that another thread has closed since.
            continue
        # Of the duplicate, which nobody else closes.
        status = os.fstat(duplicate)
        # A duplicate made here may have got a number that is in the listing.
        if not stat.S_ISSOCK(status.st_mode) or status.st_ino in found:
            os.close(duplicate)
            continue
        candidate = socket.socket(fileno=duplicate)
        if _listens(candidate, port):
            found[status.st_ino] = candidate
        else:
            candidate.close()
    return list(found.values())[:MAX_SOCKETS]


def _listens(candidate: socket.socket, port: int) -> bool:
    if candidate.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    return (
        candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        and candidate.getsockname()[1] == port
    )
