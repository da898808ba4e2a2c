"""An upload in a process of its own, which a test can stop, kill or starve of disk.

Usage: python -m tests.integration.faults.client OPTIONS

OPTIONS is JSON: `address`, `files` (a folder), `out`, and optionally `hold` and
`max_output_bytes`. With `hold` the first file stops in its middle: the client
prints `held` and goes on when a line comes on its standard input. No output can
be larger than `max_output_bytes`: writing fails then as it does on a full disk.
Prints a line of JSON for each file: `name`, `outcome`, `path`, `sha256` of the receipt, and
`problem`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from deid_service.client import Source, Upload, open_channel
from tests.integration.faults.files import held
from tests.support.deid_service import TARGET


def main(
    address: str, files: str, out: str, *, hold: bool = False, max_output_bytes: int = 0
) -> int:
    """Uploads, and returns the exit code."""
    if max_output_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_output_bytes, max_output_bytes))
    waited: list[str] = []

    def wait() -> None:
        if not waited:
            print("held", flush=True)
            waited.append(sys.stdin.readline())

    def sources() -> Iterator[Source]:
        for number, file in enumerate(sorted(Path(files).iterdir())):
            source = Source.of_path(file)
            yield held(source, wait) if hold and number == 0 else source

    key = Path(os.environ["DEIDCASCADE_KEY_FILE"]).read_text("ascii").strip()
    channel = open_channel(address, key=key)
    with Upload([channel], TARGET, sources(), out) as upload:
        for result in upload:
            line = {
                "name": result.name,
                "outcome": result.outcome.name,
                "path": None if result.path is None else str(result.path),
                "sha256": None if result.receipt is None else result.receipt.sha256,
                "problem": result.problem,
            }
            print(json.dumps(line), flush=True)
    channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(**json.loads(sys.argv[1])))
