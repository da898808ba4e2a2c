"""What a rule says: which elements, what is done to them, and of which files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from profile_service.language.model.actions import Action
from profile_service.language.model.elements import Selector

# What becomes of an element whose value an action cannot work on: the file is rejected,
# the element goes, it is emptied, or gets a dummy.
OnError = Literal["reject", "remove", "empty", "dummy"]


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a file: all that it says must hold; of several values one is enough.

    What says nothing always holds.

    Attributes:
        modalities: Modality (0008,0060).
        sop_classes: UIDs; SOP Class UID, in the data set or the file meta.
        manufacturers: how Manufacturer (0008,0070) begins, in any letter case.
        image_types: one of the values of Image Type (0008,0008).
        burned_in: Burned In Annotation (0028,0301).
        present: tags of elements that stand at the top level.
        absent: tags of elements of which none stands there.
    """

    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    image_types: tuple[str, ...] = ()
    burned_in: tuple[str, ...] = ()
    present: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """An entry of `dicom.fields` that rejects files.

    Attributes:
        when: which files.
        reason: why, as whoever sent the file is told.
        path: where it stands, for example `dicom.fields[3]`.
        line: the line in the text, from 1.
    """

    when: When
    reason: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of `dicom.fields`.

    Attributes:
        selector: which elements.
        action: what is done to them.
        path: where it stands, for example `dicom.fields[3]`.
        line: the line in the text, from 1.
        on_error: what happens where the action cannot work on a value.
        when: for which files it is a rule; None for all.
    """

    selector: Selector
    action: Action
    path: str
    line: int
    on_error: OnError = "reject"
    when: When | None = None
