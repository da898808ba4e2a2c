"""What is remembered of outputs, and whose they are."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client import LEDGER_NAME, LedgerError, Source
from deid_service.client.keeping import Keeper
from deid_service.client.ledger import NO_TARGET, Finished, Ledger, applied_by
from deid_service.client.outputs import Destination

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = "0" * 64


def source(name: str) -> Source:
    """Returns a source."""
    return Source(name, BytesIO, 1, origin=f"/{name}")


def keep(out: Path, name: str, content: bytes, *, killed: bool = False) -> Path:
    """Keeps an output in a run of its own, which may end right before its end."""
    destination = Destination(out)
    ledger = Ledger(out, NO_TARGET)
    output = destination.begin()
    output.write(content)
    receipt = pb.Receipt(profile_sha256=PROFILE, bytes_out=output.size, sha256=output.sha256)
    keeper = Keeper(destination, ledger, keep_names=False)
    path = keeper.keep(output, source(name), "output", receipt)
    ledger.close()
    if killed:
        state = (out / LEDGER_NAME).read_text()
        (out / LEDGER_NAME).write_text(state[: state.rindex("\n{")])
    return path


def finished(out: Path, name: str) -> Finished | None:
    """Returns what is remembered of a source."""
    return Ledger(out, NO_TARGET).finished(
        source(name), applied_by(pb.Receipt(profile_sha256=PROFILE))
    )


@pytest.mark.parametrize("killed", [False, True])
def test_a_name_that_was_free_again_is_anothers(tmp_path: Path, killed: bool) -> None:
    """Where somebody removes an output, and another gets its name, it is that one's."""
    keep(tmp_path, "one", b"one").unlink()
    path = keep(tmp_path, "two", b"two", killed=killed)

    assert finished(tmp_path, "one") is None
    assert (found := finished(tmp_path, "two")) is not None
    assert (found.path, found.current) == (path, True)


def test_what_is_changed_is_somebodys_own(tmp_path: Path) -> None:
    """An output that somebody has changed is not replaced, and counts as none."""
    path = keep(tmp_path, "one", b"one", killed=True)
    path.write_bytes(b"own")

    assert finished(tmp_path, "one") is None


@pytest.mark.parametrize("place", ["..", "absolute"])
def test_a_state_does_not_lead_elsewhere(tmp_path: Path, place: str) -> None:
    """What a state says of places outside of its folder is not believed."""
    out, elsewhere = tmp_path / "out", tmp_path / "output"
    keep(out, "one", b"one").rename(elsewhere)
    state = out / LEDGER_NAME
    text = state.read_text()
    path = elsewhere if place == "absolute" else "../output"
    state.write_text(text.replace('"output": "output"', f'"output": "{path}"'))

    assert state.read_text() != text
    assert finished(out, "one") is None


@pytest.mark.parametrize(
    "line", ["null", "[1]", '"text"', "{", '{"confirmed": true}', "\xff", '{"format": 2}']
)
def test_lines_that_say_nothing_are_passed_over(tmp_path: Path, line: str) -> None:
    """What a full disk or an editor has left in a state spoils nothing else."""
    path = keep(tmp_path, "one", b"one")
    state = tmp_path / LEDGER_NAME
    state.write_bytes(state.read_bytes() + line.encode("latin-1") + b"\n")

    assert (found := finished(tmp_path, "one")) is not None
    assert found.path == path


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A state of a build that this one does not know is left alone."""
    (tmp_path / LEDGER_NAME).write_text('{"format": 99, "key": "k"}\n')

    with pytest.raises(LedgerError):
        Ledger(tmp_path, NO_TARGET)
