"""What a resolution reads: one query."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from profile_service.hierarchy import ContainerName, Kind, Level, parse_name
from profile_service.model import FileAudit
from profile_service.store import rows
from profile_service.store.recent import Read, RecentVersions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profile_service.access.credentials import Claims
    from profile_service.access.model import Standing
    from profile_service.keys.sealing import Sealed
    from profile_service.model import ProfileVersion
    from profile_service.store.access import AccessStore
    from profile_service.store.database import Reading
    from profile_service.store.rows import Row


class Found(NamedTuple):
    """What a resolution reads.

    Attributes:
        site: of the target.
        enforced: whether the site enforces de-identification.
        levels: nearest first, each valid profile with its text.
        ids: of the target and the containers that it is in, by their names.
        keys: the generations of the key of the site, encrypted.
    """

    site: ContainerName
    enforced: bool
    levels: list[Level]
    ids: dict[str, int]
    keys: dict[int, Sealed]


class ResolutionStore:
    """What the cascade asks for, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, access: AccessStore) -> None:
        self._read = read
        self._access = access
        self._recent = RecentVersions()

    def levels(
        self, target: ContainerName, asking: Claims, caller: Claims
    ) -> tuple[Standing, Standing, Found | None]:
        """Reads what the cascade asks for, and whether that may be asked: one query.

        Args:
            target: a project or a device.
            asking: who asks.
            caller: in whose name.

        Returns:
            What both are worth for the target; and what was read of it. None in place of that
            when the target does not exist.
        """
        # The site of a device stands for a group as well.
        names = (target.text, target.parent or "", target.site)
        recent = self._recent.of(names)
        known = b"".join([read.version.sha256 for read in recent.values()])
        shown = (asking.key_id, asking.key_hash, caller.key_id, caller.key_hash)
        principals = "\n".join(asking.principals + caller.principals)
        told = self._read("resolve", *names, known, *shown, principals)
        standings = self._access.standings((asking, caller), *told[0][:2])
        found = {row[2]: row[3:] for row in told}
        if target.text not in found:
            return standings[0], standings[1], None
        file_audit = FileAudit(found[target.site][3])
        # All are read, so that the text of a site is sent once for its devices, too.
        levels = [
            Level(name, self._version_in(name, found[name][4:], recent), found[name][2], file_audit)
            for name in names
        ]
        enforced, keys = found[target.site][:2]
        read = Found(
            parse_name(target.site, field="target"),
            enforced,
            levels if target.kind is Kind.PROJECT else levels[:1],
            {name: row[4] for name, row in found.items()},
            rows.to_site_keys(keys or b""),
        )
        return standings[0], standings[1], read

    def _version_in(
        self, container: str, row: Row, recent: Mapping[str, Read]
    ) -> ProfileVersion | None:
        """Reads a row of a resolution, unless it is what was read before."""
        told = row[:-1]
        before = recent.get(container)
        if before is not None and before.row == told:
            return before.version
        version = rows.to_version(container, row)
        if version is None:
            return None
        if version.source is None:
            # Said to be known, and so not sent: of whichever container.
            texts = {read.version.sha256: read.version.source for read in recent.values()}
            version = version._replace(source=texts.get(version.sha256))
        if version.source is not None:
            self._recent.keep(Read(told, version))
        return version
