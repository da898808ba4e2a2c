"""What a resolution reads: one query, or that nothing has changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from profile_service.hierarchy import ContainerName, Kind, Level, parse_name
from profile_service.model import FileAudit
from profile_service.store import rows
from profile_service.store.recent import Read, RecentVersions
from profile_service.store.unchanged import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from profile_service.access.credentials import Claims
    from profile_service.access.model import Standing
    from profile_service.keys.sealing import Sealed
    from profile_service.model import ProfileVersion
    from profile_service.store.access import AccessStore
    from profile_service.store.database import Reading
    from profile_service.store.rows import Row
    from profile_service.store.statement import Parameter
    from profile_service.store.unchanged import Unchanged

# Where in a row of the query stands when it was answered and until when that holds, which API keys
# are in force and what principals have, and what is said of a container.
_WHEN, _IN_FORCE, _SAID = slice(2), slice(2, 4), slice(4, None)


class KeySource(NamedTuple):
    """What the keys of a stream are made from.

    Attributes:
        site: of the target.
        ids: of the target and the containers that it is in, by their names.
        keys: the generations of the key of the site, encrypted.
    """

    site: ContainerName
    ids: dict[str, int]
    keys: dict[int, Sealed]


class Found(NamedTuple):
    """What a resolution reads.

    Attributes:
        enforced: whether the site enforces de-identification.
        levels: nearest first, each valid profile with its text.
        key_source: what keys are made from.
    """

    enforced: bool
    levels: list[Level]
    key_source: KeySource


class Told(NamedTuple):
    """What the database says of a target: the same as long as nothing has changed.

    Attributes:
        target: the project or the device.
        rows: a row for it and for each container that it is in; none where it does not exist.
        recent: the versions whose texts it was not asked for, by their containers.
        answered: what was asked, and the answer as it came.
        connected: how many connections had been made before.
    """

    target: ContainerName
    rows: list[Row]
    recent: Mapping[str, Read]
    answered: tuple[tuple[Parameter, ...], list[Row]]
    connected: int

    def text_of(self, version: ProfileVersion) -> str | None:
        """Returns the text of a version where it need not be asked for, else None."""
        for read in self.recent.values():
            if read.version.sha256 == version.sha256:
                return read.version.source
        return None


class ResolutionStore:
    """What the cascade asks for, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, access: AccessStore, unchanged: Unchanged) -> None:
        self._read = read
        self._access = access
        self._recent = RecentVersions()
        self._unchanged = unchanged

    def ask(
        self, target: ContainerName, asking: Claims, caller: Claims
    ) -> tuple[Standing, Standing, Told]:
        """Asks for what the cascade needs, and whether that may be asked: one query.

        Args:
            target: a project or a device.
            asking: who asks.
            caller: in whose name.

        Returns:
            What both are worth for the target, and what is said of it.
        """
        # The site of a device stands for a group as well.
        names = (target.text, target.parent or "", target.site)
        recent = self._recent.of(names)
        known = b"".join([read.version.sha256 for read in recent.values()])
        shown = (asking.key_id, asking.key_hash, caller.key_id, caller.key_hash)
        principals = "\n".join(asking.principals + caller.principals)
        asked = (*names, known, *shown, principals)
        connected = self._unchanged.connected()
        answer = self._unchanged.rows(asked) or self._read("resolve", *asked)
        standings = self._access.standings((asking, caller), *answer[0][_IN_FORCE])
        said = [row[_SAID] for row in answer]
        exists = any(row[0] == target.text for row in said)
        told = Told(target, said if exists else [], recent, (asked, answer), connected)
        return standings[0], standings[1], told

    def remember(self, told: Told) -> None:
        """Remembers what was said of a target that exists, to whoever may be told.

        Nobody else: from how long the answer takes, they could learn whether it exists.
        """
        if all(row[-1] is None for row in told.rows):  # A text is not sent the next time.
            asked, answer = told.answered
            committed, until = answer[0][_WHEN]
            self._unchanged.keep(asked, answer, Moment(committed, told.connected), until)

    def read(self, told: Told) -> Found:
        """Reads what was said of a target that exists."""
        target = told.target
        found = {row[0]: row[1:] for row in told.rows}
        enforced, keys, _, file_audit = found[target.site][:4]
        # All are read, so that the text of a site is sent once for its devices, too.
        levels = [
            Level(
                name,
                self._version_in(name, found[name][4:], told),
                found[name][2],
                FileAudit(file_audit),
            )
            for name in (target.text, target.parent or "", target.site)
        ]
        return Found(
            enforced,
            levels if target.kind is Kind.PROJECT else levels[:1],
            KeySource(
                parse_name(target.site, field="target"),
                {name: row[4] for name, row in found.items()},
                rows.to_site_keys(keys or b""),
            ),
        )

    def _version_in(self, container: str, row: Row, told: Told) -> ProfileVersion | None:
        """Reads a row of a resolution, unless it is what was read before."""
        said = row[:-1]
        before = told.recent.get(container)
        if before is not None and before.row == said:
            return before.version
        version = rows.to_version(container, row)
        if version is None:
            return None
        if version.source is None:
            # Said to be known, and so not sent: of whichever container.
            version = version._replace(source=told.text_of(version))
        if version.source is not None:
            self._recent.keep(Read(said, version))
        return version
