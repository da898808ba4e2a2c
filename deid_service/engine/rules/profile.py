"""What a profile says for all files, worked out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from deid_service.engine.encoding.tags import (
    MODALITY,
    PATIENT_BIRTH_DATE,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    is_private,
)
from deid_service.engine.rules.chains import elements_in, needed_by_substitution
from deid_service.engine.rules.facts import wanted_by
from deid_service.engine.rules.selection import named_by
from profile_service.language.model import (
    PATIENT_ID,
    Assign,
    Base,
    Clean,
    CodePattern,
    Column,
    Element,
    ElementRef,
    FilenameRule,
    Keep,
    KeyedHash,
    KeyedShift,
    KeyPurpose,
    Lookup,
    PathSelector,
    PrivateCreatorBlock,
    PrivateElement,
    Profile,
    Pseudonym,
    RegexSelector,
    RegexSub,
    Rejection,
    Rule,
    Settings,
    Vocabulary,
)


@dataclass(frozen=True, eq=False)
class CompiledProfile:
    """What a profile says for all files.

    Attributes:
        blank: bytes go through unchanged.
        settings: of the profile.
        filenames: of the profile.
        originals: top-level elements whose original values are needed elsewhere.
        finals: top-level elements whose resulting values are needed elsewhere.
        creators: the private creators that rules or the base name.
        kept: private elements that rules of the top level keep.
        changed: private elements that rules of the top level do something else to.
        has_regex: some rule selects by a regular expression.
        key_purposes: what keys are needed for; most profiles need none.
        codes: that patients are given; None where they are given none.
        columns: what is looked up of patients in tables; nothing with most profiles.
        needs_patient: who the patient is must be known.
        says_patient: the elements that say it, where anything depends on that.
        base: what is done where no rule selects, or None.
        rejections: of the profile.
        running: all rules of the profile, in the order in which they run.
        wanted: the elements of the top level that conditions depend on.
    """

    blank: bool
    settings: Settings
    filenames: tuple[FilenameRule, ...]
    originals: frozenset[int]
    finals: frozenset[int]
    creators: frozenset[str]
    kept: tuple[ElementRef, ...]
    changed: tuple[ElementRef, ...]
    has_regex: bool
    key_purposes: frozenset[KeyPurpose]
    codes: CodePattern | None
    columns: tuple[Column, ...]
    needs_patient: bool
    says_patient: frozenset[int]
    base: Base | None
    rejections: tuple[Rejection, ...]
    running: tuple[Rule, ...]
    wanted: frozenset[int]

    @classmethod
    def of(cls, profile: Profile) -> CompiledProfile:
        """Compiles a profile."""
        settings = profile.settings
        running = _in_running_order(profile.rules)
        originals = frozenset[int]().union(
            *(
                needed_by_substitution(rule.action)
                for rule in profile.rules
                if isinstance(rule.action, RegexSub)
            )
        )
        if settings.age_from_birthdate is not None:
            originals |= {STUDY_DATE, PATIENT_BIRTH_DATE}
        finals = frozenset({SOP_INSTANCE_UID, MODALITY}).union(
            *(elements_in(filename.output) for filename in profile.filenames)
        )
        keyed = profile.action_types
        asks_patient = bool(keyed & {KeyedHash, KeyedShift, Pseudonym, Assign, Lookup})
        return cls(
            blank=profile.blank,
            settings=settings,
            filenames=profile.filenames,
            originals=originals,
            finals=finals,
            creators=frozenset(
                element.creator
                for rule in profile.rules
                for element in named_by(rule)
                if isinstance(element, PrivateElement | PrivateCreatorBlock)
            )
            | {
                element.creator
                for element in ({} if profile.base is None else profile.base.private)
            },
            kept=_private_elements(profile.rules, kept=True),
            changed=_private_elements(profile.rules, kept=False),
            has_regex=any(isinstance(rule.selector, RegexSelector) for rule in profile.rules),
            key_purposes=profile.key_purposes,
            codes=profile.codes,
            columns=profile.columns,
            needs_patient=bool(keyed & {KeyedShift, Pseudonym, Assign, Lookup}),
            says_patient=frozenset({PATIENT_ID, *settings.pseudonyms.elements})
            if asks_patient
            else frozenset(),
            base=profile.base,
            rejections=profile.rejections,
            running=tuple(running),
            wanted=frozenset[int]().union(
                *(wanted_by(rule.when) for rule in running if rule.when is not None),
                *(wanted_by(rejection.when) for rejection in profile.rejections),
            ),
        )

    @cached_property
    def is_for_all(self) -> bool:
        """Whether it says the same for every file, whatever that says of itself."""
        return not (self.rejections or self.conditional or self.cleans)

    @cached_property
    def conditional(self) -> tuple[Rule, ...]:
        """The rules that have a condition."""
        return tuple(rule for rule in self.running if rule.when is not None)

    @cached_property
    def cleans(self) -> bool:
        """Whether texts are cleaned by what identifies somebody in the file."""
        return self.base is not None or bool(self.vocabulary.terms)

    @cached_property
    def hides_dates(self) -> bool:
        """Whether dates are looked for in texts."""
        return self.base is None or self.base.hides_dates

    @cached_property
    def hides_uids(self) -> bool:
        """Whether UIDs are looked for in texts."""
        return self.base is not None and self.base.hides_uids

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What cleaned texts keep."""
        if self.base is not None:
            vocabulary, kept = self.base.vocabulary, self.settings.words.keep
            if not kept:
                return vocabulary
            return replace(
                vocabulary,
                terms=vocabulary.terms.union(kept),
                names=vocabulary.names.difference(kept),
            )
        actions = (rule.action for rule in self.running)
        cleaning = (action.vocabulary for action in actions if isinstance(action, Clean))
        return next(cleaning, Vocabulary())

    @cached_property
    def computes_age(self) -> bool:
        """Whether PatientAge is computed."""
        return self.settings.age_from_birthdate is not None

    @cached_property
    def watched(self) -> tuple[int, ...]:
        """The elements that others need, in the order of their tags."""
        return tuple(sorted(self.originals | self.finals))


def _private_elements(rules: tuple[Rule, ...], *, kept: bool) -> tuple[ElementRef, ...]:
    """Returns the private elements of the top level that rules keep, or that others select."""
    return tuple(
        selector.element
        for rule in rules
        if isinstance(selector := rule.selector, PathSelector)
        and not selector.parents
        and isinstance(rule.action, Keep) is kept
        and (
            isinstance(selector.element, PrivateElement | PrivateCreatorBlock)
            or (isinstance(selector.element, Element) and is_private(selector.element.tag))
        )
    )


def _in_running_order(rules: tuple[Rule, ...]) -> list[Rule]:
    """The regex-sub rules run first, the last of them first; then the others as written."""
    substituting = [rule for rule in rules if isinstance(rule.action, RegexSub)]
    others = [rule for rule in rules if not isinstance(rule.action, RegexSub)]
    return substituting[::-1] + others
