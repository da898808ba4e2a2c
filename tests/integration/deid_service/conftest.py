"""A ProfileService that says what the test wants, for services in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.deid_service import BLANK, ScriptedProfileService, selected, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def blank_profile_service() -> Iterator[str]:
    """The address of a ProfileService with a blank profile, so that any bytes pass."""
    scripted = ScriptedProfileService()
    scripted.answer = lambda _request, _context: selected(BLANK)
    with serving(scripted) as address:
        yield address
