"""What a plan remembers of files: no values beyond a stream, bounded, safe between threads."""

from __future__ import annotations

import gc
import re
from threading import Thread
from typing import TYPE_CHECKING

from deid_service.engine import compile_plan, deidentify
from deid_service.engine.layouts.learning import Layouts, Shelf
from profile_service.language import parse_profile
from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import plan_of, run

if TYPE_CHECKING:
    import pytest

    from deid_service.engine import Plan

RULES = ("name: PatientName, replace-with: A", "name: PatientID, hash: true")


def file(number: int, name: str = "Doe^John", meta: str = "1.2") -> bytes:
    """Returns a file of a series."""
    return dicom(
        el("SOPInstanceUID", f"1.2.{number}"),
        el("Modality", "CT"),
        el("Manufacturer", "M"),
        el("PatientName", name),
        el("PatientID", name[::-1]),
        el("Rows", (1.0,)),
        meta=[el(0x00020002, meta), el(0x00020003, f"1.2.{number}")],
    )


def applied(plan: Plan, number: int = 9) -> int:
    """Returns how much of a file goes by layouts."""
    return run(plan, [file(number)]).applied_bytes


def _reachable(root: object) -> list[object]:
    """Returns all objects that hang together with one, but for modules and classes."""
    found: dict[int, object] = {}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) not in found and not isinstance(each, type) and not hasattr(each, "__file__"):
            found[id(each)] = each
            if not hasattr(each, "__globals__"):
                waiting += gc.get_referents(each)
    return list(found.values())


def test_values_go_with_their_stream() -> None:
    """What a plan remembers beyond a stream has no value of a patient in it."""
    plan = plan_of(*RULES, "regex: '.*Comments', hash: true")
    for number in range(6):
        stream = plan.for_stream()
        deidentify(file(number, "Secret^Name"), stream)
        assert "Secret" in repr(stream.memo)
        del stream

    assert run(plan.for_stream(), [file(9, "Public^Name")]).applied_bytes > 0
    texts = [each for each in _reachable(plan) if isinstance(each, str | bytes)]
    assert not [each for each in texts if re.search("Secret", repr(each))]


def test_a_plan_forgets() -> None:
    """After `forget` a plan is as it was when it was compiled."""
    plan = plan_of(*RULES)
    for number in range(6):
        deidentify(file(number), plan)
    assert applied(plan) > 0

    plan.forget()

    assert applied(plan) == 0
    assert plan.metas.layouts() == []


def test_a_plan_that_does_not_learn_remembers_nothing() -> None:
    """Without learning, each file is as the first one."""
    profile = parse_profile("dicom: {fields: [{name: PatientName, replace-with: A}]}")
    plan = compile_plan(profile, learn=False)

    assert [applied(plan) for _ in range(6)] == [0] * 6
    assert plan.metas.layouts() == []
    assert not plan.memo


def test_threads_share_a_plan() -> None:
    """Threads that learn and apply at once, while plans come and go, all do the same."""
    plan = plan_of(*RULES)
    files = [file(number, "Doe" + "x" * (number % 5), f"1.2.{number % 7}") for number in range(60)]
    untaught = compile_plan(parse_profile("dicom: {fields: []}"))
    assert untaught.blank
    expected = [deidentify(data, plan_of(*RULES)) for data in files]
    outputs: list[list[bytes]] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                outputs.append([deidentify(data, plan) for data in files])
                # Plans that go away while others learn.
                gone = plan_of(*RULES)
                for data in files[:9]:
                    deidentify(data, gone)
        except BaseException as error:  # noqa: BLE001 - for the thread that asserts
            errors.append(error)

    threads = [Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert outputs == [expected] * 18
    assert sum(each.refused for each in plan.metas.layouts()) == 0


def test_other_file_metas_take_turns() -> None:
    """Of file metas without number the last ones are remembered, and one in use stays."""
    plan = plan_of(*RULES)
    for number in range(300):
        deidentify(file(number, meta=f"1.3.{number}"), plan)
        deidentify(file(number), plan)

    assert len(plan.metas._known) <= 64
    assert applied(plan) > 0


def test_what_a_process_learns_is_bounded() -> None:
    """When there is no room, what was learned from least lately is forgotten."""
    plans = [plan_of(*RULES) for _ in range(5)]
    shelf = Shelf(room=20)
    learned: list[Layouts] = []
    for plan in plans:
        for number in range(6):
            deidentify(file(number), plan)
        (layouts,) = plan.metas.layouts()
        learned.append(layouts)
        shelf.put(layouts)
        assert sum(each.size() for each in learned) <= 20

    assert [bool(each.known) for each in learned] == [False, False, True, True, True]


def test_a_file_of_another_kind_leaves_nothing_out_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An element that had another VR once is learned again after some files."""
    monkeypatch.setattr("deid_service.engine.layouts.learning._LEFT_OUT_FOR", 3)
    plan = plan_of(*RULES)
    odd = file(1).replace(b"\x08\0\x70\0LO", b"\x08\0\x70\0SH")
    deidentify(file(0), plan)
    deidentify(file(1), plan)
    deidentify(odd, plan)
    (layouts,) = plan.metas.layouts()
    assert layouts.left_out() == {0x00080070}

    for number in range(40):
        deidentify(file(number), plan)
        deidentify(file(number, name="Doe^J" + "x" * (number % 9) * 2), plan)
        odd_one_out = dicom(
            el("SOPInstanceUID", "1"),
            el("StudyID", "7"),
            meta=[el(0x00020002, "1.2"), el(0x00020003, "1.2.7")],
        )
        deidentify(odd_one_out, plan)

    assert layouts.left_out() == frozenset()


def _kept_expressions() -> int:
    """Returns how many compiled expressions on bytes are values of some dictionary."""
    return sum(
        isinstance(value, re.Pattern) and isinstance(value.pattern, bytes)
        for each in gc.get_objects()
        if isinstance(each, dict)
        for value in list(each.values())
    )


def test_expressions_are_not_left_with_the_process() -> None:
    """What is forgotten of layouts is not kept by the cache of Python's expressions."""
    plan = plan_of(*RULES)
    before = _kept_expressions()
    for number in range(6):
        deidentify(file(number), plan)

    assert applied(plan) > 0
    assert _kept_expressions() == before
