"""The generations of the keys of sites, encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.audit import Action, Entry
from profile_service.errors import ContainerNotFoundError
from profile_service.model import SiteKey
from profile_service.store import audit, rows
from profile_service.store.existing import lock_container, require_approval
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from profile_service.access.actor import Actor
    from profile_service.audit import Facts
    from profile_service.hierarchy import ContainerName
    from profile_service.keys.sealing import Sealed
    from profile_service.store.database import Changing, Reading


class SiteKeyStore:
    """Keys of sites, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def generations(self, site: ContainerName) -> tuple[int, list[SiteKey]]:
        """Returns the identity of a site, and the generations of its key, newest first.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        found = self._read("list_site_keys", site.text)
        if not found:
            raise ContainerNotFoundError(site.text)
        return found[0][0], [rows.to_site_key(row) for row in found if row[1] is not None]

    def add(
        self,
        site: ContainerName,
        after: int,
        make: Callable[[int, int], Sealed],
        *,
        action: Action,
        actor: Actor,
        proposed_by: str | None = None,
    ) -> SiteKey:
        """Adds a generation to the key of a site, unless another one was faster.

        Args:
            site: which one.
            after: the generation before it; 0 for the first.
            make: makes it, of the identity of the site and its number.
            action: what the audit calls it.
            actor: who does it.
            proposed_by: who proposed it; None where nobody did.

        Returns:
            The one that is in use now.

        Raises:
            ContainerNotFoundError: it does not exist.
            ApprovalRequiredError: another person must approve that pseudonyms change.
        """
        with self._change(site.text) as connection:
            site_id = lock_container(connection, site, "")[0]
            if after:
                require_approval(connection, site, proposed_by)
            known = execute(connection, "list_site_keys", site.text).fetchone()
            if known is not None and known[1] is not None and known[1] > after:
                return rows.to_site_key(known)
            sealed = make(site_id, after + 1)
            values = (site_id, after + 1, sealed.master_key, sealed.data)
            added = execute(connection, "insert_site_key", *values).fetchone()
            assert added is not None  # noqa: S101 -- it returns what it has added
            facts: Facts = {"generation": after + 1, "master_key": sealed.master_key.hex()}
            before: Facts = {"generation": after} if after else {}
            audit.append(connection, Entry(action, site.text, actor, before, facts))
        return SiteKey(after + 1, sealed, added[0])
