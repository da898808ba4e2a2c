"""The embedded mode: PostgreSQL, ProfileService and DeidService on this machine.

    with Standalone(folder) as pair:
        ...  # pair.profile_service and pair.deid_service are addresses
        pair.wait()

Each is a process of its own, tethered to this one (`deid_service.embedded.tether`): none
outlives it, however it ends. All data is in one folder, and only one Standalone
at a time uses it.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NoReturn, Self

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from deid_service.embedded.errors import StandaloneError
from deid_service.embedded.logfile import LogFile, end_of_log
from profile_service.keys.files import kept_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST = "127.0.0.1"

# Who serves the tables, and does not own them: it can change no event of the audit.
SERVICE_ROLE = "deidcascade_service"

# Needs the extra `embedded`, which the services do not.
DATABASE_MODULE = "deid_service.embedded.postgres"

# A start takes seconds, on a busy machine several times that; one that takes
# longer is reported instead of waited for.
START_SECONDS = 60.0

# The worker processes of DeidService: two streams at once, on a machine that a person
# works on meanwhile. ProfileService has one: it does little for each of them.
DEID_WORKERS = 2

# How long DeidService may finish the files under way once it is told to stop.
DRAIN_SECONDS = 3.0

# How long the last words of a process that has ended may take.
LAST_WORDS_SECONDS = 0.5

# How long a signal can go unseen.
SIGNAL_SECONDS = 0.5

# How long a process may take to end before it is killed. The database takes a
# moment, and is not to be killed while it writes to a slow disk.
STOP_SECONDS = 6.0
DATABASE_STOP_SECONDS = 40.0

# How a process says something that the person who started all of this should read.
NOTE = "note "


class Standalone:
    """PostgreSQL and both services, from `with` to the end of its block.

    Attributes:
        profile_service: the address of ProfileService.
        deid_service: the address of DeidService.
        admin_key: the file with the API key of an administrator.
    """

    def __init__(self, data: Path, *, profile_port: int = 0, deid_port: int = 0) -> None:
        """Prepares a start.

        Args:
            data: the folder that keeps everything; made when it is not there.
            profile_port: the port of ProfileService; 0 takes one that is free.
            deid_port: the port of DeidService; 0 takes one that is free.
        """
        self.profile_service = ""
        self.deid_service = ""
        self.admin_key = data / "admin.key"
        self._data = data
        self._ports = (profile_port, deid_port)
        # A process that has ended by itself, or what one has to say.
        self._news: SimpleQueue[Process | str] = SimpleQueue()
        self._running = ExitStack()

    @property
    def logs(self) -> Path:
        """The folder with a log of each process."""
        return self._data / "log"

    def __enter__(self) -> Self:
        """Starts everything and waits until both services are ready.

        Raises:
            StandaloneError: something did not start, or the folder is in use.
        """
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stops everything, DeidService first."""
        self._running.close()

    def wait(self, tell: Callable[[str], None]) -> NoReturn:
        """Waits until a process ends by itself; KeyboardInterrupt gets out of it.

        Args:
            tell: gets, in a sentence, what happened that did not end anything.

        Raises:
            StandaloneError: which process ended, and the end of its log.
        """
        while True:
            try:
                news = self._news.get(timeout=SIGNAL_SECONDS)
            except Empty:
                # A signal that another thread took, or that came on the way into
                # the wait, does not end a wait: it is seen here.
                continue
            if isinstance(news, Process):
                raise news.failure("ended by itself")
            tell(news)

    def _start(self) -> None:
        require_embedded_postgres()
        self._lock()
        for port in self._ports:
            require_free(port)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        database = self._spawn(
            "postgresql",
            DATABASE_MODULE,
            str(self._data / "postgresql"),
            stop_seconds=DATABASE_STOP_SECONDS,
        )
        profile_port, deid_port = self._ports
        service_key = self._data / "service.key"
        conninfo = database.said(re.compile(r"ready (.+)"))
        served = re.sub("//[^@]*@", f"//{SERVICE_ROLE}@", conninfo)
        self._set_up(conninfo, served)
        self.profile_service = self._serve(
            "profile-service",
            "profile_service",
            profile_port,
            "--database",
            served,
            "--workers",
            "1",
            "--admin-key-file",
            str(self.admin_key),
            "--service-key-file",
            str(service_key),
            "--master-key-file",
            self._key("master"),
        )
        self.deid_service = self._serve(
            "deid-service",
            "deid_service",
            deid_port,
            "--profile-service",
            self.profile_service,
            "--key-file",
            str(service_key),
            "--drain-seconds",
            f"{DRAIN_SECONDS:g}",
            "--workers",
            str(DEID_WORKERS),
        )

    def _set_up(self, owner: str, served: str) -> None:
        """Migrates the database, and makes the role that ProfileService serves it with."""
        arguments = ("--owner-database", owner, "--database", served)
        Process(
            "set-up", "profile_service", arguments, self.logs / "set-up.log", SimpleQueue()
        ).said(re.compile("(the database is set up)"))

    def _key(self, name: str) -> str:
        """Returns the path of a key, which is made where it is not there."""
        try:
            return str(kept_secret(self._data / f"{name}.key"))
        except OSError as error:
            raise StandaloneError(
                f"cannot write a key into {self._data}: {error.strerror}."
            ) from error

    def _serve(self, name: str, module: str, port: int, *arguments: str) -> str:
        service = self._spawn(name, module, "--listen", f"{HOST}:{port}", *arguments)
        address = service.said(re.compile(r"listening on (\S+:\d+)"))
        if not is_healthy(address):
            raise service.failure(f"was not ready within {START_SECONDS:g} s")
        return address

    def _spawn(
        self, name: str, module: str, *arguments: str, stop_seconds: float = STOP_SECONDS
    ) -> Process:
        process = Process(name, module, arguments, self.logs / f"{name}.log", self._news)
        self._running.callback(process.stop, stop_seconds)
        return process

    def _lock(self) -> None:
        try:
            # Profiles hold salts, by which hashes could be undone.
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._data / "lock"
            lock = self._running.enter_context(path.open("a+", encoding="utf-8"))
        except OSError as error:
            raise StandaloneError(
                f"cannot use the folder {self._data}: {error.strerror}."
            ) from error
        try:
            # The system releases it when this process ends, however it ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StandaloneError(
                f"the folder {self._data} is in use by process {lock.read().strip()}: stop that "
                "one, or give another folder with --data."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()


class Process:
    """A tethered child process; its output goes to a log."""

    def __init__(
        self,
        name: str,
        module: str,
        arguments: tuple[str, ...],
        log: Path,
        news: SimpleQueue[Process | str],
    ) -> None:
        """Starts it.

        Args:
            name: what people call it.
            module: what `python -m` runs.
            arguments: its command line.
            log: the file that gets its output.
            news: where it is put when it ends by itself, and what it has to say.
        """
        self._name = name
        self._log = log
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._news = news
        self._started = False
        self._stopping = False
        file = LogFile(log)
        self._process = subprocess.Popen(  # noqa: S603 -- runs modules of this project only
            [sys.executable, "-m", "deid_service.embedded.tether", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Through this process, which keeps the log from growing without end.
            stderr=subprocess.STDOUT,
            # Modules come from where they are installed, never from the folder
            # that somebody happens to be in.
            env=os.environ | {"PYTHONSAFEPATH": "1"},
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            # Ctrl-C on the terminal is for this process, which stops its
            # children in order.
            process_group=0,
        )
        self._follower = threading.Thread(target=self._follow, args=(file,), daemon=True)
        self._follower.start()
        threading.Thread(target=self._await_end, daemon=True).start()

    def said(self, pattern: re.Pattern[str]) -> str:
        """Returns the first group of the first line of its output that begins like this.

        Raises:
            StandaloneError: it ended first, or took too long.
        """
        while True:
            try:
                line = self._lines.get(timeout=START_SECONDS)
            except Empty:
                raise self.failure(f"said nothing for {START_SECONDS:g} s") from None
            if line is None:
                raise self.failure("did not start")
            if match := pattern.match(line):
                self._started = True
                return match[1]

    def failure(self, what: str) -> StandaloneError:
        """Returns an error that says what happened, with the end of the log."""
        # What it said last may still be on the way; a child of its own may have its output.
        self._follower.join(LAST_WORDS_SECONDS)
        return StandaloneError(f"{self._name} {what}. {end_of_log(self._log)}")

    def stop(self, seconds: float) -> None:
        """Ends it: asks first, and kills it when it does not listen for some seconds."""
        self._stopping = True
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # Its own children are in its process group.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _follow(self, log: LogFile) -> None:
        """Passes its output on, into the log and to whom it concerns."""
        with self._process.stdout or ExitStack():
            for line in self._process.stdout or ():
                log.line(line)
                if line.startswith(NOTE):
                    self._news.put(line.removeprefix(NOTE).rstrip())
                elif not self._started:
                    self._lines.put(line)
        log.close()

    def _await_end(self) -> None:
        """Notes its end: its output may stay open, in a child of its own."""
        self._process.wait()
        self._lines.put(None)
        if not self._stopping:
            self._news.put(self)


def require_embedded_postgres() -> None:
    """Checks that what the embedded PostgreSQL needs is installed.

    Raises:
        StandaloneError: it is not.
    """
    try:
        importlib.import_module(DATABASE_MODULE)
    except ModuleNotFoundError as error:
        raise StandaloneError(
            f"the embedded mode needs the package {error.name}, which is not installed: "
            "pip install 'deid-cascade[embedded]'."
        ) from error


def require_free(port: int) -> None:
    """Checks that a port is free.

    Asked before anything is started, for an answer that comes at once and says
    what to do.

    Raises:
        StandaloneError: it is not.
    """
    with socket.socket() as probe:
        # What a server that has just ended leaves behind does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StandaloneError(
                f"port {port} is not to be had ({error.strerror}). Choose others with "
                "--profile-port and --deid-port; 0 takes one that is free."
            ) from error


def is_healthy(address: str) -> bool:
    """Waits until a service says that it serves; False when that takes too long."""
    with grpc.insecure_channel(address) as channel:
        watch = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            return any(
                answer.status == HealthCheckResponse.SERVING
                for answer in watch(
                    HealthCheckRequest(), timeout=START_SECONDS, wait_for_ready=True
                )
            )
        except grpc.RpcError:
            return False
