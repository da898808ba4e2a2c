"""Locks on files, which end with whoever has them, however that ends."""

from __future__ import annotations

try:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
except ModuleNotFoundError:
    # Windows: a file that is open cannot be removed there, which tells as much.
    LOCKS_ARE_KNOWN = False

    def lock(file: int) -> None:
        """Does nothing."""

    def share(file: int) -> None:
        """Does nothing."""

else:
    LOCKS_ARE_KNOWN = True

    def lock(file: int) -> None:
        """Locks a file until it is closed.

        Args:
            file: its descriptor.

        Raises:
            BlockingIOError: another process has it.
            OSError: the file system has no locks.
        """
        flock(file, LOCK_EX | LOCK_NB)

    def share(file: int) -> None:
        """Locks an open file with others who do the same, against who locks it for himself.

        Waits for one who has.

        Args:
            file: its descriptor.

        Raises:
            OSError: the file system has no locks.
        """
        flock(file, LOCK_SH)
