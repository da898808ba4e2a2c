"""`deidcascade profile explain`: what a profile does, in words, and to what in a file."""

from __future__ import annotations

from pathlib import Path

import click

from deid_service.cli.console import Failure, json_option, print_json, printable
from deid_service.cli.sources import PROFILE_FILE, read_bytes, valid_profile
from deid_service.engine import DicomError
from deid_service.preview.elements import Shown, elements
from deid_service.preview.hits import hits
from profile_service.language.explain import explain as sentences_about
from profile_service.language.model import Profile, Rule

# As many elements of one rule as a person reads; --json has all.
MAX_LISTED = 8


@click.command("explain")
@click.argument("profile", metavar="FILE", type=PROFILE_FILE)
@click.option(
    "--on",
    "dicom",
    metavar="DICOM",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also say which elements of this file each rule is about.",
)
@json_option
def explain(profile: str, dicom: Path | None, as_json: bool) -> None:
    """Says in plain words what the profile in FILE (- for standard input) does.

    With --on, the elements of a file that each rule is about, as the file is
    before any rule has run, and the rules that are about none. Values are not shown.
    """
    parsed = valid_profile(profile)
    found = None if dicom is None else elements_of(dicom)
    entries = [
        (sentence, None if found is None or rule is None else paths_of(rule, found, parsed))
        for sentence, rule in sentences_with_rules(parsed)
    ]
    if as_json:
        print_json([{"text": sentence, "elements": paths} for sentence, paths in entries])
        return
    for sentence, paths in entries:
        click.echo(printable(sentence))
        if paths is not None:
            for path in paths[:MAX_LISTED] or [f"nothing in {dicom}"]:
                click.echo(f"    {path}")
            if len(paths) > MAX_LISTED:
                click.echo(f"    and {len(paths) - MAX_LISTED} more")


def sentences_with_rules(profile: Profile) -> list[tuple[str, Rule | None]]:
    """Returns what there is to say; sentences about a rule have it beside them."""
    sentences = sentences_about(profile)
    # Settings come first, and names of files last.
    first = len(sentences) - len(profile.rules) - len(profile.filenames)
    rules: list[Rule | None] = [None] * len(sentences)
    rules[first : first + len(profile.rules)] = profile.rules
    return list(zip(sentences, rules, strict=True))


def elements_of(path: Path) -> list[Shown]:
    """Returns the elements of a file."""
    try:
        return list(elements(read_bytes(path)).values())
    except ValueError as error:
        raise Failure(f"{path}: {error}.") from None


def paths_of(rule: Rule, found: list[Shown], profile: Profile) -> list[str]:
    """Returns the paths of the elements that a rule is about."""
    try:
        return [shown.path for shown in hits(rule, profile, found)]
    except DicomError:
        raise Failure(f"the pattern in line {rule.line} takes too long on this file.") from None
