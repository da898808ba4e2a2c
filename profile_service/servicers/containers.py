"""Containers: sites, groups, projects and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb

from profile_service import messages, paging
from profile_service.errors import InvalidContainerError, InvalidUpdateMaskError
from profile_service.hierarchy import PARENTS, Kind, parse_name
from profile_service.model import FileAudit
from profile_service.servicers.texts import CONTROL

if TYPE_CHECKING:
    from profile_service.guard import Call
    from profile_service.store.containers import ContainerStore

MAX_DISPLAY_NAME = 200

CHANGEABLE = frozenset(
    {"display_name", "enforcement", "profile_locked", "file_audit", "approval_required"}
)
_OF_SITES = frozenset({"enforcement", "file_audit", "approval_required"})
_LOCK_RULE = "can be set on a site or a group only: nothing is below the others."


class ContainerCalls:
    """The calls about containers."""

    def __init__(self, store: ContainerStore) -> None:
        self._store = store

    def CreateContainer(  # noqa: N802, D102
        self, request: pb.CreateContainerRequest, call: Call
    ) -> pb.CreateContainerResponse:
        name = parse_name(request.container.name, field="container.name")
        created = self._store.create(
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
        found = self._store.get(parse_name(request.name, field="name"))
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
        found = self._store.page(parent, after=after, limit=size + 1)
        page, token = paging.cut(found, size, request.parent, lambda each: each.name)
        return pb.ListContainersResponse(
            containers=map(messages.container, page), next_page_token=token
        )

    def UpdateContainer(  # noqa: N802, D102
        self, request: pb.UpdateContainerRequest, call: Call
    ) -> pb.UpdateContainerResponse:
        name = parse_name(request.container.name, field="container.name")
        paths = changed_paths(request, name.kind)
        updated = self._store.update(
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
        self._store.delete(name, etag=request.etag, actor=call.actor)
        return pb.DeleteContainerResponse()


def changed_paths(request: pb.UpdateContainerRequest, kind: Kind) -> frozenset[str]:
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


def _display_name(container: pb.Container) -> str:
    """Raises InvalidContainerError for a text that people could not read on one line."""
    if len(container.display_name) > MAX_DISPLAY_NAME:
        raise InvalidContainerError(
            "container.display_name", f"must be at most {MAX_DISPLAY_NAME} characters."
        )
    if CONTROL.search(container.display_name):
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
