"""What the command tells about files: while it works, at the end, and in a report."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Self

import click
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli.console import enum_name, print_json, printable, readable
from deid_service.client.archives import NO_DICOM
from deid_service.client.ledger import table_names

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deid_service.cli.bar import Bar


class Word(Enum):
    """What became of a file, as people and reports have it."""

    DEIDENTIFIED = "de-identified"
    UNCHANGED = "unchanged"
    EARLIER = "done earlier"
    REJECTED = "rejected"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNSENT = "not sent"
    UNBEGUN = "not begun"


# With one of these, not all is well.
BAD = {Word.REJECTED, Word.FAILED, Word.UNSENT, Word.UNBEGUN}
# What is said of single files when it happens; of the others, at the end, how many.
TOLD = {Word.REJECTED, Word.FAILED, Word.SKIPPED}


class FileReport(NamedTuple):
    """What became of one file.

    Attributes:
        source: the file as the caller named it.
        word: what became of it.
        output: where its output is; empty when there is none.
        reason: why there is no output, a stable word; empty when there is.
        problem: the same in a sentence, without any value of the file.
        tag: the element that the problem is about, or empty.
        offset: where it is, in bytes; 0 when that is not known.
        receipt: what was done to it, a `Receipt` as protobuf writes it: most are read by nobody,
            and all go from one process to another. None when there is no output.
        request_id: finds it in the logs of the service and in the audit; empty without one.
    """

    source: str
    word: Word
    output: str = ""
    reason: str = ""
    problem: str = ""
    tag: str = ""
    offset: int = 0
    receipt: bytes | None = None
    request_id: str = ""

    def as_json(self) -> dict[str, object]:
        """Returns it for programs."""
        receipt = None if self.receipt is None else pb.Receipt.FromString(self.receipt)
        return {
            "source": readable(self.source),
            "outcome": self.word.value,
            "output": readable(self.output) or None,
            "changed": self.changed() if self.output else None,
            "reason": self.reason or None,
            "problem": readable(self.problem) or None,
            "tag": self.tag or None,
            "offset": self.offset or None,
            "request_id": self.request_id or None,
            "receipt": None if receipt is None else receipt_for_programs(receipt),
        }

    def changed(self) -> bool:
        """Tells whether a profile was applied to it."""
        if self.word is Word.EARLIER and self.receipt is not None:
            receipt = pb.Receipt.FromString(self.receipt)
            return receipt.treatment == pb.TREATMENT_DEIDENTIFIED
        return self.word is Word.DEIDENTIFIED


def receipt_for_programs(receipt: pb.Receipt) -> dict[str, object]:
    """Returns a receipt by the fields of the contract; what has a name goes by it."""
    return {
        "treatment": enum_name(pb.Treatment, receipt.treatment),
        "profile": receipt.profile_name,
        "profile_version": receipt.profile_version,
        "profile_sha256": receipt.profile_sha256,
        "actions": dict(sorted(receipt.actions.items())),
        "bytes_in": receipt.bytes_in,
        "bytes_out": receipt.bytes_out,
        "sha256": receipt.sha256,
        "engine_version": receipt.engine_version,
        "warnings": list(receipt.warnings),
        "key_id": receipt.key_id,
        "tables": table_names(receipt.tables),
    }


def done_report(
    source: str, path: str, receipt: pb.Receipt, *, earlier: bool = False, request_id: str = ""
) -> FileReport:
    """Returns the report of a file that has an output.

    Args:
        source: the file as the caller named it.
        path: the output.
        receipt: what was done to it.
        earlier: whether an earlier run has done it.
        request_id: as FileReport has it.
    """
    word = Word.DEIDENTIFIED
    if earlier:
        word = Word.EARLIER
    elif receipt.treatment != pb.TREATMENT_DEIDENTIFIED:
        word = Word.UNCHANGED
    return FileReport(
        source, word, path, receipt=receipt.SerializeToString(), request_id=request_id
    )


@dataclass
class Reports:
    """Collects what becomes of files, tells it as it happens, and sums it up.

    On a terminal a bar shows how far it is.

    Attributes:
        all: what has been told so far, in that order.
    """

    bytes_in_all: int
    all: list[FileReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bad = 0
        self._bar: Bar | None = None
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            # Not above: processes are at work by now, and need not wait until it is loaded.
            from deid_service.cli.bar import Bar

            self._bar = self._shown.enter_context(Bar(self.bytes_in_all))
        return self

    def __exit__(self, *_: object) -> None:
        self._bar = None
        self._shown.close()

    def moved(self, size: int) -> None:
        """Notes how many bytes have been sent, in all."""
        if self._bar is not None:
            self._bar.moved(size)

    def add(self, one: FileReport) -> None:
        """Takes one in, and tells what went wrong at once."""
        self.all.append(one)
        self._bad += one.word in BAD
        if one.word in TOLD:
            line = printable(f"{one.word.value} {one.source}: {one.problem}")
            if self._bar is None:
                click.echo(line, err=True)
            else:
                self._bar.say(line)
        if self._bar is not None:
            self._bar.counted(len(self.all), self._bad)

    def finish(self, out: Path, *, as_json: bool) -> None:
        """Sums up, on standard output."""
        if as_json:
            print_json([one.as_json() for one in self.all])
        else:
            click.echo(printable(summary(self.all, out)))

    def exit_code(self) -> int:
        """Returns 1 when a file has no output that should have one, or there was none at all."""
        words = {one.word for one in self.all}
        return int(bool(words & BAD) or words <= {Word.SKIPPED})


def summary(reports: Iterable[FileReport], out: Path) -> str:
    """Returns how many files went which way, and for which reasons the bad ones did."""
    reports = list(reports)
    words = Counter(one.word for one in reports)
    parts = [f"{words[word]} {word.value}" for word in Word if words[word]]
    if words.keys() <= {Word.SKIPPED}:
        return f"Nothing to do: {', '.join(parts) or 'no files'}."
    where = f" Output is in {out}." if any(one.output for one in reports) else ""
    lines = [f"{', '.join(parts)}.{where}"]
    reasons = Counter((one.word.value, one.reason) for one in reports if one.word in BAD)
    if len(reasons) > 1:
        lines += [f"  {word}, {reason}: {n}" for (word, reason), n in reasons.most_common()]
    asked = {one.request_id: None for one in reports if one.word in BAD and one.request_id}
    if asked:
        lines.append(f"In the log of the service: request id {', '.join(asked)}.")
    return "\n".join(lines)


def reason_to_skip(why: str) -> str:
    """Returns the stable word for why a file was passed over."""
    return "NOT_DICOM" if why == NO_DICOM else "NO_FILE_TO_SEND"
