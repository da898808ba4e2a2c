"""How the command reaches the services, and what it says when they refuse."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import click
import grpc
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from deid_service.cli.console import Failure
from deid_service.cli.data import default_data_folder
from deid_service.contract.credentials import with_credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound="Message")

PROFILE_SERVICE = "DEIDCASCADE_PROFILE_SERVICE"
DEID_SERVICE = "DEIDCASCADE_DEID_SERVICE"
KEY_FILE = "DEIDCASCADE_KEY_FILE"
DEFAULT_PROFILE_PORT = 50051
DEFAULT_DEID_PORT = 50052

# gRPC's list of hosts that it reaches without a proxy; it hides `no_proxy`.
NOT_THROUGH_PROXY = "no_grpc_proxy"

# No call of ProfileService takes long: this tells a server that hangs from one that works.
CALL_CONFIG = {"methodConfig": [{"name": [{}], "timeout": "15s"}]}

NOT_KNOWN = (
    "the service does not accept the credential, or there is none: give a file with an API key "
    f"with --key-file or {KEY_FILE}."
)

# A page of a list: the most that ProfileService gives at once.
PAGE_SIZE = 1000

# Where what --key-file says is kept until a channel is opened.
_KEY_FILE_META = f"{__name__}.key_file"

# What names this machine, in an address.
_LOCAL = ("localhost", "127.0.0.1", "[::1]", "unix")

CommandT = TypeVar("CommandT", bound="Callable[..., object]")


def _keep_key_file(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    context.meta[_KEY_FILE_META] = value


key_file_option = click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar=KEY_FILE,
    show_envvar=True,
    expose_value=False,
    callback=_keep_key_file,
    help="The file with the API key or token to show. By default that of `deidcascade up` of "
    "this user, to services of this machine.",
)


def profile_service_option(command: CommandT) -> CommandT:
    """Adds the options that lead to ProfileService."""
    return _profile_service_option(key_file_option(command))


def deid_service_option(command: CommandT) -> CommandT:
    """Adds the options that lead to DeidService."""
    return _deid_service_option(key_file_option(command))


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
        Failure: the file that was named cannot be read.
    """
    context = click.get_current_context(silent=True)
    named: Path | None = context.meta.get(_KEY_FILE_META) if context else None
    if named is None and address.rpartition(":")[0] in _LOCAL:
        with suppress(OSError, ValueError, click.UsageError):
            return read_key_file(default_data_folder() / "admin.key")
        return ""
    if named is None:
        return ""
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
    with grpc.insecure_channel(address, options) as channel:
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
    if info is None and code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        text = nobody_answers(service, address, variable)
    elif code == grpc.StatusCode.UNAUTHENTICATED:
        text = NOT_KNOWN
    elif info is None:
        text = f"{service} at {address} answered {code.name}: {text}"
    return ServiceError(text, info.reason if info else "", error)


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


def keep_proxies_from_local_services() -> None:
    """Makes gRPC reach services of this machine directly.

    gRPC sends plain-text calls through the machine's web proxy when one is set,
    the calls to localhost too.
    """
    excepted = os.environ.get(NOT_THROUGH_PROXY) or os.environ.get("no_proxy") or ""
    local = "localhost,127.0.0.1,::1"
    os.environ[NOT_THROUGH_PROXY] = f"{excepted},{local}" if excepted else local
