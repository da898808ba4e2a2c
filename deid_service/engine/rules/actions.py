"""The actions of the profile language, as functions on one text value."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from deid_service.engine.encoding.dummies import dummy_text
from deid_service.engine.encoding.numbers import jitter
from deid_service.engine.encoding.values import NUMBER_VRS, OPAQUE_VRS
from deid_service.engine.rules.dates import shift_date, shift_datetime
from deid_service.engine.rules.errors import NotTransformableError
from deid_service.engine.rules.hashing import hasher
from deid_service.engine.rules.pseudonyms import Pseudonyms
from deid_service.engine.rules.uids import hash_uid, stand_in_uid
from profile_service.language.model import (
    ACTION_NAMES,
    Assign,
    CapAge,
    Dummy,
    Hash,
    HashUid,
    IncrementDate,
    IncrementDateTime,
    Jitter,
    Keep,
    KeyedAction,
    KeyedHash,
    KeyedShift,
    KeyedUid,
    Lookup,
    Pseudonym,
    RelativeDate,
    Remove,
    ReplaceUid,
    ReplaceWith,
    Settings,
    SimpleAction,
)
from profile_service.language.vr import NOT_HASHABLE

# Takes one value and the VR of its element, and returns the new value.
ValueFunction = Callable[[str, str], str]

# The same with what makes pseudonyms.
KeyedFunction = Callable[[str, str, Pseudonyms], str]
# PS3.6 A: UIDs that the standard itself gives.
_STANDARD_UID: Final = re.compile(r"1\.2\.840\.10008(?:\.[0-9]+)+", re.ASCII)

# 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category.
_AGE: Final = re.compile(r"[0-9]{3}[DWMY]", re.ASCII)
_OLDEST: Final = "090Y"

_UID_CHARACTERS: Final = re.compile(r"[0-9.]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ValueStep:
    """One action on a value that is there.

    Attributes:
        name: of the action, as receipts count it.
        apply: the action itself.
        repeatable: the same value always becomes the same.
    """

    name: str
    apply: ValueFunction
    repeatable: bool

    @property
    def weight(self) -> int:
        """As how many actions it counts."""
        return 1


@dataclass(frozen=True, slots=True)
class KeyedStep:
    """One action on a value that is there, done by a key.

    Attributes:
        name: of the action, as receipts count it.
        apply: the action itself.
        of_patient: its result is the patient's, whatever the value.
    """

    name: str
    apply: KeyedFunction
    of_patient: bool = False

    @property
    def weight(self) -> int:
        """As how many actions it counts."""
        return 1


def step_of(action: SimpleAction, settings: Settings) -> ValueStep | KeyedStep:
    """Returns an action as a function on one value.

    Raises of the function:
        NotTransformableError: the value or its VR is not what the action needs.
    """
    function: ValueFunction
    match action:
        case Keep():
            function = _keep
        case Remove():
            function = _remove
        case ReplaceWith():
            text = action.text

            def function(value: str, vr: str) -> str:  # noqa: ARG001
                return text

        case Dummy():
            function = _dummy_with(settings)
        case ReplaceUid():
            function = _replace_uid_with(settings)
        case CapAge():
            function = _cap_age
        case Hash():
            function = _hash_with(settings)
        case HashUid():
            function = _hash_uid_with(settings)
        case IncrementDate():
            function = _shift_with(shift_date, action)
        case IncrementDateTime():
            function = _shift_with(shift_datetime, action)
        case Jitter():
            function = _jitter_with(action)
        case KeyedHash() | KeyedUid() | KeyedShift() | Pseudonym() | Assign() | Lookup():
            return _keyed_step_of(action)
    return ValueStep(ACTION_NAMES[type(action)], function, _is_repeatable(action))


def _keyed_step_of(action: KeyedAction) -> KeyedStep:
    name = ACTION_NAMES[type(action)]
    match action:
        case KeyedHash(spelling):
            return KeyedStep(name, lambda value, vr, by: by.of_value(value, vr, spelling))
        case KeyedUid():
            return KeyedStep(name, _keyed_uid)
        case KeyedShift():
            return KeyedStep(name, lambda value, vr, by: by.moved(value, vr))
        case Assign():
            return KeyedStep(name, lambda _, vr, by: by.code(vr), of_patient=True)
        case Lookup():
            return KeyedStep(name, lambda _, vr, by: by.looked_up(action, vr), of_patient=True)
        case Pseudonym(spelling):
            return KeyedStep(name, lambda _, vr, by: by.of_patient(vr, spelling), of_patient=True)


def _keyed_uid(value: str, vr: str, by: Pseudonyms) -> str:
    if vr in OPAQUE_VRS or vr in NUMBER_VRS:
        raise NotTransformableError(f"the VR {vr} cannot hold a UID")
    return by.uid(value)


def _is_repeatable(action: SimpleAction) -> bool:
    if isinstance(action, IncrementDate | IncrementDateTime):
        shift = action.shift
        return shift.jitter is None and not any(
            isinstance(bound, RelativeDate) for bound in (shift.minimum, shift.maximum)
        )
    return not isinstance(action, Jitter)


def _keep(value: str, vr: str) -> str:  # noqa: ARG001
    return value


def _remove(value: str, vr: str) -> str:  # noqa: ARG001
    return ""


def _dummy_with(settings: Settings) -> ValueFunction:
    salt = settings.salt

    def apply(value: str, vr: str) -> str:
        if vr in OPAQUE_VRS:
            raise NotTransformableError(f"the VR {vr} holds no text")
        return stand_in_uid(value, salt=salt) if vr == "UI" else dummy_text(vr)

    return apply


def _replace_uid_with(settings: Settings) -> ValueFunction:
    salt = settings.salt

    def apply(value: str, vr: str) -> str:
        if vr in OPAQUE_VRS or vr in NUMBER_VRS:
            raise NotTransformableError(f"the VR {vr} cannot hold a UID")
        value = value.strip()
        return value if _STANDARD_UID.fullmatch(value) else stand_in_uid(value, salt=salt)

    return apply


def _cap_age(value: str, vr: str) -> str:
    if _AGE.fullmatch(value) is None:
        raise NotTransformableError(f"the value is not an age, in {vr}")
    return min(value, _OLDEST) if value[-1] == "Y" else value


def _hash_with(settings: Settings) -> ValueFunction:
    hash_of = hasher(settings)

    def apply(value: str, vr: str) -> str:
        if vr in NOT_HASHABLE:
            raise NotTransformableError(f"a hash is text, which the VR {vr} cannot hold")
        return hash_of(value, vr)

    return apply


def _hash_uid_with(settings: Settings) -> ValueFunction:
    def apply(value: str, vr: str) -> str:
        if vr in OPAQUE_VRS or vr in NUMBER_VRS:
            raise NotTransformableError(f"the VR {vr} cannot hold a UID")
        value = value.strip()
        if not _UID_CHARACTERS.fullmatch(value):
            # What hashuid keeps of a UID are its last digits: of any other
            # text that could be a part of a name.
            raise NotTransformableError("the value is not a UID")
        return hash_uid(
            value,
            salt=settings.salt,
            prefix_fields=settings.uid_prefix_fields,
            suffix_fields=settings.uid_suffix_fields,
            numeric_name=settings.uid_numeric_name,
        )

    return apply


def _shift_with(
    shift: Callable[..., str], action: IncrementDate | IncrementDateTime
) -> ValueFunction:
    def apply(value: str, vr: str) -> str:
        if vr in OPAQUE_VRS or vr in NUMBER_VRS:
            raise NotTransformableError(f"the VR {vr} holds no date")
        try:
            return shift(value.strip(), action.format, action.shift)
        except ValueError as error:
            raise NotTransformableError(f"the value cannot be moved: {error}") from None

    return apply


def _jitter_with(action: Jitter) -> ValueFunction:
    def apply(value: str, vr: str) -> str:
        try:
            return jitter(value, vr, action)
        except ValueError as error:
            raise NotTransformableError(f"the value cannot be jittered: {error}") from None

    return apply
