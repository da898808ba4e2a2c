"""Profile text -> profile, or everything that is wrong with it.

The stages: text to nodes (`document`), the `dicom` settings (`settings`), then each
rule: which elements (`selectors`), what is done (`actions`), whether that fits
(`fitness`), and last what only the whole shows (`checks`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256

from profile_service.language.actions import (
    Reading,
    action_of,
    as_rule,
    check_case_keys,
    compile_pattern,
    is_on,
    read_action,
    read_groups,
    read_on_error,
)
from profile_service.language.base import read_base
from profile_service.language.checks import KeywordSearch, check_rules, keeps
from profile_service.language.codes import Code
from profile_service.language.conditions import REJECT, WHEN, read_rejection, read_when
from profile_service.language.dangers import check_dangers
from profile_service.language.dates import DateFormats
from profile_service.language.dictionary import name_of, vrs_of
from profile_service.language.document import ListNode, MapNode, Scalar, load
from profile_service.language.errors import ProfileInvalid
from profile_service.language.fitness import check_outcome, fit, fit_vrs
from profile_service.language.model import (
    Action,
    Element,
    FilenameRule,
    KeyedAction,
    OfPatient,
    OthersSelector,
    PathSelector,
    Profile,
    RegexSelector,
    Rejection,
    RepeaterElement,
    ReplaceWith,
    Rule,
    Selector,
    Settings,
    Violation,
    VrSelector,
)
from profile_service.language.patterns import PatternCompiler, match_anywhere
from profile_service.language.problems import Problems
from profile_service.language.provenance import provenance_rules
from profile_service.language.pseudonyms import on_a_base
from profile_service.language.reach import Reach
from profile_service.language.selectors import SelectorError, Target, read_name
from profile_service.language.settings import FIELDS, FILENAMES, KNOWN_KEYS, read_settings
from profile_service.language.standard import standard_elements
from profile_service.language.suggest import nearest, nearest_keyword
from profile_service.language.templates import read_output
from profile_service.language.values import Table
from profile_service.language.vr import VRS

# Part of every stored verdict: a text is decided again by a newer version. To be
# changed with every change that could turn a verdict, or add or take a problem; a
# test ties it to the golden answers.
VALIDATOR_VERSION = "20"

_LANGUAGE_VERSION = 1

_FILE_META = 0x0002

_DICOM = "dicom"
_TEXTS = ("name", "description")
_VERSION = "version"
_MAP_SUBJECTS = "map-subjects"

# Sections for other types of files, or for other tools.
_OTHER_SECTIONS = frozenset(
    (
        "jpg",
        "png",
        "tiff",
        "xml",
        "json",
        "csv",
        "tsv",
        "table",
        "nifti",
        "key-value-text-file",
        "filename",
        "zip",
        "only-config-profiles",
        "deid-log",
        "flywheel",
        "export",
        "template",
    )
)

# What says which elements a rule is about: one of these.
_SELECTORS = ("name", "regex", "vr", "others")


@dataclass(frozen=True, slots=True)
class CheckedProfile:
    """The verdict on a text.

    Attributes:
        profile: None where the text is invalid.
        violations: what makes it invalid, in the order of the text.
        warnings: what the author should know besides, in the order of the text.
    """

    profile: Profile | None
    violations: tuple[Violation, ...]
    warnings: tuple[Violation, ...]


def check_profile(source: str | bytes) -> CheckedProfile:
    """Checks a profile text and says everything that is wrong with it at once.

    Any text and any bytes get an answer, within a second and in bounded memory.

    Args:
        source: the YAML text, or its bytes as UTF-8.
    """
    problems = Problems()
    root = load(source, problems)
    profile = None
    if isinstance(root, MapNode):
        encoded = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
        digest = sha256(encoded).hexdigest()
        profile = _Compiler(Table(root, "", problems), digest).compile()
    elif root is not None:
        code = Code.EMPTY_DOCUMENT if isinstance(root, Scalar) and root.is_null else Code.WRONG_TYPE
        problems.add(code, root, "", "A profile is a mapping with the key 'dicom'.")
    elif not problems.any_violation:
        problems.add(Code.EMPTY_DOCUMENT, None, "", "The document is empty.")
    if problems.any_violation:
        return CheckedProfile(None, problems.violations, problems.warnings)
    return CheckedProfile(profile, (), problems.warnings)


def parse_profile(source: str | bytes) -> Profile:
    """Reads a profile text.

    Args:
        source: the YAML text, or its bytes as UTF-8.

    Raises:
        ProfileInvalid: it is not a valid profile; the error holds every violation.
    """
    checked = check_profile(source)
    if checked.profile is None:
        raise ProfileInvalid(checked.violations, checked.warnings)
    return checked.profile


class _Compiler:
    """Compiles one document whose root is a mapping."""

    def __init__(self, root: Table, digest: str) -> None:
        self._root = root
        self._digest = digest
        self._problems = root.problems
        self._patterns = PatternCompiler()
        self._search = KeywordSearch()

    def compile(self) -> Profile | None:
        """Reads everything; None where a violation was noted."""
        root = self._root
        name, description = (root.text(key) or "" for key in _TEXTS)
        self._check_version()
        self._check_sections()
        node = root.value(_DICOM)
        if not isinstance(node, MapNode):
            self._dicom_is_missing()
            return None
        dicom = Table(node, _DICOM, self._problems)
        formats = DateFormats()
        settings, defaults = read_settings(dicom, formats)
        reading = Reading(defaults, self._patterns, formats, settings)
        base = read_base(dicom, settings, defaults)
        rules, rejections = self._read_rules(dicom, settings, reading)
        filenames = self._read_filenames(dicom, reading)
        fields = dicom.value(FIELDS)
        blank = list(dicom) == [FIELDS] and isinstance(fields, ListNode) and not fields.items
        if self._problems.any_violation:
            return None
        if blank:
            dicom.report_key(
                Code.BLANK_PROFILE,
                FIELDS,
                "The profile is blank: data that it applies to is not de-identified.",
            )
        if base is not None:
            patient = on_a_base(settings.pseudonyms, dicom, (rule for rule, _ in rules))
            settings = replace(settings, pseudonyms=patient)
        reach = Reach((rule for rule, _ in rules), settings, self._search, base)
        if not blank and check_rules(rules, settings, dicom, has_base=base is not None):
            check_dangers(rules, reach, settings, dicom)
        keeps_any = any(keeps(rule) for rule, _ in rules)
        added = provenance_rules(
            dicom,
            reach,
            name,
            self._digest,
            keeps_any=keeps_any,
            leaves_some=settings.leftovers == "count",
        )
        return Profile(
            name=name,
            description=description,
            settings=settings,
            rules=(*(rule for rule, _ in rules), *added),
            filenames=filenames,
            rejections=rejections,
            base=base,
            blank=blank,
            warnings=self._problems.warnings,
        )

    def _check_version(self) -> None:
        text = self._root.text(_VERSION)
        if not text:
            return
        if re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) is None:
            self._root.report(
                Code.VERSION_LABEL, _VERSION, "'version' is taken for a label of your own."
            )
        elif text.lstrip("+0") != str(_LANGUAGE_VERSION):
            self._root.report(
                Code.UNKNOWN_VERSION,
                _VERSION,
                f"This is not version {_LANGUAGE_VERSION} of the language, the only one known.",
                str(_LANGUAGE_VERSION),
            )

    def _check_sections(self) -> None:
        known = (_DICOM, _VERSION, *_TEXTS)
        for key in self._root:
            if key in known:
                continue
            if key == _MAP_SUBJECTS:
                self._root.report_key(
                    Code.NOT_IMPLEMENTED, key, f"'{key}' would change results, and is not done."
                )
            elif key in _OTHER_SECTIONS:
                self._root.report_key(
                    Code.SECTION_NOT_APPLIED, key, f"'{key}' does not apply to DICOM files."
                )
            elif key in KNOWN_KEYS:
                self._root.report_key(
                    Code.UNKNOWN_SECTION,
                    key,
                    f"'{key}' is a key of the 'dicom' section; here it does nothing.",
                    f"{_DICOM}: {key}",
                )
            else:
                sections = (*known, _MAP_SUBJECTS, *_OTHER_SECTIONS)
                self._root.report_unknown(
                    Code.UNKNOWN_SECTION, key, "a known section, and does nothing", sections
                )

    def _dicom_is_missing(self) -> None:
        root = self._root
        if _DICOM not in root:
            slip = nearest(_DICOM, (key for key in root if key not in _OTHER_SECTIONS))
            self._problems.add(
                Code.DICOM_MISSING,
                root.key(slip) if slip else root.node,
                root.at(slip),
                "There is no 'dicom' section: nothing would be de-identified.",
                _DICOM if slip else "",
            )
            return
        node = root.value(_DICOM)
        if isinstance(node, Scalar) and node.is_null:
            root.report_key(
                Code.DICOM_MISSING,
                _DICOM,
                "The 'dicom' section is empty: nothing would be de-identified.",
            )
        else:
            root.report(Code.WRONG_TYPE, _DICOM, "'dicom' takes a mapping.")

    # --- Rules ---

    def _read_rules(
        self, dicom: Table, settings: Settings, reading: Reading
    ) -> tuple[list[tuple[Rule, Table]], tuple[Rejection, ...]]:
        node = dicom.value(FIELDS)
        if node is None and "base" in dicom:
            return [], ()
        if node is None or (isinstance(node, Scalar) and node.is_null):
            self._problems.add(
                Code.FIELDS_MISSING,
                dicom.node if node is None else dicom.key(FIELDS),
                dicom.path if node is None else dicom.at(FIELDS),
                "The 'dicom' section needs 'fields', a list of rules, which may be empty beside "
                "other settings.",
            )
            return [], ()
        rules: list[tuple[Rule, Table]] = []
        rejections: list[Rejection] = []
        for index, item in enumerate(dicom.items(FIELDS, "rules")):
            if self._problems.full:
                break
            path = f"{dicom.path}.{FIELDS}[{index}]"
            table = as_rule(item, path, dicom)
            if table is not None and REJECT in table:
                rejection = read_rejection(table)
                rejections += [] if rejection is None else [rejection]
                continue
            rule = None if table is None else self._read_rule(table, settings, reading)
            if table is not None and rule is not None:
                rules.append((rule, table))
        return rules, tuple(rejections)

    def _read_rule(self, table: Table, settings: Settings, reading: Reading) -> Rule | None:
        name = action_of(table, frozenset((*_SELECTORS, WHEN)))
        action = None if name is None else read_action(name, table, reading)
        if name == "identity":
            table.report_key(
                Code.DEPRECATED_IDENTITY, name, "'identity' is the old name of 'keep'.", "keep"
            )
        selected = self._read_selector(table, settings)
        if action is None or selected is None or name is None:
            return None
        selector: Selector
        if isinstance(selected, Target):
            selector = selected.selector
            action = fit(action, selected, name if name in table else "name", table)
        else:
            selector = selected
            if isinstance(selected, VrSelector):
                fit_vrs(action, selected.vrs, name if name in table else "vr", table)
            action = _without_insert(action)
        if WHEN in table and _is_in_file_meta(selector):
            table.report_key(
                Code.CONDITION,
                WHEN,
                "The elements of the file meta are written before a condition is known to hold.",
            )
        on_error, when = read_on_error(table), read_when(table)
        if isinstance(selected, Target):
            check_outcome(on_error, selected, table)
        return Rule(selector, action, table.path, table.node.line, on_error, when)

    def _read_selector(
        self, table: Table, settings: Settings
    ) -> Target | RegexSelector | VrSelector | OthersSelector | None:
        first, *more = [key for key in _SELECTORS if key in table] or [""]
        if more:
            table.report_key(
                Code.SELECTOR_TWICE, more[0], f"A rule has '{first}' or '{more[0]}', not both."
            )
            return None
        match first:
            case "name":
                return self._read_name(table, settings)
            case "regex":
                return self._read_regex(table)
            case "vr":
                return _read_vrs(table)
            case "others":
                return OthersSelector() if is_on("others", table) else None
        self._problems.add(
            Code.SELECTOR_MISSING,
            table.node,
            table.path,
            "The rule does not say which elements it is about: 'name' or 'regex' is missing.",
        )
        return None

    def _read_regex(self, table: Table) -> RegexSelector | None:
        pattern = compile_pattern(table, "regex", self._patterns)
        if pattern is None:
            return None
        if self._search.expects_more(pattern):
            table.report(
                Code.REGEX_MATCHES_FEW,
                "regex",
                "A regex is matched from the start of a name, where this one matches few "
                "keywords or none; most of those that it fits have it in the middle.",
                match_anywhere(pattern.source),
            )
        return RegexSelector(pattern)

    def _read_name(self, table: Table, settings: Settings) -> Target | None:
        node = table.value("name")
        if not isinstance(node, Scalar):
            table.report(Code.WRONG_TYPE, "name", "'name' takes a text.", _tag_of_list(node))
            return None
        try:
            target = read_name(node.text)
        except SelectorError as error:
            guess = error.suggestion or self._problems.guess(nearest_keyword, error.keyword)
            table.report(error.code, "name", error.message, guess)
            return None
        if settings.recurse_sequence and target.dotted:
            table.report(
                Code.RECURSE_WITH_PATH,
                "name",
                "With 'recurse-sequence' a rule names an element, not a path to it.",
            )
        self._check_known(target, table)
        return target

    def _check_known(self, target: Target, table: Table) -> None:
        for element in (
            *(parent for parent, _ in target.selector.parents),
            target.selector.element,
        ):
            if not isinstance(element, Element | RepeaterElement):
                continue
            is_whole = isinstance(element, RepeaterElement) and element.is_whole
            # Of the standard last: the dictionary has most, and its table need not be read then.
            if is_whole or vrs_of(element) or element in standard_elements():
                continue
            is_private = isinstance(element, Element) and (element.tag >> 16) % 2 == 1
            table.report(
                Code.UNKNOWN_TAG,
                "name",
                f"{name_of(element)} is a private element, whose number says nothing without "
                'its creator: it is named as (group, "creator", two hex digits).'
                if is_private
                else f"{name_of(element)} is in no dictionary.",
            )

    # --- File names ---

    def _read_filenames(self, dicom: Table, reading: Reading) -> tuple[FilenameRule, ...]:
        rules: list[FilenameRule] = []
        for index, node in enumerate(dicom.items(FILENAMES, "rules for file names")):
            path = f"{dicom.path}.{FILENAMES}[{index}]"
            if not isinstance(node, MapNode):
                self._problems.add(
                    Code.RULE_NOT_A_MAPPING,
                    node,
                    path,
                    "A rule for file names is a mapping with 'input-regex', 'output' and 'groups'.",
                )
                continue
            table = Table(node, path, self._problems)
            check_case_keys(table)
            pattern = compile_pattern(table, "input-regex", reading.patterns)
            if "input-regex" in table and pattern is None:
                continue
            actions = read_groups(table, pattern, reading)
            if any(isinstance(action, KeyedAction) for action in actions.values()):
                table.report_key(
                    Code.NOT_IMPLEMENTED,
                    "groups",
                    "A file name is made of values that are de-identified already: nothing is "
                    "done to them by a key.",
                )
            output = read_output(
                table, pattern, actions, elements_need_action=False, may_be_empty=False
            )
            if output is not None:
                rules.append(FilenameRule(pattern, output))
        return tuple(rules)


def _is_in_file_meta(selector: Selector) -> bool:
    element = selector.element if isinstance(selector, PathSelector) else None
    return isinstance(element, Element) and element.tag >> 16 == _FILE_META


def _read_vrs(table: Table) -> VrSelector | None:
    """Reads `vr`: one VR, or a list of some."""
    node = table.value("vr")
    items = node.items if isinstance(node, ListNode) else (node,)
    vrs = [item.text for item in items if isinstance(item, Scalar)]
    unknown = [vr for vr in vrs if vr not in VRS]
    if len(vrs) != len(items) or not vrs or unknown:
        table.report(
            Code.UNKNOWN_VR,
            "vr",
            f"'vr' takes a VR or a list of some, each of two capital letters: {', '.join(VRS)}.",
            next((vr.upper() for vr in unknown if vr.upper() in VRS), ""),
        )
        return None
    return VrSelector(tuple(sorted(set(vrs))))


def _without_insert(action: Action) -> Action:
    """Many elements have no single place where an absent one could be inserted."""
    if isinstance(action, ReplaceWith | OfPatient):
        return replace(action, insert=False)
    return action


def _tag_of_list(node: object) -> str:
    """The tag that was meant by `[0010, 0020]`, or the empty text."""
    if not isinstance(node, ListNode) or len(node.items) != 2:
        return ""
    group, element = node.items
    if not isinstance(group, Scalar) or not isinstance(element, Scalar):
        return ""
    return f"({group.text[:8]}, {element.text[:8]})"
