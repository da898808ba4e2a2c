"""Files that are nearly alike: series of several kinds, each of which varies and goes wrong.

Made from nothing but a random generator, so that a case is its seed. A `Family` is a few
kinds of files that share file metas: what is learned of one must not be applied to another
that it does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deid_service.engine.encoding.tags import is_creator
from tests.support.engine.build import El, Sq, dicom, el, sq
from tests.support.engine.walk import EXPLICIT, IMPLICIT

if TYPE_CHECKING:
    from random import Random

    from tests.support.engine.build import Part
    from tests.support.engine.walk import Syntax

_TEXTS = {
    "LO": ("ABC äé", 64), "SH": ("ABC", 16), "PN": ("ABC^=é", 64), "ST": ("AB C", 200),
    "DS": ("0123456789", 16), "IS": ("0123456789", 12), "UI": ("1234567890", 60),
    "CS": ("ABC_", 16), "LT": ("AB C", 300), "UN": ("ABC", 40), "OB": ("ABC", 60),
}  # fmt: skip
_NAMES = (
    "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate", "AccessionNumber",
    "Modality", "Manufacturer", "InstitutionName", "ReferringPhysicianName", "StudyDescription",
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientComments",
    "SliceThickness", "KVP", "StudyInstanceUID", "SeriesInstanceUID", "StudyID",
    "InstanceNumber", "SliceLocation", "TextValue", "ROIName", "CodeMeaning",
)  # fmt: skip
_SEQUENCES = (
    "ReferencedStudySequence", "OtherPatientIDsSequence", "RequestAttributesSequence",
    "ContentSequence", "StructureSetROISequence", "ConceptNameCodeSequence",
)  # fmt: skip
_CHARSETS = ("", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 6\\ISO 2022 IR 87", "ISO_IR 999", " ")
_UNKNOWN = (0x00090010, 0x00091002, 0x00091006, 0x00111001, 0x00190010, 0x0019100C, 0x00201234)
_PRIVATE_GROUPS = (0x0009, 0x0019, 0x0029, 0x0043)
_CREATORS = (b"GEMS_IDEN_01", b"ACME", b"GEMS_PARM_01", b"")
_SYNTAX_UIDS = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50", "")
_ITEM = b"\xfe\xff\x00\xe0\x10\0\0\0\x10\0\x10\0\x08\0\0\0Doe^Jane"


@dataclass(frozen=True)
class Kind:
    """A kind of files.

    Attributes:
        parts: of its data sets, in the order of tags.
        varying: the tags of elements whose values differ from file to file.
        syntax: of the data set.
        meta: a number for its file meta.
        transfer_syntax: as the file meta says it.
    """

    parts: tuple[Part, ...]
    varying: frozenset[int]
    syntax: Syntax
    meta: int
    transfer_syntax: str


def family(rng: Random) -> list[Kind]:
    """Returns some kinds of files: others under one file meta, and one under several."""
    kinds = [_kind(rng) for _ in range(rng.randrange(1, 3))]
    for _ in range(rng.randrange(3)):
        kind = rng.choice(kinds)
        match rng.randrange(4):
            case 0:
                other = IMPLICIT if kind.syntax is EXPLICIT else EXPLICIT
                kinds.append(replace(kind, syntax=other))
            case 1:
                kinds.append(replace(kind, transfer_syntax=rng.choice(_SYNTAX_UIDS)))
            case 2:
                kinds.append(replace(kind, parts=_parts(rng, 0)))
            case _:
                kinds.append(replace(kind, meta=rng.randrange(3)))
    return kinds


def file_of(rng: Random, kind: Kind) -> bytes:
    """Returns the next file of a kind: mostly as it should be."""
    parts = [_varied(rng, part, kind.varying) for part in kind.parts]
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        _mutate(rng, parts)
    uid = f"1.2.{rng.randrange(10**6)}"
    meta = [el(0x00020002, f"1.2.{kind.meta}"), el(0x00020003, uid)]
    data = dicom(*parts, syntax=kind.syntax, transfer_syntax=kind.transfer_syntax or "x", meta=meta)
    if not kind.transfer_syntax:
        # The element is there, and empty; the length of the file meta is two less.
        data = data.replace(b"\x02\0\x10\0UI\x02\0x\0", b"\x02\0\x10\0UI\0\0", 1)
        data = data[:140] + bytes([data[140] - 2]) + data[141:]
    if rng.random() < 0.03:
        data = data[: rng.randrange(len(data))]
    return data


def _kind(rng: Random) -> Kind:
    syntax = rng.choice((EXPLICIT, EXPLICIT, IMPLICIT))
    uid = _SYNTAX_UIDS[0] if syntax is EXPLICIT else _SYNTAX_UIDS[1]
    parts = _parts(rng, 0)
    varying = frozenset(tag for tag in _tags(parts) if rng.random() < 0.3)
    return Kind(parts, varying, syntax, rng.randrange(2), uid)


def _tags(parts: tuple[Part, ...]) -> set[int]:
    """Returns the tags at every depth."""
    tags = set()
    for part in parts:
        if isinstance(part, El):
            tags.add(part.tag)
        elif isinstance(part, Sq):
            tags.add(part.tag)
            for item in part.items:
                tags |= _tags(item)
    return tags


def _parts(rng: Random, depth: int) -> tuple[Part, ...]:
    """Returns the elements of a data set or an item, in the order of tags."""
    parts: list[El | Sq] = [
        _value(rng, el(name)) for name in rng.sample(_NAMES, rng.randrange(1, 12 - 3 * depth))
    ]
    if rng.random() < (0.5 if depth == 0 else 0.1):
        parts.append(el("SpecificCharacterSet", rng.choice(_CHARSETS)))
    if depth == 0 and rng.random() < 0.4:
        parts += _private(rng)
    else:
        parts += [
            _value(rng, El(tag, rng.choice(("LO", "UN", "OB", "SH")), ""))
            for tag in rng.sample(_UNKNOWN, rng.randrange(4))
        ]
    if depth < 3:
        for name in rng.sample(_SEQUENCES, rng.randrange(3)):
            items = [_parts(rng, depth + 1) for _ in range(rng.randrange(3))]
            vr = rng.choice(("SQ", "SQ", "SQ", "UN"))
            parts.append(sq(name, *items, undefined=rng.random() < 0.5, vr=vr))
    if depth == 0:
        parts.append(el("Rows", (rng.randrange(999),)))
        if rng.random() < 0.1:
            parts.append(el(0x00100000, (rng.randrange(99),), "UL"))
        if rng.random() < 0.5:
            parts.append(el("PixelData", bytes(rng.choice((40, 6000, 70_000))), "OW"))
    return tuple(sorted(parts, key=lambda part: part.tag))


def _private(rng: Random) -> list[El | Sq]:
    """Returns private groups: creators, and elements in their blocks and beside them."""
    parts: list[El | Sq] = []
    for group in rng.sample(_PRIVATE_GROUPS, rng.randrange(1, 4)):
        blocks = sorted(rng.sample(range(0x10, 0x13), rng.randrange(1, 4)))
        parts += [_value(rng, El(group << 16 | block, "LO", "")) for block in blocks]
        if rng.random() < 0.1:
            blocks.append(0x20)
        for block in blocks:
            for offset in rng.sample(range(2, 8), rng.randrange(4)):
                tag = group << 16 | block << 8 | offset
                if rng.random() < 0.1:
                    parts.append(sq(tag, _parts(rng, 2), undefined=rng.random() < 0.5))
                else:
                    parts.append(_value(rng, El(tag, rng.choice(("LO", "UN", "OB", "SH")), "")))
    return parts


def _value(rng: Random, part: El, length: int | None = None) -> El:
    """Returns an element with another value, of a length."""
    if part.vr == "DA":
        date = rng.choice(("20040119", "19991231", "20040119", "20041301", ""))
        return replace(part, value=date)
    if part.tag >> 16 & 1 and is_creator(part.tag):
        return replace(part, vr="LO", value=rng.choice(_CREATORS))
    if part.vr not in _TEXTS:
        return part
    alphabet, longest = _TEXTS[part.vr]
    if length is None:
        length = rng.randrange(min(longest, 24) + 1)
    if part.vr == "UN":
        # As long as what holds an item, where it is not shorter than any.
        length = rng.choice((0, 4, len(_ITEM), len(_ITEM)))
    length = min(length, longest)
    text = "".join(rng.choice(alphabet) for _ in range(length))
    if part.vr == "UI":
        text = f"1.2.{text}"[: max(length, 3)].rstrip(".") if length else ""
    return replace(part, value=text.encode("latin-1"))


def _varied(rng: Random, part: Part, varying: frozenset[int]) -> Part:
    """Returns a part with other values where a kind varies, at every depth."""
    if isinstance(part, Sq):
        items = tuple(tuple(_varied(rng, each, varying) for each in item) for item in part.items)
        return replace(part, items=items)
    if not isinstance(part, El) or part.tag not in varying or rng.random() < 0.5:
        return part
    value = part.value
    length = len(value) if isinstance(value, bytes | str) else 0
    return _value(rng, part, max(0, length + rng.choice((-2, 0, 0, 0, 2, 4))))


def _mutate(rng: Random, parts: list[Part]) -> None:
    """Does one thing to a file that others of its kind do not have."""
    if not parts:
        return
    index = rng.randrange(len(parts))
    part = parts[index]
    match rng.randrange(14):
        case 0:
            del parts[index]
        case 1:
            parts.insert(index, part)
        case 2:
            parts.append(parts.pop(index))
        case 3:
            parts.insert(index, _value(rng, el(rng.choice(_NAMES))))
        case 4 if isinstance(part, El) and part.vr in _TEXTS:
            parts[index] = replace(part, vr=rng.choice(("LO", "UN", "OB", "SH", "ZZ")))
        case 5 if isinstance(part, El):
            parts[index] = replace(part, value=b"A" * rng.choice((0, 1, 130, 2500, 5000)))
        case 6 if isinstance(part, El):
            parts[index] = replace(part, value=_ITEM)
        case 7 if isinstance(part, Sq):
            parts[index] = replace(part, undefined=not part.undefined)
        case 8 if isinstance(part, Sq):
            parts[index] = replace(part, items=part.items[1:] + part.items[:1] * rng.randrange(3))
        case 9:
            parts[0] = el("SpecificCharacterSet", rng.choice(_CHARSETS))
        case 10 if isinstance(part, Sq) and part.items:
            inner = list(part.items[0])
            _mutate(rng, inner)
            parts[index] = replace(part, items=(tuple(inner), *part.items[1:]))
        case 11 | 12:
            more = rng.choice(_private(rng))
            at = sum(each.tag < more.tag for each in parts if isinstance(each, El | Sq))
            parts.insert(at, more)
        case _:
            parts.insert(index, El(rng.choice(_UNKNOWN), "UN", _ITEM[: rng.choice((4, 8, 24))]))
