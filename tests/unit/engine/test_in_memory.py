"""A file that is there as a whole is done at once, where it is laid out as others were.

That it comes out as in any other way is held wherever the engine is tested: see `every_way`,
and the files that learned and untaught plans are given side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deid_service.engine import MAX_HELD_BYTES, compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import at_once, plan_of, run
from tests.support.engine.files import DICOM_FILES
from tests.support.engine.keys import with_keys
from tests.support.engine.profiles import PROFILES
from tests.support.engine.series import series

if TYPE_CHECKING:
    from deid_service.engine import Plan

BASE = """
dicom:
  base: ps3.15-2026c-basic
  options: [clean-descriptors, retain-longitudinal-modified-dates]
  pseudonyms: {shift-days: [-365, -30]}
"""
OF_EARLIER_FILES = f"{BASE}  earlier-files: true\n"

# Those by which no element of the slices is left to the walk.
WHOLE = {
    "rules": PROFILES["twelve rules"],
    "many rules": PROFILES["three hundred emptied"],
    "paths": PROFILES["nested paths"],
    "the base": BASE,
    "the base, of earlier files": OF_EARLIER_FILES,
}

CT = next(each for each in DICOM_FILES if each.name == "CT_small.dcm").read_bytes()
SLICES = list(series(CT, 40, seed=3))


def met(profile: str, *, learn: bool = True) -> Plan:
    """Returns a plan on a stream that has met the slices."""
    plan = with_keys(compile_plan(parse_profile(profile), learn=learn))
    for data in SLICES:
        run(plan, [data])
    return plan


@pytest.mark.parametrize("name", WHOLE)
def test_most_of_a_series_is_done_at_once(name: str) -> None:
    """With rules, with the base, with keys: all but what has lengths that were not met."""
    plan, plain = met(WHOLE[name]), met(WHOLE[name], learn=False)
    done = [(at_once(plan, data), data) for data in SLICES]
    outcomes = [(outcome, data) for outcome, data in done if outcome is not None]

    assert len(outcomes) > len(SLICES) / 2
    for outcome, data in outcomes:
        assert outcome == run(plain, [data])
        assert outcome.applied_bytes > len(data) - 1000


def test_nothing_is_done_at_once_that_is_not_known() -> None:
    """The first file of a kind is read, whatever it is."""
    plan = plan_of("name: PatientName, remove: true")
    assert at_once(plan, CT) is None
    assert at_once(plan, b"") is None
    assert at_once(plan, bytes(1000)) is None


NAMED = dicom(
    el("SOPInstanceUID", "1.2.3"),
    el("StudyDate", "20190504"),
    el("Modality", "CT"),
    el("PatientName", "Roe^Rita"),
    el("PatientID", "P1"),
    el("PixelData", bytes(40), "OW"),
)


@pytest.mark.parametrize(
    "data",
    [
        NAMED.replace(b"20190504", b"2019May4"),
        NAMED + b"\0",
        NAMED[:-1],
        NAMED[:-60],
        NAMED.replace(b"CT", b"C\xff"),
    ],
    ids=["a value that rejects it", "more", "less", "much less", "a name that cannot be written"],
)
def test_what_is_not_as_it_should_be_is_left_to_be_told(data: bytes) -> None:
    """A file that is rejected, or looked at more closely, has the same end as in pieces."""
    plan = plan_of(
        "name: StudyDate, increment-date: true", "name: PatientName, remove: true", date_increment=3
    )
    for _ in range(4):
        run(plan, [NAMED])
    assert at_once(plan, NAMED) == run(plan, [NAMED])

    once = at_once(plan, data)
    assert once is None or once == run(plan, [data])


def test_limits_hold() -> None:
    """A file longer than may be held is read in pieces; and one that no layout is learned of."""
    plan = plan_of("name: PatientName, remove: true")
    for _ in range(4):
        run(plan, [NAMED])
        run(plan, [NAMED], max_held=len(NAMED))
    assert at_once(plan, NAMED, max_held=MAX_HELD_BYTES) is not None
    assert at_once(plan, NAMED, max_held=len(NAMED)) is not None
    assert at_once(plan, NAMED, max_held=len(NAMED) - 1) is None


def test_what_a_plan_needs_must_be_there() -> None:
    """A plan that has not been given its keys does nothing, whatever others have taught it."""
    plan = compile_plan(parse_profile(BASE))
    for _ in range(4):
        run(with_keys(plan), [NAMED])
    assert at_once(with_keys(plan), NAMED) is not None
    with pytest.raises(ValueError, match="keys"):
        at_once(plan, NAMED)


def test_a_profile_that_asks_what_a_file_says_of_itself_reads_it() -> None:
    """Conditions hold or not by the file at hand, known layout or not."""
    plan = plan_of("name: PatientName, remove: true, when: {modality: [MR]}")
    for _ in range(4):
        run(plan, [NAMED])
    assert at_once(plan, NAMED) is None


def test_earlier_files_are_shown_and_seen() -> None:
    """What is done at once is remembered of its patient, and knows those before it."""
    plan = compile_plan(parse_profile(OF_EARLIER_FILES))
    first, second = (
        dicom(
            el("SOPInstanceUID", "1.2.3"),
            el("Manufacturer", "chest of GRUBER"),
            el("PatientName", name),
            el("PatientID", "P1"),
            el("PixelData", bytes(40), "OW"),
        )
        for name in ("Gruber^Anna", "Roe^Nina")
    )
    for _ in range(4):
        run(with_keys(plan), [first])
        run(with_keys(plan), [second])
    stream = with_keys(plan)

    def left(data: bytes) -> bool:
        outcome = at_once(stream, data)
        assert outcome is not None
        return b"GRUBER" in outcome.output

    assert [left(second), left(first), left(second)] == [True, False, False]
