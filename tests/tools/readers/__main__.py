"""Opens outputs of the engine with pydicom, DCMTK, GDCM, dciodvfy (python -m tests.tools.readers).

For every file of pydicom's package and several profiles: no reader complains of
an output about anything but what it already said of the input. Of dciodvfy,
which checks what a data set must contain, errors about elements that the
profile removed or emptied do not count.

Needs the commands dcmdump, gdcminfo and dciodvfy (on Debian: dcmtk,
libgdcm-tools, dicom3tools).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pydicom
from pydicom.datadict import keyword_for_tag

from deid_service.engine import DicomError, deidentify
from tests.support.engine.files import DICOM_FILES, name_of
from tests.support.engine.walk import UnreadableError, every_element, read_file
from tests.tools.readers.profiles import PROFILES, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = {"dcmdump": "dcmtk", "gdcminfo": "libgdcm-tools", "dciodvfy": "dicom3tools"}

# What differs from run to run or is a value: file names, numbers, quoted texts.
_VARYING = re.compile(r"\([^)]*\)|/\S+|0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"|\[[^\]]*\]")

_WARNINGS = threading.Lock()


def pydicom_says(path: Path) -> set[str]:
    """Reads a file, looks at every value, and returns what pydicom warns of."""
    # Warnings are the process's: what other threads read at the same time is not to be caught.
    with _WARNINGS, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            data_set = pydicom.dcmread(path, force=True)
            for element in data_set.iterall():
                str(element.value)
        except Exception as error:  # noqa: BLE001 - whatever it says is what is compared
            return {_general(f"{type(error).__name__}: {error}")}
    return {_general(str(each.message)) for each in caught}


def dcmdump_says(path: Path) -> set[str]:
    """Returns the warnings and errors of dcmdump."""
    ended = _run("dcmdump", path)
    lines = {_general(line) for line in ended.stderr.splitlines() if line[:2] in {"W:", "E:", "F:"}}
    return lines | ({f"exit code {ended.returncode}"} if ended.returncode else set())


def gdcminfo_says(path: Path) -> set[str]:
    """Returns the warnings and errors of gdcminfo."""
    ended = _run("gdcminfo", path)
    lines = {_general(line) for line in ended.stderr.splitlines() if line.strip()}
    return lines | ({f"exit code {ended.returncode}"} if ended.returncode else set())


def dciodvfy_says(path: Path) -> set[str]:
    """Returns the errors of dciodvfy."""
    lines = _run("dciodvfy", path).stderr.splitlines()
    return {_general(line, keep_names=True) for line in lines if line.startswith("Error")}


# What dciodvfy says of an input where it stops reading, and so does not see the rest.
_STOPPED = "not valid DICOM"

READERS: dict[str, Callable[[Path], set[str]]] = {
    "pydicom": pydicom_says,
    "dcmdump": dcmdump_says,
    "gdcminfo": gdcminfo_says,
    "dciodvfy": dciodvfy_says,
}


def main() -> int:
    """Compares what readers say of inputs and outputs; returns 1 for any new complaint."""
    missing = {package for command, package in PACKAGES.items() if shutil.which(command) is None}
    if missing:
        print(f"Missing: {', '.join(sorted(missing))} (packages of Debian).", file=sys.stderr)
        return 1
    complaints = 0
    outputs = 0
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        jobs = [(path, Path(folder) / str(number)) for number, path in enumerate(DICOM_FILES)]
        for lines, checked in pool.map(lambda job: _compare(*job), jobs):
            outputs += checked
            complaints += len(lines)
            for line in lines:
                print(line)
    print(f"{outputs} outputs in {len(READERS)} readers: {complaints} new complaints")
    return 1 if complaints else 0


def _compare(path: Path, folder: Path) -> tuple[list[str], int]:
    """Returns what is new about the outputs of one file, and how many there were."""
    data = path.read_bytes()
    folder.mkdir()
    # pydicom takes a directory for one only by its name.
    source = folder / path.name
    source.write_bytes(data)
    before = {name: reader(source) for name, reader in READERS.items()}
    if any(_STOPPED in line for line in before["dciodvfy"]):
        del before["dciodvfy"]
    found = []
    checked = 0
    for profile_name in PROFILES:
        try:
            output = deidentify(data, compiled(profile_name))
        except DicomError:
            continue
        if _is_empty(output):
            # Nothing is left to read: some readers stop at that.
            continue
        checked += 1
        target = folder / "out.dcm"
        target.write_bytes(output)
        lost = _lost(data, output)
        for name, said in before.items():
            found += [
                f"{name_of(path)}, {profile_name}, {name}: {line}"
                for line in sorted(READERS[name](target) - said)
                if name != "dciodvfy" or not any(keyword in line for keyword in lost)
            ]
    return found, checked


def _is_empty(output: bytes) -> bool:
    try:
        return not read_file(output).elements
    except UnreadableError:
        return False


def _lost(data: bytes, output: bytes) -> set[str]:
    """Returns the keywords of elements that an output does not have, or has without a value."""
    try:
        before, after = read_file(data).elements, read_file(output).elements
    except UnreadableError:
        return set()
    tags = {each.tag for each in every_element(before)} - {
        each.tag for each in every_element(after)
    }
    tags |= {each.tag for each in every_element(after) if not each.value and not each.items}
    return {keyword for tag in tags if (keyword := keyword_for_tag(tag))}


def _run(command: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, path], capture_output=True, text=True, errors="replace", check=False
    )


def _general(line: str, *, keep_names: bool = False) -> str:
    """Returns a message without what is particular to a file."""
    if keep_names:
        return re.sub(r"\d+(\.\d+)*", "_", line)
    return _VARYING.sub("_", line)


if __name__ == "__main__":
    sys.exit(main())
