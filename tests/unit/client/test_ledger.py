"""What is remembered of outputs, and whose they are."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from deidcascade.v1 import deid_service_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from deid_service.client import LEDGER_NAME, LedgerError, Source, ledger
from deid_service.client.keeping import Keeper
from deid_service.client.ledger import NO_TARGET, Entry, Finished, Ledger, State, applied_by
from deid_service.client.locks import share
from deid_service.client.outputs import PARTIAL_SUFFIX, Destination
from tests.support.processes import child

PROFILE = "0" * 64


def source(name: str) -> Source:
    """Returns a source."""
    return Source(name, BytesIO, 1, origin=f"/{name}")


def keep(out: Path, name: str, content: bytes, *, killed: bool = False) -> Path:
    """Keeps an output in a run of its own, which may end right before its end."""
    destination = Destination(out)
    state = Ledger(out, NO_TARGET)
    output = destination.begin()
    output.write(content)
    receipt = pb.Receipt(profile_sha256=PROFILE, bytes_out=output.size, sha256=output.sha256)
    keeper = Keeper(destination, state, keep_names=False)
    path = Path(keeper.keep(output, source(name), "output", receipt))
    state.close()
    if killed:
        text = (out / LEDGER_NAME).read_text()
        (out / LEDGER_NAME).write_text(text[: text.rindex("\n{")])
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


@pytest.mark.parametrize("first", ['{"format": 99, "key": "k"}', '{"format": 2}'])
def test_another_format_is_refused(tmp_path: Path, first: str) -> None:
    """A state of a build that this one does not know is left alone."""
    (tmp_path / LEDGER_NAME).write_text(f"{first}\n")

    with pytest.raises(LedgerError):
        Ledger(tmp_path, NO_TARGET)


def size_of(out: Path) -> int:
    """Returns how many lines the state of a folder has."""
    return sum(1 for line in (out / LEDGER_NAME).read_text().splitlines() if line)


def test_a_state_does_not_grow_with_runs(tmp_path: Path) -> None:
    """However often it is done again, a state has some twice what there is to say, and says it."""
    name = "the key, and two lines for an output"
    for number in range(20):
        path = keep(tmp_path, name, f"{number}".encode())
        assert size_of(tmp_path) <= 2 * 3 + 3

    assert (found := finished(tmp_path, name)) is not None
    assert (found.path, path.read_bytes()) == (path, b"19")
    assert {each.name for each in tmp_path.iterdir()} == {LEDGER_NAME, path.name}
    assert stat.S_IMODE((tmp_path / LEDGER_NAME).stat().st_mode) == 0o600


def test_a_state_that_somebody_adds_to_is_not_exchanged(tmp_path: Path) -> None:
    """What one run adds while another one begins is there for the next one."""
    keep(tmp_path, "one", b"one")
    adding = Ledger(tmp_path, NO_TARGET)
    receipt = pb.Receipt(profile_sha256=PROFILE, bytes_out=3, sha256="0")
    for _ in range(9):
        adding.note(source("two"), str(tmp_path / "other"), receipt)

    assert finished(tmp_path, "one") is not None
    size = size_of(tmp_path)
    adding.confirm(source("two"))
    adding.close()
    assert (size_of(tmp_path), size) == (3 + 10, 3 + 9)
    assert finished(tmp_path, "one") is not None
    assert size_of(tmp_path) == 3 + 2


def test_who_opened_a_state_that_is_exchanged_adds_to_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a state and locking it another run may exchange it: that is noticed."""
    path = keep(tmp_path, "one", b"one")
    adding = Ledger(tmp_path, NO_TARGET)
    state = tmp_path / LEDGER_NAME
    state.write_text(state.read_text() * 9)
    sizes = [size_of(tmp_path)]

    def late(file: int) -> None:
        Ledger(tmp_path, NO_TARGET)
        sizes.append(size_of(tmp_path))
        share(file)

    monkeypatch.setattr(ledger, "share", late)
    receipt = pb.Receipt(profile_sha256=PROFILE, bytes_out=3, sha256="0")
    adding.note(source("two"), str(tmp_path / "two"), receipt)
    adding.close()

    assert (sizes[:2], size_of(tmp_path)) == ([27, 3], 4)
    assert (found := finished(tmp_path, "one")) is not None
    assert found.path == path


BEGIN = """
import pathlib, sys
from deid_service.client.ledger import Ledger
Ledger(pathlib.Path(sys.argv[1]), "")
"""


def test_a_state_outlives_who_is_killed_while_it_is_written_anew(tmp_path: Path) -> None:
    """Killed in the middle of that, however far it came, all that was done is known."""
    names = [str(number) for number in range(100)]
    for name in names:
        keep(tmp_path, name, name.encode())
    state, fresh = tmp_path / LEDGER_NAME, tmp_path / (LEDGER_NAME + PARTIAL_SUFFIX)
    stale = state.read_text() * 20
    seen = 0
    for _ in range(3):
        state.write_text(stale)
        with child(subprocess.Popen([sys.executable, "-c", BEGIN, tmp_path])) as process:
            while process.poll() is None:
                if fresh.exists():
                    process.kill()
                    seen += 1
                    break
        left = state.read_text()
        assert left == stale or size_of(tmp_path) == 1 + 2 * len(names)
        known, applied = Ledger(tmp_path, NO_TARGET), (PROFILE, "")
        assert all(known.finished(source(name), applied) for name in names)
    assert seen > 0


# A name in a state, and a digest: few, so that they meet.
CLAIMS = st.tuples(st.sampled_from("abcd"), st.sampled_from("xy"), st.sampled_from("01"))


@given(st.lists(st.one_of(CLAIMS, st.sampled_from("abcd")), max_size=30))
def test_what_is_left_out_says_nothing(claims: list[tuple[str, str, str] | str]) -> None:
    """Whatever was claimed and confirmed, what stays says the same of each source."""
    lines: list[dict[str, object]] = [
        {"source": each, "confirmed": True}
        if isinstance(each, str)
        else {"source": each[0], "output": each[1], "sha256": each[2], "receipt": ""}
        for each in claims
    ]
    written = [(json.dumps(line) + str(number), line) for number, line in enumerate(lines)]
    live = State(written).live()
    left = [line for number, line in enumerate(written) if number in live]

    assert said(left) == said(written)
    assert len(State(left).live()) == len(left)
    assert len(left) <= 4 * len("abcd")


def said(lines: list[tuple[str, dict[str, object]]]) -> dict[str, list[tuple[str, bool]]]:
    """Returns what lines say of each source: which notes count, and whether they are confirmed."""
    told: dict[str, list[tuple[str, bool]]] = {}
    for source_name, entry in State(lines).settled().items():
        chain = []
        each: Entry | None = entry
        while each is not None:
            chain.append((each.line, each.confirmed))
            each = each.before
        told[source_name] = chain
    return told
