"""De-identifies a folder with a peer engine on all cores. Runs in the peers' environment.

Reads {"peer", "folder", "out", "profile", "actions"} as JSON; answers with the seconds from the
first file read to the last one written, processes started before, or with an error.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

Request = dict[str, Any]

# What a worker does with a file's bytes; it gets there when the worker starts.
_engine: list[Callable[[bytes], Any]] = []


def start(request: Request) -> None:
    """Loads the engine in a worker."""
    if request["peer"] == "fw-file-rs":
        from fw_file_rs.dcm import DeidProfile

        profile = DeidProfile.from_yaml(Path(request["profile"]).read_text())
        _engine.append(lambda data: profile.deid_file("input.dcm", data))
    else:
        from dcmanon import Anonymizer

        anonymizer = Anonymizer(tag_actions=request["actions"])
        _engine.append(lambda data: anonymizer.anonymize(io.BytesIO(data)))


def _output(answer: Any) -> Any:
    """Returns the bytes in what an engine answers, which may have a name beside them."""
    if isinstance(answer, (list, tuple)):
        return next(_output(part) for part in answer if not isinstance(part, str))
    if isinstance(answer, dict):
        return next(iter(answer.values()))
    return answer.getvalue() if hasattr(answer, "getvalue") else answer


def one(paths: tuple[str, str]) -> int:
    """De-identifies a file, and returns how long the output is."""
    source, target = paths
    (engine,) = _engine
    return Path(target).write_bytes(_output(engine(Path(source).read_bytes())))


def main() -> None:
    """Answers one request."""
    request = json.loads(sys.stdin.read())
    out = Path(request["out"])
    files = sorted(Path(request["folder"]).glob("*.dcm"))
    try:
        with ProcessPoolExecutor(os.cpu_count(), initializer=start, initargs=(request,)) as pool:
            list(pool.map(one, [(str(files[0]), str(out / "warm"))] * 8))
            (out / "warm").unlink()
            started = time.perf_counter()
            pairs = [(str(path), str(out / path.name)) for path in files]
            sizes = list(pool.map(one, pairs, chunksize=64))
            seconds = time.perf_counter() - started
        answer: dict[str, object] = {"seconds": seconds, "bytes": sum(sizes)}
    except Exception as error:  # noqa: BLE001
        answer = {"error": type(error).__name__}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
