"""Worker processes behind one port: started, balanced, replaced, drained.

One supervisor process holds the port and starts the workers; each worker is the
same command in a process of its own, and listens on the port itself with
SO_REUSEPORT. No connection and no byte passes through the supervisor.

    supervisor                      worker
        start, with one socket   ->     imports what it needs
                                 <-     READY
        LISTEN, one at a time    ->     listens
                                 <-     SERVING, with its listening sockets
                                 <-     MORE, when its load has grown
        end of input             ->     drains and exits
                                 <-     end of input: it has exited

Which worker takes a new connection is by default the kernel's choice, a hash of
the addresses, and four connections easily meet on one of two workers. On Linux
the supervisor attaches a program to the group of listening sockets that picks
among the workers with the least load, and renews it whenever loads change. A
connection counts from its arrival on, which the kernel signals, until what it
brings is reported. All that takes effect within a millisecond; connections that
come within one are spread at random. Elsewhere, and should a kernel refuse the
program, the hash stays.

The module knows nothing of what the workers serve.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import selectors
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# How a worker is told what it is: file descriptors and the address.
_ENVIRONMENT = "DEIDCASCADE_WORKER"

_READY, _LISTEN, _SERVING, _MORE = b"R", b"L", b"S", b"+"

# A host name may stand for several addresses, each with a listening socket.
_MAX_SOCKETS = 16

# A worker that lived this long was sound, and is replaced at once. One that did
# not is replaced after a wait that doubles: a fault at the start must not keep a
# core busy with starting.
SOUND_SECONDS = 10.0
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0

# How long workers have to exit beyond the drain that they were granted.
EXIT_SECONDS = 5.0

# Load that shrinks is not reported: how often the balance is looked at anyway.
TICK_SECONDS = 0.25

# How long a connection that has arrived counts as load while none is reported.
ARRIVAL_SECONDS = 0.5


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


# --- The worker's side ------------------------------------------------------------------


class Worker:
    """The end of a worker process; made from its environment."""

    def __init__(self, address: str, control: socket.socket, loads: mmap.mmap, slot: int) -> None:
        self.address = address
        self._control = control
        self._loads = memoryview(loads).cast("q")
        self._slot = slot

    @classmethod
    def from_environment(cls) -> Worker | None:
        """Returns the worker that this process is, or None where it is not one."""
        text = os.environ.pop(_ENVIRONMENT, None)
        if text is None:
            return None
        control, loads, slot, address = text.split(" ", 3)
        memory = mmap.mmap(int(loads), 0)
        os.close(int(loads))
        return cls(address, socket.socket(fileno=int(control)), memory, int(slot))

    def wait_for_turn(self) -> bool:
        """Waits until this worker may listen; False when it is to exit instead.

        Workers listen one after the other, so that the supervisor knows the order
        of their sockets in the kernel's group.
        """
        self._control.sendall(_READY)
        return self._control.recv(1) == _LISTEN

    def serving(self) -> None:
        """Tells the supervisor that the worker listens and serves."""
        sockets = _listening_sockets(port=int(self.address.rpartition(":")[2]))
        socket.send_fds(self._control, [_SERVING], [each.fileno() for each in sockets])
        for each in sockets:
            each.close()

    def report_load(self, load: int) -> None:
        """Notes how much this worker has to do, in whatever unit all workers use."""
        grown = load > self._loads[self._slot]
        self._loads[self._slot] = load
        if grown:
            # A full buffer holds enough to wake the supervisor; one that is gone
            # is told of elsewhere.
            with suppress(OSError):
                self._control.send(_MORE, socket.MSG_DONTWAIT)

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
            status = os.fstat(int(entry.name))
        except OSError:  # The descriptor of the listing itself.
            continue
        # A duplicate made here may have got a number that is in the listing.
        if not stat.S_ISSOCK(status.st_mode) or status.st_ino in found:
            continue
        candidate = socket.socket(fileno=os.dup(int(entry.name)))
        if _listens(candidate, port):
            found[status.st_ino] = candidate
        else:
            candidate.close()
    return list(found.values())[:_MAX_SOCKETS]


def _listens(candidate: socket.socket, port: int) -> bool:
    if candidate.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    return (
        candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        and candidate.getsockname()[1] == port
    )


# --- The supervisor's side ----------------------------------------------------------------


@dataclass
class _Run:
    """A worker process that has been started and not yet been seen to exit."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    started: float
    waiting: bool = False
    serving: bool = False


@dataclass
class _Slot:
    """The place of one worker, and the process that fills it now."""

    number: int
    run: _Run | None = None
    start_at: float = 0.0
    short_lives: int = 0


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
    ) -> None:
        """Prepares; nothing is started yet.

        Args:
            command: starts one worker, which finds `Worker.from_environment()`.
            listen: HOST:PORT; port 0 takes one that is free.
            count: how many workers.
            drain_seconds: how long the workers may take to finish what is open.
            announce: called once with HOST:PORT, when all workers serve.
            log: called with an event and its fields.
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
        # One number per worker, written by it and read here.
        self._load_file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by run()
        self._load_file.truncate(8 * count)
        self._loads = memoryview(mmap.mmap(self._load_file.fileno(), 8 * count)).cast("q")
        self._balancer = Balancer(self._loads)

    def run(self) -> int:
        """Runs until SIGTERM or SIGINT, and returns the exit code.

        A second signal ends open files at once.

        Raises:
            OSError: the address cannot be had.
        """
        with ExitStack() as held:
            held.callback(self._load_file.close)
            held.callback(self._selector.close)
            reserved, self._address = reserve(self._listen)
            for one in reserved:
                held.enter_context(one)
            signals = held.enter_context(_Signals(len(self._slots)))
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
            self._on_signals(signals)
            self._balancer.steer(time.monotonic())

    def _on_signals(self, signals: _Signals) -> None:
        for worker in signals.arrivals():
            self._balancer.arrived(worker, time.monotonic())
        while signals.stops:
            signals.stops.pop()
            self._on_stop_signal()

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
        ours, theirs = socket.socketpair()
        loads = self._load_file.fileno()
        self._loads[slot.number] = 0
        given = f"{theirs.fileno()} {loads} {slot.number} {self._address}"
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - the service's own command
                self._command,
                env=TUNING | os.environ | {_ENVIRONMENT: given},
                pass_fds=(theirs.fileno(), loads),
                stdin=subprocess.DEVNULL,
                # Ctrl-C reaches the processes of the terminal's group: what
                # becomes of the workers is the supervisor's to say.
                process_group=0,
            )
        slot.run = _Run(process, ours, now)
        self._selector.register(ours, selectors.EVENT_READ, slot)
        self._log("worker_started", worker=slot.number, pid=process.pid)

    def _on_worker(self, slot: _Slot, run: _Run) -> None:
        try:
            messages, descriptors, _, _ = socket.recv_fds(run.control, 4096, _MAX_SOCKETS)
        except OSError:
            messages, descriptors = b"", []
        if not messages:
            self._on_exit(slot, run)
        if _READY in messages:
            run.waiting = True
        if _SERVING in messages:
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            self._on_serving(slot, run, sockets)

    def _on_serving(self, slot: _Slot, run: _Run, sockets: list[socket.socket]) -> None:
        run.serving = True
        self._turn = None
        if self._deadline is None:
            self._balancer.add(slot.number, sockets)
            for one in sockets:
                _signal_arrivals(one, slot.number)
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

    def _give_turn(self) -> None:
        if self._turn is not None or self._deadline is not None:
            return
        for slot in self._slots:
            if slot.run is not None and slot.run.waiting:
                slot.run.waiting = False
                self._turn = slot
                with suppress(OSError):  # It has died, which its end of input tells.
                    slot.run.control.sendall(_LISTEN)
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


# A real-time signal for each worker: these queue, so that none of several is lost.
# Workers beyond them are not counted by arrivals; nor is any where they do not exist.
_ARRIVALS = range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(fcntl, "F_SETSIG") else range(0)


def _signal_arrivals(one: socket.socket, worker: int) -> None:
    """Has the kernel signal to this process each connection that a socket is given."""
    if worker < len(_ARRIVALS):
        # Where that is refused, connections count when they bring something.
        with suppress(OSError):
            fcntl.fcntl(one, fcntl.F_SETSIG, _ARRIVALS[worker])
            fcntl.fcntl(one, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_ASYNC)


class _Signals:
    """The signals that this process takes, while it is entered.

    Attributes:
        bell: becomes readable when one comes, and then has its number as a byte.
        stops: those of SIGTERM and SIGINT that came. Bytes alone would not do: while the
            bell is full of others, one that comes then is left out.
    """

    def __init__(self, workers: int) -> None:
        self.stops: list[int] = []
        self._arrivals = _ARRIVALS[:workers]
        self._held = ExitStack()
        self.bell, self._hammer = socket.socketpair()

    def __enter__(self) -> Self:
        for end in (self.bell, self._hammer):
            self._held.enter_context(end)
            end.setblocking(False)
        before = signal.set_wakeup_fd(self._hammer.fileno(), warn_on_full_buffer=False)
        self._held.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._take(number, lambda number, _: self.stops.append(number))
        # SIGIO comes in place of a real-time signal when too many wait.
        for arrival in (signal.SIGIO, *self._arrivals):
            self._take(arrival, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def arrivals(self) -> list[int]:
        """Empties the bell, and returns the workers of the connections that came."""
        numbers = b""
        with suppress(BlockingIOError):
            numbers = self.bell.recv(4096)
        return [self._arrivals.index(number) for number in numbers if number in self._arrivals]

    def _take(self, number: int, handler: Callable[[int, object], None]) -> None:
        self._held.callback(signal.signal, number, signal.signal(number, handler))


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


def reserve(listen: str) -> tuple[list[socket.socket], str]:
    """Takes an address for this process's workers alone.

    The sockets are bound and never listen. They must stay open: they hold the
    port while no worker lives.

    Args:
        listen: HOST:PORT; port 0 takes one that is free.

    Returns:
        The sockets, and HOST:PORT with the port that was taken.

    Raises:
        OSError: the address does not exist, or something else listens on it.
    """
    host, _, port_text = listen.rpartition(":")
    if not port_text.isdigit():
        raise OSError(f"The address to listen on must be HOST:PORT, not {listen!r}.")
    port = int(port_text)
    held: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in found:
            one = socket.socket(family, kind, protocol)
            held.append(one)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Lets connections that have ended and still linger be. Sharing the
            # port is allowed only after it is bound, so that a second service on
            # a port with workers fails instead of taking half of the connections.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((address[0], port, *address[2:]))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = one.getsockname()[1]
    except OSError as error:
        for one in held:
            one.close()
        raise OSError(f"Cannot listen on {listen}: {error.strerror or error}.") from None
    return held, f"{host}:{port}"


# --- The balance ----------------------------------------------------------------------------

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

    def __init__(self, loads: Sequence[int] | memoryview[int]) -> None:
        """Begins with no workers.

        Args:
            loads: how much each worker has to do, as it changes.
        """
        self._loads = loads
        self._looked_at = list(loads)
        self._arrivals: list[deque[float]] = [deque() for _ in loads]
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

    def arrived(self, worker: int, now: float) -> None:
        """Counts a connection, until a load that has grown tells of it.

        Args:
            worker: which worker has it.
            now: seconds on a clock that only goes forward.
        """
        self._arrivals[worker].append(now)

    def steer(self, now: float) -> None:
        """Looks at the loads, and renews the programs where that changes them.

        Args:
            now: seconds on the clock of `arrived`.
        """
        current = [self._load(worker, now) for worker in range(len(self._loads))]
        for group in self._groups.values():
            loads = [current[worker] for worker, _ in group.members]
            least = [place for place, load in enumerate(loads) if load == min(loads)]
            program = steering_program(least) if least else b""
            if program != group.program:
                group.program = program
                if group.members:
                    _attach(group.members[0][1], program)

    def _load(self, worker: int, now: float) -> int:
        """Returns what is reported, and with it what has arrived and is not yet."""
        reported, arrivals = self._loads[worker], self._arrivals[worker]
        told = reported - self._looked_at[worker]
        self._looked_at[worker] = reported
        while arrivals and (told > 0 or arrivals[0] < now - ARRIVAL_SECONDS):
            arrivals.popleft()
            told -= 1
        return reported + len(arrivals)


def _attach(one: socket.socket, program: bytes) -> None:
    """Attaches a program to the group of a socket, if the kernel lets it."""
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions of eight bytes, and their address.
    described = struct.pack("HP", len(program) // 8, ctypes.addressof(code))
    # Without it the kernel's hash decides: less even, but nothing is lost.
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, described)
