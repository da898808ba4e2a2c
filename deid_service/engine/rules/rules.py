"""The rules of a profile, compiled: which reach an element, and what each does to it."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from deid_service.engine.encoding.dictionary import vr_of
from deid_service.engine.encoding.tags import SOP_INSTANCE_UID
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.facts import Facts
from deid_service.engine.rules.in_force import InForce
from deid_service.engine.rules.nodes import Node, Nodes
from deid_service.engine.rules.ops import Effect, Kept, Rewritten, becomes_of, effect_on_value
from deid_service.engine.rules.profile import CompiledProfile
from deid_service.engine.rules.remembered import Room
from profile_service.language.model import Needs, Profile

# Kinds of files whose rules are kept: there are some hundred IODs, and few conditions that
# hold together. Those of other kinds are made for each file.
_MAX_KINDS: Final = 512


class Rules:
    """What a profile does to files of one kind. Serves any number of them at once.

    Attributes:
        profile: what it says for all files.
        in_force: what it says for these. As long as nothing is known of a file, those of its
            rules that have no condition.
    """

    def __init__(
        self,
        profile: CompiledProfile,
        in_force: InForce,
        room: Room,
        kinds: dict[object, Rules],
    ) -> None:
        """Compiles what is in force.

        Args:
            profile: see there.
            in_force: see there.
            room: for what is remembered of the rules for all kinds of files.
            kinds: the rules for each kind that was met.
        """
        self.profile = profile
        self.in_force = in_force
        self._room = room
        self._kinds = kinds
        self._nodes = Nodes(in_force, room)
        self._changed_of: dict[frozenset[int], frozenset[int]] = {}

    @classmethod
    def of(cls, profile: Profile) -> Rules:
        """Compiles a profile."""
        compiled = CompiledProfile.of(profile)
        return cls(compiled, InForce(compiled), Room(), {})

    def for_file(self, facts: Facts) -> Rules:
        """Returns the rules as they are for a file.

        They share what bounds the memory of all of them.

        Raises:
            DicomError: the profile rejects the file.
        """
        profile = self.profile
        for rejection in profile.rejections:
            if facts.hold(rejection.when):
                raise DicomError(Reason.REJECTED_BY_PROFILE, rejection.reason)
        needs: Needs | None = None
        if profile.base is not None:
            needs = profile.base.needs.get(facts.sop_class)
        holding = tuple(
            rule.when is not None and facts.hold(rule.when) for rule in profile.conditional
        )
        if needs is None and not any(holding):
            return self
        key = (id(needs), holding)
        rules = self._kinds.get(key)
        if rules is None:
            rules = Rules(profile, InForce(profile, facts, needs), self._room, self._kinds)
            if len(self._kinds) < _MAX_KINDS:
                rules = self._kinds.setdefault(key, rules)
        return rules

    @property
    def top(self) -> Node:
        """The top level of a data set.

        Raises:
            DicomError: a regular expression of the profile takes too long.
        """
        return self._nodes.top

    @cached_property
    def changes_instance_uid(self) -> bool:
        """Whether something is done to the SOP Instance UID."""
        effect = effect_on_value(self.top.op(SOP_INSTANCE_UID, None, "UI"))
        return SOP_INSTANCE_UID in self.top.insertions or effect is not Effect.STAYS

    def changed_of(self, tags: frozenset[int]) -> frozenset[int]:
        """Returns those of some elements of the top level that do not stay as they are."""
        changed = self._changed_of.get(tags)
        if changed is None:
            changed = frozenset(tag for tag in tags if not self._stays(tag))
            self._changed_of[tags] = changed
        return changed

    def _stays(self, tag: int) -> bool:
        op = becomes_of(self.top.op(tag, None, vr_of(tag)))
        return isinstance(op, Kept) or (isinstance(op, Rewritten) and op.cleans)

    def forget(self) -> None:
        """Forgets the answers of all nodes; they are worked out again when asked for."""
        self._room.forget()
