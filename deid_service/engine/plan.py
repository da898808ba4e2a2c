"""A profile, compiled: its rules, and what is remembered of the files that they meet.

Rules do not change. What is remembered is of two kinds, and both are bounded:

- `metas`: file metas, and how the data sets behind them are laid out. They hold no values
  of patients, and are kept as long as the plan.
- `memo`: what became of elements, by their bytes. It does hold values, and the keys that
  some were changed by. It belongs to one stream of files, and goes with it (`for_stream`).

Threads: a plan can be shared between threads, and what it remembers between the plans of
streams. Each `Deidentifier` belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from deid_service.engine.errors import DicomError
from deid_service.engine.file.metas import Metas
from deid_service.engine.rules.memo import Memo
from deid_service.engine.rules.pseudonyms import Keys, Pseudonyms
from deid_service.engine.rules.rules import Rules
from deid_service.engine.texts.earlier import Earlier
from deid_service.engine.texts.listed import Listed
from profile_service.language.model import CodePattern, Column, KeyPurpose, Profile


@dataclass(frozen=True, eq=False)
class Plan:
    """A profile, compiled. Serves any number of files at once.

    Attributes:
        rules: what is done.
        metas: what was met before of files, but no value of a patient.
        memo: what became of elements before.
        earlier: whom earlier files of the stream were about; None unless the profile asks, and
            without a stream.
    """

    rules: Rules
    metas: Metas
    memo: Memo
    earlier: Earlier | None = None

    @property
    def blank(self) -> bool:
        """Whether bytes go through unchanged."""
        return self.rules.profile.blank

    @property
    def codes(self) -> CodePattern | None:
        """The codes that patients are given; None where they are given none."""
        return self.rules.profile.codes

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is looked up of patients in tables; nothing with most profiles."""
        return self.rules.profile.columns

    @property
    def awaits_given(self) -> bool:
        """Whether what patients were given elsewhere is to be known before their files begin."""
        return self.codes is not None or bool(self.columns)

    @property
    def key_purposes(self) -> frozenset[KeyPurpose]:
        """What keys it needs; none with most profiles."""
        return self.rules.profile.key_purposes

    @property
    def lists(self) -> tuple[Column, ...]:
        """The lists of the site whose words no text keeps; none with most profiles."""
        return self.rules.profile.settings.words.lists

    def listed(self, lists: Mapping[Column, Iterable[str]]) -> Listed:
        """Returns what no text says: of lists, and of the profile itself.

        It can be shared by streams.

        Args:
            lists: what each of `lists` says.

        Raises:
            ValueError: one is not there.
        """
        if set(self.lists) - lists.keys():
            raise ValueError("the profile needs more lists")
        profile = self.rules.profile
        return Listed(profile.settings.words.remove, lists, profile.vocabulary.terms)

    def for_stream(self, keys: Keys | None = None, listed: Listed | None = None) -> Plan:
        """Returns the same plan for a stream of files that keeps its values to itself.

        Args:
            keys: for what is done by a key; they go with the plan that is returned.
            listed: see `listed`; None where the profile names no lists.

        Raises:
            ValueError: the profile needs keys, those of tables, or lists, and there are none.
        """
        if (self.key_purposes or self.columns) and keys is None:
            raise ValueError("the profile needs keys")
        if self.lists and (listed is None or not listed.has_lists):
            raise ValueError("the profile needs lists")
        settings = self.rules.profile.settings.pseudonyms
        pseudonyms = None if keys is None else Pseudonyms(keys, settings, None)
        awaits_patient = bool(self.rules.profile.says_patient)
        memo = self.memo.another(pseudonyms, awaits_patient=awaits_patient, listed=listed)
        earlier = Earlier() if self.rules.profile.settings.earlier_files else None
        return replace(self, memo=memo, earlier=earlier)

    def check_complete(self) -> None:
        """Looks whether all is there that it needs.

        Raises:
            ValueError: the profile needs keys or lists, and there are none: see `for_stream`.
        """
        if (self.key_purposes or self.columns) and self.memo.pseudonyms is None:
            raise ValueError("the profile needs keys: see Plan.for_stream")
        if self.lists and not self.memo.listed.has_lists:
            raise ValueError("the profile needs lists: see Plan.for_stream")

    def forget(self) -> None:
        """Forgets all that is remembered of files."""
        self.metas.forget()
        self.memo.clear()
        self.rules.forget()


def compile_plan(profile: Profile, *, learn: bool = True) -> Plan:
    """Compiles a profile.

    Args:
        profile: the profile.
        learn: remembers how files are laid out, and what became of elements, so that
            files that are alike take less time. Without it each file is treated as
            the first one. The output is the same.
    """
    rules = Rules.of(profile)
    # Worked out now rather than with the first file. A pattern that takes too
    # long for that is an answer to every file.
    with suppress(DicomError):
        rules.top  # noqa: B018
    listed = Listed(profile.settings.words.remove)
    return Plan(rules, Metas(learns=learn), Memo(learns=learn, listed=listed))
