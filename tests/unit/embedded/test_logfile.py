"""The log of a child process does not grow without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid_service.embedded.logfile import MAX_LOG_BYTES, LogFile, end_of_log

if TYPE_CHECKING:
    from pathlib import Path


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """Of what a process says, the last lines are kept, in two files of a bounded size."""
    log = LogFile(tmp_path / "service.log")
    line = "x" * 100_000
    for number in range(3 * MAX_LOG_BYTES // len(line)):
        log.line(f"{number} {line}\n")
    log.line("the last one\n")
    log.close()

    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"service.log", "service.log.1"}
    assert max(sizes.values()) <= MAX_LOG_BYTES
    assert end_of_log(tmp_path / "service.log").endswith("\n  the last one")


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    """A new run begins a new log, and that of the one before lies beside it."""
    for run in ("first", "second"):
        log = LogFile(tmp_path / "service.log")
        log.line(run)
        log.close()

    assert (tmp_path / "service.log").read_text() == "second\n"
    assert (tmp_path / "service.log.1").read_text() == "first\n"
