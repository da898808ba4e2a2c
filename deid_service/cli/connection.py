"""How the command reaches the services, and what it says when they refuse."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import click
import grpc
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from deid_service.cli.console import Failure
from deid_service.cli.data import default_data_folder
from deid_service.contract.credentials import transport_channel, with_credential
from deid_service.contract.rpc_errors import BROKEN
from profile_service.serving.request_ids import answered_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound="Message")


class _Asking(Protocol):
    """A request for a page of a list."""

    page_size: int
    page_token: str


class _Page(Protocol):
    """A page of a list."""

    next_page_token: str


AskingT = TypeVar("AskingT", bound=_Asking)
PageT = TypeVar("PageT", bound=_Page)

PROFILE_SERVICE = "DEIDCASCADE_PROFILE_SERVICE"
DEID_SERVICE = "DEIDCASCADE_DEID_SERVICE"
KEY_FILE = "DEIDCASCADE_KEY_FILE"
DEFAULT_PROFILE_PORT = 50051
DEFAULT_DEID_PORT = 50052

# No call of ProfileService takes long: this tells a server that hangs from one that works.
# A table of a million rows alone does.
_SET_TABLE = {"service": "deidcascade.v1.TableService", "method": "SetTable"}
CALL_CONFIG = {
    "methodConfig": [
        {"name": [{}], "timeout": "15s"},
        {"name": [_SET_TABLE], "timeout": "900s"},
    ]
}

NOT_KNOWN = (
    "the service does not accept the credential, or there is none: give a file with an API key "
    f"with --key-file or {KEY_FILE}."
)

# A page of a list: the most that ProfileService gives at once.
_PAGE_SIZE = 1000

TLS_CA = "DEIDCASCADE_TLS_CA"

# Where what options of the connection say is kept until a channel is opened.
_META = f"{__name__}."

# What names this machine, in an address.
_LOCAL = ("localhost", "127.0.0.1", "[::1]", "unix")

CommandT = TypeVar("CommandT", bound="Callable[..., object]")


def _keep(context: click.Context, option: click.Parameter, value: Path | bool | None) -> None:
    context.meta[f"{_META}{option.name}"] = value


def _kept(name: str) -> Path | None:
    context = click.get_current_context(silent=True)
    found: Path | None = context.meta.get(f"{_META}{name}") if context else None
    return found


def _file_option(name: str, variable: str, text: str) -> Callable[[CommandT], CommandT]:
    return click.option(
        name,
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar=variable,
        show_envvar=True,
        expose_value=False,
        callback=_keep,
        help=text,
    )


def connection_options(command: CommandT) -> CommandT:
    """Adds what is shown to the services, and how they are reached."""
    for option in reversed(
        (
            _file_option(
                "--key-file",
                KEY_FILE,
                "The file with the API key or token to show. By default that of `deidcascade up` "
                "of this user, to services of this machine.",
            ),
            _file_option(
                "--tls-ca",
                TLS_CA,
                "The authorities whose certificates the services may have, as PEM: TLS.",
            ),
            _file_option("--tls-cert", "DEIDCASCADE_TLS_CERT", "The certificate to show, as PEM."),
            _file_option("--tls-key", "DEIDCASCADE_TLS_KEY", "The key of that, as PEM."),
            click.option(
                "--insecure",
                is_flag=True,
                envvar="DEIDCASCADE_INSECURE",
                expose_value=False,
                callback=_keep,
                help="Send the credential in plain text, also to other machines.",
            ),
        )
    ):
        command = option(command)
    return command


def profile_service_option(command: CommandT) -> CommandT:
    """Adds the options that lead to ProfileService."""
    return _profile_service_option(connection_options(command))


def deid_service_option(command: CommandT) -> CommandT:
    """Adds the options that lead to DeidService."""
    return _deid_service_option(connection_options(command))


def tls_files() -> tuple[Path | None, tuple[Path, Path] | None]:
    """Returns the file of whom is trusted, and those of the certificate that is shown and its key.

    None stands for plain text, and for no certificate.

    Raises:
        UsageError: one of them is named without another that belongs to it.
    """
    ca, certificate, key = map(_kept, ("tls_ca", "tls_cert", "tls_key"))
    if ca is None and (certificate or key):
        raise click.UsageError("--tls-cert and --tls-key need --tls-ca.")
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    return ca, None if certificate is None or key is None else (certificate, key)


def tls_credentials() -> grpc.ChannelCredentials | None:
    """Returns what TLS is spoken with; None for plain text.

    Raises:
        Failure: a file cannot be read.
    """
    ca, shown = tls_files()
    if ca is None:
        return None
    try:
        certificate, key = (each.read_bytes() for each in shown) if shown else (None, None)
        return grpc.ssl_channel_credentials(ca.read_bytes(), key, certificate)
    except OSError as error:
        raise Failure(f"cannot read {error.filename}: {error.strerror}.") from error


_profile_service_option = click.option(
    "--profile-service",
    "address",
    metavar="HOST:PORT",
    envvar=PROFILE_SERVICE,
    default=f"localhost:{DEFAULT_PROFILE_PORT}",
    show_default=True,
    show_envvar=True,
    help="The address of ProfileService.",
)
_deid_service_option = click.option(
    "--deid-service",
    "address",
    metavar="HOST:PORT",
    envvar=DEID_SERVICE,
    default=f"localhost:{DEFAULT_DEID_PORT}",
    show_default=True,
    show_envvar=True,
    help="The address of DeidService.",
)


class ServiceError(Failure):
    """A service answered with an error.

    Attributes:
        reason: the stable reason of its ErrorInfo; empty when it has none.
        call: the error of the call, with its details.
    """

    def __init__(self, message: str, reason: str, call: grpc.RpcError) -> None:
        super().__init__(message)
        self.reason = reason
        self.call = call


def key_for(address: str) -> str:
    """Returns the API key or token that is shown at an address; empty where there is none.

    Raises:
        Failure: the file that was named cannot be read, or what stands in it would go to
            another machine in plain text.
    """
    named = _kept("key_file")
    local = address.rpartition(":")[0] in _LOCAL
    if named is None:
        with suppress(OSError, ValueError, click.UsageError):
            return read_key_file(default_data_folder() / "admin.key") if local else ""
        return ""
    if not local and _kept("tls_ca") is None and not _kept("insecure"):
        raise Failure(
            f"the credential would go to {address} in plain text: say --tls-ca FILE, or "
            "--insecure if you mean it."
        )
    try:
        return read_key_file(named)
    except OSError as error:
        raise Failure(f"cannot read the key file {named}: {error.strerror}.") from error
    except ValueError as error:
        raise Failure(f"the key file {named} holds no key.") from error


def read_key_file(path: Path) -> str:
    """Returns what stands in a file with a key; OSError, ValueError."""
    text = path.read_text("ascii").strip()
    if not text.isprintable():
        raise ValueError("It holds more than a key.")
    return text


@contextmanager
def profile_channel(address: str, key: str | None = None) -> Iterator[grpc.Channel]:
    """Opens a channel to ProfileService; what goes wrong inside becomes a Failure.

    Args:
        address: HOST:PORT.
        key: what is shown; None for what the command line and the surroundings say.

    Raises:
        ServiceError: a call was answered with an error, or not at all.
    """
    options = [("grpc.service_config", json.dumps(CALL_CONFIG))]
    shown = key_for(address) if key is None else key
    with transport_channel(address, options, tls_credentials()) as channel:
        try:
            yield with_credential(channel, shown)
        except grpc.RpcError as error:
            raise service_error(error, "ProfileService", address, PROFILE_SERVICE) from error


@contextmanager
def profile_service(address: str, key: str | None = None) -> Iterator[ProfileServiceStub]:
    """Opens ProfileService; see `profile_channel`."""
    with profile_channel(address, key) as channel:
        yield ProfileServiceStub(channel)


def service_error(error: grpc.RpcError, service: str, address: str, variable: str) -> ServiceError:
    """Returns what a person should read about a failed call.

    Args:
        error: the error of the call.
        service: the name of the service.
        address: where it was called.
        variable: the environment variable that names the address.
    """
    code, text = error.code(), error.details() or ""
    info = detail(error, error_details_pb2.ErrorInfo)
    if info is None and code in BROKEN | {grpc.StatusCode.DEADLINE_EXCEEDED}:
        text = nobody_answers(service, address, variable)
    elif code == grpc.StatusCode.UNAUTHENTICATED:
        text = NOT_KNOWN
    elif info is None and code == grpc.StatusCode.UNIMPLEMENTED:
        text = another_service(service, address, variable)
    elif info is None:
        text = f"{service} at {address} answered {code.name}: {text}"
    # The error of a call is the call itself.
    request_id = answered_request_id(cast("grpc.Call", error).trailing_metadata())
    return ServiceError(with_request_id(text, request_id), info.reason if info else "", error)


def with_request_id(text: str, request_id: str) -> str:
    """Returns why a service refused, with what finds the call in its log and in the audit."""
    return f"{text} (request id {request_id})" if request_id else text


def another_service(service: str, address: str, variable: str) -> str:
    """Returns what to say where something answers that does not know what it is asked.

    Args:
        service: the name of the service.
        address: where it was called.
        variable: the environment variable that names the address.
    """
    return (
        f"what answers at {address} is no {service}, or an older one: look at the address "
        f"({variable} or the option). `deidcascade doctor` tells whether the two are swapped."
    )


def nobody_answers(service: str, address: str, variable: str) -> str:
    """Returns what to say, and to try, when a service is not there."""
    option = variable.removeprefix("DEIDCASCADE_").lower().replace("_", "-")
    return (
        f"no {service} answers at {address}. Start one with `deidcascade up`, or give the "
        f"address with --{option} or {variable}."
    )


def detail(error: grpc.RpcError, kind: type[MessageT]) -> MessageT | None:
    """Returns the detail of a kind that the status of an error carries, or None."""
    # The error of a call is the call itself.
    status = rpc_status.from_call(cast("grpc.Call", error))
    for packed in status.details if status else ():
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def pages(ask: Callable[[AskingT], PageT], request: AskingT) -> Iterator[PageT]:
    """Gives all pages of a list.

    Args:
        ask: gives one.
        request: says what is listed; its page is set here.
    """
    request.page_size = _PAGE_SIZE
    while True:
        page = ask(request)
        yield page
        request.page_token = page.next_page_token
        if not page.next_page_token:
            return
