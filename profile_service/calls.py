"""What every call goes through: its errors become statuses, and it gets its log line."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import grpc

from profile_service.errors import InvalidNameError, ProfileServiceError
from profile_service.hierarchy import parse_name
from profile_service.logs import LOG
from profile_service.rpc_errors import UNFORESEEN, code_and_reason, to_status
from profile_service.servicer import SERVICE
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    Behaviour = Callable[[Message, grpc.ServicerContext], Message]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Continuation = Callable[[grpc.HandlerCallDetails], Handler | None]

# The field of a request that says what the call is about.
_SUBJECTS = ("target", "container", "name", "parent")


class CallInterceptor(grpc.ServerInterceptor):
    """Wraps the calls of ProfileService; those of other services on the port pass by."""

    def intercept_service(
        self,
        continuation: Continuation,
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Returns the handler of a call, wrapped."""
        handler = continuation(handler_call_details)
        service, _, method = handler_call_details.method.removeprefix("/").partition("/")
        if service != SERVICE or handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _wrap(method, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )


def _wrap(method: str, behaviour: Behaviour) -> Behaviour:
    def call(request: Message, context: grpc.ServicerContext) -> Message:
        begin = time.perf_counter()
        code, reason, cause, level = "OK", "", "", logging.INFO
        try:
            return behaviour(request, context)
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
            LOG.write(
                "call",
                level=level,
                method=method,
                resource=_subject(request),
                code=code,
                reason=reason,
                seconds=time.perf_counter() - begin,
                cause=cause,
            )

    return call


def _code_and_reason(error: ProfileServiceError) -> tuple[str, str]:
    code, reason = code_and_reason(error)
    return code.name, reason


def _subject(request: Any) -> str:
    """Returns the resource name that a call is about; the empty text where it has none."""
    for field in _SUBJECTS:
        value = getattr(request, field, "")
        text = value if isinstance(value, str) else value.name
        if text:
            try:
                return parse_name(text, field=field).text
            except InvalidNameError:
                return ""
    return ""
