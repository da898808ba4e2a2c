"""Tells whose file it is before anything is done to it.

Codes are given to patients elsewhere, and tables are kept there, which takes a while. Who has
files of a profile that needs that looks first, and begins with the file when it is known.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from deid_service.engine.deidentifier import Deidentifier
from deid_service.engine.errors import DicomError
from deid_service.engine.limits import MAX_HELD_BYTES
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.pseudonyms import Given, Keys, Known

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from deid_service.engine.plan import Plan
    from deid_service.engine.rules.pseudonyms import Patient
    from deid_service.engine.texts.cleaner import Cleaner
    from deid_service.engine.walk.output import Buffer


class _FoundError(Exception):
    """It is known whose file it is."""

    def __init__(self, known_by: str | None) -> None:
        super().__init__()
        self.known_by = known_by


class _Seeking(Memo):
    """A memo that ends the work when it is asked for that of a patient."""

    def of(self, cleaner: Cleaner, found: Hashable = None) -> Memo:
        del cleaner, found
        return self

    def _add(self, key: Hashable, patient: Patient) -> NoReturn:
        del key
        raise _FoundError(patient.known_by)


def seeking(plan: Plan) -> Plan:
    """Returns a plan that probes work with, as many as there are files on a stream.

    Args:
        plan: of the stream.
    """
    memo = _Seeking(pseudonyms=plan.memo.pseudonyms, awaits_patient=True, listed=plan.memo.listed)
    return replace(plan, memo=memo, earlier=None)


class PatientProbe:
    """Looks at a file up to where it says who the patient is.

    Attributes:
        known_by: what tells the patient from all others; None where the file does not say
            it, or cannot be read: the engine says what is wrong with it.
    """

    def __init__(self, plan: Plan, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        """Begins.

        Args:
            plan: what `seeking` returns.
            max_held_bytes: see `Deidentifier`.
        """
        self.known_by: str | None = None
        self._engine = Deidentifier(plan, max_held_bytes=max_held_bytes)

    def receive(self, data: Buffer) -> bool:
        """Takes the next bytes; whether it has seen enough."""
        try:
            self._engine.receive(data)
            while self._engine.pending:
                self._engine.go_on()
        except _FoundError as found:
            self.known_by = found.known_by
        except DicomError:
            pass
        else:
            return False
        return True

    def finish(self) -> None:
        """Takes the end of the file."""
        try:
            self._engine.finish()
        except _FoundError as found:
            self.known_by = found.known_by
        except DicomError:
            pass


def known_of(plan: Plan) -> Known:
    """Returns what is known of patients on the stream of a plan, to be added to."""
    pseudonyms = plan.memo.pseudonyms
    return {} if pseudonyms is None else pseudonyms.known


def knowing(plan: Plan, given: Callable[[str], Given]) -> Plan:
    """Returns a plan with keys in which what patients are given is at hand.

    Args:
        plan: of a stream, which is changed.
        given: what a patient was given, by what the patient is known by.
    """
    if plan.memo.pseudonyms is not None:
        plan.memo.pseudonyms.known = _AtHand(given)
    return plan


class _AtHand(Known):
    """What patients were given, where nobody has to be asked."""

    def __init__(self, given: Callable[[str], Given]) -> None:
        super().__init__()
        self._given = given

    def get(self, key: str, default: object = None) -> Given:  # noqa: ARG002
        return self._given(key)


def code_digest(plan: Plan, known_by: str) -> bytes:
    """Returns what a patient is found by where codes are kept."""
    return _keys(plan).among_codes(known_by)


def table_digests(plan: Plan, table: str, known_by: str) -> tuple[bytes, bytes]:
    """Returns what a patient is found by in a table, and by how it is written there.

    The latter is empty where letter case says nothing.
    """
    keys = _keys(plan)
    digest = keys.in_table(table, known_by.casefold())
    if plan.rules.profile.settings.pseudonyms.ignore_case:
        return digest, b""
    return digest, keys.in_table(table, known_by)


def _keys(plan: Plan) -> Keys:
    pseudonyms = plan.memo.pseudonyms
    if pseudonyms is None:
        raise ValueError("the profile needs keys")
    return pseudonyms.keys
