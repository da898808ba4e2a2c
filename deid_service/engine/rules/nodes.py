"""Which rules reach an element: for each place in a data set, what is done there.

A `Node` stands for one level of a data set: the top level, or an item of a
sequence. Asked for a tag, it answers None (no rule touches the element: it is
passed on as it came) or a case of `ops.Op`. Answers are remembered, so that the
rules of a profile are matched once for a tag, not once for an element.

The rules of a profile act as if they ran one after the other over the whole
data set. An element sees them one after the other all the same: the actions
that select it are put into one case, in their order.

Threads: nodes can be shared. What they remember are answers that do not differ, so
it does not matter whose answer is kept; nothing of a file is in them but tags and
the numbers of items, and of those no more than `_MAX_REMEMBERED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Lock
from typing import Final, TypeVar
from weakref import WeakSet

from deid_service.engine.encoding.dictionary import keyword_of, vr_of
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.encoding.tags import (
    FILE_META,
    LENGTH_TO_END,
    MODALITY,
    PATIENT_AGE,
    PATIENT_BIRTH_DATE,
    PIXEL_DATA,
    PIXEL_DATA_GROUP,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
    is_creator,
    is_group_length,
    is_private,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.actions import KeyedStep, ValueStep, step_of
from deid_service.engine.rules.budget import begin_element, match
from deid_service.engine.rules.facts import Facts, wanted_by
from deid_service.engine.rules.ops import (
    LENGTH_GOES,
    MISPLACED,
    UNSEEN,
    AnyStep,
    ByCreator,
    ByVr,
    Case,
    CharacterSet,
    Dropped,
    Effect,
    GroupLength,
    Insertion,
    Kept,
    OnSequence,
    Op,
    RegexSubStep,
    Rewritten,
    becomes_of,
    effect_on_value,
)
from deid_service.engine.rules.texts import TextStep
from profile_service.language.model import (
    ACTION_NAMES,
    PATIENT_ID,
    Action,
    Assign,
    Base,
    Choice,
    Clean,
    CodePattern,
    Dummy,
    Element,
    ElementRef,
    ElementValue,
    EveryDepthSelector,
    FilenameRule,
    Keep,
    KeyedHash,
    KeyedShift,
    KeyPurpose,
    Needs,
    OnError,
    OthersSelector,
    PathSelector,
    PatternTimeoutError,
    PrivateCreatorBlock,
    PrivateElement,
    Profile,
    Pseudonym,
    RegexSelector,
    RegexSub,
    Rejection,
    Remove,
    RepeaterElement,
    ReplaceWith,
    Rule,
    Selector,
    Settings,
    Sweep,
    Template,
    Treatment,
    Vocabulary,
    VrSelector,
)

# What stands for a value of which nothing is taken.
ANY_VALUE: Final = "0"

REMOVE_PRIVATE_TAGS: Final = "remove-private-tags"
REMOVE_UNDEFINED: Final = "remove-undefined"

# What is remembered by all nodes of a profile, in tags: some ten megabytes. A file
# can be made of tags that no other has, or of any number of items. When there is no
# room left all of it is forgotten: to work it out again takes the others
# microseconds for a tag, much less than such a file takes its sender.
_MAX_REMEMBERED: Final = 65_536

# Kinds of files whose rules are kept: there are some hundred IODs, and few conditions that
# hold together. Those of other kinds are made for each file.
_MAX_KINDS: Final = 512

# What a node, or the children of one, count for, in tags.
_NODE: Final = 16

Key = TypeVar("Key")
Value = TypeVar("Value")


class Remembered(dict[Key, Value]):
    """Answers by their questions, each worked out when it is first asked for."""

    def __init__(self, answer: Callable[[Key], Value], count: Callable[[int], None]) -> None:
        """Starts with none.

        Args:
            answer: works one out.
            count: called with 1 for each that is remembered.
        """
        super().__init__()
        self._answer = answer
        self._count = count

    def __missing__(self, question: Key) -> Value:
        answer = self[question] = self._answer(question)
        self._count(1)
        return answer


class _Glanced(dict[int, Op | None]):
    """Ops by tags, as far as they are known; `UNSEEN` for others."""

    def __missing__(self, tag: int) -> Op:
        return UNSEEN


@dataclass(frozen=True, slots=True)
class _Active:
    """A rule that can select something at or below a node.

    Attributes:
        order: when it runs.
        rule: the rule.
        depth: how many of its parents lie above the node.
        anywhere: it selects at every depth (recurse-sequence, `**`).
    """

    order: int
    rule: Rule
    depth: int
    anywhere: bool

    @property
    def path(self) -> PathSelector | None:
        selector = self.rule.selector
        return selector if isinstance(selector, PathSelector) else None


class Children:
    """The items of one sequence of a node."""

    __slots__ = ("_actives", "_fixed", "_node", "_sequence", "dummied", "reached", "wanted")

    def __init__(self, node: Node, sequence: tuple[int, str | None], after: int = -1) -> None:
        """Finds the rules that reach into the sequence.

        Args:
            node: where the sequence stands.
            sequence: its tag and, for a private one, its creator.
            after: only rules that run later than this one count, and only for
                what they insert: the sequence was emptied or removed before.
        """
        self._node = node
        self._sequence = sequence
        tag, creator = sequence
        self._actives = [
            active
            for active in node.actives
            if (path := active.path) is not None
            and active.order > after
            and len(path.parents) > active.depth
            and _selects(path.parents[active.depth][0], tag, creator)
        ]
        # Whether a rule reaches into the sequence by its path.
        self.reached = bool(self._actives)
        # Whether values in it that no rule selects become dummies.
        self.dummied = node.dummies_within(tag, creator)
        inserting = [
            index for active in self._actives if (index := _inserted_index(active)) is not None
        ]
        # PS3.5 7.5: items are counted from the first; those before the one
        # that a rule names are made, too.
        self.wanted = max(inserting, default=-1) + 1
        indexed = any(_parent(active)[1] is not None for active in self._actives)
        self._fixed = None if indexed or node.rules.has_regex else self._make(None)

    def item(self, index: int) -> Node:
        """Returns the node of an item, counted from 0."""
        return self._fixed or self._make(index)

    def _make(self, index: int | None) -> Node:
        below = [
            _Active(active.order, active.rule, active.depth + 1, anywhere=False)
            for active in self._actives
            if (wanted := _parent(active)[1]) is None or wanted == index
        ]
        tag = self._sequence[0]
        return self._node.rules.node_below(self._node, below, tag, index, dummied=self.dummied)


class Node:
    """One level of a data set, and what is done to its elements."""

    def __init__(
        self,
        rules: Rules,
        actives: tuple[_Active, ...],
        *,
        top: bool,
        keyword_path: str,
        hex_path: str,
        dummied: bool = False,
    ) -> None:
        """Prepares a level; ops are worked out as tags are asked for.

        Args:
            rules: the rules of the profile.
            actives: the rules that can select something here or below, in the
                order in which they run.
            top: the top level.
            keyword_path: the dotted path of the level in keywords, with a dot at
                its end; empty for the top level. A sequence without a keyword stands
                in it as a hex tag.
            hex_path: the same in hex tags.
            dummied: values that no rule selects become dummies.
        """
        self.rules = rules
        self.dummied = dummied
        self.actives = actives
        self.top = top
        self.keyword_path = keyword_path
        self.hex_path = hex_path
        self._by_creators: Remembered[tuple[int, str | None], Case | ByVr | None] = Remembered(
            self._make_op_of, rules.count
        )
        self._children: Remembered[tuple[int, str | None], Children | None] = Remembered(
            self._make_children, rules.count
        )
        self._note_reach()
        self._ops = _Glanced()
        # What is done to the elements of the file meta: rules name them like those of
        # the top level.
        self.file_meta_ops: Remembered[int, Case | None] = Remembered(
            lambda tag: self._make_op(tag, None, vr_of(tag)), rules.count
        )
        # What is done to an element, by its tag.
        self.lookup: Callable[[int], Op | None] = self._look_up
        # The same, but `UNSEEN` where that has to be worked out first, which takes long
        # enough to be counted.
        self.glance: Callable[[int], Op | None] = self._ops.__getitem__
        if not self._open:
            # Rules select only what they name; nothing else is remembered.
            self.lookup = self.glance = {tag: self._resolve(tag) for tag in self._named_tags()}.get
        # The insertions in bytes, by encoding: see `insertions.prepared`.
        self.prepared: dict[Encoding, list[bytes | None]] = {}
        insertions = self._find_insertions()
        self.insertions = {tag: insertions[tag] for tag in insertions if tag >> 16 != FILE_META}
        # PS3.10 7.1: group 2 is the file meta, which is not part of the data set.
        self.file_meta_insertions = {
            tag: insertions[tag] for tag in insertions if tag >> 16 == FILE_META
        }
        self.insertion_tags = sorted(self.insertions)
        self.private_insertions = self._find_private_insertions()
        self.acts = self.deep or bool(actives) or top
        # Whether the same is done at every depth below.
        self.uniform = (
            not top
            and not rules.has_regex
            and not rules.has_tentative
            and all(active.anywhere for active in actives)
        )

    def _note_reach(self) -> None:
        """Works out what kinds of elements rules can be about here."""
        rules, actives = self.rules, self.actives
        settings = rules.settings
        removes_private = settings.remove_private_tags or settings.remove_undefined
        # Whether private elements need their creators to be told apart: to be
        # selected, or to take their creators along where the others go.
        # The VR of a private element can depend on its creator, too.
        by_vr = self.dummied or any(
            isinstance(active.rule.selector, VrSelector) for active in actives
        )
        self._by_vr = by_vr or rules.base is not None
        self._told_by_tag = _is_told_by_tag if by_vr else rules.is_told_by_tag
        by_creator = (
            by_vr
            or (rules.base is not None and bool(rules.base.private))
            or rules.others_go
            or (removes_private and (rules.has_regex or bool(rules.kept)))
        )
        self._by_creator = by_creator or any(
            isinstance(element, PrivateElement | PrivateCreatorBlock)
            or (removes_private and isinstance(element, Element) and element.tag >> 16 & 1)
            for element in self._selected_here()
        )
        # Whether anything can be done inside of a sequence that no path names.
        self.deep = bool(
            rules.has_regex
            or settings.remove_undefined
            or settings.remove_private_tags
            or any(active.anywhere for active in actives)
            or self.dummied
            or rules.base is not None
        )
        # Rules that can select a tag which they do not name.
        self._open = (
            any(active.anywhere for active in actives)
            or settings.remove_undefined
            or settings.remove_private_tags
            or self._by_creator
            or self.dummied
            or rules.base is not None
            or any(isinstance(element, RepeaterElement) for element in self._selected_here())
        )

    def _look_up(self, tag: int) -> Op | None:
        op = self._ops[tag]
        if op is UNSEEN:
            op = self._ops[tag] = self._resolve(tag)
            self.rules.count(1)
        return op

    def op(self, tag: int, creator: str | None, vr: str) -> Case | None:
        """Returns what is done to an element, a private one in the block of a creator.

        Args:
            tag: of the element.
            creator: the creator of its block; None for a public element, and where
                there is none.
            vr: that it is read with.
        """
        op = self.lookup(tag)
        if isinstance(op, ByCreator):
            op = self._by_creators[tag, self.known(creator)]
            assert not isinstance(op, ByCreator)
        return op.of[vr] if isinstance(op, ByVr) else op

    def acts_on(self, tag: int, vr: str) -> bool:
        """Whether anything is done to a public element that is read with a VR, or unknown yet."""
        op = self.glance(tag)
        return (op.of[vr] if isinstance(op, ByVr) else op) is not None

    def op_of_creator(self, tag: int, known: str | None) -> Case | ByVr | None:
        """Returns what is done to a private element whose case is `ByCreator`.

        Args:
            tag: of the element.
            known: what `known` says of the creator of its block.
        """
        return self._by_creators[tag, known]

    def forget(self) -> None:
        """Forgets what was worked out for tags."""
        self._ops.clear()
        self.file_meta_ops.clear()
        self._by_creators.clear()
        self._children.clear()

    def known(self, creator: str | None) -> str | None:
        """Returns a creator that a rule names; all others are alike, and none is kept."""
        return creator if creator in self.rules.creators else None

    def depends_on_creator(self, tag: int, creator: str) -> bool:
        """Whether a rule selects an element as one of a creator's block, and not by its tag."""
        return any(
            isinstance(element, PrivateElement | PrivateCreatorBlock)
            and _selects(element, tag, creator)
            for element in (*self._selected_here(), *self.rules.kept)
        )

    def touches_group(self, group: int) -> bool:
        """Whether an element of a group, or one below it, can change its length."""
        if group == PIXEL_DATA >> 16:
            # Its elements are known, and too large to wait for what is not done to them.
            return any(self._make_op(tag, None, vr_of(tag)) is not None for tag in PIXEL_DATA_GROUP)
        return self.deep or self._open or any(tag >> 16 == group for tag in self._named_tags())

    def children(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items of a sequence, or None where no rule reaches into it."""
        return self._children[tag, self.known(creator)]

    def _make_children(self, sequence: tuple[int, str | None]) -> Children | None:
        children = Children(self, sequence)
        self.rules.count(_NODE)
        return children if self.deep or children.reached or children.dummied else None

    def dummies_within(self, tag: int, creator: str | None) -> bool:
        """Whether the values inside of a sequence become dummies, as far as none is selected."""
        if not self.rules.has_dummies:
            return False
        rules, _ = self._rules_for(tag, creator, "SQ")
        if rules:
            return any(isinstance(active.rule.action, Dummy) for active in rules)
        treatment = self.rules.treatment((tag, creator), "SQ", top=self.top)
        return self.dummied or (treatment is not None and isinstance(treatment.action, Dummy))

    # --- which rules select ---

    def _selected_here(self) -> Iterable[ElementRef]:
        """Yields what the rules name at this level: elements, and sequences on the way."""
        for active in self.actives:
            if (path := active.path) is None:
                continue
            if active.depth < len(path.parents):
                yield path.parents[active.depth][0]
            else:
                yield path.element

    def _named_tags(self) -> set[int]:
        tags = {element.tag for element in self._selected_here() if isinstance(element, Element)}
        if self.top:
            tags |= self.rules.originals | self.rules.finals | self.rules.says_patient
            tags.add(LENGTH_TO_END)
            if self.rules.computes_age:
                tags.add(PATIENT_AGE)
        if self.actives or self.top:
            tags.add(SPECIFIC_CHARACTER_SET)
        return tags | {tag >> 16 << 16 for tag in tags}

    def _resolve(self, tag: int) -> Op | None:
        if tag >> 16 == FILE_META:
            return MISPLACED
        if is_private(tag) and self._by_creator:
            return ByCreator()
        return self._make_op_of((tag, None))

    def _make_op_of(self, element: tuple[int, str | None]) -> Case | ByVr | None:
        tag, creator = element
        if not self._by_vr or self._told_by_tag(tag):
            return self._make_op(tag, creator, vr_of(tag))
        return ByVr(Remembered(partial(self._make_op, tag, creator), self.rules.count))

    def _make_op(self, tag: int, creator: str | None, vr: str) -> Case | None:
        rules, on_path = self._rules_for(tag, creator, vr)
        chain = _Chain(self.rules, present=True)
        sequences = _SequenceChain()
        for active in rules:
            inserts = self.top or not active.anywhere
            chain.add(active.rule, inserts=inserts)
            sequences.add(active.rule, inserts=inserts)
        is_dummied = self.dummied and not (rules or _is_told_by_tag(tag) or vr in _SAYS_WHAT)
        if is_dummied:
            chain.add_action(_DUMMY, "reject")
            sequences.dummied = True
        others_go = bool(rules) and _removes_others(rules[-1].rule)
        if others_go and on_path:
            sequences.result = OnSequence.DESCEND
        elif others_go and self.rules.has_tentative:
            sequences.result = OnSequence.TENTATIVE
        elif self.rules.others_go and not rules and is_private(tag) and is_creator(tag):
            # It stays for what is in its block.
            chain.add_action(_REMOVE, "reject")
        is_age = self.top and tag == PATIENT_AGE and self.rules.computes_age
        if not (rules or tag >> 16 == FILE_META or tag == SPECIFIC_CHARACTER_SET):
            self._add_settings((tag, creator), chain, sequences, on_path=on_path)
            if is_age:
                chain.drop = None
        if not rules and chain.drop is None and tag != SPECIFIC_CHARACTER_SET and not is_age:
            self._add_base((tag, creator), vr, chain, sequences, on_path=on_path)
        op = self._described(
            tag,
            chain,
            sequences,
            named=(bool(rules) and not others_go) or is_age or is_dummied,
            on_path=on_path,
            is_age=is_age,
        )
        if tag == SPECIFIC_CHARACTER_SET:
            return CharacterSet(op)
        if isinstance(op, Kept) and op.says_nothing and not (op.named and self.rules.has_tentative):
            if self.top and tag == LENGTH_TO_END and not rules:
                return LENGTH_GOES
            is_changing = is_group_length(tag) and self.touches_group(tag >> 16)
            return GroupLength() if is_changing else None
        return op

    def _add_settings(
        self,
        element: tuple[int, str | None],
        chain: _Chain,
        sequences: _SequenceChain,
        *,
        on_path: bool,
    ) -> None:
        """Adds what settings do to an element, a private one of a creator, that no rule names."""
        settings = self.rules.settings
        if is_private(element[0]) and settings.remove_private_tags and not self._is_kept(element):
            chain.drop = sequences.name = REMOVE_PRIVATE_TAGS
            sequences.result = OnSequence.DROP
        elif settings.remove_undefined and not self.dummied:
            chain.drop = sequences.name = REMOVE_UNDEFINED
            sequences.result = OnSequence.TENTATIVE if self.rules.has_tentative else OnSequence.DROP
        if on_path:
            sequences.result = OnSequence.DESCEND

    def _add_base(
        self,
        element: tuple[int, str | None],
        vr: str,
        chain: _Chain,
        sequences: _SequenceChain,
        *,
        on_path: bool,
    ) -> None:
        """Adds what the base does to an element that no rule selects."""
        treatment = self.rules.treatment(element, vr, top=self.top)
        if treatment is None or (sequences.dummied and not isinstance(treatment.action, Remove)):
            return
        chain.add_action(treatment.action, treatment.on_error)
        if not on_path:
            sequences.protect(treatment.action)

    def _is_kept(self, element: tuple[int, str | None]) -> bool:
        """Whether a rule of the top level keeps a private element, at every depth.

        Where another rule changes it at the top level, it stays there alone: nobody
        wants it as it is.
        """
        rules = self.rules
        return any(_selects(kept, *element) for kept in rules.kept) and not any(
            _selects(changed, *element) for changed in rules.changed
        )

    def _described(
        self,
        tag: int,
        chain: _Chain,
        sequences: _SequenceChain,
        *,
        named: bool,
        on_path: bool,
        is_age: bool,
    ) -> Kept | Dropped | Rewritten:
        original = self.top and tag in self.rules.originals
        case: Callable[..., Kept | Dropped | Rewritten]
        if chain.drop is not None:
            case = partial(Dropped, name=chain.drop)
        elif chain.constant is not None or chain.steps or is_age:
            case = partial(
                Rewritten,
                constant=chain.constant,
                steps=tuple(chain.steps),
                names=tuple(chain.names),
                age=is_age and chain.constant is None,
                on_error=chain.on_error,
                dummy=chain.gives_dummy,
            )
        else:
            case = Kept
        return case(
            sequence=sequences.result,
            sequence_name=sequences.name,
            dummied=sequences.dummied,
            named=named,
            on_path=on_path,
            original=original,
            final=self.top and tag in self.rules.finals,
            patient=self.top and tag in self.rules.says_patient,
            # Pixel data depends on the transfer syntax, too.
            repeatable=chain.is_repeatable and not (is_age or original or tag == PIXEL_DATA),
        )

    def _rules_for(
        self, tag: int, creator: str | None, vr: str | None
    ) -> tuple[list[_Active], bool]:
        """Returns the rules that select an element, and whether one reaches into it.

        Args:
            tag: of the element.
            creator: of its block.
            vr: that it is read with; None for one that is absent.
        """
        selecting: list[_Active] = []
        on_path = False
        if is_group_length(tag):
            # Not data of its own, and no rule can name it.
            return selecting, on_path
        begin_element()
        # The file meta is selected by its own rules only.
        spellings = self._spellings(tag) if tag >> 16 != FILE_META else ()
        for active in self.actives:
            selector = active.rule.selector
            if isinstance(selector, RegexSelector):
                if _matches(selector, spellings, tag):
                    selecting.append(active)
            elif isinstance(selector, VrSelector | OthersSelector):
                is_named = isinstance(selector, OthersSelector) and bool(selecting)
                is_of_vr = isinstance(selector, OthersSelector) or vr in selector.vrs
                if vr and is_of_vr and not is_named and not _is_told_by_tag(tag):
                    selecting.append(active)
            elif active.depth < len(selector.parents):
                on_path = on_path or _selects(selector.parents[active.depth][0], tag, creator)
            elif _selects(selector.element, tag, creator):
                selecting.append(active)
        return selecting, on_path

    def _spellings(self, tag: int) -> tuple[str, ...]:
        """Returns the paths of an element that a regular expression can match."""
        keyword = keyword_of(tag)
        by_tags = f"{self.hex_path}{tag:08x}"
        return (by_tags,) if keyword is None else (f"{self.keyword_path}{keyword}", by_tags)

    # --- what is inserted ---

    def _find_insertions(self) -> dict[int, Insertion]:
        candidates = set()
        for active in self.actives:
            path = active.path
            if path is None or (active.anywhere and not self.top):
                continue
            element = (
                path.element if active.depth == len(path.parents) else path.parents[active.depth][0]
            )
            if isinstance(element, Element) and _inserts(active):
                candidates.add(element.tag)
        if self.top and self.rules.computes_age:
            candidates.add(PATIENT_AGE)
        return {tag: made for tag in candidates if (made := self.insertion(tag)) is not None}

    def insertion(self, tag: int) -> Insertion | None:
        """Returns what an absent public element becomes, or None: it stays absent."""
        rules, _ = self._rules_for(tag, None, None)
        settings = self.rules.settings
        wanted = Children(self, (tag, None), _last(rules, _empties)).wanted
        if wanted or self._is_emptied(tag, rules):
            return Insertion("", names=("replace-with",), items=wanted)
        chain = _Chain(self.rules, present=False)
        aged = _Chain(self.rules, present=True)
        for active in rules:
            inserts = self.top or not active.anywhere
            chain.add(active.rule, inserts=inserts)
            aged.add(active.rule, inserts=inserts)
        if chain.constant is not None:
            return Insertion(chain.constant, tuple(chain.steps), tuple(chain.names))
        if not (self.top and tag == PATIENT_AGE and settings.age_from_birthdate is not None):
            return None
        if aged.drop is not None:
            return None
        return Insertion(aged.constant, tuple(aged.steps), tuple(aged.names), with_age=True)

    def _is_emptied(self, tag: int, rules: list[_Active]) -> bool:
        """Whether items are made in an absent sequence that a later rule empties."""
        removed = _last(rules, _removes)
        return _last(rules, _empties) > removed and bool(
            Children(self, (tag, None), removed).wanted
        )

    def children_after(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items made in a sequence that was emptied or dropped, or None."""
        rules, _ = self._rules_for(tag, creator, "SQ")
        children = Children(self, (tag, creator), _last(rules, _empties))
        return children if children.wanted else None

    def _find_private_insertions(self) -> dict[int, list[tuple[PrivateElement, Insertion]]]:
        """Returns what is inserted into private blocks, by group."""
        found: dict[int, list[tuple[PrivateElement, Insertion]]] = {}
        seen = set()
        for active in self.actives:
            path = active.path
            if path is None or active.depth < len(path.parents) or not _inserts(active):
                continue
            element = path.element
            if not isinstance(element, PrivateElement) or element in seen:
                continue
            if active.anywhere and not self.top:
                continue
            seen.add(element)
            chain = _Chain(self.rules, present=False)
            tag = element.group << 16 | 0x1000 | element.offset
            for selecting in self._rules_for(tag, element.creator, None)[0]:
                chain.add(selecting.rule)
            if chain.constant is not None:
                made = Insertion(chain.constant, tuple(chain.steps), tuple(chain.names))
                found.setdefault(element.group, []).append((element, made))
        for entries in found.values():
            entries.sort(key=lambda entry: (entry[0].creator, entry[0].offset))
        return found


class _Chain:
    """The actions on one element, put together in the order in which they run."""

    def __init__(self, rules: Rules, *, present: bool) -> None:
        self._rules = rules
        self._present = present
        self.drop: str | None = None
        self.constant: str | None = None
        self.steps: list[AnyStep] = []
        self.names: list[str] = []
        # Whether the last step gives a dummy.
        self.gives_dummy = False
        self._outcomes: set[OnError] = set()

    @property
    def is_repeatable(self) -> bool:
        """Whether the same element always becomes the same."""
        return (
            not self._rules.has_tentative
            and (self.constant is None or self.constant.isascii())
            and all(
                isinstance(step, KeyedStep | TextStep)
                or (isinstance(step, ValueStep) and step.repeatable)
                for step in self.steps
            )
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
        elif isinstance(action, Pseudonym | Assign):
            if self._present or (action.insert and inserts):
                self.drop = None
                self._begin(present=True, constant=ANY_VALUE, names=[name])
                self.steps.append(step_of(action, self._rules.settings))
        elif self._present and not isinstance(action, Keep):
            step: AnyStep
            if isinstance(action, RegexSub):
                step = RegexSubStep(name, action, _needed_by(action))
            elif isinstance(action, Clean):
                step = TextStep(name, keeps_known=True, needs_value=action.needed)
            elif isinstance(action, Sweep):
                step = TextStep(name, keeps_known=False, needs_value=True)
            else:
                step = step_of(action, self._rules.settings)
            self.steps.append(step)
            self.gives_dummy = isinstance(action, Dummy)
            self._outcomes.add(on_error)
            self.names.append(name)

    def _begin(self, *, present: bool, constant: str | None, names: list[str]) -> None:
        self._present = present
        self.constant = constant
        self.steps = []
        self.gives_dummy = False
        self._outcomes = set()
        self.names = names


class _SequenceChain:
    """The actions on one element that is a sequence."""

    def __init__(self) -> None:
        self.result = OnSequence.DESCEND
        self.name = ""
        # Whether the values inside become dummies.
        self.dummied = False

    def add(self, rule: Rule, *, inserts: bool) -> None:
        """Adds the action of the rule that runs next, as `_Chain.add` does."""
        self.add_action(rule.action, inserts=inserts, names_it=not _selects_many(rule.selector))

    def protect(self, action: Action) -> None:
        """Adds what a base does: what is no sequence, by the standard, goes where it is one."""
        if isinstance(action, Keep | Remove | ReplaceWith | Dummy | Sweep):
            self.add_action(action)
        else:
            self.add_action(_REMOVE)

    def add_action(self, action: Action, *, inserts: bool = False, names_it: bool = True) -> None:
        """Adds an action.

        Args:
            action: that runs next.
            inserts: as for `_Chain.add`.
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


@dataclass(frozen=True, eq=False)
class Rules:
    """What a profile does, compiled. Serves any number of files at once.

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
        needs_patient: who the patient is must be known.
        says_patient: the elements that say it, where anything depends on that.
        actives: the rules for the files at hand, in the order in which they run; as long as
            nothing is known of a file, those without a condition.
        base: what is done where no rule selects, or None.
        needs: what the IOD of the files at hand needs; None where that is not known.
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
    needs_patient: bool
    says_patient: frozenset[int]
    actives: tuple[_Active, ...]
    base: Base | None
    rejections: tuple[Rejection, ...]
    running: tuple[Rule, ...]
    wanted: frozenset[int]
    needs: Needs | None = None
    _changed_of: dict[frozenset[int], frozenset[int]] = field(default_factory=dict)
    _for_files: dict[object, Rules] = field(default_factory=dict)
    _nodes: dict[object, Node] = field(default_factory=dict)
    _counted: list[int] = field(default_factory=lambda: [0])
    _made: WeakSet[Node] = field(default_factory=WeakSet)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, profile: Profile) -> Rules:
        """Compiles a profile."""
        settings = profile.settings
        running = _in_running_order(profile.rules)
        originals = frozenset[int]().union(
            *(
                _needed_by(rule.action)
                for rule in profile.rules
                if isinstance(rule.action, RegexSub)
            )
        )
        if settings.age_from_birthdate is not None:
            originals |= {STUDY_DATE, PATIENT_BIRTH_DATE}
        finals = frozenset({SOP_INSTANCE_UID, MODALITY}).union(
            *(_elements_in(filename.output) for filename in profile.filenames)
        )
        keyed = profile.action_types
        asks_patient = bool(keyed & {KeyedHash, KeyedShift, Pseudonym, Assign})
        return cls(
            blank=profile.blank,
            settings=settings,
            filenames=profile.filenames,
            originals=originals,
            finals=finals,
            creators=frozenset(
                element.creator
                for rule in profile.rules
                for element in _named_by(rule)
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
            needs_patient=bool(keyed & {KeyedShift, Pseudonym, Assign}),
            says_patient=frozenset({PATIENT_ID, *settings.pseudonyms.elements})
            if asks_patient
            else frozenset(),
            actives=_actives(running, settings, None),
            base=profile.base,
            rejections=profile.rejections,
            running=tuple(running),
            wanted=frozenset[int]().union(
                *(wanted_by(rule.when) for rule in running if rule.when is not None),
                *(wanted_by(rejection.when) for rejection in profile.rejections),
            ),
        )

    def for_file(self, facts: Facts) -> Rules:
        """Returns the rules as they are for a file.

        They share what bounds the memory of all of them.

        Raises:
            DicomError: the profile rejects the file.
        """
        for rejection in self.rejections:
            if facts.hold(rejection.when):
                raise DicomError(Reason.REJECTED_BY_PROFILE, rejection.reason)
        needs = None if self.base is None else self.base.needs.get(facts.sop_class)
        holding = tuple(
            rule.when is not None and facts.hold(rule.when) for rule in self._conditional
        )
        if needs is None and not any(holding):
            return self
        key = (id(needs), holding)
        rules = self._for_files.get(key)
        if rules is None:
            rules = replace(
                self,
                needs=needs,
                actives=_actives(self.running, self.settings, facts),
                _nodes={},
            )
            if len(self._for_files) < _MAX_KINDS:
                rules = self._for_files.setdefault(key, rules)
        return rules

    @cached_property
    def are_for_all(self) -> bool:
        """Whether they are the same for every file, whatever it says of itself."""
        return not (self.rejections or self._conditional or self.cleans)

    @cached_property
    def cleans(self) -> bool:
        """Whether texts are cleaned by what identifies somebody in the file."""
        return self.base is not None or bool(self.vocabulary.terms)

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

    @cached_property
    def hides_dates(self) -> bool:
        """Whether dates are looked for in texts."""
        return self.base is None or self.base.hides_dates

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What cleaned texts keep."""
        if self.base is not None:
            return self.base.vocabulary
        actions = (rule.action for rule in self.running)
        cleaning = (action.vocabulary for action in actions if isinstance(action, Clean))
        return next(cleaning, Vocabulary())

    @cached_property
    def _conditional(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.running if rule.when is not None)

    def is_told_by_tag(self, tag: int) -> bool:
        """Whether what the base does to an element does not depend on its VR."""
        base = self.base
        if base is None or _is_told_by_tag(tag) or (is_private(tag) and not base.private):
            return True
        return self._choice_by_tag(tag) is not None

    def _choice_by_tag(self, tag: int) -> Choice | None:
        base = self.base
        if base is None or is_private(tag):
            return None
        choice = base.elements.get(tag)
        if choice is None:
            choice = next(
                (each for element, each in base.ranges if _selects(element, tag, None)), None
            )
        return choice

    def treatment(self, element: tuple[int, str | None], vr: str, *, top: bool) -> Treatment | None:
        """Returns what the base does to an element; None where that is nothing.

        Args:
            element: its tag and, for a private one, its creator.
            vr: that it is read with.
            top: it stands at the top level.
        """
        treatment = self._treatment(element, vr, top=top)
        if treatment is not None and not isinstance(treatment.action, Keep):
            return treatment
        tag = element[0]
        if self.base is None or _is_told_by_tag(tag):
            return treatment
        if vr in _SWEPT:
            return _SWEPT_TEXT
        return _SWEPT_BYTES if is_private(tag) and vr in _SWEPT_PRIVATE else treatment

    def _treatment(
        self, element: tuple[int, str | None], vr: str, *, top: bool
    ) -> Treatment | None:
        base, (tag, creator) = self.base, element
        if base is None or is_group_length(tag):
            return None
        choice = self._choice_by_tag(tag)
        if choice is None and is_private(tag):
            private = PrivateElement(tag >> 16, creator or "", tag & 0xFF)
            is_safe = tag & 0xFFFF > 0xFF and private in base.private
            if not is_safe:
                return _PRIVATE_GOES
            choice = base.private[private]
        elif choice is None and vr_of(tag) == "UN":
            choice = base.strangers
        if choice is None:
            choice = None if tag in base.kinds else base.by_vr.get(vr)
        if choice is None:
            return None
        if not top and choice.items is not None:
            return choice.items
        if self.needs is None:
            return choice.unknown
        match (self.needs.top if top else self.needs.items).get(tag):
            case 1:
                return choice.valued
            case 2:
                return choice.present
            case _:
                return choice.free

    @cached_property
    def everywhere(self) -> tuple[_Active, ...]:
        """The rules that select at every depth."""
        return tuple(active for active in self.actives if active.anywhere)

    @cached_property
    def computes_age(self) -> bool:
        """Whether PatientAge is computed."""
        return self.settings.age_from_birthdate is not None

    @cached_property
    def others_go(self) -> bool:
        """Whether a rule removes what no rule names."""
        return any(_removes_others(active.rule) for active in self.actives)

    @cached_property
    def has_dummies(self) -> bool:
        """Whether a rule or the base puts dummies."""
        return self.base is not None or any(
            isinstance(active.rule.action, Dummy) for active in self.actives
        )

    @cached_property
    def has_tentative(self) -> bool:
        """Whether sequences stay only for what a rule names inside of them."""
        return (self.settings.remove_undefined or self.others_go) and any(
            not isinstance(active.rule.selector, OthersSelector) for active in self.everywhere
        )

    @cached_property
    def watched(self) -> tuple[int, ...]:
        """The elements that others need, in the order of their tags."""
        return tuple(sorted(self.originals | self.finals))

    @cached_property
    def top(self) -> Node:
        """The top level of a data set.

        Raises:
            DicomError: a regular expression of the profile takes too long.
        """
        return self._new_node(self.actives, top=True, keyword_path="", hex_path="")

    @cached_property
    def changes_instance_uid(self) -> bool:
        """Whether something is done to the SOP Instance UID."""
        effect = effect_on_value(self.top.op(SOP_INSTANCE_UID, None, "UI"))
        return SOP_INSTANCE_UID in self.top.insertions or effect is not Effect.STAYS

    def node_below(
        self,
        above: Node,
        below: list[_Active],
        tag: int,
        index: int | None,
        *,
        dummied: bool,
    ) -> Node:
        """Returns the node of an item.

        Args:
            above: the node of the level that the sequence stands in.
            below: the rules whose paths lead into the item.
            tag: of the sequence.
            index: of the item; may be None where nothing depends on it.
            dummied: values in it that no rule selects become dummies.
        """
        actives = tuple(sorted([*below, *self.everywhere], key=lambda active: active.order))
        keyword_path = hex_path = ""
        key: object = (dummied, *((active.order, active.depth) for active in below))
        if self.has_regex:
            hex_path = f"{above.hex_path}{tag:08x}.{index}."
            keyword_path = f"{above.keyword_path}{_spelled(tag)}.{index}."
            key = (key, hex_path)
        node = self._nodes.get(key)
        if node is None:
            node = self._new_node(
                actives,
                top=False,
                keyword_path=keyword_path,
                hex_path=hex_path,
                dummied=dummied,
            )
            self._nodes[key] = node
            self.count(_NODE)
        return node

    def _new_node(
        self,
        actives: tuple[_Active, ...],
        *,
        top: bool,
        keyword_path: str,
        hex_path: str,
        dummied: bool = False,
    ) -> Node:
        node = Node(
            self,
            actives,
            top=top,
            keyword_path=keyword_path,
            hex_path=hex_path,
            dummied=dummied,
        )
        with self._lock:
            self._made.add(node)
        return node

    def count(self, size: int) -> None:
        """Notes that something is remembered that counts for so many tags."""
        self._counted[0] += size
        if self._counted[0] > _MAX_REMEMBERED:
            self.forget()

    def forget(self) -> None:
        """Forgets the answers of all nodes; they are worked out again when asked for."""
        with self._lock:
            self._counted[0] = 0
            nodes = list(self._made)
            self._nodes.clear()
        for node in nodes:
            node.forget()


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


def _actives(
    running: Iterable[Rule], settings: Settings, facts: Facts | None
) -> tuple[_Active, ...]:
    """Returns the rules for a file, in the order in which they run.

    Where nothing is known of it, those without a condition.
    """
    return tuple(
        _Active(
            order,
            rule,
            depth=0,
            anywhere=not isinstance(rule.selector, PathSelector)
            or isinstance(rule.selector, EveryDepthSelector)
            or (settings.recurse_sequence and not rule.selector.parents),
        )
        for order, rule in enumerate(running)
        if rule.when is None or (facts is not None and facts.hold(rule.when))
    )


def _in_running_order(rules: tuple[Rule, ...]) -> list[Rule]:
    """The regex-sub rules run first, the last of them first; then the others as written."""
    substituting = [rule for rule in rules if isinstance(rule.action, RegexSub)]
    others = [rule for rule in rules if not isinstance(rule.action, RegexSub)]
    return substituting[::-1] + others


def _is_told_by_tag(tag: int) -> bool:
    """Whether an element is never selected by its VR, nor as one that no rule names."""
    is_of_structure = is_group_length(tag) or (is_private(tag) and is_creator(tag))
    return is_of_structure or tag >> 16 == FILE_META or tag == SPECIFIC_CHARACTER_SET


# What the values inside of a dummied sequence are about is said by code strings and tags.
_SAYS_WHAT: Final = frozenset({"AT", "CS"})

# In these, what identifies somebody is looked for where they stay.
_SWEPT: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_SWEPT_PRIVATE: Final = frozenset({"OB", "UN"})
_SWEPT_TEXT: Final = Treatment(Sweep(), "dummy")
_SWEPT_BYTES: Final = Treatment(Sweep(), "remove")

_PRIVATE_GOES: Final = Treatment(Remove())

_DUMMY: Final = Dummy()
_REMOVE: Final = Remove()


def _spelled(tag: int) -> str:
    """Returns how a sequence stands in a path of keywords."""
    return keyword_of(tag) or f"{tag:08x}"


def _named_by(rule: Rule) -> Iterable[ElementRef]:
    """Yields what the selector of a rule names: sequences on the way, and the element."""
    if isinstance(rule.selector, PathSelector):
        yield from (sequence for sequence, _ in rule.selector.parents)
        yield rule.selector.element


def _selects(element: ElementRef, tag: int, creator: str | None) -> bool:
    match element:
        case Element():
            return element.tag == tag
        case RepeaterElement():
            return tag & element.mask == element.value and not tag >> 16 & 1
        case PrivateElement():
            return (
                element.creator == creator
                and element.group == tag >> 16
                and element.offset == tag & 0xFF
                and tag & 0xFFFF > 0xFF
            )
        case PrivateCreatorBlock():
            return element.creator == creator and element.group == tag >> 16 and tag & 0xFFFF > 0xFF


def _removes_others(rule: Rule) -> bool:
    """Whether a rule removes what no rule before it selects."""
    return isinstance(rule.selector, OthersSelector) and isinstance(rule.action, Remove)


def _matches(selector: RegexSelector, spellings: tuple[str, ...], tag: int) -> bool:
    try:
        return any(match(selector.pattern, path) is not None for path in spellings)
    except PatternTimeoutError:
        raise DicomError(
            Reason.LIMIT_EXCEEDED,
            "a regular expression took too long on the path of the element",
            tag=tag,
        ) from None


def _selects_many(selector: Selector) -> bool:
    """Whether a rule is about elements of many kinds, sequences among them."""
    if not isinstance(selector, PathSelector):
        return True
    element = selector.element
    return isinstance(element, PrivateCreatorBlock) or (
        isinstance(element, RepeaterElement) and element.is_whole
    )


def _parent(active: _Active) -> tuple[ElementRef, int | None]:
    selector = active.rule.selector
    assert isinstance(selector, PathSelector)
    return selector.parents[active.depth]


def _inserts(active: _Active) -> bool:
    """Whether a rule can insert what is absent at or below its node."""
    path = active.path
    action = active.rule.action
    return (
        path is not None
        and isinstance(action, ReplaceWith | Pseudonym | Assign)
        and action.insert
        and all(
            index is not None and isinstance(parent, Element)
            for parent, index in path.parents[active.depth :]
        )
    )


def _inserted_index(active: _Active) -> int | None:
    return _parent(active)[1] if _inserts(active) else None


def _last(rules: list[_Active], does: Callable[[Action], bool]) -> int:
    """Returns when the last of the rules runs whose action does something; -1: none."""
    return max((active.order for active in rules if does(active.rule.action)), default=-1)


def _removes(action: Action) -> bool:
    return isinstance(action, Remove)


def _empties(action: Action) -> bool:
    """Whether an action leaves nothing in a sequence."""
    return _removes(action) or (isinstance(action, ReplaceWith) and not action.text)


def _needed_by(action: RegexSub) -> frozenset[int]:
    return frozenset[int]().union(*(_elements_in(case.output) for case in action.cases))


def _elements_in(template: Template) -> frozenset[int]:
    return frozenset(
        part.element.tag
        for part in template
        if isinstance(part, ElementValue) and isinstance(part.element, Element)
    )
