"""How an action can fail."""

from __future__ import annotations

from typing import ClassVar

from deid_service.engine.errors import Reason


class NotTransformableError(Exception):
    """An action cannot transform the value that it was given.

    The message is a sentence without any part of the value.

    Attributes:
        reason: for which a file is rejected.
    """

    reason: ClassVar[Reason] = Reason.VALUE_NOT_TRANSFORMABLE


class NotFittingError(NotTransformableError):
    """What the value would become, the element cannot hold."""

    reason: ClassVar[Reason] = Reason.VALUE_NOT_ENCODABLE


class NotInTableError(NotTransformableError):
    """A table says nothing of the patient."""

    reason: ClassVar[Reason] = Reason.NOT_IN_TABLE
