"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profile_service import provider
from profile_service.provider import Provider
from profile_service.serving import telling, transport
from profile_service.serving.cpus import cores
from profile_service.serving.options import Number, Options
from profile_service.serving.telling import SILENT, Telling
from profile_service.serving.transport import PLAIN, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Connections of all workers together, as long as each has one for reads and one for
# changes. PostgreSQL has 100 by default, for everyone: two
# instances of the service, while one replaces the other, leave some for administrators.
MAX_CONNECTIONS = 40

# Reads and changes have connections of their own, so that no change that waits for a lock
# holds up a read. A connection is kept for as long as a statement takes, mostly less than
# a tenth of a millisecond, so a few serve all that one process can do.
MAX_READERS = 4
MAX_WRITERS = 2
MAX_WORKERS = 40

# What holds the master key itself, where it is in no file.
MASTER_KEY = "DEIDCASCADE_MASTER_KEY"

# How long calls that are under way may take to finish after SIGTERM. None takes longer
# than its waits for the database.
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Config:
    """How the service runs.

    Attributes:
        listen: HOST:PORT; port 0 takes one that is free.
        database: how libpq connects to PostgreSQL: a URI or key=value pairs. Empty:
            by libpq's own environment variables.
        workers: worker processes.
        owner_database: how the owner of the database connects to set it up, and nothing
            else is to be done; empty to serve.
        password_file: the file with the password of `database`; empty where that has it.
        owner_password_file: the same for `owner_database`.
        admin_key: the file with the key of an administrator; empty: there is none.
        service_key: the file with the key of DeidService; empty: there is none.
        reflection: whether everybody may ask what the services are.
        transport: see there.
        telling: see there.
        provider: whose tokens count; None: nobody's.
        master_key_file: what encrypts the keys of sites; empty where none is named.
        master_key: it itself; empty where it is not in the environment.
        listed_versions: how many of the versions of a profile are listed; 0: all.
        previous_master_key_file: what has encrypted them before; empty where nothing has.
    """

    listen: str
    database: str
    workers: int
    owner_database: str = ""
    password_file: str = ""
    owner_password_file: str = ""
    admin_key: str = ""
    service_key: str = ""
    reflection: bool = True
    transport: Transport = PLAIN
    telling: Telling = SILENT
    provider: Provider | None = None
    master_key_file: str = ""
    master_key: str = field(default="", repr=False)
    previous_master_key_file: str = ""
    listed_versions: int = 0

    @property
    def readers(self) -> int:
        """How many connections a worker may have for reads."""
        return max(1, min(MAX_READERS, MAX_CONNECTIONS // self.workers - self.writers))

    @property
    def writers(self) -> int:
        """How many connections a worker may have for changes."""
        return max(1, min(MAX_WRITERS, MAX_CONNECTIONS // self.workers // 3))


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Reads the command line, with defaults from the environment.

    Raises:
        SystemExit: something is wrong (2), or help was asked for (0).
    """
    options = Options(
        "profile_service",
        "Serves ProfileService: the hierarchy, its profiles, and the cascade.",
        environment,
        prefix="DEIDCASCADE_PROFILE_",
    )
    options.add("--listen", "HOST:PORT; port 0 takes one that is free", default="127.0.0.1:50051")
    options.add(
        "--workers",
        "worker processes, one per core that it may use",
        number=Number(int, 1, MAX_WORKERS),
        # Each has at least two connections.
        default=str(min(cores(), MAX_CONNECTIONS // 2)),
    )
    options.add_switch(
        "--reflection",
        "1: who shows no credential may ask what the services are, as grpcurl does; 0: nobody may",
        on=True,
    )
    options.add(
        "--listed-versions",
        "how many of a profile's versions are listed, the newest; 0 lists all. The others are "
        "kept, and read by their number or digest",
        number=Number(int, 0),
        default="0",
    )
    _add_database(options)
    _add_keys(options)
    transport.add_options(options)
    provider.add_options(options)
    telling.add_options(options)
    parsed = options.parse(arguments)
    return Config(
        listen=parsed.listen,
        database=parsed.database,
        workers=parsed.workers,
        owner_database=parsed.owner_database,
        password_file=parsed.database_password_file,
        owner_password_file=parsed.owner_database_password_file,
        admin_key=parsed.admin_key_file,
        service_key=parsed.service_key_file,
        reflection=parsed.reflection,
        transport=transport.read_options(parsed),
        telling=telling.read_options(parsed),
        provider=provider.read_options(parsed),
        master_key_file=parsed.master_key_file,
        master_key=environment.get(MASTER_KEY, ""),
        previous_master_key_file=parsed.previous_master_key_file,
        listed_versions=parsed.listed_versions,
    )


def _add_database(options: Options) -> None:
    options.add(
        "--database",
        "how to connect to PostgreSQL, as a URI or as key=value pairs; what it leaves out "
        "comes from libpq's variables PGHOST, PGPASSWORD, ...",
        variable="DEIDCASCADE_DATABASE",
    )
    options.add(
        "--owner-database",
        "sets the database up and ends: connects like this, as its owner or a superuser, runs "
        "the migrations, makes the role of --database and gives it what it needs to serve",
        variable="DEIDCASCADE_OWNER_DATABASE",
    )
    for one in ("database", "owner-database"):
        options.add(
            f"--{one}-password-file",
            f"the file with the password of --{one}",
            variable=f"DEIDCASCADE_{one.replace('-', '_').upper()}_PASSWORD_FILE",
        )


def _add_keys(options: Options) -> None:
    options.add(
        "--admin-key-file",
        "a file with the API key of an administrator of all sites; made when it is not there",
    )
    options.add(
        "--service-key-file", "a file with the API key of DeidService; made when it is not there"
    )
    options.add(
        "--master-key-file",
        "the file of the key that the keys of sites are encrypted with in the database; "
        f"{MASTER_KEY} can hold it itself",
        variable=f"{MASTER_KEY}_FILE",
    )
    options.add(
        "--previous-master-key-file",
        "the file of the master key before, while what it has encrypted is still there; with "
        "--owner-database all of that is encrypted with the new one",
    )
