"""The lists that profiles name, read from ProfileService once for each version.

They are the same for all streams, and kept in memory for as long as they are in use: the last
few of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from deidcascade.v1 import table_service_pb2 as pb

from deid_service.contract import errors
from deid_service.serving.refusals import NO_MASTER_KEY, CallRefusedError
from profile_service.keys.delivery import Page
from profile_service.keys.errors import DeliveryError
from profile_service.language.sheets import MAX_LISTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.engine import Listed, Plan
    from profile_service.keys.delivery import ServiceKey
    from profile_service.language.model import Column

# What is looked for takes up to some ten megabytes for lists as long as may be.
MAX_KEPT: Final = 4


class ListInUse(NamedTuple):
    """A version of a list.

    Attributes:
        container: that it is attached to.
        table_id: tells it from one that is made later under the same name.
        version: the version.
        column: its name, and what it has.
    """

    container: str
    table_id: int
    version: int
    column: Column


# Returns a page of a list behind a row; and behind which the next one begins, empty for the last.
ReadPage = Callable[["ListInUse", bytes], Awaitable[tuple[list[str], bytes]]]

# What tells what is looked for: the digest of the profile, and its lists.
_Key = tuple[str, tuple[ListInUse, ...]]


class Lists:
    """What lists say, for profiles that name them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, Listed] = OrderedDict()

    async def listed(
        self,
        plan: Plan,
        sha256: str,
        lists: Sequence[ListInUse],
        read: ReadPage,
    ) -> Listed:
        """Returns what no text says by lists, and by the profile that names them.

        Args:
            plan: of the profile.
            sha256: the digest of its text.
            lists: which they are.
            read: reads a page; CallRefusedError where it is not given.

        Raises:
            TableMissingError: one is not there any more.
            ProfileNotSupportedError: they have more words than can be looked for, or cannot be
                read.
        """
        key = sha256, tuple(lists)
        known = self._kept.get(key)
        if known is None:
            said: dict[Column, list[str]] = {}
            left = MAX_LISTED
            for each in lists:
                try:
                    texts = said[each.column] = await _all(each, read, left)
                except CallRefusedError as error:
                    if error.reason == "TABLE_NOT_FOUND":
                        raise errors.TableMissingError(each.column.table) from None
                    raise errors.ProfileNotSupportedError(
                        f"The profile names lists, and {NO_MASTER_KEY}."
                    ) from None
                left -= len(texts)
            # In a thread, so that a long list does not halt the open streams.
            known = self._kept[key] = await asyncio.to_thread(plan.listed, said)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return known


async def _all(
    each: ListInUse,
    read: ReadPage,
    most: int,
) -> list[str]:
    found, after = await read(each, b"")
    while after:
        more, after = await read(each, after)
        found += more
        if len(found) > most:
            break
    if len(found) > most:
        raise errors.ProfileNotSupportedError(
            f"The lists that the profile names have more than {MAX_LISTED} words together."
        )
    return found


def request_for(
    each: ListInUse, target: str, after: bytes, service: ServiceKey
) -> pb.ReadListRequest:
    """Returns the request for a page of a list."""
    return pb.ReadListRequest(
        target=target,
        container=each.container,
        table=each.column.table,
        id=each.table_id,
        version=each.version,
        column=each.column.name,
        after=after,
        key_request=service.request(target),
    )


def opened(
    request: pb.ReadListRequest, answer: pb.ReadListResponse, service: ServiceKey
) -> list[str]:
    """Returns what a page has.

    Raises:
        ProfileNotSupportedError: it is not the one that was asked for.
    """
    page = Page(request.target, request.id, request.version, request.column, request.after)
    try:
        return service.open_page(answer.sealed, request.key_request, page)
    except DeliveryError:
        raise errors.ProfileNotSupportedError(
            f"The list {request.table} did not come as it was asked for."
        ) from None
