"""Every code that a problem in a profile can have, with its meaning.

Codes are stable: other systems decide by them, so a name is never reused for
another meaning. The documentation holds the same table, and a test compares them.
"""

from __future__ import annotations

from enum import Enum


class Severity(Enum):
    """Whether a problem makes a profile invalid."""

    VIOLATION = "violation"
    WARNING = "warning"


_V = Severity.VIOLATION
_W = Severity.WARNING


class Code(Enum):
    """A stable code; its name is what `Violation.code` holds."""

    # --- The text ---
    TOO_LARGE = (_V, "The text is longer than 1 MiB.")
    NOT_UTF8 = (_V, "The bytes are not UTF-8 text.")
    ILLEGAL_CHARACTER = (_V, "The text holds a character that YAML does not allow.")
    YAML_SYNTAX = (_V, "The text is not YAML; the place is where it broke.")
    YAML_TAG = (_V, "A YAML tag asks for something other than plain data.")
    YAML_ALIAS = (_V, "An alias names no anchor, or the anchor that it stands in.")
    YAML_MERGE = (_V, "A merge key `<<` merges something other than mappings.")
    SEVERAL_DOCUMENTS = (_V, "The text holds more than one YAML document.")
    EMPTY_DOCUMENT = (_V, "The document says nothing.")
    TOO_COMPLEX = (_V, "The document is nested too deeply or has too many nodes.")
    DUPLICATE_KEY = (_V, "A mapping has the same key twice.")
    KEY_NOT_TEXT = (_V, "A key of a mapping is a list or a mapping.")
    TOO_MANY_PROBLEMS = (_V, "There are more violations than are reported.")

    # --- The document and its values ---
    WRONG_TYPE = (_V, "A value is of another kind than the key takes.")
    OUT_OF_RANGE = (_V, "A value is of the right kind, but not one of those allowed.")
    UNKNOWN_VERSION = (_V, "The profile is in a version of the language that is not known.")
    DICOM_MISSING = (_V, "There is no `dicom` section, or it is empty.")
    BASE_OPTIONS = (_V, "The options of a base exclude each other, or lack what they need.")
    FIELDS_MISSING = (_V, "The `dicom` section has no list `fields`.")
    UNKNOWN_SETTING = (_V, "The `dicom` section has no such setting.")
    NOT_IMPLEMENTED = (_V, "The key is part of the language, but not implemented.")
    DATE_FORMAT = (_V, "A date format is not one that dates can be read and written with.")
    DATE_BOUND = (_V, "A bound of a date is neither YYYYMMDD nor a time from today.")
    BOUNDS_REVERSED = (_V, "A minimum is above its maximum.")
    UID_ROOT = (_V, "`uid-numeric-name` is not a UID root of `uid-prefix-fields` nodes.")
    PRIVATE_TRANSFER_SYNTAX = (
        _V,
        "`private-transfer-syntaxes` is not a list of UIDs that are not the standard's.",
    )

    # --- Rules: which elements ---
    RULE_NOT_A_MAPPING = (_V, "An entry of a list of rules is not a mapping.")
    UNKNOWN_RULE_KEY = (_V, "A rule has a key that is neither an action nor an option.")
    SELECTOR_MISSING = (_V, "A rule has neither `name` nor `regex`.")
    SELECTOR_TWICE = (_V, "A rule has both `name` and `regex`.")
    UNKNOWN_KEYWORD = (_V, "A name is not a keyword of the DICOM dictionary.")
    BAD_TAG = (_V, "A name looks like a tag, but is not a legal one.")
    BAD_PRIVATE = (_V, "A private selector is not (odd group, creator, element offset).")
    BAD_PATH = (_V, "A dotted name does not alternate sequences and item numbers.")
    NOT_A_SEQUENCE = (_V, "A dotted name goes through an element that is not a sequence.")
    NOT_ADDRESSABLE = (_V, "A rule names a group length or a delimiter, which is no data.")
    RECURSE_WITH_PATH = (_V, "`recurse-sequence` stands beside a dotted name.")
    CONDITION = (_V, "A `when` says nothing, or what is no condition on a file.")
    UNKNOWN_VR = (_V, "A rule selects by what is no VR.")
    REGEX_INVALID = (_V, "A regular expression does not compile.")
    REGEX_AMBIGUOUS = (_V, "A regular expression could be read in more than one way.")
    REGEX_UNGUARDED = (_V, "A regular expression is too large to run within bounds.")

    # --- Rules: what is done ---
    SEVERAL_ACTIONS = (_V, "A rule has more than one action.")
    SWITCH_NOT_TRUE = (_V, "An action that is a switch is not `true`.")
    OPTION_WITHOUT_ACTION = (_V, "A rule has an option that its action does not take.")
    VALUE_NOT_FOR_VR = (_V, "The VR of the element cannot hold the value.")
    ACTION_NOT_FOR_VR = (_V, "The action cannot work on the VR of the element.")
    FILE_META_MANDATORY = (_V, "A rule takes what a DICOM file cannot do without.")
    PROVENANCE_UNTRUE = (_V, "`provenance` would say what is not true of the files.")
    SOP_CLASS_HASHED = (_V, "A rule hashes the class of the file, so that nobody can read it.")
    DATE_NOT_SHIFTED = (_V, "A date action has neither an increment nor a jitter.")
    PSEUDONYM_ALPHABET = (_V, "The alphabet of a pseudonym cannot be written with.")
    PSEUDONYM_TOO_SHORT = (_V, "Two of 10 million patients could have the same pseudonym.")
    CODE_PATTERN = (_V, "A pattern of codes has no zeros in braces, or is not the only one.")
    TABLE_COLUMN = (_V, "A lookup does not say what, or stands where the patient is not yet known.")
    PATIENT_ELEMENT = (_V, "An element cannot say who the patient is.")
    SHIFT_RANGE = (_V, "A shift by a key has no range of days to choose from.")
    JITTER_RANGE = (_V, "The range of a jitter leaves no amount to choose from.")
    OUTPUT_SYNTAX = (_V, "The braces of an `output` do not match.")
    UNKNOWN_OUTPUT_NAME = (_V, "An `output` names what is neither captured nor an element.")
    UNKNOWN_GROUP = (_V, "An entry of `groups` names nothing that `output` can use.")

    # --- Warnings ---
    BLANK_PROFILE = (_W, "The profile is blank: data is not de-identified.")
    CHANGES_NOTHING = (_W, "The profile is not blank, yet no rule or setting changes data.")
    VERSION_LABEL = (_W, "`version` is the author's own label; the language takes no notice.")
    SECTION_NOT_APPLIED = (_W, "A section belongs to other kinds of files or tools.")
    UNKNOWN_SECTION = (_W, "A section is not known and does not apply.")
    FILE_FILTER_NOT_ENFORCED = (_W, "Files are told by their content, not by their name.")
    STOP_TAGS_IGNORED = (_W, "`stop-tags` has no effect: the whole file is read.")
    OUTCOME_WITHOUT_EFFECT = (_W, "`on-error` stands on an element that no file can do without.")
    DEPRECATED_IDENTITY = (_W, "`identity` is the old name of `keep`.")
    HASH_NOT_LEGAL = (_W, "A hash is not a legal value of the element's VR.")
    UNKNOWN_TAG = (_W, "A tag is in no dictionary.")
    PRIVATE_NOT_INSERTED = (_W, "A private element of unknown VR is only replaced, not inserted.")
    INSERT_MISPLACED = (_W, "A rule may insert an element where it does not belong.")
    REGEX_MATCHES_FEW = (_W, "A regex matches keywords in the middle, where it is not looked for.")
    RULE_UNDONE = (_W, "A rule is undone by a later one.")
    RULE_REPEATED = (_W, "An element has two rules; both run, one after the other.")
    DATE_NOT_MOVED = (_W, "A date action moves dates by nothing.")
    IDENTIFIER_LEFT = (_W, "No rule changes what tells at once who the patient is.")
    HASH_WITHOUT_SALT = (_W, "A hash without a salt: the value is found by trying all of them.")
    REGISTERED_UID_HASHED = (_W, "A rule hashes UIDs that standards give, which identify nobody.")
    DATES_LEFT = (_W, "Some dates of an examination move, and others stay and tell by how much.")
    SAME_SHIFT_FOR_ALL = (_W, "The dates of all patients move by the same amount.")
    DATES_MOVED_APART = (_W, "A jitter moves each date of a file by another amount.")
    NOT_A_DATE = (_W, "A date action stands on an element that holds no date.")
    CREATOR_LIKE_KNOWN = (_W, "A private creator is not known, but close to one that is.")
    NEEDED_ELEMENT = (_W, "A rule takes an element that every object, or every image, needs.")
    UNDEFINED_NEEDED = (_W, "`remove-undefined` takes elements that every image needs.")
    TOO_MANY_WARNINGS = (_W, "There are more warnings than are reported.")

    def __init__(self, severity: Severity, meaning: str) -> None:
        self.severity = severity
        self.meaning = meaning
