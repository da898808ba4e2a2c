"""What the audit of a service says, and whether its chains are whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from deid_service.cli.audit import all_heads, events, verified

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub


def told(service: ProfileServiceStub, parent: str, **filters: str) -> list[pb.AuditEvent]:
    """Returns the events of a container and what is in it, oldest first."""
    request = pb.ListAuditEventsRequest(parent=parent, oldest_first=True, **filters)  # type: ignore[arg-type]
    return list(events(service, request))


def troubles(
    service: ProfileServiceStub, kept: dict[int, bytes] | None = None, site: str = ""
) -> dict[str, str]:
    """Returns what is wrong with the chain of each site; nothing where all is well."""
    found = {head.site: verified(service, head, kept or {})[1] for head in all_heads(service, site)}
    return {site: trouble for site, trouble in found.items() if trouble}
