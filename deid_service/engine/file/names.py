"""Names for output files: made of de-identified values, and safe for a file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from deid_service.engine.encoding.tags import MODALITY, SOP_INSTANCE_UID
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.rules.budget import begin_element, match
from deid_service.engine.rules.dates import date_in_format
from deid_service.engine.rules.errors import NotTransformableError
from deid_service.engine.rules.rewriting import put_through
from profile_service.language.model import (
    Capture,
    Element,
    FilenameRule,
    IncrementDate,
    IncrementDateTime,
    PatternTimeoutError,
    Settings,
    Template,
)

# The longest name that common file systems hold, less room for a suffix that
# tells two files of the same name apart.
_MAX_NAME_BYTES: Final = 240

# Of a longer name the beginning and the end are looked at: putting the combining
# characters of a text in order takes time that grows with their square.
_MAX_NAME_CHARACTERS: Final = 1024

# Separators, wildcards and quotes of the common file systems and shells.
_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')

# What most names are: a UID, a modality, an extension.
_SAFE: Final = re.compile(r"[0-9][0-9A-Za-z._-]{0,200}\.[A-Za-z0-9]{1,8}")

# Device names of Windows: not to be had as file names, with any extension.
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def output_name(
    rules: tuple[FilenameRule, ...],
    original: str,
    values: Mapping[int, str | None],
    settings: Settings,
) -> str:
    """Returns the name for the output of a file.

    Args:
        rules: of the profile; the first whose pattern matches names the file.
        original: the name that the file came with, or the empty text.
        values: the de-identified values of top-level elements, by tag.
        settings: of the profile.

    Raises:
        DicomError: an action of the rule cannot transform a part of the name.
    """
    if rules:
        begin_element()
    for rule in rules:
        captured: Mapping[str, str | None] | None = {}
        if rule.pattern is not None:
            try:
                captured = match(rule.pattern, original)
            except PatternTimeoutError:
                raise DicomError(
                    Reason.LIMIT_EXCEEDED, "a regular expression took too long on the file name"
                ) from None
        if captured is not None:
            return safe_name(_filled_in(rule.output, captured, values, settings))
    uid = values.get(SOP_INSTANCE_UID) or "unnamed"
    modality = values.get(MODALITY) or "NA"
    return safe_name(f"{uid}.{modality}.dcm")


def safe_name(name: str) -> str:
    """Makes a text a file name: no folders, nothing that a file system refuses."""
    if _SAFE.fullmatch(name):
        return name
    if len(name) > _MAX_NAME_CHARACTERS:
        half = _MAX_NAME_CHARACTERS // 2
        name = name[:half] + name[-half:]
    # Names that a system could not decode carry lone surrogates.
    name = name.encode("utf-8", "replace").decode()
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip(". ")
    if len(name.encode()) > _MAX_NAME_BYTES:
        stem, point, extension = name.rpartition(".")
        end = (point + extension).encode()
        if not stem or len(end) >= _MAX_NAME_BYTES:
            stem, end = name, b""
        kept = stem.encode()[: _MAX_NAME_BYTES - len(end)].decode(errors="ignore")
        name = (kept + end.decode()).rstrip(". ")
    if not name or _RESERVED.fullmatch(name):
        name = f"_{name}"
    return name


def _filled_in(
    template: Template,
    captured: Mapping[str, str | None],
    values: Mapping[int, str | None],
    settings: Settings,
) -> str:
    filled = []
    for part in template:
        if isinstance(part, str):
            filled.append(part)
            continue
        if isinstance(part, Capture):
            text = captured[part.name] or ""
            if isinstance(part.action, IncrementDate | IncrementDateTime):
                text = date_in_format(text, part.action.format)
        else:
            text = (values.get(part.element.tag) if isinstance(part.element, Element) else "") or ""
        try:
            # A part of a file name is held by a text of 64 characters, as LO is.
            filled.append(put_through(text, part.action, "LO", settings, None))
        except NotTransformableError as error:
            raise DicomError(Reason.VALUE_NOT_TRANSFORMABLE, f"filenames: {error}") from None
    return "".join(filled)
