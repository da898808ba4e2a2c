"""The demo tells what it does, and fails when something is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Installation


def test_demo(installation: Installation, tmp_path: Path) -> None:
    """The demo goes through each outcome of the cascade, and leaves nothing behind."""
    done = installation.run("demo", TMPDIR=str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    for told in (
        "rtstruct.dcm, before and after",
        "CompressedSamples^CT1",
        "UNKNOWN_KEYWORD",
        "TREATMENT_UNCHANGED_BLANK_PROFILE",
        "NO_VALID_PROFILE",
        "rejected, TRUNCATED",
        "rejected, NOT_DICOM",
        "What to try next",
    ):
        assert told in done.stdout
    assert list(tmp_path.iterdir()) == []
