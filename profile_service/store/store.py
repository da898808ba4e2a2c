"""All that is kept, over one database."""

from __future__ import annotations

from profile_service.store.access import AccessStore
from profile_service.store.audit import AuditStore
from profile_service.store.changes import ChangeStore
from profile_service.store.codes import CodeStore
from profile_service.store.containers import ContainerStore
from profile_service.store.database import Database
from profile_service.store.profiles import ProfileStore
from profile_service.store.resolutions import ResolutionStore
from profile_service.store.site_keys import SiteKeyStore
from profile_service.store.tables import TableStore
from profile_service.store.unchanged import Unchanged


class Store:
    """The parts: each method of one is one use of the database, and one transaction at most.

    Attributes:
        database: its connections, and what it allows.
        containers: the hierarchy.
        profiles: versions of profiles, and what is attached.
        resolutions: what the cascade reads.
        changes: those that a second person is to approve.
        access: who may do what.
        site_keys: the keys that pseudonyms are made with.
        codes: those that patients were given.
        tables: what is known of patients, encrypted.
        audit: what was done by whom.
    """

    def __init__(self, conninfo: str, *, readers: int, writers: int) -> None:
        """Connects to nothing yet; see `Database`."""
        self.database = Database(conninfo, readers=readers, writers=writers)
        read, change = self.database.read, self.database.change
        self.containers = ContainerStore(read, change)
        self.profiles = ProfileStore(read, change)
        self.changes = ChangeStore(read, change)
        self.access = AccessStore(read, change)
        self.site_keys = SiteKeyStore(read, change)
        self.codes = CodeStore(read, change)
        self.tables = TableStore(read, change, self.database.load)
        self.audit = AuditStore(read, change)
        self.resolutions = ResolutionStore(
            read, self.access, Unchanged(read, self.database.connected)
        )
