"""Changes that are proposed, and what was decided of them: a method is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.audit import Action, Entry
from profile_service.errors import (
    ChangeDecidedError,
    ChangeNotFoundError,
    ContainerNotFoundError,
    TooManyChangesError,
)
from profile_service.model import Change
from profile_service.store.audit import append
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from profile_service.access.actor import Actor
    from profile_service.audit import Facts
    from profile_service.hierarchy import ContainerName
    from profile_service.store.database import Changing, Reading

# Of one container. Each has a text of up to a mebibyte.
MAX_OPEN_CHANGES = 100


class ChangeStore:
    """Changes that are proposed, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def propose(
        self, name: ContainerName, method: str, request: bytes, note: str, actor: Actor
    ) -> Change:
        """Stores a change that is not made yet.

        Args:
            name: the container that it is about.
            method: the call that would make it.
            request: its request.
            note: why, in the words of who proposes it.
            actor: who does.

        Raises:
            ContainerNotFoundError: the container does not exist.
            TooManyChangesError: so many wait for a decision already.
        """
        with self._change(name.site) as connection:
            ((waiting,),) = execute(connection, "count_open_changes", name.text).fetchall()
            if waiting >= MAX_OPEN_CHANGES:
                raise TooManyChangesError(name.text, MAX_OPEN_CHANGES)
            given = (name.text, method, request, note, actor.subject, actor.identity)
            row = execute(connection, "propose_change", *given).fetchone()
            if row is None:
                raise ContainerNotFoundError(name.text)
            made = Change(name.text, *row)
            append(connection, _told(Action.PROPOSE_CHANGE, made, actor))
        return made

    def get(self, name: ContainerName, number: int) -> Change:
        """Returns a change.

        Raises:
            ChangeNotFoundError: there is none of that number.
        """
        found = self._read("get_change", name.text, number)
        if not found:
            raise ChangeNotFoundError(name.text, number)
        return Change(name.text, *found[0])

    def page(self, name: ContainerName, *, before: int, limit: int) -> list[Change]:
        """Returns changes of a container, the newest first.

        Args:
            name: the container.
            before: the number below which they begin.
            limit: how many at most.
        """
        found = self._read("list_changes", name.text, before, limit)
        return [Change(name.text, *row) for row in found]

    def decide(self, change: Change, actor: Actor, *, approved: bool) -> Change:
        """Notes what was decided of a change.

        Raises:
            ChangeDecidedError: somebody else was faster.
        """
        action = Action.APPROVE_CHANGE if approved else Action.REJECT_CHANGE
        entry = _told(action, change, actor)
        with self._change(entry.site) as connection:
            given = (change.number, approved, actor.subject)
            row = execute(connection, "decide_change", *given).fetchone()
            if row is None:
                raise ChangeDecidedError(change.container, change.number)
            append(connection, entry)
        return Change(change.container, *row)


def _told(action: Action, change: Change, actor: Actor) -> Entry:
    facts: Facts = {"change": change.number, "call": change.method, "author": change.author}
    return Entry(action, change.container, actor, after=facts)
