"""Keeps the health of the service in step with the database."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from profile_service.errors import (
    ProfileServiceError,
    SchemaTooOldError,
    StoreBusyError,
    StoreFaultError,
    StoreUnavailableError,
    TooManyCallsError,
)
from profile_service.logs import LOG

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from profile_service.first_keys import FirstKeys
    from profile_service.store import Store

# How often the database is asked whether it answers.
INTERVAL_SECONDS = 1.0

# How often it is stored which API keys were used.
USES_SECONDS = 60.0


class Monitor:
    """Watches the database, and migrates it when it is first there.

    The service can start before its database, and outlive it. A database that is empty
    later on is not given a schema: it waits to be restored, and that would be in the way.
    """

    def __init__(
        self,
        store: Store,
        on_change: Callable[[bool], None],
        first_keys: FirstKeys,
        room: tuple[int, int],
    ) -> None:
        """Prepares.

        Args:
            store: what is watched.
            on_change: called with whether the database serves, when that changes.
            first_keys: those that the database has from its first migration on.
            room: how many connections there may be for reads, and for changes.
        """
        self._first_keys = first_keys
        self._room = room
        self._recorded = time.monotonic()
        self._database = store.database
        self._access = store.access
        self._on_change = on_change
        self._migrated = False
        self._serving: bool | None = None
        self._cause = ""
        self._denied = ""
        self._could_change_audit: bool | None = None

    def look(self) -> None:
        """Looks once.

        Raises:
            SchemaTooNewError: a newer build has used the database.
            StoreFaultError: the role of the service may not migrate it.
        """
        self._tell()
        try:
            if not self._migrated:
                for number in self._database.migrate():
                    LOG.write("migrated", number=number)
                self._migrated = True
            denied = self._database.look()
            if not self._serving:
                # It may have been restored from a backup that has them not.
                self._first_keys.adopt(self._access)
            self._record_uses()
        except SchemaTooOldError as error:
            # It has been restored from a backup of an older build.
            self._migrated = False
            self._set(serving=False, cause=error.cause)
        except (StoreUnavailableError, StoreBusyError, TooManyCallsError) as error:
            self._set(serving=False, cause=error.cause)
        else:
            if denied != self._denied:
                self._denied = denied
                LOG.write("database_rights", level=logging.ERROR, missing=denied or "none")
            could = self._database.may_change_audit()
            if could != self._could_change_audit:
                self._could_change_audit = could
                level = logging.WARNING if could else logging.INFO
                LOG.write("audit_rights", level=level, append_only=str(not could).lower())
            self._set(serving=True)

    def run(self, stop: threading.Event) -> None:
        """Looks again and again, until told to stop.

        Raises:
            SchemaTooNewError: see `look`.
        """
        while not stop.wait(INTERVAL_SECONDS):
            try:
                self.look()
            except StoreFaultError as error:
                self._set(serving=False, cause=error.cause)

    def _tell(self) -> None:
        """Tells how many connections there may be and are, from before the first call on."""
        readers, writers = self._database.busy()
        LOG.tell(
            "connections",
            readers_busy=readers,
            writers_busy=writers,
            readers_most=self._room[0],
            writers_most=self._room[1],
        )

    def _record_uses(self) -> None:
        if time.monotonic() - self._recorded >= USES_SECONDS:
            self._recorded = time.monotonic()
            try:
                self._access.record_uses()
            except ProfileServiceError as error:
                # Who was last seen when is no reason to serve nobody.
                cause = error.cause or type(error).__name__
                LOG.write("key_uses", level=logging.ERROR, cause=cause)

    def _set(self, *, serving: bool, cause: str = "") -> None:
        if (serving, cause) == (self._serving, self._cause):
            return
        changed = serving != self._serving
        self._serving, self._cause = serving, cause
        level = logging.INFO if serving else logging.ERROR
        LOG.write("database", level=level, answers=str(serving).lower(), cause=cause)
        if changed:
            self._on_change(serving)
