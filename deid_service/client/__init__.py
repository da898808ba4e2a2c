"""The upload client: files in, de-identified files in a folder, nothing half-done.

    channels = [open_channel("localhost:50052", key=key) for _ in range(4)]
    with Upload(channels, "sites/s/groups/g/projects/p", find_sources(["scans/"]), "out") as upload:
        for result in upload:
            print(result.name, result.path or result.problem)

The same object serves `async with` and `async for`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deid_service.client.archives import expand
from deid_service.client.ledger import LEDGER_NAME, LedgerError
from deid_service.client.outputs import PARTIAL_SUFFIX
from deid_service.client.results import (
    FileResult,
    NoRoomError,
    Outcome,
    Progress,
    StreamRefusedError,
    UnexpectedAnswerError,
    UploadError,
)
from deid_service.client.sources import Source, find_sources
from deid_service.contract.errors import LevelVerdict, ProfileProblem

if TYPE_CHECKING:
    from deid_service.client.channels import open_channel
    from deid_service.client.upload import Upload

__all__ = [
    "LEDGER_NAME",
    "PARTIAL_SUFFIX",
    "FileResult",
    "LedgerError",
    "LevelVerdict",
    "NoRoomError",
    "Outcome",
    "ProfileProblem",
    "Progress",
    "Source",
    "StreamRefusedError",
    "UnexpectedAnswerError",
    "Upload",
    "UploadError",
    "expand",
    "find_sources",
    "open_channel",
]


def __getattr__(name: str) -> object:
    """Gives what speaks gRPC when it is asked for: what does without starts sooner."""
    if name == "Upload":
        from deid_service.client.upload import Upload

        return Upload
    if name == "open_channel":
        from deid_service.client.channels import open_channel

        return open_channel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
