"""Reads the settings of the `dicom` section."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from profile_service.language.codes import Code
from profile_service.language.dates import MAX_DAYS, DateFormats, are_reversed, parse_bound
from profile_service.language.document import ListNode, Scalar
from profile_service.language.model import AgeUnit, DateBound, JitterUnit, Leftovers, Settings
from profile_service.language.pseudonyms import PSEUDONYMS, read_pseudonyms
from profile_service.language.vr import UID_ROOT
from profile_service.language.words import WORDS, read_words

if TYPE_CHECKING:
    from profile_service.language.values import Table

JITTER_UNITS: tuple[JitterUnit, ...] = get_args(JitterUnit)
JITTER_TYPES = ("float", "int")
BOUND_FORM = "YYYYMMDD, or a time from today such as -80years, +3weeks or -10days"

# The lists of the section, which are no settings.
FIELDS = "fields"
FILENAMES = "filenames"

# Extensions of this product.
LEFTOVERS = "leftovers"
EARLIER_FILES = "earlier-files"
TRANSFER_SYNTAXES = "private-transfer-syntaxes"

NOT_IMPLEMENTED = frozenset(
    (
        "alter_pixels",
        "retain",
        "asymmetric-encryption",
        "public-key",
        "private-key",
        "secret-key",
        "force-nonce",
    )
)

# Settings that say nothing about what happens to data.
_WITHOUT_EFFECT = frozenset(("file-filter", "enforce-file-filter", "decode", "stop-tags"))

SETTINGS = frozenset(
    (
        "date-increment",
        "date-format",
        "datetime-format",
        "jitter-range",
        "jitter-type",
        "jitter-date",
        "jitter-unit",
        "datetime-min",
        "datetime-max",
        "salt",
        "hash-digits",
        "hash-normalize",
        "hash-ignore-case",
        "uid-prefix-fields",
        "uid-suffix-fields",
        "uid-numeric-name",
        "replace-with-insert",
        "remove-private-tags",
        "remove-undefined",
        "recurse-sequence",
        "patient-age-from-birthdate",
        "patient-age-units",
        TRANSFER_SYNTAXES,
        "provenance",
        PSEUDONYMS,
        "base",
        "options",
        LEFTOVERS,
        EARLIER_FILES,
        WORDS,
        *_WITHOUT_EFFECT,
    )
)

KNOWN_KEYS = SETTINGS | NOT_IMPLEMENTED | {FIELDS, FILENAMES}

# All hex digits of a SHA-256; `hash-digits: 0` asks for them too.
_ALL_HASH_DIGITS = 64

# PS3.5 9.1: a UID has at most 64 characters, hence at most 32 nodes.
_MAX_UID_NODES = 32

# A UID that begins with the root must keep room for enough digits of the hash to
# stay unique: with 32 of its 64 characters, at least three nodes of six digits.
MAX_UID_ROOT_CHARACTERS = 32

# More than any vendor has registered: a bound on what a profile costs.
_MAX_TRANSFER_SYNTAXES = 100

# PS3.5 9.1 and 10.2: a UID, but not one below the root of the standard.
_PRIVATE_UID = re.compile(
    r"(?!1\.2\.840\.10008(?:\.|$))(?=.{1,64}$)[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What applies to an action whose rule does not say otherwise.

    Attributes:
        date_increment: days, or None where none is written.
        date_format: of increment-date.
        datetime_format: of increment-datetime.
        jitter_date: whether date actions add a jitter.
        jitter_unit: its unit.
        jitter_range: as written in the section, or None.
        whole_jitter: `jitter-type: int`.
        minimum: the earliest date, or None.
        maximum: the latest date, or None.
        insert: replace-with inserts absent elements.
    """

    date_increment: float | None
    date_format: str
    datetime_format: str
    jitter_date: bool
    jitter_unit: JitterUnit
    jitter_range: float | None
    whole_jitter: bool
    minimum: DateBound | None
    maximum: DateBound | None
    insert: bool


def read_settings(dicom: Table, formats: DateFormats) -> tuple[Settings, Defaults]:
    """Reads all settings of the section; what is wrong is noted and has its default."""
    _check_keys(dicom)
    _check_file_settings(dicom)
    defaults = _read_defaults(dicom, formats)
    prefix_fields = dicom.whole("uid-prefix-fields", 0, _MAX_UID_NODES)
    prefix_fields = 4 if prefix_fields is None else prefix_fields
    suffix_fields = dicom.whole("uid-suffix-fields", 0, _MAX_UID_NODES)
    hash_digits = dicom.whole("hash-digits", 0, _ALL_HASH_DIGITS)
    settings = Settings(
        salt=dicom.text("salt") or "",
        hash_digits=16 if hash_digits is None else hash_digits or _ALL_HASH_DIGITS,
        hash_normalize=dicom.switch("hash-normalize") or False,
        hash_ignore_case=dicom.switch("hash-ignore-case") or False,
        uid_prefix_fields=prefix_fields,
        uid_suffix_fields=1 if suffix_fields is None else suffix_fields,
        uid_numeric_name=_read_uid_root(dicom, prefix_fields),
        remove_private_tags=dicom.switch("remove-private-tags") or False,
        remove_undefined=dicom.switch("remove-undefined") or False,
        recurse_sequence=dicom.switch("recurse-sequence") or False,
        age_from_birthdate=_read_age_unit(dicom),
        date_format=defaults.date_format,
        private_transfer_syntaxes=_read_transfer_syntaxes(dicom),
        pseudonyms=read_pseudonyms(dicom),
        leftovers=_read_leftovers(dicom),
        earlier_files=dicom.switch(EARLIER_FILES) or False,
        words=read_words(dicom),
    )
    return settings, defaults


def _read_leftovers(dicom: Table) -> Leftovers:
    known: tuple[Leftovers, ...] = get_args(Leftovers)
    found = dicom.choice(LEFTOVERS, known)
    return next((each for each in known if each == found), "remove")


def read_format(table: Table, key: str, formats: DateFormats) -> str | None:
    """Reads a date format that dates can be written with and read back."""
    text = table.parsed(key, Code.DATE_FORMAT, lambda text: text or None, "a strptime format")
    if text is None:
        return None
    found = formats.problem(text)
    if found is not None:
        table.report(Code.DATE_FORMAT, key, found)
        return None
    return text


def read_bounds(
    table: Table, minimum: DateBound | None, maximum: DateBound | None
) -> tuple[DateBound | None, DateBound | None]:
    """Reads `datetime-min` and `datetime-max`; the arguments are their defaults."""
    earliest = _read_bound(table, "datetime-min") or minimum
    latest = _read_bound(table, "datetime-max") or maximum
    if are_reversed(earliest, latest):
        key = "datetime-min" if "datetime-min" in table else "datetime-max"
        if key in table:
            table.report(Code.BOUNDS_REVERSED, key, "datetime-min is after datetime-max.")
    return earliest, latest


def _read_bound(table: Table, key: str) -> DateBound | None:
    return table.parsed(key, Code.DATE_BOUND, parse_bound, BOUND_FORM)


def read_jitter_range(table: Table) -> float | None:
    """Reads `jitter-range`, which is above 0."""
    reach = table.number("jitter-range")
    if reach is not None and reach <= 0:
        table.report(Code.JITTER_RANGE, "jitter-range", "'jitter-range' is above 0.")
        return None
    return reach


def _check_keys(dicom: Table) -> None:
    for key in dicom:
        if key in NOT_IMPLEMENTED:
            dicom.report_key(Code.NOT_IMPLEMENTED, key, f"'{key}' is not implemented.")
        elif key not in KNOWN_KEYS:
            dicom.report_unknown(
                Code.UNKNOWN_SETTING, key, "a setting of the dicom section", KNOWN_KEYS
            )


def _check_file_settings(dicom: Table) -> None:
    dicom.switch("decode")
    if dicom.switch("enforce-file-filter"):
        dicom.report_key(
            Code.FILE_FILTER_NOT_ENFORCED,
            "enforce-file-filter",
            "What is a DICOM file is decided by its content: no file is passed over "
            "because of its name.",
        )
    if "stop-tags" in dicom:
        dicom.report_key(
            Code.STOP_TAGS_IGNORED, "stop-tags", "'stop-tags' has no effect: files are read whole."
        )
    node = dicom.value("file-filter")
    patterns = node.items if isinstance(node, ListNode) else (node,)
    if node is not None and not all(isinstance(pattern, Scalar) for pattern in patterns):
        dicom.report(
            Code.WRONG_TYPE, "file-filter", "'file-filter' takes a pattern or a list of patterns."
        )


def _read_defaults(dicom: Table, formats: DateFormats) -> Defaults:
    minimum, maximum = read_bounds(dicom, None, None)
    reach = read_jitter_range(dicom)
    whole = dicom.choice("jitter-type", JITTER_TYPES) == "int"
    if whole and reach is not None and reach < 1:
        dicom.report(
            Code.JITTER_RANGE, "jitter-range", "With 'jitter-type: int' the range is at least 1."
        )
    unit = dicom.choice("jitter-unit", JITTER_UNITS)
    insert = dicom.switch("replace-with-insert")
    increment = dicom.number("date-increment", MAX_DAYS)
    if increment is None and "date-increment" in dicom:
        increment = 1.0  # what is wrong with it is noted here, and not at every rule
    return Defaults(
        date_increment=increment,
        date_format=read_format(dicom, "date-format", formats) or "%Y%m%d",
        datetime_format=read_format(dicom, "datetime-format", formats) or "%Y%m%d%H%M%S.%f",
        jitter_date=dicom.switch("jitter-date") or False,
        jitter_unit=next((known for known in JITTER_UNITS if known == unit), "days"),
        jitter_range=reach,
        whole_jitter=whole,
        minimum=minimum,
        maximum=maximum,
        insert=True if insert is None else insert,
    )


def _read_age_unit(dicom: Table) -> AgeUnit | None:
    wanted = dicom.choice("patient-age-units", get_args(AgeUnit))
    if not dicom.switch("patient-age-from-birthdate"):
        return None
    units: tuple[AgeUnit, ...] = get_args(AgeUnit)
    return next((unit for unit in units if unit == wanted), "D")


def _read_transfer_syntaxes(dicom: Table) -> tuple[str, ...]:
    """Reads the transfer syntaxes of vendors that files may come in."""
    key = TRANSFER_SYNTAXES
    node = dicom.value(key)
    if node is None:
        return ()
    items = node.items if isinstance(node, ListNode) else (node,)
    uids = [item.text for item in items if isinstance(item, Scalar)]
    if (
        not 0 < len(uids) == len(items) <= _MAX_TRANSFER_SYNTAXES
        or not all(_PRIVATE_UID.fullmatch(uid) for uid in uids)
        or len(set(uids)) < len(uids)
    ):
        dicom.report(
            Code.PRIVATE_TRANSFER_SYNTAX,
            key,
            f"{key!r} takes a list of UIDs, at most {_MAX_TRANSFER_SYNTAXES} of them and each "
            "once, that are not the standard's: those are read without it.",
        )
        return ()
    return tuple(uids)


def _read_uid_root(dicom: Table, prefix_fields: int) -> str | None:
    key = "uid-numeric-name"
    root = dicom.parsed(key, Code.UID_ROOT, lambda text: text or None, "a UID root")
    if root is None:
        return None
    nodes = root.count(".") + 1
    if len(root) > MAX_UID_ROOT_CHARACTERS:
        message = f"A UID root of more than {MAX_UID_ROOT_CHARACTERS} characters leaves no room."
    elif UID_ROOT.fullmatch(root) is None:
        message = f"{key!r} is not a UID root, such as 1.2.840.99999."
    elif nodes != prefix_fields:
        message = (
            f"{key!r} has {nodes} nodes, but 'uid-prefix-fields' is {prefix_fields}: "
            "they must be equal."
        )
    else:
        return root
    dicom.report(Code.UID_ROOT, key, message)
    return None
