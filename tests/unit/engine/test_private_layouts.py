"""Private groups are learned as a whole: what is done to them is what the walk would do."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import El, Sq, dicom, el, sq
from tests.support.engine.every_way import run
from tests.support.engine.walk import EXPLICIT, IMPLICIT

if TYPE_CHECKING:
    from tests.support.engine.walk import Syntax

CREATORS = ["GEMS_ACQU_01", "GEMS_IDEN_01", "SIEMENS MED", "NOBODY"]
PROFILES = {
    "base": "dicom:\n  base: ps3.15-2026c-basic\n  options: [retain-safe-private]\n",
    "kept": "dicom:\n  remove-private-tags: true\n  fields:\n"
    "    - {name: '(0019, \"GEMS_ACQU_01\", 02)'}\n"
    "    - {name: '(0021, \"NOBODY\", 03)', hash: true}\n",
    "block": "dicom:\n  remove-undefined: true\n  fields:\n"
    "    - {name: '(0019, \"GEMS_ACQU_01\", *)'}\n",
    "others": "dicom:\n  fields:\n    - {vr: [LO, SH], dummy: true}\n"
    "    - {others: true, remove: true}\n",
}

# A group: its creators by block, and its elements with their VRs.
Group = tuple[int, list[tuple[int, str]], list[tuple[int, str]]]


def family(chance: random.Random) -> list[Group]:
    """Returns how the private groups of a family of files are laid out."""
    groups = []
    for group in sorted(chance.sample([0x09, 0x11, 0x19, 0x21], chance.randint(1, 3))):
        blocks = sorted(chance.sample(range(0x10, 0x14), chance.randint(1, 3)))
        elements = {
            group << 16 | block << 8 | offset: chance.choice(["LO", "SH", "DS", "SL", "UN"])
            for block in blocks
            for offset in chance.sample(range(20), chance.randint(0, 6))
        }
        if chance.random() < 0.2:
            # It stands in no block that has a creator.
            elements[group << 16 | 0x2005] = "LO"
        creators = [(block, chance.choice(CREATORS)) for block in blocks]
        groups.append((group, creators, sorted(elements.items())))
    return groups


def a_file(
    chance: random.Random, groups: list[Group], number: int, *, strays: bool
) -> list[El | Sq]:
    """Returns the elements of a file of a family, or of one that strays from it."""
    parts: list[El | Sq] = [
        el("StudyDate", "20200102"),
        el("PatientName", "DOE^JANE"),
        el("StudyInstanceUID", "1.2.3"),
        el("InstanceNumber", str(number)),
    ]
    for group, creators, elements in groups:
        for block, creator in creators:
            other = chance.choice(CREATORS) if strays and chance.random() < 0.2 else creator
            parts.append(El(group << 16 | block, "LO", other))
        for tag, vr in elements:
            if strays and chance.random() < 0.1:
                continue
            text = "JANE" if chance.random() < 0.1 else str(number * chance.choice([1, 77]))
            parts.append(El(tag, vr, b"\1\0\0\0" if vr == "SL" else text))
            if strays and chance.random() < 0.05:
                parts.append(sq(tag | 0x80, [El(0x00190010, "LO", "GEMS_ACQU_01")]))
    parts.sort(key=lambda part: part.tag)
    if strays and chance.random() < 0.3:
        one, other_one = chance.randrange(len(parts)), chance.randrange(len(parts))
        parts[one], parts[other_one] = parts[other_one], parts[one]
    return parts


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_families(name: str, syntax: Syntax) -> None:
    """Files of a family, and those that stray, become the same learned and unlearned."""
    profile = parse_profile(PROFILES[name])
    applied = 0
    for seed in range(12):
        chance = random.Random(seed)  # noqa: S311
        groups = family(chance)
        learned, unlearned = compile_plan(profile), compile_plan(profile, learn=False)
        for number in range(10, 26):
            data = dicom(
                *a_file(chance, groups, number, strays=number > 18 and chance.random() < 0.6),
                syntax=syntax,
            )
            found = run(learned, [data])
            assert found == run(unlearned, [data]), (seed, number)
            applied += found.applied_bytes > 100
        assert not any(layouts.refused for layouts in learned.metas.layouts())
    if name == "base":
        assert applied > 12


def test_whole_files() -> None:
    """A series with private elements goes by what was learned, from end to end."""
    plan = compile_plan(parse_profile(PROFILES["base"]))
    groups: list[Group] = [
        (0x19, [(0x10, "GEMS_ACQU_01"), (0x11, "NOBODY")], [(0x00191002, "SL"), (0x00191103, "LO")])
    ]
    chance = random.Random(1)  # noqa: S311

    found = [
        run(plan, [dicom(*a_file(chance, groups, number, strays=False))])
        for number in range(10, 22)
    ]

    assert found[-1].applied_bytes > 100
    assert b"GEMS_ACQU_01" in found[-1].output
    assert b"NOBODY" not in found[-1].output
    assert found[-1].actions == found[0].actions


def test_more_of_a_group_out_of_order() -> None:
    """What stands behind a layout, and in a group that is in it, is of the creators in it."""
    plan = compile_plan(parse_profile(PROFILES["base"]))
    group = [El(0x00190010, "LO", "GEMS_ACQU_01"), El(0x00191002, "SL", b"\1\0\0\0")]
    rest = [el("PatientWeight", "70"), el("StudyInstanceUID", "1.2.3")]
    start = [el("StudyDate", "20200102"), el("PatientName", "DOE^JANE")]
    ordered = sorted([*start, *group, *rest], key=lambda part: part.tag)
    for _ in range(8):
        assert run(plan, [dicom(*ordered)]).error is None
    late = dicom(*ordered, El(0x00191003, "SL", b"\2\0\0\0"))

    unlearned = compile_plan(parse_profile(PROFILES["base"]), learn=False)

    assert run(plan, [late]) == run(unlearned, [late])
