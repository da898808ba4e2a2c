"""What every call goes through: its errors become statuses, and it gets its log line."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.access.actor import Actor, Credential
from profile_service.errors import CallIdleError, ProfileServiceError
from profile_service.hierarchy import is_name
from profile_service.logs import LOG
from profile_service.rpc_errors import UNFORESEEN, code_and_reason, to_status
from profile_service.serving.calls import Arrivals, calls
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc
    from google.protobuf.message import Message

    from profile_service.serving.calls import Behaviour

    Carrying = Callable[[Any, "Call"], Message]

# The field of a request that says what the call is about.
_SUBJECTS = ("target", "container", "name", "parent")


_SERVICE = pb.DESCRIPTOR.services_by_name["ProfileService"]


@dataclass(frozen=True, slots=True)
class Call:
    """What a method of the service is told of a call beside its request.

    Attributes:
        actor: who calls; handed down to whatever changes something.
        is_wanted: tells whether the caller still waits.
    """

    actor: Actor
    is_wanted: Callable[[], bool]


def handler(servicer: object, arrivals: Arrivals) -> grpc.GenericRpcHandler:
    """Returns what answers the calls of ProfileService.

    Args:
        servicer: carries them out, each method by its name, with the request and a `Call`.
        arrivals: the calls whose requests are on their way.
    """
    behaviours = {
        method.name: _observed(method.name, getattr(servicer, method.name))
        for method in _SERVICE.methods
    }
    return calls(_SERVICE, behaviours, arrivals)


def _observed(method: str, carry_out: Carrying) -> Behaviour:
    def call(request: Message | None, context: grpc.ServicerContext) -> Message:
        begin = time.perf_counter()
        actor = Actor("", Credential.NONE, peer=context.peer(), request_id=secrets.token_hex(8))
        code, reason, cause, level = "OK", "", "", logging.INFO
        try:
            return carry_out(_came(request), Call(actor, context.is_active))
        except ProfileServiceError as error:
            code, reason = _code_and_reason(error)
            cause = error.cause
            level = logging.ERROR if cause else logging.INFO
            context.abort_with_status(to_status(error))
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller gets INTERNAL
            code, reason = _code_and_reason(UNFORESEEN)
            cause = origin(error)
            level = logging.ERROR
            context.abort_with_status(to_status(UNFORESEEN))
        finally:
            LOG.write_soon(
                "call",
                level=level,
                method=method,
                resource=_subject(request),
                code=code,
                reason=reason,
                seconds=time.perf_counter() - begin,
                request=actor.request_id,
                cause=cause,
            )

    return call


def _came(request: Message | None) -> Message:
    if request is None:
        raise CallIdleError
    return request


def _code_and_reason(error: ProfileServiceError) -> tuple[str, str]:
    code, reason = code_and_reason(error)
    return code.name, reason


def _subject(request: Any) -> str:
    """Returns the resource name that a call is about; the empty text where it has none."""
    for field in _SUBJECTS:
        value = getattr(request, field, "")
        text = value if isinstance(value, str) else value.name
        if text:
            return text if is_name(text) else ""
    return ""
