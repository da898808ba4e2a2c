"""`deidcascade profile expand`: what the base of a profile does, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from deid_service.cli.console import json_option, print_json
from deid_service.cli.sources import PROFILE_FILE, valid_profile
from deid_service.cli.terminal import console, table
from profile_service.language.dictionary import format_repeater, format_tag, name_of
from profile_service.language.model import (
    ACTION_NAMES,
    Element,
    ReplaceWith,
    Treatment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from profile_service.language.model import Base, Choice

# What is done, by what the IOD of a file needs.
_NEEDS: Final = {
    "valued": "NEEDS A VALUE",
    "present": "NEEDS IT",
    "free": "NEEDS NOTHING",
    "unknown": "IOD UNKNOWN",
    "items": "IN ITEMS",
}


@click.command("expand")
@click.argument("profile", metavar="FILE", type=PROFILE_FILE)
@json_option
def expand(profile: str, as_json: bool) -> None:
    """Shows what the base of the profile in FILE (- for standard input) stands for.

    For each element: what is done where the IOD of a file needs a value of it, where it
    needs the element though it may be empty, where it can do without, and where the IOD
    is not known. The rules of the profile go before that.
    """
    base = valid_profile(profile).base
    if base is None:
        if as_json:
            print_json({"base": None})
        else:
            click.echo(f"{profile}: no base. What no rule selects stays as it is.")
        return
    if as_json:
        print_json(
            {
                "base": base.name,
                "options": list(base.options),
                "elements": [as_value(*row) for row in rows(base)],
                "safePrivate": len(base.private),
            }
        )
        return
    console().print(
        table(
            ("TAG", "ELEMENT", *_NEEDS.values()),
            ((tag, name, *words(choice).values()) for tag, name, choice in rows(base)),
        )
    )
    for line in sentences(base):
        click.echo(line)


def rows(base: Base) -> Iterator[tuple[str, str, Choice]]:
    """Yields the elements that a base names, then VRs, each with what is done."""
    for tag, choice in sorted(base.elements.items()):
        name = name_of(Element(tag))
        yield format_tag(tag), "" if name == format_tag(tag) else name, choice
    for element, choice in base.ranges:
        yield format_repeater(element), name_of(element), choice
    for vr, choice in base.by_vr.items():
        yield vr, "every other element of this VR", choice
    yield "unknown", "every public element that no dictionary knows", base.strangers


def words(choice: Choice) -> dict[str, str]:
    """Returns what is done, by what the IOD needs."""
    items = choice.unknown if choice.items is None else choice.items
    return {
        "valued": in_words(choice.valued),
        "present": in_words(choice.present),
        "free": in_words(choice.free),
        "unknown": in_words(choice.unknown),
        "items": "as at the top" if choice.items is None else in_words(items),
    }


def in_words(treatment: Treatment) -> str:
    """Returns what is done, and what becomes of a value that it cannot be done to."""
    action = treatment.action
    word = "empty" if isinstance(action, ReplaceWith) else ACTION_NAMES[type(action)]
    outcome = "" if treatment.on_error in {"reject", word} else f", or {treatment.on_error}"
    return word + outcome


def as_value(tag: str, name: str, choice: Choice) -> dict[str, str]:
    """Returns a row for programs."""
    return {"tag": tag, "name": name, **words(choice)}


def sentences(base: Base) -> list[str]:
    """Returns what stands in no row."""
    options = ", ".join(base.options) or "no options"
    private = (
        f"{len(base.private)} private elements that are safe stay, but for what their VRs say; "
        "all others go."
        if base.private
        else "All private elements go."
    )
    return [f"{base.name} with {options}.", private, "What stands in no row stays as it is."]
