"""`deidcascade apply`: once and again, and what it tells of files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
from click.testing import CliRunner
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.cli import command
from deid_service.cli.apply import Settings, Work
from deid_service.cli.results import FileReport, Word
from deid_service.cli.sources import profile_of
from deid_service.client import LEDGER_NAME, Source
from deid_service.client.archives import is_junk
from deid_service.client.outputs import PartialFile
from tests.support.deid_service import ct
from tests.support.engine.build import dicom, el
from tests.support.full_disk import writing_until_full

DEIDCASCADE = [sys.executable, "-c", "from deid_service.cli import main; main()"]

PROFILE = """\
name: of the clinic
dicom:
  fields:
    - {name: PatientName, replace-with: REDACTED}
"""
KEYED = """\
dicom:
  pseudonyms: {}
  fields:
    - {name: PatientID, keyed-hash: true}
    - {name: PatientName, lookup: {table: trial, column: code}}
"""
TABLE = "original,code\n1CT1,LUNG-0001\n"


class Folder:
    """Files and a profile, and what is made of them."""

    def __init__(self, path: Path) -> None:
        """Makes a good file, two in an archive, a broken one, and some that are none."""
        self.path = path
        self.files = path / "files"
        self.out = path / "out"
        self.files.mkdir()
        self.profile = path / "profile.yaml"
        self.profile.write_text(PROFILE)
        (self.files / "good.dcm").write_bytes(ct())
        (self.files / "half.dcm").write_bytes(ct()[:20_000])
        (self.files / "notes.txt").write_text("hello")
        with zipfile.ZipFile(self.files / "series.zip", "w") as archive:
            archive.writestr("one.dcm", ct())
            archive.writestr("two.dcm", ct())
            archive.writestr(".DS_Store", b"junk")

    def apply(self, *more: object, code: int = 1) -> dict[str, dict[str, object]]:
        """Applies the profile, and returns what --json printed, by source."""
        done = CliRunner().invoke(command, self.arguments("--json", *more))
        assert done.exit_code == code, done.output
        return {one["source"]: one for one in json.loads(done.stdout)}

    def arguments(self, *more: object) -> list[str]:
        """Returns the command line."""
        fixed = ("apply", "--profile", self.profile, self.files, "--out", self.out)
        return [str(each) for each in (*fixed, *more)]

    def outputs(self) -> dict[str, str]:
        """Returns the outputs and their digests."""
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.out.iterdir()
            if path.name != LEDGER_NAME
        }


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Files and a profile."""
    return Folder(tmp_path)


def outcomes(results: dict[str, dict[str, object]]) -> dict[str, object]:
    """Returns what became of each file."""
    return {name: one["outcome"] for name, one in results.items()}


def test_a_second_run_does_what_is_missing(folder: Folder) -> None:
    """What is done is not done again; what changed, is new, or has another profile, is."""
    first = folder.apply()
    made = folder.outputs()
    (folder.files / "good.dcm").write_bytes(ct().replace(b"1CT1", b"2CT2"))
    (folder.files / "new.dcm").write_bytes(ct())
    (folder.files / "half.dcm").write_bytes(ct())

    second = folder.apply(code=0)
    after = folder.outputs()
    third = folder.apply(code=0)
    again = folder.apply("--again", code=0)
    folder.profile.write_text(PROFILE.replace("REDACTED", "SOMEBODY"))
    fourth = folder.apply(code=0)

    assert outcomes(first) == {
        "good.dcm": "de-identified",
        "half.dcm": "rejected",
        "notes.txt": "skipped",
        "series.zip/.DS_Store": "skipped",
        "series.zip/one.dcm": "de-identified",
        "series.zip/two.dcm": "de-identified",
    }
    done = {name for name, one in second.items() if one["output"]}
    assert {name for name in done if second[name]["outcome"] == "done earlier"} == {
        "series.zip/one.dcm",
        "series.zip/two.dcm",
    }
    earlier = {"outcome": "done earlier"}
    assert second["series.zip/two.dcm"] == first["series.zip/two.dcm"] | earlier
    assert third == {name: one | earlier if name in done else one for name, one in second.items()}
    assert again == {
        name: one | {"outcome": "de-identified"} if name in done else one
        for name, one in second.items()
    }
    assert len(made) == 3
    assert len(after) == 5
    assert {fourth[name]["outcome"] for name in done} == {"de-identified"}
    assert set(folder.outputs()) == set(after)
    assert folder.outputs() == {
        one["output"]: one["receipt"]["sha256"]  # type: ignore[index]
        for one in fourth.values()
        if one["output"]
    }


def test_another_key_or_table_is_done_again(folder: Folder) -> None:
    """What another key or table treats otherwise takes the place of what was there."""
    folder.profile.write_text(KEYED)
    table, keys = folder.path / "trial.csv", [folder.path / "one.key", folder.path / "two.key"]
    table.write_text(TABLE)
    for key in keys:
        assert CliRunner().invoke(command, ["keys", "create", str(key)]).exit_code == 0
    one = ("--table", f"trial={table}", "--key-file", keys[0])
    two = ("--table", f"trial={table}", "--key-file", keys[1])

    first, same = folder.apply(*one), folder.apply(*one)
    other_key = folder.apply(*two)
    table.write_text(TABLE.replace("1CT1", "1ct9") + "1CT1,LUNG-0002\n")
    other_table, names = folder.apply(*two), set(folder.outputs())

    said = [results["good.dcm"] for results in (first, same, other_key, other_table)]
    assert [one["outcome"] for one in said] == [
        "de-identified",
        "done earlier",
        "de-identified",
        "de-identified",
    ]
    receipts = [one["receipt"] for one in said]
    assert receipts[0] == receipts[1]
    assert len({receipt["key_id"] for receipt in receipts}) == 2  # type: ignore[index]
    assert len({receipt["tables"][0] for receipt in receipts}) == 2  # type: ignore[index]
    assert len(names) == 3


def test_the_report_has_a_row_with_a_receipt_for_each_file(folder: Folder) -> None:
    """What became of each file, by which profile, and the digest of the output; at each run."""
    path = folder.path / "report.csv"
    rows = []
    for _ in range(2):
        folder.apply("--report", path)
        with path.open(newline="", encoding="utf-8") as file:
            rows.append({row["source"]: row for row in csv.DictReader(file)})

    good = rows[0]["good.dcm"]
    assert len(rows[0]) == 6
    assert (good["treatment"], good["profile"], good["bytes_in"], good["actions"]) == (
        "DEIDENTIFIED",
        "of the clinic",
        str(len(ct())),
        '{"replace-with": 1}',
    )
    assert good["profile_sha256"] == hashlib.sha256(PROFILE.encode()).hexdigest()
    assert folder.outputs()[good["output"]] == good["sha256"]
    assert (rows[0]["half.dcm"]["reason"], rows[0]["half.dcm"]["offset"]) == ("TRUNCATED", "20000")
    assert rows[1]["good.dcm"] == good | {"outcome": "done earlier"}


def test_a_page_says_nothing_of_a_version_that_there_is_not(folder: Folder) -> None:
    """A profile without a service has a name and no version, and a page shows just that."""
    path = folder.path / "report.html"

    folder.apply("--report", path)

    cells = re.findall("<td[^>]*>([^<]*)</td>", path.read_text())
    assert "of the clinic" in cells
    assert "0" not in cells


def test_a_terminal_shows_how_far_it_is(folder: Folder) -> None:
    """A bar counts files, and goes; what went wrong is a line of its own, as in a pipe."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as shown:
        done = subprocess.Popen(
            [*DEIDCASCADE, *folder.arguments()],
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "120"},
        )
        os.close(theirs)
        told = b""
        # The system says that the other end is closed by an error.
        with suppress(OSError):
            while data := shown.read(4096):
                told += data
        assert done.wait() == 1
    piped = subprocess.run(
        [*DEIDCASCADE, *folder.arguments()], check=False, capture_output=True, text=True
    )

    assert b"6 files, 1 without output" in told
    lines = [line for line in piped.stderr.splitlines() if line.startswith("rejected half.dcm: ")]
    assert len(lines) == 1
    assert lines[0].encode() in told


def test_a_report_that_cannot_be_written_is_said_before_the_work(folder: Folder) -> None:
    """Hours of work do not end with a report that has no place."""
    for path in (folder.path / "nowhere" / "report.csv", folder.path / "report.txt"):
        done = CliRunner().invoke(command, folder.arguments("--report", path))

        assert done.exit_code == 2
        assert "Invalid value for '--report'" in done.stderr
        assert not folder.out.exists()


def test_a_report_is_written_although_nobody_reads_what_is_printed(folder: Folder) -> None:
    """Standard output that takes nothing is a failure, and the report is there."""
    path = folder.path / "report.jsonl"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*DEIDCASCADE, *folder.arguments("--json", "--report", path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert "the output cannot be written" in done.stderr
    assert len(path.read_text().splitlines()) == 6


def test_what_is_rejected_lies_apart_with_the_reason(folder: Folder) -> None:
    """What is in archives, too; once, however often, and nothing else."""
    with zipfile.ZipFile(folder.files / "series.zip", "a") as archive:
        archive.writestr("third.dcm", ct()[:10_000])
    apart = folder.path / "apart"

    folder.apply("--quarantine", apart)
    folder.apply("--quarantine", apart)

    there = {str(path.relative_to(apart)): path for path in apart.rglob("*") if path.is_file()}
    names = ["half.dcm", "series.zip/third.dcm"]
    assert sorted(there) == sorted([*names, *(f"{name}.reason.txt" for name in names)])
    assert there["half.dcm"].read_bytes() == ct()[:20_000]
    assert there["half.dcm.reason.txt"].read_text() == (
        "TRUNCATED: the file ends before the data set does [at byte 20000]\n"
    )
    assert apart.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("where", ["files/apart", "out/apart", "out", "files"])
def test_a_quarantine_lies_apart(folder: Folder, where: str) -> None:
    """What is identified lies neither among outputs nor where the next run reads it."""
    result = CliRunner().invoke(command, folder.arguments("--quarantine", folder.path / where))

    assert result.exit_code == 2
    assert "The quarantine" in result.output


def test_what_somebody_has_changed_stays(folder: Folder) -> None:
    """An output that is no more what it was is left alone, and the file has another one."""
    first = folder.apply()
    path = folder.path / str(first["good.dcm"]["output"])
    path.write_bytes(b"somebody's own work")

    second = folder.apply()

    assert path.read_bytes() == b"somebody's own work"
    assert second["good.dcm"]["outcome"] == "de-identified"
    assert second["good.dcm"]["output"] != first["good.dcm"]["output"]


def test_a_full_disk_ends_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins nothing more, says why, and what was not begun is in the report."""
    with monkeypatch.context() as patched:
        patched.setattr(PartialFile, "write", writing_until_full(len(ct()) + 1000))
        done = CliRunner().invoke(command, folder.arguments("--json"))
    rest = folder.apply()

    assert done.exit_code == 1
    assert "deidcascade: It cannot be written: no space. With more room" in done.stderr
    results = {one["source"]: one["outcome"] for one in json.loads(done.stdout)}
    assert results == {
        "good.dcm": "de-identified",
        "half.dcm": "rejected",
        "notes.txt": "skipped",
        "series.zip": "not begun",
    }
    assert [one["outcome"] for one in rest.values()].count("de-identified") == 2
    assert len(folder.outputs()) == 3


def test_a_state_of_another_build_is_refused(folder: Folder) -> None:
    """Where the state of earlier runs is not understood, nothing is done."""
    folder.out.mkdir()
    (folder.out / LEDGER_NAME).write_text('{"format": 99}\n')

    done = CliRunner().invoke(command, folder.arguments())

    assert done.exit_code == 1
    assert "was written by another version. Choose another folder." in done.stderr
    assert folder.outputs() == {}


def test_what_is_handed_between_processes_arrives_as_it_was(tmp_path: Path) -> None:
    """A source and a report are the same in another process, with all that they say."""
    file = tmp_path / "one.dcm"
    file.write_bytes(b"content")
    source = Source.of_path(file, "folder/one.dcm", found=True)
    report = FileReport(
        "folder/one.dcm",
        Word.DEIDENTIFIED,
        str(file),
        reason="REASON",
        problem="A sentence.",
        tag="(0010,0010)",
        offset=7,
        receipt=pb.Receipt(sha256="0f", actions={"replaced": 2}).SerializeToString(),
        request_id="id",
    )

    there, told = ForkingPickler.loads(ForkingPickler.dumps((source, report)))

    assert told == report
    assert replace(there, open=source.open) == source
    with there.open() as opened:
        assert opened.read() == b"content"


def test_a_file_that_is_not_as_long_as_it_was_is_read_to_its_end(tmp_path: Path) -> None:
    """Of a file that grew after it was found, the output has all, as if it had been found so."""
    folder = Folder(tmp_path)
    file = folder.files / "good.dcm"
    found = Source.of_path(file)
    settings = Settings(profile_of(PROFILE.encode(), ""), "", "", folder.out)

    with_less = Work(replace(settings, out=folder.path / "less"), lambda: True)
    short = list(with_less(replace(found, size=found.size // 2), lambda _: None))
    whole = list(Work(settings, lambda: True)(found, lambda _: None))

    assert [one.as_json()["receipt"] for one in short] == [
        one.as_json()["receipt"] for one in whole
    ]
    assert [one.word for one in short] == [Word.DEIDENTIFIED]


@pytest.mark.parametrize(
    ("name", "junk"),
    [
        ("one.dcm", False),
        ("folder/Thumbs.db", True),
        ("folder/./.DS_Store/", True),
        ("__MACOSX//one.dcm", True),
        ("folder/._one.dcm", True),
        ("._folder/one.dcm", False),
        ("", False),
        ("./", False),
    ],
)
def test_what_systems_leave_is_known_by_its_path(name: str, junk: bool) -> None:
    """What an operating system leaves is told by its last part, or a folder that it lies in."""
    assert is_junk(name) == junk


def test_earlier_files_are_those_of_the_run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `earlier-files` a run is one stream, in the order of names, however long it is."""
    shutil.rmtree(folder.files)
    folder.files.mkdir()
    folder.profile.write_text("dicom: {base: ps3.15-2026c-basic, earlier-files: true}\n")
    for name, patient in (("b", "Gruber^Anna"), ("a", ""), ("c", "")):
        (folder.files / f"{name}.dcm").write_bytes(
            dicom(
                el("SOPInstanceUID", f"1.2.{ord(name)}"),
                el("Manufacturer", "for Gruber"),
                el("PatientName", patient),
                el("PatientID", "P1"),
            )
        )
    monkeypatch.setattr("deid_service.cli.apply.processes_for", lambda _: 2)

    def left(*more: object) -> list[bool]:
        done = folder.apply(*more, code=0)
        return [b"Gruber" in Path(str(one["output"])).read_bytes() for one in done.values()]

    assert left() == [True, False, False]
    (folder.files / "d.dcm").write_bytes(
        (folder.files / "c.dcm").read_bytes().replace(b"1.2.99", b"1.2.98")
    )
    assert left() == [True, False, False, True]
    assert left("--again") == [True, False, False, False]


@pytest.mark.parametrize("piped", [False, True])
def test_a_dicom_file_is_no_profile(tmp_path: Path, piped: bool) -> None:
    """Somebody who mixes the two up is told so, and nothing of the file is shown."""
    file = tmp_path / "scan.dcm"
    file.write_bytes(ct())

    for command_line in (["profile", "validate"], ["profile", "explain"]):
        result = CliRunner().invoke(
            command, [*command_line, "-" if piped else str(file)], input=ct() if piped else None
        )

        assert result.exit_code == 1
        path = "-" if piped else file
        assert result.output == f"deidcascade: {path} is a DICOM file, and no profile.\n"


def test_a_folder_in_which_nothing_can_be_made(tmp_path: Path) -> None:
    """That is told once, before the work, and not of each file."""
    folder = Folder(tmp_path)
    folder.out = Path("/proc/self")

    result = CliRunner().invoke(command, folder.arguments())

    assert result.output == "deidcascade: cannot write to /proc/self: No such file or directory.\n"


def test_where_nothing_has_come_of_anything(tmp_path: Path) -> None:
    """Where there is no output, it is not said where that is."""
    folder = Folder(tmp_path)
    folder.files = folder.files / "half.dcm"

    result = CliRunner().invoke(command, folder.arguments())

    assert result.stdout == "1 rejected.\n"
