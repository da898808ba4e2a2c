"""A service without one of its clever parts, for the benchmark `decisions`.

Usage: python -m tests.benchmarks._without PART SERVICE ARGUMENT...

Runs `python -m SERVICE ARGUMENT...` with that part replaced by the plain way of doing
the same, in its workers too. PART `nothing` replaces nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from profile_service.serving import processes, supervisor

if TYPE_CHECKING:
    from deid_service.contract.wire import Buffer
    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile, Parameter


def tuning() -> None:
    """Workers run with the defaults of the allocator and of gRPC."""
    supervisor.TUNING.clear()


def wire_shortcuts() -> None:
    """Every message goes through protobuf."""
    from deidcascade.v1 import deid_service_pb2 as pb

    from deid_service.contract import wire

    def no_chunk(message: bytes) -> memoryview | None:
        del message
        return None

    def write(parts: Iterable[Buffer], size: int) -> tuple[bytes, memoryview]:
        del size
        chunk = b"".join(parts)
        return pb.DeidentifyResponse(chunk=chunk).SerializeToString(), memoryview(chunk)

    wire.read_chunk = no_chunk
    wire.write_response_chunk = write


def digest_thread() -> None:
    """What is sent is hashed on the event loop."""
    from deid_service.serving import digest

    digest.ASIDE_BYTES = digest.TOGETHER_BYTES = sys.maxsize


def reading_on() -> None:
    """The next message is asked for when the last is answered."""
    from deid_service.serving import incoming

    incoming.MAX_AHEAD = 0


def statement_path() -> None:
    """Statements that read go through the driver's cursor."""
    import psycopg

    from profile_service.store.queries import QUERIES
    from profile_service.store.statement import ReadingConnection, nothing

    def rows(
        self: ReadingConnection, query: str, *parameters: Parameter, meanwhile: Meanwhile = nothing
    ) -> list[Row]:
        meanwhile()
        with psycopg.RawCursor(self._connection) as cursor:
            return cursor.execute(QUERIES[query].encode(), parameters, binary=True).fetchall()

    ReadingConnection.rows = rows  # type: ignore[method-assign]


def recent_versions() -> None:
    """The text of a profile is sent by the database with each resolution."""
    from profile_service.store.recent import Read, RecentVersions

    def forget(self: RecentVersions, read: Read) -> None:
        del self, read

    RecentVersions.keep = forget  # type: ignore[method-assign]


def unchanged_answers() -> None:
    """Each resolution reads its rows."""
    from profile_service.store.unchanged import Unchanged

    def nothing(self: Unchanged[object], *kept: object) -> None:
        del self, kept

    Unchanged.keep = nothing  # type: ignore[method-assign, assignment]


def gathered_log_lines() -> None:
    """Each line of the log is written where it comes up."""
    from profile_service.serving.logs import Log

    Log.write_soon = Log.write  # type: ignore[method-assign]


PARTS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "tuning": tuning,
    "wire shortcuts": wire_shortcuts,
    "digest thread": digest_thread,
    "reading on": reading_on,
    "statement path": statement_path,
    "recent versions": recent_versions,
    "unchanged answers": unchanged_answers,
    "gathered log lines": gathered_log_lines,
}


def main(part: str, service: str, arguments: Sequence[str]) -> int:
    """Runs a service, and returns its exit code."""
    PARTS[part]()
    run = processes.run

    def run_so(module: str, given: Sequence[str], **options: Any) -> int:
        # Its workers are this program, too.
        return run("tests.benchmarks._without", [part, module, *given], **options)

    processes.run = run_so  # type: ignore[assignment]
    code: int = import_module(f"{service}.__main__").main(list(arguments))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
