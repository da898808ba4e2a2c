"""The codes of patients, and who has which, encrypted."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from profile_service.errors import CodesExhaustedError, TargetNotFoundError
from profile_service.store import rows
from profile_service.store.existing import existing
from profile_service.store.writers import execute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profile_service.hierarchy import ContainerName
    from profile_service.language.model import CodePattern
    from profile_service.model import StoredSubject, Subject
    from profile_service.store.database import Changing, Reading

# How often a random number is tried before the free ones are looked for.
RANDOM_TRIES = 8
_RANDOM = secrets.SystemRandom()


class CodeStore:
    """Codes of patients, in PostgreSQL. Safe to use from many threads."""

    def __init__(self, read: Reading, change: Changing) -> None:
        self._read = read
        self._change = change

    def scope_id(self, name: str) -> int | None:
        """Returns the identity of a container; None where it does not exist."""
        found = self._read("get_container", name)
        return found[0][0] if found else None

    def get(self, scope_id: int, series: str, digests: list[bytes]) -> dict[bytes, str]:
        """Returns the codes that patients were given, by what they are found by."""
        return dict(self._read("get_codes", scope_id, series, b"".join(digests)))

    def give(
        self, target: ContainerName, scope_id: int, pattern: CodePattern, subjects: list[Subject]
    ) -> dict[bytes, str]:
        """Gives patients codes, unless another one was faster.

        Args:
            target: the project or device.
            scope_id: the container within which no code is given twice.
            pattern: of the codes.
            subjects: the patients.

        Returns:
            The codes of all, by what they are found by.

        Raises:
            CodesExhaustedError: there are not as many, and none is given.
        """
        with self._change(
            target.site, code_series_scope_id_fkey=TargetNotFoundError(target.text)
        ) as connection:
            row = execute(connection, "hold_series", scope_id, pattern.series).fetchone()
            assert row is not None  # noqa: S101 -- it is there now
            series, last = row
            digests = b"".join(subject.digest for subject in subjects)
            found = execute(connection, "get_codes", scope_id, pattern.series, digests)
            codes: dict[bytes, str] = dict(found.fetchall())

            def give(numbers: Iterable[int]) -> None:
                left = [subject for subject in subjects if subject.digest not in codes]
                rows = [
                    (subject.digest, number, pattern.code(number), *subject.sealed)
                    for subject, number in zip(left, numbers, strict=False)
                ]
                columns = map(list, zip(*rows, strict=True))
                codes.update(execute(connection, "give_codes", series, *columns).fetchall())

            count = len(subjects) - len(codes)
            if pattern.is_random:
                for _ in range(RANDOM_TRIES):
                    if (count := len(subjects) - len(codes)) == 0:
                        break
                    give(_RANDOM.sample(range(1, pattern.last + 1), min(count, pattern.last)))
            elif following := range(last + 1, min(last + count, pattern.last) + 1):
                give(following)
                execute(connection, "note_last", series, following[-1])
            # What is left, one by one.
            while len(codes) < len(subjects):
                row = execute(connection, "free_code", series, pattern.last).fetchone()
                if row is None or row[0] >= pattern.last:
                    raise CodesExhaustedError(target.text)
                give([row[1]])
        return codes

    def page(
        self, name: ContainerName, *, code: str, after: str, limit: int
    ) -> list[StoredSubject]:
        """Returns who was given codes within a container, in the order of the codes.

        Args:
            name: the container.
            code: the one that is looked for; empty for all.
            after: the code behind which they begin.
            limit: how many at most.

        Raises:
            ContainerNotFoundError: it does not exist.
        """
        container_id = existing(self._read, "get_container", name)[0]
        found = self._read("list_subjects", container_id, after, code, limit)
        return [rows.to_subject(row) for row in found]
