"""Reads what a rule does: its action, with the options of the rule and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from profile_service.language.codes import Code
from profile_service.language.dates import DAYS_PER_UNIT, MAX_DAYS, DateFormats
from profile_service.language.document import ListNode, MapNode, Node, Scalar
from profile_service.language.lookups import ON_MISSING, read_lookup
from profile_service.language.model import (
    Action,
    Clean,
    DateJitter,
    DateShift,
    Dummy,
    Hash,
    HashUid,
    IncrementDate,
    IncrementDateTime,
    Jitter,
    Keep,
    KeyedUid,
    Lookup,
    OnError,
    Pattern,
    RegexSub,
    RegexSubCase,
    Remove,
    ReplaceWith,
    Settings,
    SimpleAction,
)
from profile_service.language.patterns import GuardedPattern, PatternCompiler, PatternError
from profile_service.language.problems import quoted
from profile_service.language.pseudonyms import (
    read_assign,
    read_keyed_hash,
    read_keyed_shift,
    read_pseudonym,
)
from profile_service.language.selectors import SelectorError, read_element
from profile_service.language.settings import (
    JITTER_TYPES,
    JITTER_UNITS,
    Defaults,
    read_bounds,
    read_format,
    read_jitter_range,
)
from profile_service.language.standard import vocabulary
from profile_service.language.suggest import nearest, nearest_keyword
from profile_service.language.templates import OutputName, read_output
from profile_service.language.values import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DATE_OPTIONS = (
    "date-increment-override",
    "jitter-date",
    "jitter-range",
    "jitter-unit",
    "datetime-min",
    "datetime-max",
)
# How a pseudonym is written.
_SPELLING = ("alphabet", "length")

_KEY_OPTIONS = ("asymmetric-encryption", "public-key", "private-key", "secret-key", "force-nonce")

# An option of the actions that can fail on a value.
ON_ERROR = "on-error"

# Each action of the language, and the options that it takes.
OPTIONS: dict[str, frozenset[str]] = {
    "keep": frozenset(),
    "identity": frozenset(),
    "remove": frozenset(),
    "replace-with": frozenset(("replace-with-insert",)),
    "hash": frozenset((ON_ERROR,)),
    "hashuid": frozenset((ON_ERROR,)),
    "dummy": frozenset(),
    "clean": frozenset((ON_ERROR,)),
    "increment-date": frozenset((ON_ERROR, "date-format", *_DATE_OPTIONS)),
    "increment-datetime": frozenset((ON_ERROR, "datetime-format", *_DATE_OPTIONS)),
    "jitter": frozenset((ON_ERROR, "jitter-range", "jitter-type", "jitter-min", "jitter-max")),
    "keyed-hash": frozenset((ON_ERROR, *_SPELLING)),
    "keyed-uid": frozenset((ON_ERROR,)),
    "keyed-shift": frozenset((ON_ERROR,)),
    "pseudonym": frozenset(_SPELLING),
    "assign": frozenset(("random-order",)),
    "lookup": frozenset((ON_MISSING, *_SPELLING)),
    "regex-sub": frozenset((ON_ERROR,)),
    "encrypt": frozenset(_KEY_OPTIONS),
    "decrypt": frozenset(_KEY_OPTIONS),
}
ALL_OPTIONS = frozenset[str]().union(*OPTIONS.values())

_NOT_IMPLEMENTED = frozenset(("encrypt", "decrypt"))

# What a date action takes for its jitter where no range is written.
_DEFAULT_DATE_JITTER_RANGE = 10

# What `jitter` takes where no range is written.
_DEFAULT_JITTER_RANGE = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading an action takes besides the rule itself."""

    defaults: Defaults
    patterns: PatternCompiler
    formats: DateFormats
    settings: Settings


def action_of(table: Table, selectors: frozenset[str]) -> str | None:
    """Finds the one action of a rule, and checks that all its keys belong to it.

    Args:
        table: the rule.
        selectors: the keys that say what the rule is about.

    Returns:
        The action's name (`keep` where none is written), or None where the keys
        are wrong in a way that leaves it open, which is noted.
    """
    named = [key for key in table if key in OPTIONS]
    for key in table:
        if key not in selectors and key not in OPTIONS and key not in ALL_OPTIONS:
            known = selectors | OPTIONS.keys() | ALL_OPTIONS
            table.report_unknown(Code.UNKNOWN_RULE_KEY, key, "an action or an option", known)
    if len(named) > 1:
        table.report_key(
            Code.SEVERAL_ACTIONS,
            named[1],
            f"The rule has the action '{named[0]}' already; a rule has one action.",
        )
        return None
    action = named[0] if named else "keep"
    for key in table:
        if key in ALL_OPTIONS and key not in OPTIONS[action]:
            takers = " and ".join(f"'{name}'" for name in OPTIONS if key in OPTIONS[name])
            table.report_key(
                Code.OPTION_WITHOUT_ACTION,
                key,
                f"'{key}' is an option of {takers}, not of "
                + (f"'{action}'." if named else "a rule without an action."),
            )
    if action in _NOT_IMPLEMENTED:
        table.report_key(Code.NOT_IMPLEMENTED, action, f"'{action}' is not implemented.")
        return None
    return action


def read_action(name: str, table: Table, reading: Reading) -> Action | None:
    """Reads the action of a rule with its options.

    Args:
        name: what `action_of` found.
        table: the rule.
        reading: the defaults, and the compiler of patterns.

    Returns:
        The action, or None where it is wrong, which is noted.
    """
    if name == "regex-sub":
        return _read_regex_sub(table, reading)
    return _read_simple(name, table, reading)


def read_on_error(table: Table) -> OnError:
    """Reads what happens where the action of a rule cannot work on a value."""
    known: tuple[OnError, ...] = get_args(OnError)
    text = table.choice(ON_ERROR, known)
    return next((outcome for outcome in known if outcome == text), "reject")


def compile_pattern(table: Table, key: str, patterns: PatternCompiler) -> GuardedPattern | None:
    """Compiles the pattern of a key; what is wrong with it is noted."""
    text = table.parsed(key, Code.REGEX_INVALID, lambda text: text or None, "a regular expression")
    if text is None:
        return None
    try:
        return patterns.compile(text)
    except PatternError as error:
        table.report(error.code, key, error.message)
        return None


def read_groups(
    table: Table, pattern: Pattern | None, reading: Reading
) -> dict[OutputName, SimpleAction]:
    """Reads `groups`: what is done to each value that an `output` names."""
    actions: dict[OutputName, SimpleAction] = {}
    captured = frozenset[str]() if pattern is None else pattern.group_names
    for index, node in enumerate(table.items("groups", "names with their actions")):
        path = f"{table.at('groups')}[{index}]"
        group = as_rule(node, path, table)
        if group is None:
            continue
        name = _read_group_name(group, captured)
        found = action_of(group, frozenset(("name",)))
        if ON_ERROR in group:
            group.report_key(
                Code.OPTION_WITHOUT_ACTION,
                ON_ERROR,
                f"'{ON_ERROR}' is an option of the whole rule, not of one of its groups.",
            )
        if name is None or found is None:
            continue
        if found == "regex-sub":
            group.report_key(
                Code.OPTION_WITHOUT_ACTION, found, "A 'regex-sub' cannot stand within another one."
            )
            continue
        if found == "clean":
            group.report_key(
                Code.OPTION_WITHOUT_ACTION, found, "'clean' is about a whole value, not a part."
            )
            continue
        action = _read_simple(found, group, reading)
        if isinstance(action, Lookup) and action.unlisted == "remove":
            group.report(
                Code.OPTION_WITHOUT_ACTION, ON_MISSING, "A part of a value cannot be removed."
            )
            continue
        if name in actions:
            group.report(Code.DUPLICATE_KEY, "name", "'groups' has this name already.")
        elif action is not None:
            actions[name] = action
    return actions


def as_rule(node: Node, path: str, table: Table) -> Table | None:
    """Takes an entry of a list for a rule; what is no mapping is noted."""
    if isinstance(node, MapNode):
        return Table(node, path, table.problems)
    message = "A rule is a mapping with the keys 'name' or 'regex' and an action."
    suggestion = ""
    if isinstance(node, Scalar):
        key, colon, value = node.text.partition(":")
        if colon and key in {"name", "regex", *OPTIONS}:
            message = "A space is missing after the colon."
            suggestion = f"{key}: {value.strip()}"
    table.problems.add(Code.RULE_NOT_A_MAPPING, node, path, message, suggestion)
    return None


def _read_group_name(group: Table, captured: frozenset[str]) -> OutputName | None:
    if "name" not in group:
        group.problems.add(
            Code.SELECTOR_MISSING, group.node, group.path, "An entry of 'groups' needs a 'name'."
        )
        return None
    name = group.parsed("name", Code.UNKNOWN_GROUP, lambda text: text or None, "a name")
    if name is None or name in captured:
        return name
    try:
        return read_element(name)
    except SelectorError as error:
        group.report(
            Code.UNKNOWN_GROUP,
            "name",
            f"{quoted(name)} is neither a named group of the input-regex nor an element.",
            group.problems.guess(lambda word: nearest(word, captured), name)
            or group.problems.guess(nearest_keyword, error.keyword),
        )
        return None


def _read_simple(name: str, table: Table, reading: Reading) -> SimpleAction | None:
    if name in _SWITCHES:
        return _SWITCHES[name] if name not in table or is_on(name, table) else None
    if name == "replace-with":
        return _read_replace_with(table, reading.defaults)
    if name == "assign":
        return read_assign(table)
    if name == "lookup":
        return read_lookup(table)
    if not is_on(name, table):
        return None
    return _WITH_OPTIONS[name](table, reading)


def is_on(name: str, table: Table) -> bool:
    """Whether a key has the one value that it takes, true; another one is noted."""
    value = table.value(name)
    if isinstance(value, Scalar) and value.text.lower() in {"true", "yes", "on"}:
        return True
    table.report(
        Code.SWITCH_NOT_TRUE,
        name,
        f"'{name}' takes true; without the action the rule keeps the element."
        if name in OPTIONS
        else f"'{name}' takes true, and nothing else.",
        f"{name}: true",
    )
    return False


def _read_replace_with(table: Table, defaults: Defaults) -> ReplaceWith | None:
    node = table.value("replace-with")
    values = node.items if isinstance(node, ListNode) else (node,)
    texts: list[str] = []
    for value in values:
        if not isinstance(value, Scalar):
            table.report(
                Code.WRONG_TYPE, "replace-with", "'replace-with' takes a value or a list of values."
            )
            return None
        texts.append("" if value.is_null else value.text)
    written = table.switch("replace-with-insert")
    return ReplaceWith("\\".join(texts), defaults.insert if written is None else written)


def _read_increment_date(table: Table, reading: Reading) -> IncrementDate | None:
    written = read_format(table, "date-format", reading.formats)
    shift = _read_shift("increment-date", table, reading.defaults)
    return None if shift is None else IncrementDate(written or reading.defaults.date_format, shift)


def _read_increment_datetime(table: Table, reading: Reading) -> IncrementDateTime | None:
    written = read_format(table, "datetime-format", reading.formats)
    shift = _read_shift("increment-datetime", table, reading.defaults)
    return (
        None
        if shift is None
        else IncrementDateTime(written or reading.defaults.datetime_format, shift)
    )


def _read_shift(name: str, table: Table, defaults: Defaults) -> DateShift | None:
    minimum, maximum = read_bounds(table, defaults.minimum, defaults.maximum)
    switched = table.switch("jitter-date")
    jitters = defaults.jitter_date if switched is None else switched
    jitter = _read_date_jitter(name, table, defaults)
    overridden = "date-increment-override" in table
    override = table.number("date-increment-override", MAX_DAYS)
    days = override if overridden else defaults.date_increment
    if days is None and not overridden and not jitters:
        table.report_key(
            Code.DATE_NOT_SHIFTED,
            name,
            f"'{name}' needs a 'date-increment' in the dicom section, or a "
            "'date-increment-override' or 'jitter-date: true' in the rule.",
        )
        return None
    if (overridden and override is None) or jitter is None:
        return None  # noted where it was read
    if not days and not jitters:
        table.report_key(Code.DATE_NOT_MOVED, name, f"'{name}' moves dates by 0 days: they stay.")
    return DateShift(days or 0.0, jitter if jitters else None, minimum, maximum)


def _read_date_jitter(name: str, table: Table, defaults: Defaults) -> DateJitter | None:
    """Reads the options of the jitter of a date, whether or not it is switched on."""
    reach = read_jitter_range(table)
    unit = table.choice("jitter-unit", JITTER_UNITS)
    # The range of the section belongs to dates only where the section jitters
    # them: otherwise it is the range of numbers, for `jitter`.
    if reach is None and defaults.jitter_date:
        reach = defaults.jitter_range
    whole = int(_DEFAULT_DATE_JITTER_RANGE if reach is None else reach)
    jitter_unit = next((known for known in JITTER_UNITS if known == unit), defaults.jitter_unit)
    place = "jitter-range" if "jitter-range" in table else name
    if whole < 1:
        table.report(
            Code.JITTER_RANGE, place, "The jitter of a date needs a 'jitter-range' of at least 1."
        )
        return None
    if whole * DAYS_PER_UNIT[jitter_unit] > MAX_DAYS:
        table.report(Code.OUT_OF_RANGE, place, "The 'jitter-range' goes beyond the calendar.")
        return None
    return DateJitter(whole, jitter_unit)


def _read_jitter(table: Table, reading: Reading) -> Jitter | None:
    defaults = reading.defaults
    reach = read_jitter_range(table)
    kind = table.choice("jitter-type", JITTER_TYPES)
    whole = defaults.whole_jitter if kind is None else kind == "int"
    minimum, maximum = table.number("jitter-min"), table.number("jitter-max")
    if minimum is not None and maximum is not None and minimum > maximum:
        table.report(Code.BOUNDS_REVERSED, "jitter-min", "jitter-min is above jitter-max.")
        return None
    if reach is None:
        reach = defaults.jitter_range or _DEFAULT_JITTER_RANGE
    if whole and reach < 1:
        place = "jitter-range" if "jitter-range" in table else "jitter"
        table.report(Code.JITTER_RANGE, place, "With 'jitter-type: int' the range is at least 1.")
        return None
    return Jitter(float(int(reach)) if whole else reach, whole, minimum, maximum)


_SWITCHES: Mapping[str, SimpleAction] = {
    "keep": Keep(),
    "identity": Keep(),
    "remove": Remove(),
    "hash": Hash(),
    "hashuid": HashUid(),
    "dummy": Dummy(),
    "keyed-uid": KeyedUid(),
}

_WITH_OPTIONS: Mapping[str, Callable[[Table, Reading], SimpleAction | None]] = {
    "increment-date": _read_increment_date,
    "increment-datetime": _read_increment_datetime,
    "jitter": _read_jitter,
    "clean": lambda _, __: Clean(needed=True, vocabulary=vocabulary()),
    "keyed-hash": lambda table, _: read_keyed_hash(table),
    "keyed-shift": lambda table, reading: read_keyed_shift(table, reading.settings.pseudonyms),
    "pseudonym": lambda table, _: read_pseudonym(table),
}


def _read_regex_sub(table: Table, reading: Reading) -> RegexSub | None:
    key = "regex-sub"
    cases: list[RegexSubCase | None] = []
    nodes = table.items(key, "cases with 'input-regex' and 'output'")
    for index, node in enumerate(nodes):
        path = f"{table.at(key)}[{index}]"
        if not isinstance(node, MapNode):
            table.problems.add(
                Code.RULE_NOT_A_MAPPING,
                node,
                path,
                "A case is a mapping with 'input-regex', 'output' and 'groups'.",
            )
            cases.append(None)
            continue
        cases.append(_read_case(Table(node, path, table.problems), reading))
    if not nodes and isinstance(table.value(key), ListNode):
        table.report(Code.WRONG_TYPE, key, "'regex-sub' has no case.")
    read = tuple(case for case in cases if case is not None)
    return RegexSub(read) if read and len(read) == len(nodes) else None


def check_case_keys(case: Table) -> None:
    """Notes the keys that a case of a regex-sub or a rule of a file name has not."""
    known = ("input-regex", "output", "groups")
    for key in case:
        if key not in known:
            case.report_unknown(
                Code.UNKNOWN_RULE_KEY, key, "one of 'input-regex', 'output' and 'groups'", known
            )


def _read_case(case: Table, reading: Reading) -> RegexSubCase | None:
    check_case_keys(case)
    if "input-regex" not in case:
        case.problems.add(
            Code.SELECTOR_MISSING, case.node, case.path, "A case needs an 'input-regex'."
        )
        return None
    pattern = compile_pattern(case, "input-regex", reading.patterns)
    if pattern is None:
        return None
    actions = read_groups(case, pattern, reading)
    output = read_output(case, pattern, actions, elements_need_action=True, may_be_empty=True)
    return None if output is None else RegexSubCase(pattern, output)
