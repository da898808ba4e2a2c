"""Work on files by several processes: one Python process uses one core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING

from deid_service.cli.interruption import SIGNALS
from deid_service.cli.results import FileReport, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
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

DIED = "A process that worked on it ended; an output of it may be there already."


def processes_for(files: Sequence[Source]) -> int:
    """Returns how many processes files are worth: 1, or as many as there are cores."""
    seconds = len(files) / _FILES_PER_SECOND + sum(f.size for f in files) / _BYTES_PER_SECOND
    if seconds <= 1:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

    def stop(self) -> None:
        """Ends what is under way; nothing partial stays."""
        self._stopped.set()

    def run(self, files: Sequence[Source]) -> Iterator[FileReport]:
        """Gives a report for each file, until it is stopped."""
        waiting: deque[tuple[Sequence[Source], Future[tuple[list[FileReport], int]]]] = deque()
        pool = self._pool()
        try:
            for task in _tasks(files):
                if self._stopped.is_set():
                    return
                try:
                    done = pool.submit(_do, task)
                except BrokenProcessPool:
                    pool = self._pool()
                    done = pool.submit(_do, task)
                waiting.append((task, done))
                if len(waiting) >= self._count * _TASKS_AHEAD:
                    yield from self._reports(*waiting.popleft())
            while waiting and not self._stopped.is_set():
                yield from self._reports(*waiting.popleft())
        finally:
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._count, self._context, _begin, (self._prepare, self._stopped)
        )

    def _reports(
        self, task: Sequence[Source], done: Future[tuple[list[FileReport], int]]
    ) -> list[FileReport]:
        try:
            reports, read = done.result()
        except BrokenProcessPool:
            return [
                FileReport(one.name, Word.FAILED, reason="NOT_WRITTEN", problem=DIED)
                for one in task
            ]
        self._read += read
        self._moved(self._read)
        return reports


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


def _begin(prepare: Prepare, stopped: Event) -> None:
    """Prepares a process for its tasks."""
    # A signal of the terminal is for the command, which says what becomes of its processes.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    _here["work"] = prepare(lambda: not stopped.is_set()), stopped


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        # What is partial is without a lock then: the next run removes it.
        os._exit(1)


def _do(task: Sequence[Source]) -> tuple[list[FileReport], int]:
    """Returns the reports of a task, and how many bytes were read for it."""
    work, stopped = _here["work"]
    reports: list[FileReport] = []
    read = 0

    def moved(size: int) -> None:
        nonlocal read
        read += size

    for source in task:
        for report in work(source, moved):
            if stopped.is_set():
                return reports, read
            reports.append(report)
    return reports, read
