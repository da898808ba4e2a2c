"""The keys of sites: made when a profile needs one, given to DeidServices, and changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from profile_service.audit import Action
from profile_service.errors import EtagMismatchError, NoMasterKeyError, PermissionDeniedError
from profile_service.hierarchy import Kind
from profile_service.keys.delivery import ServiceKey
from profile_service.keys.derivation import StreamKeys, stream_keys
from profile_service.keys.errors import MasterKeyError
from profile_service.keys.files import new_secret
from profile_service.keys.sealing import Sealed, of_site
from profile_service.model import Delivery, KeyProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from profile_service.access.actor import Actor
    from profile_service.hierarchy import ContainerName
    from profile_service.keys.sealing import MasterKey
    from profile_service.language.model import KeyScope
    from profile_service.model import KeyUse, SiteKey
    from profile_service.serving.keyfile import KeyFile
    from profile_service.store.resolutions import KeySource
    from profile_service.store.site_keys import SiteKeyStore

_FIRST: Final = 1


class SiteKeys:
    """Makes, gives and changes the keys of sites."""

    def __init__(
        self, store: SiteKeyStore, master: MasterKey | None, service: KeyFile | None
    ) -> None:
        """Takes what the keys are kept with.

        Args:
            store: where they are kept.
            master: encrypts them there; None where the service has none, and can make none.
            service: the API key of DeidService, which encrypts them on their way; None where
                nobody is given any.
        """
        self._store = store
        self._master = master
        self._service = service

    def deliver(
        self,
        use: KeyUse,
        source: KeySource,
        target: ContainerName,
        request: bytes,
        actor: Actor,
        tables: Callable[[], Mapping[str, bytes]],
    ) -> Delivery:
        """Returns the keys that a profile needs, for the DeidService that asks.

        Args:
            use: what the profile needs.
            source: what the resolution has read of the target and its site.
            target: the project or the device.
            request: of the DeidService.
            actor: who asks: of a site that has no key yet, one is made.
            tables: returns the keys by which patients are found in tables, by their names.
        """
        service = None if self._service is None else ServiceKey(self._service.text())
        if service is None or not service.is_mine(request, target.text):
            return Delivery(b"", KeyProblem.NO_SERVICE_KEY)
        derived: StreamKeys | None = StreamKeys("", {})
        try:
            if use.purposes:
                derived = self._derived(use, source, target, actor)
            finding = tables()
        except NoMasterKeyError:
            return Delivery(b"", KeyProblem.NO_MASTER_KEY)
        if derived is None:
            return Delivery(b"", KeyProblem.NO_SUCH_GENERATION)
        keys = derived._replace(tables=finding)
        return Delivery(service.seal(keys, request, target.text))

    def for_pages(self, request: bytes, target: str) -> ServiceKey:
        """Returns what encrypts pages of lists for the DeidService that asks.

        Raises:
            PermissionDeniedError: it has another key than DeidServices have here.
        """
        service = None if self._service is None else ServiceKey(self._service.text())
        if service is None or not service.is_mine(request, target):
            raise PermissionDeniedError
        return service

    def _derived(
        self, use: KeyUse, source: KeySource, target: ContainerName, actor: Actor
    ) -> StreamKeys | None:
        """Returns the keys of a stream; None where the site never had one of the generation.

        Raises:
            NoMasterKeyError: there is nothing to decrypt the key of the site with.
        """
        site, site_id = source.site, source.ids[source.site.text]
        keys = source.keys
        if self._master is None:
            raise NoMasterKeyError(site.text)
        if not keys and use.generation in {0, _FIRST}:
            made = self._add(site, 0, Action.CREATE_SITE_KEY, actor)
            keys = {made.generation: made.sealed}
        generation = use.generation or max(keys, default=_FIRST)
        sealed = keys.get(generation)
        if sealed is None:
            return None
        try:
            secret = self._master.open(sealed, of_site(site_id, generation))
        except MasterKeyError:
            raise NoMasterKeyError(site.text) from None
        return stream_keys(secret, scope_of(use.scope, target, source.ids), use.purposes)

    def list(self, site: ContainerName) -> list[SiteKey]:
        """Returns the generations of the key of a site, newest first.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        return self._store.generations(site)[1]

    def generation(self, site: ContainerName) -> int:
        """Returns the generation of the key of a site that is in use; 0 where it has none.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        keys = self.list(site)
        return keys[0].generation if keys else 0

    def rotate(
        self, site: ContainerName, actor: Actor, *, after: int = 0, proposed_by: str | None = None
    ) -> SiteKey:
        """Gives a site a new key; those before it stay.

        Args:
            site: which one.
            actor: who does it.
            after: the generation that is to be in use; 0 for any.
            proposed_by: who proposed it; None where nobody did.

        Raises:
            ContainerNotFoundError: it does not exist.
            EtagMismatchError: another generation is in use.
            ApprovalRequiredError: another person must approve that pseudonyms change.
            NoMasterKeyError: there is nothing to encrypt it with.
        """
        generation = self.generation(site)
        if after not in {0, generation}:
            raise EtagMismatchError(f"{site}/key")
        action = Action.ROTATE_SITE_KEY if generation else Action.CREATE_SITE_KEY
        return self._add(site, generation, action, actor, proposed_by)

    def _add(
        self,
        site: ContainerName,
        after: int,
        action: Action,
        actor: Actor,
        proposed_by: str | None = None,
    ) -> SiteKey:
        """Adds a generation after one; another one that was faster stands for it.

        Args:
            site: whose key.
            after: the one before it; 0 for the first.
            action: what it is called.
            actor: who does it.
            proposed_by: who proposed it; None where nobody did.
        """
        master = self._master
        if master is None:
            raise NoMasterKeyError(site.text)

        def make(site_id: int, generation: int) -> Sealed:
            return master.seal(new_secret(), of_site(site_id, generation))

        return self._store.add(
            site, after, make, action=action, actor=actor, proposed_by=proposed_by
        )


def scope_of(scope: KeyScope, target: ContainerName, ids: dict[str, int]) -> str:
    """Returns what tells a scope from all others of its site, now and later.

    By identities, which a container that is made anew under the same name does not share. A
    device is in no group: its site stands for that.

    Args:
        scope: of the profile.
        target: the project or the device that a stream goes to.
        ids: of it and of the containers that it is in, by their names.
    """
    is_device = target.kind is Kind.DEVICE
    if scope == "site" or (scope == "group" and is_device):
        return "site"
    if scope == "group":
        return f"container {ids[target.parent or '']}"
    return f"container {ids[target.text]}"
