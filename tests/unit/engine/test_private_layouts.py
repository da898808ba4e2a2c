"""Private groups are learned as a whole: what is done to them is what the walk would do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import MAX_HELD_BYTES, Plan, compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import El, dicom, el
from tests.support.engine.every_way import Outcome, run
from tests.support.engine.walk import EXPLICIT, IMPLICIT

if TYPE_CHECKING:
    from tests.support.engine.walk import Syntax

PROFILES = {
    "base": "dicom:\n  base: ps3.15-2026c-basic\n  options: [retain-safe-private]\n",
    "kept": "dicom:\n  remove-private-tags: true\n  fields:\n"
    "    - {name: '(0019, \"GEMS_ACQU_01\", 02)'}\n"
    "    - {name: '(0021, \"SIEMENS MED\", 03)', hash: true}\n",
    "block": "dicom:\n  remove-undefined: true\n  fields:\n"
    "    - {name: '(0019, \"GEMS_ACQU_01\", *)'}\n",
    "others": "dicom:\n  fields:\n    - {vr: [LO, SH], dummy: true}\n"
    "    - {others: true, remove: true}\n",
    "removed": "dicom:\n  fields:\n    - {name: '(0019, \"GEMS_ACQU_01\", 02)', remove: true}\n",
    "inserted": "dicom:\n  remove-private-tags: true\n  fields:\n"
    "    - {name: '(0019, \"GEMS_ACQU_01\", 03)', replace-with: 1}\n"
    "    - {name: '(0021, \"GEMS_IDEN_01\", 02)', keep: true}\n",
}
CREATORS = ["GEMS_ACQU_01", "GEMS_IDEN_01", "SIEMENS MED"]
GROUPS = [0x09, 0x19, 0x21]
VRS = ["LO", "SH", "UN"]

PUBLIC = [
    el("StudyDate", "20200102"),
    el("PatientName", "DOE^JANE"),
    el("KVP", "120"),
    el("StudyInstanceUID", "1.2.3"),
    el("Rows", (5,)),
    el("Columns", (5,)),
]


def family(chance: random.Random) -> list[El]:
    """Returns the elements of a family of files, in the order of their tags."""
    parts = chance.sample(PUBLIC, 5)
    for group in chance.sample(GROUPS, chance.randint(1, 3)):
        blocks = chance.sample(range(0x10, 0x13), chance.randint(1, 3))
        parts += [El(group << 16 | block, "LO", chance.choice(CREATORS)) for block in blocks]
        for block in blocks:
            parts += [a_private(chance, group, block) for _ in range(chance.randint(0, 3))]
        if chance.random() < 0.2:
            # A creator that nobody knows is left to the walk, with its group.
            parts.append(El(group + 2 << 16 | 0x10, "LO", "NOBODY"))
    return sorted({part.tag: part for part in parts}.values(), key=lambda part: part.tag)


def a_private(chance: random.Random, group: int, block: int) -> El:
    """Returns an element of a private block."""
    tag = group << 16 | block << 8 | chance.randint(1, 4)
    return El(tag, chance.choice(VRS), chance.choice(["", "JANE", "1234", "123456"]))


def stray(chance: random.Random, parts: list[El]) -> list[El]:
    """Returns the elements of a file that is not quite like its family."""
    parts = list(parts)
    more = a_private(chance, chance.choice(GROUPS), chance.randint(0x10, 0x14))
    index = chance.randrange(len(parts))
    match chance.randrange(8):
        case 0 | 1:
            parts.insert(sum(part.tag < more.tag for part in parts), more)
        case 2:
            parts.insert(index, more)
        case 3:
            parts.append(more)
        case 4:
            parts.append(parts.pop(index))
        case 5:
            del parts[index]
        case 6:
            tag = chance.choice(GROUPS) << 16 | chance.randint(0x10, 0x13)
            parts.insert(index, El(tag, "LO", chance.choice(CREATORS)))
        case _:
            parts[index] = El(parts[index].tag, "LO", "A" * chance.choice([1, 2, 60, 900]))
    return parts


def outcomes(name: str, syntax: Syntax, seeds: range) -> Iterator[tuple[int, bool]]:
    """Yields how much of each stray file went by layouts, and whether it became what it should."""
    profile = parse_profile(PROFILES[name])
    unlearned = compile_plan(profile, learn=False)
    for seed in seeds:
        chance = random.Random(seed)  # noqa: S311
        parts = family(chance)
        learned = compile_plan(profile)
        max_held = chance.choice([MAX_HELD_BYTES, MAX_HELD_BYTES, 400, 900])
        for _ in range(6):
            become(learned, parts, syntax, max_held)
        strays = [parts]
        for _ in range(12):
            strays.append(stray(chance, chance.choice([parts, strays[-1]])))
            found = become(learned, strays[-1], syntax, max_held)
            expected = become(unlearned, strays[-1], syntax, max_held)
            yield found.applied_bytes, found == expected
        assert not any(layouts.refused for layouts in learned.metas.layouts())


def become(plan: Plan, parts: list[El], syntax: Syntax, max_held: int) -> Outcome:
    """Returns what becomes of a file."""
    return run(plan, [dicom(*parts, syntax=syntax)], max_held=max_held)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
def test_files_that_stray(name: str, syntax: Syntax) -> None:
    """A file that strays from those that were learned becomes what it is without learning."""
    found = list(outcomes(name, syntax, range(25)))

    assert all(is_as_walked for _, is_as_walked in found)
    assert sum(applied > 0 for applied, _ in found) >= 10


def test_more_of_a_group_behind_a_layout() -> None:
    """A creator that went with all of its block stays where more of the block follows."""
    plan = compile_plan(parse_profile(PROFILES["kept"]))
    start = [*PUBLIC[:3], El(0x00190010, "LO", "GEMS_ACQU_01"), El(0x00191001, "LO", "a")]
    end = [El(0x00210010, "LO", "NOBODY"), *PUBLIC[3:]]
    series = [become(plan, [*start, *end], EXPLICIT, MAX_HELD_BYTES) for _ in range(6)]
    more = [*start, El(0x00191002, "DS", "1"), *end]

    found = become(plan, more, EXPLICIT, MAX_HELD_BYTES)

    assert series[-1].applied_bytes > 0
    assert b"GEMS_ACQU_01" not in series[-1].output
    assert b"GEMS_ACQU_01" in found.output
    assert found == become(
        compile_plan(parse_profile(PROFILES["kept"]), learn=False), more, EXPLICIT, MAX_HELD_BYTES
    )


@pytest.mark.parametrize("creator", ["GEMS_ACQU_01", "DOE^JANE"])
def test_creators_that_layouts_hold(creator: str) -> None:
    """Layouts hold the creators of vendors, and no other text that stands in their place."""
    plan = compile_plan(parse_profile(PROFILES["kept"]))
    group = [El(0x00190010, "LO", creator), El(0x00191001, "LO", "a")]
    for _ in range(6):
        become(plan, [*PUBLIC[:3], *group, *PUBLIC[3:]], EXPLICIT, MAX_HELD_BYTES)

    held = {
        block.creator
        for layouts in plan.metas.layouts()
        for known in layouts.known.values()
        for layout in known
        for block in layout.blocks
    }

    assert held == {creator} & {"GEMS_ACQU_01"}


def test_a_series_with_private_elements() -> None:
    """A series with private groups goes by what was learned, and is counted as the first file."""
    plan = compile_plan(parse_profile(PROFILES["base"]))
    group = [
        El(0x00190010, "LO", "GEMS_ACQU_01"),
        El(0x00190011, "LO", "SIEMENS MED"),
        El(0x00191002, "SL", b"\1\0\0\0"),
        El(0x00191103, "LO", "a"),
    ]

    found = [become(plan, [*PUBLIC[:3], *group, *PUBLIC[3:]], EXPLICIT, 10_000) for _ in range(6)]

    assert found[0].applied_bytes == 0
    assert found[-1].applied_bytes > 100
    assert found[-1] == found[0]
    assert b"GEMS_ACQU_01" in found[0].output
    assert b"SIEMENS MED" not in found[0].output
