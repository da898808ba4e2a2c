"""Worker processes behind one port: started, balanced, replaced, drained.

One supervisor process holds the port (`ports`) and starts the workers; each worker is the
same command in a process of its own (`worker`), and listens on the port itself with
SO_REUSEPORT. No connection and no byte passes through the supervisor.

    supervisor                      worker
        start, with one socket   ->     imports what it needs
                                 <-     READY
        LISTEN, one at a time    ->     listens
                                 <-     SERVING, with its listening sockets
                                 <-     MORE, when its load has grown
                                 <-     beats, all the time, in memory that they share
        end of input             ->     drains and exits
                                 <-     end of input: it has exited

Which worker takes a new connection is by default the kernel's choice, a hash of
the addresses, and four connections easily meet on one of two workers. On Linux
the supervisor (`balancer`) attaches a program to the group of listening sockets that picks
among the workers with the least load, and renews it whenever loads change, within
a millisecond. Elsewhere, and should a kernel refuse the program, the hash stays.
`docs/decisions/connection-steering.md` says what it gains.

A worker that stops beating is given no new connections, and after some more silence
it is killed, which lets its callers come back to another one. A worker that cannot be
started is tried again and again; what runs goes on.

The module knows nothing of what the workers serve.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import selectors
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from profile_service.serving.balancer import Balancer
from profile_service.serving.ports import reserve
from profile_service.serving.worker import (
    BEATS_AT,
    ENVIRONMENT,
    LISTEN,
    LOAD_AT,
    MAX_SOCKETS,
    OWN,
    READY,
    SERVING,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# A worker that lived this long was sound, and is replaced at once. One that did
# not is replaced after a wait that doubles: a fault at the start must not keep a
# core busy with starting.
SOUND_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0

# Where no process can be started at all, trying costs little, and a shortage may pass.
LONGEST_START_WAIT_SECONDS = 5.0

# How long workers have to exit beyond the drain that they were granted.
EXIT_SECONDS = 5.0

# Load that shrinks is not reported: how often the balance is looked at anyway, and
# whether all workers are alive.
TICK_SECONDS = 0.25

# A worker that has been silent for so long is given no new connections, ...
SILENT_SECONDS = 2.0

# ... and after so long is killed and replaced. No step of a worker that is sound takes
# more than some tens of milliseconds; the rest is for a machine that has too much to do.
HUNG_SECONDS = 10.0

TUNING = {
    # A service that streams allocates and frees megabytes at a rate that lets the C
    # library (glibc; others ignore these) give memory back to the system and ask for
    # it again with every message, cleared page by page. Keeping it cuts the system
    # time of a stream of half-megabyte files to a third.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),
    # gRPC reads and writes the sockets of a server with threads of its own, its event
    # engine, and hands everything over to the thread that waits for the calls. That
    # thread can read and write them itself, as it did in earlier versions: it saves
    # four of ten context switches of a small call, a tenth of its time, and a tenth of
    # the CPU time of a stream. A version that knows no other way says so and goes on.
    "GRPC_EXPERIMENTS": "-event_engine_listener",
}
"""The environment variables that workers run with, where nothing else is said."""


@dataclass
class _Run:
    """A worker process that has been started and not yet been seen to exit."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    started: float
    waiting: bool = False
    serving: bool = False
    # The number of beats, and the ticks that it has not changed for.
    beats: int = 0
    silent_ticks: int = 0


@dataclass
class _Slot:
    """The place of one worker, and the process that fills it now."""

    number: int
    run: _Run | None = None
    start_at: float = 0.0
    short_lives: int = 0
    failed_starts: int = 0


class Supervisor:
    """Keeps a number of workers running behind one address, until told to stop."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        listen: str,
        count: int,
        drain_seconds: float,
        announce: Callable[[str], None],
        log: Callable[..., None],
        cells: int = 0,
    ) -> None:
        """Prepares; nothing is started yet.

        Args:
            command: starts one worker, which finds `Worker.from_environment()`.
            listen: HOST:PORT; port 0 takes one that is free.
            count: how many workers.
            drain_seconds: how long the workers may take to finish what is open.
            announce: called once with HOST:PORT, when all workers serve.
            log: called with an event and its fields.
            cells: how many numbers each worker has of its own, see `cells`.
        """
        self._command = list(command)
        self._listen = listen
        self._drain_seconds = drain_seconds
        self._announce = announce
        self._log = log
        self._slots = [_Slot(number) for number in range(count)]
        self._announced = False
        self._turn: _Slot | None = None
        self._deadline: float | None = None
        self._failed = False
        self._address = ""
        self._selector = selectors.DefaultSelector()
        # Numbers of each worker, written by it and read here.
        self._part = OWN + cells
        size = 8 * self._part * count
        self._board_file = _shared_file(size)
        self._board = memoryview(mmap.mmap(self._board_file, size)).cast("q")
        self._balancer = Balancer()
        self._next_tick = 0.0

    def cells(self) -> list[memoryview]:
        """Returns the numbers of each worker's own; they outlive it."""
        return [self._numbers(slot)[OWN:] for slot in self._slots]

    def processes(self) -> list[int | None]:
        """Returns the process of each worker that runs now, None for one that does not."""
        return [None if (run := slot.run) is None else run.process.pid for slot in self._slots]

    def load(self) -> list[int]:
        """Returns what each worker has to do, as `Worker.report_load` said."""
        return [self._numbers(slot)[LOAD_AT] for slot in self._slots]

    def _numbers(self, slot: _Slot) -> memoryview:
        begin = slot.number * self._part
        return self._board[begin : begin + self._part]

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT, and returns the exit code.

        A second signal ends open files at once.

        Raises:
            OSError: the address cannot be had.
        """
        with ExitStack() as held:
            held.callback(os.close, self._board_file)
            held.callback(self._selector.close)
            reserved, self._address = reserve(self._listen)
            for one in reserved:
                held.enter_context(one)
            signals = held.enter_context(_Signals())
            self._selector.register(signals.bell, selectors.EVENT_READ)
            held.callback(self._balancer.clear)
            held.callback(self._kill)
            self._loop(signals)
        return 1 if self._failed else 0

    def _loop(self, signals: _Signals) -> None:
        while True:
            now = time.monotonic()
            if self._deadline is None:
                self._start_due(now)
            elif not self._runs():
                return
            elif now >= self._deadline:
                self._log("workers_killed", count=len(self._runs()))
                self._failed = True
                return
            self._give_turn()
            for key, _ in self._selector.select(TICK_SECONDS):
                if isinstance(key.data, _Slot) and key.data.run is not None:
                    self._on_worker(key.data, key.data.run)
            for _ in range(signals.taken()):
                self._on_stop_signal()
            self._watch(time.monotonic())
            self._balancer.steer(self._loads())

    def _watch(self, now: float) -> None:
        """Looks whether the workers are alive, once a tick.

        What counts are ticks, not time: a supervisor that was stopped or had no core
        itself does not take that for a silence of its workers.
        """
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_SECONDS
        for slot in self._slots:
            run = slot.run
            if run is None or not (run.serving or self._turn is slot):
                continue
            beats = self._numbers(slot)[BEATS_AT]
            run.silent_ticks = run.silent_ticks + 1 if beats == run.beats else 0
            run.beats = beats
            if run.silent_ticks * TICK_SECONDS >= HUNG_SECONDS:
                run.silent_ticks = 0
                self._log("worker_hung", worker=slot.number, pid=run.process.pid)
                run.process.kill()

    def _loads(self) -> list[float]:
        """Returns the load of each worker; infinite where it is silent."""
        return [
            math.inf
            if slot.run is not None and slot.run.silent_ticks * TICK_SECONDS >= SILENT_SECONDS
            else self._numbers(slot)[LOAD_AT]
            for slot in self._slots
        ]

    def _on_stop_signal(self) -> None:
        if self._deadline is None:
            self._stop()
        else:
            self._deadline = time.monotonic()

    def _stop(self) -> None:
        self._deadline = time.monotonic() + self._drain_seconds + EXIT_SECONDS
        # Its duplicates would keep the port open after the workers closed it.
        self._balancer.clear()
        for run in self._runs():
            with suppress(OSError):
                run.control.shutdown(socket.SHUT_WR)

    def _start_due(self, now: float) -> None:
        for slot in self._slots:
            if slot.run is None and slot.start_at <= now:
                self._start(slot, now)

    def _start(self, slot: _Slot, now: float) -> None:
        board = self._board_file
        self._numbers(slot)[LOAD_AT] = 0
        with ExitStack() as on_failure:
            try:
                ours, theirs = socket.socketpair()
                on_failure.callback(ours.close)
                with theirs:
                    begin = slot.number * self._part
                    given = (
                        f"{theirs.fileno()} {board} {begin} {begin + self._part} {self._address}"
                    )
                    process = subprocess.Popen(  # noqa: S603 - the service's own command
                        self._command,
                        env=TUNING | os.environ | {ENVIRONMENT: given},
                        pass_fds=(theirs.fileno(), board),
                        stdin=subprocess.DEVNULL,
                        # Ctrl-C reaches the processes of the terminal's group: what
                        # becomes of the workers is the supervisor's to say.
                        process_group=0,
                    )
            except OSError as error:
                # No process, no memory, no descriptor, no interpreter to be had.
                self._on_no_start(slot, now, error)
                return
            on_failure.pop_all()
        slot.run = _Run(process, ours, now, beats=self._numbers(slot)[BEATS_AT])
        self._selector.register(ours, selectors.EVENT_READ, slot)
        self._log("worker_started", worker=slot.number, pid=process.pid)

    def _on_no_start(self, slot: _Slot, now: float, error: OSError) -> None:
        if not self._announced and not self._runs():
            raise OSError(f"No worker can be started: {error.strerror}.") from None
        slot.failed_starts += 1
        slot.start_at = now + min(
            FIRST_WAIT_SECONDS * 2.0 ** min(slot.failed_starts, 16), LONGEST_START_WAIT_SECONDS
        )
        cause = errno.errorcode.get(error.errno or 0, "")
        self._log("worker_not_started", worker=slot.number, cause=cause)

    def _on_worker(self, slot: _Slot, run: _Run) -> None:
        try:
            messages, descriptors, _, _ = socket.recv_fds(run.control, 4096, MAX_SOCKETS)
        except OSError:
            messages, descriptors = b"", []
        if not messages:
            self._on_exit(slot, run)
        if READY in messages:
            run.waiting = True
        if SERVING in messages:
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            self._on_serving(slot, run, sockets)

    def _on_serving(self, slot: _Slot, run: _Run, sockets: list[socket.socket]) -> None:
        run.serving = True
        slot.failed_starts = 0
        self._turn = None
        if self._deadline is None:
            self._balancer.add(slot.number, sockets)
        else:
            for one in sockets:
                one.close()
        runs = self._runs()
        if (
            not self._announced
            and len(runs) == len(self._slots)
            and all(each.serving for each in runs)
        ):
            self._announced = True
            self._announce(self._address)
            self._log("listening", address=self._address)

    def _give_turn(self) -> None:
        if self._turn is not None or self._deadline is not None:
            return
        for slot in self._slots:
            if slot.run is not None and slot.run.waiting:
                slot.run.waiting = False
                self._turn = slot
                with suppress(OSError):  # It has died, which its end of input tells.
                    slot.run.control.sendall(LISTEN)
                return

    def _on_exit(self, slot: _Slot, run: _Run) -> None:
        slot.run = None
        self._selector.unregister(run.control)
        run.control.close()
        if self._turn is slot:
            self._turn = None
        # Closes the supervisor's duplicates, and with them the connections that
        # wait for this worker: their callers come back to another one.
        self._balancer.remove(slot.number)
        code = _exit_code(run.process)
        if self._deadline is not None:
            self._failed = self._failed or code != 0
            return
        now = time.monotonic()
        self._log("worker_died", worker=slot.number, code=code, seconds=now - run.started)
        if not self._announced:
            # Not even the first ones came up: trying again would not help.
            self._failed = True
            self._stop()
            return
        slot.short_lives = 0 if now - run.started >= SOUND_SECONDS else slot.short_lives + 1
        slot.start_at = now + wait_before_restart(slot.short_lives)

    def _runs(self) -> list[_Run]:
        return [slot.run for slot in self._slots if slot.run is not None]

    def _kill(self) -> None:
        for run in self._runs():
            run.process.kill()
            run.process.wait()
            run.control.close()


def _shared_file(size: int) -> int:
    """Returns a file without a name, of a number of zero bytes, that children can map."""
    if hasattr(os, "memfd_create"):
        # Needs no folder that can be written to.
        descriptor = os.memfd_create("workers")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, size)
    return descriptor


class _Signals:
    """SIGTERM and SIGINT, which this process takes while it is entered.

    Attributes:
        bell: becomes readable when one comes.
    """

    def __init__(self) -> None:
        self._held = ExitStack()
        self.bell, self._hammer = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self.bell, self._hammer):
            self._held.enter_context(end)
            end.setblocking(False)
        before = signal.set_wakeup_fd(self._hammer.fileno(), warn_on_full_buffer=False)
        self._held.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._held.callback(signal.signal, number, signal.signal(number, lambda *_: None))
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def taken(self) -> int:
        """Returns how many came since it was last asked."""
        with suppress(BlockingIOError):
            return len(self.bell.recv(4096))
        return 0


def wait_before_restart(short_lives: int) -> float:
    """Returns how many seconds a worker's place stays empty.

    Args:
        short_lives: how many workers in a row did not live for SOUND_SECONDS there.
    """
    if short_lives < 2:
        return 0.0
    # The exponent is bounded: a place may have been failing for weeks.
    return min(FIRST_WAIT_SECONDS * 2.0 ** min(short_lives - 2, 16), LONGEST_WAIT_SECONDS)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Waits for a process that has closed its control socket, and so is ending."""
    try:
        return process.wait(EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
