"""ResolveProfile beside a bare unary echo with the same messages: median, p95, CPU.

Two databases, of 1,000 and of 1,000,000 projects, each in groups of 100, a third
of the projects with a profile of their own; the others have that of their group,
or where that has none that of the site. They are asked for one call after the other
and several at once, as DeidService asks: with the digests of the texts that it has.
Any project at random, whose text DeidService does not have, and again and again a
few projects, whose texts it has: then the answers are smaller. The echo is written as
gRPC's documentation has it: generated stubs, `grpc.aio`, default settings; it answers
with a real answer, with the text or without. A second echo has the settings that our workers
run with, for the difference; a third has threads, as ProfileService, and asks PostgreSQL for
nothing before it answers: what one query costs whoever makes it. Of the rounds the middle
one counts. All show credentials; over TLS, an API key is compared with tokens that are known
and tokens that are verified each.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import psycopg
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from rich.console import Console
from rich.table import Table

from profile_service.language import VALIDATOR_VERSION
from profile_service.serving.supervisor import TUNING
from profile_service.store.migrate import migrate
from tests.benchmarks._processes import Server, postgres, run_client, serving
from tests.benchmarks.engine import profiles
from tests.support.callers import channel
from tests.support.certificates import Authority
from tests.support.identities import AUDIENCE, ISSUER, Identities

PROJECTS = (1_000, 1_000_000)
PROJECTS_PER_GROUP = 100

ROUNDS = 7
CALLS = 1000
CALLERS = (1, 8)

SITE = "sites/hospital"

# In bulk, as no caller could: a hierarchy with profiles. Texts differ between
# containers, so that the table is as large as with real ones.
_LOAD = """
INSERT INTO container (name, display_name, enforced) VALUES ('sites/hospital', '', true);
INSERT INTO container (name, parent_id, display_name)
    SELECT 'sites/hospital/groups/g' || number, site.id, ''
    FROM generate_series(0, %(groups)s - 1) AS number,
        (SELECT id FROM container WHERE name = 'sites/hospital') AS site;
INSERT INTO container (name, parent_id, display_name)
    SELECT parent.name || '/projects/p' || number, parent.id, ''
    FROM container AS parent, generate_series(0, %(each)s - 1) AS number
    WHERE parent.enforced IS NULL;
INSERT INTO profile_version
        (container_id, version, source, validator_version, valid, blank, violations, warnings)
    SELECT id, 1, convert_to(%(source)s || '# ' || id, 'UTF8'), %(validator)s, true, false,
        NULL, NULL
    FROM container
    WHERE enforced OR id %% 3 = 0;
UPDATE container SET current_version = 1, latest_version = 1, profile_revision = 1
    WHERE enforced OR id %% 3 = 0;
"""


def main() -> int:
    """Prints the table."""
    console = Console(width=130)
    table = _table("ResolveProfile and a unary echo")
    for projects in PROJECTS:
        with ExitStack() as running:
            database = running.enter_context(postgres())
            began = time.perf_counter()
            load_hierarchy(database, projects)
            console.print(f"{projects:,} projects loaded in {time.perf_counter() - began:.0f} s")
            service = running.enter_context(
                serving("profile_service", "--listen", "127.0.0.1:0", "--database", database)
            )
            for known in (False, True):
                answer = _answer(service.address, known=known)
                querying = serving(
                    "tests.benchmarks._querying", database, answer, environment=TUNING
                )
                servers = _echoes(running, answer) | {
                    "echo, one query": running.enter_context(querying),
                    "profile_service": service,
                }
                for callers in CALLERS:
                    _compare(table, _Asked(projects, callers, known), servers)
    console.print(table)
    console.print(_over_tls())
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _echoes(running: ExitStack, *arguments: str) -> dict[str, Server]:
    """Starts the echo with default settings, and with those of our workers."""
    settings = {"echo": {}, "tuned echo": TUNING}
    return {
        name: running.enter_context(
            serving("tests.benchmarks._echo", *arguments, environment=environment)
        )
        for name, environment in settings.items()
    }


def _table(title: str) -> Table:
    return Table(
        "projects", "text", "callers", "server", "median", "of the echo", "p95", "of the echo",
        "CPU per call", "of the echo",
        title=title,
    )  # fmt: skip


def _over_tls() -> Table:
    """Compares the same over TLS, with an API key and with tokens of an identity provider."""
    table = _table("the same over TLS, beside an echo over TLS")
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        authority = running.enter_context(Authority())
        identities = Identities(folder / "jwks.json")
        database = running.enter_context(postgres())
        load_hierarchy(database, PROJECTS[0])
        chain, key = authority.certificate()
        service = running.enter_context(
            serving(
                "profile_service",
                *("--listen", "127.0.0.1:0", "--database", database),
                *("--tls-cert", chain, "--tls-key", key),
                *("--token-issuer", ISSUER, "--token-audience", AUDIENCE),
                *("--token-keys", str(folder / "jwks.json")),
            )
        )
        answer = _answer(service.address, known=True, tls=authority.trusted())
        echoes = _echoes(running, "--tls", chain, key, answer)
        with channel(service.address, tls=authority.trusted()) as opened:
            binding = access_pb.Binding(principal="user:jo", role="site-admin")
            AccessServiceStub(opened).GrantRole(access_pb.GrantRoleRequest(binding=binding))
        one, each = folder / "one", folder / "each"
        one.write_text(identities.token())
        # Made before, and shown once.
        each.write_text("\n".join(identities.token(jti=str(number)) for number in range(CALLS)))
        shown = {
            "API key": _Asked(PROJECTS[0], 1, known=True, ca=authority.ca),
            "token": _Asked(PROJECTS[0], 1, known=True, ca=authority.ca, tokens=str(one)),
            "new tokens": _Asked(PROJECTS[0], 1, known=True, ca=authority.ca, tokens=str(each)),
        }
        for name, asked in shown.items():
            _compare(table, asked, echoes | {f"profile_service, {name}": service})
    return table


def load_hierarchy(database: str, projects: int) -> None:
    """Migrates an empty database, and fills it with a site of so many projects."""
    migrate(database)
    with psycopg.connect(database, autocommit=True) as connection:
        # A parameter each, and one statement after the other.
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(
            _LOAD,
            {
                "groups": projects // PROJECTS_PER_GROUP,
                "each": PROJECTS_PER_GROUP,
                "source": profiles()["12 rules"],
                "validator": VALIDATOR_VERSION,
            },
        )
        connection.execute("VACUUM ANALYZE")


def _answer(address: str, *, known: bool, tls: grpc.ChannelCredentials | None = None) -> str:
    """Returns the answer for a project, in hex."""
    with channel(address, tls=tls) as opened:
        service = ProfileServiceStub(opened)
        request = pb.ResolveProfileRequest(target=f"{SITE}/groups/g0/projects/p0")
        answer = service.ResolveProfile(request)
        if known:
            request.known_sha256.append(answer.profile.sha256)
            answer = service.ResolveProfile(request)
        return answer.SerializeToString().hex()


@dataclass(frozen=True)
class _Asked:
    """What is asked, and how."""

    projects: int
    callers: int
    known: bool
    ca: str = ""
    tokens: str = ""


def _compare(table: Table, asked: _Asked, servers: dict[str, Server]) -> None:
    rounds = [
        {name: _round(server, asked, number) for name, server in servers.items()}
        for number in range(ROUNDS)
    ]
    # Not the best: where the system puts processes on cores can make one round lucky.
    middle = {
        name: {
            key: statistics.median(one[name][key] for one in rounds)
            for key in ("median", "p95", "cpu")
        }
        for name in servers
    }
    table.add_section()
    text = "known" if asked.known else "sent"
    for name, values in middle.items():
        cells = [f"{asked.projects:,}", text, str(asked.callers), name]
        for key, value in values.items():
            cells += [f"{value * 1e6:,.0f} us", f"{value / middle['echo'][key]:.2f} x"]
        table.add_row(*cells)


def _round(server: Server, asked: _Asked, number: int) -> dict[str, float]:
    """Asks a server for projects that no other round asks for, but by chance."""
    before = server.cpu_seconds()
    answer = run_client(
        "tests.benchmarks._asking",
        address=server.address,
        groups=asked.projects // PROJECTS_PER_GROUP,
        each=PROJECTS_PER_GROUP,
        seed=number,
        calls=CALLS,
        callers=asked.callers,
        known=asked.known,
        ca=asked.ca,
        tokens=asked.tokens,
    )
    return answer | {"cpu": (server.cpu_seconds() - before) / answer["calls"]}
