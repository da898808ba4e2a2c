"""Tables of patients: encrypted when they come, and read a row at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from profile_service.audit import Action, Entry
from profile_service.bulkheads import Bulkhead
from profile_service.errors import (
    InvalidTableError,
    NoMasterKeyError,
    TableInvalidError,
    TableNotFoundError,
)
from profile_service.keys.errors import MasterKeyError
from profile_service.keys.files import new_secret
from profile_service.keys.sealing import of_table
from profile_service.keys.tables import TableKey
from profile_service.language import check_profile
from profile_service.language.lookups import ISSUER, ORIGINALS, Use, uses_of
from profile_service.language.sheets import (
    MAX_PROBLEMS,
    Sheet,
    SheetInvalidError,
    folded,
    known_by,
)
from profile_service.model import ResolvedTable
from profile_service.store.tables import NewVersion, SealedRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from profile_service.access.actor import Actor
    from profile_service.audit import Facts
    from profile_service.hierarchy import ContainerName
    from profile_service.keys.delivery import Page
    from profile_service.keys.sealing import MasterKey, Sealed
    from profile_service.language.model import Column, Violation
    from profile_service.model import StoredTable
    from profile_service.store.tables import Answered, Held, TableStore, Twice

# A table keeps a core and a connection busy for up to a minute: one at a time, and so many
# may wait for so long.
MAX_WAITING: Final = 8
TURN_SECONDS: Final = 20.0

# As many profiles are asked what they do with the columns, some at a time: it takes seconds, and
# so long nobody else sets a table. It is told how many more there are, whose streams find out.
MAX_TEXTS: Final = 500
PAGE_TEXTS: Final = 20

# A page of rows: as many, and as long, encrypted.
PAGE_ROWS: Final = 1000
PAGE_BYTES: Final = 1 << 20


class Upload(NamedTuple):
    """What a text is to become.

    Attributes:
        container: that the table is attached to.
        name: its name there.
        adds: the rows are added to those that are there.
        keeps: it is made; else it is said what would be.
        note: why.
        proposal: returns what was proposed, where it had to be, of the digest of the text and the
            version before.
    """

    container: ContainerName
    name: str
    adds: bool
    keeps: bool
    note: str
    proposal: Callable[[bytes, int], bytes]


class Uploaded(NamedTuple):
    """What became of a text.

    Attributes:
        table: the version; None where it is not valid.
        violations: what is wrong with it, where nothing was to be kept.
        unchecked: how many profiles that use the table were not asked what they do with it.
    """

    table: StoredTable | None
    violations: Sequence[Violation]
    unchecked: int


class Wanted(NamedTuple):
    """What is looked up in a table.

    Attributes:
        table_id: which table.
        version: of it.
        columns: the names of those that are asked for.
        patients: what they are found by, and the same of how they are written; the latter is
            empty where letter case says nothing.
    """

    table_id: int
    version: int
    columns: tuple[str, ...]
    patients: tuple[tuple[bytes, bytes], ...]


class Tables:
    """Sets tables, reads them, and says what they say."""

    def __init__(
        self, store: TableStore, record: Callable[[Entry], None], master: MasterKey | None
    ) -> None:
        """Takes where they are kept, what tells the audit, and what encrypts their secrets."""
        self._store = store
        self._record = record
        self._master = master
        self._uploading = Bulkhead(places=1, waiting=MAX_WAITING, seconds=TURN_SECONDS)

    def set(self, upload: Upload, chunks: Iterable[bytes], actor: Actor) -> Uploaded:
        """Sets a table, or adds rows to it.

        Args:
            upload: what is set.
            chunks: the text, as it comes.
            actor: who does it.

        Returns:
            What became of it.

        Raises:
            TableInvalidError: the text is not valid.
            ContainerNotFoundError: the container does not exist.
            TableNotFoundError: rows are to be added to what is not there.
            InvalidTableError: they have other columns, or there are too many tables.
            NoMasterKeyError: there is nothing to encrypt it with.
            TooManyCallsError: others are set already.
        """
        with self._uploading.place():
            uses, unchecked = self._uses(upload.container, upload.name)
            try:
                return Uploaded(self._put(upload, uses, chunks, actor), (), unchecked)
            except SheetInvalidError as error:
                if not upload.keeps:
                    return Uploaded(None, error.violations, unchecked)
                raise TableInvalidError(upload.name, error.violations) from None

    def _put(
        self, upload: Upload, uses: frozenset[Use], chunks: Iterable[bytes], actor: Actor
    ) -> StoredTable:
        container, name, adds, keeps, note, _ = upload
        master = self._master
        if master is None:
            raise NoMasterKeyError(container.site)
        there = self._store.version(container, name, 0).rows if adds else 0

        def make(container_id: int) -> Sealed:
            return master.seal(new_secret(), of_table(container_id, name))

        table = self._store.hold(container, name, make)
        key = self._key(table)
        digest = hashlib.sha256()
        sheet = Sheet(_digested(chunks, digest), uses, there=there)

        def check(twice: list[Twice], codes: list[Twice]) -> None:
            for line, first in twice:
                sheet.note_twice(line, first)
            for line, first in codes:
                sheet.note_code_twice(line, first)
            sheet.check()

        return self._store.put(
            table,
            NewVersion(sheet.originals, sheet.columns, adds, keeps, note),
            _sealed(sheet, key),
            check=check,
            most=MAX_PROBLEMS + 1,
            proposal=lambda before: upload.proposal(digest.digest(), before),
            actor=actor,
        )

    def _uses(self, container: ContainerName, name: str) -> tuple[frozenset[Use], int]:
        """Returns what profiles do with the columns of a table, and how many were not asked."""
        uses: set[Use] = set()
        asked, after, left = 0, b"", 1
        while left and asked < MAX_TEXTS:
            texts, left = self._store.texts(container, name, after=after, limit=PAGE_TEXTS)
            for after, text in texts:  # noqa: B007 -- the next page begins behind the last
                profile = check_profile(text).profile
                if profile is not None:
                    uses |= uses_of(profile, name)
            asked += len(texts)
        return frozenset(uses), left

    def attached(self, container: ContainerName) -> list[StoredTable]:
        """Returns the tables of a container.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        return self._store.attached(container)

    def versions(
        self, container: ContainerName, name: str, *, before: int, limit: int
    ) -> list[StoredTable]:
        """Returns versions of a table, newest first.

        Raises:
            TableNotFoundError: it is not there.
        """
        found = self._store.versions(container, name, before=before, limit=limit)
        if not found:
            raise TableNotFoundError(container.text, name)
        return found

    def read(
        self, container: ContainerName, name: str, version: int, *, after: bytes, actor: Actor
    ) -> tuple[StoredTable, list[list[str]], bytes]:
        """Returns a page of the rows of a version; the audit is told that it was asked.

        Args:
            container: that the table is attached to.
            name: its name there.
            version: of it; 0 for the newest.
            after: what the last patient of the page before is found by; empty for the first.
            actor: who asks.

        Returns:
            The version, the rows, and what the last one is found by; empty on the last page.

        Raises:
            TableNotFoundError: it is not there.
            NoMasterKeyError: it cannot be decrypted.
        """
        table = self._store.version(container, name, version)
        rows, last = self._page(table, after)
        facts: Facts = {"table": name, "version": table.version, "rows": len(rows)}
        self._record(Entry(Action.READ_TABLE, container.text, actor, after=facts))
        return table, rows, last

    def page(self, container: ContainerName, name: str, page: Page) -> tuple[list[str], bytes]:
        """Returns a page of a list.

        Args:
            container: that it is attached to.
            name: its name there.
            page: which one.

        Returns:
            Its words or names, and behind which row the next one begins; empty on the last page.

        Raises:
            TableNotFoundError: the list, or its version, is not there.
            InvalidTableError: it has not such a column.
            NoMasterKeyError: it cannot be decrypted.
        """
        table = self._store.version(container, name, page.version)
        if table.table_id != page.table_id:
            raise TableNotFoundError(container.text, name)
        if page.column not in table.columns:
            raise InvalidTableError("column", "is not there.")
        rows, last = self._page(table, page.after)
        place = table.originals + table.columns.index(page.column)
        return [row[place] for row in rows if row[place]], last

    def _page(self, table: StoredTable, after: bytes) -> tuple[list[list[str]], bytes]:
        """Returns a page of rows, and what the last one is found by; empty on the last page."""
        found = self._store.rows(table, after=after, limit=PAGE_ROWS + 1)
        page, size = 0, 0
        while page < min(len(found), PAGE_ROWS) and size < PAGE_BYTES:
            size += len(found[page][1])
            page += 1
        key = self._key(table)
        rows = [key.open(digest, sealed) for digest, sealed in found[:page]]
        return rows, found[page - 1][0] if page < len(found) else b""

    def delete(self, container: ContainerName, name: str, *, before: int, actor: Actor) -> None:
        """Deletes a table, or its versions before one; see the store."""
        self._store.delete(container, name, before=before, actor=actor)

    def in_force(
        self, columns: Sequence[Column], containers: Sequence[str]
    ) -> tuple[ResolvedTable, ...]:
        """Returns the tables that a profile looks patients up in.

        Args:
            columns: what it looks up.
            containers: the names of those whose tables it may be, nearest first.
        """
        names = sorted({column.table for column in columns})
        if not names:
            return ()
        nearest: dict[str, StoredTable] = {}
        for table in self._store.find(containers, names):
            held = nearest.setdefault(table.name, table)
            if containers.index(table.container) < containers.index(held.container):
                nearest[table.name] = table
        return tuple(_resolved(name, nearest.get(name), columns) for name in names)

    def finding_keys(self, tables: Sequence[ResolvedTable]) -> dict[str, bytes]:
        """Returns the keys by which patients are found in tables, by their names.

        Raises:
            NoMasterKeyError: they cannot be decrypted.
        """
        return {name: self._key(stored).finding for name, stored, _ in tables if stored is not None}

    def look_up(
        self, containers: Sequence[str], wanted: Sequence[Wanted]
    ) -> list[list[tuple[str, ...]]]:
        """Returns what tables say of patients.

        Args:
            containers: the names of those that the tables may be attached to.
            wanted: what is looked up.

        Returns:
            For each table and each patient the values in the order of the columns; none for
            who is not in it.

        Raises:
            TableNotFoundError: a table, or its version, is not there.
            InvalidTableError: it has not such a column.
            NoMasterKeyError: it cannot be decrypted.
        """
        return [self._answer(containers, each) for each in wanted]

    def _answer(self, containers: Sequence[str], wanted: Wanted) -> list[tuple[str, ...]]:
        digests = [digest for digest, _ in wanted.patients]
        found = self._store.look_up(containers, wanted.table_id, wanted.version, digests)
        if found is None:
            raise TableNotFoundError(containers[0], str(wanted.table_id))
        if not set(wanted.columns) <= set(found.columns):
            raise InvalidTableError("columns", "are not all there.")
        key = self._key(found)
        places = [found.originals + found.columns.index(each) for each in wanted.columns]
        return [_values(found, key, digest, exact, places) for digest, exact in wanted.patients]

    def _key(self, table: Held | StoredTable | Answered) -> TableKey:
        try:
            if self._master is not None:
                what = of_table(table.container_id, table.name)
                return TableKey(self._master.open(table.sealed, what))
        except MasterKeyError:
            pass
        raise NoMasterKeyError("")


def _sealed(sheet: Sheet, key: TableKey) -> Iterator[SealedRow]:
    """Yields the rows of a text, encrypted."""
    code = sheet.code_place
    for row in sheet.rows():
        digest = key.digest(folded(row.known_by))
        said = "" if code is None else row.values[code]
        sealed = key.seal(digest, (*row.originals, *row.values))
        yield SealedRow(row.line, digest, key.code_digest(said) if said else None, sealed)


def _values(
    found: Answered, key: TableKey, digest: bytes, exact: bytes, places: Sequence[int]
) -> tuple[str, ...]:
    """Returns what a table says of a patient; nothing where that is another one."""
    sealed = found.rows.get(digest)
    if sealed is None:
        return ()
    row = key.open(digest, sealed)
    if exact and key.digest(known_by(row[: found.originals])) != exact:
        return ()
    return tuple(row[place] for place in places)


def _resolved(name: str, stored: StoredTable | None, columns: Sequence[Column]) -> ResolvedTable:
    if stored is None:
        return ResolvedTable(name, None)
    looked_up = (column.name for column in columns if column.table == name)
    missing = next((each for each in looked_up if each not in stored.columns), "")
    return ResolvedTable(name, stored, missing)


def names_of_originals(count: int) -> tuple[str, ...]:
    """Returns the names of the columns that say who a patient is."""
    return (ORIGINALS[0], ISSUER, *ORIGINALS[2:])[:count]


def _digested(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """Yields chunks, and takes their digest."""
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
