"""The tags that the engine itself knows, as 32-bit numbers (PS3.6)."""

from __future__ import annotations

from typing import Final

# PS3.10 7.1: the group of the file meta, which is not part of the data set.
FILE_META: Final = 0x0002
TRANSFER_SYNTAX: Final = 0x00020010

# Retired: how many bytes of the data set follow.
LENGTH_TO_END: Final = 0x00080001
SPECIFIC_CHARACTER_SET: Final = 0x00080005
SOP_INSTANCE_UID: Final = 0x00080018
STUDY_DATE: Final = 0x00080020
MODALITY: Final = 0x00080060
PATIENT_BIRTH_DATE: Final = 0x00100030
PATIENT_AGE: Final = 0x00101010
STUDY_INSTANCE_UID: Final = 0x0020000D
PIXEL_DATA: Final = 0x7FE00010

# Extended offset tables, and pixel data as integers, floats and doubles.
PIXEL_DATA_GROUP: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, PIXEL_DATA)


# PS3.5 7.8.1: from here on, the elements of a private group stand in blocks of creators.
PRIVATE_BLOCKS: Final = 0x1000


def is_private(tag: int) -> bool:
    """Whether a tag is private: its group is odd (PS3.5 7.8)."""
    return bool(tag >> 16 & 1)


def is_creator(tag: int) -> bool:
    """Whether a private tag is that of a private creator (PS3.5 7.8.1)."""
    return 0x10 <= tag & 0xFFFF <= 0xFF


def is_group_length(tag: int) -> bool:
    """Whether an element of a data set is the length of its group (PS3.5 7.2)."""
    return tag & 0xFFFF == 0 and tag >> 16 != FILE_META
