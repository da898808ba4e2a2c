"""What every call goes through: a place, errors that become statuses, and its line in the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

import grpc

from deid_service.contract.errors import DeidServiceError, UnauthenticatedError
from deid_service.contract.rpc_errors import code_and_reason, to_status
from profile_service.serving.logs import origin
from profile_service.serving.request_ids import HEADER
from profile_service.serving.tls import certificate_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from deid_service.serving.gate import OpenStream, StreamGate

_Answer = TypeVar("_Answer")

# A caller's own clock ends its call at the deadline, a moment before that passes here.
NEAR_SECONDS = 0.1


class MessageStream(Protocol):
    """What is used of a `grpc.aio.ServicerContext` whose messages are bytes."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """Returns what the call came with."""
        ...

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """Returns what is known of the other end of the connection."""
        ...

    def set_trailing_metadata(self, trailing_metadata: tuple[tuple[str, str], ...]) -> None:
        """Says what comes with the end of the call."""
        ...

    async def send_initial_metadata(self, initial_metadata: tuple[tuple[str, str], ...]) -> None:
        """Sends what comes before the first message."""
        ...

    def time_remaining(self) -> float | None:
        """Returns how many seconds the caller still waits; None where it said nothing of that."""
        ...

    async def read(self) -> object:
        """Reads the next message of the caller; what is not bytes is the end."""
        ...

    async def write(self, message: bytes) -> None:
        """Writes a message; returns when flow control has let it go."""
        ...

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: object
    ) -> NoReturn:
        """Ends the call with a status."""
        ...


class CallRecord(Protocol):
    """What the log says of a call.

    Attributes:
        request_id: what the caller is told.
        code: the status that it ends with.
        reason: the stable reason of that.
        origin: where in the program an unforeseen error came up.
    """

    request_id: str
    code: str
    reason: str
    origin: str

    def write(self) -> None:
        """Writes the line."""
        ...


async def answered(
    context: MessageStream,
    gate: StreamGate,
    record: CallRecord,
    carry_out: Callable[[OpenStream], Awaitable[_Answer]],
) -> _Answer:
    """Carries out a call; what goes wrong ends it with its status.

    Args:
        context: of the call.
        gate: where it has its place.
        record: gets what became of it, and is written.
        carry_out: does it.
    """
    tied = (HEADER, record.request_id)
    context.set_trailing_metadata((tied,))
    failure: DeidServiceError | None = None
    try:
        async with gate.admit() as stream:
            answer = await carry_out(stream)
        # The caller's deadline ends the messages like the caller does: it has not seen all this.
        record.code = _how_it_ended(context, grpc.StatusCode.OK, 0)
    except DeidServiceError as error:
        failure = error
    except asyncio.CancelledError:
        record.code = _how_it_ended(context, grpc.StatusCode.CANCELLED, NEAR_SECONDS)
        raise
    except Exception as error:  # noqa: BLE001 - its text must not reach caller or log
        record.origin = origin(error)
        failure = DeidServiceError("The service failed.")
    finally:
        if failure is not None:
            code, record.reason = code_and_reason(failure)
            record.code = code.name
        record.write()
    if failure is not None:
        status = to_status(failure)
        with gate.leaving():
            trailing = (*(status.trailing_metadata or ()), tied)
            await context.abort(status.code, status.details, trailing)
    return answer


def _how_it_ended(context: MessageStream, code: grpc.StatusCode, near: float) -> str:
    """Returns a status, or that of the caller's deadline where that has passed, or is so near."""
    left = context.time_remaining()
    if left is not None and left <= near:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
    return code.name


def credential_of(context: MessageStream) -> tuple[str, str]:
    """Returns what a caller shows, as metadata for ProfileService, which judges it.

    Raises:
        UnauthenticatedError: it shows nothing, or more than one thing.
    """
    shown = [
        value for name, value in context.invocation_metadata() or () if name == "authorization"
    ]
    if not shown and (named := certificate_name(context.auth_context())):
        return "caller-certificate", named
    if len(shown) != 1 or not isinstance(shown[0], str):
        raise UnauthenticatedError
    return "caller-authorization", shown[0]
