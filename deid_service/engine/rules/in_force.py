"""The rules that are in force for files of one kind."""

from __future__ import annotations

from functools import cached_property

from deid_service.engine.rules.facts import Facts
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.rules.selection import Active
from deid_service.engine.rules.treatments import Treatments
from profile_service.language.model import (
    Dummy,
    EveryDepthSelector,
    Needs,
    OthersSelector,
    PathSelector,
)


class InForce:
    """What a profile says for files of one kind.

    Attributes:
        profile: what it says for all files.
        actives: its rules for these, in the order in which they run.
        treatments: what its base does in them; None where it has no base.
    """

    def __init__(
        self, profile: CompiledProfile, facts: Facts | None = None, needs: Needs | None = None
    ) -> None:
        """Takes the rules whose conditions hold.

        Args:
            profile: the profile.
            facts: what the files say of themselves; where nothing is known of them, rules
                with a condition are not in force.
            needs: what their IOD needs; None where that is not known.
        """
        self.profile = profile
        self.actives = tuple(
            Active(
                order,
                rule,
                depth=0,
                anywhere=not isinstance(rule.selector, PathSelector)
                or isinstance(rule.selector, EveryDepthSelector)
                or (profile.settings.recurse_sequence and not rule.selector.parents),
            )
            for order, rule in enumerate(profile.running)
            if rule.when is None or (facts is not None and facts.hold(rule.when))
        )
        self.treatments = None if profile.base is None else Treatments(profile.base, needs)

    @cached_property
    def everywhere(self) -> tuple[Active, ...]:
        """The rules that select at every depth."""
        return tuple(active for active in self.actives if active.anywhere)

    @cached_property
    def others_go(self) -> bool:
        """Whether a rule removes what no rule names."""
        return any(active.removes_others for active in self.actives)

    @cached_property
    def has_dummies(self) -> bool:
        """Whether a rule or the base puts dummies."""
        return self.treatments is not None or any(
            isinstance(active.rule.action, Dummy) for active in self.actives
        )

    @cached_property
    def has_tentative(self) -> bool:
        """Whether sequences stay only for what a rule names inside of them."""
        return (self.profile.settings.remove_undefined or self.others_go) and any(
            not isinstance(active.rule.selector, OthersSelector) for active in self.everywhere
        )
