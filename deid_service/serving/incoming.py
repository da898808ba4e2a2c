"""The request messages of one stream, of which some are read ahead.

While a large message is worked on and answered, the next one comes: else the line would have
nothing to do meanwhile. Where a profile gives something to
patients, the next ones are read and seen meanwhile, up to a bound, and their patients are asked
for together: one request at a time, and in each all who have come since the last. So the way to
ProfileService and back does not hold the stream, and many new patients share it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from deid_service.serving.patients import MAX_PATIENTS, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from deid_service.serving.conversation import Conversation
    from deid_service.serving.lookout import Lookout
    from deid_service.serving.patients import Patients

# How much is held of what was read ahead before more is read, in bytes: a stream holds no more
# than this and its next message.
AHEAD_BYTES = 4 * 1024 * 1024

# From so many bytes on, a message takes long enough for the next one to be read meanwhile. That
# takes some 30 us.
LARGE_BYTES = 64 * 1024

# So many streams of a worker have a message come meanwhile; the others keep its core busy as well.
# It bounds what callers cost who do not read: each one holds the message that came.
MAX_AHEAD = 8

# Those in so many of these are asked for together, unless somebody waits for one of them.
_ASKED_BYTES = AHEAD_BYTES // 2


class Ahead:
    """Counts the streams of a worker that have a message come while they work on the last."""

    def __init__(self) -> None:
        """Begins with none."""
        self._count = 0

    def enter(self) -> bool:
        """Takes a place, if there is one."""
        if self._count >= MAX_AHEAD:
            return False
        self._count += 1
        return True

    def leave(self) -> None:
        """Gives it back."""
        self._count -= 1


class Incoming:
    """Reads the messages of a stream, and asks for the patients in them."""

    def __init__(
        self,
        read: Callable[[], Awaitable[object]],
        conversation: Conversation,
        patients: Patients,
        ahead: Ahead,
    ) -> None:
        """Reads nothing yet.

        Args:
            read: the next message; no bytes at the end.
            conversation: what is said on the stream.
            patients: whom to ask.
            ahead: counts the streams of the worker that have a message come.
        """
        self._read = read
        self._ahead = ahead
        # The next message, where it comes while the last is worked on.
        self._coming: asyncio.Future[object] | None = None
        self._conversation = conversation
        self._patients = patients
        self._messages: deque[object] = deque()
        self._held = 0
        # Of these, what holds patients who are not asked for.
        self._unasked = 0
        # A message came, or there is room for another.
        self._moved = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_over = False

    async def __aenter__(self) -> Incoming:
        if (lookout := self._conversation.lookout) is not None:
            self._reading = asyncio.create_task(self._read_all(lookout))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        coming = self._take_coming()
        tasks = [task for task in (coming, self._reading, self._asking) if task is not None]
        for task in tasks:
            task.cancel()
        # What they failed with is no matter any more.
        await asyncio.gather(*tasks, return_exceptions=True)

    async def next(self) -> object:
        """Returns the next message; no bytes at the end."""
        if self._reading is None:
            coming = self._take_coming()
            return await (self._read() if coming is None else coming)
        while not self._messages:
            if self._reading.done():
                self._reading.result()
            await self._turn()
        message = self._messages.popleft()
        if isinstance(message, bytes):
            self._held -= len(message)
        self._moved.set()
        return message

    async def read_on(self, size: int) -> None:
        """Has the next message come while one is worked on, if it is worth it.

        Args:
            size: of the one that is worked on, in bytes.
        """
        if self._reading is None and size >= LARGE_BYTES and self._ahead.enter():
            self._coming = asyncio.ensure_future(self._read())
            # gRPC hears of it now.
            await asyncio.sleep(0)

    async def settle(self, patient: str) -> None:
        """Waits until it is known what a patient of the conversation was given.

        Raises:
            DeidServiceError: it cannot be known; see `Patients.given`.
        """
        conversation, lookout = self._conversation, self._conversation.lookout
        assert lookout is not None  # noqa: S101 -- somebody is awaited
        while conversation.awaited == patient:
            if lookout.is_unanswered(patient):
                self._ask(lookout)
                assert self._asking is not None  # noqa: S101 -- it is now
                await asyncio.shield(self._asking)
                continue
            # It was refused to several at once, or is forgotten.
            given = await self._patients.given(conversation.plan, [patient])
            conversation.give(patient, given if isinstance(given, Refusal) else given[0])

    def _take_coming(self) -> asyncio.Future[object] | None:
        coming, self._coming = self._coming, None
        if coming is not None:
            self._ahead.leave()
        return coming

    async def _read_all(self, lookout: Lookout) -> None:
        try:
            while True:
                while self._held >= AHEAD_BYTES:
                    await self._turn()
                message = await self._read()
                if isinstance(message, bytes):
                    for _ in lookout.look(message):
                        await asyncio.sleep(0)
                    self._held += len(message)
                    self._unasked += len(message)
                self._messages.append(message)
                self._moved.set()
                if not isinstance(message, bytes):
                    self._ask(lookout)
                    return
                if self._unasked >= _ASKED_BYTES:
                    self._ask(lookout)
        finally:
            self._moved.set()

    async def _turn(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _ask(self, lookout: Lookout) -> None:
        """Asks for those who are not asked for yet, when there is an answer to the last request."""
        asking = self._asking
        if asking is not None and (not asking.done() or asking.exception() is not None):
            return
        self._unasked = 0
        if patients := lookout.ask(MAX_PATIENTS):
            self._asking = asyncio.create_task(self._given(lookout, patients))
            self._asking.add_done_callback(partial(self._answered, lookout))

    def _answered(self, lookout: Lookout, done: asyncio.Task[None]) -> None:
        """Goes on to those who have come meanwhile, if they are many."""
        if not self._is_over and not done.cancelled() and self._unasked >= _ASKED_BYTES:
            self._ask(lookout)

    async def _given(self, lookout: Lookout, patients: list[str]) -> None:
        given = await self._patients.given(self._conversation.plan, patients)
        if isinstance(given, Refusal):
            lookout.refused()
        else:
            lookout.answered(dict(zip(patients, given, strict=True)))
