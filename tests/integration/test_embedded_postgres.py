"""PostgreSQL from a wheel: kept data, killed servers, and folders of every kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from deid_service.embedded.postgres import EmbeddedPostgres, EmbeddedPostgresError

if TYPE_CHECKING:
    from pathlib import Path

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


def start_process(folder: Path) -> subprocess.Popen[str]:
    """Starts the module as a program and waits until it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deid_service.embedded.postgres", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready postgresql://")
    return process


def server_of(folder: Path) -> psutil.Process:
    """Returns the server process of a folder."""
    return psutil.Process(int((folder / "data/postmaster.pid").read_text().split()[0]))


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
