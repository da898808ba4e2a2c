"""Changes per second with the audit, beside the same changes without it.

Callers set profiles, each of its own group, all of one site or each of its own site, through
a service with two workers on a database that writes to disk. Without: the same service on the
same database, whose function that adds events adds nothing. Rounds take turns, and the middle
one counts.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from rich.console import Console
from rich.table import Table

from deid_service.embedded.postgres import EmbeddedPostgres
from tests.benchmarks._processes import serving
from tests.benchmarks.engine import profiles
from tests.support.callers import channel

CALLERS = 8
ROUNDS = 5
CHANGES = 40

_OFF = (
    "ALTER FUNCTION audit_append RENAME TO audit_append_kept",
    "CREATE FUNCTION audit_append(about text, what json) RETURNS bigint LANGUAGE sql "
    "AS 'SELECT 0::bigint'",
)
_ON = (
    "DROP FUNCTION audit_append",
    "ALTER FUNCTION audit_append_kept RENAME TO audit_append",
)


def main() -> int:
    """Prints the table."""
    console = Console(width=110)
    table = Table(
        "sites", "callers", "without audit", "with audit", "of without",
        title="Profiles set per second",
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,
        EmbeddedPostgres(Path(folder)) as database,
        serving(
            "profile_service", "--listen", "127.0.0.1:0", "--database", database, "--workers", "2"
        ) as service,
        psycopg.connect(database, autocommit=True) as connection,
    ):
        for sites in (1, CALLERS):
            rates: dict[bool, list[float]] = {False: [], True: []}
            groups = _containers(service.address, sites)
            for number in range(ROUNDS):
                for audited in (False, True):
                    for statement in () if audited else _OFF:
                        connection.execute(statement)
                    rates[audited].append(_changes(service.address, groups, number, audited))
                    for statement in () if audited else _ON:
                        connection.execute(statement)
            without, audited_rate = (statistics.median(rates[kind]) for kind in (False, True))
            table.add_row(
                str(sites),
                str(CALLERS),
                f"{without:.0f}",
                f"{audited_rate:.0f}",
                f"{audited_rate / without:.2f}",
            )
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _containers(address: str, sites: int) -> list[str]:
    """Makes a group for each caller, and returns their names."""
    with channel(address) as opened:
        service = ProfileServiceStub(opened)
        groups = []
        for caller in range(CALLERS):
            site = f"sites/of-{sites}-{caller % sites}"
            groups.append(f"{site}/groups/g{caller}")
            for name in [site, groups[-1]] if caller < sites else [groups[-1]]:
                request = pb.CreateContainerRequest(container=pb.Container(name=name))
                service.CreateContainer(request)
        return groups


def _changes(address: str, groups: list[str], number: int, audited: bool) -> float:
    """Returns how many profiles are set in a second."""
    source = profiles()["12 rules"]

    def change(group: str) -> None:
        # A connection each: they go to both workers.
        with channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as opened:
            service = ProfileServiceStub(opened)
            for one in range(CHANGES):
                text = f"{source}# {number} {audited} {one}\n"
                service.SetProfile(pb.SetProfileRequest(container=group, source=text))

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as threads:
        list(threads.map(change, groups))
    return CALLERS * CHANGES / (time.perf_counter() - began)
