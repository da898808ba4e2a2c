"""Tells ProfileService what became of files, for the audit, and holds up no stream for it.

Files are gathered for each stream, and sent in batches a moment later. While ProfileService
does not answer they wait, so many and so long; of what is dropped then the number is told, when
it answers again. Where a site asks for it, its streams wait until their files are told before
they answer, and end where that takes too long: then no file goes out that is not told of.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from deidcascade.v1 import profile_service_pb2 as profile_pb

from deid_service.contract.errors import AuditUnavailableError
from deid_service.engine import ENGINE_VERSION
from deid_service.serving.logs import LOG
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.serving.connection import ProfileConnection
    from deid_service.serving.conversation import FileRecord
    from deid_service.serving.resolver import AppliedProfile
    from profile_service.serving.keyfile import KeyFile

# How long files are gathered: what is lost with a worker that is killed.
GATHER_SECONDS = 0.5

# As many as RecordFiles takes in a batch and in a call, with room below its 2 MiB.
MAX_FILES = 500
MAX_BATCHES = 20

# How long one attempt may take, and after how long there is another one.
CALL_SECONDS = 10.0
AGAIN_SECONDS = 1.0

# What waits for a ProfileService that does not answer: some 200 bytes for each file.
KEEP_SECONDS = 900.0
MAX_WAITING = 100_000

# How long a stream waits whose site asks for it.
REQUIRED_SECONDS = 10.0

# What no other attempt will change: these batches are not what the service takes.
_HOPELESS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}


@dataclass(eq=False, frozen=True, slots=True)
class _Batch:
    """Files that are sent together; `told` says in the end whether they were."""

    message: profile_pb.FileBatch
    gathered: float
    told: asyncio.Future[bool]


class FileEvents:
    """What is to be told by one worker process. For the event loop alone."""

    def __init__(self, connection: ProfileConnection, key: KeyFile | None) -> None:
        """Tells nothing yet.

        Args:
            connection: to ProfileService.
            key: what this service shows with each call, where it has one.
        """
        self._connection = connection
        self._key = key
        self._streams: set[StreamEvents] = set()
        # By targets, each in the order in which they were gathered.
        self._waiting: dict[str, deque[_Batch]] = {}
        self._files = 0
        self._dropped: Counter[str] = Counter()
        self._wanted = asyncio.Event()
        self._failing = False

    def of_stream(
        self, stream: str, request_id: str, target: str, applied: AppliedProfile
    ) -> StreamEvents:
        """Begins to gather the files of a stream."""
        events = StreamEvents(self, stream, request_id, target, applied)
        self._streams.add(events)
        return events

    async def run(self) -> None:
        """Tells, until it is cancelled."""
        while True:
            await self._next()
            try:
                await self.tell()
            except Exception as error:  # noqa: BLE001 -- what is told next is to be told
                LOG.write("audit_waits", level=logging.ERROR, cause=origin(error))

    async def close(self, seconds: float) -> None:
        """Tells what is left, for so many seconds at most; what is not told is counted."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.tell(), seconds)
        self._drop(lambda _batch: True)

    async def tell(self) -> None:
        """Tells what has been gathered; what is not taken goes on waiting."""
        for stream in list(self._streams):
            stream.close_batch()
        failed = False
        for target in {**self._waiting, **self._dropped}:
            failed = not await self._tell_of(target) or failed
        self._failing = failed
        if failed:
            oldest = asyncio.get_running_loop().time() - KEEP_SECONDS
            self._drop(lambda batch: batch.gathered < oldest)
        LOG.tell("audit_queue", files=self._files)

    async def _tell_of(self, target: str) -> bool:
        """Tells what waits of a target; returns whether that was taken."""
        waiting = self._waiting.get(target, deque())
        while waiting or self._dropped[target]:
            batches = [waiting[n] for n in range(min(MAX_BATCHES, len(waiting)))]
            dropped = self._dropped[target]
            messages = [batch.message for batch in batches]
            if dropped:
                # Told twice, where it is not known that it was told, is better than never.
                messages.append(profile_pb.FileBatch(id=_id(), unrecorded=dropped))
            try:
                await self._send(target, messages)
            except grpc.aio.AioRpcError as error:
                if not self._failing:
                    cause = self._connection.cause_of(error)
                    LOG.write("audit_waits", level=logging.ERROR, files=self._files, cause=cause)
                if error.code() in _HOPELESS:
                    self._drop(set(batches).__contains__)
                return False
            self._dropped[target] -= dropped
            # Unless it was dropped on its way, for want of room.
            for batch in (batch for batch in batches if not batch.told.done()):
                waiting.remove(batch)
                self._files -= len(batch.message.files)
                batch.told.set_result(True)
        # Nothing is kept of a target that nothing waits of.
        self._waiting.pop(target, None)
        del self._dropped[target]
        return True

    def put(self, target: str, message: profile_pb.FileBatch) -> asyncio.Future[bool]:
        """Takes a batch, and returns what says in the end whether it was told."""
        loop = asyncio.get_running_loop()
        batch = _Batch(message, loop.time(), loop.create_future())
        self._waiting.setdefault(target, deque()).append(batch)
        self._files += len(message.files)
        while self._files > MAX_WAITING:
            firsts = (queue[0] for queue in self._waiting.values() if queue)
            self._drop({min(firsts, key=lambda first: first.gathered)}.__contains__)
        return batch.told

    def forget(self, stream: StreamEvents) -> None:
        """Gathers no more files of a stream."""
        stream.close_batch()
        self._streams.discard(stream)

    def want(self) -> None:
        """Tells as soon as possible."""
        self._wanted.set()

    async def _next(self) -> None:
        """Waits for the next time to tell something."""
        if self._failing:
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), GATHER_SECONDS)
        self._wanted.clear()

    async def _send(self, target: str, batches: list[profile_pb.FileBatch]) -> None:
        request = profile_pb.RecordFilesRequest(target=target, batches=batches)
        metadata = () if self._key is None else (("authorization", f"Bearer {self._key.text()}"),)
        await self._connection.profiles.RecordFiles(
            request, timeout=CALL_SECONDS, metadata=metadata
        )

    def _drop(self, which: Callable[[_Batch], bool]) -> None:
        """Drops batches, and remembers how many files of which target."""
        files = 0
        for target, waiting in self._waiting.items():
            for batch in [batch for batch in waiting if which(batch)]:
                waiting.remove(batch)
                self._dropped[target] += len(batch.message.files)
                files += len(batch.message.files)
                batch.told.set_result(False)
        self._files -= files
        if files:
            LOG.write("audit_dropped", level=logging.ERROR, files=files)


class StreamEvents:
    """What is to be told of the files of one stream."""

    def __init__(
        self,
        events: FileEvents,
        stream: str,
        request_id: str,
        target: str,
        applied: AppliedProfile,
    ) -> None:
        self._events = events
        self._required = applied.file_audit == profile_pb.FILE_AUDIT_REQUIRED
        self._off = applied.file_audit == profile_pb.FILE_AUDIT_OFF
        self._target = target
        self._common = profile_pb.FileBatch(
            stream=stream,
            outcome=applied.outcome,
            profile_name=applied.name,
            profile_version=applied.version,
            profile_sha256=applied.sha256,
            engine_version=ENGINE_VERSION,
            caller=applied.caller,
            request_id=request_id,
        )
        self._files: list[profile_pb.FileEvent] = []
        self._actions: Counter[str] = Counter()
        self._told: list[asyncio.Future[bool]] = []

    def ended(self, file: FileRecord) -> None:
        """Notes the end of a file."""
        if self._off:
            return
        self._files.append(
            profile_pb.FileEvent(
                reason=file.reason,
                tag=file.tag,
                bytes_in=file.bytes_in,
                bytes_out=file.bytes_out,
                sha256=file.sha256,
            )
        )
        for action, count in file.actions.items():
            self._actions[action] += count
        if len(self._files) >= MAX_FILES:
            self.close_batch()

    def close_batch(self) -> None:
        """Has the files that are gathered sent with what is sent next."""
        if not self._files:
            return
        message = profile_pb.FileBatch(id=_id(), files=self._files, actions=self._actions)
        message.MergeFrom(self._common)
        self._files = []
        self._actions.clear()
        told = self._events.put(self._target, message)
        if self._required:
            self._told.append(told)

    async def answered(self) -> None:
        """Waits until the files that have ended are told, where the site asks for it.

        Raises:
            AuditUnavailableError: they cannot be told, and so their results not be answered.
        """
        if not self._required:
            return
        self.close_batch()
        if not self._told:
            return
        self._events.want()
        told, self._told = self._told, []
        done, pending = await asyncio.wait(told, timeout=REQUIRED_SECONDS)
        if pending or not all(future.result() for future in done):
            raise AuditUnavailableError

    def close(self) -> None:
        """Takes the end of the stream."""
        self._events.forget(self)


def _id() -> str:
    return secrets.token_hex(16)
