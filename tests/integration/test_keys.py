"""Keys of sites, from the database to the files: who has them, and who has not."""

from __future__ import annotations

import hashlib
import hmac
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import access_service_pb2 as access_pb
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1.access_service_pb2_grpc import AccessServiceStub
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub

from deid_service.contract.rpc_errors import read_details
from deid_service.embedded import programs
from profile_service.keys.delivery import ServiceKey
from profile_service.keys.errors import DeliveryError
from profile_service.keys.files import read_secret, write_secret, written
from profile_service.keys.sealing import MasterKey
from tests.support import callers
from tests.support.attacker import (
    TAIL,
    dumped,
    guesses,
    keyed_way,
    keys_of,
    linked,
    pieces,
    plain_ways,
    plunder,
    unlocks,
    with_master_key,
)
from tests.support.deid_service import (
    Caller,
    ct,
    failure_of,
    opened,
    running_deid_service,
    whole_file,
)
from tests.support.engine.build import dicom, el
from tests.support.environment import SERVICE_KEY, SERVICE_KEY_FILE
from tests.support.processes import service_process
from tests.support.refusals import refused
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deidcascade.v1 import deid_service_pb2 as deid_pb

    from tests.support.databases import Databases

SITES = ("a", "b")
PROJECTS = ("1", "2")


def profile(scope: str, generation: str = "") -> str:
    """Returns a profile that makes pseudonyms within a scope."""
    named = f", generation: {generation}" if generation else ""
    return f"""\
dicom:
  pseudonyms: {{scope: {scope}, shift-days: [-3650, -30]{named}}}
  fields:
    - {{name: PatientID, keyed-hash: true}}
    - {{name: PatientName, pseudonym: true}}
    - {{name: StudyDate, keyed-shift: true}}
    - {{name: StudyInstanceUID, keyed-uid: true}}
"""


def project(site: str = "a", group: str = "g", name: str = "1") -> str:
    """Returns the name of a project."""
    return f"sites/{site}/groups/{group}/projects/{name}"


def of_patient(number: str) -> bytes:
    """Returns a file of a patient."""
    return dicom(
        el("SOPInstanceUID", "1.2.3"),
        el("StudyDate", "20200601"),
        el("PatientName", "DOE^JANE"),
        el("PatientID", number),
        el("StudyInstanceUID", "1.2.4"),
    )


@dataclass(frozen=True)
class Made:
    """What became of a file."""

    patient: str
    date: str
    uid: str
    key_id: str
    receipt: deid_pb.Receipt


@dataclass
class Pair:
    """Both services, on one database, with the keys of a folder."""

    profile_address: str
    deid_address: str
    keys: Path

    @cached_property
    def service(self) -> ProfileServiceStub:
        """A client of ProfileService."""
        return ProfileServiceStub(callers.open_channel(self.profile_address))

    def set(self, container: str, source: str) -> None:
        """Attaches a profile."""
        self.service.SetProfile(pb.SetProfileRequest(container=container, source=source))

    def upload(self, target: str, data: bytes | None = None) -> Made:
        """De-identifies a file."""
        with callers.channel(self.deid_address) as channel:
            caller = Caller(channel, opened(target), *whole_file(data or of_patient("4711007")))
            key_id = caller.receive().opened.key_id
            output, result = caller.receive_result()
            caller.half_close()
        made = pydicom.dcmread(BytesIO(output))
        assert made.PatientName == made.PatientID
        return Made(
            str(made.PatientID),
            str(made.StudyDate),
            str(made.StudyInstanceUID),
            key_id,
            result.receipt,
        )

    def refusal(self, target: str) -> tuple[str, str]:
        """Returns the reason and the sentence with which a stream is refused."""
        with callers.channel(self.deid_address) as channel:
            failure = failure_of(Caller(channel, opened(target)).receive)
            return read_details(failure).reason, failure.details() or ""

    def make_containers(self) -> None:
        """Makes two sites with two groups of two projects, and a device."""
        for site in SITES:
            names = [f"sites/{site}", f"sites/{site}/devices/d"]
            for group in ("g", "h"):
                names += [f"sites/{site}/groups/{group}"]
                names += [project(site, group, each) for each in PROJECTS]
            for name in names:
                container = pb.Container(name=name)
                self.service.CreateContainer(pb.CreateContainerRequest(container=container))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a master key."""
    write_secret(tmp_path / "master.key")
    return tmp_path


@contextmanager
def pair(
    database: str,
    keys: Path,
    *,
    master: str = "master",
    previous: str = "",
    shown: Path = SERVICE_KEY_FILE,
) -> Iterator[Pair]:
    """Gives both services.

    Args:
        database: the database.
        keys: the folder with the master key.
        master: its name; empty for none.
        previous: that of the one before; empty for none.
        shown: the file with the API key of DeidService.
    """
    file, before = (str(keys / f"{name}.key") if name else "" for name in (master, previous))
    with (
        running_profile_service(
            database, master_key_file=file, previous_master_key_file=before
        ) as profile_address,
        running_deid_service(profile_address, key=str(shown)) as running,
    ):
        yield Pair(profile_address, running.address, keys)


def test_scopes(database: str, keys: Path) -> None:
    """A patient is the same within the scope of the profile, and another one outside of it."""
    with pair(database, keys) as services:
        services.make_containers()
        targets = [project(site, group, name) for site in SITES for group in "gh" for name in "12"]
        targets += ["sites/a/devices/d", "sites/b/devices/d"]
        found = {}
        for scope in ("site", "group", "project"):
            for site in SITES:
                services.set(f"sites/{site}", profile(scope))
                services.set(f"sites/{site}/devices/d", profile(scope))
            found[scope] = {target: services.upload(target) for target in targets}

        def alike(scope: str) -> list[set[str]]:
            by_patient: dict[str, set[str]] = {}
            for target, made in found[scope].items():
                by_patient.setdefault(made.patient, set()).add(target)
            for targets in by_patient.values():
                same = {(found[scope][each].date, found[scope][each].uid) for each in targets}
                ids = {found[scope][each].key_id for each in targets}
                assert (len(same), len(ids)) == (1, 1)
            return sorted(by_patient.values(), key=sorted)

        in_site = [{each for each in targets if f"sites/{site}/" in each} for site in SITES]
        assert alike("site") == sorted(in_site, key=sorted)
        assert sorted(map(len, alike("group"))) == [1, 1, 2, 2, 2, 2]
        assert alike("project") == sorted(({each} for each in targets), key=sorted)
        dates = {made.date for made in found["project"].values()}
        assert len(dates) > len(targets) / 2
        # What was made for one scope is not what is made for another.
        assert len({found[scope][project()].patient for scope in found}) == 3
        made = found["project"][project()]
        assert made.receipt.key_id == made.key_id
        assert len(made.key_id) == 16


def test_the_same_before_and_after(databases: Databases, keys: Path) -> None:
    """A restart, and a dump that was restored elsewhere, change no pseudonym."""
    with ExitStack() as stack:
        database = stack.enter_context(databases.clone())
        with pair(database, keys) as services:
            services.make_containers()
            services.set("sites/a", profile("project"))
            before = services.upload(project())
        with pair(database, keys) as services:
            again = services.upload(project())
        dump = dumped(database)
        restored = stack.enter_context(databases.clone("template0"))
        psql = [str(programs.program("psql")), "--quiet", "--set=ON_ERROR_STOP=1", restored]
        subprocess.run(psql, input=dump, check=True, capture_output=True)
        with pair(restored, keys) as services:
            elsewhere = services.upload(project())

    assert before == again == elsewhere


def test_many_streams_and_workers(database: str, keys: Path) -> None:
    """Shuffled files of many patients over eight streams and four workers: one is always one."""
    patients = [str(number) for number in range(30)]
    files = [patient for patient in patients for _ in range(8)]
    random.Random(1).shuffle(files)  # noqa: S311

    def sent(address: str, share: list[str]) -> list[tuple[str, str, str]]:
        made = []
        with callers.channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            caller = Caller(channel, opened(project()))
            for patient in share:
                caller.send(*whole_file(of_patient(patient)))
            caller.half_close()
            for patient in share:
                output, _ = caller.receive_result()
                read = pydicom.dcmread(BytesIO(output))
                made.append((patient, str(read.PatientID), str(read.StudyDate)))
        return made

    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("project"))
        found = set()
        workers = ("--profile-service", services.profile_address, "--workers", "4")
        with service_process(*workers) as service, ThreadPoolExecutor(8) as pool:
            shares = [files[start::8] for start in range(8)]
            for made in pool.map(lambda share: sent(service.address, share), shares):
                found.update(made)

    assert len(found) == len({patient for _, patient, _ in found}) == len(patients)


def test_a_container_that_is_made_again_has_other_keys(database: str, keys: Path) -> None:
    """A project, a group and a site of the same name are others than those that are gone."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("project"))
        first = services.upload(project())
        delete(services, project())
        create(services, project())
        second = services.upload(project())
        services.set("sites/a", profile("site"))
        third = services.upload(project())
        names = [project(group=group, name=name) for group in "gh" for name in "12"]
        for name in [*names, "sites/a/groups/g", "sites/a/groups/h", "sites/a/devices/d"]:
            delete(services, name)
        delete(services, "sites/a")
        for name in ("sites/a", "sites/a/groups/g", project()):
            create(services, name)
        services.set("sites/a", profile("site"))
        fourth = services.upload(project())

    for one in ("patient", "uid", "key_id"):
        assert len({getattr(made, one) for made in (first, second, third, fourth)}) == 4


def create(services: Pair, name: str) -> None:
    """Makes a container."""
    container = pb.Container(name=name)
    services.service.CreateContainer(pb.CreateContainerRequest(container=container))


def delete(services: Pair, name: str) -> None:
    """Deletes a container."""
    services.service.DeleteContainer(pb.DeleteContainerRequest(name=name))


def test_two_give_a_site_a_new_key(database: str, keys: Path) -> None:
    """Where a site demands four eyes, its first key takes one person, and each other one two."""
    rotation = pb.RotateSiteKeyRequest(site="sites/a")
    with pair(database, keys) as services:
        services.make_containers()
        first = services.service
        access = AccessServiceStub(callers.open_channel(services.profile_address))
        other = access.CreateApiKey(
            access_pb.CreateApiKeyRequest(container="sites/a", role="site-admin")
        )
        demanding = pb.Container(name="sites/a", approval_required=True)
        first.UpdateContainer(pb.UpdateContainerRequest(container=demanding))
        assert first.RotateSiteKey(rotation).key.generation == 1
        with refused("FAILED_PRECONDITION", "APPROVAL_REQUIRED"):
            first.RotateSiteKey(rotation)
        proposal = pb.ProposeChangeRequest(rotate_site_key=rotation)
        changes = [first.ProposeChange(proposal).change for _ in range(2)]
        assert changes[0].proposal.rotate_site_key.after_generation == 1
        decisions = [
            pb.DecideChangeRequest(container="sites/a", number=change.number, approve=True)
            for change in changes
        ]
        with refused("FAILED_PRECONDITION", "SAME_PERSON"):
            first.DecideChange(decisions[0])

        with callers.channel(services.profile_address, key=other.secret) as opened_by_other:
            second = ProfileServiceStub(opened_by_other)
            second.DecideChange(decisions[0])
            with refused("ABORTED", "ETAG_MISMATCH"):
                second.DecideChange(decisions[1])

        listed = first.ListSiteKeys(pb.ListSiteKeysRequest(site="sites/a")).keys
        assert [key.generation for key in listed] == [2, 1]


def test_rotation(database: str, keys: Path) -> None:
    """A new key makes other pseudonyms; a profile that names the old one has the old ones."""
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("site"))
        assert services.service.ListSiteKeys(pb.ListSiteKeysRequest(site="sites/a")).keys == []
        first = services.upload(project())
        rotated = services.service.RotateSiteKey(pb.RotateSiteKeyRequest(site="sites/a"))
        second = services.upload(project())
        services.set(project(name="2"), profile("site", "1"))
        linked = services.upload(project(name="2"))
        services.set(project(name="2"), profile("site", "3"))
        unknown = services.refusal(project(name="2"))
        listed = services.service.ListSiteKeys(pb.ListSiteKeysRequest(site="sites/a")).keys
        events = services.service.ListAuditEvents(pb.ListAuditEventsRequest(parent="sites/a"))

    assert rotated.key.generation == 2
    assert first.patient != second.patient
    assert first.key_id != second.key_id
    assert (linked.patient, linked.date, linked.uid) == (first.patient, first.date, first.uid)
    assert unknown[0] == "PROFILE_NOT_SUPPORTED"
    assert "generation" in unknown[1]
    assert [key.generation for key in listed] == [2, 1]
    acts = [event.action for event in events.events if event.action.startswith("site-key.")]
    assert acts == ["site-key.rotate", "site-key.create"]


def test_nobody_else_is_given_keys(database: str, keys: Path) -> None:
    """Who is no DeidService of this ProfileService has the resolution, and no key with it."""
    mine, others = ServiceKey(SERVICE_KEY), ServiceKey(SERVICE_KEY[:-1] + "x")
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("site"))
        services.upload(project())

        def asked(request: bytes) -> pb.ResolveProfileResponse:
            return services.service.ResolveProfile(
                pb.ResolveProfileRequest(target=project(), key_request=request)
            )

        plain = asked(b"")
        assert plain.outcome == pb.OUTCOME_PROFILE
        assert not plain.HasField("keys")
        for request in (
            others.request(project()),
            b"x",
            bytes(48),
            mine.request(project(name="2")),
        ):
            answer = asked(request)
            assert answer.profile == plain.profile
            assert answer.keys == pb.StreamKeys(problem=pb.KEY_PROBLEM_NO_SERVICE_KEY)
        # What was sent once is answered again, and says nothing to who sends it.
        request = mine.request(project())
        answers = [asked(request).keys.sealed for _ in range(2)]
        # Under one key, which may stand for other keys by then: not with one nonce.
        assert answers[0] != answers[1]
        opened_ones = [mine.open(each, request, project()) for each in answers]
        assert opened_ones[0] == opened_ones[1]
        for key, to in ((others, project()), (mine, project(name="2"))):
            with pytest.raises(DeliveryError):
                key.open(answers[0], request, to)


@pytest.mark.parametrize(
    ("master", "is_other", "told"),
    [("", False, "master key"), ("other", False, "master key"), ("master", True, "API key")],
)
def test_without_a_key_nothing_is_de_identified(
    database: str, keys: Path, master: str, is_other: bool, told: str
) -> None:
    """A key that is missing, or another one, refuses the stream and says which."""
    write_secret(keys / "other.key")
    with pair(database, keys) as services:
        services.make_containers()
        services.set("sites/a", profile("site"))
        services.upload(project())
        shown = SERVICE_KEY_FILE
        if is_other:
            shown = keys / "api.key"
            shown.write_text(another_service(services))
    with pair(database, keys, master=master, shown=shown) as services:
        reason, sentence = services.refusal(project())
        # What needs no key goes on.
        services.set(project(), "dicom: {fields: [{name: PatientName, remove: true}]}")
        with callers.channel(services.deid_address) as channel:
            caller = Caller(channel, opened(project()), *whole_file(ct()))
            assert caller.receive_result()[1].HasField("receipt")
            caller.half_close()
        if not master:
            with refused("FAILED_PRECONDITION", "NO_MASTER_KEY"):
                services.service.RotateSiteKey(pb.RotateSiteKeyRequest(site="sites/a"))

    assert reason == "PROFILE_NOT_SUPPORTED"
    assert told in sentence


def another_service(services: Pair) -> str:
    """Returns the API key of another DeidService than that of the file of ProfileService."""
    with callers.channel(services.profile_address) as channel:
        access = AccessServiceStub(channel)
        made = access.CreateApiKey(access_pb.CreateApiKeyRequest(role="service"))
    return made.secret


def test_an_attacker_finds_nobody(database: str, keys: Path) -> None:
    """With output, profiles, receipts, logs and a dump, no identifier leads to anything.

    Whatever is at hand is tried as a key, and as what keys are derived of, for the identifiers
    that are the right ones: what does not work for those works for none. With the master key
    all lead somewhere, in each of the ways, which shows that the right things were tried.
    """
    patients = [f"{number:07}" for number in random.Random(1).sample(range(10**7), 10)]  # noqa: S311
    loot = plunder(database, keys / "master.key", patients)
    numbers = [number.encode() for patient in patients for number in (patient, f"1.2.{patient}")]
    values = guesses(loot)

    tried = [*values, *pieces(values)]
    found = linked(numbers, [*plain_ways(), *map(keyed_way, tried)], loot)
    for value in values:
        found |= linked(numbers[:2], list(map(keyed_way, keys_of(value, loot))), loot)
    unlocked = [value for value in values if unlocks(value, loot)]

    assert found == set()
    assert unlocked == []
    # With the master key: hashes and codes, UIDs of three projects, and tables.
    known = with_master_key(database, MasterKey(read_secret(keys / "master.key")), loot)
    counts = [len(linked(numbers, [keyed_way(key)], loot)) for key in known["site"]]
    assert sorted(count for count in counts if count) == [10] * 5
    assert len(linked(numbers, list(map(keyed_way, known["tables"])), loot)) == 10
    # None of what is written anywhere is a key, or a patient.
    secrets = [*known["secrets"], read_secret(keys / "master.key"), SERVICE_KEY.encode()]
    everything = b"\n".join([*loot.texts, *loot.values])
    for one in secrets:
        for form in (one, one.hex().encode(), written(one).encode(), repr(one).encode()):
            assert form not in everything
    # Digests in hex are apart from it: one may have any seven digits.
    words = set(re.split(rb"[^0-9A-Za-z]+", everything))
    assert not words & {patient.encode() for patient in patients}


def test_an_attacker_finds_who_is_hashed_without_a_key(database: str, keys: Path) -> None:
    """The same attacker finds everybody where no key is used: the test can fail."""
    loot = plunder(database, keys / "master.key", ["4711007"])
    for digest in (
        hashlib.sha256(b"4711007").digest(),
        hmac.digest(b"sites/a", b"4711007", "sha256"),
    ):
        loot.pseudonyms = {digest[-TAIL:]}
        ways = [*plain_ways(), *map(keyed_way, guesses(loot))]
        assert linked([b"4711007", b"4711008"], ways, loot) == {b"4711007"}
