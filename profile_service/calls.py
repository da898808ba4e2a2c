"""What every call goes through: the guard, errors that become statuses, and its log line."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NoReturn, cast

from profile_service.access.credentials import NOBODY
from profile_service.errors import (
    CallIdleError,
    PermissionDeniedError,
    ProfileServiceError,
    ServiceRefusedError,
)
from profile_service.guard import Call, Guard, Shown, actor_of
from profile_service.hierarchy import is_name
from profile_service.logs import LOG
from profile_service.rpc_errors import UNFORESEEN, code_and_reason, to_status
from profile_service.serving.calls import Arrivals, calls
from profile_service.serving.logs import origin
from profile_service.serving.request_ids import HEADER, read_request_id
from profile_service.serving.tls import certificate_name
from profile_service.serving.tracing import TRACING, Traced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import grpc
    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
    from google.protobuf.message import Message

    from profile_service.serving.calls import Behaviour
    from profile_service.serving.logs import Field

    Carrying = Callable[[Any, Call], Message]

# The field of a request that says what the call is about.
_SUBJECTS = ("target", "container", "name", "parent")

_NOTHING_SHOWN = Shown(NOBODY, None)


def handler(
    service: ServiceDescriptor, servicers: Iterable[object], guard: Guard, arrivals: Arrivals
) -> grpc.GenericRpcHandler:
    """Returns what answers the calls of a service.

    Args:
        service: its description.
        servicers: carry them out, a method for each by its name, with the request and a `Call`.
        guard: lets them pass.
        arrivals: the calls whose requests are on their way.
    """
    behaviours = {
        method.name: _observed(method, getattr(servicer, method.name), guard)
        for servicer in servicers
        for method in service.methods
        if hasattr(servicer, method.name)
    }
    return calls(service, behaviours, arrivals)


def _observed(described: MethodDescriptor, carry_out: Carrying, guard: Guard) -> Behaviour:
    service, method = described.containing_service.full_name, described.name
    # Asking a message for a field that it has not takes longer than all the rest.
    of_binding = "binding" in described.input_type.fields_by_name
    fields = [field for field in _SUBJECTS if field in described.input_type.fields_by_name]

    def subject(request: Any) -> str:
        if of_binding:
            return _subject(request.binding, ("container",)) if request is not None else ""
        return _subject(request, fields)

    def answer(
        request: Message | None, context: grpc.ServicerContext, more: Iterable[Message] = ()
    ) -> Message:
        with TRACING.answering(service, method, context.invocation_metadata()) as traced:
            return answered(request, context, more, traced)

    def answered(
        request: Message | None,
        context: grpc.ServicerContext,
        more: Iterable[Message],
        traced: Traced,
    ) -> Message:
        begin = time.perf_counter()
        code, reason, cause, level = "OK", "", "", logging.INFO
        metadata = context.invocation_metadata()
        shown, key_name, request_id = _NOTHING_SHOWN, "", read_request_id(metadata)
        context.set_trailing_metadata(((HEADER, request_id),))
        try:
            shown = guard.read(metadata, lambda: _certificate(context))
            key_name, granted = guard.admit(method, _came(request), shown)
            asked = (granted, shown, key_name, request_id)
            call = Call(*asked, context.peer, context.is_active, more)
            return carry_out(request, call)
        except ProfileServiceError as error:
            code, reason = _code_and_reason(error)
            cause = error.cause
            level = logging.ERROR if cause else logging.INFO
            if _is_told(error):
                denied = shown
                if isinstance(error, ServiceRefusedError):
                    # Nobody knows whether the other credential is one.
                    denied = shown._replace(for_caller=None)
                actor = actor_of(denied, key_name, context.peer(), request_id)
                guard.tell_denied(method, subject(request), actor, reason)
            _abort(context, error, request_id)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the caller gets INTERNAL
            code, reason = _code_and_reason(UNFORESEEN)
            cause = origin(error)
            level = logging.ERROR
            _abort(context, UNFORESEEN, request_id)
        finally:
            told: dict[str, Field] = {
                "method": method,
                "resource": subject(request),
                "code": code,
                "reason": reason,
                "seconds": time.perf_counter() - begin,
                "caller": _named(shown),
                "request": request_id,
                "cause": cause,
            }
            traced.tell(told, code)
            LOG.write_soon("call", level=level, **told)

    return answer


def _abort(context: grpc.ServicerContext, error: ProfileServiceError, request_id: str) -> NoReturn:
    status = to_status(error)
    context.set_trailing_metadata((*(status.trailing_metadata or ()), (HEADER, request_id)))
    context.abort(status.code, status.details)


def _certificate(context: grpc.ServicerContext) -> str:
    # The types have one value for each name, where there are several.
    return certificate_name(cast("Mapping[str, Iterable[bytes]]", context.auth_context()))


def _named(shown: Shown) -> str:
    """Returns whom a call names as its caller; empty where it shows nothing."""
    return (shown.for_caller or shown.claims).name


def _came(request: Message | None) -> Message:
    if request is None:
        raise CallIdleError
    return request


def _code_and_reason(error: ProfileServiceError) -> tuple[str, str]:
    code, reason = code_and_reason(error)
    return code.name, reason


def _is_told(error: ProfileServiceError) -> bool:
    """Tells whether the audit is told: somebody who is known was not let."""
    if isinstance(error, ServiceRefusedError):
        return error.known
    return isinstance(error, PermissionDeniedError)


def _subject(request: Any, fields: Sequence[str]) -> str:
    """Returns the resource name that a call is about; the empty text where it has none."""
    for field in fields if request is not None else ():
        value = getattr(request, field)
        text = value if isinstance(value, str) else value.name
        if text:
            return text if is_name(text) else ""
    return ""
