"""A table of a million patients: set, looked up one patient and a hundred at a time, exported.

ProfileService with one worker, on a database that writes to disk. Patients are looked up as
DeidService does it, by digests, each at random; beside them a call that reads one row of
another kind, as the least that a call of the service takes. What the service needs of memory is
looked at before and after the table is set, and after patients are looked up.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub
from rich.console import Console
from rich.table import Table

from deid_service.embedded.postgres import EmbeddedPostgres
from profile_service.keys.files import read_secret, write_secret
from profile_service.keys.sealing import MasterKey, Sealed
from profile_service.keys.tables import TableKey
from tests.benchmarks._processes import Server, serving
from tests.support.callers import channel
from tests.support.environment import AS_SERVICE

ROWS = 1_000_000
CHUNK_BYTES = 1 << 18
ROUNDS = 5
CALLS = 200
BATCH = 100
SITE, PROJECT = "sites/s", "sites/s/groups/g/projects/p"


def main() -> int:
    """Prints the table."""
    console = Console(width=110)
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        EmbeddedPostgres(Path(folder) / "data") as database,
    ):
        master = Path(folder) / "master.key"
        write_secret(master)
        with (
            serving(
                *("profile_service", "--listen", "127.0.0.1:0", "--database", database),
                *("--workers", "1", "--master-key-file", str(master)),
            ) as service,
            channel(service.address) as opened,
        ):
            profiles, tables = ProfileServiceStub(opened), TableServiceStub(opened)
            for name in (SITE, f"{SITE}/groups/g", PROJECT):
                container = pb.Container(name=name)
                profiles.CreateContainer(pb.CreateContainerRequest(container=container))
            memory = [service.memory_bytes()]
            console.print(_set(tables, service))
            memory.append(service.memory_bytes())
            console.print(_looked_up(profiles, tables, _table(database, master)))
            memory.append(service.memory_bytes())
    before, after, later = (round(each / (1 << 20)) for each in memory)
    console.print(
        f"Memory of ProfileService: {before} MiB before, {after} MiB after it was set, {later} MiB "
        "after the look-ups."
    )
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _messages() -> Iterator[table_pb.SetTableRequest]:
    """Yields a table in the pieces that the command sends."""
    yield table_pb.SetTableRequest(container=SITE, table="t", text=b"original,issuer,code,days\n")
    text = bytearray()
    for number in range(ROWS):
        text += b"%07d,CITY HOSPITAL,LUNG-%07d,-%d\n" % (number, number, number % 700 + 1)
        if len(text) > CHUNK_BYTES:
            yield table_pb.SetTableRequest(text=bytes(text))
            text.clear()
    yield table_pb.SetTableRequest(text=bytes(text))


def _set(tables: TableServiceStub, service: Server) -> Table:
    shown = Table("", "rows", "seconds", "of the service's CPU", title="A table is set")
    for what, messages in (("set", _messages()), ("one row added", iter([_one_more()]))):
        began, used = time.perf_counter(), service.cpu_seconds()
        answer = tables.SetTable(messages)
        took, used = time.perf_counter() - began, service.cpu_seconds() - used
        shown.add_row(what, f"{answer.table.rows_added:,}", f"{took:.1f}", f"{used:.1f}")
    return shown


def _one_more() -> table_pb.SetTableRequest:
    text = b"original,issuer,code,days\none more,,ONE-MORE,1\n"
    return table_pb.SetTableRequest(container=SITE, table="t", text=text, add=True)


def _table(database: str, master: Path) -> tuple[int, TableKey]:
    """Returns the identity of the table, and its key."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT id, container_id, master_key, sealed FROM patient_table"
        ).fetchone()
    assert row is not None
    table_id, container_id, master_key, sealed = row
    secret = MasterKey(read_secret(master)).open(
        Sealed(master_key, sealed), f"table {container_id} t"
    )
    return table_id, TableKey(secret)


def _looked_up(
    profiles: ProfileServiceStub, tables: TableServiceStub, table: tuple[int, TableKey]
) -> Table:
    shown = Table("", "patients per call", "ms per call", "p95", title="Patients are looked up")
    table_id, key = table
    generator = random.Random(7)  # noqa: S311 - spreads look-ups, no secret

    def look_up(patients: int) -> None:
        request = table_pb.LookUpPatientsRequest(target=PROJECT)
        wanted = request.tables.add(id=table_id, version=2, columns=["code", "days"])
        for _ in range(patients):
            known_by = f"{generator.randrange(ROWS):07d}\0CITY HOSPITAL"
            wanted.patients.add(digest=key.digest(known_by.casefold()), exact=key.digest(known_by))
        (answer,) = tables.LookUpPatients(request, metadata=AS_SERVICE[1:]).tables
        assert all(each.values for each in answer.patients)

    def other(_: int) -> None:
        profiles.GetContainer(pb.GetContainerRequest(name=PROJECT))

    calls: list[tuple[str, int, Callable[[int], None]]] = [
        ("another call", 0, other),
        ("one patient", 1, look_up),
        ("a batch", BATCH, look_up),
    ]
    took: dict[str, list[float]] = {name: [] for name, *_ in calls}
    for _ in range(ROUNDS):
        for name, patients, call in calls:
            for _ in range(CALLS if patients < BATCH else CALLS // 10):
                began = time.perf_counter()
                call(patients)
                took[name].append((time.perf_counter() - began) * 1000)
    for name, patients, _ in calls:
        p95 = statistics.quantiles(took[name], n=20)[-1]
        shown.add_row(name, str(patients), f"{statistics.median(took[name]):.2f}", f"{p95:.2f}")
    return shown


if __name__ == "__main__":
    raise SystemExit(main())
