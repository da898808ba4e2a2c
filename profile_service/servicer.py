"""Protobuf to domain and back, and nothing else.

What is wrong raises a ProfileServiceError; `calls.py` makes a status of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import audit_requests, file_events, messages, paging
from profile_service.access.permissions import Permission
from profile_service.access.rules import RULES, proposed
from profile_service.errors import (
    ChangeDecidedError,
    InvalidChangeError,
    InvalidCodeError,
    InvalidContainerError,
    InvalidDigestError,
    InvalidNoteError,
    InvalidUpdateMaskError,
    InvalidVersionError,
    PermissionDeniedError,
    SamePersonError,
)
from profile_service.hierarchy import PARENTS, SITES, TARGETS, Kind, parse_name
from profile_service.language.model import CodePattern, KeyScope
from profile_service.model import FileAudit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.guard import Call
    from profile_service.service import Profiles
    from profile_service.site_keys import SiteKeys
    from profile_service.store import Store
    from profile_service.subjects import Subjects

DESCRIPTOR = pb.DESCRIPTOR.services_by_name["ProfileService"]
SERVICE = DESCRIPTOR.full_name

MAX_DISPLAY_NAME = 200

# Of a code: with the text around its digits it is to fit into LO.
MAX_CODE_DIGITS = 9
MAX_CODE_TEXT = 64

# Patients who are given codes in one request.
MAX_PATIENTS = 100

# SHA-256.
DIGEST_BYTES = 32
MAX_NOTE = 1000
MAX_CHANGES = 16
MAX_KNOWN_DIGESTS = 64

# bigint
MAX_VERSION = 2**63 - 1

CHANGEABLE = frozenset(
    {"display_name", "enforcement", "profile_locked", "file_audit", "approval_required"}
)
_OF_SITES = frozenset({"enforcement", "file_audit", "approval_required"})
_LOCK_RULE = "can be set on a site or a group only: nothing is below the others."

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ProfileServicer:
    """The calls of the contract; each is described there."""

    def __init__(
        self, store: Store, profiles: Profiles, keys: SiteKeys, subjects: Subjects
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._keys = keys
        self._subjects = subjects
        # Digests that were checked last.
        self._known: Sequence[str] = []

    def CreateContainer(  # noqa: N802, D102
        self, request: pb.CreateContainerRequest, call: Call
    ) -> pb.CreateContainerResponse:
        name = parse_name(request.container.name, field="container.name")
        created = self._store.containers.create(
            name,
            _display_name(request.container),
            enforced=_enforced(request.container, name.kind),
            profile_locked=_locked(request.container, name.kind),
            file_audit=_file_audit(request.container, name.kind),
            actor=call.actor,
        )
        return pb.CreateContainerResponse(container=messages.container(created))

    def GetContainer(  # noqa: N802, D102
        self, request: pb.GetContainerRequest, call: Call
    ) -> pb.GetContainerResponse:
        del call
        found = self._store.containers.get(parse_name(request.name, field="name"))
        return pb.GetContainerResponse(container=messages.container(found))

    def ListContainers(  # noqa: N802, D102
        self, request: pb.ListContainersRequest, call: Call
    ) -> pb.ListContainersResponse:
        del call
        parent = None
        if request.parent:
            parent = parse_name(request.parent, field="parent", kinds=PARENTS)
        size = paging.page_size(request.page_size)
        after = paging.read_token(request.parent, request.page_token)
        # One more than asked for tells whether there is a next page.
        found = self._store.containers.page(parent, after=after, limit=size + 1)
        page, token = paging.cut(found, size, request.parent, lambda each: each.name)
        return pb.ListContainersResponse(
            containers=map(messages.container, page), next_page_token=token
        )

    def UpdateContainer(  # noqa: N802, D102
        self, request: pb.UpdateContainerRequest, call: Call
    ) -> pb.UpdateContainerResponse:
        name = parse_name(request.container.name, field="container.name")
        paths = _paths(request, name.kind)
        updated = self._store.containers.update(
            name,
            display_name=_display_name(request.container) if "display_name" in paths else None,
            enforced=_enforced(request.container, name.kind) if "enforcement" in paths else None,
            profile_locked=(
                _locked(request.container, name.kind) if "profile_locked" in paths else None
            ),
            file_audit=_file_audit(request.container, name.kind) if "file_audit" in paths else None,
            approval_required=(
                _approval(request.container, name.kind) if "approval_required" in paths else None
            ),
            etag=request.container.etag,
            actor=call.actor,
            proposed_by=call.proposed_by,
        )
        return pb.UpdateContainerResponse(container=messages.container(updated))

    def DeleteContainer(  # noqa: N802, D102
        self, request: pb.DeleteContainerRequest, call: Call
    ) -> pb.DeleteContainerResponse:
        name = parse_name(request.name, field="name")
        self._store.containers.delete(name, etag=request.etag, actor=call.actor)
        return pb.DeleteContainerResponse()

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
        note = _note(request.note)
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
                profile=messages.profile(would_be),
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
        return pb.SetProfileResponse(profile=messages.profile(stored))

    def ClearProfile(  # noqa: N802, D102
        self, request: pb.ClearProfileRequest, call: Call
    ) -> pb.ClearProfileResponse:
        name = parse_name(request.container, field="container")
        self._store.profiles.clear(
            name, etag=request.etag, actor=call.actor, proposed_by=call.proposed_by
        )
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
        before = paging.read_number(listed, request.page_token, MAX_VERSION) or MAX_VERSION
        current, found = self._store.profiles.page(name, before=before, limit=size + 1)
        page, token = paging.cut(found, size, listed, lambda each: str(each.version))
        return pb.ListProfileVersionsResponse(
            profiles=map(messages.summary, page),
            next_page_token=token,
            current_version=current,
        )

    def ResolveProfile(  # noqa: N802, D102
        self, request: pb.ResolveProfileRequest, call: Call
    ) -> pb.ResolveProfileResponse:
        target = parse_name(request.target, field="target", kinds=TARGETS)
        known = request.known_sha256[:]
        # A caller says the same with each call, until it has seen another text.
        if known != self._known:
            _check_digests(known)
            self._known = known
        resolution, found = self._profiles.answer(target, call.shown)
        profile = resolution.profile
        message = messages.resolution(
            resolution, with_source=profile is None or profile.sha256.hex() not in known
        )
        use = None if profile is None else profile.decision.key_use
        if use is not None and request.key_request:
            given = self._keys.deliver(use, found, target, request.key_request, call.actor)
            messages.fill_keys(message.keys, given)
        return message

    def ListSiteKeys(  # noqa: N802, D102
        self, request: pb.ListSiteKeysRequest, call: Call
    ) -> pb.ListSiteKeysResponse:
        del call
        site = parse_name(request.site, field="site", kinds=SITES)
        return pb.ListSiteKeysResponse(keys=map(messages.site_key, self._keys.list(site)))

    def RotateSiteKey(  # noqa: N802, D102
        self, request: pb.RotateSiteKeyRequest, call: Call
    ) -> pb.RotateSiteKeyResponse:
        site = parse_name(request.site, field="site", kinds=SITES)
        made = self._keys.rotate(site, call.actor)
        return pb.RotateSiteKeyResponse(key=messages.site_key(made))

    def AssignCodes(  # noqa: N802, D102
        self, request: pb.AssignCodesRequest, call: Call
    ) -> pb.AssignCodesResponse:
        del call
        target = parse_name(request.target, field="target", kinds=TARGETS)
        scope = next((each for each in get_args(KeyScope) if each == request.scope), None)
        if scope is None:
            raise InvalidCodeError("scope", "must be site, group or project.")
        if not 1 <= request.digits <= MAX_CODE_DIGITS:
            raise InvalidCodeError("digits", f"must be from 1 to {MAX_CODE_DIGITS}.")
        if len(request.before) + len(request.after) > MAX_CODE_TEXT or "{" in request.before:
            raise InvalidCodeError("before", "must be short, and without braces.")
        if not 1 <= len(request.patients) <= MAX_PATIENTS:
            raise InvalidCodeError("patients", f"must be from 1 to {MAX_PATIENTS}.")
        if any(len(each.digest) != DIGEST_BYTES or not each.original for each in request.patients):
            raise InvalidCodeError("patients", f"need {DIGEST_BYTES} bytes, and an original.")
        pattern = CodePattern(request.before, request.digits, request.after, request.random_order)
        originals = {each.digest: each.original for each in request.patients}
        codes = self._subjects.codes(target, scope, pattern, originals)
        return pb.AssignCodesResponse(codes=[codes[each.digest] for each in request.patients])

    def ListSubjects(  # noqa: N802, D102
        self, request: pb.ListSubjectsRequest, call: Call
    ) -> pb.ListSubjectsResponse:
        name = parse_name(request.container, field="container")
        size = paging.page_size(request.page_size)
        listed = f"{name}/subjects"
        after = paging.read_token(listed, request.page_token)
        found = self._subjects.list(
            name, code=request.code, after=after, limit=size + 1, actor=call.actor
        )
        page, token = paging.cut(found, size, listed, lambda each: each.code)
        return pb.ListSubjectsResponse(subjects=map(messages.subject, page), next_page_token=token)

    def ListAuditEvents(  # noqa: N802, D102
        self, request: pb.ListAuditEventsRequest, call: Call
    ) -> pb.ListAuditEventsResponse:
        del call
        wanted = audit_requests.wanted(request)
        size = paging.page_size(request.page_size)
        listed = audit_requests.listed(request)
        beyond = paging.read_number(listed, request.page_token, MAX_VERSION)
        found, last = self._store.audit.events(wanted, beyond=beyond, limit=size)
        return pb.ListAuditEventsResponse(
            events=map(messages.audit_event, found),
            next_page_token=paging.write_token(listed, str(last)) if last else "",
        )

    def ProposeChange(  # noqa: N802, D102
        self, request: pb.ProposeChangeRequest, call: Call
    ) -> pb.ProposeChangeResponse:
        method, inner = proposed(request)
        note = _note(request.note)
        if isinstance(inner, pb.UpdateContainerRequest):
            name = parse_name(inner.container.name, field="update_container.container.name")
            _paths(inner, name.kind)
            inner.container.etag = inner.container.etag or self._store.containers.get(name).etag
        else:
            name = parse_name(inner.container, field=f"{request.WhichOneof('change')}.container")
            inner.etag = inner.etag or self._store.containers.get(name).profile_etag
        if isinstance(inner, pb.SetProfileRequest):
            if inner.validate_only:
                raise InvalidChangeError("set_profile.validate_only", "must be false.")
            # Refused now is better than when it is approved.
            preview = pb.SetProfileRequest()
            preview.CopyFrom(inner)
            preview.validate_only = True
            self.SetProfile(preview, call)
        made = self._store.changes.propose(
            name, method, inner.SerializeToString(), note, call.actor
        )
        return pb.ProposeChangeResponse(change=messages.change(made))

    def ListChanges(  # noqa: N802, D102
        self, request: pb.ListChangesRequest, call: Call
    ) -> pb.ListChangesResponse:
        del call
        name = parse_name(request.container, field="container")
        # Each is read with its text, which may have a mebibyte.
        size = min(paging.page_size(request.page_size), MAX_CHANGES)
        listed = f"{name}/changes"
        before = paging.read_number(listed, request.page_token, MAX_VERSION) or MAX_VERSION
        found = self._store.changes.page(name, before=before, limit=size + 1)
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
        found = self._store.changes.get(name, request.number)
        return pb.GetChangeResponse(change=messages.change(found))

    def DecideChange(  # noqa: N802, D102
        self, request: pb.DecideChangeRequest, call: Call
    ) -> pb.DecideChangeResponse:
        name = parse_name(request.container, field="container")
        found = self._store.changes.get(name, request.number)
        if found.approved is not None:
            raise ChangeDecidedError(name.text, found.number)
        method, inner = proposed(messages.change(found).proposal)
        if not RULES[method](inner).permissions <= call.granted:
            raise PermissionDeniedError
        if request.approve:
            if call.actor.identity == found.author_identity:
                raise SamePersonError(name.text)
            # Its etag is that of when it was proposed: it is made once.
            getattr(self, method)(inner, call._replace(proposed_by=found.author))
        decided = self._store.changes.decide(found, call.actor, approved=request.approve)
        return pb.DecideChangeResponse(change=messages.change(decided))

    def RecordFiles(  # noqa: N802, D102
        self, request: pb.RecordFilesRequest, call: Call
    ) -> pb.RecordFilesResponse:
        for entry in file_events.entries(request, call.actor):
            self._store.audit.record(entry)
        return pb.RecordFilesResponse()

    def ListAuditHeads(  # noqa: N802, D102
        self, request: pb.ListAuditHeadsRequest, call: Call
    ) -> pb.ListAuditHeadsResponse:
        del call
        if request.site:
            name = parse_name(request.site, field="site", kinds=frozenset({Kind.SITE}))
            head = self._store.audit.head(name.text)
            return pb.ListAuditHeadsResponse(heads=[messages.audit_head(head)])
        size = paging.page_size(request.page_size)
        after = paging.read_token("audit", request.page_token)
        found = self._store.audit.heads(after=after or None, limit=size + 1)
        page, token = paging.cut(found, size, "audit", lambda each: each.site)
        return pb.ListAuditHeadsResponse(
            heads=map(messages.audit_head, page), next_page_token=token
        )


def _display_name(container: pb.Container) -> str:
    """Raises InvalidContainerError for a text that people could not read on one line."""
    if len(container.display_name) > MAX_DISPLAY_NAME:
        raise InvalidContainerError(
            "container.display_name", f"must be at most {MAX_DISPLAY_NAME} characters."
        )
    if _CONTROL.search(container.display_name):
        raise InvalidContainerError(
            "container.display_name", "must not hold control characters, such as line ends."
        )
    return container.display_name


def _enforced(container: pb.Container, kind: Kind) -> bool | None:
    """Returns the switch of a site, by default on; None for anything else."""
    value = container.enforcement
    if kind is not Kind.SITE:
        if value != pb.ENFORCEMENT_UNSPECIFIED:
            raise InvalidContainerError("container.enforcement", "can be set on a site only.")
        return None
    if value not in pb.Enforcement.values():
        raise InvalidContainerError("container.enforcement", "must be a value of Enforcement.")
    return value != pb.ENFORCEMENT_DISABLED


def _paths(request: pb.UpdateContainerRequest, kind: Kind) -> frozenset[str]:
    """Returns which fields to change: those of the mask, or without one those that are set."""
    given = request.container
    if not request.update_mask.paths:
        return frozenset(path for path in CHANGEABLE if getattr(given, path))
    paths = frozenset(request.update_mask.paths)
    if not paths <= CHANGEABLE:
        raise InvalidUpdateMaskError("update_mask", f"may name {', '.join(sorted(CHANGEABLE))}.")
    for path in _OF_SITES & paths if kind is not Kind.SITE else ():
        raise InvalidContainerError(f"container.{path}", "can be set on a site only.")
    if "profile_locked" in paths and kind not in PARENTS:
        raise InvalidContainerError("container.profile_locked", _LOCK_RULE)
    return paths


def _locked(container: pb.Container, kind: Kind) -> bool:
    """Returns the lock of a site or a group; nothing else can have one."""
    if container.profile_locked and kind not in PARENTS:
        raise InvalidContainerError("container.profile_locked", _LOCK_RULE)
    return container.profile_locked


def _file_audit(container: pb.Container, kind: Kind) -> FileAudit | None:
    """Returns what a site wants told of files, by default what can be; None for anything else."""
    value = container.file_audit
    if kind is not Kind.SITE:
        if value != pb.FILE_AUDIT_UNSPECIFIED:
            raise InvalidContainerError("container.file_audit", "can be set on a site only.")
        return None
    wanted = {number: found for found, number in messages.FILE_AUDITS.items() if found}
    if value and value not in wanted:
        raise InvalidContainerError("container.file_audit", "must be a value of FileAudit.")
    return wanted.get(value, FileAudit.RECORDED)


def _approval(container: pb.Container, kind: Kind) -> bool:
    """Returns whether a site wants changes approved; nothing else can."""
    if container.approval_required and kind is not Kind.SITE:
        raise InvalidContainerError("container.approval_required", "can be set on a site only.")
    return container.approval_required


def _note(note: str) -> str:
    """Raises InvalidNoteError for a text that people could not read."""
    if len(note) > MAX_NOTE or _CONTROL.search(note.replace("\n", "")):
        raise InvalidNoteError(
            "note", f"must be at most {MAX_NOTE} characters, without control characters."
        )
    return note


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
