"""PreviewProfile: what it shows is what Deidentify does, and nobody else sees it."""

from __future__ import annotations

import logging
import queue
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import grpc
import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1.deid_service_pb2_grpc import DeidServiceStub
from pydicom.datadict import keyword_for_tag

from deid_service.preview.elements import MAX_CHARACTERS
from deid_service.serving.previews import MAX_AT_ONCE, MAX_FILE_BYTES
from tests.support import callers
from tests.support.deid_service import (
    TARGET,
    Caller,
    Running,
    ScriptedProfileService,
    ct,
    opened,
    running_deid_service,
    selected,
    serving,
    whole_file,
)
from tests.support.engine.files import DICOM_FILES, name_of
from tests.support.engine.profiles import PROFILES
from tests.support.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom.dataset import Dataset

PATIENCE_SECONDS = 20

# Between them these two reach every element at every depth; each rule is asked about each
# element, so those with more rules see some of the files.
REACHING_ALL = {"every depth", "remove what is undefined"}
# This one cleans texts in place, in the file meta and in private elements, too.
TEXTS = """
dicom:
  base: ps3.15-2026c-basic
  options: [clean-descriptors, retain-safe-private]
  fields:
    - {name: SourceApplicationEntityTitle, replace-with: NOBODY}
"""
SHOWN = {**PROFILES, "texts cleaned in place": TEXTS}
FILES = {
    name: DICOM_FILES[:: 1 if name in REACHING_ALL else 12 if "hundred" in name else 4]
    for name in SHOWN
}


@pytest.fixture(scope="module")
def scripted_here() -> ScriptedProfileService:
    """What ProfileService answers."""
    return ScriptedProfileService()


@pytest.fixture(scope="module")
def here(scripted_here: ScriptedProfileService) -> Iterator[Running]:
    """One DeidService for all."""
    with serving(scripted_here) as address, running_deid_service(address) as running:
        yield running


@pytest.fixture(scope="module")
def stub(here: Running) -> Iterator[DeidServiceStub]:
    """A client of it."""
    with callers.channel(here.address) as channel:
        yield DeidServiceStub(channel)


def request(
    data: bytes, source: str = "", *, target: str = TARGET, cut: int = 1 << 20
) -> Iterator[pb.PreviewProfileRequest]:
    """Gives the messages of a preview."""
    yield pb.PreviewProfileRequest(start=pb.PreviewStart(target=target, source=source))
    for at in range(0, len(data), cut):
        yield pb.PreviewProfileRequest(chunk=data[at : at + cut])


def deidentified(stub: DeidServiceStub, files: Iterable[bytes]) -> Iterator[bytes | pb.Rejection]:
    """Gives what Deidentify makes of files."""
    messages = (message for data in files for message in whole_file(data))
    output = b""
    for answer in stub.Deidentify(iter([opened(), *messages])):
        output += answer.chunk
        if answer.HasField("result"):
            rejected = answer.result.WhichOneof("result") == "rejection"
            yield answer.result.rejection if rejected else output
            output = b""


def read(data: bytes) -> dict[str, str]:
    """Returns the elements of a file by their paths: an account of its own."""
    dataset = pydicom.dcmread(BytesIO(data), force=True)
    return dict(flat(dataset.file_meta)) | dict(flat(dataset))


def flat(dataset: Dataset, way: str = "") -> Iterator[tuple[str, str]]:
    """Gives the paths and values of a data set and of what is in it."""
    for tag in sorted(dataset.keys()):
        element = dataset[tag]
        path = f"{way}{keyword_for_tag(tag) or f'({tag.group:04X},{tag.element:04X})'}"
        if element.VR != "SQ":
            yield path, f"{element.VR}{element.value!r}"
            continue
        yield path, f"SQ{len(element.value)}"
        for index, item in enumerate(element.value):
            yield from flat(item, f"{path}[{index}].")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", list(SHOWN))
def test_agrees_with_deidentify(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService, name: str
) -> None:
    """Element by element, what it says changes, goes and comes is what does, in each file."""
    text = SHOWN[name]
    scripted_here.answer = lambda _request, _context: selected(text)
    contents = [path.read_bytes() for path in FILES[name]]
    outputs = deidentified(stub, contents)
    shown = rejected = 0
    for path, data, output in zip(FILES[name], contents, outputs, strict=True):
        answer = stub.PreviewProfile(request(data))
        if isinstance(output, pb.Rejection):
            assert answer.rejection == output, name_of(path)
            rejected += 1
            continue
        shown += 1
        assert not answer.HasField("rejection")
        before, after = read(data), read(output)
        changes = {each.path: each for each in answer.changes}
        differing = {
            one for one in before.keys() | after.keys() if before.get(one) != after.get(one)
        }
        whole = tuple(f"{one}[" for one in differing if (one in before) != (one in after))
        assert changes.keys() == {one for one in differing if not one.startswith(whole)}, name_of(
            path
        )
        for one, change in changes.items():
            assert (change.HasField("before"), change.HasField("after")) == (
                one in before,
                one in after,
            )
        assert {one.path for one in answer.remaining}.isdisjoint(differing), name_of(path)
    assert shown > 10 * rejected


def test_before_and_after_and_why(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """An element comes with its value before and after, what changes it, and the rule's line."""
    scripted_here.answer = lambda _request, _context: selected(version=7)
    answer = stub.PreviewProfile(request(ct(), cut=1000))

    assert (answer.outcome, answer.profile_version) == (profile_pb.OUTCOME_PROFILE, 7)
    assert answer.profile_name == f"{TARGET}/profile"
    (name,) = (each for each in answer.changes if each.path == "PatientName")
    assert (name.tag, name.vr, name.before, name.after) == (
        "(0010,0010)",
        "PN",
        "CompressedSamples^CT1",
        "ANON",
    )
    assert (name.by, list(name.lines)) == ("replace-with", [3])
    left = {each.path: each.why for each in answer.remaining}
    assert left["StudyDate"] == "a date or a time"
    assert all(len(each.value) <= MAX_CHARACTERS for each in answer.remaining)


def test_a_text_goes_before_what_is_in_force(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """A text is shown as it would be, also where no profile is in force yet."""
    levels = [profile_pb.LevelVerdict(container=TARGET, verdict=profile_pb.VERDICT_ABSENT)]
    scripted_here.answer = lambda _request, _context: profile_pb.ResolveProfileResponse(
        outcome=profile_pb.OUTCOME_NO_VALID_PROFILE, levels=levels
    )
    answer = stub.PreviewProfile(
        request(ct(), "dicom: {fields: [{name: PatientID, remove: true}]}")
    )
    of_patient = [each.path for each in answer.changes if each.path.startswith("Patient")]
    assert of_patient == ["PatientID"]
    assert answer.profile_name == ""

    with refused("FAILED_PRECONDITION", "NO_VALID_PROFILE") as refusal:
        stub.PreviewProfile(request(ct()))
    assert len(refusal.details) == 2


def test_it_asks_as_one_who_looks(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """ProfileService is told that nothing is uploaded, and asked for no key."""
    scripted_here.answer = lambda _request, _context: selected()
    scripted_here.requests.clear()
    stub.PreviewProfile(request(ct()))
    (asked,) = scripted_here.requests
    assert (asked.preview, asked.key_request) == (True, b"")


def test_where_enforcement_is_disabled(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """Nothing changes, and all that looks identifying remains."""
    scripted_here.answer = lambda _request, _context: profile_pb.ResolveProfileResponse(
        outcome=profile_pb.OUTCOME_DISABLED
    )
    answer = stub.PreviewProfile(request(ct()))
    assert (answer.outcome, len(answer.changes)) == (profile_pb.OUTCOME_DISABLED, 0)
    assert "PatientName" in {each.path for each in answer.remaining}


def test_pseudonyms_are_of_no_site(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """What a key makes is another thing each time: nobody finds out who has which."""
    keyed = "dicom: {fields: [{name: PatientName, pseudonym: true}]}"
    scripted_here.answer = lambda _request, _context: selected()
    afters = {
        change.after
        for _ in range(2)
        for change in stub.PreviewProfile(request(ct(), keyed)).changes
        if change.path == "PatientName"
    }
    assert len(afters) == 2


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([], "INVALID_ARGUMENT", "PROTOCOL_ERROR"),
        ([pb.PreviewProfileRequest(chunk=b"x")], "INVALID_ARGUMENT", "PROTOCOL_ERROR"),
        ([*request(b"x"), *request(b"x")], "INVALID_ARGUMENT", "PROTOCOL_ERROR"),
        ([*request(b"x", "dicom: {fields: [")], "INVALID_ARGUMENT", "PROFILE_INVALID"),
        (
            [*request(bytes(MAX_FILE_BYTES + 1))],
            "INVALID_ARGUMENT",
            "PREVIEW_TOO_LARGE",
        ),
    ],
)
def test_refusals(
    stub: DeidServiceStub,
    scripted_here: ScriptedProfileService,
    messages: list[pb.PreviewProfileRequest],
    code: str,
    reason: str,
) -> None:
    """What is out of order, invalid or too large ends with a stable reason."""
    scripted_here.answer = lambda _request, _context: selected()
    with refused(code, reason):
        stub.PreviewProfile(iter(messages))


def test_an_invalid_text_comes_with_its_violations(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """The violations are in the details, with their places."""
    scripted_here.answer = lambda _request, _context: selected()
    with refused("INVALID_ARGUMENT", "PROFILE_INVALID") as refusal:
        stub.PreviewProfile(request(ct(), "dicom:\n  fields: [{name: PatientNme, remove: true}]"))
    found = profile_pb.ProfileViolations()
    assert any(detail.Unpack(found) for detail in refusal.details)
    assert [(each.line, each.suggestion) for each in found.violations] == [(2, "PatientName")]


def test_a_deflated_file_that_would_fill_the_memory(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """A few kilobytes that inflate to a gigabyte are not inflated."""
    scripted_here.answer = lambda _request, _context: selected("dicom: {fields: []}")
    dataset = pydicom.dcmread(BytesIO(ct()))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    del dataset.PixelData
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    saved = buffer.getvalue()
    # PS3.10 7.1: the length of the file meta behind (0002,0000), which is the first element.
    head = saved[: 144 + int.from_bytes(saved[140:144], "little")]
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(b"\xe1\x7f\x10\x00OB\0\0" + (64 << 20).to_bytes(4, "little"))
    bomb += b"".join(deflater.compress(bytes(1 << 20)) for _ in range(64)) + deflater.flush()

    with refused("FAILED_PRECONDITION", "NOT_SHOWN") as refusal:
        stub.PreviewProfile(request(head + bomb))
    assert "inflated" in refusal.message


class Opening:
    """A preview whose file is not sent yet."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._requests: queue.Queue[pb.PreviewProfileRequest | None] = queue.Queue()
        self._requests.put(next(request(b"")))
        messages = iter(self._requests.get, None)
        self._answer = DeidServiceStub(channel).PreviewProfile.future(messages)

    def finish(self) -> pb.PreviewProfileResponse:
        """Sends the file, and returns the answer."""
        self._requests.put(pb.PreviewProfileRequest(chunk=ct()))
        self._requests.put(None)
        return self._answer.result()


def test_too_many_at_once(
    here: Running, stub: DeidServiceStub, scripted_here: ScriptedProfileService
) -> None:
    """Previews have places of their own, and give them back; streams have theirs."""
    scripted_here.answer = lambda _request, _context: selected()
    with callers.channel(here.address) as channel:
        scripted_here.requests.clear()
        waiting = [Opening(channel) for _ in range(MAX_AT_ONCE)]
        while len(scripted_here.requests) < MAX_AT_ONCE:
            pass
        with refused("RESOURCE_EXHAUSTED", "TOO_MANY_PREVIEWS"):
            stub.PreviewProfile(request(ct()))
        caller = Caller(channel, opened(), *whole_file(ct()))
        assert caller.receive_result()[1].HasField("receipt")
        for one in waiting:
            assert one.finish().changes
    assert stub.PreviewProfile(request(ct())).changes


def test_nothing_is_logged_or_told(
    stub: DeidServiceStub, scripted_here: ScriptedProfileService, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has a line without any value, and the audit is told of no file."""
    scripted_here.answer = lambda _request, _context: selected()
    shown = (("x-request-id", "shown"),)
    with caplog.at_level(logging.DEBUG):
        stub.PreviewProfile(request(ct()), metadata=shown)
        answer = stub.PreviewProfile(request(b"Jane" * 100), metadata=shown)
    assert answer.rejection.reason == pb.REJECTION_REASON_NOT_DICOM
    line, _ = (line for line in caplog.messages if "request=shown" in line)
    assert line.startswith(f"event=preview code=OK target={TARGET} bytes_in={len(ct())} seconds=")
    values = {"Jane", "ANON", "CompressedSamples", "1CT1"}
    assert [value for value in values if value in caplog.text] == []
    # What was told before a file that came later is all that there was to tell.
    uploaded = (opened(), *whole_file(ct()))
    list(stub.Deidentify(iter(uploaded), metadata=(("x-request-id", "uploaded"),)))
    told = ""
    while told != "uploaded":
        told = scripted_here.told.get(timeout=PATIENCE_SECONDS).request_id
        assert told != "shown"
