"""The dictionaries that pydicom ships, without the rest of it.

`import pydicom` loads readers, writers and decoders, which takes a fourth of the time in which a
command starts. The modules of these tables import nothing.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, cast


def _module(name: str) -> ModuleType:
    """Returns a module of pydicom, under its own name: who imports pydicom later has it, too."""
    known = sys.modules.get(f"pydicom.{name}")
    if known is not None:
        return known
    package = find_spec("pydicom")  # Does not load it.
    if package is None or package.origin is None:
        raise ModuleNotFoundError("pydicom is not installed")
    spec = spec_from_file_location(f"pydicom.{name}", Path(package.origin).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"pydicom has no {name}")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_PUBLIC: Final = _module("_dicom_dict")

# VR (`US or SS` for two), VM, name, whether retired, and keyword.
Public = tuple[str, str, str, str, str]

# By tag.
DICOM: Final = cast("dict[int, Public]", _PUBLIC.DicomDictionary)

# By tag, with `x` for what may be any digit.
REPEATERS: Final = cast("dict[str, Public]", _PUBLIC.RepeatersDictionary)

# By creator; then by tag, with `xx` for the block: VR, VM, name, and whether retired.
PRIVATE: Final = cast(
    "dict[str, dict[str, tuple[str, str, str, str]]]",
    _module("_private_dict").private_dictionaries,
)

# By UID: name, type, further information, whether retired, and keyword.
UIDS: Final = cast("dict[str, tuple[str, str, str, str, str]]", _module("_uid_dict").UID_dictionary)


# Which digits count, what they are, and the entry: of elements that repeat (PS3.6, `50xx`).
_RANGES: Final = [
    (
        int("".join("0" if digit == "x" else "F" for digit in key), 16),
        int(key.replace("x", "0"), 16),
        entry,
    )
    for key, entry in REPEATERS.items()
]


def public(tag: int) -> Public | None:
    """Returns the entry of an element; that of the range where it is one of several."""
    found = DICOM.get(tag)
    if found is not None:
        return found
    return next((entry for mask, value, entry in _RANGES if tag & mask == value), None)


def private_vr(tag: int, creator: str) -> str | None:
    """Returns the VR of a private element, as a dictionary has it; None where none has it."""
    entries = PRIVATE.get(creator, {})
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    keys = (group + element, f"{group}xx{element[2:]}", f"{group[:2]}xxxx{element[2:]}")
    return next((entries[key][0] for key in keys if key in entries), None)
