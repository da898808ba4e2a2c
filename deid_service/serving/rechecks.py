"""Whether the callers of open streams may still upload.

A stream can be open for days, and its caller be refused meanwhile: a key is revoked, a
token expires, a role is taken away. So it is asked again and again, once for all streams
of a caller into a target.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deid_service.contract.errors import (
    DeidServiceError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from deid_service.serving.logs import LOG
from profile_service.serving.logs import origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deid_service.serving.gate import OpenStream
    from deid_service.serving.resolver import ProfileResolver


class Rechecks:
    """Asks for each caller and target of open streams, and ends those that are refused."""

    def __init__(self, resolver: ProfileResolver, seconds: float) -> None:
        """Asks nothing yet.

        Args:
            resolver: asks.
            seconds: how often.
        """
        self._resolver = resolver
        self._seconds = seconds
        self._streams: dict[tuple[str, tuple[str, str]], set[OpenStream]] = {}

    @contextmanager
    def watching(
        self, stream: OpenStream, target: str, credential: tuple[str, str]
    ) -> Iterator[None]:
        """Watches over a stream that is open."""
        of_caller = self._streams.setdefault((target, credential), set())
        of_caller.add(stream)
        try:
            yield
        finally:
            of_caller.discard(stream)
            if not of_caller:
                self._streams.pop((target, credential), None)

    async def run(self) -> None:
        """Asks, until it is cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            for target, credential in list(self._streams):
                try:
                    await self._resolver.check(target, credential)
                except (UnauthenticatedError, PermissionDeniedError) as error:
                    for stream in list(self._streams.get((target, credential), ())):
                        stream.refuse(type(error)())
                except DeidServiceError:
                    # Nobody could have been told that the caller is refused: next time.
                    continue
                except Exception as error:  # noqa: BLE001 -- the others are to be asked for
                    LOG.write("recheck", level=logging.ERROR, cause=origin(error))
