"""A profile compiled for the walk: for each place in a data set, what to do there.

A `Node` stands for one level of a data set: the top level, or an item of a
sequence. Asked for a tag, it answers None (no rule touches the element: it is
passed on as it came) or an `Op`. Answers are remembered, so that the rules of
a profile are matched once for a tag, not once for an element.

The rules of a profile act as if they ran one after the other over the whole
data set. An element sees them one after the other all the same: the actions
that select it are put into one `Op`, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import TYPE_CHECKING, Final

from deid_service.engine.encoding.dictionary import keyword_of
from deid_service.engine.encoding.headers import Encoding
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.actions import Step, step_of
from deid_service.engine.rules.matching import Matching
from profile_service.language.model import (
    ACTION_NAMES,
    Element,
    ElementRef,
    ElementValue,
    FilenameRule,
    Keep,
    PathSelector,
    PatternTimeoutError,
    PrivateElement,
    Profile,
    RegexSelector,
    RegexSub,
    Remove,
    RepeaterElement,
    ReplaceWith,
    Rule,
    Settings,
    Template,
)

SPECIFIC_CHARACTER_SET: Final = 0x00080005
if TYPE_CHECKING:
    from deid_service.engine.file.meta import KnownMeta

FILE_META: Final = 0x0002
TRANSFER_SYNTAX: Final = 0x00020010
PIXEL_DATA: Final = 0x7FE00010
SOP_INSTANCE_UID: Final = 0x00080018
STUDY_DATE: Final = 0x00080020
MODALITY: Final = 0x00080060
PATIENT_BIRTH_DATE: Final = 0x00100030
PATIENT_AGE: Final = 0x00101010

# The tags of a data set are remembered per node, but not without an end: a
# file can be made of tags that no other has.
_MAX_REMEMBERED: Final = 65_536

# The nodes of a regex profile are as many as the items of its files.
_MAX_NODES: Final = 16_384

# PS3.6: extended offset tables, and pixel data as integers, floats and doubles.
_PIXEL_DATA_GROUP: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, PIXEL_DATA)

# Elements remembered per op: a few series at once, and of identities no more
# than the files that are being worked on.
_MAX_MEMO: Final = 64
_MAX_MEMO_ELEMENT: Final = 256

# What the walk counts where it leaves out what belongs into the file meta.
MISPLACED_FILE_META: Final = "misplaced-file-meta"

REMOVE_PRIVATE_TAGS: Final = "remove-private-tags"
REMOVE_UNDEFINED: Final = "remove-undefined"
PATIENT_AGE_FROM_BIRTHDATE: Final = "patient-age-from-birthdate"


class OnSequence(Enum):
    """What is done to an element that turns out to be a sequence."""

    DESCEND = auto()
    DROP = auto()
    EMPTY = auto()
    REJECT = auto()
    # It stays only for what a rule names inside of it (remove-undefined).
    TENTATIVE = auto()


@dataclass(frozen=True, slots=True)
class RegexSubStep:
    """A regex-sub: its result can hang on elements that come later in the file.

    Attributes:
        name: as receipts count it.
        action: the cases.
        needs: the top-level elements whose original values the outputs name.
        matching: matches the patterns.
    """

    name: str
    action: RegexSub
    needs: frozenset[int]
    matching: Matching


AnyStep = Step | RegexSubStep


# What became of an element: the new one (None where it stays as it came), what a
# receipt counts, and the resulting value.
Became = tuple[bytes | None, tuple[str, ...], str]


class Memo(dict[bytes, Became]):
    """What an op made of elements, by their bytes.

    The files of a series share most of what identifies them, so most elements
    that a rule changes have been seen a file before.
    """

    def remember(self, element: bytes, became: Became) -> None:
        """Adds an entry; all others go when there are too many."""
        if len(element) > _MAX_MEMO_ELEMENT:
            return
        if len(self) >= _MAX_MEMO:
            self.clear()
        self[element] = became


@dataclass(frozen=True, slots=True)
class Op:
    """What is done to one element.

    Attributes:
        drop: the element goes, counted under this name; None when it stays.
        drop_noted: as `drop`, where its original value is needed elsewhere.
        constant: the text that replaces the value before the steps, or None.
        steps: done to each value in turn.
        names: what a receipt counts for it.
        on_sequence: what is done where the element is a sequence.
        sequence_name: what a receipt counts when a sequence is dropped or emptied.
        named: a rule selects the element.
        on_path: a rule reaches into it by its path.
        private: what is done hangs on the private creator: ask `Node.private_op`.
        age: PatientAge is computed before the steps.
        original: the original value is needed elsewhere.
        final: the resulting value is needed elsewhere.
        charset: the element is Specific Character Set.
        group_length: the element is the length of a group that can change.
        memo: what became of elements seen before; None where the result hangs
            on more than the element itself.
    """

    drop: str | None = None
    drop_noted: str | None = None
    constant: str | None = None
    steps: tuple[AnyStep, ...] = ()
    names: tuple[str, ...] = ()
    on_sequence: OnSequence = OnSequence.DESCEND
    sequence_name: str | None = None
    named: bool = False
    on_path: bool = False
    private: bool = False
    age: bool = False
    original: bool = False
    final: bool = False
    charset: bool = False
    group_length: bool = False
    memo: Memo | None = field(default=None, compare=False)

    @property
    def drops_anything(self) -> bool:
        """Whether the element goes even where it is a sequence."""
        return self.drop is not None and self.on_sequence is OnSequence.DROP and not self.on_path

    @property
    def changes(self) -> bool:
        """Whether the value can become another one."""
        return self.constant is not None or bool(self.steps) or self.age

    @property
    def reads_value(self) -> bool:
        """Whether the value that is there must be read as text."""
        return self.original or (self.constant is None and (self.final or bool(self.steps)))

    @property
    def needs_value(self) -> bool:
        """Whether the value that is there must be held."""
        return self.reads_value or self.charset


# PS3.10 7.1: group 2 is not part of a data set. What a data set or an item has of it
# goes, as no rule could name it there.
MISPLACED: Final = Op(
    drop=MISPLACED_FILE_META, on_sequence=OnSequence.DROP, sequence_name=MISPLACED_FILE_META
)


@dataclass(frozen=True, slots=True)
class Insertion:
    """What an absent element becomes.

    Attributes:
        text: the value that is inserted, before the steps; None for PatientAge
            as it is computed.
        steps: done to the value.
        names: what a receipt counts for it.
        items: for a sequence, how many items are made; their contents are the
            insertions of `Children.item`.
        with_age: it is inserted only where PatientAge can be computed.
    """

    text: str | None
    steps: tuple[AnyStep, ...] = ()
    names: tuple[str, ...] = ()
    items: int = 0
    with_age: bool = False


class _Remembered(dict[int, Op | None]):
    """The ops of a node by tag, each worked out when it is first asked for."""

    def __init__(self, resolve: Callable[[int], Op | None]) -> None:
        super().__init__()
        self._resolve = resolve

    def __missing__(self, tag: int) -> Op | None:
        op = self._resolve(tag)
        if len(self) < _MAX_REMEMBERED:
            self[tag] = op
        return op


@dataclass(frozen=True, slots=True)
class _Active:
    """A rule that can select something at or below a node.

    Attributes:
        order: when it runs.
        rule: the rule.
        depth: how many of its parents lie above the node.
        anywhere: it selects at every depth (recurse-sequence).
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

    __slots__ = ("_actives", "_fixed", "_node", "_sequence", "wanted")

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
        inserting = [
            index for active in self._actives if (index := _inserted_index(active)) is not None
        ]
        # PS3.5 7.5: items are counted from the first; those before the one
        # that a rule names are made, too.
        self.wanted = max(inserting, default=-1) + 1
        indexed = any(_parent(active)[1] is not None for active in self._actives)
        self._fixed = None if indexed or node.plan.has_regex else self._make(None)

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
        return self._node.plan.node_below(self._node, below, tag, index)


class Node:
    """One level of a data set, and what is done to its elements."""

    def __init__(
        self,
        plan: Plan,
        actives: tuple[_Active, ...],
        *,
        top: bool,
        keyword_path: str,
        hex_path: str,
    ) -> None:
        """Prepares a level; ops are worked out as tags are asked for.

        Args:
            plan: the plan it belongs to.
            actives: the rules that can select something here or below, in the
                order in which they run.
            top: the top level.
            keyword_path: the dotted path of the level in keywords, with a dot at
                its end; empty for the top level. What has no keyword stands in it
                as a hex tag.
            hex_path: the same in hex tags.
        """
        self.plan = plan
        self.actives = actives
        self.top = top
        self.keyword_path = keyword_path
        self.hex_path = hex_path
        self._private_ops: dict[tuple[int, str | None], Op | None] = {}
        self._children: dict[tuple[int, str | None], Children | None] = {}
        settings = plan.settings
        removes_private = settings.remove_private_tags or settings.remove_undefined
        # Whether private elements need their creators to be told apart: to be
        # selected, or to take their creators along where the others go.
        self._by_creator = (plan.has_regex and removes_private) or any(
            isinstance(element, PrivateElement)
            or (removes_private and isinstance(element, Element) and element.tag >> 16 & 1)
            for element in self._selected_here()
        )
        # Whether anything can be done inside of a sequence that no path names.
        self.deep = bool(
            plan.has_regex
            or settings.remove_undefined
            or settings.remove_private_tags
            or any(active.anywhere for active in actives)
        )
        # Rules that can select a tag which they do not name.
        self._open = (
            any(active.anywhere for active in actives)
            or settings.remove_undefined
            or settings.remove_private_tags
            or self._by_creator
            or any(isinstance(element, RepeaterElement) for element in self._selected_here())
        )
        self._ops = _Remembered(self._resolve)
        # What is done to the elements of the file meta: rules name them like those of
        # the top level.
        self.file_meta_ops = _Remembered(lambda tag: self._make_op(tag, None))
        if not self._open:
            for tag in self._named_tags():
                self._ops[tag] = self._resolve(tag)
        self.lookup: Callable[[int], Op | None] = (
            self._ops.__getitem__ if self._open else self._ops.get
        )
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
            and not plan.has_regex
            and not plan.has_tentative
            and all(active.anywhere for active in actives)
        )

    def private_op(self, tag: int, creator: str | None) -> Op | None:
        """Returns what is done to a private element of a creator's block.

        Args:
            tag: the tag; of a private creator element itself, too.
            creator: the creator of its block, None where there is none.
        """
        key = (tag, creator)
        try:
            return self._private_ops[key]
        except KeyError:
            op = self._make_op(tag, creator)
            if len(self._private_ops) < _MAX_REMEMBERED:
                self._private_ops[key] = op
            return op

    def touches_group(self, group: int) -> bool:
        """Whether an element of a group, or one below it, can change its length."""
        if group == PIXEL_DATA >> 16:
            # Its elements are known, and too large to wait for what is not done to them.
            return any(self._make_op(tag, None) is not None for tag in _PIXEL_DATA_GROUP)
        return self.deep or self._open or any(tag >> 16 == group for tag in self._named_tags())

    def children(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items of a sequence, or None where no rule reaches into it."""
        key = (tag, creator)
        if key not in self._children:
            children = Children(self, key)
            found = children if self.deep or children._actives else None  # noqa: SLF001
            if len(self._children) >= _MAX_REMEMBERED:
                return found
            self._children[key] = found
        return self._children[key]

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
            tags |= self.plan.originals | self.plan.finals
            if self.plan.settings.age_from_birthdate is not None:
                tags.add(PATIENT_AGE)
        if self.actives or self.top:
            tags.add(SPECIFIC_CHARACTER_SET)
        return tags | {tag >> 16 << 16 for tag in tags}

    def _resolve(self, tag: int) -> Op | None:
        if tag >> 16 == FILE_META:
            return MISPLACED
        if tag >> 16 & 1:
            return Op(private=True) if self._by_creator else self.private_op(tag, None)
        return self._make_op(tag, None)

    def _make_op(self, tag: int, creator: str | None) -> Op | None:
        settings = self.plan.settings
        rules, on_path = self._rules_for(tag, creator)
        chain = _Chain(self.plan, present=True)
        on_sequence = _SequenceChain()
        for active in rules:
            inserts = self.top or not active.anywhere
            chain.add(active.rule, inserts=inserts)
            on_sequence.add(active.rule, inserts=inserts)
        named = bool(rules)
        is_file_meta = tag >> 16 == FILE_META
        drop = chain.drop
        sequence = on_sequence.result
        sequence_name = on_sequence.name
        if not named and not is_file_meta and tag != SPECIFIC_CHARACTER_SET:
            if tag >> 16 & 1 and settings.remove_private_tags:
                drop = sequence_name = REMOVE_PRIVATE_TAGS
                sequence = OnSequence.DESCEND if on_path else OnSequence.DROP
            elif settings.remove_undefined:
                drop = sequence_name = REMOVE_UNDEFINED
                sequence = (
                    OnSequence.DESCEND
                    if on_path
                    else OnSequence.TENTATIVE
                    if self.plan.has_tentative
                    else OnSequence.DROP
                )
        age = self.top and tag == PATIENT_AGE and settings.age_from_birthdate is not None
        original = self.top and tag in self.plan.originals
        if age and not named:
            drop = None
        op = Op(
            drop=None if original else drop,
            drop_noted=drop if original else None,
            constant=chain.constant,
            steps=tuple(chain.steps),
            names=tuple(chain.names),
            on_sequence=sequence,
            sequence_name=sequence_name,
            named=named or age,
            on_path=on_path,
            age=age and drop is None and chain.constant is None,
            original=original,
            final=self.top and tag in self.plan.finals,
            charset=tag == SPECIFIC_CHARACTER_SET,
            memo=Memo() if self._is_repeatable(chain) and not (age or original) else None,
        )
        if op == Op(named=op.named) and not (named and self.plan.has_tentative):
            is_changing_length = _is_group_length(tag) and self.touches_group(tag >> 16)
            return Op(group_length=True) if is_changing_length else None
        return op

    def _is_repeatable(self, chain: _Chain) -> bool:
        """Whether the same element always becomes the same."""
        return (
            not self.plan.has_tentative
            and (chain.constant is None or chain.constant.isascii())
            and all(isinstance(step, Step) and step.repeatable for step in chain.steps)
        )

    def _rules_for(self, tag: int, creator: str | None) -> tuple[list[_Active], bool]:
        """Returns the rules that select an element, and whether one reaches into it."""
        selecting: list[_Active] = []
        on_path = False
        if _is_group_length(tag):
            # Not data of its own, and no rule can name it.
            return selecting, on_path
        for active in self.actives:
            selector = active.rule.selector
            if isinstance(selector, RegexSelector):
                # The file meta is selected by its own rules only.
                if tag >> 16 != FILE_META and self._matches(selector, tag):
                    selecting.append(active)
            elif active.depth < len(selector.parents):
                on_path = on_path or _selects(selector.parents[active.depth][0], tag, creator)
            elif _selects(selector.element, tag, creator):
                selecting.append(active)
        return selecting, on_path

    def _matches(self, selector: RegexSelector, tag: int) -> bool:
        pattern = selector.pattern
        match = self.plan.matching.match
        in_keywords = f"{self.keyword_path}{_spelled(tag)}"
        in_hex = f"{self.hex_path}{tag:08x}"
        try:
            if match(pattern, in_keywords) is not None:
                return True
            return in_hex != in_keywords and match(pattern, in_hex) is not None
        except PatternTimeoutError:
            raise DicomError(
                Reason.LIMIT_EXCEEDED,
                "a regular expression took too long on the path of the element",
                tag=tag,
            ) from None

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
        if self.top and self.plan.settings.age_from_birthdate is not None:
            candidates.add(PATIENT_AGE)
        return {tag: made for tag in candidates if (made := self.insertion(tag)) is not None}

    def insertion(self, tag: int) -> Insertion | None:
        """Returns what an absent public element becomes, or None: it stays absent."""
        rules, _ = self._rules_for(tag, None)
        settings = self.plan.settings
        wanted = Children(self, (tag, None), _last_emptying(rules)).wanted
        if wanted:
            return Insertion("", names=("replace-with",), items=wanted)
        chain = _Chain(self.plan, present=False)
        aged = _Chain(self.plan, present=True)
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

    def children_after(self, tag: int, creator: str | None) -> Children | None:
        """Returns the items made in a sequence that was emptied or dropped, or None."""
        rules, _ = self._rules_for(tag, creator)
        children = Children(self, (tag, creator), _last_emptying(rules))
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
            chain = _Chain(self.plan, present=False)
            tag = element.group << 16 | 0x1000 | element.offset
            for selecting in self._rules_for(tag, element.creator)[0]:
                chain.add(selecting.rule)
            if chain.constant is not None:
                made = Insertion(chain.constant, tuple(chain.steps), tuple(chain.names))
                found.setdefault(element.group, []).append((element, made))
        for entries in found.values():
            entries.sort(key=lambda entry: (entry[0].creator, entry[0].offset))
        return found


class _Chain:
    """The actions on one element, put together in the order in which they run."""

    def __init__(self, plan: Plan, *, present: bool) -> None:
        self._plan = plan
        self._present = present
        self.drop: str | None = None
        self.constant: str | None = None
        self.steps: list[AnyStep] = []
        self.names: list[str] = []

    def add(self, rule: Rule, *, inserts: bool = True) -> None:
        """Adds the action of the rule that runs next.

        Args:
            rule: the rule.
            inserts: whether it may insert an element here.
        """
        action = rule.action
        name = ACTION_NAMES[type(action)]
        if isinstance(action, Remove):
            if self._present:
                self.drop = name
            self._begin(present=False, constant=None, names=[])
        elif isinstance(action, ReplaceWith):
            if self._present or (action.insert and inserts):
                self.drop = None
                self._begin(present=True, constant=action.text, names=[name])
        elif self._present and not isinstance(action, Keep):
            step: AnyStep
            if isinstance(action, RegexSub):
                step = RegexSubStep(name, action, _needed_by(action), self._plan.matching)
            else:
                step = step_of(action, self._plan.settings)
            self.steps.append(step)
            self.names.append(name)

    def _begin(self, *, present: bool, constant: str | None, names: list[str]) -> None:
        self._present = present
        self.constant = constant
        self.steps = []
        self.names = names


class _SequenceChain:
    """The actions on one element that is a sequence."""

    def __init__(self) -> None:
        self.result = OnSequence.DESCEND
        self.name: str | None = None

    def add(self, rule: Rule, *, inserts: bool) -> None:
        """Adds the action of the rule that runs next, as `_Chain.add` does."""
        action = rule.action
        by_regex = isinstance(rule.selector, RegexSelector)
        if isinstance(action, Keep):
            return
        if isinstance(action, Remove):
            self.result, self.name = OnSequence.DROP, ACTION_NAMES[Remove]
        elif isinstance(action, ReplaceWith) and not action.text:
            if self.result is not OnSequence.DROP or (action.insert and inserts):
                self.result, self.name = OnSequence.EMPTY, ACTION_NAMES[ReplaceWith]
        elif not by_regex and self.result is OnSequence.DESCEND:
            # A sequence has no value that could be hashed, moved or written.
            self.result, self.name = OnSequence.REJECT, ACTION_NAMES[type(action)]


@dataclass(eq=False)
class Plan:
    """A profile, compiled. Serves any number of files at once.

    Attributes:
        blank: bytes go through unchanged.
        settings: of the profile.
        filenames: of the profile.
        originals: top-level elements whose original values are needed elsewhere.
        finals: top-level elements whose resulting values are needed elsewhere.
        watched: both, in the order of their tags.
        has_regex: some rule selects by a regular expression.
        has_tentative: sequences stay only for what a rule names inside of them.
        file_metas: what `FileMeta` has written before.
        matching: matches the patterns of the rules.
    """

    blank: bool
    settings: Settings
    filenames: tuple[FilenameRule, ...]
    originals: frozenset[int]
    finals: frozenset[int]
    watched: tuple[int, ...]
    has_regex: bool
    has_tentative: bool
    file_metas: dict[tuple[bytes, bytes], KnownMeta] = field(default_factory=dict)
    _nodes: dict[object, Node] = field(default_factory=dict)
    matching: Matching = field(default_factory=Matching)
    _actives: tuple[_Active, ...] = ()
    _everywhere: tuple[_Active, ...] = ()

    @cached_property
    def top(self) -> Node:
        """The top level of a data set.

        Raises:
            DicomError: a regular expression of the profile takes too long.
        """
        return Node(self, self._actives, top=True, keyword_path="", hex_path="")

    @cached_property
    def changes_instance_uid(self) -> bool:
        """Whether a rule acts on the SOP Instance UID."""
        op = self.top.lookup(SOP_INSTANCE_UID)
        return SOP_INSTANCE_UID in self.top.insertions or (
            op is not None and (op.changes or op.drop is not None)
        )

    def node_below(self, above: Node, below: list[_Active], tag: int, index: int | None) -> Node:
        """Returns the node of an item.

        Args:
            above: the node of the level that the sequence stands in.
            below: the rules whose paths lead into the item.
            tag: of the sequence.
            index: of the item; may be None where nothing hangs on it.
        """
        actives = tuple(sorted([*below, *self._everywhere], key=lambda active: active.order))
        keyword_path = hex_path = ""
        key: object = tuple((active.order, active.depth) for active in below)
        if self.has_regex:
            hex_path = f"{above.hex_path}{tag:08x}.{index}."
            keyword_path = f"{above.keyword_path}{_spelled(tag)}.{index}."
            key = (key, hex_path)
        node = self._nodes.get(key)
        if node is None:
            node = Node(self, actives, top=False, keyword_path=keyword_path, hex_path=hex_path)
            if len(self._nodes) < _MAX_NODES:
                self._nodes[key] = node
        return node


def compile_plan(profile: Profile) -> Plan:
    """Compiles a profile. The plan holds no state of any file."""
    settings = profile.settings
    actives = tuple(
        _Active(
            order,
            rule,
            depth=0,
            anywhere=isinstance(rule.selector, RegexSelector)
            or (settings.recurse_sequence and not rule.selector.parents),
        )
        for order, rule in enumerate(_in_running_order(profile.rules))
    )
    originals = frozenset[int]().union(
        *(_needed_by(rule.action) for rule in profile.rules if isinstance(rule.action, RegexSub))
    )
    if settings.age_from_birthdate is not None:
        originals |= {STUDY_DATE, PATIENT_BIRTH_DATE}
    finals = frozenset({SOP_INSTANCE_UID, MODALITY}).union(
        *(_elements_in(filename.output) for filename in profile.filenames)
    )
    has_regex = any(isinstance(rule.selector, RegexSelector) for rule in profile.rules)
    everywhere = tuple(active for active in actives if active.anywhere)
    plan = Plan(
        blank=profile.blank,
        settings=settings,
        filenames=profile.filenames,
        originals=originals,
        finals=finals,
        watched=tuple(sorted(originals | finals)),
        has_regex=has_regex,
        has_tentative=settings.remove_undefined and bool(everywhere),
        _actives=actives,
        _everywhere=everywhere,
    )
    # Worked out now rather than with the first file. A pattern that takes too
    # long for that is an answer to every file.
    with suppress(DicomError):
        plan.top  # noqa: B018
    return plan


def _in_running_order(rules: tuple[Rule, ...]) -> list[Rule]:
    """The regex-sub rules run first, the last of them first; then the others as written."""
    substituting = [rule for rule in rules if isinstance(rule.action, RegexSub)]
    others = [rule for rule in rules if not isinstance(rule.action, RegexSub)]
    return substituting[::-1] + others


def _spelled(tag: int) -> str:
    """Returns how an element stands in a path of keywords."""
    return keyword_of(tag) or f"{tag:08x}"


def _is_group_length(tag: int) -> bool:
    return tag & 0xFFFF == 0 and tag >> 16 != FILE_META


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
        and isinstance(action, ReplaceWith)
        and action.insert
        and all(
            index is not None and isinstance(parent, Element)
            for parent, index in path.parents[active.depth :]
        )
    )


def _inserted_index(active: _Active) -> int | None:
    return _parent(active)[1] if _inserts(active) else None


def _last_emptying(rules: list[_Active]) -> int:
    """Returns when the last of the rules runs that leaves nothing in a sequence; -1: none."""
    return max(
        (
            active.order
            for active in rules
            if isinstance(active.rule.action, Remove)
            or (isinstance(active.rule.action, ReplaceWith) and not active.rule.action.text)
        ),
        default=-1,
    )


def _needed_by(action: RegexSub) -> frozenset[int]:
    return frozenset[int]().union(*(_elements_in(case.output) for case in action.cases))


def _elements_in(template: Template) -> frozenset[int]:
    return frozenset(
        part.element.tag
        for part in template
        if isinstance(part, ElementValue) and isinstance(part.element, Element)
    )
