"""Asks ProfileService which profile applies, and makes the plan that applies it.

Every stream asks anew, so that a profile applies from the moment it is set. What
is kept is the work: the plan of a profile text, found again by the digest of the
text. Whatever is not understood refuses the stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import grpc
from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1 import table_service_pb2 as table_pb

from deid_service.contract import errors
from deid_service.contract.rpc_errors import BROKEN, read_details, verdicts_of
from deid_service.engine import Keys, compile_plan
from deid_service.serving.lists import ListInUse, Lists, opened, request_for
from deid_service.serving.refusals import NO_MASTER_KEY, CallRefusedError
from profile_service.keys.delivery import ServiceKey
from profile_service.keys.errors import DeliveryError
from profile_service.language import ProfileInvalid, parse_profile
from profile_service.language.model import Profile, Settings
from profile_service.serving.request_ids import HEADER
from profile_service.serving.tracing import TRACING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from deid_service.engine import Listed, Plan
    from deid_service.serving.connection import ProfileConnection
    from profile_service.language.model import Column
    from profile_service.serving.keyfile import KeyFile

_Answer = TypeVar("_Answer")
_Request = (
    profile_pb.ResolveProfileRequest
    | profile_pb.AssignCodesRequest
    | table_pb.LookUpPatientsRequest
    | table_pb.ReadListRequest
)

_SERVICE = profile_pb.DESCRIPTOR.services_by_name["ProfileService"].full_name
_TABLE_SERVICE = table_pb.DESCRIPTOR.services_by_name["TableService"].full_name
_METHODS = {
    profile_pb.ResolveProfileRequest: f"{_SERVICE}/ResolveProfile",
    profile_pb.AssignCodesRequest: f"{_SERVICE}/AssignCodes",
    table_pb.LookUpPatientsRequest: f"{_TABLE_SERVICE}/LookUpPatients",
    table_pb.ReadListRequest: f"{_TABLE_SERVICE}/ReadList",
}

# For what reasons ProfileService does not do what it was asked for, as who asks is to know.
_NOT_DONE = {"CODES_EXHAUSTED", "NO_MASTER_KEY", "TABLE_NOT_FOUND"}


# As many digests as ResolveProfileRequest.known_sha256 takes. A plan is small
# beside the files that pass through, and a service rarely has more profiles in use.
PLAN_CACHE_SIZE = 64

# The whole of one resolution, retries included. A resolution takes about a
# millisecond; a caller that has waited this long is better told.
RESOLVE_DEADLINE_SECONDS = 10.0

# One attempt: long enough for a busy database, short enough to leave time for a
# second one on another connection.
ATTEMPT_DEADLINE_SECONDS = 4.0

# Retries are for a ProfileService that restarts: the waits double from the first
# and are spread, so that the streams of many callers do not come back at once.
RETRIES = 4
FIRST_WAIT_SECONDS = 0.1

# What another attempt may not meet: a restart, and a worker that hangs.
_PASSING = BROKEN | {grpc.StatusCode.DEADLINE_EXCEEDED}

# Why there is no key for a profile that needs one.
_NO_KEY = "ProfileService gave none: both services need the same API key of DeidService"
_NO_KEYS: dict[int, str] = {
    profile_pb.KEY_PROBLEM_NO_MASTER_KEY: NO_MASTER_KEY,
    profile_pb.KEY_PROBLEM_NO_SUCH_GENERATION: (
        "the site never had one of the generation that the profile names"
    ),
    profile_pb.KEY_PROBLEM_NO_SERVICE_KEY: _NO_KEY,
}

# Why ProfileService refuses a caller. That it refuses this service is none of these.
_REFUSALS = {
    "UNAUTHENTICATED": errors.UnauthenticatedError,
    "PERMISSION_DENIED": errors.PermissionDeniedError,
}

# What applies where the site's enforcement is disabled: nothing is changed.
UNCHANGED = Profile(
    name="",
    description="",
    settings=Settings(),
    rules=(),
    filenames=(),
    rejections=(),
    base=None,
    blank=True,
    warnings=(),
)
_UNCHANGED = compile_plan(UNCHANGED)


class TableInUse(NamedTuple):
    """A version of a table that a stream uses.

    Attributes:
        name: as the profile has it.
        container: that it is attached to.
        table_id: tells it from one that is made later under the same name.
        version: the version.
        columns: that patients are looked up in; none of a list.
    """

    name: str
    container: str
    table_id: int
    version: int
    columns: tuple[Column, ...]

    def message(self) -> pb.TableVersion:
        """Returns what callers are told of it."""
        return pb.TableVersion(container=self.container, name=self.name, version=self.version)


@dataclass(frozen=True, slots=True)
class AppliedProfile:
    """What applies to all files of a stream.

    Attributes:
        plan: does it.
        treatment: what receipts say of it.
        outcome: what the cascade said.
        name: the resource name of the profile; empty where enforcement is disabled.
        version: its version.
        sha256: the digest of its text, in hex.
        file_audit: whether the site wants the audit told what becomes of the files.
        caller: who uploads, as ProfileService knows them.
        keys: what pseudonyms are made with; None where the profile needs none.
        tables: that patients are looked up in, and lists, in the order of their names.
        listed: what no text says; None where the profile names no lists.
    """

    plan: Plan
    treatment: pb.Treatment.ValueType
    outcome: profile_pb.Outcome.ValueType
    name: str = ""
    version: int = 0
    sha256: str = ""
    file_audit: profile_pb.FileAudit.ValueType = profile_pb.FILE_AUDIT_RECORDED
    caller: str = ""
    keys: Keys | None = None
    tables: tuple[TableInUse, ...] = ()
    listed: Listed | None = None


class ProfileResolver:
    """Resolves targets; its plans are shared by all streams."""

    def __init__(
        self, connection: ProfileConnection, key: KeyFile | None = None, *, learn: bool = True
    ) -> None:
        self._connection = connection
        self._key = key
        self._plans = PlanCache(learn=learn)
        self._lists = Lists()

    async def resolve(
        self, target: str, credential: tuple[str, str], request_id: str
    ) -> AppliedProfile:
        """Returns what applies to uploads into a target, as it is now.

        Args:
            target: the project or device.
            credential: what the caller has shown, as metadata.
            request_id: that of the stream.

        Raises:
            UnauthenticatedError: the credential is none that is accepted.
            PermissionDeniedError: the caller may not upload there.
            InvalidNameError: the target is not the name of a project or a device.
            TargetNotFoundError: it does not exist.
            NoValidProfileError: no level has a valid profile.
            ProfileNotSupportedError: the answer is not understood here.
            ProfileServiceUnavailableError: there is no answer.
        """
        # The plans that the request names stay at hand, whatever the cache drops
        # while the answer is on its way.
        known = self._plans.snapshot()
        request = profile_pb.ResolveProfileRequest(target=target, known_sha256=known)
        service = None if self._key is None else ServiceKey(self._key.text())
        if service is not None:
            request.key_request = service.request(target)
        told = (credential, (HEADER, request_id))
        response = await self.ask(_resolve_profile, request, *told)
        if response.outcome == profile_pb.OUTCOME_PROFILE:
            applied = await self._applied(response.profile, known)
            plan = applied.plan
            if plan.key_purposes or plan.columns or plan.lists:
                tables = _tables(response.tables, plan)
                keys = _keys(response.keys, request, plan, service)
                applied = replace(applied, keys=keys, tables=tables)
            if plan.lists and service is not None:
                listed = await self._listed(applied, target, service, *told)
                applied = replace(applied, listed=listed)
            return replace(applied, file_audit=response.file_audit, caller=response.caller)
        if response.outcome == profile_pb.OUTCOME_DISABLED:
            return AppliedProfile(
                plan=_UNCHANGED,
                treatment=pb.TREATMENT_UNCHANGED_DISABLED,
                outcome=profile_pb.OUTCOME_DISABLED,
                file_audit=response.file_audit,
                caller=response.caller,
            )
        raise _no_profile(response)

    async def _listed(
        self,
        applied: AppliedProfile,
        target: str,
        service: ServiceKey,
        *told: tuple[str, str],
    ) -> Listed:
        """Returns what no text says, by the lists that a profile names; see `resolve`."""
        tables = {table.name: table for table in applied.tables}
        lists = []
        for column in applied.plan.lists:
            table = tables[column.table]
            lists.append(ListInUse(table.container, table.table_id, table.version, column))

        async def read(each: ListInUse, after: bytes) -> tuple[list[str], bytes]:
            request = request_for(each, target, after, service)
            answer = await self.ask(_read_list, request, *told)
            return opened(request, answer, service), answer.last

        return await self._lists.listed(applied.plan, applied.sha256, lists, read)

    async def preview(
        self, target: str, credential: tuple[str, str], request_id: str
    ) -> profile_pb.ResolveProfileResponse:
        """Returns what applies to a target, for a caller who may see it, with the text.

        That no profile applies is an answer here. For what it raises otherwise see `resolve`.
        """
        request = profile_pb.ResolveProfileRequest(target=target, preview=True)
        told = (credential, (HEADER, request_id))
        return await self.ask(_resolve_profile, request, *told)

    async def listed(
        self,
        response: profile_pb.ResolveProfileResponse,
        target: str,
        credential: tuple[str, str],
        request_id: str,
    ) -> tuple[Listed | None, tuple[TableInUse, ...]]:
        """Returns what no text says by the lists of a profile, and which these are.

        Nothing where it names none, or where the caller has no stream with them.

        Args:
            response: of `preview`.
            target: that it is about.
            credential: as for `resolve`.
            request_id: as for `resolve`.

        Raises:
            ProfileNotSupportedError: the answer is not understood here.
            ProfileServiceUnavailableError: there is no answer.
        """
        service = None if self._key is None else ServiceKey(self._key.text())
        if not response.tables or service is None:
            return None, ()
        applied = await self._applied(response.profile, self._plans.snapshot())
        named = {column.table for column in applied.plan.lists}
        try:
            tables = _tables(response.tables, applied.plan)
            lists = tuple(table for table in tables if table.name in named)
            if not lists:
                return None, ()
            # What was read for others is at hand: whether the caller may have it is asked.
            await self.check(target, credential)
            told = (credential, (HEADER, request_id))
            return await self._listed(replace(applied, tables=lists), target, service, *told), lists
        except (errors.TableMissingError, errors.PermissionDeniedError):
            return None, ()

    async def check(self, target: str, credential: tuple[str, str]) -> None:
        """Asks whether a caller may still upload; see `resolve` for what it raises."""
        known = self._plans.snapshot()
        request = profile_pb.ResolveProfileRequest(target=target, known_sha256=known)
        await self.ask(_resolve_profile, request, credential, retries=0)

    def _metadata(self, *told: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        if self._key is None:
            return told
        return (("authorization", f"Bearer {self._key.text()}"), *told)

    async def _applied(self, profile: profile_pb.Profile, known: dict[str, Plan]) -> AppliedProfile:
        _require_valid(profile)
        plan = known.get(profile.sha256)
        if plan is None:
            plan = await self._plans.plan_of(profile.source, profile.sha256)
        else:
            self._plans.note_use(profile.sha256)
        _require_same_blankness(profile, blank=plan.blank)
        return AppliedProfile(
            plan=plan,
            treatment=(
                pb.TREATMENT_UNCHANGED_BLANK_PROFILE if plan.blank else pb.TREATMENT_DEIDENTIFIED
            ),
            outcome=profile_pb.OUTCOME_PROFILE,
            name=profile.name,
            version=profile.version,
            sha256=profile.sha256,
        )

    async def ask(
        self,
        call: Callable[[ProfileConnection], Callable[..., Awaitable[_Answer]]],
        request: _Request,
        *told: tuple[str, str],
        retries: int = RETRIES,
    ) -> _Answer:
        """Asks ProfileService, again while it does not answer.

        Args:
            call: returns the call, of a connection.
            request: about a target.
            told: metadata, such as what a caller has shown.
            retries: how often it is asked again.

        Raises:
            CallRefusedError: it does not do what it was asked for.
            UnauthenticatedError: the credential is none that is accepted.
            PermissionDeniedError: the caller may not upload there.
            InvalidNameError: the target is not the name of a project or a device.
            TargetNotFoundError: it does not exist.
            ProfileServiceUnavailableError: there is no answer.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + RESOLVE_DEADLINE_SECONDS
        wait = FIRST_WAIT_SECONDS
        while True:
            left = end - loop.time()
            channel = self._connection.channel
            try:
                with TRACING.asking(_METHODS[type(request)]):
                    return await call(self._connection)(
                        request,
                        timeout=min(left, ATTEMPT_DEADLINE_SECONDS),
                        metadata=self._metadata(*told, *TRACING.onward()),
                    )
            except grpc.aio.AioRpcError as error:
                code = error.code()
                reason = read_details(error).reason
                if reason in _NOT_DONE:
                    raise CallRefusedError(reason) from None
                refused = _REFUSALS.get(reason)
                if refused is not None:
                    raise refused from None
                if code == grpc.StatusCode.INVALID_ARGUMENT:
                    raise errors.InvalidNameError from None
                if code == grpc.StatusCode.NOT_FOUND:
                    raise errors.TargetNotFoundError(
                        f"The target {request.target} does not exist."
                    ) from None
                pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, no secret
                retries -= 1
                if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                    self._connection.give_up(channel)
                if code not in _PASSING or retries < 0 or loop.time() + pause >= end:
                    cause = self._connection.cause_of(error)
                    raise errors.ProfileServiceUnavailableError(cause) from None
            await asyncio.sleep(pause)
            wait *= 2


def _resolve_profile(
    connection: ProfileConnection,
) -> Callable[..., Awaitable[profile_pb.ResolveProfileResponse]]:
    return connection.profiles.ResolveProfile


def _read_list(
    connection: ProfileConnection,
) -> Callable[..., Awaitable[table_pb.ReadListResponse]]:
    return connection.tables.ReadList


def assign_codes(
    connection: ProfileConnection,
) -> Callable[..., Awaitable[profile_pb.AssignCodesResponse]]:
    """Returns the call that gives patients codes, for `ProfileResolver.ask`."""
    return connection.profiles.AssignCodes


def look_up_patients(
    connection: ProfileConnection,
) -> Callable[..., Awaitable[table_pb.LookUpPatientsResponse]]:
    """Returns the call that says what tables say of patients, for `ProfileResolver.ask`."""
    return connection.tables.LookUpPatients


class PlanCache:
    """Plans by the digest of their profile text; the least recently used go first."""

    def __init__(self, size: int = PLAN_CACHE_SIZE, *, learn: bool = True) -> None:
        self._learn = learn
        self._size = size
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._compiling: dict[str, asyncio.Task[Plan]] = {}

    def snapshot(self) -> dict[str, Plan]:
        """Returns what is there, by digest."""
        return dict(self._plans)

    def note_use(self, sha256: str) -> None:
        """Notes that a plan was used, which keeps it longer."""
        if sha256 in self._plans:
            self._plans.move_to_end(sha256)

    async def plan_of(self, source: str, sha256: str) -> Plan:
        """Returns the plan of a text; compiles it once, however many ask at once.

        Raises:
            ProfileNotSupportedError: the text is not what the digest says, or is
                not a profile that this build can apply.
        """
        _require_digest(source, sha256)
        # Since the answer was asked for, another stream may have had it compiled.
        if (plan := self._plans.get(sha256)) is not None:
            self.note_use(sha256)
            return plan
        task = self._compiling.get(sha256)
        if task is None:
            # In a thread, so that a large profile does not halt the open streams.
            task = asyncio.create_task(asyncio.to_thread(_compile, source, learn=self._learn))
            self._compiling[sha256] = task
            task.add_done_callback(lambda done: self._keep(sha256, done))
        # Shielded: a caller that goes away must not stop the others' compilation.
        return await asyncio.shield(task)

    def _keep(self, sha256: str, task: asyncio.Task[Plan]) -> None:
        del self._compiling[sha256]
        if task.cancelled() or task.exception() is not None:
            return
        self._plans[sha256] = task.result()
        self._plans.move_to_end(sha256)
        while len(self._plans) > self._size:
            self._plans.popitem(last=False)


def profile_in_force(response: profile_pb.ResolveProfileResponse) -> Profile:
    """Returns the profile of an answer that has its text.

    Raises:
        NoValidProfileError: no level has a valid profile.
        ProfileNotSupportedError: the answer is not understood here.
    """
    if response.outcome == profile_pb.OUTCOME_DISABLED:
        return UNCHANGED
    if response.outcome != profile_pb.OUTCOME_PROFILE:
        raise _no_profile(response)
    _require_valid(response.profile)
    _require_digest(response.profile.source, response.profile.sha256)
    profile = _parsed(response.profile.source)
    _require_same_blankness(response.profile, blank=profile.blank)
    return profile


def _no_profile(response: profile_pb.ResolveProfileResponse) -> errors.DeidServiceError:
    if response.outcome == profile_pb.OUTCOME_NO_VALID_PROFILE:
        levels = profile_pb.CascadeVerdicts(levels=response.levels)
        return errors.NoValidProfileError(verdicts_of(levels))
    return errors.ProfileNotSupportedError(
        "ProfileService answered with an outcome that this build does not know."
    )


def _require_valid(profile: profile_pb.Profile) -> None:
    if profile.validity != profile_pb.VALIDITY_VALID:
        raise errors.ProfileNotSupportedError(
            "ProfileService selected a profile without saying that it is valid."
        )


def _require_digest(source: str, sha256: str) -> None:
    if hashlib.sha256(source.encode()).hexdigest() != sha256:
        raise errors.ProfileNotSupportedError(
            "The profile text that ProfileService sent does not match its digest."
        )


def _require_same_blankness(profile: profile_pb.Profile, *, blank: bool) -> None:
    if blank and not profile.blank:
        # ProfileService decides by this where a blank profile may stand.
        raise errors.ProfileNotSupportedError(
            "ProfileService and DeidService disagree on whether the profile is blank."
        )


def _compile(source: str, *, learn: bool = True) -> Plan:
    return compile_plan(_parsed(source), learn=learn)


def _parsed(source: str) -> Profile:
    try:
        return parse_profile(source)
    except ProfileInvalid as error:
        count = len(error.violations)
        raise errors.ProfileNotSupportedError(
            f"This build finds {count} violation{'s' if count > 1 else ''} in the profile "
            "that ProfileService selected."
        ) from None


def _tables(sent: Iterable[profile_pb.ResolvedTable], plan: Plan) -> tuple[TableInUse, ...]:
    """Reads which tables patients are looked up in, and which are lists.

    Raises:
        TableMissingError: one is not there, or lacks a column.
        ProfileNotSupportedError: it is not said of each.
    """
    found = []
    for each in sent:
        columns = tuple(column for column in plan.columns if column.table == each.name)
        if not each.container:
            raise errors.TableMissingError(each.name)
        if each.missing_column:
            raise errors.TableMissingError(each.name, each.missing_column)
        found.append(TableInUse(each.name, each.container, each.id, each.version, columns))
    if {each.name for each in found} != {column.table for column in plan.columns + plan.lists}:
        raise errors.ProfileNotSupportedError(
            "ProfileService and DeidService disagree on what the profile looks up."
        )
    return tuple(found)


def _keys(
    sent: profile_pb.StreamKeys,
    request: profile_pb.ResolveProfileRequest,
    plan: Plan,
    service: ServiceKey | None,
) -> Keys:
    """Reads the keys that came with an answer.

    Raises:
        ProfileNotSupportedError: they are not there, or not what the profile needs.
    """
    needs = "The profile makes pseudonyms with a key"
    if not plan.key_purposes:
        needs = "The profile needs the key of a table"
    if service is None or not sent.sealed:
        why = _NO_KEYS.get(sent.problem, _NO_KEY)
        raise errors.ProfileNotSupportedError(f"{needs}, and {why}.")
    try:
        opened = service.open(sent.sealed, request.key_request, request.target)
    except DeliveryError:
        raise errors.ProfileNotSupportedError(
            f"{needs}, and the one that came is not for this stream."
        ) from None
    named = {column.table for column in plan.columns + plan.lists}
    if not (plan.key_purposes <= opened.keys.keys() and named <= opened.tables.keys()):
        raise errors.ProfileNotSupportedError(
            "ProfileService and DeidService disagree on what the profile needs keys for."
        )
    return Keys(opened.id, opened.keys, opened.tables)
