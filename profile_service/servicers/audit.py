"""The audit: read by those who may, and told of files by DeidService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import audit_requests, file_events, messages, paging
from profile_service.hierarchy import SITES, parse_name

if TYPE_CHECKING:
    from profile_service.guard import Call
    from profile_service.store.audit import AuditStore


class AuditCalls:
    """The calls about the audit."""

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    def ListAuditEvents(  # noqa: N802, D102
        self, request: pb.ListAuditEventsRequest, call: Call
    ) -> pb.ListAuditEventsResponse:
        del call
        wanted = audit_requests.wanted(request)
        size = paging.page_size(request.page_size)
        listed = audit_requests.listed(request)
        beyond = paging.read_number(listed, request.page_token)
        found, last = self._store.events(wanted, beyond=beyond, limit=size)
        return pb.ListAuditEventsResponse(
            events=map(messages.audit_event, found),
            next_page_token=paging.write_token(listed, str(last)) if last else "",
        )

    def ListAuditHeads(  # noqa: N802, D102
        self, request: pb.ListAuditHeadsRequest, call: Call
    ) -> pb.ListAuditHeadsResponse:
        del call
        if request.site:
            name = parse_name(request.site, field="site", kinds=SITES)
            head = self._store.head(name.text)
            return pb.ListAuditHeadsResponse(heads=[messages.audit_head(head)])
        size = paging.page_size(request.page_size)
        after = paging.read_token("audit", request.page_token)
        found = self._store.heads(after=after or None, limit=size + 1)
        page, token = paging.cut(found, size, "audit", lambda each: each.site)
        return pb.ListAuditHeadsResponse(
            heads=map(messages.audit_head, page), next_page_token=token
        )

    def RecordFiles(  # noqa: N802, D102
        self, request: pb.RecordFilesRequest, call: Call
    ) -> pb.RecordFilesResponse:
        for entry in file_events.entries(request, call.actor):
            self._store.record(entry)
        return pb.RecordFilesResponse()
