"""Removes now and then what was kept for long enough: events of the audit, rows of tables."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from profile_service.errors import ProfileServiceError
from profile_service.logs import LOG

if TYPE_CHECKING:
    from profile_service.store.audit import AuditStore
    from profile_service.store.tables import TableStore

# How often it is looked what has expired. Each worker does; who comes second finds nothing.
INTERVAL_SECONDS = 3600.0


class Retention:
    """Looks in a thread of its own, from the start of the service on."""

    def __init__(self, audit: AuditStore, tables: TableStore) -> None:
        self._audit = audit
        self._tables = tables
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends it, when what is under way is done."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            for expire, failed in (
                (self._expire, "audit_not_expired"),
                (self._remove_rows, "rows_not_removed"),
            ):
                try:
                    expire()
                except ProfileServiceError as error:
                    # The database is away, or the chain is in use: later.
                    LOG.write(failed, cause=error.cause)
            self._stop.wait(INTERVAL_SECONDS)

    def _expire(self) -> None:
        for site in self._audit.sites_with_expired_events():
            count = 0
            while not self._stop.is_set() and (gone := self._audit.expire(site)):
                count += gone
            LOG.write("audit_expired", site=site, count=count)

    def _remove_rows(self) -> None:
        """Removes rows of tables that nobody can read any more."""
        for table_id, before in self._tables.rows_gone():
            count = 0
            while not self._stop.is_set() and (gone := self._tables.remove_rows(table_id, before)):
                count += gone
            LOG.write("rows_removed", count=count)
