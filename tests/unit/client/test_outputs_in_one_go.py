"""Outputs that are complete in a moment: without a name until then, where there are such files."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from deid_service.client.outputs import Destination

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["as it is", "named files alone"])
def destination(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Destination:
    """A folder, on a file system as it is, and on one that has no files without names."""
    if request.param != "as it is":
        opening = os.open

        def refused(path: Path, flags: int, mode: int = 0o777) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "no such files here")
            return opening(path, flags, mode)

        monkeypatch.setattr(os, "open", refused)
    return Destination(tmp_path)


def test_it_gets_its_name_and_its_bytes(destination: Destination, tmp_path: Path) -> None:
    """What was written is there under the name, and nothing else."""
    output = destination.begin(in_one_go=True)
    output.write(b"one")
    output.write(b"two")

    assert destination.keep(output, "folder/name.dcm") == str(tmp_path / "folder/name.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (tmp_path / "folder/name.dcm").read_bytes() == b"onetwo"


def test_it_replaces_nothing(destination: Destination, tmp_path: Path) -> None:
    """A name that is taken gets a number."""
    (tmp_path / "name.dcm").write_bytes(b"before")
    output = destination.begin(in_one_go=True)
    output.write(b"new")

    assert destination.keep_suggested(output, "name.dcm") == str(tmp_path / "name-2.dcm")
    assert (tmp_path / "name.dcm").read_bytes() == b"before"


def test_what_is_discarded_was_never_there(destination: Destination, tmp_path: Path) -> None:
    """Nothing is left of what did not become complete."""
    output = destination.begin(in_one_go=True)
    output.write(b"half")
    output.discard()

    assert list(tmp_path.iterdir()) == []
