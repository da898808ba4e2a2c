"""Work on files by several processes: one Python process uses one core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain
from multiprocessing import connection
from typing import TYPE_CHECKING, NamedTuple

from deid_service.cli.interruption import SIGNALS
from deid_service.cli.results import FileReport, Word
from deid_service.cli.treating import StoppedError
from deid_service.client import NoRoomError
from profile_service.serving.cpus import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import BaseContext
    from multiprocessing.synchronize import Event

    from deid_service.client import Source

    # Does one source, which may be an archive; stops where it is told not to go on.
    Work = Callable[[Source, Callable[[int], None]], Iterator[FileReport]]
    # Makes that in the process that does it, from what says whether to go on.
    Prepare = Callable[[Callable[[], bool]], Work]

# What one process does in a second, roughly: below that, starting others costs more than
# they bring.
_FILES_PER_SECOND = 3000
_BYTES_PER_SECOND = 500_000_000

# What a process is given at once: enough that handing it over does not count, little
# enough that reports come steadily.
_TASK_FILES = 32
_TASK_BYTES = 16 * 1024 * 1024

# How many tasks there are for each process, so that none waits for the slowest.
_TASKS_AHEAD = 4

_FORKSERVER = "forkserver"

DIED = "A process that worked on it ended."
UNBEGUN = "The command ended before this file was begun."


def processes_for(files: Sequence[Source]) -> int:
    """Returns how many processes files are worth: 1, or as many as cores may be used."""
    seconds = len(files) / _FILES_PER_SECOND + sum(f.size for f in files) / _BYTES_PER_SECOND
    return 1 if seconds <= 1 else cores()


def _context(preload: str) -> BaseContext:
    # Fork does not go together with threads, of which there are some. A process without
    # any, which imports all once, forks the others where the system can do that.
    if _FORKSERVER not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context(_FORKSERVER)
    context.set_forkserver_preload([preload])
    return context


def get_ready(preload: str) -> None:
    """Begins to import a module for processes that may be wanted, beside what else is to do.

    Args:
        preload: the module.
    """
    context = _context(preload)
    if context.get_start_method() == _FORKSERVER:
        from multiprocessing.forkserver import ensure_running  # not on Windows

        ensure_running()


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
    sources: int
    read: int
    no_room: str = ""


_Waiting = tuple["Sequence[Source]", "Future[_Done]"]


class Processes:
    """Does work in several processes, and gives its reports in the order of the files."""

    def __init__(
        self, count: int, prepare: Prepare, moved: Callable[[int], None], *, preload: str
    ) -> None:
        """Prepares; the processes are started as there is work.

        Args:
            count: how many.
            prepare: makes what each of them does; is pickled.
            moved: told how many bytes have been read, of all files.
            preload: the module that has what is prepared.
        """
        self._count = count
        self._prepare = prepare
        self._moved = moved
        self._read = 0
        self._context = _context(preload)
        self._stopped = self._context.Event()
        self._no_room = ""
        self._pool, self._end = self._new_pool()

    def stop(self) -> None:
        """Ends what is under way; nothing partial stays."""
        self._stopped.set()

    def run(self, files: Sequence[Source]) -> Iterator[FileReport]:
        """Gives a report for each file, until it is stopped.

        Raises:
            NoRoomError: nothing more can be written; after all reports.
        """
        waiting: deque[_Waiting] = deque()
        tasks = _tasks(files)
        try:
            for task in tasks:
                waiting.append((task, self._submit(task)))
                if len(waiting) >= self._count * _TASKS_AHEAD:
                    yield from self._reports(*waiting.popleft())
                if self._stopped.is_set():
                    break
            while waiting:
                yield from self._reports(*waiting.popleft())
        finally:
            self._stopped.set()
            self._pool.shutdown(cancel_futures=True)
            self._end.close()
        if self._no_room:
            yield from unbegun(chain.from_iterable(tasks))
            raise NoRoomError(self._no_room)

    def _new_pool(self) -> tuple[ProcessPoolExecutor, Connection]:
        """Returns a pool, and what its processes end with when it is closed."""
        ends, end = self._context.Pipe(duplex=False)
        return ProcessPoolExecutor(
            self._count, self._context, _begin, (self._prepare, self._stopped, ends)
        ), end

    def _submit(self, task: Sequence[Source]) -> Future[_Done]:
        try:
            return self._pool.submit(_do, task)
        except BrokenProcessPool:
            # Those that are left may wait for a lock that the dead one had, and the pool for
            # them.
            self._end.close()
            self._pool.shutdown()
            self._pool, self._end = self._new_pool()
            return self._pool.submit(_do, task)

    def _reports(self, task: Sequence[Source], future: Future[_Done]) -> Iterator[FileReport]:
        """Gives the reports of a task, and of what was not begun of it for want of room."""
        if self._stopped.is_set() and future.cancel():
            done = _Done([], 0, 0)
        else:
            try:
                done = future.result()
            except BrokenProcessPool:
                self._end.close()
                for file in task:
                    yield FileReport(file.name, Word.FAILED, reason="NOT_WRITTEN", problem=DIED)
                return
        self._read += done.read
        self._moved(self._read)
        if done.no_room:
            self._no_room = self._no_room or done.no_room
            self._stopped.set()
        yield from done.reports
        if self._no_room:
            yield from unbegun(task[done.sources :])


def _tasks(files: Sequence[Source]) -> Iterator[list[Source]]:
    task: list[Source] = []
    size = 0
    for file in files:
        task.append(file)
        size += file.size
        if len(task) >= _TASK_FILES or size >= _TASK_BYTES:
            yield task
            task, size = [], 0
    if task:
        yield task


# --- In the processes -------------------------------------------------------------------

_here: dict[str, tuple[Work, Event]] = {}


def _begin(prepare: Prepare, stopped: Event, ends: Connection) -> None:
    """Prepares a process for its tasks.

    Args:
        prepare: makes what it does.
        stopped: set when nothing more is to be done.
        ends: closed by the command when the process is to end at once.
    """
    # A signal of the terminal is for the command, which says what becomes of its processes.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(ends,), name="parent", daemon=True).start()
    _here["work"] = prepare(lambda: not stopped.is_set()), stopped


def _end_with(ends: Connection) -> None:
    # The other end is closed with the command, too, however that ends.
    connection.wait([ends])
    # What is partial is without a lock then: the next run removes it.
    os._exit(1)


def _do(task: Sequence[Source]) -> _Done:
    """Does a task."""
    work, stopped = _here["work"]
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
