"""The upload client: files in, de-identified files in a folder, nothing half-done.

    channels = [open_channel("localhost:50052") for _ in range(4)]
    with Upload(channels, "sites/s/groups/g/projects/p", find_sources(["scans/"]), "out") as upload:
        for result in upload:
            print(result.name, result.path or result.problem)

The same object serves `async with` and `async for`.
"""

from __future__ import annotations

from deid_service.client.outputs import PARTIAL_SUFFIX
from deid_service.client.sources import Source, find_sources
from deid_service.client.upload import (
    FileResult,
    Progress,
    StreamRefusedError,
    UnexpectedAnswerError,
    Upload,
    UploadError,
    open_channel,
)
from deid_service.contract.errors import LevelVerdict, ProfileProblem

__all__ = [
    "PARTIAL_SUFFIX",
    "FileResult",
    "LevelVerdict",
    "ProfileProblem",
    "Progress",
    "Source",
    "StreamRefusedError",
    "UnexpectedAnswerError",
    "Upload",
    "UploadError",
    "find_sources",
    "open_channel",
]
