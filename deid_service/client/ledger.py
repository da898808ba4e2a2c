"""What earlier runs into the same folder have finished, so that a run does only the rest.

A file in the destination has a line of JSON for each output: the source, by a keyed
digest of where it lies (its name may tell who a patient is), its size and time, the
output, its digest, and its receipt, which says by which profile it was made. The line
is written before the output gets its name, and another one some time after: an output whose
second line is missing counts when its content is what the receipt says. Until then what
the source came to before counts, too: a run that ended between the two has left either.

Lines are only ever added, until more than half of them say nothing any more: whoever opens the
file then writes those that do into a new one, which takes its place in one step. Who adds lines
shares a lock, and nobody does that meanwhile.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import secrets
import threading
from base64 import b64decode
from binascii import b2a_base64
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deidcascade.v1 import deid_service_pb2 as pb
from google.protobuf.message import DecodeError

from deid_service.client.locks import LOCKS_ARE_KNOWN, lock, share
from deid_service.client.outputs import PARTIAL_SUFFIX, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from deid_service.client.sources import Source

LEDGER_NAME = ".deidcascade-state.jsonl"

# What is done without a service.
NO_TARGET = ""

# In the first line; a file with another one is from a build that this one does not know.
_FORMAT = 2
_CHUNK_BYTES = 1024 * 1024


# What an output depends on beside its source: the digest of the profile text, the id of the keys
# that pseudonyms are made with, and the tables that patients are looked up in.
Applied = tuple[str, ...]


def applied_by(said: pb.StreamOpened | pb.Receipt) -> Applied:
    """Returns what applies to a stream, or was applied to a file."""
    return (said.profile_sha256, said.key_id, *table_names(said.tables))


def table_names(tables: Sequence[pb.TableVersion]) -> list[str]:
    """Returns which tables they are; one that is in no container goes by its name alone."""
    return [
        f"{each.container}/tables/{each.name}@{each.version}" if each.container else each.name
        for each in tables
    ]


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
class Entry:
    """What was noted of an output: a line, as it is, which takes less memory than what it says.

    Attributes:
        line: the line.
        output: its path in the folder.
        sha256: its digest.
        confirmed: whether the second line is there, and no other source has claimed the output
            since: it need not be read.
        before: what counts as long as the output is not there.
        lines: the numbers of this line and of the second one, among all that are whole.
    """

    line: str
    output: str
    sha256: str
    confirmed: bool = False
    before: Entry | None = None
    lines: tuple[int, ...] = ()

    def said(self) -> str:
        """Returns what the line says but for whom it is about."""
        said = json.loads(self.line)
        said.pop("source", None)
        return json.dumps(said)[1:-1]


class Ledger:
    """The state of a destination."""

    def __init__(self, folder: Path, target: str, *, again: bool = False) -> None:
        """Reads it, if there is one.

        Args:
            folder: the destination, which is there.
            target: the resource name that is uploaded to, or NO_TARGET: each has its own outputs.
            again: whether all is to be done again, and to take the place of what is there.

        Raises:
            OSError: it cannot be read.
            LedgerError: it is from another version.
        """
        self._folder = folder
        self._prefix = str(folder / "x")[:-1]
        self._path = folder / LEDGER_NAME
        self._target = target
        self._again = again
        self._lock = threading.Lock()
        self._file: int | None = None
        # Lines that are written before the next one.
        self._due = b""
        # What earlier runs have done.
        self._entries: dict[str, Entry] = {}
        self._key = ""
        # Has taken the key in already, which takes as long as a name.
        self._keyed = hmac.new(b"", digestmod=hashlib.sha256)
        # The name of the source that was asked for last, which is asked for again.
        self._named: tuple[Source | None, str] = None, ""
        if self._path.exists():
            self._take_key(self._read_key())
            state = State(self._lines())
            # Where there is no room for it, or somebody adds lines, it stays as it is.
            with suppress(OSError):
                if state.is_mostly_stale() and LOCKS_ARE_KNOWN:
                    self._compact()
            self._entries = state.settled()

    @property
    def is_empty(self) -> bool:
        """Whether no earlier run has done anything."""
        return not self._entries

    def close(self) -> None:
        """Writes what is left to write, and closes the file."""
        with self._lock:
            if self._file is not None:
                with suppress(OSError):
                    _write(self._file, self._due)
                self._due = b""
                os.close(self._file)
                self._file = None

    def finished(self, source: Source, applied: Applied) -> Finished | None:
        """Returns what an earlier run made of a source; None when it made nothing that is there.

        What that run was interrupted in is ended.

        Args:
            source: the source.
            applied: what applies now.
        """
        if not self._entries or not source.origin:
            return None
        name = self._name(source)
        newest = entry = self._entries.get(name)
        while entry is not None:
            found = self._found(entry, source, applied)
            if found is not None:
                if entry is not newest or not entry.confirmed:
                    self._settle(source, entry)
                    self._entries[name] = entry
                return found
            entry = entry.before
        return None

    def _found(self, entry: Entry, source: Source, applied: Applied) -> Finished | None:
        path = self._folder / entry.output
        line = json.loads(entry.line)
        try:
            receipt = pb.Receipt.FromString(b64decode(line["receipt"]))
            if path.stat().st_size != receipt.bytes_out:
                return None
            same = (line.get("size"), line.get("modified")) == (source.size, source.modified)
            current = same and applied_by(receipt) == applied and not self._again
            # What is replaced is read: it may be somebody's own work by now.
            if not (current and entry.confirmed) and _digest(path) != receipt.sha256:
                return None
        except (OSError, ValueError, DecodeError):
            return None
        return Finished(path, receipt, current)

    def _settle(self, source: Source, entry: Entry) -> None:
        """Ends what a run was interrupted in when it had come to an output, or before that."""
        replaced = entry.before
        # It is there and whole: what cannot be done now is found out again by the next run.
        with suppress(OSError, OutputError):
            if replaced is not None and replaced.output != entry.output:
                path = self._folder / replaced.output
                if _digest(path) == replaced.sha256:
                    path.unlink()
        with suppress(OutputError):
            self._append(source, entry.said())
            self.confirm(source)
        entry.confirmed, entry.before = True, None

    def note(self, source: Source, output: str, receipt: pb.Receipt) -> None:
        """Notes that a source is about to come to an output.

        Args:
            source: the source.
            output: the path of the output.
            receipt: what was done to it.

        Raises:
            OutputError: it cannot be written.
        """
        path = output.removeprefix(self._prefix)
        values = (
            ("size", str(source.size)),
            ("modified", str(source.modified)),
            ("output", json.dumps(path if os.sep == "/" else path.replace(os.sep, "/"))),
            ("sha256", json.dumps(receipt.sha256)),
            ("receipt", f'"{_base64(receipt.SerializeToString())}"'),
        )
        # Put together here: to have all of it encoded takes three times as long.
        self._append(source, ", ".join([f'"{name}": {value}' for name, value in values]))

    def confirm(self, source: Source) -> None:
        """Notes that what was noted last of a source is so, with the next line or at the end.

        Until then, and where nobody comes to that, it is found out by reading the output.
        """
        if source.origin:
            with self._lock:
                self._due += self._line(source, '"confirmed": true')

    def _name(self, source: Source) -> str:
        named, name = self._named
        if named is not source:
            keyed = self._keyed.copy()
            keyed.update(f"{self._target}\0{source.origin}".encode(errors="surrogateescape"))
            name = keyed.hexdigest()
            self._named = source, name
        return name

    def _line(self, source: Source, said: str) -> bytes:
        # Begins with a line feed: a line that a full disk cut off spoils no other one.
        return f'\n{{{said}, "source": "{self._name(source)}"}}\n'.encode()

    def _append(self, source: Source, said: str) -> None:
        if not source.origin:
            return
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._begin()
                due, self._due = self._due, b""
                _write(self._file, due + self._line(source, said))
        except OSError as error:
            raise OutputError.of("The state cannot be written", error) from None

    def _compact(self) -> None:
        """Leaves out what says nothing any more.

        Raises:
            OSError: that is not possible, or not now; nothing has changed.
        """
        # Left by a process that was killed, it is like any partial file.
        fresh = self._path.with_name(self._path.name + PARTIAL_SUFFIX)
        with self._path.open("rb") as file:
            lock(file.fileno())
            live = State(self._lines()).live()
            written = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(written, "wb") as lines:
                lock(written)
                first = json.dumps({"format": _FORMAT, "key": self._key})
                lines.write(f"{first}\n".encode())
                lines.writelines(
                    text.encode()
                    for number, (text, _) in enumerate(self._lines())
                    if number in live
                )
                lines.flush()
                os.fsync(written)
                fresh.replace(self._path)

    def _begin(self) -> int:
        """Opens the file, and makes it when it is not there."""
        while True:
            # It says which of two sources is which, if not who they are.
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with suppress(OSError):  # Nobody can lock it.
                share(file)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), self._path.stat()):
                    break
            # Another one has taken its place meanwhile.
            os.close(file)
        if not self._key:
            first = json.dumps({"format": _FORMAT, "key": secrets.token_hex(16)})
            _write(file, f"\n{first}\n".encode())
            # Of two processes that begin it at the same time, the first one's key counts.
            self._take_key(self._read_key())
        return file

    def _take_key(self, key: str) -> None:
        self._key = key
        self._keyed = hmac.new(key.encode(), digestmod=hashlib.sha256)

    def _read_key(self) -> str:
        """Returns the key, with which sources are told; it is empty where there is none yet."""
        for _, line in self._lines():
            if line.get("format") != _FORMAT or not isinstance(line.get("key"), str):
                raise LedgerError(f"{self._path} was written by another version.")
            return str(line["key"])
        return ""

    def _lines(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Gives the lines that are whole, as they are and what they say."""
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for text in lines:
                try:
                    line = json.loads(text)
                except ValueError:
                    # Empty, or cut off.
                    continue
                if isinstance(line, dict):
                    yield text, line


class State:
    """What lines say of each source, by its name in them."""

    def __init__(self, lines: Iterable[tuple[str, dict[str, object]]]) -> None:
        """Takes them in.

        Args:
            lines: those that are whole, as they are and what they say.
        """
        self._entries: dict[str, Entry] = {}
        # Who was confirmed last to have an output.
        self._owners: dict[str, str] = {}
        self._count = 0
        for number, (text, line) in enumerate(lines):
            self._take(number, text, line)
            self._count += 1

    def _take(self, number: int, text: str, line: dict[str, object]) -> None:
        entries, owners = self._entries, self._owners
        source = str(line.get("source"))
        entry = entries.get(source)
        if line.get("confirmed") and entry is not None:
            entry.confirmed, entry.before = True, None
            entry.lines = (entry.lines[0], number)
            other = entries.get(owners.get(entry.output, source))
            if other is not None and other is not entry:
                # Somebody has removed what it came to, and the name was free again.
                if other.output == entry.output:
                    other.confirmed = False
                if other.before is not None and other.before.output == entry.output:
                    other.before = None
            owners[entry.output] = source
        elif (noted := _entry_of(text, line)) is not None:
            if entry is not None:
                noted.before = entry if entry.confirmed else entry.before
            noted.lines = (number,)
            # Behind others: who noted a name first is asked first.
            entries.pop(source, None)
            entries[source] = noted

    def is_mostly_stale(self) -> bool:
        """Tells whether more than half of the lines say nothing any more."""
        # The first has the key.
        return self._count > 2 * (1 + len(self.live()))

    def live(self) -> set[int]:
        """Returns the numbers of the lines that say all that there is to say."""
        live: set[int] = set()
        for entry in self._entries.values():
            # What another one's claim has taken back would come back without that claim.
            live.update(entry.lines if entry.confirmed else entry.lines[:1])
            live.update(entry.before.lines if entry.before is not None else ())
        return live

    def settled(self) -> dict[str, Entry]:
        """Returns what counts of each source; takes nothing in any more.

        No output is that of two sources, whatever came in between: it is that of the one
        that was confirmed last, or else of the first whose digest it has.
        """
        entries, owners = self._entries, self._owners
        taken = {
            (entry.output, entry.sha256): source
            for source, entry in entries.items()
            if owners.get(entry.output) == source and entry.confirmed
        }
        for source, entry in list(entries.items()):
            if entry.confirmed:
                continue
            owner = entries.get(owners.get(entry.output, source))
            if owner is not None and owner is not entry and owner.output == entry.output:
                owner.confirmed = False
            if taken.setdefault((entry.output, entry.sha256), source) != source:
                # It was another one's already when its turn came for the name.
                if entry.before is None:
                    del entries[source]
                else:
                    entries[source] = entry.before
        return entries


def _entry_of(text: str, line: dict[str, object]) -> Entry | None:
    """Returns what a line notes of an output; None where it notes nothing that can be used."""
    output = line.get("output")
    if not isinstance(output, str) or not isinstance(line.get("receipt"), str):
        return None
    return Entry(text, output, str(line.get("sha256"))) if _is_below(output) else None


def _is_below(output: str) -> bool:
    path = Path(output)
    return not path.is_absolute() and ".." not in path.parts


def _write(file: int, data: bytes) -> None:
    if os.write(file, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK_BYTES):
            digest.update(data)
    return digest.hexdigest()
