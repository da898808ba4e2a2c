"""What a caller's end of streams shows of them, beside every client: the receipts, the bytes.

What a service has counted is compared with it. A file is counted before its result is sent, and
so is a stream: what was seen was counted. More than that can have been counted only where a
result, or a status, could not be seen, as a process was killed or the caller left.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from dataclasses import dataclass, field, fields
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar, cast

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from google.protobuf.message import DecodeError
from pydicom import dcmread
from pydicom.multival import MultiValue

from deid_service.contract.rpc_errors import read_details

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.metrics import Scrape

_PATIENCE_SECONDS = 30.0


@dataclass
class Seen:
    """What was seen of streams that have ended.

    Attributes:
        files: how many had which result, for which reason.
        bytes_in: what receipts say of it.
        bytes_out: what receipts say of it.
        rejected_in: bytes that were sent of files that were rejected; the service may have
            rejected them before it had all.
        rejected_out: bytes that came back of these.
        unanswered: files that were begun and had no result.
        unanswered_whole: of these, those that were sent to their end.
        unanswered_in: bytes that were sent of them.
        streams: how many ended with which code and reason of the service.
        begun: streams of whose end the service said nothing, though it had answered something.
        unsure: streams of which it has said nothing at all.
    """

    files: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    rejected_in: int = 0
    rejected_out: int = 0
    unanswered: int = 0
    unanswered_whole: int = 0
    unanswered_in: int = 0
    streams: Counter[tuple[str, str]] = field(default_factory=Counter)
    begun: int = 0
    unsure: int = 0

    def __add__(self, other: Seen) -> Seen:
        """Returns both."""
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Seen(**both)


@dataclass
class _File:
    sent: int = 0
    whole: bool = False


_Message = TypeVar("_Message", pb.DeidentifyRequest, pb.DeidentifyResponse)


def _read(kind: type[_Message], message: object) -> _Message | None:
    """Returns a message, which clients may have as bytes; None where it is none."""
    if isinstance(message, kind):
        return message
    assert isinstance(message, bytes)
    try:
        return kind.FromString(message)
    except DecodeError:
        return None


class _Stream:
    """One stream, as it goes."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._ended = ended
        # Begun and not answered, in order.
        self._open: list[_File] = []
        self._last = _File()
        self._out = 0
        self._answered = False
        self._seen = Seen()
        self.over = False

    def seen(self) -> Seen:
        """Returns what was seen of it so far."""
        with self._lock:
            return self._seen + Seen(
                unanswered=len(self._open),
                unanswered_whole=sum(file.whole for file in self._open),
                unanswered_in=sum(file.sent for file in self._open),
            )

    def sends(self, messages: Iterator[object]) -> Iterator[object]:
        """Yields what is sent, seen."""
        for message in messages:
            request = _read(pb.DeidentifyRequest, message)
            if request is not None:
                with self._lock:
                    self._sends(request)
                    for part in request.batch.parts:
                        self._sends(part)
            yield message

    def _sends(self, part: pb.DeidentifyRequest | pb.RequestPart) -> None:
        if part.HasField("file"):
            self._last = _File()
            self._open.append(self._last)
        self._last.sent += len(part.chunk)
        if part.HasField("file_end"):
            self._last.whole = True

    def receives(self, message: object) -> None:
        """Takes what has come."""
        response = _read(pb.DeidentifyResponse, message)
        if response is None:
            raise AssertionError("The service sent what is no response.")
        with self._lock:
            self._answered = True
            self._receives(response)
            for part in response.batch.parts:
                self._receives(part)

    def _receives(self, part: pb.DeidentifyResponse | pb.ResponsePart) -> None:
        self._out += len(part.chunk)
        if part.HasField("result"):
            self._result(part.result)

    def _result(self, result: pb.FileResult) -> None:
        file, out, self._out = self._open.pop(0), self._out, 0
        if result.HasField("receipt"):
            assert result.receipt.bytes_out == out
            self._seen.files["COMPLETE", ""] += 1
            self._seen.bytes_in += result.receipt.bytes_in
            self._seen.bytes_out += out
        else:
            reason = pb.RejectionReason.Name(result.rejection.reason)
            self._seen.files["REJECTED", reason.removeprefix("REJECTION_REASON_")] += 1
            self._seen.rejected_in += file.sent
            self._seen.rejected_out += out

    def ends(self, call: grpc.Call) -> None:
        """Takes its end."""
        code = call.code()
        # A call that has failed is the error that it raises.
        reason = read_details(cast("grpc.RpcError", call)).reason if code.value[0] else ""
        with self._lock:
            if code is grpc.StatusCode.OK or reason:
                self._seen.streams[code.name, reason] += 1
            elif self._answered:
                self._seen.begun += 1
            else:
                self._seen.unsure += 1
            self.over = True
        self._ended()


class _Call:
    """The call that a client has, whose messages are seen."""

    def __init__(self, call: Any, stream: _Stream) -> None:
        self._call = call
        self._stream = stream

    def __iter__(self) -> _Call:
        return self

    def __next__(self) -> object:
        message = next(self._call)
        self._stream.receives(message)
        return message

    def __getattr__(self, name: str) -> object:
        return getattr(self._call, name)


class Witness(grpc.StreamStreamClientInterceptor):
    """Sees all streams of the channels that it watches."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._streams: list[_Stream] = []
        self._changed = threading.Condition()

    def watch(self, channel: grpc.Channel) -> grpc.Channel:
        """Returns a channel whose streams are seen."""
        return grpc.intercept_channel(channel, self)

    def intercept_stream_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Iterator[Any],
    ) -> Any:
        """Begins to see a stream."""
        stream = _Stream(self._ended)
        with self._changed:
            self._streams.append(stream)
        call = continuation(client_call_details, stream.sends(request_iterator))
        if not call.add_callback(lambda: stream.ends(call)):
            stream.ends(call)
        return _Call(call, stream)

    def seen(self) -> Seen:
        """Returns what was seen, once all streams have ended."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: all(each.over for each in self._streams), _PATIENCE_SECONDS
            ):
                raise AssertionError("A stream has not ended.")
            return sum((each.seen() for each in self._streams), Seen())

    def _ended(self) -> None:
        with self._changed:
            self._changed.notify_all()


# Shorter ones may stand in a text by chance; numbers do, as bounds of histograms.
_MIN_VALUE = 5
_NUMBERS = frozenset({"DS", "IS", "DA", "TM", "DT", "AS"})


def values_in(text: str, file: bytes) -> list[str]:
    """Returns the tags of the elements of a file whose values stand in a text."""
    found = []
    data_set = dcmread(io.BytesIO(file))
    for element in (*data_set.file_meta, *data_set.iterall()):
        values = element.value if isinstance(element.value, MultiValue) else [element.value]
        if element.VR not in _NUMBERS and any(
            len(value) >= _MIN_VALUE and value in text
            for value in map(str, values)
            if any(map(str.isalnum, value))
        ):
            found.append(str(element.tag))
    return found


def differences(told: Scrape, seen: Seen, *, broken: bool = False) -> list[str]:
    """Returns where what DeidService has counted cannot be true, in words.

    Args:
        told: what it has counted of the streams that were seen, and of no others.
        seen: what was seen of them.
        broken: whether one of its processes was killed, or a connection cut, so that it may not
            know of the end of a stream.
    """
    found: list[str] = []

    def check(what: str, low: float, value: float, high: float) -> None:
        if not low <= value <= high:
            wanted = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
            found.append(f"metrics: {what}: {value:,.0f} counted, {wanted} seen")

    files = told.by("deidcascade_files_total", "result", "reason")
    for result, reason in files | seen.files:
        low = seen.files[result, reason]
        # What was not sent to its end can be rejected, and not complete.
        more = seen.unanswered_whole if result == "COMPLETE" else seen.unanswered
        check(f"files {result} {reason}", low, files.get((result, reason), 0), low + more)
    low = seen.files.total()
    check("files", low, sum(files.values()), low + seen.unanswered)
    check("files timed", low, told.value("deidcascade_file_seconds_count"), low + seen.unanswered)
    received = told.by("deidcascade_received_bytes_total", "result")
    sent = told.by("deidcascade_sent_bytes_total", "result")
    most = seen.bytes_in + (seen.unanswered_in if seen.unanswered_whole else 0)
    check("bytes in, COMPLETE", seen.bytes_in, received.get(("COMPLETE",), 0), most)
    most = seen.rejected_in + seen.unanswered_in
    check("bytes in, REJECTED", 0, received.get(("REJECTED",), 0), most)
    for result, out, unseen in (
        ("COMPLETE", seen.bytes_out, seen.unanswered_whole),
        ("REJECTED", seen.rejected_out, seen.unanswered),
    ):
        # How long an output would have been that nobody has seen, nobody knows.
        limit = inf if unseen else out
        check(f"bytes out, {result}", out, sent.get((result,), 0), limit)

    streams = told.by("deidcascade_streams_total", "code", "reason")
    cut = seen.begun + seen.unsure
    for code, reason in streams | seen.streams:
        low = seen.streams[code, reason]
        check(f"streams {code} {reason}", low, streams.get((code, reason), 0), low + cut)
    low = seen.streams.total()
    check("streams", low + (0 if broken else seen.begun), sum(streams.values()), low + cut)
    timed = told.value("deidcascade_stream_seconds_count")
    check("streams timed", sum(streams.values()), timed, sum(streams.values()))
    return found
