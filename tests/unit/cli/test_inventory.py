"""`profile test` says what `apply` then does: file by file, element by element."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli.apply import Settings, Work
from deid_service.cli.given import keys_for, tables_for
from deid_service.cli.inventory import Inventory, general_path
from deid_service.client import Source
from deid_service.preview.elements import elements
from deid_service.preview.previewing import plan_of
from profile_service.keys.files import write_secret
from profile_service.language import ProfileInvalid, parse_profile
from tests import golden
from tests.support.deid_service import ct
from tests.support.engine.files import ALL_FILES, name_of
from tests.support.engine.profiles import PROFILES
from tests.unit.cli.test_keys import run

if TYPE_CHECKING:
    from deid_service.cli.given import TableFile
    from deid_service.preview.elements import Shown, Step
    from profile_service.language.model import Profile


def _profiles() -> dict[str, Profile]:
    """Returns the valid profiles at hand that need no service."""
    folder = Path(golden.__file__).parent
    texts = {
        path.stem: path.read_text(encoding="utf-8", errors="replace")
        for path in sorted([*folder.glob("corpus/*.yaml"), *folder.glob("profiles/*.yaml")])
    }
    found = {}
    for name, text in (texts | PROFILES).items():
        with suppress(ProfileInvalid):
            profile = parse_profile(text)
            if profile.codes is None:
                found[name] = profile
    return found


VALID = _profiles()

# Larger files say nothing that smaller ones do not, and take longer.
MAX_BYTES = 50_000

# Each file meets every twentieth profile, another twentieth from file to file.
SHARE = 20
FILES_AND_TURNS = [
    pytest.param(path, number % SHARE, id=name_of(path))
    for number, path in enumerate(ALL_FILES)
    if path.stat().st_size < MAX_BYTES
]


KEYED = """\
dicom:
  pseudonyms: {}
  fields:
    - {name: PatientID, keyed-hash: true}
    - {name: PatientName, lookup: {table: trial, column: code}}
"""


def test_keys_and_tables(tmp_path: Path, key_file: Path) -> None:
    """Tables are asked for where a profile needs them; a key only when its pseudonyms matter."""
    profile, table, files = tmp_path / "p.yaml", tmp_path / "trial.csv", tmp_path / "files"
    profile.write_text(KEYED)
    table.write_text("original,code\n1CT1,LUNG-0001\n")
    files.mkdir()
    (files / "ct.dcm").write_bytes(ct())
    (files / "other.dcm").write_bytes(ct().replace(b"1CT1", b"2CT2"))
    given = ("profile", "test", profile, files, "--json", "--table", f"trial={table}")

    without_table = run("profile", "test", profile, files)
    tested = run(*given), run(*given, "--key-file", key_file)

    assert without_table[0] == 1
    assert "--table trial=FILE" in without_table[1]
    for code, told in tested:
        each = json.loads(told)
        assert (code, each["files"]) == (1, 1)
        assert [(one["source"], one["reason"]) for one in each["rejected"]] == [
            ("other.dcm", "NOT_IN_TABLE")
        ]
        fates = {line["path"]: line["fates"] for line in each["elements"]}
        assert fates["PatientID"] == fates["PatientName"] == {"changes": 1}


def test_what_cannot_be_shown_is_not_rejected(tmp_path: Path) -> None:
    """What `apply` writes, and the reader of the inventory cannot read, is told apart."""
    dataset = pydicom.dcmread(BytesIO(ct()))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    profile, file = tmp_path / "p.yaml", tmp_path / "broken.dcm"
    profile.write_text("dicom: {fields: []}\n")
    file.write_bytes(buffer.getvalue()[:500] + b"what no deflater has written")

    applied, _ = run("apply", "--profile", profile, file, "--out", tmp_path / "out")
    tested, told = run("profile", "test", profile, file)

    assert (applied, tested) == (0, 0)
    assert "Would be de-identified, but cannot be shown here" in told
    assert "Would have no output" not in told


def test_where_there_is_nothing_to_show(tmp_path: Path) -> None:
    """Of no file, and of one that has no output, it says so, without tables that are empty."""
    profile, folder = tmp_path / "p.yaml", tmp_path / "files"
    profile.write_text("dicom: {fields: [{name: PatientName, remove: true}]}\n")
    folder.mkdir()
    file = folder / "notes.txt"

    of_nothing = run("profile", "test", profile, folder)
    file.write_text("hello")
    of_notes = run("profile", "test", profile, file)

    assert of_nothing == (1, "There is no file that this could be shown of.\n")
    assert of_notes[1].splitlines()[:3] == [
        "There is no file that this could be shown of.",
        "",
        "Would have no output:",
    ]
    assert "WHAT BECOMES OF IT" not in of_notes[1]


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key."""
    path = tmp_path_factory.mktemp("keys") / "the.key"
    write_secret(path)
    return path


@pytest.mark.parametrize(("path", "turn"), FILES_AND_TURNS)
def test_the_inventory_is_what_apply_does(
    path: Path, turn: int, key_file: Path, tmp_path: Path
) -> None:
    """With the profiles and files at hand, both have the same outcomes, reasons and elements."""
    for number, (name, profile) in enumerate(list(VALID.items())[turn::SHARE]):
        tables = table_files(profile, tmp_path)
        settings = Settings(
            profile, name, name, tmp_path / str(number), key_file=key_file, table_files=tables
        )
        settings.out.mkdir()
        keys, read = keys_for(profile, key_file), tables_for(profile, tables)
        inventory = Inventory(profile, plan_of(profile, keys, read.given, read.listed_for))
        source = Source.of_path(path)

        (applied,) = Work(settings, lambda: True)(source, lambda _: None)
        inventory.add(source)

        if not applied.output:
            assert inventory.rejected == [applied], name
            continue
        assert (inventory.files, inventory.rejected) == (1, []), name
        assert applied.receipt is not None
        try:
            old, new = elements(path.read_bytes()), elements(Path(applied.output).read_bytes())
        except ValueError:
            assert len(inventory.not_shown) == 1, name
            continue
        told = {line.path: line.fates for line in inventory.lines.values()}
        assert told == fates(old, new), name
        by = {
            name
            for line in inventory.lines.values()
            for each in line.by
            for name in each.split(", ")
        }
        counted = set(pb.Receipt.FromString(applied.receipt).actions)
        # What is done where an action fails is not known before.
        assert by <= counted or "on-error" in counted, name


def fates(
    old: dict[tuple[Step, ...], Shown], new: dict[tuple[Step, ...], Shown]
) -> dict[str, Counter[str]]:
    """Returns how often what became of elements, by their paths."""
    found: dict[str, Counter[str]] = {}
    for steps in old.keys() | new.keys():
        if steps not in new:
            became = "goes"
        elif steps not in old:
            became = "is new"
        else:
            became = "stays" if old[steps].content == new[steps].content else "changes"
        path = general_path(old.get(steps) or new[steps])
        found.setdefault(path, Counter())[became] += 1
    return found


def table_files(profile: Profile, folder: Path) -> tuple[TableFile, ...]:
    """Writes the tables that a profile needs, in which one of the patients stands."""
    columns: dict[str, list[str]] = {}
    for column in profile.columns:
        columns.setdefault(column.table, []).append(column.name)
    for column in profile.settings.words.lists:
        columns[column.table] = [column.name]
    for table, names in columns.items():
        header, row = ",".join(["original", *names]), ",".join(["1CT1", *("77" for _ in names)])
        (folder / f"{table}.csv").write_text(f"{header}\n{row}\n")
    return tuple((table, folder / f"{table}.csv") for table in columns)
