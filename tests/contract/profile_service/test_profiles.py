"""Profiles: validated, set, read, listed, cleared and resolved over a real channel."""

from __future__ import annotations

import hashlib

import grpc
import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from profile_service.language import VALIDATOR_VERSION
from tests.contract.profile_service.conftest import DEVICE, GROUP, PROJECT, SITE
from tests.support import callers
from tests.support.refusals import refused
from tests.support.services import running_profile_service

VALID = "dicom:\n  fields:\n  - name: PatientName\n    remove: true\n"
OTHER = VALID + "  - name: PatientID\n    hash: true\n"
INVALID = OTHER.replace("PatientName", "PatientNme").replace("hash", "hsh")
HARMLESS = "dicom:\n  fields:\n  - regex: .*Patient\n    replace-with: ''\n"
BLANK = "dicom:\n  fields: []\n"

MIB = 1 << 20


def set_profile(
    service: ProfileServiceStub,
    source: str,
    container: str = PROJECT,
    *,
    allow_invalid: bool = False,
    etag: str = "",
) -> pb.Profile:
    """Attaches a profile."""
    request = pb.SetProfileRequest(
        container=container, source=source, allow_invalid=allow_invalid, etag=etag
    )
    return service.SetProfile(request).profile


def get_profile(service: ProfileServiceStub, version: int = 0) -> pb.Profile:
    """Reads a profile of the project."""
    request = pb.GetProfileRequest(container=PROJECT, version=version)
    return service.GetProfile(request).profile


def clear_profile(service: ProfileServiceStub, container: str = PROJECT, etag: str = "") -> None:
    """Detaches a profile."""
    service.ClearProfile(pb.ClearProfileRequest(container=container, etag=etag))


def resolve(
    service: ProfileServiceStub, target: str = PROJECT, *known: str
) -> pb.ResolveProfileResponse:
    """Asks which profile applies."""
    return service.ResolveProfile(pb.ResolveProfileRequest(target=target, known_sha256=known))


def resolved(stored: pb.Profile) -> pb.Profile:
    """Returns a version as a resolution has it, which does not say who set it."""
    told = pb.Profile()
    told.CopyFrom(stored)
    told.ClearField("author")
    return told


def verdicts(response: pb.ResolveProfileResponse) -> list[tuple[str, str]]:
    """Returns the levels and what was made of them."""
    return [
        (level.container, pb.Verdict.Name(level.verdict).removeprefix("VERDICT_"))
        for level in response.levels
    ]


# --- ValidateProfile --------------------------------------------------------------------


def test_validation_of_a_valid_profile(profile_service: ProfileServiceStub) -> None:
    """A valid profile has no violations, a harmless one no warnings; it is said who decided."""
    answer = profile_service.ValidateProfile(pb.ValidateProfileRequest(source=HARMLESS))
    assert answer == pb.ValidateProfileResponse(
        validity=pb.VALIDITY_VALID, validator_version=VALIDATOR_VERSION
    )


def test_validation_gives_every_violation(profile_service: ProfileServiceStub) -> None:
    """An invalid profile is an answer with all its violations, each with its place."""
    answer = profile_service.ValidateProfile(pb.ValidateProfileRequest(source=INVALID))
    assert answer.validity == pb.VALIDITY_INVALID
    assert [(each.path, each.line, each.column) for each in answer.violations] == [
        ("dicom.fields[0].name", 3, 11),
        ("dicom.fields[1].hsh", 6, 5),
    ]
    assert answer.violations[0].code == "UNKNOWN_KEYWORD"
    assert answer.violations[0].suggestion == "PatientName"
    assert all(each.message for each in answer.violations)


@pytest.mark.parametrize(
    ("container", "codes"),
    [
        ("", []),
        (PROJECT, []),
        (DEVICE, []),
        (GROUP, ["BLANK_PROFILE_HERE"]),
        (SITE, ["BLANK_PROFILE_HERE"]),
    ],
)
def test_validation_knows_the_rules_of_the_level(
    profile_service: ProfileServiceStub, container: str, codes: list[str]
) -> None:
    """A blank profile is checked for where it would stand, which need not exist."""
    request = pb.ValidateProfileRequest(source=BLANK, container=container)
    answer = profile_service.ValidateProfile(request)
    assert [each.code for each in answer.violations] == codes
    assert answer.blank
    assert answer.validity == (pb.VALIDITY_INVALID if codes else pb.VALIDITY_VALID)


def test_validation_of_a_malformed_container(profile_service: ProfileServiceStub) -> None:
    """A container that is no name is refused."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        profile_service.ValidateProfile(pb.ValidateProfileRequest(source=VALID, container="x"))
    assert refusal.fields == ["container"]


# --- SetProfile, GetProfile -------------------------------------------------------------


@pytest.mark.parametrize("container", [SITE, GROUP, PROJECT, DEVICE])
def test_a_profile_is_stored_as_it_was_set(hierarchy: ProfileServiceStub, container: str) -> None:
    """Text, digest, version and verdict are what was set, on every kind of container."""
    source = "# \u5f20\r\n" + VALID
    stored = set_profile(hierarchy, source, container)
    assert stored.name == f"{container}/profile"
    assert stored.version == 1
    assert stored.source == source
    assert stored.sha256 == hashlib.sha256(source.encode()).hexdigest()
    assert (stored.validity, stored.blank) == (pb.VALIDITY_VALID, False)
    assert stored.validator_version == VALIDATOR_VERSION
    read = hierarchy.GetProfile(pb.GetProfileRequest(container=container)).profile
    assert read == stored


def test_each_text_is_a_version(hierarchy: ProfileServiceStub) -> None:
    """A new text is the next version; older ones stay as they were."""
    first = set_profile(hierarchy, VALID)
    second = set_profile(hierarchy, OTHER)
    assert (first.version, second.version) == (1, 2)
    assert get_profile(hierarchy) == second
    assert get_profile(hierarchy, version=1).source == VALID
    assert get_profile(hierarchy, version=2) == second


def test_the_text_that_is_current_makes_no_version(hierarchy: ProfileServiceStub) -> None:
    """Setting the same text again changes nothing; an earlier one is a version again."""
    first = set_profile(hierarchy, VALID)
    assert set_profile(hierarchy, VALID) == first
    assert set_profile(hierarchy, VALID, etag=first.etag) == first
    set_profile(hierarchy, OTHER)
    assert set_profile(hierarchy, VALID).version == 3


def test_an_invalid_profile_is_refused_with_every_violation(
    hierarchy: ProfileServiceStub,
) -> None:
    """Its author reads every violation in the status; what was attached stays."""
    before = set_profile(hierarchy, VALID)
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID") as refusal:
        set_profile(hierarchy, INVALID)
    assert refusal.names == {"container": PROJECT}
    assert "line 3, column 11  dicom.fields[0].name  UNKNOWN_KEYWORD\n" in refusal.message
    assert "Did you mean 'PatientName'?" in refusal.message
    assert "line 6, column 5  dicom.fields[1].hsh" in refusal.message
    detail = pb.ProfileViolations()
    assert any(each.Unpack(detail) for each in refusal.details)
    assert [each.line for each in detail.violations] == [3, 6]
    assert get_profile(hierarchy) == before


@pytest.mark.parametrize("container", [SITE, GROUP])
def test_a_blank_profile_is_refused_above_projects(
    hierarchy: ProfileServiceStub, container: str
) -> None:
    """On a site or a group it would switch de-identification off for all below."""
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID") as refusal:
        set_profile(hierarchy, BLANK, container)
    assert "BLANK_PROFILE_HERE" in refusal.message


def test_an_invalid_profile_can_be_stored_as_invalid(hierarchy: ProfileServiceStub) -> None:
    """With allow_invalid it is stored with its violations, and without it still refused."""
    stored = set_profile(hierarchy, INVALID, allow_invalid=True)
    assert stored.validity == pb.VALIDITY_INVALID
    assert [each.line for each in stored.violations] == [3, 6]
    assert get_profile(hierarchy) == stored
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID"):
        set_profile(hierarchy, INVALID)


@pytest.mark.parametrize("source", ["", "\0", "a: \ufffe", 'dicom: {"\\0": "\\ud800"}', "{" * 3000])
def test_any_text_can_be_stored_as_invalid(hierarchy: ProfileServiceStub, source: str) -> None:
    """A text that no YAML reader takes comes back as it was, with what is wrong."""
    stored = set_profile(hierarchy, source, allow_invalid=True)
    assert (stored.source, stored.validity) == (source, pb.VALIDITY_INVALID)
    assert get_profile(hierarchy) == stored
    assert resolve(hierarchy).levels[0].violations == stored.violations


def test_a_profile_may_have_a_mebibyte(hierarchy: ProfileServiceStub) -> None:
    """1 MiB of UTF-8 is accepted, and resolved."""
    source = VALID + "#"
    source += "x" * (MIB - len(source))
    assert set_profile(hierarchy, source).validity == pb.VALIDITY_VALID
    assert resolve(hierarchy).profile.source == source


@pytest.mark.parametrize("allow_invalid", [False, True])
def test_a_larger_profile_is_refused(hierarchy: ProfileServiceStub, *, allow_invalid: bool) -> None:
    """A byte more is refused as a violation, also where invalid profiles are allowed."""
    source = VALID + "#" + "\u00e9" * ((MIB - len(VALID)) // 2 + 1)
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID") as refusal:
        set_profile(hierarchy, source, allow_invalid=allow_invalid)
    assert "TOO_LARGE" in refusal.message


def test_a_much_larger_message_is_refused_by_grpc(hierarchy: ProfileServiceStub) -> None:
    """What no profile could be is not even read."""
    with pytest.raises(grpc.RpcError) as caught:
        set_profile(hierarchy, "x" * 3 * MIB)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_old_etag_replaces_and_clears_nothing(hierarchy: ProfileServiceStub) -> None:
    """With an etag, only the profile that its holder has seen is replaced or cleared."""
    old = set_profile(hierarchy, VALID).etag
    current = set_profile(hierarchy, OTHER, etag=old)
    for etag in (old, "made up"):
        with refused("ABORTED", "ETAG_MISMATCH") as refusal:
            set_profile(hierarchy, VALID, etag=etag)
        assert refusal.names == {"container": f"{PROJECT}/profile"}
        with refused("ABORTED", "ETAG_MISMATCH"):
            clear_profile(hierarchy, etag=etag)
    assert get_profile(hierarchy) == current
    clear_profile(hierarchy, etag=current.etag)


def test_a_container_made_anew_has_other_etags(hierarchy: ProfileServiceStub) -> None:
    """Whoever has seen the profile of a deleted container cannot replace that of the new."""
    old = set_profile(hierarchy, VALID, DEVICE)
    hierarchy.DeleteContainer(pb.DeleteContainerRequest(name=DEVICE))
    hierarchy.CreateContainer(pb.CreateContainerRequest(container=pb.Container(name=DEVICE)))
    new = set_profile(hierarchy, VALID, DEVICE)
    assert (new.version, new.sha256) == (old.version, old.sha256)
    assert new.etag != old.etag


def test_what_is_not_there_is_not_found(hierarchy: ProfileServiceStub) -> None:
    """A container, a profile and a version that are not there are told apart."""
    missing = "sites/s/groups/none"
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        set_profile(hierarchy, VALID, missing)
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        clear_profile(hierarchy, missing)
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        hierarchy.GetProfile(pb.GetProfileRequest(container=missing))
    with refused("NOT_FOUND", "CONTAINER_NOT_FOUND"):
        hierarchy.ListProfileVersions(pb.ListProfileVersionsRequest(container=missing))
    with refused("NOT_FOUND", "PROFILE_NOT_FOUND"):
        get_profile(hierarchy)
    with refused("NOT_FOUND", "PROFILE_NOT_FOUND"):
        clear_profile(hierarchy)
    for version in (1, 2**63 - 1):
        with refused("NOT_FOUND", "VERSION_NOT_FOUND"):
            get_profile(hierarchy, version)


def test_malformed_requests_about_profiles_are_refused(hierarchy: ProfileServiceStub) -> None:
    """No call about profiles takes what is no container, nor a negative version."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        set_profile(hierarchy, VALID, "sites/S")
    assert refusal.fields == ["container"]
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        clear_profile(hierarchy, "sites/S")
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        hierarchy.GetProfile(pb.GetProfileRequest(container="sites/s/profile"))
    with refused("INVALID_ARGUMENT", "INVALID_NAME"):
        hierarchy.ListProfileVersions(pb.ListProfileVersionsRequest(container=""))
    with refused("INVALID_ARGUMENT", "INVALID_VERSION") as refusal:
        get_profile(hierarchy, -1)
    assert refusal.fields == ["version"]


# --- ClearProfile, ListProfileVersions ---------------------------------------------------


def test_clearing_keeps_the_versions(hierarchy: ProfileServiceStub) -> None:
    """A cleared level is ABSENT; its versions stay, and counting goes on."""
    set_profile(hierarchy, VALID)
    clear_profile(hierarchy)
    assert verdicts(resolve(hierarchy))[0] == (PROJECT, "ABSENT")
    assert get_profile(hierarchy, version=1).source == VALID
    listed = hierarchy.ListProfileVersions(pb.ListProfileVersionsRequest(container=PROJECT))
    assert (listed.current_version, len(listed.profiles)) == (0, 1)
    assert set_profile(hierarchy, VALID).version == 2


@pytest.mark.parametrize("size", [1, 2, 5])
def test_versions_are_listed_newest_first(hierarchy: ProfileServiceStub, size: int) -> None:
    """Whatever the size of the pages, they hold every version once, without texts."""
    for number in range(5):
        set_profile(hierarchy, f"{INVALID}# {number}\n", allow_invalid=True)
    found: list[pb.Profile] = []
    token = ""
    while True:
        page = hierarchy.ListProfileVersions(
            pb.ListProfileVersionsRequest(container=PROJECT, page_size=size, page_token=token)
        )
        assert page.current_version == 5
        found += page.profiles
        token = page.next_page_token
        if not token:
            break
    assert [each.version for each in found] == [5, 4, 3, 2, 1]
    assert {each.source for each in found} == {""}
    assert {each.validity for each in found} == {pb.VALIDITY_INVALID}
    assert len({each.sha256 for each in found}) == 5


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_setting_bounds_the_versions_that_are_listed(database: str, size: int) -> None:
    """The newest are listed, on one page or more; the others are read by number and digest."""
    with (
        running_profile_service(database, listed_versions=2) as address,
        callers.channel(address) as channel,
    ):
        service = ProfileServiceStub(channel)
        create = pb.CreateContainerRequest(container=pb.Container(name=SITE))
        service.CreateContainer(create)
        texts = [f"{VALID}# {number}\n" for number in range(4)]
        made = [
            service.SetProfile(pb.SetProfileRequest(container=SITE, source=text)).profile
            for text in texts
        ]
        request = pb.ListProfileVersionsRequest(container=SITE, page_size=size)
        listed = [service.ListProfileVersions(request)]
        while token := listed[-1].next_page_token:
            request.page_token = token
            listed.append(service.ListProfileVersions(request))
        assert [each.version for page in listed for each in page.profiles] == [4, 3]
        assert {page.current_version for page in listed} == {4}
        for number, text in enumerate(texts, 1):
            by_number = pb.GetProfileRequest(container=SITE, version=number)
            by_digest = pb.GetProfileRequest(container=SITE, sha256=made[number - 1].sha256)
            assert service.GetProfile(by_number).profile.source == text
            assert service.GetProfile(by_digest).profile.source == text


def test_a_container_without_versions_lists_none(hierarchy: ProfileServiceStub) -> None:
    """An empty list is an answer."""
    request = pb.ListProfileVersionsRequest(container=SITE)
    assert hierarchy.ListProfileVersions(request) == pb.ListProfileVersionsResponse()


# --- ResolveProfile ----------------------------------------------------------------------


def test_the_project_comes_first(hierarchy: ProfileServiceStub) -> None:
    """With a profile everywhere, that of the project applies, and the others are not looked at."""
    for container in (SITE, GROUP):
        set_profile(hierarchy, OTHER, container)
    stored = set_profile(hierarchy, VALID)
    answer = resolve(hierarchy)
    assert answer.outcome == pb.OUTCOME_PROFILE
    assert answer.profile == resolved(stored)
    assert verdicts(answer) == [
        (PROJECT, "SELECTED"),
        (GROUP, "NOT_CONSULTED"),
        (SITE, "NOT_CONSULTED"),
    ]
    assert [level.version for level in answer.levels] == [1, 0, 0]


def test_levels_that_are_skipped_say_why(hierarchy: ProfileServiceStub) -> None:
    """An invalid project and an absent group are skipped, and the site applies."""
    bad = set_profile(hierarchy, INVALID, allow_invalid=True)
    stored = set_profile(hierarchy, VALID, SITE)
    answer = resolve(hierarchy)
    assert (answer.outcome, answer.profile) == (pb.OUTCOME_PROFILE, resolved(stored))
    assert verdicts(answer) == [(PROJECT, "INVALID"), (GROUP, "ABSENT"), (SITE, "SELECTED")]
    assert answer.levels[0].violations == bad.violations
    assert answer.levels[0].version == 1


def test_no_valid_profile_is_an_answer(hierarchy: ProfileServiceStub) -> None:
    """Nothing attached, or nothing valid: no profile, and the reasons."""
    set_profile(hierarchy, BLANK, GROUP, allow_invalid=True)
    answer = resolve(hierarchy)
    assert answer.outcome == pb.OUTCOME_NO_VALID_PROFILE
    assert not answer.HasField("profile")
    assert verdicts(answer) == [(PROJECT, "ABSENT"), (GROUP, "INVALID"), (SITE, "ABSENT")]
    assert [each.code for each in answer.levels[1].violations] == ["BLANK_PROFILE_HERE"]


def test_a_blank_profile_applies_to_its_project(hierarchy: ProfileServiceStub) -> None:
    """A blank project profile is selected, and says that it is blank."""
    set_profile(hierarchy, VALID, SITE)
    set_profile(hierarchy, BLANK)
    answer = resolve(hierarchy)
    assert (answer.outcome, answer.profile.blank) == (pb.OUTCOME_PROFILE, True)


def test_a_device_has_only_its_own(hierarchy: ProfileServiceStub) -> None:
    """The profiles of site and group do not apply to a device."""
    set_profile(hierarchy, VALID, SITE)
    answer = resolve(hierarchy, DEVICE)
    assert answer.outcome == pb.OUTCOME_NO_VALID_PROFILE
    assert verdicts(answer) == [(DEVICE, "ABSENT")]
    stored = set_profile(hierarchy, OTHER, DEVICE)
    answer = resolve(hierarchy, DEVICE)
    assert (answer.outcome, answer.profile) == (pb.OUTCOME_PROFILE, resolved(stored))
    assert verdicts(answer) == [(DEVICE, "SELECTED")]


def test_a_disabled_site_needs_no_profile(hierarchy: ProfileServiceStub) -> None:
    """With enforcement off, projects and devices go through, and nothing is consulted."""
    set_profile(hierarchy, VALID)
    site = pb.Container(name=SITE, enforcement=pb.ENFORCEMENT_DISABLED)
    hierarchy.UpdateContainer(pb.UpdateContainerRequest(container=site))
    for target, levels in ((PROJECT, [PROJECT, GROUP, SITE]), (DEVICE, [DEVICE])):
        answer = resolve(hierarchy, target)
        assert answer.outcome == pb.OUTCOME_DISABLED
        assert not answer.HasField("profile")
        assert verdicts(answer) == [(level, "NOT_CONSULTED") for level in levels]


@pytest.mark.parametrize(
    "target",
    ["sites/s/groups/g/projects/none", "sites/none/groups/g/projects/p", "sites/s/devices/none"],
)
def test_an_unknown_target_is_not_found(hierarchy: ProfileServiceStub, target: str) -> None:
    """What does not exist has no profile, not even that of its site."""
    set_profile(hierarchy, VALID, SITE)
    with refused("NOT_FOUND", "TARGET_NOT_FOUND") as refusal:
        resolve(hierarchy, target)
    assert refusal.names == {"target": target}


@pytest.mark.parametrize("target", ["", SITE, GROUP, "sites/s/groups/g/projects/P", "x"])
def test_only_projects_and_devices_are_targets(hierarchy: ProfileServiceStub, target: str) -> None:
    """Nothing is uploaded into a site or a group."""
    with refused("INVALID_ARGUMENT", "INVALID_NAME") as refusal:
        resolve(hierarchy, target)
    assert refusal.fields == ["target"]


def test_a_known_text_is_not_sent(hierarchy: ProfileServiceStub) -> None:
    """The caller says which texts it has; of others it gets the text as always."""
    stored = set_profile(hierarchy, VALID, GROUP)
    other = "0" * 64
    assert resolve(hierarchy, PROJECT, other).profile == resolved(stored)
    known = resolve(hierarchy, PROJECT, other, stored.sha256).profile
    assert (known.sha256, known.source) == (stored.sha256, "")


def test_a_digest_across_the_seam_of_two_is_not_known(hierarchy: ProfileServiceStub) -> None:
    """The text is sent unless its digest itself is among the known ones."""
    stored = set_profile(hierarchy, VALID)
    seam = ("00" + stored.sha256[:62], stored.sha256[62:] + "00" * 31)
    assert resolve(hierarchy, PROJECT, *seam).profile == resolved(stored)


@pytest.mark.parametrize(
    "known",
    [
        ["x"],
        [""],
        ["A" * 64],
        ["0" * 63],
        ["0" * 64] * 65,
        ["0" * 63, "0" * 65],
        ["0" * 64 + " " + "0" * 64],
        ["00 " + "0" * 61, "0" * 64],
        ["0" * 64, "\t" + "0" * 64],
        ["\u0660" * 64],
    ],
)
def test_what_is_no_digest_is_refused(hierarchy: ProfileServiceStub, known: list[str]) -> None:
    """Digests are lower case hex, and at most 64 of them."""
    with refused("INVALID_ARGUMENT", "INVALID_DIGEST") as refusal:
        resolve(hierarchy, PROJECT, *known)
    assert refusal.fields == ["known_sha256"]


def test_a_resolution_is_fresh(hierarchy: ProfileServiceStub) -> None:
    """What was set a moment ago applies at once."""
    for number in range(20):
        stored = set_profile(hierarchy, f"{VALID}# {number}\n")
        assert resolve(hierarchy).profile == resolved(stored)
