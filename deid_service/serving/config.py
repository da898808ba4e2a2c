"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid_service.engine import MAX_HELD_BYTES
from profile_service.serving import telling, transport
from profile_service.serving.options import Number, Options, cores
from profile_service.serving.telling import SILENT, Telling
from profile_service.serving.transport import PLAIN, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Limits:
    """What callers may use. Each limit is per worker process.

    Attributes:
        max_streams: streams open at once; further ones are refused with
            TOO_MANY_STREAMS. A stream that carries data costs up to a few MiB.
        idle_seconds: how long a stream may be open without a message in either
            direction before it is ended with STREAM_IDLE. A caller that went away
            without a word is noticed by keepalive long before.
        max_file_bytes: the size of a file; larger ones are rejected with
            LIMIT_EXCEEDED. 0: no limit; memory does not depend on it.
        max_held_bytes: what the engine may hold back of the file that a stream is
            sending; more rejects the file with LIMIT_EXCEEDED.
        require_digest: whether every receipt has the SHA-256 of the output, for an
            audit trail that needs it, whatever the caller says.
    """

    max_streams: int = 1000
    idle_seconds: float = 300.0
    max_file_bytes: int = 0
    max_held_bytes: int = MAX_HELD_BYTES
    require_digest: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """How the service runs.

    Attributes:
        listen: HOST:PORT; port 0 takes one that is free.
        profile_service: HOST:PORT of ProfileService.
        workers: worker processes.
        drain_seconds: how long open files may take to finish after SIGTERM.
        limits: see there.
        learning: learns how files are laid out; the output is the same without.
        key: the file with the API key of this service; empty: it has none.
        recheck_seconds: how often it is asked whether the callers of open streams may
            still upload; a stream of one who may not ends.
        reflection: whether everybody may ask what the service is.
        transport: see there.
        profile_tls: the files for the way to ProfileService: authorities, certificate, key;
            without the first it is plain text.
        telling: see there.
    """

    listen: str
    profile_service: str
    workers: int
    drain_seconds: float
    limits: Limits
    learning: bool = True
    key: str = ""
    recheck_seconds: float = 30.0
    reflection: bool = True
    transport: Transport = PLAIN
    profile_tls: tuple[str, str, str] = ("", "", "")
    telling: Telling = SILENT


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Reads the command line, with defaults from the environment.

    Raises:
        SystemExit: something is wrong (2), or help was asked for (0).
    """
    options = Options(
        "deid_service",
        "Serves DeidService: DICOM in, de-identified DICOM out.",
        environment,
        prefix="DEIDCASCADE_DEID_",
    )
    option = options.add
    defaults = Limits()
    option("--listen", str, "127.0.0.1:50052", "HOST:PORT; port 0 takes one that is free")
    option(
        "--profile-service",
        str,
        "127.0.0.1:50051",
        "HOST:PORT of ProfileService",
        variable="DEIDCASCADE_PROFILE_SERVICE",
    )
    option("--workers", Number(int, 1), str(cores()), "worker processes, one per core")
    option(
        "--drain-seconds",
        Number(float, 0),
        "30",
        "how long open files may take to finish after SIGTERM",
    )
    option(
        "--learn",
        Number(int, 0, 1),
        "1",
        "1: files that are laid out alike take less time; 0: each is treated as the first",
    )
    option(
        "--max-streams",
        Number(int, 1),
        str(defaults.max_streams),
        "streams open at once, per worker",
    )
    option(
        "--idle-seconds",
        Number(float, 0.001),
        f"{defaults.idle_seconds:g}",
        "how long a stream may be open without a message",
    )
    option(
        "--max-file-bytes",
        Number(int, 0),
        str(defaults.max_file_bytes),
        "bytes per file, 0 for no limit",
    )
    option(
        "--max-held-bytes",
        Number(int, 1),
        str(defaults.max_held_bytes),
        "bytes of a file that may be held back, per stream",
    )
    option(
        "--require-digest",
        Number(int, 0, 1),
        "0",
        "1: every receipt has the SHA-256 of the output, whatever the caller says",
    )
    option("--key-file", str, "", "the file with the API key that ProfileService knows this by")
    option(
        "--recheck-seconds",
        Number(float, 0.001),
        "30",
        "how often it is asked whether callers may still upload; streams of others end",
    )
    option(
        "--reflection",
        Number(int, 0, 1),
        "1",
        "1: who shows no credential may ask what the service is, as grpcurl does; 0: nobody may",
    )
    transport.add_options(options)
    option("--profile-tls-ca", str, "", "whose certificates ProfileService may have, as PEM: TLS")
    option("--profile-tls-cert", str, "", "the certificate to show ProfileService, as PEM")
    option("--profile-tls-key", str, "", "the key of that certificate, as PEM")
    telling.add_options(options)
    parsed = options.parse(arguments)
    return Config(
        listen=parsed.listen,
        profile_service=parsed.profile_service,
        workers=parsed.workers,
        drain_seconds=parsed.drain_seconds,
        limits=Limits(
            max_streams=parsed.max_streams,
            idle_seconds=parsed.idle_seconds,
            max_file_bytes=parsed.max_file_bytes,
            max_held_bytes=parsed.max_held_bytes,
            require_digest=bool(parsed.require_digest),
        ),
        learning=bool(parsed.learn),
        key=parsed.key_file,
        recheck_seconds=parsed.recheck_seconds,
        reflection=bool(parsed.reflection),
        transport=transport.read_options(parsed),
        profile_tls=(parsed.profile_tls_ca, parsed.profile_tls_cert, parsed.profile_tls_key),
        telling=telling.read_options(parsed),
    )
