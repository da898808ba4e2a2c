"""Ctrl-C, and what else ends a program politely: what is under way ends in order, once."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

# Windows has no SIGHUP.
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

# Signals that come together are one: `timeout` and shells send them to a process and to
# its group. A person who asks again later has waited for long enough.
TOGETHER_SECONDS = 1.0


class Interruption:
    """Notes a signal, and tells who is to stop; nothing is thrown into the middle of anything.

    A thread of its own hears of it: the main one may wait for something, and the system
    may give the signal to any thread.

    Attributes:
        number: the first signal that came; 0 when none did.
    """

    def __init__(self) -> None:
        self.number = 0
        self._lock = threading.Lock()
        self._stop: Callable[[], None] = lambda: None
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._bell, self._heard = socket.socketpair()

    def __enter__(self) -> Self:
        """Begins to listen, except to what the starter of this program has switched off."""
        self._bell.setblocking(False)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda *_: None)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends listening.

        What was interrupted ends now: a signal that comes yet is another of those together,
        and would kill it on its last steps (the interpreter gives signals their default
        action back as it ends, but leaves those alone that are ignored).
        """
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self.number else handler)
        # The other end sees it, and is closed by who listens there.
        self._bell.close()

    @property
    def exit_code(self) -> int:
        """The exit code of a program that a signal ended, as shells have it."""
        return 128 + self.number

    def then(self, stop: Callable[[], None]) -> None:
        """Sets what a signal stops; called in another thread, and at once if one has come."""
        with self._lock:
            self._stop = stop
            come = self.number
        if come:
            stop()

    def _listen(self) -> None:
        since = 0.0
        with self._heard:
            while heard := self._heard.recv(1):
                if heard[0] not in self._before:
                    continue
                with self._lock:
                    first = not self.number
                    self.number = self.number or heard[0]
                    stop = self._stop
                if first:
                    since = time.monotonic()
                    stop()
                elif time.monotonic() - since > TOGETHER_SECONDS:
                    with suppress(OSError):
                        os.write(2, b"deidcascade: ended at once.\n")
                    os._exit(self.exit_code)
