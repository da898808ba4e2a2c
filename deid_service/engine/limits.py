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
