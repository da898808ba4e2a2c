"""The engine beside other engines: time per file as ratios, and memory on large files.

Each file is de-identified in memory, over and over; the shortest time counts. A
series is de-identified from its first file to its last by an engine that has seen
none like it. The peers run in an environment of their own, which the benchmark installs, one
after the other with ours on every file. Memory is measured in a process of its
own for each case.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary
from pydicom.data import get_testdata_file
from rich.console import Console
from rich.table import Table

from deid_service.engine import deidentify
from profile_service.language import parse_profile
from profile_service.language.model import Profile
from tests.benchmarks._files import multi_frame, slices, structure_set
from tests.benchmarks._peers import ask_peer, peers_python
from tests.benchmarks._timing import best
from tests.support.engine.keys import compiled_with_keys

SECONDS = 1.0
KEYED_ROUNDS = 3
PEERS = ("fw-file-rs", "dcmanon", "flywheel-migration")
PEER_SCRIPT = Path(__file__).with_name("_peer_engines.py")

_TWELVE = """\
    - {name: PatientName, replace-with: ANON}
    - {name: PatientID, hash: true}
    - {name: PatientBirthDate, remove: true}
    - {name: AccessionNumber, remove: true}
    - {name: InstitutionName, replace-with: ''}
    - {name: ReferringPhysicianName, remove: true}
    - {name: StudyDate, increment-date: true}
    - {name: SeriesDate, increment-date: true}
    - {name: StudyInstanceUID, hashuid: true}
    - {name: SeriesInstanceUID, hashuid: true}
    - {name: SOPInstanceUID, hashuid: true}
    - {name: StudyDescription, replace-with: STUDY}
"""
DCMANON_ACTIONS = {
    "00100010": {"action": "replace", "value": "ANON"},
    "00100020": {"action": "hash", "length": 16},
    "00100030": {"action": "remove"},
    "00080050": {"action": "remove"},
    "00080080": {"action": "empty"},
    "00080090": {"action": "remove"},
    "00080020": {"action": "hashdate"},
    "00080021": {"action": "hashdate"},
    "0020000D": {"action": "hashuid"},
    "0020000E": {"action": "hashuid"},
    "00080018": {"action": "hashuid"},
    "00081030": {"action": "replace", "value": "STUDY"},
}


def profiles() -> dict[str, str]:
    """Returns the profiles by name."""
    keywords = [
        entry[4]
        for tag, entry in sorted(DicomDictionary.items())
        if 0x00080000 < tag < 0x00400000
        and entry[0] in {"LO", "SH", "PN", "LT", "ST", "CS"}
        and not entry[3]
        and entry[4] not in {"SpecificCharacterSet", "Modality"}
    ][:300]
    emptied = "".join(f"    - {{name: {keyword}, replace-with: ''}}\n" for keyword in keywords)
    head = "version: 1\ndicom:\n  date-increment: -17\n"
    return {
        "12 rules": f"{head}  fields:\n{_TWELVE}",
        "300 x replace-with ''": f"{head}  fields:\n{emptied}",
        "recurse + private": f"{head}  recurse-sequence: true\n"
        f"  remove-private-tags: true\n  fields:\n{_TWELVE}",
    }


def keyed_pair() -> tuple[str, str]:
    """Returns a profile of hashes, UIDs and dates, and the same by a key."""
    head = "dicom:\n  date-increment: -17\n  pseudonyms: {shift-days: [-365, -30]}\n  fields:\n"
    keyed = _TWELVE
    for plain, by_key in (
        (" hash:", " keyed-hash:"),
        ("hashuid:", "keyed-uid:"),
        ("increment-date:", "keyed-shift:"),
    ):
        keyed = keyed.replace(plain, by_key)
    return head + _TWELVE, head + keyed


# All that the standard asks for, with the options that most research needs.
BASE = """
dicom:
  base: ps3.15-2026c-basic
  options:
    - retain-longitudinal-modified-dates
    - retain-patient-characteristics
    - clean-descriptors
    - retain-safe-private
  pseudonyms: {shift-days: [-365, -30]}
"""


def files() -> dict[str, list[bytes]]:
    """Returns the files by name; a series has several."""
    return {
        "CT_small": [Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()],
        "1,000 slices": slices(1000),
        "MR_small": [Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()],
        "1,000 frames": [multi_frame(1000)],
        "RT structure set": [structure_set(20, 50, 60)],
    }


def main() -> int:
    """Prints the tables."""
    console = Console(width=110)
    peers_python()
    console.print(_keyed())
    console.print(_base())
    console.print(_speed())
    console.print(_memory())
    console.print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    )
    return 0


def _speed() -> Table:
    table = Table("file", "profile", "ours", *PEERS, title="Time per file, and how often ours fits")
    for file, datas in files().items():
        for profile, text in profiles().items():
            call = _ours(datas, parse_profile(text))
            ours = best(call, SECONDS)
            cells = []
            for peer in PEERS:
                if peer == "dcmanon" and profile != "12 rules":
                    cells.append("-")
                    continue
                cells.append(_cell(_peer(peer, datas, text), ours / len(datas)))
            ours = min(ours, best(call, SECONDS))
            table.add_row(file, profile, _time(ours / len(datas)), *cells)
    return table


def _peer(peer: str, datas: list[bytes], profile: str) -> dict[str, float | str]:
    """Has a peer de-identify files, and returns how long it took, or why it did not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, data in enumerate(datas):
            (folder / f"{number:04}.dcm").write_bytes(data)
        (folder / "profile.yaml").write_text(profile)
        request = {
            "peer": peer,
            "folder": name,
            "profile": str(folder / "profile.yaml"),
            "actions": DCMANON_ACTIONS,
            "seconds": SECONDS,
        }
        answer: dict[str, float | str] = ask_peer(PEER_SCRIPT, request)
    return answer


def _keyed() -> Table:
    """Compares what is done by a key with what is done without, by turns."""
    table = Table("file", "12 rules", "the same by a key", "times", title="Pseudonyms by a key")
    every = files()
    for file in ("CT_small", "1,000 slices"):
        datas = every[file]
        plain, keyed = (_ours(datas, parse_profile(text)) for text in keyed_pair())
        seconds = [[best(plain, SECONDS), best(keyed, SECONDS)] for _ in range(KEYED_ROUNDS)]
        without, by_key = map(min, zip(*seconds, strict=True))
        cells = (_time(without / len(datas)), _time(by_key / len(datas)))
        table.add_row(file, *cells, f"{by_key / without:.2f}")
    return table


def _base() -> Table:
    """Compares the standard's base and four options with twelve rules of a compiled engine."""
    table = Table(
        *("file", "base and four options", "fw-file-rs, 12 rules", "12 rules"),
        title="Time per file: the standard's base beside twelve rules",
    )
    every = files()
    for file in ("CT_small", "1,000 slices"):
        datas = every[file]
        text = profiles()["12 rules"]
        base, twelve = (_ours(datas, parse_profile(each)) for each in (BASE, text))
        ours, plain = best(base, SECONDS), best(twelve, SECONDS)
        answer = _peer("fw-file-rs", datas, text)
        ours = min(ours, best(base, SECONDS)) / len(datas)
        table.add_row(file, _time(ours), _cell(answer, ours), _time(plain / len(datas)))
    return table


def _ours(datas: list[bytes], profile: Profile) -> Callable[[], object]:
    if len(datas) == 1:
        return partial(deidentify, datas[0], compiled_with_keys(profile))

    def anew() -> None:
        plan = compiled_with_keys(profile)
        for data in datas:
            deidentify(data, plan)

    return anew


def _cell(answer: dict[str, float | str], ours: float) -> str:
    seconds = answer.get("seconds")
    if not isinstance(seconds, float):
        return str(answer.get("error"))
    return f"{_time(seconds)}  {seconds / ours:.1f} x"


def _time(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def _memory() -> Table:
    table = Table("input", "size", "peak over idle", title="Memory of the process, streamed in MiB")
    for case in ("pixel data", "structure set", "private kept", "private removed"):
        finished = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks._memory", case],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        size, growth = finished.stdout.split()
        table.add_row(case, f"{int(size) / 2**20:,.0f} MiB", f"{int(growth) / 2**20:.1f} MiB")
    return table
