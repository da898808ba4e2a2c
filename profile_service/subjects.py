"""The codes that patients were given, and who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.audit import Action, Entry
from profile_service.errors import NoMasterKeyError, TargetNotFoundError
from profile_service.hierarchy import Kind
from profile_service.keys.errors import MasterKeyError
from profile_service.keys.sealing import of_subject
from profile_service.model import KnownSubject, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profile_service.access.actor import Actor
    from profile_service.hierarchy import ContainerName
    from profile_service.keys.sealing import MasterKey
    from profile_service.language.model import CodePattern, KeyScope
    from profile_service.model import StoredSubject
    from profile_service.store.codes import CodeStore


class Subjects:
    """Gives codes, and tells who has them."""

    def __init__(
        self, store: CodeStore, record: Callable[[Entry], None], master: MasterKey | None
    ) -> None:
        """Takes where they are kept, what tells the audit, and what encrypts who has them."""
        self._store = store
        self._record = record
        self._master = master

    def codes(
        self,
        target: ContainerName,
        scope: KeyScope,
        pattern: CodePattern,
        originals: Mapping[bytes, str],
    ) -> dict[bytes, str]:
        """Returns the codes of patients, who are given one where there is none.

        Args:
            target: the project or device that a stream goes to.
            scope: within which no code is given twice.
            pattern: of the codes.
            originals: what tells each from all others, by what the patient is found by.

        Raises:
            TargetNotFoundError: the target does not exist.
            NoMasterKeyError: there is nothing to encrypt patients with.
            CodesExhaustedError: the pattern has not as many codes left; none is given.
        """
        scope_id = self._scope_id(target, scope)
        known = self._store.get(scope_id, pattern.series, list(originals))
        unknown = [digest for digest in originals if digest not in known]
        if not unknown:
            return known
        if self._master is None:
            raise NoMasterKeyError(target.site)
        subjects = [
            Subject(
                digest, self._master.seal(originals[digest].encode(), of_subject(scope_id, digest))
            )
            for digest in unknown
        ]
        return known | self._store.give(target, scope_id, pattern, subjects)

    def list(
        self, name: ContainerName, *, code: str, after: str, limit: int, actor: Actor
    ) -> list[KnownSubject]:
        """Returns who was given codes within a container; the audit is told that it was asked.

        Args:
            name: the container.
            code: the one that is looked for; empty for all.
            after: the code behind which they begin.
            limit: how many at most.
            actor: who asks.

        Raises:
            ContainerNotFoundError: it does not exist.
            NoMasterKeyError: they cannot be decrypted.
        """
        found = self._store.page(name, code=code, after=after, limit=limit)
        if found and self._master is None:
            raise NoMasterKeyError(name.site)
        known = [self._known(each, self._master) for each in found if self._master is not None]
        self._record(Entry(Action.READ_SUBJECTS, name.text, actor, after={"subjects": len(known)}))
        return known

    @staticmethod
    def _known(stored: StoredSubject, master: MasterKey) -> KnownSubject:
        digest, sealed = stored.subject
        try:
            original = master.open(sealed, of_subject(stored.scope_id, digest)).decode()
        except MasterKeyError:
            raise NoMasterKeyError("") from None
        return KnownSubject(stored.code, original, stored.create_time)

    def _scope_id(self, target: ContainerName, scope: KeyScope) -> int:
        name = target.text
        if scope == "site" or (scope == "group" and target.kind is Kind.DEVICE):
            name = target.site
        elif scope == "group":
            name = target.parent or ""
        found = self._store.scope_id(name)
        if found is None:
            raise TargetNotFoundError(target.text)
        return found
