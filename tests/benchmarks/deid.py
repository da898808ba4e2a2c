"""De-identification scored: a base and its options beside peers with their own basic profiles.

Synthetic studies with an answer key: what must go, what must stay, what must move or be
mapped together; and planted strings, which are looked for in all bytes of the outputs, in
several encodings. dciodvfy, where it is installed, says which outputs have errors that
their originals do not have.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import venv
import warnings
import zlib
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pydicom
from rich.console import Console
from rich.table import Table

from deid_service.engine import DicomError, compile_plan, deidentify
from profile_service.language import parse_profile
from tests.benchmarks._planted import Check, Planted, studies
from tests.benchmarks._texts import scores as scores_of_texts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ROOT: Final = Path(__file__).resolve().parents[2]
PEERS: Final = ("dicom-anonymizer", "dicognito")
STUDIES: Final = 24

PROFILE: Final = """\
name: scored
dicom:
  base: ps3.15-2026c-basic
  options: [retain-longitudinal-modified-dates, retain-patient-characteristics,
            clean-descriptors, retain-safe-private]
  date-increment: -1234
  salt: nobody's
"""

_ENCODINGS: Final = ("utf-8", "latin-1", "iso8859_5", "iso8859_2", "iso8859_7", "utf-16-le")


def main() -> int:
    """Prints the scores."""
    warnings.simplefilter("ignore")
    planted = studies(7, STUDIES)
    outputs = {"deid-cascade": _ours(planted), **{peer: _peer(peer, planted) for peer in PEERS}}
    scores = {name: _score(planted, output) for name, output in outputs.items()}
    table = Table(title=f"{len(planted)} files, {sum(len(each.checks) for each in planted)} checks")
    table.add_column("")
    for name in scores:
        table.add_column(name, justify="right")
    rows = sorted({key for score in scores.values() for key in score})
    for row in rows:
        table.add_row(row, *(score.get(row, "") for score in scores.values()))
    Console(width=100).print(table)
    for what, score in scores_of_texts().items():
        print(f"{what}: {score}")
    return 0


def _ours(planted: list[Planted]) -> list[bytes | None]:
    plan = compile_plan(parse_profile(PROFILE))
    outputs: list[bytes | None] = []
    for each in planted:
        try:
            outputs.append(deidentify(each.data, plan))
        except DicomError:
            outputs.append(None)
    return outputs


def _peer(peer: str, planted: list[Planted]) -> list[bytes | None]:
    python = _environment(peer)
    with tempfile.TemporaryDirectory() as folder:
        source, into = Path(folder, "in"), Path(folder, "out")
        source.mkdir()
        into.mkdir()
        for number, each in enumerate(planted):
            (source / f"{number:05}.dcm").write_bytes(each.data)
        request = {"peer": peer, "folder": str(source), "into": str(into)}
        subprocess.run(
            [python, Path(__file__).with_name("_peer_deid.py")],
            input=json.dumps(request),
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        paths = [into / f"{number:05}.dcm" for number in range(len(planted))]
        return [path.read_bytes() if path.is_file() else None for path in paths]


def _environment(peer: str) -> Path:
    """Returns the Python that has a peer, installing it where it is not there."""
    folder = ROOT / ".dev" / f"deid-{peer}"
    python = folder / "bin" / "python"
    if not (folder / ".set-up").is_file():
        print(f"Installing {peer} into an environment of its own ...", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", peer], check=True)
        (folder / ".set-up").touch()
    return python


def _score(planted: list[Planted], outputs: list[bytes | None]) -> dict[str, str]:
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    leaks = new_errors = 0
    uids: dict[str, set[str]] = {}
    for each, output in zip(planted, outputs, strict=True):
        asked.update(check.category for check in each.checks)
        if output is None:
            continue
        dataset = pydicom.dcmread(io.BytesIO(output), force=True)
        right.update(check.category for check in each.checks if _is_right(check, dataset, uids))
        right["date moved"] += _moved_together(each.checks, dataset)
        plain = _inflated(output)
        leaks += any(_is_in(secret, plain) for secret in each.secrets)
        new_errors += bool(_errors(output) - _errors(each.data))
    total = sum(right.values()) / sum(asked.values())
    return {
        **{key: f"{100 * right[key] / asked[key]:.2f} %" for key in asked},
        "~ all checks": f"{100 * total:.2f} %",
        "~ files without output": str(sum(output is None for output in outputs)),
        "~ files with a planted string": str(leaks),
        "~ files with new dciodvfy errors": str(new_errors) if shutil.which("dciodvfy") else "",
        "~ UIDs mapped to several": str(sum(len(found) > 1 for found in uids.values())),
    }


def _moved_together(checks: list[Check], dataset: Dataset) -> int:
    """Returns how many dates of a file moved, all by the same, which is not 0.

    Who moves times as well may come to another day with a date that has a time.
    """
    days = []
    for check in checks:
        if check.category == "date moved" and (value := _value(dataset, check.path)):
            with suppress(ValueError):
                days.append(_date(value) - _date(check.value))
    is_same = bool(days) and max(days) - min(days) <= timedelta(days=1)
    return len(days) if is_same and any(days) else 0


def _date(text: str) -> timedelta:
    return datetime.strptime(text[:8], "%Y%m%d") - datetime(1, 1, 1)


def _is_right(check: Check, dataset: Dataset, uids: dict[str, set[str]]) -> bool:
    value = _value(dataset, check.path)
    match check.category:
        case "removed" | "text removed":
            return value is None or check.value.casefold() not in value.casefold()
        case "text retained":
            return value is not None and check.value.casefold() in value.casefold()
        case "retained" | "uid retained":
            return value == check.value
        case "date moved":
            # All of a file are looked at together.
            return False
        case "uid changed":
            if value is None or value == check.value:
                return False
            uids.setdefault(check.value, set()).add(value)
            return True
        case _:
            raise AssertionError(check.category)


def _value(dataset: Dataset, path: tuple[str | int, ...]) -> str | None:
    """Returns the text of an element; None for one that is absent or empty."""
    *way, last = path
    found: Any = dataset
    for step in way:
        try:
            found = getattr(found, step) if isinstance(step, str) else found[step]
        except (AttributeError, IndexError, KeyError):
            return None
    element = found.get(last)
    if element is None:
        return None
    value = element.value if isinstance(last, int) else element
    return None if value is None or str(value) == "" else str(value)


def _inflated(data: bytes) -> bytes:
    """Returns a file with its data set as it is before it was deflated."""
    meta = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=[]).file_meta
    if not meta.get("TransferSyntaxUID", "").endswith(".1.99"):
        return data
    start = 144 + meta.get("FileMetaInformationGroupLength", 0)
    return data[:start] + zlib.decompressobj(-15).decompress(data[start:])


def _is_in(secret: str, data: bytes) -> bool:
    for encoding in _ENCODINGS:
        try:
            if secret.encode(encoding) in data:
                return True
        except UnicodeEncodeError:
            continue
    return False


def _errors(data: bytes) -> set[str]:
    """Returns the kinds of errors that dciodvfy finds, without values."""
    program = shutil.which("dciodvfy")
    if program is None:
        return set()
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(data)
        file.flush()
        told = subprocess.run([program, file.name], capture_output=True, check=False, timeout=60)
    lines = (told.stdout + told.stderr).decode("latin-1").splitlines()
    return {line.partition("<")[0] for line in lines if line.startswith("Error")}
