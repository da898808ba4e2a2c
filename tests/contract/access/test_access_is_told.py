"""What the audit says of access: who was given what, and who was not let."""

from __future__ import annotations

import json

from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from tests.contract.access.conftest import OTHER_SITE, SITE, Gateway, principal
from tests.support.audit import told, troubles
from tests.support.callers import channel
from tests.support.environment import ADMIN_KEY
from tests.support.refusals import refused


def test_changes_of_access(gateway: Gateway) -> None:
    """Keys, roles and bindings are told when they come, change and go, once each."""
    site, role = "sites/told", "sites/told/roles/readers"
    gateway.create(site)
    made = gateway.made_key(site, "viewer")
    gateway.set_role(role, "profiles.view")
    gateway.set_role(role, "profiles.view", "containers.view")
    for _ in range(2):
        gateway.grant("user:jo", role, site)
    gateway.revoke("user:jo", role, site)
    gateway.access().DeleteRole(access_pb.DeleteRoleRequest(name=role))
    for _ in range(2):
        gateway.access().RevokeApiKey(access_pb.RevokeApiKeyRequest(name=made.api_key.name))

    events = [json.loads(event.event) for event in told(gateway.profiles(), site)[1:]]

    name = made.api_key.name
    binding = {"principal": "user:jo", "role": role}
    one, two = {"permissions": "profiles.view"}, {"permissions": "containers.view profiles.view"}
    assert [
        (each["action"], each["resource"], each.get("before"), each.get("after")) for each in events
    ] == [
        ("role.grant", site, None, {"principal": principal(made.secret), "role": "viewer"}),
        ("key.create", name, None, {"display_name": ""}),
        ("role.set", role, None, one),
        ("role.set", role, one, two),
        ("role.grant", site, None, binding),
        ("role.revoke", site, binding, None),
        ("role.delete", role, two, None),
        ("key.revoke", name, {"display_name": ""}, None),
    ]
    assert {each["actor"]["key"] for each in events} == {"a" * 12}
    assert troubles(gateway.profiles()) == {}


def test_denials(gateway: Gateway) -> None:
    """A call that is denied is told, with who tried it, where, and which call it was."""
    key = gateway.new_key(SITE, "viewer")
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        gateway.profiles(key).DeleteContainer(pb.DeleteContainerRequest(name=OTHER_SITE))
    with refused("PERMISSION_DENIED", "PERMISSION_DENIED"):
        gateway.grant("user:jo", "viewer", OTHER_SITE, by=key)

    events = told(gateway.profiles(), OTHER_SITE, action="call")

    assert [json.loads(event.event)["after"]["method"] for event in events] == [
        "DeleteContainer",
        "GrantRole",
    ]
    for event in events:
        assert event.denied_reason == "PERMISSION_DENIED"
        assert (event.credential, event.key_id) == ("api-key", key.split("_")[1])
        assert event.resource == OTHER_SITE
    secrets = [one.split("_")[2] for one in (key, ADMIN_KEY)]
    assert not any(secret in str(events) for secret in secrets)


def test_nobody_is_told_for_another(gateway: Gateway) -> None:
    """Who shows the credential of another beside their own, or alone, is not taken for them."""
    victim, admin = gateway.new_key(SITE, "site-admin"), gateway.new_key(SITE, "site-admin")
    service = gateway.new_key(SITE, "viewer")
    named = (("caller-authorization", f"Bearer {victim[:-1]}x"),)
    change = pb.UpdateContainerRequest(container=pb.Container(name=SITE, display_name="x"))
    resolve = pb.ResolveProfileRequest(target=f"{SITE}/devices/d")
    before = len(told(gateway.profiles(), SITE))

    with refused("UNAUTHENTICATED", "UNAUTHENTICATED"):
        gateway.profiles(admin).UpdateContainer(change, metadata=named)
    with (
        channel(gateway.address, key="") as opened,
        refused("PERMISSION_DENIED", "SERVICE_REFUSED"),
    ):
        ProfileServiceStub(opened).ResolveProfile(resolve, metadata=named)
    with refused("PERMISSION_DENIED", "SERVICE_REFUSED"):
        gateway.profiles(service).ResolveProfile(resolve, metadata=named)

    (event,) = told(gateway.profiles(), SITE)[before:]
    assert (event.action, event.key_id) == ("call", service.split("_")[1])
