"""The actions on one element, put together in the order in which they run."""

from __future__ import annotations

from typing import Final

from deid_service.engine.rules.actions import KeyedStep, ValueStep, step_of
from deid_service.engine.rules.ops import ANY_VALUE, AnyStep, Insertion, OnSequence, RegexSubStep
from deid_service.engine.rules.selection import selects_many
from deid_service.engine.texts.cleaner import TextStep
from profile_service.language.model import (
    ACTION_NAMES,
    Action,
    Clean,
    Dummy,
    Element,
    ElementValue,
    Keep,
    Lookup,
    OfPatient,
    OnError,
    RegexSub,
    Remove,
    ReplaceWith,
    Rule,
    Settings,
    Sweep,
    Template,
)

REMOVE: Final = Remove()


class Chain:
    """The actions on one element, put together in the order in which they run."""

    def __init__(self, settings: Settings, *, present: bool) -> None:
        """Starts with none.

        Args:
            settings: of the profile.
            present: the element is there.
        """
        self._settings = settings
        self._present = present
        self.drop: str | None = None
        self.constant: str | None = None
        self.steps: list[AnyStep] = []
        self.names: list[str] = []
        # Whether the last step gives a dummy.
        self.gives_dummy = False
        # Whether it goes where a table says nothing of the patient.
        self.drops_unlisted = False
        self._outcomes: set[OnError] = set()

    def insertion(self, text: str) -> Insertion:
        """Returns what an absent element becomes, of a text that the steps are done to."""
        steps, names = tuple(self.steps), tuple(self.names)
        return Insertion(text, steps, names, drops_unlisted=self.drops_unlisted)

    @property
    def is_repeatable(self) -> bool:
        """Whether the same element always becomes the same."""
        return (self.constant is None or self.constant.isascii()) and all(
            isinstance(step, KeyedStep | TextStep)
            or (isinstance(step, ValueStep) and step.repeatable)
            for step in self.steps
        )

    @property
    def is_whole(self) -> bool:
        """Whether all that is done is to look whether the value may stay as it is."""
        return bool(self.steps) and all(
            isinstance(step, TextStep) and step.whole for step in self.steps
        )

    @property
    def on_error(self) -> OnError:
        """What happens where a step cannot be done: what all say, else the file is rejected."""
        return next(iter(self._outcomes)) if len(self._outcomes) == 1 else "reject"

    def add(self, rule: Rule, *, inserts: bool = True) -> None:
        """Adds the action of the rule that runs next.

        Args:
            rule: the rule.
            inserts: whether it may insert an element here.
        """
        self.add_action(rule.action, rule.on_error, inserts=inserts)

    def add_action(self, action: Action, on_error: OnError, *, inserts: bool = True) -> None:
        """Adds an action.

        Args:
            action: that runs next.
            on_error: what happens where it cannot work on a value.
            inserts: as for `add`.
        """
        name = ACTION_NAMES[type(action)]
        if isinstance(action, Remove):
            if self._present:
                self.drop = name
            self._begin(present=False, constant=None, names=[])
        elif isinstance(action, ReplaceWith):
            if self._present or (action.insert and inserts):
                self.drop = None
                self._begin(present=True, constant=action.text, names=[name])
        elif isinstance(action, OfPatient):
            if self._present or (action.insert and inserts):
                self.drop = None
                self._begin(present=True, constant=ANY_VALUE, names=[name])
                self.steps.append(step_of(action, self._settings))
                self.drops_unlisted = isinstance(action, Lookup) and action.unlisted == "remove"
        elif self._present and not isinstance(action, Keep):
            step: AnyStep
            if isinstance(action, RegexSub):
                step = RegexSubStep(name, action, needed_by_substitution(action))
            elif isinstance(action, Clean):
                step = TextStep(name, keeps_known=True, needs_value=action.needed)
            elif isinstance(action, Sweep):
                step = TextStep(
                    name,
                    keeps_known=False,
                    needs_value=True,
                    by_form=action.by_form,
                    is_code=action.is_code,
                    whole=action.whole,
                )
            else:
                step = step_of(action, self._settings)
            self.steps.append(step)
            self.gives_dummy = isinstance(action, Dummy)
            self._outcomes.add(on_error)
            self.names.append(name)

    def _begin(self, *, present: bool, constant: str | None, names: list[str]) -> None:
        self._present = present
        self.constant = constant
        self.steps = []
        self.gives_dummy = self.drops_unlisted = False
        self._outcomes = set()
        self.names = names


class SequenceChain:
    """The actions on one element that is a sequence."""

    def __init__(self) -> None:
        """Starts with none."""
        self.result = OnSequence.DESCEND
        self.name = ""
        # Whether the values inside become dummies.
        self.dummied = False

    def add(self, rule: Rule, *, inserts: bool) -> None:
        """Adds the action of the rule that runs next, as `Chain.add` does."""
        self.add_action(rule.action, inserts=inserts, names_it=not selects_many(rule.selector))

    def protect(self, action: Action) -> None:
        """Adds what a base does: what is no sequence, by the standard, goes where it is one."""
        if isinstance(action, Keep | Remove | ReplaceWith | Dummy | Sweep):
            self.add_action(action)
        else:
            self.add_action(REMOVE)

    def add_action(self, action: Action, *, inserts: bool = False, names_it: bool = True) -> None:
        """Adds an action.

        Args:
            action: that runs next.
            inserts: as for `Chain.add`.
            names_it: it is meant for this element, and not for many.
        """
        if isinstance(action, Keep | Sweep):
            return
        if isinstance(action, Dummy):
            self.dummied = self.result is OnSequence.DESCEND
            return
        if isinstance(action, Remove):
            self.result, self.name = OnSequence.DROP, ACTION_NAMES[Remove]
        elif isinstance(action, ReplaceWith) and not action.text:
            if self.result is not OnSequence.DROP or (action.insert and inserts):
                self.result, self.name = OnSequence.EMPTY, ACTION_NAMES[ReplaceWith]
        elif names_it and self.result is OnSequence.DESCEND:
            # A sequence has no value that could be hashed, moved or written.
            self.result, self.name = OnSequence.REJECT, ACTION_NAMES[type(action)]


def needed_by_substitution(action: RegexSub) -> frozenset[int]:
    """Returns the tags of the elements whose values an action puts in."""
    return frozenset[int]().union(*(elements_in(case.output) for case in action.cases))


def elements_in(template: Template) -> frozenset[int]:
    """Returns the tags of the elements whose values a text is made of."""
    return frozenset(
        part.element.tag
        for part in template
        if isinstance(part, ElementValue) and isinstance(part.element, Element)
    )
