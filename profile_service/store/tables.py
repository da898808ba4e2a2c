"""Tables of patients, whose rows are encrypted before they come here.

A version is the rows that came with it and with those before it, back to the one that replaced
all: rows that are added to a million take no room for the million.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from profile_service.audit import Action, Entry
from profile_service.errors import InvalidTableError, TableNotFoundError
from profile_service.keys.sealing import Sealed
from profile_service.model import StoredTable
from profile_service.store import audit
from profile_service.store.existing import existing, hold_container, require_approved
from profile_service.store.writers import Rollback, execute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from profile_service.access.actor import Actor
    from profile_service.audit import Facts
    from profile_service.hierarchy import ContainerName
    from profile_service.store.database import Changing, Loading, Reading
    from profile_service.store.rows import Row
    from profile_service.store.writers import WritingConnection

# Of one container.
MAX_TABLES: Final = 64

# How many rows are removed at once of those that nobody can read any more.
REMOVED_AT_ONCE: Final = 10_000

# As many rows are gathered before they are sent.
_SENT_BYTES: Final = 1 << 18

# PostgreSQL, COPY in binary: the signature, flags and no extension; the end.
_COPY_BEGINS: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_ENDS: Final = b"\xff\xff"
_COPY_ROWS: Final = (
    "COPY patient_row (table_id, since, line, digest, code_digest, sealed) FROM STDIN BINARY"
)
# The number of fields, and each with its length; lengths of -1 are NULL.
_ROW: Final = struct.Struct("!h iq iq ii i32s")
_CODE: Final = struct.Struct("!i32s")
_NO_CODE: Final = struct.pack("!i", -1)
_LENGTH: Final = struct.Struct("!i")


class SealedRow(NamedTuple):
    """A row as it is stored.

    Attributes:
        line: that it had in the text.
        digest: what its patient is found by, 32 bytes.
        code_digest: by which it is told that two have one code; None where it has none.
        sealed: all of it, encrypted.
    """

    line: int
    digest: bytes
    code_digest: bytes | None
    sealed: bytes


class Twice(NamedTuple):
    """A line that says once more what another one said.

    Attributes:
        line: the line.
        first: the other one; 0 where that was in a text before.
    """

    line: int
    first: int


class Held(NamedTuple):
    """A table that is there, though it may have no version yet.

    Attributes:
        container: that it is attached to.
        container_id: its identity.
        name: its name there.
        table_id: tells it from one that is made later under the same name.
        sealed: its secret, encrypted.
    """

    container: ContainerName
    container_id: int
    name: str
    table_id: int
    sealed: Sealed


class NewVersion(NamedTuple):
    """What is to be made a version of a table.

    Attributes:
        originals: how many columns say who a patient is.
        columns: the names of the others.
        adds: its rows are added to those that are there.
        keeps: the version is made; else it is said what would be.
        note: why.
    """

    originals: int
    columns: tuple[str, ...]
    adds: bool
    keeps: bool
    note: str


class Answered(NamedTuple):
    """What a table says of patients.

    Attributes:
        sealed: the secret of the table, encrypted.
        container_id: of the container that it is attached to.
        name: its name there.
        originals: how many columns say who a patient is.
        columns: the names of the others.
        rows: encrypted, by what their patients are found by.
    """

    sealed: Sealed
    container_id: int
    name: str
    originals: int
    columns: tuple[str, ...]
    rows: dict[bytes, bytes]


class _RowsEndError(Exception):
    """The rows end before they should."""


class TableStore:
    """Tables, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing, load: Loading) -> None:
        self._read = read
        self._change = change
        self._load = load

    def find(self, containers: Sequence[str], names: Sequence[str] = ()) -> list[StoredTable]:
        """Returns the tables of some containers, in the order of their names.

        Args:
            containers: their names.
            names: of the tables; none for all.
        """
        found = self._read("find_tables", " ".join(containers), " ".join(names))
        return [_to_table(row) for row in found]

    def attached(self, container: ContainerName) -> list[StoredTable]:
        """Returns the tables of a container; ContainerNotFoundError where it does not exist."""
        existing(self._read, "get_container", container)
        return self.find((container.text,))

    def version(self, container: ContainerName, name: str, version: int) -> StoredTable:
        """Returns a version of a table; 0 for the newest.

        Raises:
            TableNotFoundError: there is none.
        """
        if version:
            found = self._read("get_table_version", container.text, name, version)
        else:
            found = self._read("find_tables", container.text, name)
        if not found:
            raise TableNotFoundError(container.text, name)
        return _to_table(found[0])

    def versions(
        self, container: ContainerName, name: str, *, before: int, limit: int
    ) -> list[StoredTable]:
        """Returns versions of a table, newest first."""
        found = self._read("list_table_versions", container.text, name, before, limit)
        return [_to_table(row) for row in found]

    def hold(self, container: ContainerName, name: str, make: Callable[[int], Sealed]) -> Held:
        """Returns a table, which is made where it is not there.

        Args:
            container: that it is attached to.
            name: its name there.
            make: makes its secret, encrypted, of the identity of the container.

        Raises:
            ContainerNotFoundError: the container does not exist.
            InvalidTableError: it has as many tables as may be.
        """
        with self._change(container.site) as connection:
            container_id = hold_container(connection, container)
            sealed = make(container_id)
            given = (container_id, name, sealed.master_key, sealed.data, MAX_TABLES)
            row = execute(connection, "hold_table", *given).fetchone()
        if row is None:
            raise InvalidTableError("table", f"is one more than the {MAX_TABLES} that may be.")
        table_id, master_key, data = row
        return Held(container, container_id, name, table_id, Sealed(master_key, data))

    def put(
        self,
        table: Held,
        new: NewVersion,
        rows: Iterable[SealedRow],
        *,
        check: Callable[[list[Twice], list[Twice]], None],
        most: int,
        proposal: Callable[[int], bytes],
        actor: Actor,
    ) -> StoredTable:
        """Makes a version of a table.

        Args:
            table: of which.
            new: what is made.
            rows: of the version, as they come.
            check: told whose patients and codes are there twice; nothing is made where it raises.
            most: how many it is told of.
            proposal: tells how it was proposed, of the version before it, where it had to be.
            actor: who does it.

        Raises:
            ApprovalRequiredError: nobody has approved it, where that is needed.
            TableNotFoundError: rows are to be added to what has no version, or is deleted.
            InvalidTableError: they have other columns.
            StoreBusyError: another version of it is being made.
        """
        with self._load() as connection:
            latest, base, held = _latest(connection, table, new)
            table_id = table.table_id
            version = latest + 1
            base = base if new.adds else version
            added = _copy(connection, table_id, version, rows)
            within = (table_id, base, version, most)
            twice, codes = (
                [
                    Twice(line, first if since == version else 0)
                    for line, since, first in execute(connection, query, *within).fetchall()
                ]
                for query in ("patients_twice", "codes_twice")
            )
            check(twice, codes)
            if new.keeps:
                require_approved(connection, table.container, "SetTable", proposal(latest))
            count = held + added if new.adds else added
            columns = list(new.columns)
            values = (new.originals, columns, count, added, actor.subject, new.note)
            made = execute(connection, "insert_table_version", table_id, version, base, *values)
            row = made.fetchone()
            assert row is not None  # noqa: S101 -- it returns what it has added
            execute(connection, "note_table_version", table_id, version)
            facts: Facts = {"table": table.name, "version": version, "rows": count, "added": added}
            before: Facts = {"version": latest} if latest else {}
            action = Action.ADD_TABLE_ROWS if new.adds else Action.SET_TABLE
            audit.append(connection, Entry(action, table.container.text, actor, before, facts))
            stored = StoredTable(
                table.container.text,
                table.container_id,
                table.name,
                table_id,
                table.sealed,
                version,
                base,
                new.originals,
                new.columns,
                count,
                added,
                row[0],
                actor.subject,
                new.note,
            )
            if not new.keeps:
                raise Rollback
        return stored

    def rows(self, table: StoredTable, *, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Returns rows of a version: what their patients are found by, and what is encrypted."""
        given = (table.table_id, table.base, table.version, after, limit)
        return [(digest, sealed) for digest, sealed in self._read("list_rows", *given)]

    def look_up(
        self, containers: Sequence[str], table_id: int, version: int, digests: Sequence[bytes]
    ) -> Answered | None:
        """Returns what a version of a table says of patients.

        Args:
            containers: names of those that it may be attached to.
            table_id: its identity.
            version: the version.
            digests: what the patients are found by, 32 bytes each.

        Returns:
            It; None where there is no such table, or version.
        """
        found = self._read("look_up", " ".join(containers), table_id, version, b"".join(digests))
        if not found:
            return None
        master_key, data, container_id, name, originals, columns, *_ = found[0]
        rows = {digest: sealed for *_, digest, sealed in found if digest is not None}
        return Answered(
            Sealed(master_key, data), container_id, name, originals, tuple(columns), rows
        )

    def delete(self, container: ContainerName, name: str, *, before: int, actor: Actor) -> None:
        """Deletes a table, or its versions before one.

        Args:
            container: that it is attached to.
            name: its name there.
            before: the first version that stays; 0 for none.
            actor: who does it.

        Raises:
            TableNotFoundError: it is not there.
            InvalidTableError: it has no version from that one on.
        """
        with self._change(container.site) as connection:
            hold_container(connection, container)
            found = execute(connection, "find_tables", container.text, name).fetchone()
            if found is None:
                raise TableNotFoundError(container.text, name)
            table = _to_table(found)
            if before > table.version:
                raise InvalidTableError("before_version", "is above the newest version.")
            if before:
                execute(connection, "delete_table_versions", table.table_id, before)
                execute(connection, "let_rows_go", table.table_id)
            else:
                execute(connection, "delete_table", table.table_id)
            facts: Facts = {"table": name, "version": table.version, "rows": table.rows}
            after: Facts = {"table": name, "first_version": before} if before else {}
            entry = Entry(Action.DELETE_TABLE, container.text, actor, facts, after)
            audit.append(connection, entry)

    def rows_gone(self) -> list[tuple[int, int]]:
        """Returns what rows nobody can read: of a table, those before a version."""
        return [(table_id, before) for table_id, before in self._read("list_rows_gone")]

    def remove_rows(self, table_id: int, before: int) -> int:
        """Removes some of them; returns how many there were."""
        with self._change("") as connection:
            row = execute(connection, "remove_rows", table_id, before, REMOVED_AT_ONCE).fetchone()
            count: int = 0 if row is None else row[0]
            if not count:
                execute(connection, "rows_are_gone", table_id, before)
        return count

    def texts(
        self, container: ContainerName, name: str, *, after: bytes, limit: int
    ) -> tuple[list[tuple[bytes, str]], int]:
        """Returns texts of profiles at or below a container that look something up in a table.

        Args:
            container: that the table is attached to.
            name: its name there.
            after: the digest of the last text of the page before; empty for the first.
            limit: how many at most.

        Returns:
            The digest of each and the text, in that order; and how many come behind them.
        """
        found = self._read("list_texts_with_table", container.text, name, after, limit)
        texts = [(sha256, bytes(source).decode()) for sha256, source, _ in found]
        return texts, (found[0][2] - len(texts) if found else 0)


def _latest(connection: WritingConnection, table: Held, new: NewVersion) -> tuple[int, int, int]:
    """Returns the newest version of a table that is locked, its base, and how many rows it has."""
    row = execute(connection, "lock_table", table.table_id).fetchone()
    if row is None or (new.adds and not row[0]):
        raise TableNotFoundError(table.container.text, table.name)
    latest, base, originals, columns, count = row
    if new.adds and (originals, tuple(columns)) != (new.originals, new.columns):
        raise InvalidTableError("text", "has other columns than the table, or in another order.")
    return latest, base or 0, count or 0


def _copy(
    connection: WritingConnection, table_id: int, version: int, rows: Iterable[SealedRow]
) -> int:
    """Sends rows, and returns how many there were."""
    count = 0
    failure: Exception | None = None
    buffer = bytearray(_COPY_BEGINS)
    try:
        with connection.cursor() as cursor, cursor.copy(_COPY_ROWS) as copy:
            try:
                for line, digest, code_digest, sealed in rows:
                    count += 1
                    buffer += _ROW.pack(6, 8, table_id, 8, version, 4, line, 32, digest)
                    buffer += _NO_CODE if code_digest is None else _CODE.pack(32, code_digest)
                    buffer += _LENGTH.pack(len(sealed))
                    buffer += sealed
                    if len(buffer) > _SENT_BYTES:
                        copy.write(bytes(buffer))
                        buffer = bytearray()
            except Exception as error:  # noqa: BLE001 - it is raised again below
                failure = error
                # The driver tells the server what has failed, which logs it.
                raise _RowsEndError from None
            copy.write(bytes(buffer + _COPY_ENDS))
    except _RowsEndError:
        assert failure is not None  # noqa: S101 -- it is what has ended them
        raise failure from None
    return count


def _to_table(row: Row) -> StoredTable:
    container, container_id, name, table_id, master_key, data, version, base, *rest = row
    originals, columns, rows, added, create_time, author, note = rest
    return StoredTable(
        container,
        container_id,
        name,
        table_id,
        Sealed(master_key, data),
        version,
        base,
        originals,
        tuple(columns),
        rows,
        added,
        create_time,
        author,
        note,
    )
