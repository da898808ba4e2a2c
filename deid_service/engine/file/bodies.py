"""The data set of a file, in each of the ways in which it can stand there.

A plain one is walked as it comes, a deflated one as what it inflates to; a media
directory is held whole, because its records point to each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Final, Protocol

from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.file.deflate import Deflater, Inflater
from deid_service.engine.file.directory import check_records, repoint
from deid_service.engine.file.head import Head
from deid_service.engine.file.meta import FileMeta
from deid_service.engine.layouts.learning import Layouts
from deid_service.engine.rules.budget import Budget, spend_from
from deid_service.engine.rules.rules import Rules
from deid_service.engine.walk.output import Buffer, Output
from deid_service.engine.walk.recorder import Rehearsal
from deid_service.engine.walk.walk import Walk

# How much is inflated in one call, in bytes: some twenty milliseconds of work.
_INFLATED_AT_ONCE: Final = 1 << 20


class Body(Protocol):
    """A data set, as it comes in.

    Attributes:
        walk: over it.
    """

    walk: Walk

    @property
    def need(self) -> int:
        """How many bytes must be there to read on; 0 where all that is due is a turn."""
        ...

    @property
    def pending(self) -> bool:
        """Whether it holds input that it has not read."""
        ...

    def read(self, data: bytes, start: int, until: float) -> int:
        """Reads from a position on, as far as it can or has time.

        Returns:
            How far that is.
        """
        ...

    def go_on(self, until: float) -> None:
        """Reads on in what it holds, as long as it has time."""
        ...

    def skip(self, size: int, data: Buffer) -> bool:
        """Passes on, or leaves out, data that lie in one long value; False where they do not."""
        ...

    def finish(self, rest: bytes) -> None:
        """Ends it, with what was not read.

        Raises:
            DicomError: it ends too early.
        """
        ...

    def release(self) -> list[Buffer]:
        """Returns what can be passed on."""
        ...


class PlainBody:
    """A data set that is walked as it comes; see `Body`."""

    pending = False

    def __init__(self, walk: Walk, output: Output, learner: Learner | None = None) -> None:
        """Begins.

        Args:
            walk: over it.
            output: of the file.
            learner: learns from how it begins.
        """
        self.walk = walk
        self._output = output
        self._learner = learner

    @property
    def need(self) -> int:
        """See `Body`."""
        return self.walk.splicer.need

    def read(self, data: bytes, start: int, until: float) -> int:
        """See `Body`."""
        read = self.walk.feed(data, start, until=until)
        if self._learner is not None and not self.walk.is_waiting:
            self._learner.learn(self.walk, data, start)
            self._learner = None
        return read

    def go_on(self, until: float) -> None:
        """Holds nothing."""

    def skip(self, size: int, data: Buffer) -> bool:
        """See `Body`."""
        if not self.walk.splicer.is_inside_value(size):
            return False
        self.walk.skip(data)
        return True

    def finish(self, rest: bytes) -> None:
        """See `Body`."""
        self.walk.finish(rest)

    def release(self) -> list[Buffer]:
        """See `Body`."""
        return self._output.release()


class DeflatedBody:
    """A data set that is deflated as a whole (PS3.5 A.5); see `Body`."""

    # Whatever comes is inflated at once, or waits inside.
    need = 1

    def __init__(self, walk: Walk, walked: Output, output: Output) -> None:
        """Begins.

        Args:
            walk: over it.
            walked: what the walk writes to.
            output: of the file.
        """
        self.walk = walk
        self._walked = walked
        self._output = output
        self._inflater = Inflater()
        self._deflater = Deflater()
        # What is inflated, and how far it is read. It is not copied while there is no time
        # for the rest of it: what is passed on of it are slices of it.
        self._inflated = b""
        self._read = 0
        # What is inflated behind it, and not yet enough.
        self._more = bytearray()
        # Deflated input that waits, as what it inflates to.
        self._waiting: Iterator[bytes] | None = None

    @property
    def pending(self) -> bool:
        """See `Body`."""
        return self._waiting is not None

    def read(self, data: bytes, start: int, until: float) -> int:
        """See `Body`."""
        self._waiting = self._inflater.pieces(data[start:])
        self.go_on(until)
        return len(data)

    def go_on(self, until: float) -> None:
        """See `Body`."""
        splicer = self.walk.splicer
        taken = 0
        while self._waiting is not None:
            # Behind a pause, what is there goes first.
            if splicer.need:
                piece = next(self._waiting, None)
                if piece is None:
                    self._waiting = None
                    break
                self._more += piece
                taken += len(piece)
            if len(self._inflated) - self._read + len(self._more) >= splicer.need:
                if self._more:
                    self._inflated = self._inflated[self._read :] + bytes(self._more)
                    self._read = 0
                    self._more.clear()
                self._read = self.walk.feed(self._inflated, self._read, until=until)
            if taken >= _INFLATED_AT_ONCE or perf_counter() > until:
                break
        self._output.parts.extend(self._deflater.add(self._walked.release()))

    def skip(self, size: int, data: Buffer) -> bool:  # noqa: ARG002
        """What is deflated must be looked at."""
        return False

    def finish(self, rest: bytes) -> None:  # noqa: ARG002
        """See `Body`."""
        self._inflater.finish()
        self.walk.finish(self._inflated[self._read :] + bytes(self._more))
        self._output.parts.extend(self._deflater.add(self._walked.release()))
        self._output.parts.extend(self._deflater.finish())

    def release(self) -> list[Buffer]:
        """See `Body`."""
        return self._output.release()


class DirectoryBody:
    """The data set of a media directory (PS3.3 F), which is held; see `Body`."""

    def __init__(
        self, walk: Walk, output: Output, head: Head, *, base: int, max_held_bytes: int
    ) -> None:
        """Begins.

        Args:
            walk: over it.
            output: of the file.
            head: of the file.
            base: where it begins in the file.
            max_held_bytes: how long it may be.
        """
        self.walk = walk
        self._output = output
        self._head = head
        self._base = base
        self._max_held = max_held_bytes
        self._held = bytearray()
        self._need = 1
        self._error: DicomError | None = None
        self._ending: Iterator[bytes | None] | None = None
        self._released: list[Buffer] = []

    @property
    def need(self) -> int:
        """See `Body`."""
        return self._need

    @property
    def pending(self) -> bool:
        """See `Body`: once it has ended, whether offsets are still to be written."""
        return self._ending is not None

    def read(self, data: bytes, start: int, until: float) -> int:
        """See `Body`."""
        room = self._max_held - len(self._held)
        read = min(len(data) - start, room)
        self._need = 1
        if self._error is None:
            try:
                piece = data if len(data) - start <= room else data[: start + room]
                read = self.walk.feed(piece, start, until=until) - start
                self._need = self.walk.splicer.need
            except DicomError as error:
                # Whether the records fit together comes first: that is the same with
                # every profile.
                self._error = error
        self._held += data[start : start + read]
        if len(data) - start > room and self.need:
            raise DicomError(
                Reason.LIMIT_EXCEEDED,
                f"the media directory is longer than {self._max_held} bytes",
                offset=self._base,
            )
        return start + read

    def go_on(self, until: float) -> None:
        """See `Body`."""
        for whole in self._ending or ():
            if whole is not None:
                self._released.append(whole)
            elif perf_counter() > until:
                return
        self._ending = None

    def skip(self, size: int, data: Buffer) -> bool:  # noqa: ARG002
        """All of it is held."""
        return False

    def finish(self, rest: bytes) -> None:
        """See `Body`; the offsets are written as it goes on."""
        walk = self.walk
        if self._error is None:
            walk.finish(rest)
            if walk.padding is not None:
                del self._held[walk.padding - self._base :]
        self._ending = self._end(self._error)

    def _end(self, error: DicomError | None) -> Iterator[bytes | None]:
        encoding = self.walk.encoding
        before = bytes(self._held)
        if error is not None:
            yield from check_records(before, encoding)
            raise error
        after = b"".join(self._output.release())
        yield from repoint(before, self._base, after, self._head.size, encoding)

    def release(self) -> list[Buffer]:
        """See `Body`."""
        released, self._released = self._released, []
        return released


class Learner:
    """Learns from how a data set begins."""

    def __init__(
        self,
        rules: Rules,
        meta: FileMeta,
        layouts: Layouts,
        base: int,
        budget: Budget,
    ) -> None:
        """Begins.

        Args:
            rules: of the profile.
            meta: of the file.
            layouts: of files with that file meta.
            base: where the data set begins in the file.
            budget: of the file.
        """
        self._budget = budget
        self._rules = rules
        self._meta = meta
        self._layouts = layouts
        self._base = base

    def learn(self, walk: Walk, data: bytes, start: int) -> None:
        """Learns from a data set that is not laid out as others are, now and then.

        Args:
            walk: that has been over what there is of it.
            data: the input.
            start: where the data set begins in it.
        """
        layouts = self._layouts
        if not walk.leaps.is_unlike and data[start : start + 4] in layouts.known:
            layouts.came_again()
        elif layouts.wants_sample():
            memo = walk.notes.memo
            rehearsal = Rehearsal(
                self._rules,
                memo.another(memo.pseudonyms),
                walk.encoding,
                base=self._base,
                max_held_bytes=self._meta.max_held_bytes,
                transfer_syntax=self._meta.transfer_syntax_uid(),
                encapsulated=self._meta.is_encapsulated(),
            )
            beginning = data[start:] if start else data
            # What is done once more to learn from it is no part of what the file costs.
            spend_from(Budget())
            samples = rehearsal.samples(beginning, layouts.left_out())
            layouts.learn(samples, beginning, self._rules, memo, walk.encoding)
            self._meta.note_learned(layouts)
            spend_from(self._budget)
