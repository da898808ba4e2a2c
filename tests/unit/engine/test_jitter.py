"""The action jitter: within its range, within what the VR holds, and never nothing."""

from __future__ import annotations

import struct

import pytest

from tests.support.engine.build import SYNTAXES, dicom, el
from tests.support.engine.every_way import plan_of, rejected, run, values_of
from tests.support.engine.walk import Syntax

_FORMATS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_TRIES = 40


def jittered(vr: str, value: str | float, options: str, syntax: Syntax) -> list[float]:
    """Returns what many runs make of a number."""
    part = el(0x00280010, value if isinstance(value, str) else (value,), vr)
    name = "'00280010'"
    if not syntax.explicit:
        # Without a VR in the file, the dictionary says that this is a US.
        name, tag = {"US": ("Rows", 0x00280010), "DS": ("SliceThickness", 0x00180050)}[vr]
        part = el(tag, part.value, vr)
    plan = plan_of(f"name: {name}, jitter: true{options}")
    data = dicom(part, syntax=syntax)
    new = []
    for _ in range(_TRIES):
        outcome = run(plan, [data])
        assert outcome.error is None, outcome.error
        (raw,) = values_of(outcome.output).values()
        if vr in _FORMATS:
            new.append(float(struct.unpack(syntax.order + _FORMATS[vr], raw)[0]))
        else:
            assert len(raw.strip()) <= {"DS": 16, "IS": 12}[vr]
            new.append(float(raw))
    return new


@pytest.mark.parametrize("syntax", [SYNTAXES["explicit"], SYNTAXES["big endian"]])
@pytest.mark.parametrize("vr", _FORMATS)
def test_binary_numbers(vr: str, syntax: Syntax) -> None:
    """Every run moves the number, by at most the range; integers stay integers."""
    for new in jittered(vr, 100, ", jitter-range: 3", syntax):
        assert 0 < abs(new - 100) <= 3
        assert vr in {"FD", "FL"} or new == int(new)


@pytest.mark.parametrize("vr", ["DS", "US"])
def test_numbers_in_implicit_vr(vr: str) -> None:
    """Where the file says no VR, the dictionary's decides how the number is read."""
    for new in jittered(vr, "7.25" if vr == "DS" else 7, ", jitter-range: 2", SYNTAXES["implicit"]):
        assert 0 < abs(new - (7.25 if vr == "DS" else 7)) <= 2


@pytest.mark.parametrize(
    ("vr", "value"), [("DS", "1.5"), ("DS", "-12345.6789012345"), ("DS", "1e20"),
                      ("DS", "123456789012345"),
                      ("DS", "0"), ("IS", "12"), ("IS", "-3")]
)  # fmt: skip
def test_number_strings(vr: str, value: str) -> None:
    """Number strings move within the range, and fit the VR."""
    for new in jittered(vr, value, ", jitter-range: 2", SYNTAXES["explicit"]):
        assert abs(new - float(value)) <= 2 + abs(float(value)) * 1e-9
        assert vr == "DS" or abs(new - float(value)) >= 1


@pytest.mark.parametrize(
    ("vr", "value"), [("US", 0), ("UL", 0), ("UV", 0), ("US", 65535), ("SS", -32768),
                      ("SL", 2**31 - 1)]
)  # fmt: skip
def test_numbers_stay_in_what_the_vr_holds(vr: str, value: int) -> None:
    """At the end of what a VR holds a number moves inwards or stays there."""
    ends = {"US": (0, 65535), "UL": (0, 2**32 - 1), "UV": (0, 2**64 - 1), "SS": (-32768, 32767),
            "SL": (-(2**31), 2**31 - 1)}  # fmt: skip
    for new in jittered(vr, value, ", jitter-range: 4", SYNTAXES["explicit"]):
        assert ends[vr][0] <= new <= ends[vr][1]
        assert abs(new - value) <= 4


def test_whole_amounts() -> None:
    """With jitter-type int a decimal number moves by a whole amount."""
    for new in jittered("DS", "1.5", ", jitter-range: 3, jitter-type: int", SYNTAXES["explicit"]):
        assert (new - 1.5) in {-3, -2, -1, 1, 2, 3}


def test_bounds() -> None:
    """Results stay between jitter-min and jitter-max."""
    options = ", jitter-range: 50, jitter-min: 95, jitter-max: 105"
    for new in jittered("FD", 100, options, SYNTAXES["explicit"]):
        assert 95 <= new <= 105


def test_every_value_moves_on_its_own() -> None:
    """The values of an element move by amounts of their own."""
    data = dicom(el("ImagePositionPatient", "1\\1\\1"))
    plan = plan_of("name: ImagePositionPatient, jitter: true, jitter-range: 5")
    seen = set()
    for _ in range(_TRIES):
        (raw,) = values_of(run(plan, [data]).output).values()
        numbers = [float(each) for each in raw.split(b"\\")]
        assert all(0 < abs(number - 1) <= 5 for number in numbers)
        seen.add(len(set(numbers)))
    assert seen > {1} or seen == {3}


@pytest.mark.parametrize(
    ("vr", "value"),
    [("IS", "1E+999999"), ("IS", "-1E+999999999999"), ("DS", "1E+9999999"), ("DS", "1e400"),
     ("DS", "1.8e308"), ("DS", "-1e309"), ("DS", "9" * 60_000), ("IS", "9" * 60_000)],
)  # fmt: skip
def test_a_number_that_no_double_holds_rejects(vr: str, value: str) -> None:
    """Numbers of any size are told apart without being written out, and never become infinite."""
    data = dicom(el(0x00280010, value, vr))

    assert rejected(data, plan_of("name: '00280010', jitter: true"))[0] == "VALUE_NOT_TRANSFORMABLE"


@pytest.mark.parametrize("value", ["1E-9999999", "0E+999999999", "-1e-400", "5e-324"])
def test_the_smallest_numbers_move_like_nothing(value: str) -> None:
    """A number that is too small to see moves like 0."""
    for new in jittered("DS", value, ", jitter-range: 2", SYNTAXES["explicit"]):
        assert 0 < abs(new) <= 2


@pytest.mark.parametrize("value", ["x", "NaN", "Infinity", "1,5"])
def test_what_is_no_number_rejects(value: str) -> None:
    """A text that is no finite number rejects the file."""
    plan = plan_of("name: SliceThickness, jitter: true")

    assert rejected(dicom(el("SliceThickness", value)), plan)[0] == "VALUE_NOT_TRANSFORMABLE"
