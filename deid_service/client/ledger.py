"""What earlier runs into the same folder have finished, so that a run does only the rest.

A file in the destination has a line of JSON for each output: the source, by a keyed
digest of where it lies (its name may tell who a patient is), its size and time, the
digest of the profile, the output and its receipt. The line is written before the
output gets its name, and another one after: an output whose second line is missing
counts when its content is what the receipt says.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from deid_service.client.outputs import OutputError

if TYPE_CHECKING:
    from deid_service.client.sources import Source

LEDGER_NAME = ".deidcascade-state.jsonl"

# In the first line; a file with another one is from a build that this one does not know.
_FORMAT = 1
_CHUNK_BYTES = 1024 * 1024


# What an output depends on beside its source: the digest of the profile text, the id of the keys
# that pseudonyms are made with, and the tables that patients are looked up in.
Applied = tuple[str, ...]


def applied_by(said: pb.StreamOpened | pb.Receipt) -> Applied:
    """Returns what applies to a stream, or was applied to a file."""
    tables = (f"{each.container}/tables/{each.name}@{each.version}" for each in said.tables)
    return (said.profile_sha256, said.key_id, *tables)


class LedgerError(Exception):
    """The state of earlier runs cannot be used, in words for the person who waits for it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An output of an earlier run.

    Attributes:
        path: the output.
        receipt: what was done to it.
        current: whether source and profile are what they were.
    """

    path: Path
    receipt: pb.Receipt
    current: bool


@dataclass(slots=True)
class _Entry:
    size: int
    modified: int
    output: str
    receipt: dict[str, object]
    confirmed: bool = False


class Ledger:
    """The state of a destination."""

    def __init__(self, folder: Path, target: str, *, again: bool = False) -> None:
        """Reads it, if there is one.

        Args:
            folder: the destination, which is there.
            target: the resource name that is uploaded to: each has its own outputs.
            again: whether all is to be done again, and to take the place of what is there.

        Raises:
            OSError: it cannot be read.
            LedgerError: it is from another version.
        """
        self._folder = folder
        self._path = folder / LEDGER_NAME
        self._target = target
        self._again = again
        self._lock = threading.Lock()
        self._file: int | None = None
        # What earlier runs have done; never changed.
        self._entries: dict[str, _Entry] = {}
        self._key = self._read() if self._path.exists() else ""

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def finished(self, source: Source, applied: Applied) -> Finished | None:
        """Returns what an earlier run made of a source; None when it made nothing that is there.

        Args:
            source: the source.
            applied: what applies now.
        """
        entry = self._entries.get(self._name(source)) if source.origin else None
        if entry is None or ".." in Path(entry.output).parts:
            return None
        path = self._folder / entry.output
        try:
            receipt = ParseDict(entry.receipt, pb.Receipt(), ignore_unknown_fields=True)
            if path.stat().st_size != receipt.bytes_out:
                return None
            same = (entry.size, entry.modified) == (source.size, source.modified)
            current = same and applied_by(receipt) == applied and not self._again
            # What is replaced is read: it may be somebody's own work by now.
            if not (current and entry.confirmed) and _digest(path) != receipt.sha256:
                return None
        except (OSError, ParseError):
            return None
        return Finished(path, receipt, current)

    def note(self, source: Source, output: Path, receipt: pb.Receipt) -> None:
        """Notes that a source is about to come to an output.

        Raises:
            OutputError: it cannot be written.
        """
        self._append(
            source,
            size=source.size,
            modified=source.modified,
            output=output.relative_to(self._folder).as_posix(),
            receipt=MessageToDict(receipt),
        )

    def confirm(self, source: Source) -> None:
        """Notes that what was noted last of a source is so.

        Raises:
            OutputError: it cannot be written.
        """
        self._append(source, confirmed=True)

    def _name(self, source: Source) -> str:
        where = f"{self._target}\0{source.origin}".encode(errors="surrogateescape")
        return hmac.digest(self._key.encode(), where, hashlib.sha256).hex()

    def _append(self, source: Source, **line: object) -> None:
        if not source.origin:
            return
        with self._lock:
            try:
                if self._file is None:
                    self._file = self._begin()
                _write(self._file, {"source": self._name(source)} | line)
            except OSError as error:
                raise OutputError(
                    f"The state cannot be written: {error.strerror or type(error).__name__}."
                ) from None

    def _begin(self) -> int:
        """Opens the file, and makes it when it is not there."""
        # It says which of two sources is which, if not who they are.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if not self._key:
            _write(file, {"format": _FORMAT, "key": secrets.token_hex(16)})
            # Of two commands that begin it at the same time, the first one's key counts.
            self._key = self._read()
        return file

    def _read(self) -> str:
        """Reads all lines, and returns the key; it is empty where there is none yet."""
        key = ""
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for text in lines:
                try:
                    line = json.loads(text)
                except ValueError:
                    # Empty, or cut off.
                    continue
                if not key:
                    if line.get("format") != _FORMAT:
                        raise LedgerError(f"{self._path} was written by another version.")
                    key = str(line["key"])
                elif line.get("confirmed"):
                    if (entry := self._entries.get(line["source"])) is not None:
                        entry.confirmed = True
                elif "output" in line:
                    self._entries[line["source"]] = _Entry(
                        line["size"], line["modified"], line["output"], line["receipt"]
                    )
        return key


def _write(file: int, line: dict[str, object]) -> None:
    # Begins with a line feed: a line that a full disk cut off spoils no other one.
    data = f"\n{json.dumps(line)}\n".encode()
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
    return digest.hexdigest()
