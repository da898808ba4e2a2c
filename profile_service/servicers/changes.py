"""Changes that one person proposes, and another one approves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import messages, paging
from profile_service.access.places import site_of_role
from profile_service.access.rules import RULES, proposed
from profile_service.errors import (
    ChangeDecidedError,
    EtagMismatchError,
    InvalidChangeError,
    PermissionDeniedError,
    SamePersonError,
)
from profile_service.hierarchy import SITES, parse_name
from profile_service.servicers.access import checked_role
from profile_service.servicers.containers import changed_paths
from profile_service.servicers.tables import DIGEST_BYTES, proposal, table_name
from profile_service.servicers.texts import checked_note

if TYPE_CHECKING:
    from profile_service.access.rules import Proposable
    from profile_service.guard import Call
    from profile_service.hierarchy import ContainerName
    from profile_service.servicers.access import AccessCalls
    from profile_service.servicers.containers import ContainerCalls
    from profile_service.servicers.profiles import ProfileCalls
    from profile_service.servicers.pseudonyms import PseudonymCalls
    from profile_service.site_keys import SiteKeys
    from profile_service.store.changes import ChangeStore
    from profile_service.store.containers import ContainerStore
    from profile_service.tables import Tables

MAX_CHANGES = 16


class ChangeCalls:
    """The calls about changes that are to be approved."""

    def __init__(
        self,
        changes: ChangeStore,
        stored: ContainerStore,
        keys: SiteKeys,
        tables: Tables,
        containers: ContainerCalls,
        profiles: ProfileCalls,
        access: AccessCalls,
        pseudonyms: PseudonymCalls,
    ) -> None:
        """Takes where they are kept, what tells that one is old, and what makes those approved."""
        self._changes = changes
        self._stored = stored
        self._containers = containers
        self._profiles = profiles
        self._access = access
        self._keys = keys
        self._tables = tables
        self._pseudonyms = pseudonyms

    def ProposeChange(  # noqa: N802, D102
        self, request: pb.ProposeChangeRequest, call: Call
    ) -> pb.ProposeChangeResponse:
        method, inner = proposed(request)
        note = checked_note(request.note)
        if isinstance(inner, pb.UpdateContainerRequest):
            name = parse_name(inner.container.name, field="update_container.container.name")
            changed_paths(inner, name.kind)
            inner.container.etag = inner.container.etag or self._stored.get(name).etag
        elif isinstance(inner, access_pb.GrantRoleRequest):
            name = parse_name(inner.binding.container, field="grant_role.binding.container")
            # Not beyond what the proposer has either.
            self._access.GrantRole(inner, call._replace(proposed_by=""), keep=False)
        elif isinstance(inner, access_pb.SetRoleRequest):
            name = site_of_role(checked_role(inner, call).name, field="set_role.role.name")
        elif isinstance(inner, pb.ProposedTable):
            name = self._complete(inner)
        elif isinstance(inner, pb.RotateSiteKeyRequest):
            name = parse_name(inner.site, field="rotate_site_key.site", kinds=SITES)
            inner.after_generation = inner.after_generation or self._keys.generation(name)
        else:
            name = parse_name(inner.container, field=f"{request.WhichOneof('change')}.container")
            inner.etag = inner.etag or self._stored.get(name).profile_etag
        if isinstance(inner, pb.SetProfileRequest):
            if inner.validate_only:
                raise InvalidChangeError("set_profile.validate_only", "must be false.")
            # Refused now is better than when it is approved.
            preview = pb.SetProfileRequest()
            preview.CopyFrom(inner)
            preview.validate_only = True
            self._profiles.SetProfile(preview, call)
        made = self._changes.propose(name, method, proposal(inner), note, call.actor)
        return pb.ProposeChangeResponse(change=messages.change(made))

    def ListChanges(  # noqa: N802, D102
        self, request: pb.ListChangesRequest, call: Call
    ) -> pb.ListChangesResponse:
        del call
        name = parse_name(request.container, field="container")
        # Each is read with its text, which may have a mebibyte.
        size = min(paging.page_size(request.page_size), MAX_CHANGES)
        listed = f"{name}/changes"
        before = paging.read_number(listed, request.page_token) or paging.MAX_NUMBER
        found = self._changes.page(name, before=before, limit=size + 1)
        page, token = paging.cut(found, size, listed, lambda each: str(each.number))
        return pb.ListChangesResponse(
            changes=(messages.change(each, with_source=False) for each in page),
            next_page_token=token,
        )

    def GetChange(  # noqa: N802, D102
        self, request: pb.GetChangeRequest, call: Call
    ) -> pb.GetChangeResponse:
        del call
        name = parse_name(request.container, field="container")
        found = self._changes.get(name, request.number)
        return pb.GetChangeResponse(change=messages.change(found))

    def DecideChange(  # noqa: N802, D102
        self, request: pb.DecideChangeRequest, call: Call
    ) -> pb.DecideChangeResponse:
        name = parse_name(request.container, field="container")
        found = self._changes.get(name, request.number)
        if found.approved is not None:
            raise ChangeDecidedError(name.text, found.number)
        method, inner = proposed(messages.change(found).proposal)
        if not RULES[method](inner).permissions <= call.granted:
            raise PermissionDeniedError
        if request.approve:
            if call.actor.identity == found.author_identity:
                raise SamePersonError(name.text)
            # Its etag is that of when it was proposed: it is made once.
            self._make(inner, call._replace(proposed_by=found.author))
        decided = self._changes.decide(found, call.actor, approved=request.approve)
        return pb.DecideChangeResponse(change=messages.change(decided))

    def _complete(self, proposed: pb.ProposedTable) -> ContainerName:
        """Checks a table that is proposed, and notes which version it comes after."""
        name = parse_name(proposed.container, field="set_table.container")
        table_name(proposed.table, "set_table.table", InvalidChangeError)
        if len(proposed.text_sha256) != DIGEST_BYTES:
            raise InvalidChangeError("set_table.text_sha256", f"must be {DIGEST_BYTES} bytes.")
        there = [each for each in self._tables.attached(name) if each.name == proposed.table]
        newest = there[0].version if there else 0
        proposed.after_version = proposed.after_version or newest
        if proposed.after_version != newest:
            raise EtagMismatchError(f"{name}/tables/{proposed.table}")
        return name

    def _make(self, change: Proposable, call: Call) -> None:
        if isinstance(change, pb.UpdateContainerRequest):
            self._containers.UpdateContainer(change, call)
        elif isinstance(change, pb.SetProfileRequest):
            self._profiles.SetProfile(change, call)
        elif isinstance(change, pb.ClearProfileRequest):
            self._profiles.ClearProfile(change, call)
        elif isinstance(change, access_pb.GrantRoleRequest):
            self._access.GrantRole(change, call)
        elif isinstance(change, pb.ProposedTable):
            pass  # It is set by who has its text.
        elif isinstance(change, pb.RotateSiteKeyRequest):
            self._pseudonyms.RotateSiteKey(change, call)
        else:
            self._access.SetRole(change, call)
