"""DeidService over gRPC: reads and writes the messages of a stream, nothing else.

A stream holds one message of the caller and the answers to it. Of some streams the next one is
read meanwhile (`incoming.py`); of all others, when those are written. A caller that reads
slowly thereby slows its own sending, through HTTP/2 flow control, and costs no memory.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract import wire
from deid_service.contract.errors import (
    DeidServiceError,
    InvalidNameError,
    PermissionDeniedError,
    ProfileServiceUnavailableError,
    ProtocolError,
    UnauthenticatedError,
)
from deid_service.serving.calls import answered, credential_of
from deid_service.serving.conversation import (
    MAX_MESSAGE_BYTES,
    MAX_RESPONSE_BYTES,
    MIN_RESPONSE_BYTES,
    Conversation,
    FileRecord,
    Terms,
)
from deid_service.serving.incoming import Ahead, Incoming
from deid_service.serving.logs import LOG
from deid_service.serving.patients import Patients
from deid_service.serving.previews import METHOD as PREVIEW
from profile_service.serving.logs import Field
from profile_service.serving.request_ids import HEADER, read_request_id
from profile_service.serving.tracing import MAX_FILES, TRACING, Traced

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from deid_service.serving.calls import MessageStream
    from deid_service.serving.events import FileEvents, StreamEvents
    from deid_service.serving.gate import OpenStream, StreamGate
    from deid_service.serving.limits import Limits
    from deid_service.serving.previews import Previews
    from deid_service.serving.rechecks import Rechecks
    from deid_service.serving.resolver import AppliedProfile, ProfileResolver

# A connection that breaks ends the messages like a caller that ends them, and is
# told by the cancellation that follows at once: how long that is waited for where
# the end is out of order.
BROKEN_SECONDS = 0.05
# Where it is in order, nobody waits, but for a moment: a caller who cancels between two files has
# seen no good end. Another thread knows of it, which this one keeps from its core: it sleeps, which
# takes some 70 us whatever is asked for, and the loop hears of it within some turns. Where that
# thread gets no core in time, the log says OK of a caller who has all that it says and is gone.
CANCELLED_SECONDS = 0.00001
CANCELLED_TURNS = 3

SERVICE = pb.DESCRIPTOR.services_by_name["DeidService"].full_name


class DeidServicer:
    """Serves the calls of DeidService."""

    def __init__(
        self,
        resolver: ProfileResolver,
        limits: Limits,
        gate: StreamGate,
        rechecks: Rechecks,
        events: FileEvents,
        previews: Previews,
    ) -> None:
        self._resolver = resolver
        self._previews = previews
        self._ahead = Ahead()
        self._limits = limits
        self._gate = gate
        self._rechecks = rechecks
        self._events = events

    def handler(self) -> grpc.GenericRpcHandler:
        """Returns what a server is given to serve it."""
        deidentify: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(
            self._deidentify
        )
        return grpc.method_handlers_generic_handler(
            SERVICE, {"Deidentify": deidentify, PREVIEW: self._previews.handler()}
        )

    async def _deidentify(self, _requests: object, context: MessageStream) -> None:
        metadata = context.invocation_metadata() or ()
        with TRACING.answering(SERVICE, "Deidentify", metadata) as traced:
            record = _StreamRecord(read_request_id(metadata), traced)
            await answered(
                context,
                self._gate,
                record,
                lambda stream: self._converse(context, stream, record),
            )

    async def _timed(self, resolving: Coroutine[object, object, AppliedProfile]) -> AppliedProfile:
        """Waits for what applies, and tells how long that took."""
        began = time.perf_counter()
        try:
            return await resolving
        finally:
            LOG.tell("resolution", seconds=time.perf_counter() - began)

    async def _converse(
        self,
        context: MessageStream,
        stream: OpenStream,
        record: _StreamRecord,
    ) -> None:
        credential = credential_of(context)
        read, write = context.read, context.write
        opening = _opening(await read())
        target = opening.target
        terms = _terms(opening, self._limits)
        try:
            applied = await self._timed(
                self._resolver.resolve(target, credential, record.request_id)
            )
        except ProfileServiceUnavailableError as error:
            record.cause = error.cause
            raise
        except (InvalidNameError, PermissionDeniedError, UnauthenticatedError):
            raise  # Nobody has confirmed that it is a name: it is not logged.
        except DeidServiceError:
            record.target = target
            raise
        record.opened(target, applied)
        if applied.file_audit == profile_pb.FILE_AUDIT_REQUIRED:
            terms = replace(terms, digest=True)
        # Not before: gRPC repeats a call that fails by itself only where nothing was answered.
        await context.send_initial_metadata(((HEADER, record.request_id),))
        await write(_opened(applied, opening, terms))
        stream.touch(between_files=True)
        events = self._events.of_stream(record.id, record.request_id, target, applied)

        def ended(file: FileRecord) -> None:
            record.file_ended(file)
            events.ended(file)

        try:
            conversation = Conversation(applied, self._limits, ended, terms)
            with self._rechecks.watching(stream, target, credential):
                looked_up = [table for table in applied.tables if table.columns]
                patients = Patients(
                    self._resolver, target, credential, record.request_id, looked_up
                )
                async with Incoming(context.read, conversation, patients, self._ahead) as incoming:
                    await self._carry(context, stream, conversation, events, incoming)
        finally:
            events.close()

    @staticmethod
    async def _carry(
        context: MessageStream,
        stream: OpenStream,
        conversation: Conversation,
        events: StreamEvents,
        incoming: Incoming,
    ) -> None:
        read, write = incoming.next, context.write
        call_soon = asyncio.get_running_loop().call_soon
        while isinstance(message := await read(), bytes):
            await incoming.read_on(len(message))
            answers = conversation.receive(message)
            # Not kept for as long as a slow reader takes.
            del message
            await events.answered()
            while answers:
                # Neither is an answer, once it is on its way.
                await write(answers.pop(0))
            while conversation.pending:
                # Other streams have their turn.
                await asyncio.sleep(0)
                if (patient := conversation.awaited) is not None:
                    await incoming.settle(patient)
                answers = conversation.go_on()
                await events.answered()
                while answers:
                    await write(answers.pop(0))
            stream.touch(between_files=conversation.between_files)
            # Runs when the next message has been asked for, and while it is on its way.
            call_soon(conversation.catch_up)
        left = context.time_remaining()
        if not conversation.between_files:
            await asyncio.sleep(BROKEN_SECONDS)
        elif left is not None and left < 2 * BROKEN_SECONDS:
            # A deadline so near may be what ended the messages: half of what is left tells.
            await asyncio.sleep(left / 2)
        time.sleep(CANCELLED_SECONDS)
        for _ in range(CANCELLED_TURNS):
            await asyncio.sleep(0)
        conversation.end()


def _opening(message: object) -> pb.OpenStream:
    if not isinstance(message, bytes):
        raise ProtocolError("The stream ended before `open`.")
    request = wire.read_request(message)
    if request.WhichOneof("message") != "open":
        raise ProtocolError("The first message must be `open`.")
    return request.open


def _terms(opening: pb.OpenStream, limits: Limits) -> Terms:
    most = opening.max_response_bytes or MAX_MESSAGE_BYTES
    if most < MIN_RESPONSE_BYTES:
        raise ProtocolError(f"`max_response_bytes` is less than {MIN_RESPONSE_BYTES}.")
    return Terms(
        max_response_bytes=min(most, MAX_RESPONSE_BYTES),
        digest=limits.require_digest or opening.digest != pb.DIGEST_NONE,
    )


def _opened(applied: AppliedProfile, opening: pb.OpenStream, terms: Terms) -> bytes:
    opened = pb.StreamOpened(
        outcome=applied.outcome,
        profile_name=applied.name,
        profile_version=applied.version,
        profile_sha256=applied.sha256,
        unchanged=applied.plan.blank,
        key_id="" if applied.keys is None else applied.keys.id,
        tables=[table.message() for table in applied.tables],
    )
    # What a caller has not asked about, it need not know.
    if opening.max_response_bytes:
        opened.max_request_bytes = MAX_MESSAGE_BYTES
    if opening.digest:
        opened.digest = pb.DIGEST_SHA256 if terms.digest else pb.DIGEST_NONE
    return pb.DeidentifyResponse(opened=opened).SerializeToString()


class _StreamRecord:
    """What the log says of one stream and its files."""

    def __init__(self, request_id: str, traced: Traced) -> None:
        # Ties the lines of a stream together; callers may give one request id to several.
        self.id = secrets.token_hex(6)
        self.request_id = request_id
        self._traced = traced
        self._began = time.perf_counter()
        self._files = 0
        self._rejected = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._profile: dict[str, Field] = {}
        self.target = ""
        self.code = ""
        self.reason = ""
        self.origin = ""
        self.cause = ""

    def opened(self, target: str, applied: AppliedProfile) -> None:
        """Notes what applies."""
        self.target = target
        self._profile = {
            "outcome": profile_pb.Outcome.Name(applied.outcome).removeprefix("OUTCOME_"),
            "profile": applied.name,
            "version": applied.version,
            "sha256": applied.sha256,
            "key": "" if applied.keys is None else applied.keys.id,
            "tables": " ".join(
                f"{each.container}/tables/{each.name}@{each.version}" for each in applied.tables
            ),
        }

    def file_ended(self, file: FileRecord) -> None:
        """Notes and writes the end of a file."""
        self._files += 1
        self._rejected += bool(file.reason)
        self._bytes_in += file.bytes_in
        self._bytes_out += file.bytes_out
        place: dict[str, Field] = {"offset": file.offset} if file.reason else {}
        told: dict[str, Field] = {
            "stream": self.id,
            "index": self._files,
            "result": "REJECTED" if file.reason else "COMPLETE",
            "reason": file.reason,
            "tag": file.tag,
            **place,
            "bytes_in": file.bytes_in,
            "bytes_out": file.bytes_out,
            "applied_bytes": file.applied_bytes,
            "seconds": file.seconds,
            "request": self.request_id,
            "origin": file.origin,
        }
        LOG.write_soon("file", level=logging.ERROR if file.origin else logging.INFO, **told)
        if self._files <= MAX_FILES:
            TRACING.note_past("file", file.seconds, told)

    def write(self) -> None:
        """Writes the line of the stream."""
        told: dict[str, Field] = {
            "stream": self.id,
            "code": self.code,
            "reason": self.reason,
            "target": self.target,
            **self._profile,
            "files": self._files,
            "rejected": self._rejected,
            "bytes_in": self._bytes_in,
            "bytes_out": self._bytes_out,
            "seconds": time.perf_counter() - self._began,
            "request": self.request_id,
            "origin": self.origin,
            "cause": self.cause,
        }
        self._traced.tell(told, self.code)
        LOG.write("stream", level=logging.ERROR if self.origin else logging.INFO, **told)
