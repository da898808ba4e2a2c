"""Random profiles on random data sets: the engine does what a plain reading of the rules does."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import compile_plan
from profile_service.language import parse_profile
from tests.support.engine.build import SYNTAXES, dicom, el, encode, sq
from tests.support.engine.every_way import every_way
from tests.support.engine.expectation import assert_equals, expected
from tests.support.engine.walk import read_file

if TYPE_CHECKING:
    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

CASES = 40
BATCHES = 4

_SEQUENCES = ("ReferencedStudySequence", "OtherPatientIDsSequence", "RequestAttributesSequence")
_VALUES = {
    "StudyDate": ("20040119", "19991231", ""),
    "SOPInstanceUID": ("1.2.3.4.5.6", "1.2", ""),
    "InstitutionName": ("Hospital", ""),
    "PatientName": ("Doe^John", "A", ""),
    "PatientID": ("1CT1", "A\\B", ""),
    "PatientComments": ("some text", ""),
    "StudyID": ("7", ""),
}
_CREATORS = ("GEMS_IDEN_01", "ACME")

# Selectors with what can be done to them: at the top level, or everywhere with recursion.
_PLAIN = {
    "PatientName": ("keep", "remove", "replace", "empty", "hash"),
    "PatientID": ("keep", "remove", "replace", "empty", "hash"),
    "StudyDate": ("keep", "remove", "empty", "increment"),
    "SOPInstanceUID": ("keep", "hashuid"),
    "InstitutionName": ("remove", "replace", "empty", "hash"),
    "PatientComments": ("keep", "replace", "empty"),
    "ReferencedStudySequence": ("keep", "remove", "empty"),
    "OtherPatientIDsSequence": ("keep", "remove", "empty"),
    "'(0009, \"GEMS_IDEN_01\", 02)'": ("keep", "remove", "replace", "empty"),
    "'(0009, \"GEMS_IDEN_01\", 04)'": ("keep", "remove", "replace"),
    "'(0009, \"GEMS_IDEN_01\", *)'": ("keep", "remove", "replace", "empty", "hash"),
    "'(0010,xxxx)'": ("keep", "remove", "replace", "empty", "hash"),
    "40xxxxxx": ("keep", "remove"),
}
# The same at every depth, whatever the settings say.
_EVERY_DEPTH = {
    "'**.PatientID'": ("keep", "remove", "replace", "empty", "hash"),
    "'**.StudyDate'": ("keep", "increment", "empty"),
    "'**.SOPInstanceUID'": ("keep", "hashuid"),
    "'**.OtherPatientIDsSequence'": ("keep", "remove", "empty"),
    "'**.(0009, \"GEMS_IDEN_01\", 02)'": ("keep", "remove", "empty"),
    "'**.(0009, \"ACME\", *)'": ("keep", "remove", "empty"),
    "'**.(0010,xxxx)'": ("keep", "remove", "empty"),
}
_DOTTED = {
    "'OtherPatientIDsSequence.*.(0010,xxxx)'": ("remove", "empty"),
    "'OtherPatientIDsSequence.1.(0009, \"ACME\", *)'": ("remove", "keep"),
    "OtherPatientIDsSequence.0.PatientID": ("keep", "remove", "replace", "empty", "hash"),
    "OtherPatientIDsSequence.*.PatientID": ("keep", "remove", "replace", "empty", "hash"),
    "OtherPatientIDsSequence.2.PatientName": ("replace", "remove"),
    "ReferencedStudySequence.*.OtherPatientIDsSequence.1.StudyID": ("replace", "keep"),
    "ReferencedStudySequence.0.OtherPatientIDsSequence.0.StudyID": ("replace", "keep", "remove"),
    "RequestAttributesSequence.*.ReferencedStudySequence": ("remove", "empty", "keep"),
}
_REGEXES = {
    ".*PatientID$": ("keep", "remove", "replace", "empty", "hash"),
    "Patient(Name|ID)": ("keep", "remove", "replace", "empty"),
    r".*Sequence\.1\.": ("keep", "remove"),
    r"00081110\.\d\.00100010": ("keep", "remove", "replace", "empty"),
    ".*Date": ("keep", "remove", "increment"),
    ".*ReferencedStudySequence$": ("keep", "remove", "empty"),
    "(?!.*Name)Patient": ("keep", "remove"),
}
_ACTIONS = {
    "keep": "keep: true",
    "remove": "remove: true",
    "replace": "replace-with: {}",
    "empty": "replace-with: ''",
    "hash": "hash: true",
    "hashuid": "hashuid: true",
    "increment": "increment-date: true",
}


def random_elements(rng: Random, depth: int) -> list[Part]:
    """Returns the elements of a data set or an item, in the order of tags."""
    chosen = [
        el(name, rng.choice(values)) for name, values in _VALUES.items() if rng.random() < 0.5
    ]
    parts: list[tuple[int, Part]] = [(each.tag, each) for each in chosen]
    if rng.random() < 0.3:
        parts.append((0x00280010, el("Rows", (rng.randrange(9),))))
    if depth < 3:
        for name in _SEQUENCES:
            if rng.random() < 0.4:
                items = [random_elements(rng, depth + 1) for _ in range(rng.randrange(3))]
                vr = "UN" if rng.random() < 0.1 else "SQ"
                part = sq(name, *items, undefined=rng.random() < 0.5, vr=vr)
                parts.append((part.tag, part))
    if rng.random() < 0.4:
        for number, creator in enumerate(rng.sample(_CREATORS, rng.randrange(1, 3)), 0x10):
            parts.append((0x00090000 | number, el(0x00090000 | number, creator, "LO")))
            parts += [
                (tag, el(tag, "v", "SH"))
                for offset in (2, 4)
                if rng.random() < 0.7 and (tag := 0x00090000 | number << 8 | offset)
            ]
    parts.sort(key=lambda part: part[0])
    if rng.random() < 0.3 and (patient := [part for tag, part in parts if tag >> 16 == 0x10]):
        length = el(0x00100000, (len(encode(patient)),), "UL")
        index = next(i for i, (tag, _) in enumerate(parts) if tag >> 16 == 0x10)
        parts.insert(index, (length.tag, length))
    return [part for _, part in parts]


def random_profile(rng: Random) -> str:
    """Returns the text of a profile."""
    recurses = rng.random() < 0.3
    selectors = [(f"name: {name}", actions) for name, actions in _PLAIN.items()]
    selectors += [(f"name: {name}", actions) for name, actions in _EVERY_DEPTH.items()]
    selectors += [(f"regex: '{regex}'", actions) for regex, actions in _REGEXES.items()]
    if not recurses:
        selectors += [(f"name: {name}", actions) for name, actions in _DOTTED.items()]
    lines = ["dicom:", "  date-increment: -17", f"  recurse-sequence: {str(recurses).lower()}"]
    lines += [
        f"  {setting}: {str(rng.random() < 0.25).lower()}"
        for setting in ("remove-private-tags", "remove-undefined")
    ]
    lines.append(f"  replace-with-insert: {str(rng.random() < 0.7).lower()}")
    lines.append("  fields:")
    for _ in range(rng.randrange(1, 6)):
        selector, actions = rng.choice(selectors)
        action = _ACTIONS[rng.choice(actions)].format(rng.choice(("X", "LONGER TEXT")))
        lines.append(f"    - {{{selector}, {action}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("batch", range(BATCHES))
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_random_profiles(batch: int, syntax: Syntax) -> None:
    """The output is what the rules give when they run one after the other over the whole tree."""
    rng = Random(batch)  # noqa: S311
    for _ in range(CASES):
        text = random_profile(rng)
        profile = parse_profile(text)
        data = dicom(*random_elements(rng, 0), syntax=syntax)

        outcome = every_way(data, compile_plan(profile))

        assert outcome.error is None, f"{outcome.error}\n{text}"
        before = read_file(data)
        try:
            assert_equals(
                expected(before.elements, syntax, profile), read_file(outcome.output).elements
            )
        except AssertionError as error:
            raise AssertionError(f"{text}\n{error}") from error
