"""The service as an operator runs it: a supervisor, workers, signals and deaths."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

from deid_service.client import Source, Upload
from tests.support.callers import open_channel
from tests.support.deid_service import (
    TARGET,
    Caller,
    chunk,
    end,
    opened,
    start,
    status_of,
    whole_file,
)
from tests.support.processes import ServiceProcess, service_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import grpc


def run(profile_service: str, *arguments: str) -> list[str]:
    """Returns the arguments of a service with two workers."""
    return ["--profile-service", profile_service, "--workers", "2", *arguments]


def begun_file(channel: grpc.Channel) -> Caller:
    """Returns a stream in the middle of a file, of which output has come already."""
    caller = Caller(channel, opened(), start(), chunk(bytes(100_000)))
    answers = [caller.receive().WhichOneof("message") for _ in range(3)]
    assert answers == ["opened", "file", "chunk"]
    return caller


def worker_of(service: ServiceProcess, caller: Caller) -> int:
    """Ends a file and its stream, and returns the worker that logged it."""
    before = len(service.found("event=stream"))
    caller.send(end())
    caller.half_close()
    caller.receive_all()
    lines = service.wait_for(r"deid_service\[(\d+)\] event=stream", times=before + 1)
    return int(lines[-1][1])


def test_four_clients_are_shared_by_two_workers(blank_profile_service: str) -> None:
    """Clients that come one after the other are spread evenly, round after round."""
    with service_process(*run(blank_profile_service)) as service:
        for _ in range(3):
            channels = [open_channel(service.address) for _ in range(4)]
            callers = [begun_file(channel) for channel in channels]

            carried = Counter(worker_of(service, caller) for caller in callers)
            for channel in channels:
                channel.close()

            assert sorted(carried.values()) == [2, 2]


def test_sigterm_finishes_open_files(blank_profile_service: str) -> None:
    """The open file gets its receipt, and then every process ends, with exit code 0."""
    with (
        service_process(*run(blank_profile_service)) as service,
        open_channel(service.address) as channel,
    ):
        caller = begun_file(channel)

        service.signal(signal.SIGTERM)
        service.wait_for("event=drain", times=2)
        caller.send(end())

        assert caller.receive_result()[1].receipt.bytes_in == 100_000
        assert status_of(caller.receive) == ("UNAVAILABLE", "SHUTTING_DOWN")
        assert service.wait() == 0


def test_a_second_signal_does_not_wait(blank_profile_service: str) -> None:
    """An operator who insists does not wait for open files."""
    with (
        service_process(*run(blank_profile_service)) as service,
        open_channel(service.address) as channel,
    ):
        caller = begun_file(channel)
        service.signal(signal.SIGINT)
        service.wait_for("event=drain", times=2)

        service.signal(signal.SIGINT)

        assert service.wait() == 1
        assert status_of(caller.receive_all)[0] == "UNAVAILABLE"


def test_a_worker_that_is_killed_is_replaced(blank_profile_service: str) -> None:
    """Its streams break, the other worker's go on, and there are two again."""
    with service_process(*run(blank_profile_service)) as service, ExitStack() as channels:
        carried = carried_by_two(service, channels)
        victim, spared = carried

        os.kill(victim, signal.SIGKILL)

        service.wait_for("event=worker_died .*code=-9")
        service.wait_for("event=health status=SERVING", times=3)
        for caller in carried[victim] + carried[spared]:
            caller.send(end())
            caller.half_close()
        broken = {status_of(caller.receive_all) for caller in carried[victim]}
        kept = {status_of(caller.receive_all) for caller in carried[spared]}
        assert (broken, kept) == ({("UNAVAILABLE", "")}, {("OK", "")})
        again = carried_by_two(service, channels)
        assert spared in again
        assert victim not in again


def carried_by_two(service: ServiceProcess, channels: ExitStack) -> dict[int, list[Caller]]:
    """Returns streams in the middle of a file, by the workers that carry them, of which two do.

    Which one takes a connection is a matter of moments where two come close together.
    """
    carried: dict[int, list[Caller]] = {}
    while len(carried) < 2:
        files = len(service.found("event=file"))
        channel = channels.enter_context(open_channel(service.address))
        caller = Caller(channel, opened(), *whole_file(b"x"))
        assert caller.receive().WhichOneof("message") == "opened"
        caller.receive_result()
        lines = service.wait_for(r"deid_service\[(\d+)\] event=file", times=files + 1)
        caller.send(start("g"), chunk(bytes(100_000)))
        answers = [caller.receive().WhichOneof("message") for _ in range(2)]
        assert answers == ["file", "chunk"]
        carried.setdefault(int(lines[-1][1]), []).append(caller)
    return carried


def test_an_upload_survives_the_death_of_a_worker(
    blank_profile_service: str, tmp_path: Path
) -> None:
    """A kill in the middle of a file costs nothing: each file is there, once and whole."""
    data = os.urandom(300_000)
    killed = threading.Event()

    def sources() -> Iterator[Source]:
        for number in range(30):
            if number == 15:
                killed.wait(20)
            yield Source.of_bytes(f"{number}.bin", data)

    with service_process(*run(blank_profile_service)) as service:
        channel = open_channel(service.address)
        with Upload([channel], TARGET, sources(), tmp_path) as upload:
            results = [next(upload)]
            for worker in service.workers(times=2):
                os.kill(worker, signal.SIGKILL)
            service.wait_for("event=worker_died .*code=-9", times=2)
            killed.set()
            results += upload
        channel.close()

    assert sorted(result.name for result in results if result.complete) == sorted(
        f"{number}.bin" for number in range(30)
    )
    assert {path.name for path in tmp_path.iterdir()} == {f"{n}.bin" for n in range(30)}
    assert all(path.read_bytes() == data for path in tmp_path.iterdir())


def test_workers_do_not_outlive_their_supervisor(blank_profile_service: str) -> None:
    """Workers whose supervisor is killed end by themselves."""
    with service_process(*run(blank_profile_service)) as service:
        service.signal(signal.SIGKILL)

        assert service.wait() == -signal.SIGKILL


def test_a_port_that_is_taken_is_not_shared(blank_profile_service: str) -> None:
    """A second service on the same port fails at once, and says why."""
    with service_process(*run(blank_profile_service)) as service:
        second = subprocess.run(
            [sys.executable, "-m", "deid_service", "--listen", service.address],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert second.returncode == 1
    assert second.stderr == (
        f"deid_service: Cannot listen on {service.address}: Address already in use.\n"
    )


def test_a_port_is_free_again_at_once(blank_profile_service: str) -> None:
    """A service can be restarted on its port although connections to the old one linger."""
    with service_process(*run(blank_profile_service)) as service:
        with open_channel(service.address) as channel:
            caller = Caller(channel, opened(), *whole_file(b"x"))
            caller.half_close()
            caller.receive_all()
            service.signal(signal.SIGTERM)
            assert service.wait() == 0

        again = [*run(blank_profile_service), "--listen", service.address]
        with service_process(*again) as restarted:
            assert restarted.address == service.address
