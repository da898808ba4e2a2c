"""What the service does, without transport: each method is one call of the contract."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from profile_service import answers
from profile_service.access.judging import OF_CALLER
from profile_service.bulkheads import Bulkhead
from profile_service.errors import (
    CallIdleError,
    PermissionDeniedError,
    ProfileInvalidError,
    ProfileNotFoundError,
    TargetNotFoundError,
    VersionNotFoundError,
)
from profile_service.hierarchy import Level, Resolution, cascade, parse_name
from profile_service.language import check_profile
from profile_service.language.difference import difference
from profile_service.language.document import MAX_BYTES
from profile_service.language.model import PatternTimeoutError
from profile_service.validity import decide, is_outdated, lets_through

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from profile_service.access.actor import Actor
    from profile_service.access.permissions import Permission
    from profile_service.guard import Shown
    from profile_service.hierarchy import ContainerName, Kind
    from profile_service.language.difference import Difference
    from profile_service.model import Decision, ProfileVersion
    from profile_service.store.profiles import ProfileStore
    from profile_service.store.resolutions import KeySource, ResolutionStore, Told
    from profile_service.store.rows import Row

# Decisions made anew that are remembered. One is needed again only until it is written
# back, which takes moments; a decision can hold a thousand violations.
MAX_DECISIONS = 64

# A check keeps a core busy for milliseconds, and up to a second where the text is made to:
# more at once would not be faster. So many may wait, and so long.
MAX_CHECKS_WAITING = 32
CHECK_TURN_SECONDS = 10.0

# What was decided again and waits to be stored; of more, who reads them decides again.
MAX_RECORDS_WAITING = 64


# Answers that are remembered, and how many violations and warnings one may hold for it: those
# with many are large, and rare.
MAX_ANSWERS = 1024
MAX_SAID = 16


class Answer(NamedTuple):
    """What a resolution comes to.

    Attributes:
        resolution: the answer of the cascade; its profile comes without the text.
        written: the same as a message.
        key_source: what the keys of a stream are made from.
    """

    resolution: Resolution
    written: answers.Written
    key_source: KeySource


class Profiles:
    """Sets, reads and resolves profiles."""

    def __init__(self, versions: ProfileStore, resolutions: ResolutionStore) -> None:
        self._versions = versions
        self._resolutions = resolutions
        self._checking = Bulkhead(places=1, waiting=MAX_CHECKS_WAITING, seconds=CHECK_TURN_SECONDS)
        self._deciding = threading.Lock()
        self._decisions: OrderedDict[tuple[bytes, Kind], Decision] = OrderedDict()
        # By targets, and the text of none: what the database says of each, and what that comes to.
        # It is asked each time; what it says in the same words need not be read again.
        self._answering = threading.Lock()
        self._answers: OrderedDict[str, tuple[tuple[Row, list[Row]], Answer]] = OrderedDict()
        self._recorder = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._records = threading.Semaphore(MAX_RECORDS_WAITING)

    def close(self) -> None:
        """Waits until what was decided again is stored."""
        self._recorder.shutdown()

    def check(
        self, source: str, kind: Kind | None, is_wanted: Callable[[], bool] = lambda: True
    ) -> Decision:
        """Checks a text that a caller has sent.

        Args:
            source: the YAML text.
            kind: what the profile is attached to, or None for the language alone.
            is_wanted: whether the caller still waits, asked when its turn comes.

        Raises:
            TooManyCallsError: too many checks wait already.
            CallIdleError: nobody waits for it any more.
        """
        with self._checking.place():
            if not is_wanted():
                raise CallIdleError
            return decide(source, kind)

    def set(
        self,
        name: ContainerName,
        source: str,
        *,
        note: str = "",
        allow_invalid: bool,
        etag: str,
        actor: Actor,
        proposed_by: str | None = None,
        may_bypass: bool = False,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> ProfileVersion:
        """Attaches a profile to a container.

        Args:
            name: the container.
            source: the YAML text.
            note: why, in the words of who does it.
            allow_invalid: store it even if it is invalid; the cascade skips it then.
            etag: the one that the profile must have, or the empty text.
            actor: who does it.
            proposed_by: who proposed it, where it was approved.
            may_bypass: whether it may let data through as it is.
            is_wanted: see `check`.

        Raises:
            ProfileInvalidError: it is invalid, or too large to be stored at all.
            PermissionDeniedError: it lets data through as it is, and may not.
            ContainerNotFoundError: the container does not exist.
            EtagMismatchError: another profile was attached since.
            ApprovalRequiredError: the site lets nobody do this alone.
        """
        decision = self._acceptable(
            name, source, is_wanted, allow_invalid=allow_invalid, may_bypass=may_bypass
        )
        stored, _ = self._versions.set(
            name,
            source.encode(),
            decision,
            note=note,
            etag=etag,
            actor=actor,
            proposed_by=proposed_by,
        )
        return self._decided(stored, name.kind)

    def preview(
        self,
        name: ContainerName,
        source: str,
        *,
        allow_invalid: bool,
        etag: str,
        actor: Actor,
        may_bypass: bool = False,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> tuple[ProfileVersion, list[Difference] | None]:
        """Says what `set` would do, and does not; raises what it would raise.

        Returns:
            What would be attached, and what it treats differently from what is attached:
            None where one is invalid, or a pattern takes too long.
        """
        decision = self._acceptable(
            name, source, is_wanted, allow_invalid=allow_invalid, may_bypass=may_bypass
        )
        stored, replaced = self._versions.set(
            name, source.encode(), decision, note="", etag=etag, actor=actor, keep=False
        )
        return stored, self._compare(replaced, stored)

    def _acceptable(
        self,
        name: ContainerName,
        source: str,
        is_wanted: Callable[[], bool],
        *,
        allow_invalid: bool,
        may_bypass: bool,
    ) -> Decision:
        decision = self.check(source, name.kind, is_wanted)
        if not decision.valid and (len(source.encode()) > MAX_BYTES or not allow_invalid):
            raise ProfileInvalidError(name.text, decision.violations)
        if lets_through(decision) and not may_bypass:
            raise PermissionDeniedError
        return decision

    def _compare(
        self, before: ProfileVersion | None, after: ProfileVersion
    ) -> list[Difference] | None:
        with self._checking.place():
            profiles = [
                None if each is None or each.source is None else check_profile(each.source).profile
                for each in (before, after)
            ]
            if profiles[1] is None or (before is not None and profiles[0] is None):
                return None
            try:
                return difference(profiles[0], profiles[1])
            except PatternTimeoutError:
                return None

    def get(self, name: ContainerName, version: int) -> ProfileVersion:
        """Returns the profile that is attached (version 0), or one of the versions.

        Raises:
            ContainerNotFoundError: the container does not exist.
            ProfileNotFoundError: nothing is attached.
            VersionNotFoundError: there is no such version.
        """
        found = self._versions.get(name, version)
        if found is None and version == 0:
            raise ProfileNotFoundError(name.text)
        if found is None:
            raise VersionNotFoundError(name.text, str(version))
        return self._decided(found, name.kind)

    def get_by_digest(self, name: ContainerName, sha256: bytes) -> ProfileVersion:
        """Returns the version with a digest, also of a container that was deleted.

        Raises:
            VersionNotFoundError: there is none.
        """
        found = self._versions.get_by_digest(name, sha256)
        if found is None:
            raise VersionNotFoundError(name.text, sha256.hex())
        return self._decided(found, name.kind)

    def resolve(self, target: ContainerName, shown: Shown) -> Resolution:
        """Says which profile applies to an upload, and why, with its text; see `answer`."""
        answer, text = self.answer(target, shown)
        profile = answer.resolution.profile
        if profile is None:
            return answer.resolution
        return answer.resolution._replace(profile=profile._replace(source=text))

    def answer(
        self,
        target: ContainerName,
        shown: Shown,
        of_caller: frozenset[Permission] = OF_CALLER,
        known: Container[str] = (),
        meanwhile: Callable[[], None] = lambda: None,
    ) -> tuple[Answer, str | None]:
        """Says which profile applies to an upload, and why, and from what that was read.

        Args:
            target: the project or the device.
            shown: the credentials of who asks, which are judged by what is read here.
            of_caller: what the one needs in whose name DeidService asks.
            known: digests of texts that need not be told, in hex; looked at in the end.
            meanwhile: is done while the database works.

        Returns:
            The answer, and the text of its profile; None where there is none, or it is known.

        Raises:
            UnauthenticatedError: see `judge_resolution`.
            PermissionDeniedError: see `judge_resolution`.
            ServiceRefusedError: see `judge_resolution`.
            TargetNotFoundError: the target does not exist.
            Exception: what `meanwhile` raises.
        """
        told = self._resolutions.ask(target, *shown, of_caller, meanwhile)
        if not told.exists:
            raise TargetNotFoundError(target.text)
        text = None
        remembered = self._answers.get(target.text)
        if remembered is not None and remembered[0] == told.said[-2:]:
            answer = remembered[1]
        else:
            answer, text = self._read(told)
        profile = answer.resolution.profile
        if profile is None or profile.sha256.hex() in known:
            return answer, None
        if text is None:
            text = told.text_of(profile.sha256)
        if text is None:
            # Valid by a decision made anew: the query read no text of what was invalid.
            text = self._versions.get_source(profile)
        if text is None:
            raise TargetNotFoundError(target.text)
        return answer, text

    def _read(self, told: Told) -> tuple[Answer, str | None]:
        """Reads what was said of a target, and the text of its profile if that was, too.

        What it comes to is remembered without the text.
        """
        found = self._resolutions.read(told)
        levels = found.levels
        outdated = [each for each in levels if each.profile and is_outdated(each.profile.decision)]
        if outdated:
            levels = [self._level_decided(level, found.texts) for level in levels]
        resolution = cascade(levels, enforced=found.enforced)
        written = answers.write(resolution)
        answer = Answer(resolution, written, found.key_source)
        # Where a text was sent it comes to the same without it the next time.
        if not (outdated or told.with_text) and sum(map(_said, levels)) <= MAX_SAID:
            with self._answering:
                self._answers[told.target.text] = told.said[-2:], answer
                if len(self._answers) > MAX_ANSWERS:
                    self._answers.popitem(last=False)
        profile = resolution.profile
        return answer, None if profile is None else found.texts[profile.sha256]

    def _level_decided(self, level: Level, texts: Mapping[bytes, str | None]) -> Level:
        if level.profile is None:
            return level
        kind = parse_name(level.container, field="container").kind
        with_text = level.profile._replace(source=texts[level.profile.sha256])
        return level._replace(profile=self._decided(with_text, kind)._replace(source=None))

    def _decided(self, profile: ProfileVersion, kind: Kind) -> ProfileVersion:
        """Returns a version with the decision of this build's validator, or a newer one's."""
        if not is_outdated(profile.decision):
            return profile
        key = (profile.sha256, kind)
        # One at a time: many streams of one site open together, and deciding keeps a
        # core busy.
        with self._deciding:
            decision = self._decisions.get(key)
            if decision is None:
                source = profile.source
                if source is None:
                    source = self._versions.get_source(profile)
                if source is None:
                    raise TargetNotFoundError(profile.container)
                decision = self._decisions[key] = decide(source, kind)
                if len(self._decisions) > MAX_DECISIONS:
                    self._decisions.popitem(last=False)
        self._record(profile, decision)
        return profile._replace(decision=decision)

    def _record(self, profile: ProfileVersion, decision: Decision) -> None:
        """Has it stored. Not waited for: no read waits for what changes something."""
        if self._records.acquire(blocking=False):
            stored = self._recorder.submit(self._versions.record_decision, profile, decision)
            # Where it fails, the next one that reads the version tries again.
            stored.add_done_callback(lambda _: self._records.release())


def _said(level: Level) -> int:
    """Returns how much is said of what is attached to a level."""
    decision = level.profile and level.profile.decision
    return len(decision.violations) + len(decision.warnings) if decision else 0
