"""Asks ProfileService what patients were given: codes, and what tables say of them.

Both are asked for at once: a new patient of a stream takes one round trip.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from deidcascade.v1 import deid_service_pb2 as pb
from deidcascade.v1 import profile_service_pb2 as profile_pb
from deidcascade.v1 import table_service_pb2 as table_pb

from deid_service.contract import errors
from deid_service.engine import Given, code_digest, table_digests
from deid_service.serving.refusals import NO_MASTER_KEY, CallRefusedError
from deid_service.serving.resolver import assign_codes, look_up_patients
from profile_service.serving.request_ids import HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deid_service.engine import Plan
    from deid_service.serving.resolver import ProfileResolver, TableInUse
    from profile_service.language.model import Column

# Patients who are asked for in one request, as many as ProfileService takes.
MAX_PATIENTS = 100

# Why ProfileService does not do what it is asked for.
_EXHAUSTED = "CODES_EXHAUSTED"
_NO_TABLE = "TABLE_NOT_FOUND"


class Refusal(NamedTuple):
    """Why patients are not given what their files need; these are rejected.

    Attributes:
        reason: stable.
        message: in a sentence.
    """

    reason: pb.RejectionReason.ValueType
    message: str


_REFUSALS = {
    _EXHAUSTED: Refusal(
        pb.REJECTION_REASON_LIMIT_EXCEEDED,
        "All codes of the pattern were given: the profile is to have a longer one.",
    ),
    _NO_TABLE: Refusal(
        pb.REJECTION_REASON_NOT_IN_TABLE,
        "A table that the stream began with was deleted, or its version: open another stream.",
    ),
}


class Patients:
    """What the patients of one stream were given."""

    def __init__(
        self,
        resolver: ProfileResolver,
        target: str,
        credential: tuple[str, str],
        request_id: str,
        tables: Sequence[TableInUse] = (),
    ) -> None:
        """Takes whom to ask.

        Args:
            resolver: asks ProfileService.
            target: the project or device.
            credential: what the caller has shown, as metadata.
            request_id: that of the stream.
            tables: that patients are looked up in.
        """
        self._resolver = resolver
        self._target = target
        self._told = (credential, (HEADER, request_id))
        self._tables = tables

    async def given(self, plan: Plan, patients: list[str]) -> list[Given] | Refusal:
        """Returns what patients were given, who are given it where they have nothing.

        Args:
            plan: what is done, with the keys of the stream.
            patients: what tells each from all others; no more than `MAX_PATIENTS`.

        Returns:
            It, in that order; or why their files are rejected.

        Raises:
            UnauthenticatedError: the credential of the caller is no longer accepted.
            PermissionDeniedError: the caller may no longer upload there.
            TargetNotFoundError: the target does not exist any more.
            ProfileNotSupportedError: ProfileService has no master key to keep it with.
            ProfileServiceUnavailableError: there is no answer.
        """
        try:
            codes, said = await asyncio.gather(
                self._codes(plan, patients), self._said(plan, patients)
            )
        except CallRefusedError as error:
            refusal = _REFUSALS.get(error.reason)
            if refusal is not None:
                return refusal
            raise errors.ProfileNotSupportedError(
                f"The profile needs what is kept of patients, and {NO_MASTER_KEY}."
            ) from None
        return list(map(Given, codes, said))

    async def _codes(self, plan: Plan, patients: list[str]) -> Sequence[str | None]:
        """Returns the codes of patients; None where the profile gives none."""
        pattern = plan.codes
        if pattern is None:
            return [None] * len(patients)
        request = profile_pb.AssignCodesRequest(
            target=self._target,
            scope=plan.rules.profile.settings.pseudonyms.scope,
            before=pattern.before,
            digits=pattern.digits,
            after=pattern.after,
            random_order=pattern.is_random,
            patients=[
                profile_pb.UncodedPatient(digest=code_digest(plan, each), original=each)
                for each in patients
            ],
        )
        answer = await self._resolver.ask(assign_codes, request, *self._told)
        if len(answer.codes) != len(patients):
            raise errors.ProfileNotSupportedError(
                "ProfileService answered with another number of codes."
            )
        return answer.codes

    async def _said(self, plan: Plan, patients: list[str]) -> Sequence[dict[Column, str]]:
        """Returns what tables say of patients; nothing where none is looked up."""
        said: list[dict[Column, str]] = [{} for _ in patients]
        if not self._tables:
            return said
        request = table_pb.LookUpPatientsRequest(target=self._target)
        for table in self._tables:
            wanted = request.tables.add(id=table.table_id, version=table.version)
            wanted.columns.extend(column.name for column in table.columns)
            for patient in patients:
                digest, exact = table_digests(plan, table.name, patient)
                wanted.patients.add(digest=digest, exact=exact)
        answer = await self._resolver.ask(look_up_patients, request, *self._told)
        shapes = [len(each.patients) for each in answer.tables]
        if shapes != [len(patients)] * len(self._tables):
            raise errors.ProfileNotSupportedError(
                "ProfileService answered of other patients than it was asked for."
            )
        for table, told in zip(self._tables, answer.tables, strict=True):
            for known, row in zip(said, told.patients, strict=True):
                # Who is not in it has no values.
                known.update(
                    (column, value)
                    for column, value in zip(table.columns, row.values, strict=False)
                    if value
                )
        return said
