"""`deidcascade profile coverage`: what a profile treats of what the standard names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from deid_service.cli.console import Failure, json_option, print_json
from deid_service.cli.protection import Extent, Measured, Treatment, measure
from deid_service.cli.sources import PROFILE_FILE, valid_profile
from deid_service.cli.terminal import console, table
from deid_service.engine import DicomError
from deid_service.engine.rules.ops import Effect
from profile_service.language.base import BASES
from profile_service.language.dictionary import format_repeater, format_tag
from profile_service.language.model import Element, RepeaterElement
from profile_service.language.standard import EDITION, OPTIONS, PRIVATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from profile_service.language.standard import Attribute

_EFFECTS: Final = {
    Effect.STAYS: "stays",
    Effect.GOES: "goes",
    Effect.CHANGES: "changes",
    Effect.IS_REJECTED: "rejects the file",
}

# What the names of options share.
_SHORT: Final = re.compile("^(retain-(longitudinal-)?|clean-)")


@click.command("coverage")
@click.argument("profile", metavar="FILE", type=PROFILE_FILE)
@json_option
def coverage(profile: str, as_json: bool) -> None:
    """Compares the profile in FILE (- for standard input) with the standard.

    For each attribute of PS3.15 table E.1-1: what the basic profile of the standard
    and its options do, and what this profile does at the top level and in the items of
    sequences that no rule names. X: goes. Z: emptied, or a dummy. D: a dummy. U:
    another UID. K: kept. C: cleaned. Several: what the kind of file allows.
    """
    parsed = valid_profile(profile)
    try:
        measured = measure(parsed)
    except DicomError:
        raise Failure("a pattern of the profile takes too long.") from None
    if as_json:
        print_json(
            {
                "edition": EDITION,
                "summary": summary(measured),
                "attributes": [as_value(each) for each in measured],
            }
        )
        return
    console().print(
        table(
            ("TAG", "ATTRIBUTE", "BASIC", "OPTIONS", "TOP LEVEL", "IN ITEMS"),
            (
                (
                    tag_of(each.attribute),
                    each.attribute.name,
                    each.attribute.basic,
                    options(each.attribute),
                    in_words(each.top),
                    in_words(each.items),
                )
                for each in measured
            ),
        )
    )
    for line in sentences(profile, measured):
        click.echo(line)
    if parsed.base is None and any(each.extent is not Extent.EVERYWHERE for each in measured):
        click.echo(f"`base: {BASES[-1]}` puts the basic profile of the standard behind its rules.")


def summary(measured: Sequence[Measured]) -> dict[str, int]:
    """Counts the attributes by where they are treated, and those that options keep."""
    untreated = [each for each in measured if each.extent is Extent.NOWHERE]
    return {
        **{extent.value: sum(each.extent is extent for each in measured) for extent in Extent},
        **{
            option: sum(option in each.kept_by for each in untreated)
            for option in OPTIONS
            if any(option in each.kept_by for each in untreated)
        },
        "nowhere, and kept by no option": sum(not each.kept_by for each in untreated),
    }


def sentences(profile: str, measured: Sequence[Measured]) -> list[str]:
    """Returns the summary for people."""
    counts = summary(measured)
    kept = [f"{counts[option]} by {option}" for option in OPTIONS if option in counts]
    found = [
        f"{profile}: {len(measured)} attributes of PS3.15 E.1-1, edition {EDITION}.",
        f"  {counts[Extent.EVERYWHERE.value]:4} are treated wherever they stand",
        f"  {counts[Extent.TOP_LEVEL.value]:4} at the top level only",
        f"  {counts[Extent.ITEMS.value]:4} in items of sequences only",
        f"  {counts[Extent.NOWHERE.value]:4} nowhere",
    ]
    if kept:
        found.append(f"       of these an option of the standard keeps some: {', '.join(kept)}")
    alone = counts["nowhere, and kept by no option"]
    found.append(f"       of these no option of the standard keeps {alone}")
    return found


def tag_of(attribute: Attribute) -> str:
    """Returns the tag of an attribute, or `private` for all private elements."""
    match attribute.element:
        case Element(tag):
            return format_tag(tag)
        case RepeaterElement() as repeater:
            return format_repeater(repeater)
        case None:
            return PRIVATE


def options(attribute: Attribute) -> str:
    """Returns what the options of the standard do to an attribute, in short."""
    return ", ".join(f"{code} {_SHORT.sub('', name)}" for name, code in attribute.options.items())


def in_words(treatment: Treatment) -> str:
    """Returns what the profile does in one place."""
    by = f" ({', '.join(treatment.by)})" if treatment.by else ""
    return f"{_EFFECTS[treatment.effect]}{by}"


def as_value(measured: Measured) -> dict[str, object]:
    """Returns a row for programs."""
    attribute = measured.attribute
    return {
        "tag": tag_of(attribute),
        "name": attribute.name,
        "since": attribute.since,
        "basic": attribute.basic,
        "options": dict(attribute.options),
        "topLevel": value_of(measured.top),
        "items": value_of(measured.items),
        "treated": measured.extent.value,
    }


def value_of(treatment: Treatment) -> dict[str, object]:
    """Returns a treatment for programs."""
    return {"effect": _EFFECTS[treatment.effect], "by": list(treatment.by)}
