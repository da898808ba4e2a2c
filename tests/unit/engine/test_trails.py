"""Along a trail the same is found of whom a file is about as by reading its headers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from deid_service.engine import compile_plan, deidentify
from deid_service.engine.encoding.headers import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from deid_service.engine.file.people import IDENTIFYING, people_along, people_of
from deid_service.engine.layouts.trails import Footsteps, Step, Trails
from profile_service.language import parse_profile
from tests.support.engine.build import dicom, el, encode, header, item_header, sq
from tests.support.engine.files import DICOM_FILES
from tests.support.engine.walk import EXPLICIT, IMPLICIT, Syntax

if TYPE_CHECKING:
    from tests.support.engine.build import Part

ENCODINGS = {"explicit": (EXPLICIT, EXPLICIT_LITTLE), "implicit": (IMPLICIT, IMPLICIT_LITTLE)}

CLEANED = """
dicom:
  base: ps3.15-2026c-basic
  options: [clean-descriptors, retain-patient-characteristics]
  salt: nobody's
"""


def elements(name: str, number: str, visit: str = "V1", inner: str = "Roe^Rita") -> list[Part]:
    """Returns elements that identify somebody, before pixel data."""
    return [
        el("SpecificCharacterSet", "ISO_IR 100"),
        el("SOPInstanceUID", f"1.2.{number}"),
        el("AccessionNumber", number),
        el("StudyDescription", f"CHEST of {name.split('^')[0]}"),
        sq("ReferencedStudySequence", [el("ReferencedSOPInstanceUID", "1.2.3")]),
        sq(
            "RequestAttributesSequence",
            [el("SpecificCharacterSet", "ISO_IR 192"), el("RequestingPhysician", inner)],
            undefined=True,
        ),
        el("PatientName", name),
        el("PatientID", number),
        el("AdmissionID", visit),
        el("PixelData", bytes(64), "OW"),
    ]


def found(buffer: bytes, encoding: Encoding, footsteps: Footsteps | None = None) -> object:
    """Returns what is read of whom a data set is about; None where that takes more input."""
    steps = people_of(
        buffer,
        encoding,
        IDENTIFYING,
        with_dates=True,
        with_patient=True,
        ended=False,
        footsteps=footsteps,
    )
    try:
        while True:
            next(steps)
    except StopIteration as ended:
        return None if ended.value is None else ended.value.key()


def followed(trails: Trails, buffer: bytes) -> object:
    """Returns what is found along a trail; None where there is none."""
    along = trails.follow(buffer, 0, len(buffer))
    return None if along is None else people_along(*along).key()


def learn(trails: Trails, buffer: bytes, encoding: Encoding) -> None:
    """Has a file learned from."""
    footsteps = Footsteps(buffer)
    found(buffer, encoding, footsteps)
    if footsteps.is_whole:
        trails.learn(footsteps.steps)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_other_values_are_found_at_the_same_places(encoding: str) -> None:
    """A third file of a kind is followed, with its own values, of lengths that were met."""
    written, read = ENCODINGS[encoding]
    trails = Trails()
    for name, number in (("Doe^Jane", "12"), ("Doe^John", "1234"), ("Do^Jo", "12")):
        learn(trails, encode(elements(name, number), written), read)

    other = encode(elements("Poe^Anna", "4321", inner="Zoë^Zá"), written)
    assert followed(trails, other) == found(other, read) is not None
    assert ("poe", "anna") in followed(trails, other)[0]  # type: ignore[index]


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "Doe^Jane^Maria"},
        {"inner": "Roe^Rita^R"},
    ],
    ids=["a length that no file had", "a length within a sequence"],
)
def test_what_no_file_showed_is_read(changed: dict[str, str]) -> None:
    """A file in which anything differs that decides where values are has no trail."""
    trails = Trails()
    for _ in range(3):
        learn(trails, encode(elements("Doe^Jane", "12"), EXPLICIT), EXPLICIT_LITTLE)

    other = elements(**({"name": "Doe^Jane", "number": "12"} | changed))
    assert followed(trails, encode(other, EXPLICIT)) is None


def test_lengths_within_a_sequence_are_not_mixed() -> None:
    """What two files had at two places, a third that has both is not followed along."""

    def file(first: bytes, second: bytes, total: int) -> bytes:
        inside = header(0x00080050, "SH", len(first)) + first
        inside += header(0x00081040, "LO", len(second)) + second
        item = header(0x00321064, "SQ", total + 8) + item_header(0xFFFEE000, total) + inside
        return item + encode([el("PixelData", bytes(64), "OW")])

    trails = Trails()
    for first, second in ((b"Ab", b"Cdef"), (b"Abcd", b"Ef")) * 3:
        learn(trails, file(first, second, 22), EXPLICIT_LITTLE)
    assert followed(trails, file(b"Xy", b"Zabc", 22)) is not None

    assert followed(trails, file(b"Xyza", b"Zabc", 22)) is None
    assert found(file(b"Xyza", b"Zabc", 22), EXPLICIT_LITTLE) is None


@pytest.mark.parametrize("first", ["", "Doe" * 400], ids=["empty", "too long"])
def test_what_the_first_file_did_not_say_is_found(first: str) -> None:
    """Where the first file of a kind has nothing to take, what later ones have is taken."""
    trails = Trails()
    for name in (first, first, "Doe^Jane", "Doe^John", "Doe^Jane", first):
        learn(trails, encode(elements(name, "12"), EXPLICIT), EXPLICIT_LITTLE)

    for name in ("Poe^Anna", first):
        other = encode(elements(name, "12"), EXPLICIT)
        assert followed(trails, other) == found(other, EXPLICIT_LITTLE) is not None


def test_a_file_that_is_not_all_there_is_read() -> None:
    """Where the header behind the last value is cut, more input is asked for, as by reading."""
    trails = Trails()
    buffer = encode(elements("Doe^Jane", "12"), EXPLICIT)
    for _ in range(2):
        learn(trails, buffer, EXPLICIT_LITTLE)
    pixels = len(buffer) - 64 - 12

    for end in (pixels + 7, pixels, pixels - 1):
        assert followed(trails, buffer[:end]) is None
        assert found(buffer[:end], EXPLICIT_LITTLE) is None
    assert followed(trails, buffer[: pixels + 8]) == found(buffer, EXPLICIT_LITTLE)


def test_mutated_files_are_followed_rightly_or_not_at_all() -> None:
    """What is found along a trail is what reading finds, whatever a file has become."""
    draw = random.Random(11)  # noqa: S311 - no secret
    buffers = [(encode(elements("Doe^Jane", "12"), each), code) for each, code in _SYNTAXES]
    for path in DICOM_FILES[::7]:
        syntax = dcmread(path, stop_before_pixels=True, force=True).file_meta
        if getattr(syntax, "TransferSyntaxUID", "") == "1.2.840.10008.1.2.1":
            data = path.read_bytes()
            head = 144 + int.from_bytes(data[140:144], "little")
            buffers.append((data[head : head + 20_000], EXPLICIT_LITTLE))
    matched = 0
    for buffer, encoding in buffers:
        trails = Trails()
        for _ in range(2):
            learn(trails, buffer, encoding)
        for _ in range(300):
            mutated = bytearray(buffer)
            for _ in range(draw.choice([0, 1, 1, 2])):
                mutated[draw.randrange(len(mutated))] = draw.choice([0, 4, 8, 0x20, 0x41, 0xFF])
            other = bytes(mutated)
            along = followed(trails, other)
            if along is not None:
                matched += 1
                assert along == found(other, encoding)
    assert matched > 300


_SYNTAXES: list[tuple[Syntax, Encoding]] = list(ENCODINGS.values())


def test_the_trail_is_taken_and_changes_nothing() -> None:
    """A series is cleaned along a trail as without learning, each file of its own names."""
    profile = parse_profile(CLEANED)
    plan, plain = compile_plan(profile), compile_plan(profile, learn=False)
    people = [("Doe^Jane", "12"), ("Poe^Anna", "34"), ("Roe^Nina", "5678")] * 6
    for name, number in people:
        data = dicom(*elements(name, number))
        output = deidentify(data, plan)
        assert output == deidentify(data, plain)
        assert name.split("^")[0].encode() not in output

    (layouts,) = (each for each in plan.metas.layouts() if each.trails.size())
    data = dicom(*elements("Coe^Mary", "90"))
    start = data.index(b"\x08\0\5\0CS")
    assert layouts.trails.follow(data, start, len(data)) is not None


def test_what_is_learned_is_bounded_and_forgotten() -> None:
    """Kinds and lengths are kept up to a bound, and nothing is when all is forgotten."""
    trails = Trails()
    for kind in range(40):
        for length in range(2, 1400, 2):
            value = b"\x08\0" + kind.to_bytes(2, "little") + b"LO"
            header = value + length.to_bytes(2, "little")
            trails.learn([Step(value, header, length, None)])
    assert trails.size() == 4 * 500

    trails.forget()
    assert trails.size() == 0
