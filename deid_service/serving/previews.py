"""PreviewProfile: what a profile does to a file, shown to who has sent it.

The one call that answers with values of a file. They are in memory for as long as it takes, and
nowhere else: what goes wrong is told by kind, and the log has how many bytes came.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract import errors
from deid_service.contract.errors import ProfileProblem, ProtocolError
from deid_service.contract.wire import read_preview_request
from deid_service.engine import DicomError, Given
from deid_service.preview.keys import throwaway_keys
from deid_service.preview.previewing import Bounds, NotShownError, preview
from deid_service.serving.calls import answered, credential_of
from deid_service.serving.conversation import rejection_of
from deid_service.serving.logs import LOG
from deid_service.serving.resolver import profile_in_force
from profile_service.language import ProfileInvalid, parse_profile
from profile_service.serving.request_ids import read_request_id
from profile_service.serving.tracing import TRACING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from deid_service.engine import Listed
    from deid_service.preview.changes import Change
    from deid_service.serving.calls import MessageStream
    from deid_service.serving.gate import OpenStream, StreamGate
    from deid_service.serving.resolver import ProfileResolver
    from profile_service.language.model import Profile
    from profile_service.serving.logs import Field
    from profile_service.serving.tracing import Traced

METHOD = "PreviewProfile"

# What a preview may cost. A reader for people takes some 30 times as much memory as the bytes
# of the smallest elements, and a millisecond for each hundred.
MAX_FILE_BYTES = 16 * 1024 * 1024
BOUNDS = Bounds(inflated_bytes=MAX_FILE_BYTES, elements=20_000, looks=2_000_000)

# Open at once, in a worker. One is worked on at a time, in a thread: it shares a core with
# the streams.
MAX_AT_ONCE = 4

# What callers receive where nothing else is said: gRPC's default, with room for what is around.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024 - 64 * 1024


class Previews:
    """Answers PreviewProfile."""

    def __init__(self, service: str, resolver: ProfileResolver, gate: StreamGate) -> None:
        """Begins with nothing.

        Args:
            service: the full name of the service.
            resolver: says what is in force, and whether its caller may see it.
            gate: where calls have their places.
        """
        self._service = service
        self._resolver = resolver
        self._gate = gate
        self._open = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="preview")

    def handler(self) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Returns what a server is given to serve it."""
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(
            self._preview
        )
        return handler

    def close(self) -> None:
        """Works on nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _preview(self, requests: AsyncIterator[bytes], context: MessageStream) -> bytes:
        metadata = context.invocation_metadata() or ()
        with TRACING.answering(self._service, METHOD, metadata) as traced:
            record = _Record(read_request_id(metadata), traced)

            async def carry_out(stream: OpenStream) -> bytes:
                return await self._carry_out(requests, context, stream, record)

            return await answered(context, self._gate, record, carry_out)

    async def _carry_out(
        self,
        requests: AsyncIterator[bytes],
        context: MessageStream,
        stream: OpenStream,
        record: _Record,
    ) -> bytes:
        credential = credential_of(context)
        if self._open >= MAX_AT_ONCE:
            raise errors.TooManyPreviewsError
        self._open += 1
        try:
            start = _start(read_preview_request(await anext(requests, b"")))
            response, make, listed = await self._what_applies(start, credential, record)
            data = await _received(requests, stream, record)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, _answer, response, make, data, listed)
        finally:
            self._open -= 1

    async def _what_applies(
        self, start: pb.PreviewStart, credential: tuple[str, str], record: _Record
    ) -> tuple[pb.PreviewProfileResponse, Callable[[], Profile], Listed | None]:
        """Returns an answer that says what applies, what reads the profile, and its lists."""
        target = start.target
        resolution = await self._resolver.preview(target, credential, record.request_id)
        record.target = target
        source = start.source
        response = pb.PreviewProfileResponse(outcome=profile_pb.OUTCOME_PROFILE)
        if source:
            response.profile_sha256 = hashlib.sha256(source.encode()).hexdigest()
            return response, lambda: _checked(source), None
        found = resolution.profile
        response.outcome = resolution.outcome
        response.profile_name = found.name
        response.profile_version = found.version
        response.profile_sha256 = found.sha256
        listed, lists = await self._resolver.listed(
            resolution, target, credential, record.request_id
        )
        response.lists.extend(table.message() for table in lists)
        return response, lambda: profile_in_force(resolution), listed


def _start(request: pb.PreviewProfileRequest) -> pb.PreviewStart:
    if request.WhichOneof("message") != "start":
        raise ProtocolError("The first message must be `start`.")
    return request.start


async def _received(requests: AsyncIterator[bytes], stream: OpenStream, record: _Record) -> bytes:
    data = bytearray()
    async for message in requests:
        request = read_preview_request(message)
        if request.WhichOneof("message") != "chunk":
            raise ProtocolError("After `start` only `chunk` may come.")
        if len(data) + len(request.chunk) > MAX_FILE_BYTES:
            raise errors.PreviewTooLargeError(
                f"A file of more than {MAX_FILE_BYTES} bytes is not shown."
            )
        data += request.chunk
        record.bytes_in = len(data)
        stream.touch(between_files=False)
    return bytes(data)


def _answer(
    response: pb.PreviewProfileResponse,
    make: Callable[[], Profile],
    data: bytes,
    listed: Listed | None,
) -> bytes:
    """Fills an answer in. Runs in a thread."""
    profile = make()
    keys = throwaway_keys(profile)
    try:
        if listed is None:
            named = {column.table for column in profile.settings.words.lists}
            response.lists_left_out.extend(sorted(named))
            found = preview(data, profile, keys, _nothing_said, BOUNDS)
        else:
            found = preview(data, profile, keys, _nothing_said, BOUNDS, lambda _: listed)
    except DicomError as error:
        response.rejection.CopyFrom(rejection_of(error))
    except NotShownError as error:
        raise errors.PreviewNotShownError(str(error)) from None
    else:
        response.changes.extend(map(_change, found.changes))
        response.remaining.extend(pb.RemainingElement(**each.as_json()) for each in found.remaining)
    if response.ByteSize() > MAX_RESPONSE_BYTES:
        raise errors.PreviewNotShownError("the answer is too long for a message")
    return response.SerializeToString()


def _nothing_said(_known_by: str) -> Given:
    """Stands for the tables of a site, which say nothing of anybody here."""
    return Given()


def _change(change: Change) -> pb.ElementChange:
    made = pb.ElementChange(
        path=change.element.path,
        tag=change.element.tag,
        vr=change.element.vr,
        by=change.by,
        lines=change.lines,
    )
    if change.before is not None:
        made.before = change.before.text
    if change.after is not None:
        made.after = change.after.text
    return made


def _checked(source: str) -> Profile:
    """Returns the profile of a text that a caller has sent; raises ProfileInvalidError."""
    try:
        return parse_profile(source)
    except ProfileInvalid as error:
        problems = (
            ProfileProblem(
                each.code, each.path, each.line, each.column, each.message, each.suggestion
            )
            for each in error.violations
        )
        raise errors.ProfileInvalidError(tuple(problems)) from None


class _Record:
    """What the log says of a preview."""

    def __init__(self, request_id: str, traced: Traced) -> None:
        self.request_id = request_id
        self.target = ""
        self.bytes_in = 0
        self.code = ""
        self.reason = ""
        self.origin = ""
        self._traced = traced
        self._began = time.perf_counter()

    def write(self) -> None:
        """Writes the line."""
        told: dict[str, Field] = {
            "code": self.code,
            "reason": self.reason,
            "target": self.target,
            "bytes_in": self.bytes_in,
            "seconds": time.perf_counter() - self._began,
            "request": self.request_id,
            "origin": self.origin,
        }
        self._traced.tell(told, self.code)
        LOG.write("preview", level=logging.ERROR if self.origin else logging.INFO, **told)
