"""The files of pydicom's package, which the tests of the engine run on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pydicom.data

PACKAGE: Final = Path(pydicom.data.__file__).parent

# One folder has fifty files that differ in a few digits: one of them is enough.
_ALIKE: Final = re.compile(r"IM0000(?!00)")

# Every file, readable or not.
ALL_FILES: Final = sorted(
    path
    for path in PACKAGE.rglob("*")
    if path.is_file() and path.suffix not in {".py", ".pyc"} and not _ALIKE.match(path.name)
)

# Those that are DICOM, or close to it.
DICOM_FILES: Final = [
    path for path in ALL_FILES if path.suffix in {"", ".dcm"} and path.name != "README"
]


def name_of(path: Path) -> str:
    """Returns the name of a file within the package, for what a test is called."""
    return path.relative_to(PACKAGE).as_posix()
