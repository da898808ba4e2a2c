"""A backup is restored: what was there is there, answers as before, and is whole."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub
from psycopg.conninfo import make_conninfo

from deid_service.embedded import programs
from profile_service.keys.files import kept_secret
from profile_service.store.roles import set_up
from tests.support import callers
from tests.support.audit import told, troubles
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.databases import Databases

SITE, GROUP = "sites/s", "sites/s/groups/g"
PROJECTS = [f"{GROUP}/projects/p{number}" for number in range(4)]
DEVICE = "sites/s/devices/d"
SOURCE = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"


def fill(service: ProfileServiceStub, tables: TableServiceStub) -> str:
    """Makes containers and versions of every kind; returns the digest of one that is gone."""
    for name in (SITE, GROUP, *PROJECTS, DEVICE):
        request = pb.CreateContainerRequest(container=pb.Container(name=name))
        service.CreateContainer(request)
    for number, name in enumerate((SITE, GROUP, *PROJECTS[:3])):
        text = f"{SOURCE}# {number}\n"
        setting = pb.SetProfileRequest(container=name, source=text, note="Why.")
        digest = service.SetProfile(setting).profile.sha256
    invalid = pb.SetProfileRequest(container=PROJECTS[0], source="dicom: 5", allow_invalid=True)
    service.SetProfile(invalid)
    service.ClearProfile(pb.ClearProfileRequest(container=PROJECTS[1]))
    service.DeleteContainer(pb.DeleteContainerRequest(name=PROJECTS[2]))
    for container, text in ((SITE, "original,code\np,A-1\n"), (DEVICE, "original,arm\nq,B\n")):
        first = table_pb.SetTableRequest(container=container, table="t", text=text.encode())
        tables.SetTable(iter([first]))
    locked = pb.Container(name=GROUP, profile_locked=True)
    service.UpdateContainer(pb.UpdateContainerRequest(container=locked))
    return digest


def answers(service: ProfileServiceStub, tables: TableServiceStub, digest: str) -> list[object]:
    """Returns all that the service says of what there is."""
    targets = [*PROJECTS[:2], PROJECTS[3], DEVICE]
    names = [SITE, GROUP, *targets]
    gone = pb.GetProfileRequest(container=PROJECTS[2], sha256=digest)
    return [
        *(service.ResolveProfile(pb.ResolveProfileRequest(target=name)) for name in targets),
        *(service.GetContainer(pb.GetContainerRequest(name=name)) for name in names),
        *(
            service.ListProfileVersions(pb.ListProfileVersionsRequest(container=name))
            for name in names
        ),
        service.GetProfile(gone),
        *(tables.ListTables(table_pb.ListTablesRequest(container=name)) for name in names),
        *(
            list(tables.ReadTable(table_pb.ReadTableRequest(container=name, table="t")).rows)
            for name in (SITE, DEVICE)
        ),
        # Who reads tables is told, too.
        [event for event in told(service, SITE) if event.action != "table.read"],
    ]


def test_a_backup_brings_everything_back(databases: Databases, tmp_path: Path) -> None:
    """Dumped and restored into an empty database: same answers, whole chains, and it goes on."""
    dump = tmp_path / "backup.dump"
    with databases.clone("template0") as owner, databases.clone("template0") as restored:
        served = make_conninfo(owner, user="backup_server")
        set_up(owner, served)
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("INSERT INTO audit_retention (keep) VALUES ('10 years')")
        master = str(kept_secret(tmp_path / "master.key"))
        with (
            running_profile_service(served, master_key_file=master) as address,
            callers.channel(address) as channel,
        ):
            service, tables = ProfileServiceStub(channel), TableServiceStub(channel)
            digest = fill(service, tables)
            before = answers(service, tables, digest)
            heads = service.ListAuditHeads(pb.ListAuditHeadsRequest())
            # While it serves, as backups are made.
            run("pg_dump", "--format=custom", f"--file={dump}", owner)

        run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", str(dump))
        served_again = make_conninfo(restored, user="backup_server")
        assert set_up(restored, served_again) == []
        with (
            running_profile_service(served_again, master_key_file=master) as address,
            callers.channel(address) as channel,
        ):
            service, tables = ProfileServiceStub(channel), TableServiceStub(channel)
            assert service.ListAuditHeads(pb.ListAuditHeadsRequest()) == heads
            assert answers(service, tables, digest) == before
            assert troubles(service) == {}
            service.SetProfile(pb.SetProfileRequest(container=DEVICE, source=SOURCE))
            assert troubles(service) == {}
        with psycopg.connect(restored) as connection:
            kept = connection.execute("SELECT keep = interval '10 years' FROM audit_retention")
            assert kept.fetchone() == (True,)
        for database in (owner, restored):
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("DROP OWNED BY backup_server")
        with psycopg.connect(owner, autocommit=True) as connection:
            connection.execute("DROP ROLE backup_server")


def run(name: str, *arguments: str) -> None:
    """Runs a program of PostgreSQL."""
    subprocess.run([programs.program(name), *arguments], check=True)
