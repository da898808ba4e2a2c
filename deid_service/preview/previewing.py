"""What a profile changes in a file, by which of its rules, and what remains."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deid_service.engine import DicomError, compile_plan, deidentify, knowing
from deid_service.engine.rules.rules import Rules
from deid_service.preview.changes import Change, differences
from deid_service.preview.elements import elements
from deid_service.preview.hits import lines_of_rules, treatments
from deid_service.preview.remaining import Remaining, remaining

if TYPE_CHECKING:
    from collections.abc import Callable

    from deid_service.engine import Given, Keys, Listed, Plan
    from profile_service.language.model import Profile


class NotShownError(Exception):
    """The file can be de-identified, but not shown; the text says why, without any value."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What showing a file may cost.

    Attributes:
        inflated_bytes: of a deflated data set.
        elements: of the file before, and after.
        looks: elements times rules: each rule is asked about each element.
    """

    inflated_bytes: int = sys.maxsize
    elements: int = sys.maxsize
    looks: int = sys.maxsize


UNBOUNDED = Bounds()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a profile does to a file.

    Attributes:
        output: the file as it comes out.
        changes: each element that differs, in file order.
        remaining: what is as it was although it looks identifying.
    """

    output: bytes
    changes: list[Change]
    remaining: list[Remaining]


def without_lists(plan: Plan) -> Listed:
    """Returns what no text says where nobody knows what the lists of a profile say."""
    return plan.listed(dict.fromkeys(plan.lists, ()))


def plan_of(
    profile: Profile,
    keys: Keys,
    looked_up: Callable[[str], Given],
    listed_for: Callable[[Plan], Listed] = without_lists,
) -> Plan:
    """Returns what a profile does where nobody is asked; the arguments are those of `preview`."""
    plan = compile_plan(profile)
    # One that nobody is given.
    code = None if profile.codes is None else profile.codes.code(0)
    return knowing(
        plan.for_stream(keys, listed_for(plan)),
        lambda known_by: looked_up(known_by)._replace(code=code),
    )


def preview(
    data: bytes,
    profile: Profile,
    keys: Keys,
    looked_up: Callable[[str], Given],
    bounds: Bounds = UNBOUNDED,
    listed_for: Callable[[Plan], Listed] = without_lists,
) -> Preview:
    """Returns what a profile does to a file.

    Args:
        data: the file.
        profile: the profile.
        keys: what pseudonyms are made with; all patients have one code, where they get codes.
        looked_up: what tables say of a patient, by what the patient is known by.
        bounds: what it may cost.
        listed_for: returns what no text says, by lists that the profile names.

    Raises:
        DicomError: the file would be rejected.
        NotShownError: it can be de-identified, but not shown.
    """
    output = deidentify(data, plan_of(profile, keys, looked_up, listed_for))
    try:
        before = elements(data, bounds.inflated_bytes, bounds.elements)
        after = elements(output, bounds.inflated_bytes, bounds.elements)
    except ValueError as error:
        raise NotShownError(str(error)) from None
    if len(before) * len(profile.rules) > bounds.looks:
        raise NotShownError("it has too many elements for so many rules")
    try:
        by = treatments(Rules.of(profile), before.values())
        lines = lines_of_rules(profile, before.values())
        changed = [
            replace(each, by=by(each.element), lines=tuple(lines.get(each.element.steps, ())))
            for each in differences(before, after)
        ]
    except ValueError as error:
        raise NotShownError(str(error)) from None
    except DicomError:
        raise NotShownError("a pattern of the profile takes too long") from None
    return Preview(output, changed, remaining(before, after))
