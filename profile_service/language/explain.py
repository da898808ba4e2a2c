"""Says in plain words what a profile does, rule by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from profile_service.language.dictionary import format_tag, name_of
from profile_service.language.model import (
    LISTED_WORDS,
    NAMES,
    Assign,
    CapAge,
    Capture,
    Clean,
    Dummy,
    Element,
    ElementValue,
    EveryDepthSelector,
    Hash,
    HashUid,
    IncrementDate,
    IncrementDateTime,
    Jitter,
    Keep,
    KeyedHash,
    KeyedShift,
    KeyedUid,
    Lookup,
    OthersSelector,
    PathSelector,
    PrivateCreatorBlock,
    Pseudonym,
    RegexSelector,
    RegexSub,
    RelativeDate,
    Remove,
    RepeaterElement,
    ReplaceUid,
    ReplaceWith,
    Sweep,
    VrSelector,
    actions_in,
)
from profile_service.language.problems import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from profile_service.language.model import (
        Action,
        Base,
        Column,
        DateBound,
        DateShift,
        ElementRef,
        FilenameRule,
        Leftovers,
        OnError,
        OnUnlisted,
        Profile,
        PseudonymSettings,
        Rejection,
        Rule,
        Selector,
        Settings,
        Spelling,
        Template,
        When,
        Words,
    )

_LEFTOVERS: Mapping[Leftovers, str] = {
    "remove": "A text that stays loses what identifies somebody in the same file.",
    "reject": "A text that stays, and identifies somebody in the same file, rejects the file.",
    "count": "A text that stays, and identifies somebody in the same file, is only counted.",
}

_EARLIER_FILES = (
    "What identifies somebody in earlier files of the same patient, on the same stream, is "
    "looked for in texts, too."
)

_AGE_UNITS = {"D": "days", "M": "months", "Y": "years"}


ON_ERROR: Mapping[OnError, str] = {
    "reject": "",
    "remove": "; it is removed where that cannot be done to its value",
    "empty": "; it is emptied where that cannot be done to its value",
    "dummy": "; it gets a dummy where that cannot be done to its value",
}


def explain(profile: Profile) -> list[str]:
    """Describes a profile: its settings, then each rule in the order written.

    Returns:
        Sentences; those about rules begin with the line of the rule.
    """
    if profile.blank:
        return ["The profile is blank: data goes through unchanged, and is not de-identified."]
    sentences = _explain_settings(profile.settings)
    patient = profile.settings.pseudonyms
    if profile.key_purposes:
        sentences.append(_explain_keys(patient))
    if profile.key_purposes - {"uid"} or profile.columns:
        sentences += [_explain_patient(patient), *_explain_shift(patient)]
    if profile.columns:
        sentences.append(_explain_tables(profile.columns))
    if any(map(_hashes, profile.rules)):
        sentences += _explain_hashes(profile.settings)
    if profile.base is not None:
        sentences.append(_explain_base(profile.base))
        sentences.append(_LEFTOVERS[profile.settings.leftovers])
        if profile.settings.earlier_files:
            sentences.append(_EARLIER_FILES)
        sentences += _explain_words(profile.settings.words)
    sentences += [_explain_rejection(each) for each in profile.rejections]
    sentences += [explain_rule(rule, profile.settings) for rule in profile.rules]
    sentences += [describe_filename(rule, profile.settings) for rule in profile.filenames]
    return [printable(sentence) for sentence in sentences]


def explain_rule(rule: Rule, settings: Settings) -> str:
    """Describes one rule in a sentence that begins with its line."""
    where = describe_selector(rule.selector)
    everywhere = isinstance(rule.selector, EveryDepthSelector | VrSelector | OthersSelector)
    if everywhere or (settings.recurse_sequence and isinstance(rule.selector, PathSelector)):
        where += ", at every depth,"
    outcome = ON_ERROR[rule.on_error]
    if isinstance(rule.action, RegexSub) and rule.on_error == "reject":
        outcome = "; a value that matches nothing rejects the file"
    if rule.when is not None:
        where = f"in files {describe_when(rule.when)}, {where}"
    return f"Line {rule.line}: {where} {describe_action(rule.action, settings)}{outcome}."


def _explain_rejection(rejection: Rejection) -> str:
    return (
        f"Line {rejection.line}: files {describe_when(rejection.when)} are rejected: "
        f"{rejection.reason}."
    )


def describe_when(when: When) -> str:
    """Describes which files a condition holds for."""
    parts = [
        f"{what} {' or '.join(values)}"
        for what, values in (
            ("of the modality", when.modalities),
            ("of the SOP class", when.sop_classes),
            ("of a manufacturer that begins with", when.manufacturers),
            ("of the image type", when.image_types),
            ("with BurnedInAnnotation", when.burned_in),
            *(("with", (name_of(Element(tag)),)) for tag in when.present),
            *(("without", (name_of(Element(tag)),)) for tag in when.absent),
        )
        if values
    ]
    return " and ".join(parts)


def describe_selector(selector: Selector) -> str:
    """Describes which elements a rule is about."""
    match selector:
        case PathSelector():
            return _describe_path(selector)
        case RegexSelector(pattern):
            return f"every element whose path matches /{pattern.source}/"
        case VrSelector(vrs):
            return f"every element of the VR {' or '.join(vrs)}"
        case OthersSelector():
            return "every element that no rule before selects"


def _describe_path(selector: PathSelector) -> str:
    words = _describe_element(selector.element)
    for sequence, index in reversed(selector.parents):
        item = "every item" if index is None else f"item {index}"
        words += f" in {item} of {_describe_element(sequence)}"
    return words


def _describe_element(element: ElementRef) -> str:
    name = name_of(element)
    if isinstance(element, PrivateCreatorBlock):
        return f'every element of the block of "{element.creator}" in group {element.group:04X}'
    if isinstance(element, RepeaterElement) and element.is_whole:
        return f"every element {name}"
    if isinstance(element, Element):
        tag = format_tag(element.tag)
        return name if name == tag else f"{name} {tag}"
    return name


def _explain_settings(settings: Settings) -> list[str]:
    sentences = []
    if settings.age_from_birthdate is not None:
        unit = _AGE_UNITS[settings.age_from_birthdate]
        sentences.append(
            "First, PatientAge is computed from StudyDate and PatientBirthDate, "
            f"in {unit} or the next coarser unit that fits."
        )
    if settings.remove_private_tags:
        sentences.append("Private elements that no rule names are removed, at every depth.")
    if settings.remove_undefined:
        sentences.append("Every element that no rule names is removed, at every depth.")
    if settings.salt:
        sentences.append("A salt is put before every value that is hashed.")
    return sentences


def _explain_words(words: Words) -> Iterator[str]:
    if words.keep:
        yield f"Cleaned texts also keep {len(words.keep)} words or phrases of the profile."
    if words.remove:
        yield f"No text keeps any of {len(words.remove)} words or phrases of the profile."
    if words.lists:
        kinds = {LISTED_WORDS: "word or phrase", NAMES: "name"}
        named = ", ".join(f"any {kinds[each.name]} of {each.table}" for each in words.lists)
        yield (
            f"No text keeps {named}. A list is the nearest table of its name at or above what "
            "files go to; where there is none, no file is taken."
        )


def _explain_base(base: Base) -> str:
    options = f" with {', '.join(base.options)}" if base.options else ""
    return (
        f"What no rule selects is treated as {base.name}{options} says ('profile expand' shows it "
        "element by element), at every depth, and by what the IOD of the file needs."
    )


def _explain_keys(patient: PseudonymSettings) -> str:
    """Says which key is used."""
    generation = "in use" if patient.generation is None else f"of generation {patient.generation}"
    return (
        f"Pseudonyms are made with the key {generation}, for each {patient.scope} its own: outside "
        f"of it, the same patient has others."
    )


def _explain_patient(patient: PseudonymSettings) -> str:
    """Says who a patient is."""
    elements = " and ".join(name_of(Element(tag)) for tag in patient.elements)
    case = ", whose letter case does not matter" if patient.ignore_case else ""
    missing = "is rejected" if patient.missing == "reject" else "takes its study for the patient"
    return (
        f"Who the patient is, is said by {elements}{case}; a file that does not say it {missing}."
    )


def _explain_tables(columns: tuple[Column, ...]) -> str:
    """Says what is looked up, and where."""
    named = ", ".join(f"{each.name} of {each.table}" for each in columns)
    return (
        f"Of the patient is looked up: {named}. A table is the nearest of its name at or above "
        "what files go to; where there is none, no file is taken."
    )


def _explain_shift(patient: PseudonymSettings) -> list[str]:
    """Says by how much the dates of a patient move."""
    sentences = []
    shift, source = patient.shift, patient.shift_from
    if source is not None:
        zero = "" if source.zero else ", and never by 0"
        otherwise = "the file is rejected" if shift is None else "the key does"
        sentences.append(
            f"By how many days the dates of a patient move, the table {source.column.table} says "
            f"in the column {source.column.name}{zero}; where that says nothing, {otherwise}."
        )
    if shift is not None:
        weeks = " in whole weeks" if shift.weeks else ""
        zero = "" if shift.zero else ", and never by 0"
        sentences.append(
            f"The dates of a patient move by {shift.first} to {shift.last} days{weeks}{zero}: the "
            f"key says by how many, always by the same number ({shift.count} there are)."
        )
    return sentences


def _hashes(rule: Rule) -> bool:
    return any(isinstance(action, Hash) for action in actions_in(rule.action))


def _explain_hashes(settings: Settings) -> list[str]:
    """Says which values have the same hash, and warns where one patient can have several."""
    same = []
    if settings.hash_normalize:
        same.append("in spaces around them, or in empty parts at the end of a person name")
    if settings.hash_ignore_case:
        same.append("in letter case")
    sentences = []
    if same:
        sentences.append(f"Values that differ only {' or '.join(same)} have the same hash.")
    open_cases = []
    if not settings.hash_normalize:
        open_cases.append("'DOE^JANE' and 'DOE^JANE^', or '123' and ' 123' (see 'hash-normalize')")
    if not settings.hash_ignore_case:
        open_cases.append("'DOE^JANE' and 'Doe^Jane' (see 'hash-ignore-case')")
    if open_cases:
        sentences.append(
            f"Values are hashed as they are written: {', or '.join(open_cases)} have different "
            "hashes, so that one patient could become two."
        )
    return sentences


def describe_action(action: Action, settings: Settings) -> str:
    """Describes what an action does to an element."""
    match action:
        case Keep():
            return "is kept"
        case Remove():
            return "is removed"
        case ReplaceWith(text, insert):
            return _describe_replace_with(text, insert)
        case Hash():
            return f"becomes the first {settings.hash_digits} hex digits of its SHA-256"
        case HashUid():
            return _describe_hash_uid(settings)
        case Dummy():
            return (
                "becomes a dummy that its VR allows (and so do, in a sequence, the values of all "
                "its items)"
            )
        case ReplaceUid():
            return "becomes a UID made of its SHA-256, unless it is one of the standard"
        case Clean():
            return "keeps what is known to be harmless"
        case Sweep():
            return "loses what identifies somebody in the file"
        case CapAge():
            return "becomes 90 years where it is an age of more than 89"
        case IncrementDate(form, shift):
            return f"is read as a date ({form}) and {_describe_shift(shift)}"
        case IncrementDateTime(form, shift):
            return f"is read as a date and time ({form}) and {_describe_shift(shift)}"
        case Jitter():
            return _describe_jitter(action)
        case KeyedHash(spelling):
            return f"becomes its HMAC under the key, as {_describe_spelling(spelling)}"
        case KeyedUid():
            root = settings.pseudonyms.uid_root or "2.25"
            return (
                f"becomes a UID of its HMAC under the key, below the root {root}, where it is none "
                "of the standard"
            )
        case KeyedShift():
            return "is moved by the days of the patient"
        case Pseudonym(spelling, insert):
            absent = "inserted where it is absent" if insert else "left out where it is absent"
            return (
                f"becomes the pseudonym of the patient, {_describe_spelling(spelling)}, and is "
                f"{absent}"
            )
        case Assign(pattern, insert):
            absent = "inserted where it is absent" if insert else "left out where it is absent"
            order = "in no order" if pattern.is_random else "one after the other"
            return (
                f"becomes the code that the patient is given, {pattern.code(1)} to "
                f"{pattern.code(pattern.last)} {order}, and is {absent}"
            )
        case Lookup():
            return _describe_lookup(action)
        case RegexSub(cases):
            named = "; or ".join(
                f"where it matches /{case.pattern.source}/, to "
                + _describe_template(case.output, settings)
                for case in cases
            )
            return f"is rewritten: {named}"


_UNLISTED: Mapping[OnUnlisted, str] = {
    "reject": "the file is rejected",
    "hash": "the pseudonym of the patient stands there, ",
    "remove": "it is removed",
}


def _describe_lookup(action: Lookup) -> str:
    absent = "inserted where it is absent" if action.insert else "left out where it is absent"
    otherwise = _UNLISTED[action.unlisted]
    if action.unlisted == "hash":
        otherwise += _describe_spelling(action.spelling)
    return (
        f"becomes what the table {action.column.table} says of the patient in the column "
        f"{action.column.name}, and is {absent}; where that says nothing, {otherwise}"
    )


def _describe_replace_with(text: str, insert: bool) -> str:
    absent = "inserted where it is absent" if insert else "left out where it is absent"
    if not text:
        return f"is emptied, and {absent}"
    return f"becomes '{text}', and is {absent}"


def _describe_hash_uid(settings: Settings) -> str:
    if settings.uid_numeric_name is not None:
        prefix = f"the root {settings.uid_numeric_name}"
    else:
        prefix = f"its first {_count(settings.uid_prefix_fields, 'node')}"
    suffix = _count(settings.uid_suffix_fields, "node")
    return f"becomes a UID of {prefix}, its SHA-256 in digits, and its last {suffix}"


def _describe_spelling(spelling: Spelling) -> str:
    return f"{spelling.length} characters of '{spelling.alphabet}'"


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"


def _describe_shift(shift: DateShift) -> str:
    words = f"moved by {_count(shift.days, 'day')}"
    if shift.jitter is not None:
        words += f", give or take up to {shift.jitter.reach} {shift.jitter.unit} at random"
    if shift.minimum is not None:
        words += f", but not before {_describe_bound(shift.minimum)}"
    if shift.maximum is not None:
        words += f", but not after {_describe_bound(shift.maximum)}"
    return words


def _describe_bound(bound: DateBound) -> str:
    if isinstance(bound, RelativeDate):
        return f"{abs(bound.days):g} days {'before' if bound.days < 0 else 'after'} the present day"
    return bound.isoformat()


def _describe_jitter(jitter: Jitter) -> str:
    kind = "a random whole number" if jitter.whole else "a random amount"
    words = f"is changed by {kind} of at most {jitter.reach:g}"
    if jitter.minimum is not None:
        words += f", but not below {jitter.minimum:g}"
    if jitter.maximum is not None:
        words += f", but not above {jitter.maximum:g}"
    return words


def describe_filename(rule: FilenameRule, settings: Settings) -> str:
    """Describes how files are named, in a sentence."""
    which = "Every file" if rule.pattern is None else f"A file named /{rule.pattern.source}/"
    return f"{which} is given the name made of {_describe_template(rule.output, settings)}."


def _describe_template(template: Template, settings: Settings) -> str:
    if not template:
        return "the empty value"
    return " + ".join(_describe_piece(piece, settings) for piece in template)


def _describe_piece(piece: str | Capture | ElementValue, settings: Settings) -> str:
    match piece:
        case str():
            return f"'{piece}'"
        case Capture(name, action):
            words = f"what the group {name} captured"
        case ElementValue(element, action):
            words = f"the value of {_describe_element(element)}"
    if action is None:
        return words
    return f"{words} (which {describe_action(action, settings)})"
