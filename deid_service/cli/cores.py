"""Work on files by several processes: one Python process uses one core."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from itertools import chain
from multiprocessing import connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple, Self

from deid_service.cli.interruption import SIGNALS
from deid_service.cli.results import FileReport, Word
from deid_service.cli.waiting import StoppedError
from deid_service.client import NoRoomError
from profile_service.serving.cpus import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkContext, SpawnContext

    from deid_service.client import Source

    # Does one source, which may be an archive; stops where it is told not to go on.
    Work = Callable[[Source, Callable[[int], None]], Iterator[FileReport]]
    # Makes that in the process that does it, from what says whether to go on.
    Prepare = Callable[[Callable[[], bool]], AbstractContextManager[Work]]

# What one process does in a second, roughly: below that, starting others costs more than
# they bring.
_FILES_PER_SECOND = 3000
_BYTES_PER_SECOND = 500_000_000

# What a process is given at once: enough that handing it over does not count, little
# enough that reports come steadily.
_TASK_FILES = 32
_TASK_BYTES = 16 * 1024 * 1024

# How many tasks there are for each process that are not reported yet, so that none waits for
# the slowest.
_TASKS_AHEAD = 4

DIED = "A process that worked on it ended."
UNBEGUN = "The command ended before this file was begun."


def processes_for(files: Sequence[Source]) -> int:
    """Returns how many processes files are worth: 1, or as many as cores may be used."""
    seconds = len(files) / _FILES_PER_SECOND + sum(f.size for f in files) / _BYTES_PER_SECOND
    return 1 if seconds <= 1 else cores()


def _context() -> ForkContext | SpawnContext:
    """Returns how a process is started now."""
    # A copy of this process has imported all already, which takes longer than a thousand files.
    # What has threads is not copied: it would lack them, and what they hold. Nor is any process
    # of macOS, whose libraries do not stand it.
    if sys.platform == "linux" and _is_alone():
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _is_alone() -> bool:
    """Tells whether this process has no thread beside this one, as far as is known."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def unbegun(files: Iterable[Source]) -> Iterator[FileReport]:
    """Gives reports of files that nothing was done with."""
    for file in files:
        yield FileReport(file.name, Word.UNBEGUN, reason="NOT_BEGUN", problem=UNBEGUN)


class _Done(NamedTuple):
    """What became of a task.

    Attributes:
        reports: of the files that were done, and of what is in archives.
        sources: how many sources were done.
        read: how many bytes were read for it.
        no_room: why nothing more can be written, or empty.
    """

    reports: list[FileReport]
    sources: int = 0
    read: int = 0
    no_room: str = ""


class _Task:
    """What a process is given at once, and what became of it: None as long as nothing did.

    Its sources have places among all, which every process knows.
    """

    def __init__(self, places: slice, sources: Sequence[Source]) -> None:
        self.places = places
        self.sources = sources
        self.done: _Done | None = None


class _Process:
    """A process that does one task after the other.

    It shares nothing with others, no lock above all: each may be killed at any moment.

    Attributes:
        connection: can be read when something has become of it, or of its task.
        task: what it has in hand.
    """

    def __init__(
        self,
        prepare: Prepare,
        files: Sequence[Source],
        stops: Connection,
        ours: Sequence[Connection],
    ) -> None:
        """Starts it.

        Args:
            prepare: makes what it does.
            files: all that there are.
            stops: as `_work` has it.
            ours: the ends of connections that are this process's alone.
        """
        context = _context()
        self.connection, there = context.Pipe()
        copied = [*ours, self.connection] if context.get_start_method() == "fork" else []
        self._process = context.Process(target=_work, args=(prepare, files, there, stops, copied))
        # One that dies on its first steps, or cannot be, is like one that died later.
        with suppress(OSError, EOFError):
            self._process.start()
        # With the process, the other end of the connection is gone.
        there.close()
        self.task: _Task | None = None

    def give(self, task: _Task) -> None:
        """Gives it a task."""
        self.task = task
        with suppress(OSError):  # It has died; `take` finds that.
            self.connection.send((task.places.start, task.places.stop))

    def take(self) -> bool:
        """Takes what became of its task; tells whether it lives."""
        done: _Done | Exception | None
        try:
            done = self.connection.recv()
        except (EOFError, OSError):
            done = None
        if isinstance(done, Exception):
            raise done
        if self.task is not None:
            self.task.done = done or _died(self.task.sources)
            self.task = None
        return done is not None

    def finish(self) -> None:
        """Tells it to end after what it has in hand."""
        with suppress(OSError):
            self.connection.send(None)

    def end(self) -> None:
        """Waits until it has ended, as it was told to."""
        with suppress(OSError, EOFError):
            while True:
                self.connection.recv()
        if self._process.pid is not None:
            self._process.join()
        self.connection.close()


def _died(sources: Sequence[Source]) -> _Done:
    """Returns what became of the task of a process that has died."""
    return _Done(
        [
            FileReport(source.name, Word.FAILED, reason="NOT_WRITTEN", problem=DIED)
            for source in sources
        ],
        len(sources),
    )


class Processes:
    """Does work in several processes, and gives its reports in the order of the files."""

    def __init__(
        self,
        count: int,
        files: Sequence[Source],
        prepare: Prepare,
        moved: Callable[[int], None],
    ) -> None:
        """Starts them, to be ended at the end of `with`; sooner where there are no threads yet.

        Args:
            count: how many.
            files: what they have to do; is pickled where they are no copies.
            prepare: makes what each of them does; is pickled as well.
            moved: told how many bytes have been read, of all files.
        """
        self._count = count
        self._files = files
        self._prepare = prepare
        self._moved = moved
        self._read = 0
        self._processes: list[_Process] = []
        # What is closed here is at its end in all processes.
        self._stops, self._stop = connection.Pipe(duplex=False)
        self._stopped = False
        self._lock = threading.Lock()
        self._no_room = ""
        # Copies share what nobody writes to, as collecting does.
        gc.freeze()
        for _ in range(count):
            self._start()

    def _start(self) -> _Process:
        ours = [self._stop, *(process.connection for process in self._processes)]
        self._processes.append(_Process(self._prepare, self._files, self._stops, ours))
        return self._processes[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        # All of them at the same time: to give back its memory takes each a while.
        for process in self._processes:
            process.finish()
        for process in self._processes:
            process.end()
        self._stops.close()

    def stop(self) -> None:
        """Ends what is under way; nothing partial stays. Any thread may call it."""
        with self._lock:
            self._stopped = True
            self._stop.close()

    def run(self) -> Iterator[FileReport]:
        """Gives a report for each file, until it is stopped.

        Raises:
            NoRoomError: nothing more can be written; after all reports.
        """
        tasks = _tasks(self._files)
        waiting: deque[_Task] = deque()
        while self._hand_out(tasks, waiting):
            if (done := waiting[0].done) is None:
                self._take()
            else:
                yield from self._reports(waiting.popleft().sources, done)
        if self._no_room:
            yield from unbegun(chain.from_iterable(task.sources for task in tasks))
            raise NoRoomError(self._no_room)

    def _hand_out(self, tasks: Iterator[_Task], waiting: deque[_Task]) -> bool:
        """Sees to it that all processes have work; tells whether reports are to come yet.

        Args:
            tasks: those that nobody has been given.
            waiting: those whose reports are to come, in order.
        """
        while not self._stopped and len(waiting) < self._count * _TASKS_AHEAD:
            idle = next((one for one in self._processes if one.task is None), None)
            if idle is None and len(self._processes) == self._count:
                break
            task = next(tasks, None)
            if task is None:
                break
            waiting.append(task)
            (idle or self._start()).give(task)
        return bool(waiting)

    def _take(self) -> None:
        """Waits for what becomes of a task, or of a process."""
        ready = connection.wait([process.connection for process in self._processes])
        for process in [one for one in self._processes if one.connection in ready]:
            if not process.take():
                self._processes.remove(process)
                process.end()

    def _reports(self, sources: Sequence[Source], done: _Done) -> Iterator[FileReport]:
        """Gives the reports of a task, and of what was not begun of it for want of room."""
        self._read += done.read
        self._moved(self._read)
        if done.no_room:
            self._no_room = self._no_room or done.no_room
            self.stop()
        yield from done.reports
        if self._no_room:
            yield from unbegun(sources[done.sources :])


def _tasks(files: Sequence[Source]) -> Iterator[_Task]:
    start = size = 0
    for number, file in enumerate(files, 1):
        size += file.size
        if number - start >= _TASK_FILES or size >= _TASK_BYTES or number == len(files):
            yield _Task(slice(start, number), files[start:number])
            start, size = number, 0


# --- In the processes -------------------------------------------------------------------


def _work(
    prepare: Prepare,
    files: Sequence[Source],
    parent: Connection,
    stops: Connection,
    copied: Sequence[Connection],
) -> None:
    """Does tasks until there are no more.

    Args:
        prepare: makes what does them.
        files: what they are about.
        parent: gives tasks, as the places of files, and None after the last; is told what
            became of each. The process ends at once when it is closed, or the command has ended.
        stops: closed by the command when nothing more is to be done.
        copied: ends of connections that are the command's alone.
    """
    for each in copied:
        each.close()
    # A signal of the terminal is for the command, which says what becomes of its processes.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    tasks: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
    stopped = threading.Event()
    threading.Thread(
        target=_listen, args=(parent, stops, tasks, stopped), name="parent", daemon=True
    ).start()
    try:
        with prepare(lambda: not stopped.is_set()) as work:
            # It stays to the end: to look for garbage in it takes a tenth of the time.
            gc.freeze()
            while (task := tasks.get()) is not None:
                parent.send(_do(files[slice(*task)], work, stopped))
    except Exception as error:  # noqa: BLE001
        # It is raised there, as if the work had been done there.
        parent.send(error)


def _listen(
    parent: Connection,
    stops: Connection,
    tasks: SimpleQueue[tuple[int, int] | None],
    stopped: threading.Event,
) -> None:
    heard = [parent, stops]
    while True:
        ready = connection.wait(heard)
        if stops in ready:
            stopped.set()
            heard.remove(stops)
        if parent in ready:
            try:
                tasks.put(parent.recv())
            except (EOFError, OSError):
                # What is partial is without a lock then: the next run removes it.
                os._exit(1)


def _do(task: Sequence[Source], work: Work, stopped: threading.Event) -> _Done:
    """Does a task."""
    reports: list[FileReport] = []
    sources = read = 0

    def moved(size: int) -> None:
        nonlocal read
        read += size

    with suppress(StoppedError):
        for source in task:
            if stopped.is_set():
                break
            try:
                reports += work(source, moved)
            except NoRoomError as error:
                return _Done(reports, sources, read, str(error))
            sources += 1
    return _Done(reports, sources, read)
