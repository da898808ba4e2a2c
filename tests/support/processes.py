"""A service as processes of its own, as an operator runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, AnyStr

import psutil

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping


class ServiceProcess:
    """A running `python -m` of a service.

    Attributes:
        address: HOST:PORT, as announced.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._may_read = threading.Event()
        self._may_read.set()
        self._reader = threading.Thread(target=self._read, args=(process.stderr,))
        self._reader.start()
        announced = process.stdout.readline()
        self.address = announced.removeprefix("listening on ").strip()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._may_read.wait()
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()

    def wait_for(self, pattern: str, *, times: int = 1) -> list[re.Match[str]]:
        """Waits until the log matches so often, and returns the matches in order."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.found(pattern)) >= times, 20), pattern
            return self.found(pattern)

    def found(self, pattern: str) -> list[re.Match[str]]:
        """Returns what the log has of a pattern."""
        return [found for line in self._lines if (found := re.search(pattern, line))]

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Reads nothing of the log, which fills what is between."""
        self._may_read.clear()
        try:
            yield
        finally:
            self._may_read.set()

    def workers(self, *, times: int) -> list[int]:
        """Returns the process ids of the workers in the order they were started."""
        return [
            int(found[1]) for found in self.wait_for(r"worker_started .*pid=(\d+)", times=times)
        ]

    def supervisor(self) -> psutil.Process:
        """Returns its first process."""
        return psutil.Process(self._process.pid)

    def processes(self) -> list[psutil.Process]:
        """Returns the workers that there are."""
        return self.supervisor().children()

    def signal(self, number: signal.Signals) -> None:
        """Sends the supervisor a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Waits until every process of the service has ended; returns the exit code."""
        code = self._process.wait(20)
        # Every one of them has the stream open.
        self._reader.join(20)
        assert not self._reader.is_alive(), "A worker has outlived its supervisor."
        return code


@contextmanager
def child(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """Waits for a process at the end, as it does as a context; kills it where a test fails.

    A test that fails would wait for ever else for what it did not come to do.
    """
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


@contextmanager
def service_process(
    *arguments: str,
    module: str = "deid_service",
    environment: Mapping[str, str] | None = None,
    interpreter: str = sys.executable,
) -> Iterator[ServiceProcess]:
    """Runs a service; stops it at the end if it still runs."""
    with subprocess.Popen(
        [interpreter, "-m", module, "--listen", "127.0.0.1:0", *arguments],
        env=os.environ | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        service = ServiceProcess(process)
        try:
            yield service
        finally:
            if process.poll() is None:
                process.terminate()
            service.wait()
