"""Tables of patients: set, read, and looked up in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1 import table_service_pb2 as pb

from profile_service import messages, paging
from profile_service.errors import (
    CallIdleError,
    InvalidRequestError,
    InvalidTableError,
    InvalidVersionError,
)
from profile_service.hierarchy import TARGETS, parse_name
from profile_service.keys.delivery import Page
from profile_service.language.lookups import TABLE_NAME
from profile_service.language.sheets import MAX_COLUMNS
from profile_service.servicers.texts import checked_note
from profile_service.tables import Upload, Wanted, names_of_originals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.access.rules import Proposable
    from profile_service.guard import Call
    from profile_service.model import StoredTable
    from profile_service.site_keys import SiteKeys
    from profile_service.tables import Tables

# Tables, and patients of each, that are looked up in one request.
MAX_LOOKUPS: Final = 64
MAX_PATIENTS: Final = 100

# SHA-256.
DIGEST_BYTES: Final = 32


class TableCalls:
    """The calls about tables."""

    def __init__(self, tables: Tables, keys: SiteKeys) -> None:
        self._tables = tables
        self._keys = keys

    def SetTable(  # noqa: N802, D102
        self, request: pb.SetTableRequest, call: Call
    ) -> pb.SetTableResponse:
        upload = Upload(
            parse_name(request.container, field="container"),
            table_name(request.table),
            adds=request.add,
            keeps=not request.validate_only,
            note=checked_note(request.note),
            proposal=lambda text_sha256, before: proposal(
                profile_pb.ProposedTable(
                    container=request.container,
                    table=request.table,
                    add=request.add,
                    text_sha256=text_sha256,
                    after_version=before,
                )
            ),
        )
        done = self._tables.set(upload, _texts(request, call), call.actor)
        violations = map(messages.violation, done.violations)
        response = pb.SetTableResponse(violations=violations, profiles_unchecked=done.unchecked)
        if done.table is not None:
            _fill(response.table, done.table)
        return response

    def ListTables(  # noqa: N802, D102
        self, request: pb.ListTablesRequest, call: Call
    ) -> pb.ListTablesResponse:
        del call
        container = parse_name(request.container, field="container")
        return pb.ListTablesResponse(tables=map(_table, self._tables.attached(container)))

    def ListTableVersions(  # noqa: N802, D102
        self, request: pb.ListTableVersionsRequest, call: Call
    ) -> pb.ListTableVersionsResponse:
        del call
        container, name = (
            parse_name(request.container, field="container"),
            table_name(request.table),
        )
        size = paging.page_size(request.page_size)
        listed = f"{container}/tables/{name}"
        before = paging.read_number(listed, request.page_token) or paging.MAX_NUMBER
        found = self._tables.versions(container, name, before=before, limit=size + 1)
        page, token = paging.cut(found, size, listed, lambda each: str(each.version))
        return pb.ListTableVersionsResponse(tables=map(_table, page), next_page_token=token)

    def ReadTable(  # noqa: N802, D102
        self, request: pb.ReadTableRequest, call: Call
    ) -> pb.ReadTableResponse:
        container, name = (
            parse_name(request.container, field="container"),
            table_name(request.table),
        )
        # A page is one of the version that the first one was of.
        listed = f"{container}/tables/{name}/rows"
        version, _, digest = paging.read_token(listed, request.page_token).partition(" ")
        number = int(version) if version.isdecimal() else _version(request.version, "version")
        try:
            after = bytes.fromhex(digest)
        except ValueError:
            raise paging.invalid_token() from None
        table, rows, last = self._tables.read(
            container, name, number, after=after, actor=call.actor
        )
        token = paging.write_token(listed, f"{table.version} {last.hex()}") if last else ""
        return pb.ReadTableResponse(
            columns=(*names_of_originals(table.originals), *table.columns),
            rows=[pb.TableRow(values=row) for row in rows],
            next_page_token=token,
        )

    def DeleteTable(  # noqa: N802, D102
        self, request: pb.DeleteTableRequest, call: Call
    ) -> pb.DeleteTableResponse:
        container, name = (
            parse_name(request.container, field="container"),
            table_name(request.table),
        )
        before = _version(request.before_version, "before_version")
        self._tables.delete(container, name, before=before, actor=call.actor)
        return pb.DeleteTableResponse()

    def LookUpPatients(  # noqa: N802, D102
        self, request: pb.LookUpPatientsRequest, call: Call
    ) -> pb.LookUpPatientsResponse:
        del call
        target = parse_name(request.target, field="target", kinds=TARGETS)
        if not 1 <= len(request.tables) <= MAX_LOOKUPS:
            raise InvalidTableError("tables", f"must be from 1 to {MAX_LOOKUPS}.")
        found = self._tables.look_up(target.upwards, [_wanted(each) for each in request.tables])
        response = pb.LookUpPatientsResponse()
        for patients in found:
            answer = response.tables.add()
            for values in patients:
                answer.patients.add().values.extend(values)
        return response

    def ReadList(  # noqa: N802, D102
        self, request: pb.ReadListRequest, call: Call
    ) -> pb.ReadListResponse:
        del call
        target = parse_name(request.target, field="target", kinds=TARGETS)
        container, name = (
            parse_name(request.container, field="container"),
            table_name(request.table),
        )
        if container.text not in target.upwards:
            raise InvalidTableError("container", "is not what files go to, or above it.")
        if request.version < 1:
            raise InvalidVersionError("version", "must be from 1.")
        page = Page(target.text, request.id, request.version, request.column, request.after)
        key = self._keys.for_pages(request.key_request, target.text)
        texts, last = self._tables.page(container, name, page)
        return pb.ReadListResponse(
            sealed=key.seal_page(texts, request.key_request, page), last=last
        )


def proposal(change: Proposable) -> bytes:
    """Returns a change as it is kept when it is proposed."""
    return change.SerializeToString(deterministic=True)


def _texts(request: pb.SetTableRequest, call: Call) -> Iterator[bytes]:
    """Yields the pieces of a text.

    Raises:
        CallIdleError: the next one did not come, or the caller is gone.
    """
    yield request.text
    for message in call.more:
        yield message.text
    if not call.is_wanted():
        raise CallIdleError


def _wanted(lookup: pb.TableLookup) -> Wanted:
    if not 1 <= len(lookup.patients) <= MAX_PATIENTS:
        raise InvalidTableError("tables.patients", f"must be from 1 to {MAX_PATIENTS}.")
    if not 1 <= len(lookup.columns) <= MAX_COLUMNS:
        raise InvalidTableError("tables.columns", f"must be from 1 to {MAX_COLUMNS}.")
    patients = tuple((each.digest, each.exact) for each in lookup.patients)
    if any(len(a) != DIGEST_BYTES or len(b) not in {0, DIGEST_BYTES} for a, b in patients):
        raise InvalidTableError("tables.patients", f"have digests of {DIGEST_BYTES} bytes.")
    return Wanted(lookup.id, lookup.version, tuple(lookup.columns), patients)


def table_name(
    text: str, field: str = "table", error: type[InvalidRequestError] = InvalidTableError
) -> str:
    """Returns the name of a table; raises the error for what cannot be one."""
    if TABLE_NAME.fullmatch(text) is None:
        raise error(field, "must be formed as the id of a container.")
    return text


def _version(number: int, field: str) -> int:
    if number < 0:
        raise InvalidVersionError(field, "must be from 1, or 0.")
    return number


def _table(data: StoredTable) -> pb.Table:
    message = pb.Table()
    _fill(message, data)
    return message


def _fill(message: pb.Table, data: StoredTable) -> None:
    message.container = data.container
    message.name = data.name
    message.version = data.version
    message.columns.extend(data.columns)
    message.rows = data.rows
    message.rows_added = data.added
    messages.set_time(message.create_time, data.create_time)
    message.author = data.author
    message.note = data.note
