"""PostgreSQL from a wheel: kept data, killed servers, and folders of every kind."""

from __future__ import annotations

import os
import pwd
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from deid_service.embedded import programs
from deid_service.embedded.errors import EmbeddedPostgresError
from deid_service.embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_SECONDS = 30


def test_data_survives_a_restart(tmp_path: Path) -> None:
    """What was stored is there when the server is started on the same folder again."""
    with EmbeddedPostgres(tmp_path, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        one.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with EmbeddedPostgres(tmp_path, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        assert one.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_it_listens_on_no_port(tmp_path: Path) -> None:
    """The server is reached by a socket in a folder that is closed to others."""
    with EmbeddedPostgres(tmp_path, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        assert one.execute("SHOW listen_addresses").fetchone() == ("",)
        row = one.execute("SHOW unix_socket_directories").fetchone()
        assert row is not None
        assert os.stat(row[0]).st_mode & 0o077 == 0  # noqa: PTH116 -- the text of a setting


@pytest.mark.parametrize("folder", ["with space, comma 'and' quotes", "d" * 150])
def test_any_folder_will_do(tmp_path: Path, folder: str) -> None:
    """Neither odd characters nor a path that is too long for a socket keep it from starting."""
    with (
        EmbeddedPostgres(tmp_path / folder, durable=False) as conninfo,
        psycopg.connect(conninfo) as one,
    ):
        assert one.execute("SELECT 1").fetchone() == (1,)


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    """A second server on a folder that is in use does not start, nor disturb the first."""
    with EmbeddedPostgres(tmp_path, durable=False) as conninfo:
        with pytest.raises(EmbeddedPostgresError, match="Another process runs"):
            EmbeddedPostgres(tmp_path, durable=False).start()
        with psycopg.connect(conninfo) as one:
            assert one.execute("SELECT 1").fetchone() == (1,)


def test_programs_below_a_closed_folder(tmp_path: Path) -> None:
    """Installed where nobody else may go, as below /root, it runs all the same."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    site = programs.program("postgres").parents[3]
    for part in filter(Path.exists, map(site.joinpath, programs.COPIED)):
        programs.copy(part, closed / part.relative_to(site))
    (closed / programs.PACKAGE / "__init__.py").touch()
    # Closed by itself, too, as by a strict umask.
    for path in closed.rglob("*"):
        path.chmod(0o700)

    with start_process(tmp_path / "data", PYTHONPATH=str(closed)) as process:
        server = server_of(tmp_path / "data")
        program = Path(server.exe())
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0

    if os.geteuid() == 0:
        # What was copied for it is gone again.
        assert not program.exists()
    else:
        assert program.is_relative_to(closed)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; those that pytest makes are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("name", ["short", "d" * 150], ids=["short", "long"])
def test_only_its_user_comes_in(open_folder: Path, name: str) -> None:
    """In a folder that is open to others, too, all that it has is closed, and it asks who comes."""
    folder = open_folder / name
    folder.mkdir(mode=0o755)

    with EmbeddedPostgres(folder, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        rules = one.execute("SELECT DISTINCT auth_method, user_name FROM pg_hba_file_rules")
        assert rules.fetchall() == [("peer", ["all"])]
        row = one.execute("SHOW unix_socket_directories").fetchone()
        server = server_of(folder)
        sockets = Path(one.info.host)
        assert row is not None
        if os.geteuid() == 0:
            for action, path in attempts(server, sockets, row[0]):
                assert (action, path, as_nobody(action, path)) == (action, path, "closed")
            assert privileges_of(server) == 0
            assert server.uids().real not in {0, pwd.getpwnam("nobody").pw_uid}
        else:
            assert sockets.stat().st_mode & 0o077 == 0
            assert server.uids().real == os.geteuid()


def attempts(server: psutil.Process, sockets: Path, inherited: str) -> list[tuple[str, str]]:
    """Returns what another user may try: to read files, and to connect to sockets."""
    there = Path("/proc", str(server.pid))
    return [
        ("read", str(server.cwd() + "/PG_VERSION")),
        ("read", str(there / "cwd/PG_VERSION")),
        ("connect", str(sockets / ".s.PGSQL.5432")),
        ("connect", inherited.replace("/proc/self", str(there)) + "/.s.PGSQL.5432"),
    ]


def as_nobody(action: str, path: str) -> str:
    """Returns "open" when a process of the user `nobody` can do it, and else "closed"."""
    script = """
import os, pwd, socket, sys
action, path = sys.argv[1:]
os.setgroups([])
os.setgid(pwd.getpwnam("nobody").pw_gid)
os.setuid(pwd.getpwnam("nobody").pw_uid)
try:
    if action == "read":
        open(path).close()
    else:
        socket.socket(socket.AF_UNIX).connect(path)
except OSError:
    print("closed")
else:
    print("open")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, action, path], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def privileges_of(process: psutil.Process) -> int:
    """Returns the capabilities that a process has or could take again, as a mask."""
    status = Path("/proc", str(process.pid), "status").read_text()
    masks = re.findall(r"^Cap(?:Prm|Eff|Amb):\s+(\w+)$", status, re.MULTILINE)
    assert len(masks) == 3
    return int(masks[0], 16) | int(masks[1], 16) | int(masks[2], 16)


def test_it_takes_a_database_that_trusted_everyone(tmp_path: Path) -> None:
    """What an earlier version made, which asked nobody, asks from the next start on."""
    with EmbeddedPostgres(tmp_path, durable=False):
        pass
    (tmp_path / "data/pg_hba.conf").write_text("local all all trust\n")

    with EmbeddedPostgres(tmp_path, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        rules = one.execute("SELECT auth_method FROM pg_hba_file_rules").fetchall()

    assert rules == [("peer",)]


def start_process(folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Starts the module as a program and waits until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deid_service.embedded.postgres", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready postgresql://")
    return process


def server_of(folder: Path) -> psutil.Process:
    """Returns the server process of a folder."""
    return psutil.Process(int((folder / "data/postmaster.pid").read_text().split()[0]))


def test_the_program_starts_a_killed_server_again(tmp_path: Path) -> None:
    """A server that was killed is there again under the same address, and that is said."""
    with start_process(tmp_path) as process:
        assert process.stdout is not None
        killed = server_of(tmp_path)
        killed.kill()

        assert process.stdout.readline() == (
            "note PostgreSQL was ended by SIGKILL, and was started again.\n"
        )

        with psycopg.connect(host=str(tmp_path / "socket"), user="deidcascade", dbname="postgres"):
            assert server_of(tmp_path) != killed
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_stops_its_server(tmp_path: Path, number: signal.Signals) -> None:
    """Told to end, it stops the server and ends with 0."""
    with start_process(tmp_path) as process:
        server = server_of(tmp_path)
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not server.is_running()


def test_a_server_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    """After kill -9 of the program its server is stopped, and the data is there."""
    with start_process(tmp_path) as process:
        leftover = server_of(tmp_path)
        process.kill()
    with EmbeddedPostgres(tmp_path) as conninfo, psycopg.connect(conninfo) as one:
        assert one.execute("SELECT 1").fetchone() == (1,)
        assert not leftover.is_running()


def test_a_killed_server_recovers(tmp_path: Path) -> None:
    """After kill -9 of the program and its server, what was committed is there."""
    with start_process(tmp_path) as process:
        socket_folder = f"host={tmp_path / 'socket'} user=deidcascade dbname=postgres"
        with psycopg.connect(socket_folder) as one:
            one.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        server = server_of(tmp_path)
        process.kill()
        server.kill()
        psutil.wait_procs([server], timeout=PATIENCE_SECONDS)
    with EmbeddedPostgres(tmp_path) as conninfo, psycopg.connect(conninfo) as one:
        assert one.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_pid_that_another_program_has_now_is_no_server(tmp_path: Path) -> None:
    """After a restart of the machine the old process id may be anyone's; it is left alone."""
    with EmbeddedPostgres(tmp_path, durable=False):
        pid_file = tmp_path / "data/postmaster.pid"
        lines = pid_file.read_text().splitlines()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:], ""]))
        with (
            EmbeddedPostgres(tmp_path, durable=False) as conninfo,
            psycopg.connect(conninfo) as one,
        ):
            assert one.execute("SELECT 1").fetchone() == (1,)
        assert stranger.poll() is None


def test_an_unfinished_database_is_made_anew(tmp_path: Path) -> None:
    """What a killed initdb left is not taken for a database."""
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path, durable=False) as conninfo, psycopg.connect(conninfo) as one:
        assert one.execute("SELECT 1").fetchone() == (1,)


def test_the_end_of_the_log_tells_why_it_did_not_start(tmp_path: Path) -> None:
    """When PostgreSQL refuses, its own words are in the error."""
    with EmbeddedPostgres(tmp_path, durable=False):
        pass
    (tmp_path / "data/PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedPostgresError, match="incompatible with server"):
        EmbeddedPostgres(tmp_path, durable=False).start()
