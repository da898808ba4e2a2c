"""What a file says of itself, and whether the condition of a rule holds for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from profile_service.language.model import When

_IMAGE_TYPE: Final = 0x00080008
_SOP_CLASS: Final = 0x00080016
_MODALITY: Final = 0x00080060
_MANUFACTURER: Final = 0x00080070
_BURNED_IN: Final = 0x00280301


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself.

    Attributes:
        values: of the elements of the top level that are looked for, by tag; those that
            are absent have none.
        sop_class: as the file meta has it.
    """

    values: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sop_class: str = ""

    def of_class(self, sop_class: str) -> Facts:
        """Returns the same with the SOP class of the file meta."""
        return Facts(self.values, sop_class)

    def hold(self, when: When) -> bool:
        """Whether all of a condition holds."""
        values = self.values
        return (
            _has_any(values.get(_MODALITY), when.modalities)
            and _has_any((*values.get(_SOP_CLASS, ()), self.sop_class), when.sop_classes)
            and self._is_made_by(when.manufacturers)
            and _has_any(values.get(_IMAGE_TYPE), when.image_types)
            and _has_any(values.get(_BURNED_IN), when.burned_in)
            and all(tag in values for tag in when.present)
            and not any(tag in values for tag in when.absent)
        )

    def _is_made_by(self, manufacturers: tuple[str, ...]) -> bool:
        if not manufacturers:
            return True
        made_by = " ".join(self.values.get(_MANUFACTURER, ())).casefold()
        return any(made_by.startswith(each.casefold()) for each in manufacturers)


def wanted_by(when: When) -> frozenset[int]:
    """Returns the tags of the elements that a condition depends on."""
    return frozenset(
        [
            tag
            for tag, wanted in (
                (_MODALITY, when.modalities),
                (_SOP_CLASS, when.sop_classes),
                (_MANUFACTURER, when.manufacturers),
                (_IMAGE_TYPE, when.image_types),
                (_BURNED_IN, when.burned_in),
            )
            if wanted
        ]
    ).union(when.present, when.absent)


def _has_any(found: tuple[str, ...] | None, wanted: tuple[str, ...]) -> bool:
    return not wanted or any(each in wanted for each in found or ())
