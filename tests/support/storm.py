"""New patients on many streams while what serves them is killed: who has which code in the end."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from enum import Enum
from itertools import cycle
from typing import TYPE_CHECKING

import grpc
import psutil
from deidcascade.v1 import deid_service_pb2 as deid_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.keys.files import write_secret
from tests.support import callers
from tests.support.deid_service import Caller, opened
from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import values_of
from tests.support.processes import service_process

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STREAMS, WORKERS = 8, 4
PROJECT = "sites/a/groups/g/projects/1"

# So many files go into one message, and so many messages are sent before answers are read.
BATCH, AHEAD = 16, 4

PATIENT_ID = 0x00100020

_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]

# Asked for again as docs/clients.md has it: a worker finds out by and by that PostgreSQL is back.
_ASKED_AGAIN = {
    "name": [{"service": "deidcascade.v1.ProfileService", "method": "ListSubjects"}],
    "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.5s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    },
}
_READING = [("grpc.service_config", json.dumps({"methodConfig": [_ASKED_AGAIN]}))]


class Victim(Enum):
    """What is killed."""

    POSTGRES = "PostgreSQL"
    PROFILE = "a worker of ProfileService"
    DEID = "a worker of DeidService"


class Storm:
    """Both services with four workers each, on a PostgreSQL that keeps what is committed.

    Attributes:
        broken: how many streams ended with an error.
        killed: what was killed, and how often.
    """

    def __init__(self, folder: Path, running: ExitStack, draw: random.Random) -> None:
        """Starts everything.

        Args:
            folder: keeps the database and the master key.
            running: ends everything.
            draw: chooses who is killed.
        """
        self.broken = 0
        self.killed: Counter[Victim] = Counter()
        self._draw = draw
        # What was acknowledged, by patient; and when there is more.
        self._codes: dict[str, str] = {}
        self._acknowledged = 0
        self._more = threading.Condition()
        self._is_over = False
        self._serves = threading.Event()
        self._serves.set()
        master = folder / "master.key"
        write_secret(master)
        self._postgres = EmbeddedPostgres(folder / "postgresql")
        running.callback(self._postgres.stop)
        self._postgres.start()
        self._folder = folder
        arguments = ["--workers", str(WORKERS), "--master-key-file", str(master)]
        profile = running.enter_context(
            service_process(
                *("--database", self._postgres.conninfo), *arguments, module="profile_service"
            )
        )
        deid = running.enter_context(
            service_process("--profile-service", profile.address, *arguments[:2])
        )
        deid.wait_for("event=health status=SERVING", times=WORKERS)
        self._services = {Victim.PROFILE: profile, Victim.DEID: deid}
        channel = running.enter_context(callers.channel(profile.address, _READING))
        self._service = ProfileServiceStub(channel)

    def prepare(self, assign: str) -> None:
        """Makes a project whose profile gives codes.

        Args:
            assign: the rule's action, and what belongs to it.
        """
        parts = PROJECT.split("/")
        for depth in (2, 4, 6):
            container = pb.Container(name="/".join(parts[:depth]))
            self._service.CreateContainer(pb.CreateContainerRequest(container=container))
        source = f"dicom:\n  fields:\n    - {{name: PatientID, {assign}}}\n"
        self._service.SetProfile(pb.SetProfileRequest(container=PROJECT, source=source))

    def rage(self, patients: Sequence[str], times: int) -> dict[str, str]:
        """Uploads two files of each patient on different streams, and kills what serves them.

        Args:
            patients: whom nobody has seen before.
            times: how often each victim is killed, evenly over the files.

        Returns:
            The code in the acknowledged files of each patient.
        """
        shares = [list(patients[start::STREAMS]) for start in range(STREAMS)]
        files = 2 * len(patients)
        with ThreadPoolExecutor(STREAMS) as pool:
            running = [
                # The same patients are new on two streams at once.
                pool.submit(self._upload, shares[number] + shares[number - 1][::-1])
                for number in range(STREAMS)
            ]
            try:
                victims = cycle(Victim)
                for number in range(times * len(Victim)):
                    self._wait_for(files * (number + 1) // (times * len(Victim) + 2))
                    self._kill(next(victims))
                for each in running:
                    each.result()
            finally:
                self._end()
                self._serves.set()
        assert self._acknowledged == files
        return self._codes

    def told(self) -> list[tuple[str, str]]:
        """Returns each patient and the code, as `subjects` tells it."""
        told: list[tuple[str, str]] = []
        token, is_first = "", True
        while token or is_first:
            is_first = False
            request = pb.ListSubjectsRequest(container=PROJECT, page_size=1000, page_token=token)
            answer = self._service.ListSubjects(request)
            told += [(each.original, each.code) for each in answer.subjects]
            token = answer.next_page_token
        return told

    def _upload(self, left: list[str]) -> None:
        while left and not self._is_over:
            self._serves.wait()
            address = self._services[Victim.DEID].address
            try:
                with callers.channel(address, _OWN_CONNECTION) as channel:
                    caller = Caller(channel, opened(PROJECT))
                    try:
                        while left:
                            self._send(caller, left)
                    finally:
                        caller.half_close()
            except grpc.RpcError:
                with self._more:
                    self.broken += 1
            except BaseException:
                self._end()
                raise

    def _end(self) -> None:
        """Nobody goes on: something is not as it must be, or all is done."""
        with self._more:
            self._is_over = True
            self._more.notify_all()

    def _send(self, caller: Caller, left: list[str]) -> None:
        """Sends files of the first patients, and takes those off who are acknowledged."""
        ahead = left[: BATCH * AHEAD]
        for start in range(0, len(ahead), BATCH):
            parts = [_file_of(patient) for patient in ahead[start : start + BATCH]]
            caller.send(deid_pb.DeidentifyRequest(batch=deid_pb.RequestBatch(parts=parts)))
        output = b""
        for answer in caller.call:
            for part in answer.batch.parts:
                output += part.chunk
                if part.HasField("result"):
                    self._take(left.pop(0), part.result, output)
                    ahead.pop(0)
                    output = b""
            if not ahead:
                return

    def _take(self, patient: str, result: deid_pb.FileResult, output: bytes) -> None:
        assert result.file_id == patient
        assert result.HasField("receipt"), deid_pb.RejectionReason.Name(result.rejection.reason)
        code = values_of(output)[PATIENT_ID].decode().strip()
        with self._more:
            assert self._codes.setdefault(patient, code) == code
            self._acknowledged += 1
            self._more.notify_all()

    def _wait_for(self, acknowledged: int) -> None:
        with self._more:
            there = self._more.wait_for(
                lambda: self._is_over or self._acknowledged >= acknowledged, 300
            )
            assert there, "no more files are acknowledged"

    def _kill(self, victim: Victim) -> None:
        """Kills with SIGKILL, and waits until another one is there."""
        self.killed[victim] += 1
        if victim is not Victim.POSTGRES:
            service = self._services[victim]
            self._draw.choice(service.processes()).kill()
            service.workers(times=WORKERS + self.killed[victim])
            return
        self._serves.clear()
        pid_file = self._folder / "postgresql" / "data" / "postmaster.pid"
        postmaster = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes)
        assert self._postgres.exit_code() is not None
        self._postgres.restart()
        self._serves.set()


def check(patients: Sequence[str], found: dict[str, str], told: list[tuple[str, str]]) -> None:
    """Makes sure that each patient has one code, that nobody else has, and that is told.

    Raises:
        AssertionError: it is not so.
    """
    assert sorted(found) == sorted(patients)
    assert len(set(found.values())) == len(patients), "a code was given twice"
    assert sorted(told) == sorted(found.items()), "a file has another code than is told"


def _file_of(patient: str) -> deid_pb.RequestPart:
    data = dicom(el("SOPInstanceUID", "1.2"), el("PatientID", patient))
    file = deid_pb.FileStart(file_id=patient, size=len(data))
    return deid_pb.RequestPart(file=file, chunk=data, file_end=deid_pb.FileEnd())
