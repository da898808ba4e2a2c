"""`deidcascade upload` as a process, against a real DeidService."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pydicom
import pytest
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client import LEDGER_NAME
from deid_service.client.outputs import PARTIAL_SUFFIX
from tests.support.deid_service import (
    PROFILE,
    TARGET,
    Running,
    ScriptedProfileService,
    answering_always,
    ct,
    selected,
)
from tests.support.processes import child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 60

COMMAND = [sys.executable, "-c", "from deid_service.cli import main; main()", "upload"]


def arguments(address: str, out: Path, *more: object) -> list[str]:
    """Returns the command line of an upload."""
    return [*COMMAND, "--to", TARGET, "--deid-service", address, "--out", *map(str, (out, *more))]


def upload(address: str, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    """Runs an upload to its end."""
    return subprocess.run(
        arguments(address, out, *more),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def results(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    """Returns what --json printed, by source."""
    return {one["source"]: one for one in json.loads(done.stdout)}


def outputs(out: Path) -> set[str]:
    """Returns the names of all files below a folder, but for the state."""
    names = {path.name for path in out.rglob("*") if path.is_file()} if out.exists() else set()
    return names - {LEDGER_NAME}


def numbered(number: int) -> bytes:
    """Returns a file that differs from others in its SOP Instance UID."""
    data = ct()
    uid = pydicom.dcmread(io_of(data)).SOPInstanceUID.encode()
    return data.replace(uid, f"{number:04}".join([uid[:-4].decode(), ""]).encode())


def io_of(data: bytes) -> pydicom.filebase.DicomBytesIO:
    """Returns bytes as a file."""
    return pydicom.filebase.DicomBytesIO(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for files."""
    made = tmp_path / "files"
    made.mkdir()
    return made


def test_names_that_are_not_utf8(service: Running, folder: Path, tmp_path: Path) -> None:
    """A file whose name is not UTF-8 is uploaded like others, and what is printed is JSON."""
    (folder / os.fsdecode(b"caf\xe9.dcm")).write_bytes(ct())
    (folder / "other.dcm").write_bytes(ct())

    done = upload(service.address, tmp_path / "out", folder, "--json", "--keep-names")

    assert (done.returncode, done.stderr) == (0, "")
    assert {name for name, one in results(done).items() if one["output"]} == {
        r"caf\xe9.dcm",
        "other.dcm",
    }
    assert outputs(tmp_path / "out") == {os.fsdecode(b"caf\xe9.dcm"), "other.dcm"}


@contextmanager
def held_upload(service: Running, folder: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """Gives an upload whose only file stops in its middle: it is a pipe that stays open."""
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    with (
        subprocess.Popen(
            arguments(service.address, out, pipe),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        # Goes on when the upload has opened the other end.
        pipe.open("wb", buffering=0) as writer,
    ):
        writer.write(ct()[:30_000])
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP], 129),
        ([signal.SIGTERM, signal.SIGINT, signal.SIGHUP], 143),
    ],
    ids=lambda value: "+".join(one.name for one in value) if isinstance(value, list) else "",
)
def test_signals_end_it_in_order(
    service: Running, folder: Path, tmp_path: Path, signals: list[signal.Signals], code: int
) -> None:
    """However a signal comes, once or several at a time, it ends and leaves nothing partial."""
    out = tmp_path / "out"
    with held_upload(service, folder, out) as process:
        for number in signals:
            process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode in {code, *(128 + number for number in signals)}
    assert "The same command goes on where it stopped." in errors
    assert "Traceback" not in errors
    assert outputs(out) == set()


def test_one_signal_ends_the_wait_for_a_pipe(
    service: Running, folder: Path, tmp_path: Path
) -> None:
    """A pipe that nobody opens keeps an upload waiting, and one signal ends that."""
    spoken, silent, out = folder / "spoken", folder / "silent", tmp_path / "out"
    os.mkfifo(spoken)
    os.mkfifo(silent)
    with child(
        subprocess.Popen(
            arguments(service.address, out, spoken, silent), stderr=subprocess.PIPE, text=True
        )
    ) as process:
        with spoken.open("wb") as writer:
            writer.write(ct())
        while not list(out.glob("*.dcm")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 128 + signal.SIGINT
    assert errors == "Interrupted. The same command goes on where it stopped.\n"
    assert len(outputs(out)) == 1


def test_a_pipe_that_is_rejected_is_not_read_again(
    service: Running, folder: Path, tmp_path: Path
) -> None:
    """What can be read only once is in no quarantine; that is said, and the rest is done."""
    pipe, out, apart = tmp_path / "pipe", tmp_path / "out", tmp_path / "apart"
    os.mkfifo(pipe)
    (folder / "broken.dcm").write_bytes(ct()[:20_000])
    (folder / "good.dcm").write_bytes(ct())
    with child(
        subprocess.Popen(
            arguments(service.address, out, pipe, folder, "--quarantine", apart),
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        with pipe.open("wb") as writer:
            writer.write(ct()[:20_000])
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)

    assert process.returncode == 1
    (said,) = [line for line in errors.splitlines() if line.startswith("rejected pipe: ")]
    assert said.endswith(" It is not in the quarantine: It can be read only once.")
    assert outputs(apart) == {"broken.dcm", "broken.dcm.reason.txt"}
    assert len(outputs(out)) == 1


def test_a_reason_of_a_newer_service(folder: Path, tmp_path: Path) -> None:
    """A rejection whose reason this build does not know is a rejection like others."""
    (folder / "x.dcm").write_bytes(ct())
    answers = [
        pb.DeidentifyResponse(opened=pb.StreamOpened()),
        pb.DeidentifyResponse(
            result=pb.FileResult(
                file_id="0",
                rejection=pb.Rejection(reason=99, message="It is too new."),  # type: ignore[arg-type]
            )
        ),
    ]
    with answering_always(answers) as address:
        done = upload(address, tmp_path / "out", folder, "--json")

    assert done.returncode == 1
    assert results(done)["x.dcm"]["reason"] == "UNKNOWN_99"
    assert "rejected x.dcm: UNKNOWN_99: It is too new." in done.stderr


def test_what_was_not_sent_is_counted(
    service: Running, scripted: ScriptedProfileService, folder: Path, tmp_path: Path
) -> None:
    """When the service refuses, that comes first, and every file is in the report."""
    scripted.answer = lambda _request, _context: selected("no profile at all")
    for number in range(20):
        (folder / f"{number}.dcm").write_bytes(ct())

    done = upload(service.address, tmp_path / "out", folder)
    listed = upload(service.address, tmp_path / "out", folder, "--json")

    assert done.returncode == 1
    assert done.stderr.startswith("deidcascade: ")
    assert done.stdout == "20 not sent.\n"
    assert {one["outcome"] for one in results(listed).values()} == {"not sent"}
    assert len(results(listed)) == 20


def test_nothing_to_upload(service: Running, folder: Path, tmp_path: Path) -> None:
    """An empty folder is no success, nor a link to nothing; what is no file is said."""
    empty = upload(service.address, tmp_path / "out", folder)
    os.mkfifo(folder / "pipe")
    (folder / "notes.txt").write_text("hello")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket"))
    others = upload(service.address, tmp_path / "out", folder)
    (folder / "link").symlink_to("nowhere")
    (folder / "good.dcm").write_bytes(ct())
    dangling = upload(service.address, tmp_path / "out", folder, "--json")

    assert (empty.returncode, empty.stdout) == (1, "Nothing to do: no files.\n")
    assert (others.returncode, others.stdout) == (1, "Nothing to do: 3 skipped.\n")
    assert set(others.stderr.splitlines()) == {
        "skipped notes.txt: it is no DICOM file",
        "skipped pipe: it is a pipe",
        "skipped socket: it is a socket",
    }
    assert dangling.returncode == 1
    assert "failed link: It is a link to nothing." in dangling.stderr
    assert results(dangling)["link"]["reason"] == "NOT_READ"
    assert len(outputs(tmp_path / "out")) == 1


def test_an_archive(service: Running, folder: Path, tmp_path: Path) -> None:
    """What is in an archive is uploaded as if it lay in the folder; junk does no harm."""
    with zipfile.ZipFile(folder / "series.dicom.zip", "w") as archive:
        archive.writestr("a/one.dcm", ct())
        archive.writestr("__MACOSX/a/._one.dcm", b"resource fork")
    (folder / "Thumbs.db").write_bytes(b"thumbs")

    done = upload(service.address, tmp_path / "out", folder, "--json")

    assert done.returncode == 0
    assert {name: one["outcome"] for name, one in results(done).items()} == {
        "Thumbs.db": "skipped",
        "series.dicom.zip/__MACOSX/a/._one.dcm": "skipped",
        "series.dicom.zip/a/one.dcm": "de-identified",
    }


def test_a_second_run_sends_what_is_missing(
    service: Running, scripted: ScriptedProfileService, folder: Path, tmp_path: Path
) -> None:
    """What is done is not done again; what changed, is new, or has another profile, is."""
    out = tmp_path / "out"
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(numbered(number))
    first = upload(service.address, out, folder, "--json")
    names = outputs(out)
    (folder / "0.dcm").write_bytes(numbered(7))
    (folder / "3.dcm").write_bytes(numbered(3))

    second = upload(service.address, out, folder, "--json")
    after = outputs(out)
    scripted.answer = lambda _request, _context: selected(PROFILE + "\n", version=2)
    third = upload(service.address, out, folder, "--json")
    again = upload(service.address, out, folder, "--json", "--again")

    assert [first.returncode, second.returncode, third.returncode, again.returncode] == [0] * 4
    assert {name: one["outcome"] for name, one in results(second).items()} == {
        "0.dcm": "de-identified",
        "1.dcm": "done earlier",
        "2.dcm": "done earlier",
        "3.dcm": "de-identified",
    }
    # It went through no stream of this run.
    earlier = {"outcome": "done earlier", "request_id": None}
    assert results(second)["1.dcm"] == results(first)["1.dcm"] | earlier
    assert len(names) == 3
    assert len(after) == 4
    assert {one["outcome"] for one in results(third).values()} == {"de-identified"}
    assert {one["outcome"] for one in results(again).values()} == {"de-identified"}
    assert outputs(out) == after


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_after_interruptions_every_file_is_there_once(
    service: Running, folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Interrupted again and again, then let through: each file has one output, complete."""
    count = 120
    with zipfile.ZipFile(folder / "half.zip", "w") as archive:
        for each in range(count):
            if each % 2:
                archive.writestr(f"{each}.dcm", numbered(each))
            else:
                (folder / f"{each}.dcm").write_bytes(numbered(each))
    out = tmp_path / "out"
    for interruption in range(5):
        with child(
            subprocess.Popen(
                arguments(service.address, out, folder),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        ) as process:
            there = len(outputs(out))
            while process.poll() is None and len(outputs(out)) < there + 3 + interruption:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.001)
            process.send_signal(number)

    last = upload(service.address, out, folder, "--json")

    assert last.returncode == 0
    assert len(results(last)) == count
    assert {one["output"] for one in results(last).values()} == {
        str(out / name) for name in outputs(out)
    }
    assert len(outputs(out)) == count
    assert not [name for name in outputs(out) if name.endswith(PARTIAL_SUFFIX)]
    for path in out.glob("*.dcm"):
        assert len(pydicom.dcmread(path).PixelData) == len(pydicom.dcmread(io_of(ct())).PixelData)


def test_reports_and_quarantine(service: Running, folder: Path, tmp_path: Path) -> None:
    """Each file has a row with its receipt; what was rejected lies apart with the reason."""
    (folder / "=good.dcm").write_bytes(ct())
    (folder / "half.dcm").write_bytes(ct()[:20_000])
    (folder / "notes.txt").write_text("hello")
    apart = tmp_path / "apart"
    table, lines = tmp_path / "report.csv", tmp_path / "report.jsonl"

    first = upload(
        service.address, tmp_path / "out", folder, "--quarantine", apart, "--report", table
    )
    second = upload(
        service.address, tmp_path / "out", folder, "--quarantine", apart, "--report", lines
    )

    assert (first.returncode, second.returncode) == (1, 1)
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    good = rows["'=good.dcm"]
    assert (good["outcome"], good["profile"], good["bytes_in"]) == (
        "de-identified",
        f"{TARGET}/profile",
        str(len(ct())),
    )
    assert (rows["half.dcm"]["reason"], rows["half.dcm"]["offset"]) == ("TRUNCATED", "20000")
    assert rows["notes.txt"]["outcome"] == "skipped"
    again = {row["source"]: row for row in map(json.loads, lines.read_text().splitlines())}
    assert again["=good.dcm"]["sha256"] == good["sha256"]
    assert {path.name for path in apart.iterdir()} == {"half.dcm", "half.dcm.reason.txt"}
    assert (apart / "half.dcm").read_bytes() == ct()[:20_000]


def test_two_uploads_into_one_folder(service: Running, folder: Path, tmp_path: Path) -> None:
    """Commands that write into one folder at the same time do not disturb each other."""
    done: list[subprocess.CompletedProcess[str]] = []

    def run(part: Path) -> None:
        done.append(upload(service.address, tmp_path / "out", part))

    threads = []
    for number in range(4):
        part = folder / str(number)
        part.mkdir()
        for each in range(30):
            (part / f"{each}.dcm").write_bytes(ct())
        threads.append(threading.Thread(target=run, args=(part,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 4
    assert len(outputs(tmp_path / "out")) == 120
