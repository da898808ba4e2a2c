"""`deidcascade container list --tree`: what is in force where, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deidcascade.v1 import profile_service_pb2 as pb
from rich.text import Text
from rich.tree import Tree

from deid_service.cli.console import enum_word, printable
from deid_service.contract.rpc_errors import verdicts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub


def is_target(name: str) -> bool:
    """Tells whether a name is that of a project or a device, which files are uploaded to."""
    return name.split("/")[-2] in {"projects", "devices"}


def tree_of(
    stub: ProfileServiceStub, parent: str, children: Callable[[str], Iterator[pb.Container]]
) -> Tree:
    """Returns the containers below one, with what happens to files at each target.

    Args:
        stub: ProfileService.
        parent: a site or a group; empty for all sites.
        children: gives the direct children of a container.
    """
    tree = Tree(Text(printable(parent or "all sites"), style="bold"), guide_style="dim")
    _grow(stub, tree, parent, children)
    return tree


def _grow(
    stub: ProfileServiceStub,
    tree: Tree,
    parent: str,
    children: Callable[[str], Iterator[pb.Container]],
) -> None:
    for child in children(parent):
        label = Text(printable(child.name.removeprefix(f"{parent}/")))
        if child.display_name:
            label.append(f"  {printable(child.display_name)}", style="dim")
        if child.enforcement == pb.ENFORCEMENT_DISABLED:
            label.append("  enforcement is disabled: bytes pass unchanged", style="red")
        if child.profile_locked:
            label.append("  locked: its profile holds for all below", style="yellow")
        if is_target(child.name):
            label.append_text(Text("  ").append_text(in_force(stub, child.name)))
            tree.add(label)
        else:
            _grow(stub, tree.add(label), child.name, children)


def in_force(stub: ProfileServiceStub, target: str) -> Text:
    """Returns what happens to a file that is uploaded to a target, and why."""
    answer = stub.ResolveProfile(pb.ResolveProfileRequest(target=target))
    invalid = [
        f"{verdict.container} has an invalid one (version {verdict.version})"
        for verdict in verdicts_of(pb.CascadeVerdicts(levels=answer.levels))
        if verdict.verdict == "INVALID"
    ]
    because = f"; {', '.join(invalid)}" if invalid else ""
    match answer.outcome:
        case pb.OUTCOME_PROFILE:
            profile = answer.profile
            level = profile.name.removesuffix("/profile")
            whose = "its own profile" if level == target else f"the profile of {level}"
            text = f"{whose}, version {profile.version}"
            if profile.blank:
                return Text(f"unchanged: {text}, is blank{because}", style="yellow")
            return Text(f"{text}{because}", style="green" if not invalid else "yellow")
        case pb.OUTCOME_DISABLED:
            return Text("unchanged: enforcement is disabled", style="red")
        case pb.OUTCOME_NO_VALID_PROFILE:
            return Text(f"rejected: no level has a valid profile{because}", style="red")
        case other:
            return Text(enum_word(pb.Outcome, other), style="red")
