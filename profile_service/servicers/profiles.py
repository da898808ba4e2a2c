"""Profiles: checked, attached, read and resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import answers, messages, paging
from profile_service.access.judging import OF_CALLER, OF_PREVIEW
from profile_service.access.permissions import Permission
from profile_service.errors import InvalidDigestError, InvalidVersionError
from profile_service.hierarchy import TARGETS, containers_of_tables, parse_name
from profile_service.servicers.texts import checked_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.guard import Call
    from profile_service.hierarchy import ContainerName
    from profile_service.model import ProfileVersion
    from profile_service.service import Profiles
    from profile_service.site_keys import SiteKeys
    from profile_service.store.profiles import ProfileStore
    from profile_service.tables import Tables

MAX_KNOWN_DIGESTS = 64


class ProfileCalls:
    """The calls about profiles."""

    def __init__(
        self,
        store: ProfileStore,
        profiles: Profiles,
        keys: SiteKeys,
        tables: Tables,
        listed_versions: int = 0,
    ) -> None:
        """Takes what has them; and how many of a container's newest are listed, 0 for all."""
        self._store = store
        self._listed_versions = listed_versions or paging.MAX_NUMBER
        self._profiles = profiles
        self._keys = keys
        self._tables = tables
        # Digests that were checked last.
        self._known: Sequence[str] = []

    def ValidateProfile(  # noqa: N802, D102
        self, request: pb.ValidateProfileRequest, call: Call
    ) -> pb.ValidateProfileResponse:
        kind = None
        if request.container:
            kind = parse_name(request.container, field="container").kind
        return messages.validation(
            self._profiles.check(request.source, kind, is_wanted=call.is_wanted)
        )

    def SetProfile(  # noqa: N802, D102
        self, request: pb.SetProfileRequest, call: Call
    ) -> pb.SetProfileResponse:
        name = parse_name(request.container, field="container")
        note = checked_note(request.note)
        if request.validate_only:
            would_be, found = self._profiles.preview(
                name,
                request.source,
                allow_invalid=request.allow_invalid,
                etag=request.etag,
                actor=call.actor,
                may_bypass=Permission.PROFILES_BYPASS in call.granted,
                is_wanted=call.is_wanted,
            )
            return pb.SetProfileResponse(
                profile=self._with_tables(name, would_be),
                differences=map(messages.difference, found or ()),
                not_compared=found is None,
            )
        stored = self._profiles.set(
            name,
            request.source,
            note=note,
            allow_invalid=request.allow_invalid,
            etag=request.etag,
            actor=call.actor,
            proposed_by=call.proposed_by,
            may_bypass=Permission.PROFILES_BYPASS in call.granted,
            is_wanted=call.is_wanted,
        )
        return pb.SetProfileResponse(profile=self._with_tables(name, stored))

    def ClearProfile(  # noqa: N802, D102
        self, request: pb.ClearProfileRequest, call: Call
    ) -> pb.ClearProfileResponse:
        name = parse_name(request.container, field="container")
        self._store.clear(name, etag=request.etag, actor=call.actor, proposed_by=call.proposed_by)
        return pb.ClearProfileResponse()

    def GetProfile(  # noqa: N802, D102
        self, request: pb.GetProfileRequest, call: Call
    ) -> pb.GetProfileResponse:
        del call
        name = parse_name(request.container, field="container")
        if request.version < 0:
            raise InvalidVersionError("version", "must be from 1, or 0 for the current one.")
        if request.sha256:
            if request.version:
                raise InvalidVersionError("version", "must be 0 where sha256 is given.")
            _check_digests([request.sha256], "sha256")
            found = self._profiles.get_by_digest(name, bytes.fromhex(request.sha256))
        else:
            found = self._profiles.get(name, request.version)
        return pb.GetProfileResponse(profile=messages.profile(found))

    def ListProfileVersions(  # noqa: N802, D102
        self, request: pb.ListProfileVersionsRequest, call: Call
    ) -> pb.ListProfileVersionsResponse:
        del call
        name = parse_name(request.container, field="container")
        size = paging.page_size(request.page_size)
        listed = f"{name}/profile"
        before = paging.read_number(listed, request.page_token) or paging.MAX_NUMBER
        current, found = self._store.page(
            name, before=before, limit=size + 1, newest=self._listed_versions
        )
        page, token = paging.cut(found, size, listed, lambda each: str(each.version))
        return pb.ListProfileVersionsResponse(
            profiles=map(messages.summary, page),
            next_page_token=token,
            current_version=current,
        )

    def ResolveProfile(  # noqa: N802, D102
        self, request: pb.ResolveProfileRequest, call: Call
    ) -> bytes:
        target = parse_name(request.target, field="target", kinds=TARGETS)
        known: list[str] = []

        def read_digests() -> None:
            known[:] = request.known_sha256
            # A caller says the same with each call, until it has seen another text.
            if known != self._known:
                _check_digests(known)
                self._known = known

        needed = OF_PREVIEW if request.preview else OF_CALLER
        answer, text = self._profiles.answer(target, call.shown, needed, known, read_digests)
        for_caller = call.shown.for_caller
        caller = "" if for_caller is None else for_caller.name
        written = answers.answer(answer.written, text, caller)
        profile = answer.resolution.profile
        use = None if profile is None else profile.decision.key_use
        if use is None:
            return written
        message = pb.ResolveProfileResponse()
        tables = self._tables.in_force(use.columns, containers_of_tables(target, answer.resolution))
        message.tables.extend(map(messages.resolved_table, tables))
        if request.key_request:
            given = self._keys.deliver(
                use,
                answer.key_source,
                target,
                request.key_request,
                call.actor,
                lambda: self._tables.finding_keys(tables),
            )
            messages.fill_keys(message.keys, given)
        return written + message.SerializeToString()

    def _with_tables(self, name: ContainerName, data: ProfileVersion) -> pb.Profile:
        """Returns a version with warnings of tables that it needs and that are not there."""
        message = messages.profile(data)
        use = data.decision.key_use
        if use is not None:
            tables = self._tables.in_force(use.columns, name.upwards)
            message.warnings.extend(filter(None, map(messages.table_warning, tables)))
        return message


def _check_digests(known: Sequence[str], field: str = "known_sha256") -> None:
    """Raises InvalidDigestError for what is no list of digests."""
    if len(known) > MAX_KNOWN_DIGESTS:
        raise InvalidDigestError(field, f"must be at most {MAX_KNOWN_DIGESTS} digests.")
    joined = "".join(known)
    try:
        digests = bytes.fromhex(joined)
    except ValueError:
        digests = b""
    # White space is skipped there, and then it is too short.
    if (
        len(digests) != 32 * len(known)
        or joined != joined.lower()
        or any(len(digest) != 64 for digest in known)
    ):
        raise InvalidDigestError(field, "must be 64 lower case hex digits each.")
