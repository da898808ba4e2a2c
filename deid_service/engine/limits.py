"""The limits of the engine."""

from __future__ import annotations

from typing import Final

# How much of a file is held for a value that a rule transforms, for a sequence
# whose length can change, and for output that waits for something further on.
# Headers of images are some kilobytes; the limit is what a stream can cost.
MAX_HELD_BYTES: Final = 4 * 1024 * 1024

# How many values of one element are read or changed. Each takes up to ten microseconds,
# and all are changed in one go. Lists that rules are about have some hundreds.
MAX_VALUES: Final = 8192

# How many actions are done to the values of one element: one rule to each of its values,
# or several rules to fewer. What a regex-sub puts together counts by the piece.
MAX_ACTIONS_ON_ELEMENT: Final = MAX_VALUES

# How long a value that a regex-sub makes may be, in characters. The longest that a VR
# bounds is LT's with 10,240.
MAX_VALUE_CHARACTERS: Final = 65_536

# What regular expressions may take on one file, in seconds of computing, and on one of
# its elements: a worker serves others meanwhile.
MAX_MATCHING_SECONDS: Final = 0.5
MAX_MATCHING_SECONDS_OF_ELEMENT: Final = 0.05

# By how many bytes new values may make a file longer, those of some 250 bytes not counted:
# with these alone, a file becomes no longer than some thirty times as long.
MAX_GROWTH: Final = 64 * 1024 * 1024

# Private creators name programs, in at most 64 characters (PS3.5 6.2, LO).
MAX_CREATOR_BYTES: Final = 1024

# Blocks of private elements, in the levels of a file that are open at once: the files of
# vendors have some tens. Each is held in some 300 bytes, and with its creator.
MAX_PRIVATE_BLOCKS: Final = 4096

# What may wait for values further on: each value counts for eight, and for one more with
# every sequence or item around it whose length waits as well. A value that waits takes
# some 1,500 bytes, a length 150.
MAX_WAITING: Final = 32_768
