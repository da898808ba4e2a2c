"""What a resolution reads: one query, or less where nothing has changed since the last."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from profile_service.access.credentials import NOBODY
from profile_service.access.judging import judge_resolution
from profile_service.errors import (
    PermissionDeniedError,
    ServiceRefusedError,
    UnauthenticatedError,
)
from profile_service.hierarchy import ContainerName, Kind, Level
from profile_service.model import FileAudit
from profile_service.store import rows
from profile_service.store.recent import Read, RecentVersions
from profile_service.store.statement import nothing
from profile_service.store.unchanged import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profile_service.access.credentials import Claims
    from profile_service.access.permissions import Permission
    from profile_service.keys.sealing import Sealed
    from profile_service.store.access import AccessStore
    from profile_service.store.database import Reading
    from profile_service.store.rows import Row
    from profile_service.store.statement import Meanwhile
    from profile_service.store.unchanged import Key, Unchanged

# Where in a row of the query stands when it was answered, until when that holds, which API keys are
# in force and what principals have; what a site alone has; and what is said of a container.
_OF_ALL, _OF_SITE, _OF_CONTAINER = slice(4), slice(4, 7), slice(7, None)
# Where in the last its name stands, whether it is locked, its identity, and its text.
_NAME, _LOCKED, _ID, _TEXT = 0, 1, 2, -1

# The same of the query about a target and what it is in: when it was answered, and what is said.
_WHEN_BELOW, _BELOW = slice(2), slice(2, None)

_REFUSALS = (UnauthenticatedError, PermissionDeniedError, ServiceRefusedError)

# By how they are stored.
_FILE_AUDITS = {each.value: each for each in FileAudit}


class KeySource(NamedTuple):
    """What the keys of a stream are made from.

    Attributes:
        site_name: that of the site of the target.
        ids: of the target and the containers that it is in, by their names.
        sealed: the generations of the key of the site, encrypted, one after the other.
    """

    site_name: str
    ids: dict[str, int]
    sealed: bytes

    @property
    def site(self) -> ContainerName:
        """The site of the target."""
        return ContainerName(self.site_name, Kind.SITE)

    @property
    def keys(self) -> dict[int, Sealed]:
        """The generations of the key of the site, encrypted."""
        return rows.to_site_keys(self.sealed)


class Found(NamedTuple):
    """What a resolution reads.

    Attributes:
        enforced: whether the site enforces de-identification.
        levels: nearest first, without texts.
        texts: those of valid profiles, by their digests.
        key_source: what keys are made from.
    """

    enforced: bool
    levels: list[Level]
    texts: dict[bytes, str | None]
    key_source: KeySource


class Said(NamedTuple):
    """What the database has said of a target.

    Attributes:
        committed: see `Moment`.
        until: when it changes by itself; None for never.
        keys: the ids of the API keys that are in force.
        lines: what principals have.
        of_site: what the site alone has; empty where there is none.
        rows: one for the target and for each container that it is in, of those that exist.
    """

    committed: bytes | None
    until: bytes | None
    keys: str | None
    lines: str | None
    of_site: Row
    rows: list[Row]


class Told(NamedTuple):
    """What a resolution is told: the same as long as nothing has changed.

    Attributes:
        target: the project or the device.
        names: of the target, of what it is in, and of its site.
        exists: whether there is such a target.
        with_text: whether a text was sent, as it is not the next time.
        said: what the database says of them.
        recent: the versions whose texts it was not asked for, by their containers.
    """

    target: ContainerName
    names: tuple[str, str, str]
    exists: bool
    with_text: bool
    said: Said
    recent: Mapping[str, Read]

    def text_of(self, sha256: bytes) -> str | None:
        """Returns the text of a version where it need not be asked for, else None."""
        for read in self.recent.values():
            if read.version.sha256 == sha256:
                return read.text
        return None


class ResolutionStore:
    """What the cascade asks for, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, access: AccessStore, unchanged: Unchanged[Said]) -> None:
        self._read = read
        self._access = access
        self._recent = RecentVersions()
        self._unchanged = unchanged

    def ask(
        self,
        target: ContainerName,
        asking: Claims,
        caller: Claims | None,
        of_caller: frozenset[Permission],
        meanwhile: Meanwhile = nothing,
    ) -> Told:
        """Asks for what the cascade needs, and whether that may be asked: one query.

        What was read is remembered for whoever may be told, and nobody else: from how long
        the answer takes, they could learn whether the target exists.

        Args:
            target: a project or a device.
            asking: who asks.
            caller: in whose name, or None.
            of_caller: what that one needs.
            meanwhile: is done while the database works, before anything is judged.

        Raises:
            UnauthenticatedError: see `judge_resolution`.
            PermissionDeniedError: see `judge_resolution`.
            ServiceRefusedError: see `judge_resolution`.
            Exception: what `meanwhile` raises.
        """
        # The site of a device stands for a group as well.
        names = (target.text, target.parent or "", target.site)
        recent = self._recent.of(names)
        known = b"".join([read.version.sha256 for read in recent.values()])
        second = caller or NOBODY
        shown = (asking.key_id, asking.key_hash, second.key_id, second.key_hash)

        def judge(said: Said) -> None:
            one, other = self._access.standings(asking, second, said.keys, said.lines)
            pair = None if caller is None else (caller, other)
            judge_resolution((asking, one), pair, of_caller)

        judged = False

        def judge_known(said: Said) -> None:
            nonlocal judged
            # What was known before may not have stood.
            judged = False
            meanwhile()
            # Who is refused by what is known is so only if that still stands.
            with suppress(*_REFUSALS):
                judge(said)
                judged = True

        # Who may be told for one purpose may not be for another, nor who asks in another's name.
        who = (of_caller, *shown, asking.principals, second.principals)
        asked = (*names, known, *who)
        site = recent.get(names[2])
        above = (names[2], None if site is None else site.version.sha256, *who)
        connected = self._unchanged.connected()
        said = self._unchanged.said(asked, judge_known)
        if said is None:
            said = self._below(names, known, above, judge_known)
        whole = said is None
        if said is None:
            principals = "\n".join(asking.principals + second.principals)
            answer = self._read("resolve", *names, known, *shown, principals, meanwhile=meanwhile)
            said = _said(answer, names[2])
        if whole or not judged:
            judge(said)
        exists = names[0] in [row[_NAME] for row in said.rows]
        texts = [row[_TEXT] for row in said.rows if row[_TEXT] is not None]
        moment = Moment(said.committed, connected)
        if exists and not texts:
            self._unchanged.keep(asked, said, moment, said.until)
        if whole and (alone := _site_alone(said, names[2])) is not None:
            with suppress(*_REFUSALS):
                judge(alone)
                self._unchanged.keep(above, alone, moment, said.until)
        return Told(target, names, exists, bool(texts), said, recent)

    def _below(
        self,
        names: tuple[str, str, str],
        known: bytes,
        above: Key,
        meanwhile: Callable[[Said], None],
    ) -> Said | None:
        """Reads the target and what it is in, where the rest is known and still stands.

        Meanwhile that is looked at.

        Returns:
            What the whole query would say, without the bindings of the target and of what it is
            in; None where the rest is not known.
        """
        kept = self._unchanged.kept(above)
        if kept is None:
            return None
        found = self._read(
            "resolve_below", *names[:2], known, meanwhile=lambda: meanwhile(kept.said)
        )
        if not self._unchanged.stands(kept, *found[0][_WHEN_BELOW]):
            return None
        rows = [row[_BELOW] for row in found]
        # A device is in its site.
        own = [row for row in rows if row[_NAME] is not None and row[_NAME] != names[2]]
        site = kept.said
        return Said(
            site.committed, site.until, site.keys, site.lines, site.of_site, own + site.rows
        )

    def read(self, told: Told) -> Found:
        """Reads what was said of a target that exists."""
        enforced, file_audit, keys = told.said.of_site
        audit = _FILE_AUDITS[file_audit]
        found = {row[_NAME]: row for row in told.said.rows}
        levels = []
        texts = {}
        # All are read, so that the text of a site is sent once for its devices, too.
        for name in told.names:
            row = found[name]
            read = self._version_in(name, row, told)
            if read is None:
                levels.append(Level(name, None, row[_LOCKED], audit))
            else:
                levels.append(Level(name, read.version, row[_LOCKED], audit))
                texts[read.version.sha256] = read.text
        return Found(
            enforced,
            levels if told.target.kind is Kind.PROJECT else levels[:1],
            texts,
            KeySource(told.names[2], {row[_NAME]: row[_ID] for row in told.said.rows}, keys or b""),
        )

    def _version_in(self, container: str, row: Row, told: Told) -> Read | None:
        """Reads a row of a resolution, unless it is what was read before."""
        before = told.recent.get(container)
        if before is not None and before.row == row:
            return before
        source = row[_TEXT]
        said = row if source is None else (*row[:_TEXT], None)
        version = rows.to_version(container, said[_ID:])
        if version is None:
            return None
        # Where it is said to be known it is not sent: of whichever container.
        text = told.text_of(version.sha256) if source is None else source.decode()
        read = Read(said, version, text)
        if text is not None:
            self._recent.keep(read)
        return read


def _said(answer: list[Row], site: str) -> Said:
    """Reads the answer of the whole query."""
    of_site: Row = ()
    rows = []
    for row in answer:
        said = row[_OF_CONTAINER]
        if said[_NAME] is not None:
            rows.append(said)
        if said[_NAME] == site:
            of_site = row[_OF_SITE]
    committed, until, keys, lines = answer[0][_OF_ALL]
    return Said(committed, until, keys, lines, of_site, rows)


def _site_alone(said: Said, site: str) -> Said | None:
    """Returns what was said of a site; None where it does not exist, or its text was sent.

    With what principals have in all of it: what they have below is another matter for each target.
    """
    for row in said.rows:
        if row[_NAME] == site and row[_TEXT] is None:
            bindings = [line.split("\t") for line in (said.lines or "").splitlines()]
            wide = [each for each in bindings if each[2:] in ([], [str(row[_ID])])]
            lines = "\n".join(["\t".join(each) for each in wide])
            return said._replace(lines=lines, rows=[row])
    return None
