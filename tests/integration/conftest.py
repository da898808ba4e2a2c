"""Fixtures that tests of both services together share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    """The authority of the hospital."""
    with Authority() as one:
        yield one


@pytest.fixture(scope="module")
def foreign() -> Iterator[Authority]:
    """Another one."""
    with Authority() as one:
        yield one
