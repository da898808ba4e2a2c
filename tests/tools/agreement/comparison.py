"""What our engine and the reference make of one file, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deid_service.engine import Deidentifier, DicomError, Plan
from tests.tools.agreement.elements import Place, Value, read_elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.language.model import Profile
    from tests.tools.agreement.reference import Answer


@dataclass(frozen=True)
class Case:
    """A profile and a file.

    Attributes:
        construct: the name of the profile.
        profile: as our language reads it.
        plan: the profile compiled.
        file: the name of the file.
        data: the file.
    """

    construct: str
    profile: Profile
    plan: Plan
    file: str
    data: bytes


@dataclass(frozen=True)
class ElementDifference:
    """An element that is not the same in both outputs; None where there is none.

    Attributes:
        case: where it is.
        path: of the element.
        source: as it is in the input.
        ours: as it is in our output.
        theirs: as it is in the output of the reference.
        passed: what the reference makes of it with a profile that changes nothing.
        source_elements: all elements of the input.
        our_elements: all elements of our output.
        their_elements: all elements of the output of the reference.
    """

    case: Case
    path: Place
    source: Value | None
    ours: Value | None
    theirs: Value | None
    passed: Value | None
    source_elements: dict[Place, Value]
    our_elements: dict[Place, Value]
    their_elements: dict[Place, Value]

    def described(self) -> str:
        """Says what differs."""
        path = ".".join(
            f"({part >> 16:04X},{part & 0xFFFF:04X})" if index % 2 == 0 else str(part)
            for index, part in enumerate(self.path)
        )
        shown = "\n".join(
            f"      {name:<10} {'absent' if value is None else value.described()}"
            for name, value in (
                ("input", self.source),
                ("ours", self.ours),
                ("reference", self.theirs),
                ("unchanged", self.passed),
            )
        )
        return f"{path}\n{shown}"


@dataclass(frozen=True)
class FileDifference:
    """A file of which only one of both makes an output.

    Attributes:
        case: where it is.
        our_error: why there is none of ours; None where there is one.
        their_error: why there is none of theirs; empty where there is one.
        passed_error: why the reference has none even when it changes nothing.
        source_elements: all elements of the input; empty where pydicom cannot read it.
    """

    case: Case
    our_error: DicomError | None
    their_error: str
    passed_error: str
    source_elements: dict[Place, Value]

    def described(self) -> str:
        """Says what differs."""
        ours = "has an output" if self.our_error is None else str(self.our_error)
        theirs = self.their_error or "has an output"
        return f"the file\n      ours       {ours}\n      reference  {theirs}"


@dataclass(frozen=True)
class NameDifference:
    """An output that is called otherwise.

    Attributes:
        case: where it is.
        ours: our name.
        theirs: the name that the reference gives.
        source_elements: all elements of the input.
        our_elements: all elements of our output.
        their_elements: all elements of the output of the reference.
    """

    case: Case
    ours: str
    theirs: str
    our_elements: dict[Place, Value]
    their_elements: dict[Place, Value]

    def described(self) -> str:
        """Says what differs."""
        return f"the name\n      ours       {self.ours}\n      reference  {self.theirs}"


@dataclass(frozen=True)
class ProfileDifference:
    """A profile that the validation of the reference refuses.

    Attributes:
        construct: the name of the profile.
        errors: why it is refused.
    """

    construct: str
    errors: tuple[str, ...]

    def described(self) -> str:
        """Says what differs."""
        return f"the profile\n      ours       valid\n      reference  {'; '.join(self.errors)}"


Difference = ElementDifference | FileDifference | NameDifference | ProfileDifference


# PS3.10 7.1: the length of the file meta, and who wrote the file.
_WRITERS_OWN = frozenset({0x00020000, 0x00020012, 0x00020013})


class Reader:
    """Reads the outputs of one file, most of which are alike."""

    def __init__(self) -> None:
        self._read: dict[bytes, dict[Place, Value]] = {}

    def read(self, data: bytes) -> dict[Place, Value]:
        """Returns the elements of a file."""
        if data not in self._read:
            self._read[data] = read_elements(data)
        return self._read[data]


def compare(case: Case, answer: Answer, passed: Answer, reader: Reader) -> Iterator[Difference]:
    """Yields what differs between our output and that of the reference.

    Args:
        case: the profile and the file.
        answer: what the reference made of it.
        passed: what the reference makes of the file with a profile that changes nothing.
        reader: of this file.
    """
    deidentifier = Deidentifier(case.plan, filename=case.file.rpartition("/")[2])
    our_error = None
    output = b""
    try:
        output = b"".join(deidentifier.receive(case.data))
        result = deidentifier.finish()
        output += b"".join(result.tail)
    except DicomError as error:
        our_error = error
    if our_error is not None or answer.output is None:
        if our_error is None or answer.output is not None:
            yield FileDifference(
                case, our_error, answer.error, passed.error, _read_or_nothing(reader, case.data)
            )
        return
    source = reader.read(case.data)
    ours = reader.read(output)
    theirs = reader.read(answer.output.read_bytes())
    unchanged = reader.read(passed.output.read_bytes()) if passed.output is not None else {}
    differing: set[Place] = set()
    for path in sorted({*ours, *theirs}):
        our, their = ours.get(path), theirs.get(path)
        inside_of_one = any(path[:end] in differing for end in range(1, len(path), 2))
        if inside_of_one or path[0] in _WRITERS_OWN:
            continue
        if our is None or their is None or not our.equals(their):
            differing.add(path)
            yield ElementDifference(
                case, path, source.get(path), our, their, unchanged.get(path), source, ours, theirs
            )
    if result.suggested_filename != answer.name:
        yield NameDifference(case, result.suggested_filename, answer.name, ours, theirs)


def _read_or_nothing(reader: Reader, data: bytes) -> dict[Place, Value]:
    try:
        return reader.read(data)
    except Exception:  # noqa: BLE001
        return {}
