"""Containers: created, read, listed, changed and deleted over a real channel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from tests.contract.profile_service.conftest import DEVICE, GROUP, PROJECT, SITE
from tests.support.refusals import refused

if TYPE_CHECKING:
    from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub


def create(service: ProfileServiceStub, name: str, **fields: object) -> pb.Container:
    """Creates a container."""
    container = pb.Container(name=name, **fields)  # type: ignore[arg-type]
    return service.CreateContainer(pb.CreateContainerRequest(container=container)).container


def get(service: ProfileServiceStub, name: str) -> pb.Container:
    """Reads a container."""
    return service.GetContainer(pb.GetContainerRequest(name=name)).container


def update(
    service: ProfileServiceStub, *paths: str, name: str = SITE, **fields: object
) -> pb.Container:
    """Changes a container."""
    container = pb.Container(name=name, **fields)  # type: ignore[arg-type]
    request = pb.UpdateContainerRequest(container=container, update_mask=FieldMask(paths=paths))
    return service.UpdateContainer(request).container


def names(response: pb.ListContainersResponse) -> list[str]:
    """Returns the names of a page."""
    return [container.name for container in response.containers]


def test_a_container_is_returned_as_created(profile_service: ProfileServiceStub) -> None:
    """What was created is what is read, with times and an etag."""
    created = create(profile_service, SITE, display_name="Saint Elsewhere")
    assert created == get(profile_service, SITE)
    assert created.display_name == "Saint Elsewhere"
    assert created.etag
    made = created.create_time.ToDatetime(tzinfo=UTC)
    assert abs(datetime.now(tz=UTC) - made) < timedelta(minutes=1)
    assert created.update_time == created.create_time


def test_sites_are_enforced_by_default(hierarchy: ProfileServiceStub) -> None:
    """Without a word about it a site enforces de-identification; others have no switch."""
    switches = [get(hierarchy, name).enforcement for name in (SITE, GROUP, PROJECT, DEVICE)]
    assert switches == [pb.ENFORCEMENT_ENFORCED] + 3 * [pb.ENFORCEMENT_UNSPECIFIED]


def test_a_site_can_be_created_disabled(profile_service: ProfileServiceStub) -> None:
    """The switch can be given on creation."""
    create(profile_service, SITE, enforcement=pb.ENFORCEMENT_DISABLED)
    assert get(profile_service, SITE).enforcement == pb.ENFORCEMENT_DISABLED


@pytest.mark.parametrize("name", ["", "sites/S", "sites/s/../t", "projects/p", "sites/s/profile"])
def test_malformed_names_are_refused(profile_service: ProfileServiceStub, name: str) -> None:
    """What is no name is INVALID_NAME in every call, with the field at fault."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        create(profile_service, name)
    assert refusal.fields == ["container.name"]
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        get(profile_service, name)
    assert refusal.fields == ["name"]
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        update(profile_service, name=name, display_name="x")
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        profile_service.DeleteContainer(pb.DeleteContainerRequest(name=name))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": SITE, "display_name": "x" * 201}, "container.display_name"),
        ({"name": SITE, "display_name": "two\nlines"}, "container.display_name"),
        ({"name": SITE, "display_name": "nul\0"}, "container.display_name"),
        ({"name": SITE, "enforcement": 9}, "container.enforcement"),
        ({"name": GROUP, "enforcement": pb.ENFORCEMENT_ENFORCED}, "container.enforcement"),
        ({"name": DEVICE, "enforcement": pb.ENFORCEMENT_DISABLED}, "container.enforcement"),
    ],
)
def test_impossible_containers_are_refused(
    profile_service: ProfileServiceStub, fields: dict[str, str], field: str
) -> None:
    """Display names have a length and no control characters; only sites have a switch."""
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER") as refusal:
        create(profile_service, **fields)
    assert refusal.fields == [field]


def test_two_hundred_characters_make_a_display_name(profile_service: ProfileServiceStub) -> None:
    """Characters are counted, not bytes."""
    assert create(profile_service, SITE, display_name="\u5f20" * 200).display_name == "\u5f20" * 200


@pytest.mark.parametrize(("name", "parent"), [(GROUP, SITE), (DEVICE, SITE), (PROJECT, GROUP)])
def test_the_parent_must_exist(profile_service: ProfileServiceStub, name: str, parent: str) -> None:
    """Nothing is created below what does not exist."""
    with refused("NOT_FOUND", "PARENT_NOT_FOUND") as refusal:
        create(profile_service, name)
    assert refusal.names == {"container": name, "parent": parent}


@pytest.mark.parametrize("name", [SITE, GROUP, PROJECT, DEVICE])
def test_a_name_is_taken_once(hierarchy: ProfileServiceStub, name: str) -> None:
    """What exists is not created again, nor changed by the attempt."""
    before = get(hierarchy, name)
    with refused("ALREADY_EXISTS", "CONTAINER_ALREADY_EXISTS") as refusal:
        create(hierarchy, name, display_name="another")
    assert refusal.names == {"container": name}
    assert get(hierarchy, name) == before


def test_what_does_not_exist_is_not_found(profile_service: ProfileServiceStub) -> None:
    """Reading, listing, changing and deleting what is not there is NOT_FOUND."""
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND") as refusal:
        get(profile_service, PROJECT)
    assert refusal.names == {"container": PROJECT}
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        profile_service.ListContainers(pb.ListContainersRequest(parent=SITE))
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        update(profile_service, display_name="x")
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        profile_service.DeleteContainer(pb.DeleteContainerRequest(name=SITE))


def test_children_are_listed_in_the_order_of_their_names(hierarchy: ProfileServiceStub) -> None:
    """A site lists its devices and groups, a group its projects, and nothing the sites."""
    create(hierarchy, "sites/s-2")
    create(hierarchy, "sites/s/groups/a")
    create(hierarchy, "sites/s/groups/g/projects/p.1")
    listed = {
        parent: names(hierarchy.ListContainers(pb.ListContainersRequest(parent=parent)))
        for parent in ("", SITE, GROUP, "sites/s/groups/a")
    }
    assert listed == {
        "": ["sites/s", "sites/s-2"],
        SITE: [DEVICE, "sites/s/groups/a", GROUP],
        GROUP: [PROJECT, "sites/s/groups/g/projects/p.1"],
        "sites/s/groups/a": [],
    }


@pytest.mark.parametrize("parent", ["", SITE])
@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_pages_hold_everything_once(hierarchy: ProfileServiceStub, parent: str, size: int) -> None:
    """Whatever the size of the pages, together they are the list; the last has no token."""
    prefix = "sites/" if parent == "" else f"{SITE}/groups/"
    for number in range(4):
        create(hierarchy, f"{prefix}n{number}")
    whole = names(hierarchy.ListContainers(pb.ListContainersRequest(parent=parent)))
    pages, token = [], ""
    while True:
        response = hierarchy.ListContainers(
            pb.ListContainersRequest(parent=parent, page_size=size, page_token=token)
        )
        pages.append(names(response))
        token = response.next_page_token
        if not token:
            break
    assert [name for page in pages for name in page] == whole
    assert {len(page) for page in pages[:-1]} <= {size}
    assert pages[-1]


def test_page_sizes_are_bounded(hierarchy: ProfileServiceStub) -> None:
    """A negative page is refused in both lists, and one that is too large is the largest."""
    with refused("INVALID_ARGUMENT", "INVALID_PAGE_SIZE") as refusal:
        hierarchy.ListContainers(pb.ListContainersRequest(page_size=-1))
    assert refusal.fields == ["page_size"]
    with refused("INVALID_ARGUMENT", "INVALID_PAGE_SIZE"):
        hierarchy.ListProfileVersions(pb.ListProfileVersionsRequest(container=SITE, page_size=-1))
    largest = hierarchy.ListContainers(pb.ListContainersRequest(page_size=2**31 - 1))
    assert names(largest) == [SITE]


def test_a_page_token_belongs_to_its_list(hierarchy: ProfileServiceStub) -> None:
    """A token that is made up, or of another list, is refused."""
    create(hierarchy, "sites/t")
    token = hierarchy.ListContainers(pb.ListContainersRequest(page_size=1)).next_page_token
    for wrong in (token + "x", "AAAA", "\u5f20"):
        with refused("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"):
            hierarchy.ListContainers(pb.ListContainersRequest(page_token=wrong))
    with refused("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"):
        hierarchy.ListContainers(pb.ListContainersRequest(parent=SITE, page_token=token))
    with refused("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"):
        hierarchy.ListProfileVersions(
            pb.ListProfileVersionsRequest(container=SITE, page_token=token)
        )


@pytest.mark.parametrize("parent", [PROJECT, DEVICE])
def test_projects_and_devices_have_no_children(hierarchy: ProfileServiceStub, parent: str) -> None:
    """Only sites and groups can be listed."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        hierarchy.ListContainers(pb.ListContainersRequest(parent=parent))
    assert refusal.fields == ["parent"]


def test_the_mask_says_what_changes(hierarchy: ProfileServiceStub) -> None:
    """Only what the mask names changes; a named field that is not set gets its default."""
    update(
        hierarchy,
        "display_name",
        "enforcement",
        display_name="one",
        enforcement=pb.ENFORCEMENT_DISABLED,
    )
    changed = update(hierarchy, "display_name", enforcement=pb.ENFORCEMENT_ENFORCED)
    assert (changed.display_name, changed.enforcement) == ("", pb.ENFORCEMENT_DISABLED)
    changed = update(hierarchy, "enforcement", display_name="two")
    assert (changed.display_name, changed.enforcement) == ("", pb.ENFORCEMENT_ENFORCED)


def test_without_a_mask_what_is_set_changes(hierarchy: ProfileServiceStub) -> None:
    """An empty mask changes the fields that have a value, and no others."""
    update(hierarchy, display_name="one")
    changed = update(hierarchy, enforcement=pb.ENFORCEMENT_DISABLED)
    assert (changed.display_name, changed.enforcement) == ("one", pb.ENFORCEMENT_DISABLED)
    assert changed == get(hierarchy, SITE)


def test_a_change_has_a_new_etag_and_time(hierarchy: ProfileServiceStub) -> None:
    """A change shows in etag and update time; one that changes nothing does not."""
    before = get(hierarchy, GROUP)
    changed = update(hierarchy, name=GROUP, display_name="one")
    assert changed.etag != before.etag
    assert changed.update_time.ToDatetime() > before.update_time.ToDatetime()
    assert changed.create_time == before.create_time
    assert update(hierarchy, name=GROUP, display_name="one") == changed


@pytest.mark.parametrize("path", ["name", "create_time", "etag", "*", ""])
def test_other_fields_cannot_be_changed(hierarchy: ProfileServiceStub, path: str) -> None:
    """A mask names the two fields that can be changed, and nothing else."""
    with refused("INVALID_ARGUMENT", "INVALID_UPDATE_MASK") as refusal:
        update(hierarchy, "display_name", path)
    assert refusal.fields == ["update_mask"]


@pytest.mark.parametrize("name", [GROUP, PROJECT, DEVICE])
def test_only_sites_have_a_switch_to_change(hierarchy: ProfileServiceStub, name: str) -> None:
    """The switch of anything else is refused, also when only the mask names it."""
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER"):
        update(hierarchy, name=name, enforcement=pb.ENFORCEMENT_ENFORCED)
    with refused("INVALID_ARGUMENT", "INVALID_CONTAINER"):
        update(hierarchy, "enforcement", name=name)


def test_an_old_etag_changes_and_deletes_nothing(hierarchy: ProfileServiceStub) -> None:
    """With an etag, only what its holder has seen is changed or deleted."""
    old = get(hierarchy, DEVICE).etag
    new = update(hierarchy, name=DEVICE, display_name="one", etag=old).etag
    for etag in (old, "made up", get(hierarchy, SITE).etag):
        with refused("ABORTED", "ETAG_MISMATCH") as refusal:
            update(hierarchy, name=DEVICE, display_name="two", etag=etag)
        assert refusal.names == {"container": DEVICE}
        with refused("ABORTED", "ETAG_MISMATCH"):
            hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=DEVICE, etag=etag))
    assert get(hierarchy, DEVICE).display_name == "one"
    hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=DEVICE, etag=new))


def test_containers_are_deleted_from_below(hierarchy: ProfileServiceStub) -> None:
    """What has children stays; without them it goes, and its name is free."""
    for name in (SITE, GROUP):
        with refused("FAILED_PRECONDITION", "CONTAINER_NOT_EMPTY") as refusal:
            hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=name))
        assert refusal.names == {"container": name}
    old = get(hierarchy, SITE)
    for name in (PROJECT, GROUP, DEVICE, SITE):
        hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=name))
        with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
            get(hierarchy, name)
    assert create(hierarchy, SITE).etag != old.etag
