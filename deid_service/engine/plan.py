"""A profile, compiled: its rules, and what is remembered of the files that they meet."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from deid_service.engine.errors import DicomError
from deid_service.engine.file.meta import Metas
from deid_service.engine.rules.nodes import Rules
from deid_service.engine.rules.rewriting import Memo
from profile_service.language.model import Profile


@dataclass(frozen=True, eq=False)
class Plan:
    """A profile, compiled. Serves any number of files at once.

    Attributes:
        rules: what is done.
        metas: what was written of file metas before.
        memo: what became of elements before.
    """

    rules: Rules
    metas: Metas = field(default_factory=Metas)
    memo: Memo = field(default_factory=Memo)

    @property
    def blank(self) -> bool:
        """Whether bytes go through unchanged."""
        return self.rules.blank


def compile_plan(profile: Profile) -> Plan:
    """Compiles a profile."""
    rules = Rules.of(profile)
    # Worked out now rather than with the first file. A pattern that takes too
    # long for that is an answer to every file.
    with suppress(DicomError):
        rules.top  # noqa: B018
    return Plan(rules)
