"""Runs that end in the middle of any step, and runs that go on: what is there after both.

Usage: python -m tests.unit.client.crashes FOLDER

A run keeps one output for each of three sources, of which two get the same name, different
ones or the same, and is ended before a step: before the system is asked to open, link, rename
or remove something. Then another run goes on. The runs before it have kept nothing, or by
another profile what gets the same names, or others, or have been so many that most of the state
is stale. Prints a line of JSON for each ended run: what is there afterwards, as names and
contents, and what the last run says of each source.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from io import BytesIO
from pathlib import Path

from deidcascade.v1 import deid_service_pb2 as pb

from deid_service.client.keeping import Keeper
from deid_service.client.ledger import LEDGER_NAME, NO_TARGET, Ledger, applied_by
from deid_service.client.outputs import Destination
from deid_service.client.sources import Source

STEPS = {"open", "os.link", "os.rename", "os.remove"}
ENDED = 9

# Of each run: the profile, and the names that outputs get.
EARLIER = {
    "nothing": (),
    "the same names": (("first", ("a", "a", "b")),),
    "other names": (("first", ("x", "b", "y")),),
    "often": tuple((str(number), ("x", "a", f"y{number}")) for number in range(4)),
}
NAMES = ("a", "a", "b")
# What is in the sources.
CONTENTS = {"different": ("0", "1", "2"), "copies": ("0", "0", "2")}


def run(
    out: Path, profile: str, names: tuple[str, ...], contents: tuple[str, ...], *, in_one_go: bool
) -> dict[str, str]:
    """Keeps what is not kept yet, and returns where the output of each source is."""
    destination = Destination(out)
    ledger = Ledger(out, NO_TARGET)
    keeper = Keeper(destination, ledger, keep_names=False)
    kept = {}
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        source = Source(str(number), BytesIO, 1, origin=f"/{number}")
        earlier = keeper.finished(source, applied_by(pb.Receipt(profile_sha256=profile)))
        if earlier is not None and earlier.current:
            kept[source.name] = earlier.path.name
            continue
        output = destination.begin(in_one_go=in_one_go and earlier is None)
        # As long for each, so that no length tells one from another.
        output.write(f"{content} by {profile:6}".encode())
        receipt = pb.Receipt(profile_sha256=profile, bytes_out=output.size, sha256=output.sha256)
        kept[source.name] = Path(keeper.keep(output, source, name, receipt)).name
    ledger.close()
    return kept


def ended_before(step: int, out: Path, contents: tuple[str, ...], *, in_one_go: bool) -> bool:
    """Runs until before a step; tells whether it came so far."""
    child = os.fork()
    if child == 0:
        left = itertools.count(step, -1)

        def audit(event: str, _: tuple[object, ...]) -> None:
            if event in STEPS and next(left) == 0:
                os._exit(ENDED)

        sys.addaudithook(audit)
        run(out, "second", NAMES, contents, in_one_go=in_one_go)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ENDED


def main(folder: str) -> None:
    """Prints a line for each."""
    for (before, earlier), (kind, contents), in_one_go in itertools.product(
        EARLIER.items(), CONTENTS.items(), (False, True)
    ):
        for step in itertools.count():
            out = Path(folder, f"{before}, {kind}, {in_one_go}, {step}")
            out.mkdir()
            for each in earlier:
                run(out, *each, contents, in_one_go=in_one_go)
            ended = ended_before(step, out, contents, in_one_go=in_one_go)
            kept = run(out, "second", NAMES, contents, in_one_go=in_one_go)
            there = {path.name: path.read_text() for path in out.iterdir()}
            there.pop(LEDGER_NAME)
            print(json.dumps({"run": out.name, "of": contents, "there": there, "kept": kept}))
            if not ended:
                break


if __name__ == "__main__":
    main(sys.argv[1])
