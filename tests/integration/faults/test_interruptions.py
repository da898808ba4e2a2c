"""What is interrupted in every way; `./dev interrupt` does the same with thousands of files."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from tests.integration.faults.interruptions import (
    EVERYWHERE,
    OF_APPLY,
    Interrupted,
    InterruptedApply,
    Kind,
    make_sources,
)
from tests.support.between import line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.faults.system import System

FILES = 150


def test_whatever_interrupts_it_every_file_is_there_once(system: System, tmp_path: Path) -> None:
    """After the last run each file is there, complete, and the report tells of all."""
    sources = make_sources(tmp_path / "files", FILES)
    with line(system.deid_service.address) as between:
        upload = Interrupted(
            system,
            between,
            sources,
            tmp_path / "out",
            random.Random(1),  # noqa: S311 - no secret
        )
        # A disk that takes small files leaves the large ones for what comes then.
        upload.interrupt(sorted(EVERYWHERE, key=lambda kind: kind is not Kind.LIMIT))
        assert upload.happened == Counter(EVERYWHERE)
        upload.finish()


def test_whatever_interrupts_apply_every_file_is_there_once(tmp_path: Path) -> None:
    """So it is without a service, in several processes, of which one may be killed, too."""
    sources = make_sources(tmp_path / "files", FILES)
    apply = InterruptedApply(sources, tmp_path / "out", random.Random(1))  # noqa: S311 - no secret
    apply.interrupt(sorted(OF_APPLY, key=lambda kind: kind is not Kind.LIMIT))
    apply.finish()
