"""Which events of the audit a request asks for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.errors import InvalidFilterError
from profile_service.hierarchy import parse_name
from profile_service.store.audit import END_OF_TIME, Wanted

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

MAX_FILTER = 400


def wanted(request: pb.ListAuditEventsRequest) -> Wanted:
    """Reads the filters of a request.

    Raises:
        InvalidNameError: `parent` is no container.
        InvalidFilterError: another filter holds what no event can have.
    """
    site = resource = ""
    if request.parent:
        name = parse_name(request.parent, field="parent")
        # All that is told in the chain of a site is about it, or what is in it.
        site, resource = name.site, "" if name.text == name.site else name.text
    for field in ("subject", "action"):
        text = getattr(request, field)
        if len(text) > MAX_FILTER or not text.isprintable():
            raise InvalidFilterError(field, f"must be at most {MAX_FILTER} printable characters.")
    return Wanted(
        site,
        resource,
        request.subject,
        request.action,
        _microseconds("since", request.since) if request.HasField("since") else 0,
        _microseconds("until", request.until) if request.HasField("until") else END_OF_TIME,
        request.oldest_first,
    )


def listed(request: pb.ListAuditEventsRequest) -> str:
    """Returns what tells a list from others, so that the token of one is none of another."""
    alike = pb.ListAuditEventsRequest()
    alike.CopyFrom(request)
    alike.page_token, alike.page_size = "", 0
    return hashlib.sha256(alike.SerializeToString(deterministic=True)).hexdigest()


def _microseconds(field: str, moment: Timestamp) -> int:
    found = moment.seconds * 1_000_000 + moment.nanos // 1000
    if not 0 <= found <= END_OF_TIME or not 0 <= moment.nanos < 10**9:
        raise InvalidFilterError(field, "must be a moment from 1970 to 9999.")
    return found
