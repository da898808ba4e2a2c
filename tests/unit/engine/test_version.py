"""The version in receipts says which code ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deid_service.engine.version import digest_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of a package `decides`, which has a room `inside`."""
    folder = tmp_path / "decides"
    (folder / "inside").mkdir(parents=True)
    for name in ("__init__.py", "inside/__init__.py", "inside/part.py"):
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", ["__init__.py", "inside/part.py", "inside/new.py", "table.tsv"])
def test_every_source_counts(package: Path, name: str) -> None:
    """A change anywhere in the sources, or a new one, makes another digest."""
    before = digest_of(package)

    (package / name).write_bytes(b"# changed\n")

    assert digest_of(package) != before


def test_sources_alone_count(package: Path) -> None:
    """What Python compiles beside the sources changes nothing."""
    before = digest_of(package)

    (package / "__pycache__").mkdir(exist_ok=True)
    (package / "__pycache__" / "part.cpython-311.pyc").write_bytes(b"compiled")

    assert digest_of(package) == before
