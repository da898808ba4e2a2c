"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profile_service.serving import telling, transport
from profile_service.serving.options import Number, Options, cores
from profile_service.serving.safeguards import complain
from profile_service.serving.telling import SILENT, Telling
from profile_service.serving.transport import PLAIN, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import SimpleNamespace

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


# With two keys each: who can verify a token cannot make one.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider whose tokens count.

    Attributes:
        issuer: who it is, as its tokens say.
        audience: whom its tokens must be for.
        keys: where its keys are: a URL that begins with https://, or a file.
        algorithms: those that it signs with.
        groups_claim: where its tokens say which groups somebody is in.
        leeway_seconds: how far its clock may be off.
    """

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    groups_claim: str = "groups"
    leeway_seconds: float = 30.0


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
    options.add("--listen", str, "127.0.0.1:50051", "HOST:PORT; port 0 takes one that is free")
    options.add(
        "--database",
        str,
        "",
        "how to connect to PostgreSQL, as a URI or as key=value pairs; what it leaves out "
        "comes from libpq's variables PGHOST, PGPASSWORD, ...",
        variable="DEIDCASCADE_DATABASE",
    )
    options.add(
        "--workers",
        Number(int, 1, MAX_WORKERS),
        # Each has at least two connections.
        str(min(cores(), MAX_CONNECTIONS // 2)),
        "worker processes, one per core",
    )
    options.add(
        "--owner-database",
        str,
        "",
        "sets the database up and ends: connects like this, as its owner or a superuser, runs "
        "the migrations, makes the role of --database and gives it what it needs to serve",
        variable="DEIDCASCADE_OWNER_DATABASE",
    )
    options.add(
        "--database-password-file",
        str,
        "",
        "the file with the password of --database",
        variable="DEIDCASCADE_DATABASE_PASSWORD_FILE",
    )
    options.add(
        "--owner-database-password-file",
        str,
        "",
        "the file with the password of --owner-database",
        variable="DEIDCASCADE_OWNER_DATABASE_PASSWORD_FILE",
    )
    options.add(
        "--admin-key-file",
        str,
        "",
        "a file with the API key of an administrator of all sites; made when it is not there",
    )
    options.add(
        "--service-key-file",
        str,
        "",
        "a file with the API key of DeidService; made when it is not there",
    )
    options.add(
        "--reflection",
        Number(int, 0, 1),
        "1",
        "1: who shows no credential may ask what the services are, as grpcurl does; 0: nobody may",
    )
    transport.add_options(options)
    options.add("--token-issuer", str, "", "whose tokens (JWT) count, as their `iss` says")
    options.add("--token-audience", str, "", "whom these tokens must be for: their `aud`")
    options.add("--token-keys", str, "", "the keys of the issuer (JWKS): https://..., or a file")
    options.add(
        "--token-algorithms", str, "RS256", f"those it signs with, of {', '.join(ALGORITHMS)}"
    )
    options.add("--token-groups-claim", str, "groups", "the claim that names groups")
    options.add(
        "--token-leeway-seconds", Number(float, 0, 300), "30", "how far its clock may be off"
    )
    options.add(
        "--master-key-file",
        str,
        "",
        "the file of the key that the keys of sites are encrypted with in the database; "
        f"{MASTER_KEY} can hold it itself",
        variable=f"{MASTER_KEY}_FILE",
    )
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
        reflection=bool(parsed.reflection),
        transport=transport.read_options(parsed),
        telling=telling.read_options(parsed),
        provider=_provider(parsed),
        master_key_file=parsed.master_key_file,
        master_key=environment.get(MASTER_KEY, ""),
    )


def _provider(parsed: SimpleNamespace) -> Provider | None:
    """Returns whose tokens count.

    Raises:
        SystemExit: something is missing, or cannot be (2).
    """
    said = (parsed.token_issuer, parsed.token_audience, parsed.token_keys)
    if not any(said):
        return None
    algorithms = tuple(parsed.token_algorithms.replace(" ", "").split(","))
    if not all(said):
        wrong = "--token-issuer, --token-audience and --token-keys belong together"
    elif not set(algorithms) <= set(ALGORITHMS):
        wrong = f"--token-algorithms must be of {', '.join(ALGORITHMS)}"
    elif parsed.token_keys.startswith("http://"):
        wrong = "--token-keys must begin with https://, or be a file"
    else:
        return Provider(*said, algorithms, parsed.token_groups_claim, parsed.token_leeway_seconds)
    complain(f"profile_service: {wrong}.")
    raise SystemExit(2)
