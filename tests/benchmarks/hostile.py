"""What each action and setting costs at the worst: time per byte, longest call, output, memory.

For each, a file of about a quarter of a mebibyte is made of what is the most work in the fewest
bytes. It is de-identified twice: once for the computing time, in calls as a server makes
them (what is not done in one waits for the next), and once for the memory that Python
holds for it beside the input. Time is that of the fastest of a few runs.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import thread_time

from rich.console import Console
from rich.table import Table

from deid_service.engine import Deidentifier, DicomError, Plan, compile_plan
from deid_service.engine.limits import MAX_VALUES
from deid_service.engine.texts.cleaner import MAX_CHARACTERS
from deid_service.engine.texts.identity import MAX_OF_A_KIND
from deid_service.engine.walk.output import Buffer
from profile_service.language import parse_profile
from tests.support.engine.build import El, Part, dicom, el, sq

SIZE = 1 << 18
RUNS = 2

_LATER = (
    "regex-sub: [{input-regex: '.*', output: '{PatientID}{StudyID}', "
    "groups: [{name: PatientID}, {name: StudyID}]}]"
)
_MOVED = "  date-increment: -17\n"

# Behind the name of the patient.
_CLEANED = (
    "AdditionalPatientHistory",
    "PatientComments",
    "AcquisitionComments",
    "ImageComments",
    "RequestedProcedureComments",
)


@dataclass(frozen=True)
class Case:
    """The worst input of an action or a setting.

    Attributes:
        what: the action or setting.
        of: what the input is made of.
        data: the file.
        rules: of the profile.
        settings: of the profile, each on a line with two spaces before it.
    """

    what: str
    of: str
    data: bytes
    rules: str = ""
    settings: str = ""

    def plan(self) -> Plan:
        """Compiles the profile."""
        rules = "".join(f"  - {{{rule}}}\n" for rule in self.rules.splitlines())
        text = f"dicom:\n{self.settings}  fields:{' []' if not rules else ''}\n{rules}"
        return compile_plan(parse_profile(text))


def cases() -> Iterator[Case]:
    """Yields all cases."""
    nothing = "name: PatientName, remove: true"
    empty = [el(tag, b"", "LO") for tag in range(0x00110001, 0x00110001 + SIZE // 8)]
    yield Case("(no rule)", "empty elements", dicom(*empty), nothing)
    yield Case("remove", "empty elements", dicom(*empty), "regex: '0011', remove: true")
    yield Case("replace-with", "empty elements", dicom(*empty), "regex: '0011', replace-with: X")
    text = el("TextValue", "x" * SIZE)
    yield Case("hash", "one long text", dicom(text), "name: TextValue, hash: true")
    code = "name: ReferencedStudySequence.*.LongCodeValue"
    for action, value, settings in (
        ("hash: true", "1", ""),
        ("hash: true", "a^ ", "  hash-normalize: true\n  hash-ignore-case: true\n"),
        ("hashuid: true", "1", ""),
        ("increment-date: true", "20040119", _MOVED),
        ("increment-date: true, jitter-date: true", "20040119", _MOVED),
        ("increment-date: true, date-format: '%Y'", "2004", _MOVED),
        ("increment-datetime: true", "2004", _MOVED),
        ("increment-datetime: true, datetime-format: '%y'", "04", _MOVED),
        ("jitter: true", "1", ""),
    ):
        data = dicom(sq("ReferencedStudySequence", *_items(_list(value, MAX_VALUES))))
        yield Case(action.replace(": true", ""), "lists", data, f"{code}, {action}", settings)
    few = dicom(sq("ReferencedStudySequence", *_items(_list("1", MAX_VALUES // 3))))
    substitute = "regex-sub: [{input-regex: '(?P<a>.)', output: '{a}.', groups: [{name: a}]}]"
    yield Case("regex-sub", "lists", few, f"{code}, {substitute}")
    mixed = dicom(
        el("SpecificCharacterSet", "ISO 2022 IR 144\\ISO 2022 IR 126"),
        sq(
            "ReferencedStudySequence",
            *_items(el("TextValue", b"\xbb\x1b-F\xe1\t" * 2500, "UT")),
        ),
    )
    copy = "regex-sub: [{input-regex: '(?P<a>(?s:.*))', output: '{a}', groups: [{name: a}]}]"
    yield Case(
        "regex-sub",
        "text in two character sets",
        mixed,
        code.replace("LongCode", "Text") + f", {copy}",
    )
    waiting = [[el("StudyDescription", "x")]] * (MAX_VALUES // 3)
    repeated = [el("PatientID", "1")] * (SIZE // 10)
    yield Case(
        "regex-sub",
        "values that wait for later elements",
        dicom(sq("ReferencedStudySequence", *waiting), *repeated, el("StudyID", "2")),
        f"name: ReferencedStudySequence.*.StudyDescription, {_LATER}",
    )
    patterns = "\n".join(f"regex: '.*Name{number}', remove: true" for number in range(100))
    few_tags = dicom(*[el(tag, b"", "LO") for tag in range(0x00111001, 0x00111001 + 3000)])
    yield Case("regex", "new tags, 100 patterns", few_tags, patterns)
    items = dicom(sq("ReferencedStudySequence", *[[el("StudyID", "")]] * (SIZE // 16)))
    yield Case("regex", "items", items, "regex: '.*StudyID', replace-with: X")
    yield Case("recurse-sequence", "items", items, "name: StudyID, replace-with: X",
               "  recurse-sequence: true\n")  # fmt: skip
    yield Case("path with *", "items", items,
               "name: ReferencedStudySequence.*.StudyID, replace-with: X")  # fmt: skip
    nested: Part = el("PatientID", "1")
    for _ in range(90):
        nested = sq("OtherPatientIDsSequence", [nested])
    yield Case("remove-undefined", "nested sequences", dicom(*[nested] * (SIZE // 1900)),
               nothing, "  remove-undefined: true\n  recurse-sequence: true\n")  # fmt: skip
    blocks = [
        el(group << 16 | block, f"C{block}", "LO")
        for group in range(0x0011, 0x0031, 2)
        for block in range(0x10, 0xFF)
    ]
    yield Case(
        "remove-private-tags",
        "private creators",
        dicom(*blocks),
        "name: '(0011, \"C1\", 01)', keep: true",
        "  remove-private-tags: true\n",
    )
    dates = [el("StudyDate", "20040119"), el("PatientBirthDate", "19640119")]
    yield Case(
        "patient-age-from-birthdate",
        "ages",
        dicom(*dates, *[el("PatientAge", "001Y")] * (SIZE // 12)),
        nothing,
        "  patient-age-from-birthdate: true\n",
    )
    combining = [
        el("SpecificCharacterSet", "ISO_IR 192"),
        el("SOPInstanceUID", "1.2.3"),
        el("Modality", "a" + "\u0327\u0301" * (SIZE // 4), "UT"),
    ]
    base = "  base: ps3.15-2026c-basic\n  options: [clean-descriptors]\n  salt: nobody's\n"
    identity = el("SOPInstanceUID", "1.2")
    names = [el("PatientName", "Ab^C")] * (SIZE // 12)
    yield Case("base", "names", dicom(*names), nothing, base)
    # As long as a text may be that is looked through, in every element that is cleaned.
    for of, said in (("long texts", "Jane doe "), ("long texts, letter by letter", "J.a n-e ")):
        long = (said * MAX_CHARACTERS)[:MAX_CHARACTERS]
        texts = [el(name, long, "UT") for name in _CLEANED]
        who = el("PatientName", "Doe^Jane")
        yield Case("base", of, dicom(identity, who, *texts), nothing, base)
    # Of whom as much is said as may be, all alike; and a text of what nearly is that.
    alike = [[el("PatientName", f"Zqxwvk{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}^{n}")]
             for n in range(MAX_OF_A_KIND - 100)]  # fmt: skip
    near = el("ImageComments", ("zqxwvkzqz " * MAX_CHARACTERS)[:MAX_CHARACTERS], "UT")
    people = sq("ReferencedStudySequence", *alike)
    yield Case("base", "names that begin alike", dicom(identity, people, near), nothing, base)
    visit = [el("StudyDate", "20040119")]
    visits = sq("ReferencedStudySequence", *[visit] * (SIZE // 24))
    yield Case("base", "items", dicom(identity, visits), nothing, base)
    late = "name: PatientName, remove: true, when: {present: [ImageComments]}"
    yield Case("when", "empty elements", dicom(*[el("ImageType")] * (SIZE // 8)), late)
    yield Case("filenames", "combining characters", dicom(*combining), nothing)
    zeros = dicom(el("Rows", (1,)), el("PixelData", bytes(64 * SIZE), "OB"), deflated=True)
    yield Case("(deflated)", "64 MiB of zeros", zeros, nothing)


def _list(value: str, count: int) -> El:
    return el("LongCodeValue", "\\".join([value] * count), "UC")


def _items(part: El) -> list[list[Part]]:
    size = len(part.value) + 20
    return [[part]] * max(SIZE // size, 1)


def main() -> int:
    """Prints the table."""
    console = Console(width=130)
    table = Table("action or setting", "input of", "KiB", "us per byte", "longest call",
                  "output", "memory")  # fmt: skip
    for case in cases():
        measured = _measured(case)
        print(case.what, case.of, *measured, sep="\t", file=sys.stderr)
        table.add_row(case.what, case.of, f"{len(case.data) / 1024:,.0f}", *measured)
    console.print(table)
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _measured(case: Case) -> tuple[str, str, str, str]:
    """Returns time per byte, the longest call, the output as a multiple, and memory."""
    seconds = longest = float("inf")
    size = 0
    outcome = ""
    for _ in range(RUNS):
        calls: list[float] = []
        try:
            size = _run(case, calls)
        except DicomError as error:
            outcome = str(error.reason)
        seconds, longest = min(seconds, sum(calls)), min(longest, max(calls))
    gc.collect()
    tracemalloc.start()
    with suppress(DicomError):
        _run(case, [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (
        f"{seconds * 1e6 / len(case.data):.3f}",
        f"{longest * 1e3:.0f} ms",
        outcome or f"{size / len(case.data):.1f} x",
        f"{peak / 2**20:.1f} MiB",
    )


def _run(case: Case, calls: list[float]) -> int:
    """De-identifies the file by a new plan, and returns how long the output is."""
    deidentifier = Deidentifier(case.plan())
    size = 0

    def call(act: Callable[[], list[Buffer]]) -> None:
        nonlocal size
        started = thread_time()
        try:
            size += sum(map(len, act()))
        finally:
            calls.append(thread_time() - started)

    def ended() -> list[Buffer]:
        deidentifier.end()
        return []

    for act in (partial(deidentifier.receive, case.data), ended):
        call(act)
        while deidentifier.pending:
            call(deidentifier.go_on)
    started = thread_time()
    size += sum(map(len, deidentifier.finish().tail))
    calls.append(thread_time() - started)
    return size
