"""What comes of an upload: a result for each file, and how the upload as a whole can fail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import grpc
    from deidcascade.v1 import deid_service_pb2 as pb

    from deid_service.client.sources import Source
    from deid_service.contract.errors import LevelVerdict


class UploadError(Exception):
    """The upload cannot go on."""


class StreamRefusedError(UploadError):
    """The service refused the stream, and would again.

    Attributes:
        code: the gRPC status code.
        reason: the stable reason, as the contract lists them; empty where the
            status did not come from the service.
        verdicts: why no level has a valid profile, for NO_VALID_PROFILE.
        retry_after: after how many seconds it may be tried again; None where it does not pass
            by itself.
        request_id: what the service calls the stream in its log and in the audit; empty
            where no service answered.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        message: str,
        verdicts: tuple[LevelVerdict, ...] = (),
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.code = code
        self.reason = reason
        self.verdicts = verdicts
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(f"{reason or code.name}: {message}")


class UnexpectedAnswerError(UploadError):
    """The service answered what the contract does not allow."""


class NoRoomError(UploadError):
    """There is no room for what comes of files, in words for the person who waits for it."""


class Outcome(Enum):
    """What became of a file, in a word."""

    # There is an output, from this run or from an earlier one.
    DONE = "done"
    EARLIER = "done earlier"
    # The service rejected it.
    REJECTED = "rejected"
    # It could not be read or written, or connections kept breaking at it.
    FAILED = "failed"
    # It is nothing to upload.
    SKIPPED = "skipped"
    # The upload ended before it was sent, or before it had a result.
    UNSENT = "not sent"


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    Attributes:
        name: of the source.
        outcome: what became of it.
        path: the output, complete and checked; None unless there is a receipt.
        receipt: what was done to it.
        rejection: why the service rejected it.
        problem: why there is no output although the service did not reject it.
        reason: the same in a stable word for what failed: NOT_READ, NOT_WRITTEN, or NOT_DONE for
            what lies with the service or the line; empty for others.
        source: the source.
        request_id: what the service calls the stream that it went through in its log and in
            the audit; empty where none has answered for it.
    """

    name: str
    outcome: Outcome
    path: Path | None = None
    receipt: pb.Receipt | None = None
    rejection: pb.Rejection | None = None
    problem: str = ""
    source: Source | None = None
    request_id: str = ""
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Whether there is an output."""
        return self.receipt is not None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is.

    Attributes:
        files: that have ended, in whatever way.
        bytes_sent: of file contents, those sent again included.
    """

    files: int
    bytes_sent: int
