"""The limits of the engine."""

from __future__ import annotations

from typing import Final

# How much of a file is held for a value that a rule transforms, for a sequence
# whose length can change, and for output that waits for something further on.
# Headers of images are some kilobytes; the limit is what a stream can cost.
MAX_HELD_BYTES: Final = 4 * 1024 * 1024
