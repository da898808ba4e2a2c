"""The versions that resolutions remember."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from profile_service.model import Decision, ProfileVersion
from profile_service.store.recent import MAX_BYTES, Read, RecentVersions

MEBIBYTE = 1 << 20


def read(container: str, source: str) -> Read:
    """Returns a version as it may have been read."""
    version = ProfileVersion(
        container_id=1,
        container=container,
        version=1,
        sha256=sha256(source.encode()).digest(),
        decision=Decision("1", blank=False, violations=(), warnings=()),
        create_time=datetime(2026, 1, 1, tzinfo=UTC),
        etag="1-1",
        source=None,
    )
    return Read(version[:-1], version, source)


def test_versions_are_found_by_the_names_of_their_containers() -> None:
    """Of containers that nothing is known of there is nothing."""
    recent = RecentVersions()
    first, second, third = (read(f"sites/{name}", name) for name in "abc")
    for each in (first, second, third):
        recent.keep(each)

    found = recent.of(["sites/a", "sites/none", "sites/b"])

    assert found == {"sites/a": first, "sites/b": second}


def test_the_last_version_of_a_container_counts() -> None:
    """One that was replaced is forgotten."""
    recent = RecentVersions()
    recent.keep(read("sites/a", "one"))
    recent.keep(read("sites/a", "two"))

    assert recent.of(["sites/a"]) == {"sites/a": read("sites/a", "two")}


def test_they_take_no_more_than_their_memory() -> None:
    """Those that were not asked for longest go, and replacing one costs nothing."""
    recent = RecentVersions()
    names = [f"sites/s{number}" for number in range(MAX_BYTES // MEBIBYTE - 2)]
    for name in names:
        recent.keep(read(name, "x" * MEBIBYTE))
    for _ in range(100):
        recent.keep(read(names[0], "y" * MEBIBYTE))
    assert list(recent.of(names)) == names

    recent.keep(read("sites/new", "x" * MEBIBYTE))
    recent.keep(read("sites/newer", "x" * MEBIBYTE))

    assert list(recent.of([*names, "sites/new", "sites/newer"])) == [
        *names[1:],
        "sites/new",
        "sites/newer",
    ]
