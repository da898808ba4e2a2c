"""What the service can be told: command line, else environment, else default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid_service.serving import limits
from deid_service.serving.limits import Limits
from profile_service.serving import telling, transport
from profile_service.serving.cpus import cores
from profile_service.serving.options import Number, Options
from profile_service.serving.telling import SILENT, Telling
from profile_service.serving.transport import PLAIN, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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
    options.add("--listen", "HOST:PORT; port 0 takes one that is free", default="127.0.0.1:50052")
    options.add(
        "--workers",
        "worker processes, one per core that it may use",
        number=Number(int, 1),
        default=str(cores()),
    )
    options.add(
        "--drain-seconds",
        "how long open files may take to finish after SIGTERM",
        number=Number(float, 0),
        default="30",
    )
    options.add_switch(
        "--learn",
        "1: files that are laid out alike take less time; 0: each is treated as the first",
        on=True,
    )
    options.add_switch(
        "--reflection",
        "1: who shows no credential may ask what the service is, as grpcurl does; 0: nobody may",
        on=True,
    )
    _add_profile_service(options)
    limits.add_options(options)
    transport.add_options(options)
    telling.add_options(options)
    parsed = options.parse(arguments)
    return Config(
        listen=parsed.listen,
        profile_service=parsed.profile_service,
        workers=parsed.workers,
        drain_seconds=parsed.drain_seconds,
        limits=limits.read_options(parsed),
        learning=parsed.learn,
        key=parsed.key_file,
        recheck_seconds=parsed.recheck_seconds,
        reflection=parsed.reflection,
        transport=transport.read_options(parsed),
        profile_tls=(parsed.profile_tls_ca, parsed.profile_tls_cert, parsed.profile_tls_key),
        telling=telling.read_options(parsed),
    )


def _add_profile_service(options: Options) -> None:
    """Adds the way to ProfileService, and what it is asked."""
    options.add(
        "--profile-service",
        "HOST:PORT of ProfileService",
        default="127.0.0.1:50051",
        variable="DEIDCASCADE_PROFILE_SERVICE",
    )
    options.add("--key-file", "the file with the API key that ProfileService knows this by")
    options.add("--profile-tls-ca", "whose certificates ProfileService may have, as PEM: TLS")
    options.add("--profile-tls-cert", "the certificate to show ProfileService, as PEM")
    options.add("--profile-tls-key", "the key of that certificate, as PEM")
    options.add(
        "--recheck-seconds",
        "how often it is asked whether callers may still upload; streams of others end",
        number=Number(float, 0.001),
        default="30",
    )
