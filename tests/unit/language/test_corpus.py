"""The verdicts on profiles that other people wrote."""

from __future__ import annotations

import pytest

from profile_service.language import check_profile, parse_profile
from profile_service.language.model import (
    Element,
    PathSelector,
    RepeaterElement,
    ReplaceWith,
)
from tests.golden import CORPUS

# The codes of the violations and of the warnings, stated from the definition of the
# language. What is not named here is valid without a warning.
VERDICTS: dict[str, tuple[list[str], list[str]]] = {
    # A name is found by its hash.
    "deid_hash_patient_name": ([], ["HASH_WITHOUT_SALT"]),
    # Dates that move tell nothing only where all of them do, each patient's by their own.
    "deid_increment_date_combined_features": ([], ["DATES_LEFT", "DATES_MOVED_APART"]),
    "deid_increment_date_field_level_jitter_override": ([], ["DATES_MOVED_APART"]),
    "deid_increment_date_jitter_with_seconds_unit": ([], ["DATES_LEFT", "DATES_MOVED_APART"]),
    "deid_increment_date_with_custom_format": ([], ["SAME_SHIFT_FOR_ALL"]),
    "deid_increment_date_with_datetime_min": ([], ["SAME_SHIFT_FOR_ALL"]),
    "deid_increment_date_with_float_multiday": ([], ["DATES_LEFT", "SAME_SHIFT_FOR_ALL"]),
    "deid_increment_date_with_relative_datetime_min": ([], ["SAME_SHIFT_FOR_ALL"]),
    "deid_increment_datetime_with_custom_format": ([], ["SAME_SHIFT_FOR_ALL"]),
    "deid_regex_field_hex": ([], ["DATES_LEFT", "SAME_SHIFT_FOR_ALL"]),
    "deid_with_report_regex_selector": ([], ["SAME_SHIFT_FOR_ALL"]),
    "parse_datetime_minmax_with_seconds": ([], ["DATES_LEFT", "SAME_SHIFT_FOR_ALL"]),
    # Type 2: what may be empty must still be there.
    "deid_with_report_is_deterministic": (
        [],
        ["NEEDED_ELEMENT", "NEEDED_ELEMENT", "DATES_LEFT", "SAME_SHIFT_FOR_ALL"],
    ),
    # The file meta cannot do without its instance UID.
    "deid_file_meta_rejects_removing_mandatory_field": (["FILE_META_MANDATORY"], []),
    # A sequence cannot be hashed.
    "deid_non_empty_value_on_sequence_errors__2": (["ACTION_NOT_FOR_VR"], []),
    # A DS has at most 16 characters: the value would have to be rounded.
    "deid_replace_with_ds_normalized__4": (["VALUE_NOT_FOR_VR"], []),
    "deid_replace_with_ds_normalized__7": (["VALUE_NOT_FOR_VR"], []),
    # `fields` is required, though it may be empty.
    "deid_with_report_remove_private_tags_nested_in_sequence": (["FIELDS_MISSING"], []),
    "filename_rename_hex_format": (["FIELDS_MISSING"], []),
    "filename_rename_with_lookahead": (["FIELDS_MISSING"], []),
    "matches_file_filter_considers_every_section__s1": (
        ["FIELDS_MISSING"],
        ["SECTION_NOT_APPLIED"],
    ),
    # Not a date.
    "deprecated_deid_dcm_keeps_its_behavior__s2": (["VALUE_NOT_FOR_VR"], []),
    "validate_vr_date_invalid": (["VALUE_NOT_FOR_VR"], []),
    "profile_rejects_typo_action_key_with_suggestion": (["UNKNOWN_RULE_KEY"], []),
    # Encryption is not implemented, and never accepted and ignored.
    "profile_tolerates_documented_foreign_global_keys": (
        ["NOT_IMPLEMENTED", "NOT_IMPLEMENTED"],
        ["FILE_FILTER_NOT_ENFORCED"],
    ),
    "profile_tolerates_each_documented_foreign_action__s3": (["NOT_IMPLEMENTED"], []),
    "profile_tolerates_unrecognized_top_level_key": ([], ["UNKNOWN_SECTION", "NEEDED_ELEMENT"]),
    "profile_validate_flags_invalid_regex": (["REGEX_INVALID"], []),
    # Without a dicom section nothing would be de-identified.
    "py-block-2": (["DICOM_MISSING"], ["SECTION_NOT_APPLIED"]),
    # The root has five nodes where four are kept, and UL holds no text.
    "readme": (["UID_ROOT", "VALUE_NOT_FOR_VR"], []),
    # No keyword starts with ID; a regex is matched from the start.
    "regex_field_with_negative_lookbehind": ([], ["REGEX_MATCHES_FEW"]),
}

# Which tags a dictionary knows depends on its edition; most of the profiles are cut down
# to what they show, and leave names and numbers of patients.
NOT_TOLD = {"UNKNOWN_TAG", "IDENTIFIER_LEFT"}


def names() -> list[str]:
    """The profiles, named as in the table."""
    return sorted(path.stem.removeprefix("fw-file-rs-") for path in CORPUS.glob("*.yaml"))


def read(name: str) -> bytes:
    """The text of a profile."""
    path = CORPUS / f"{name}.yaml"
    return (path if path.exists() else CORPUS / f"fw-file-rs-{name}.yaml").read_bytes()


@pytest.mark.parametrize("name", names())
def test_verdict(name: str) -> None:
    """The verdict on a profile is the one that the language demands."""
    checked = check_profile(read(name))

    violations = [violation.code for violation in checked.violations]
    warnings = [warning.code for warning in checked.warnings if warning.code not in NOT_TOLD]
    assert VERDICTS.get(name, ([], [])) == (violations, warnings)


def test_verdicts_are_about_profiles() -> None:
    """Every verdict of the table is about a profile that is there."""
    assert VERDICTS.keys() <= set(names())


def test_penn_bsc() -> None:
    """Of the Penn profile every rule is read as its author means it."""
    profile = parse_profile(read("penn-bsc-v4.0"))

    texts = {rule.action.text for rule in profile.rules if isinstance(rule.action, ReplaceWith)}
    assert texts == {"", "0", "4", "Penn_BSC_profile_v4.0"}
    assert all(
        isinstance(rule.action, ReplaceWith) and rule.action.insert for rule in profile.rules
    )
    assert profile.settings.age_from_birthdate == "Y"
    assert len(profile.rules) == 72


def test_penn_prototype() -> None:
    """Its tags without quotes are tags, its retired keywords repeaters, and nothing is inserted."""
    profile = parse_profile(read("penn-prototype"))

    selectors = [rule.selector for rule in profile.rules]
    assert PathSelector((), Element(0x00081301)) == selectors[0]
    assert PathSelector((), RepeaterElement(0x50003000, 0xFF00FFFF)) in selectors
    assert not any(
        isinstance(rule.action, ReplaceWith) and rule.action.insert for rule in profile.rules
    )
