"""What a site gives where there is one: keys, and what tables and lists say, from files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from deid_service.cli.console import Failure, printable
from deid_service.engine import Given
from deid_service.preview.keys import NO_KEYS, keys_of
from profile_service.keys.errors import SecretFileError
from profile_service.keys.files import read_secret
from profile_service.language.lookups import TABLE_NAME, uses_of
from profile_service.language.sheets import (
    MAX_LISTED,
    Sheet,
    SheetInvalidError,
    folded,
    rows_by_patient,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deid_service.engine import Keys, Listed, Plan
    from profile_service.language.model import Column, Profile, Violation

CHUNK_BYTES = 1 << 18

# The name of a table, and its file.
TableFile = tuple[str, Path]


class _TableFileType(click.ParamType[TableFile]):
    """NAME=FILE."""

    name = "table"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> TableFile:
        name, _, path = str(value).partition("=")
        if TABLE_NAME.fullmatch(name) is None or not path:
            self.fail("it is NAME=FILE, where NAME is how the profile calls the table.", param, ctx)
        return name, Path(path)


key_file_option = click.option(
    "--key-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key for pseudonyms, as 'deidcascade keys create' makes it.",
)


table_file_option = click.option(
    "--table",
    "table_files",
    metavar="NAME=FILE",
    type=_TableFileType(),
    multiple=True,
    help="The CSV of a table that the profile looks patients up in, or of a list that it names.",
)


class _Listed(NamedTuple):
    """What a table says of a patient.

    Attributes:
        known_by: what tells the patient from all others.
        values: of the columns that are looked up, in their order.
    """

    known_by: str
    values: tuple[str, ...]


class Tables(NamedTuple):
    """Tables at hand.

    Attributes:
        given: tells what a patient was given, by what the patient is known by.
        listed_for: returns what no text says, by lists and by the profile of a plan.
        names: which tables they are, each with the digest of its file, in their order.
    """

    given: Callable[[str], Given]
    listed_for: Callable[[Plan], Listed]
    names: tuple[str, ...]


def keys_for(profile: Profile, file: Path | None) -> Keys:
    """Returns the keys that a profile needs, from a file; none of them where it needs none.

    Raises:
        Failure: it needs keys, and there is no file, or none in it.
    """
    if profile.codes is not None:
        raise Failure(
            "the profile gives patients codes, which ProfileService keeps: upload the files."
        )
    if not profile.key_purposes:
        return NO_KEYS
    if file is None:
        raise Failure(
            "the profile makes pseudonyms with a key: name its file with --key-file. "
            "'deidcascade keys create FILE' makes one."
        )
    return keys_of(profile, secret_in(file))


def secret_in(file: Path) -> bytes:
    """Returns the key in a file, 32 bytes; Failure where it has none."""
    try:
        return read_secret(file)
    except SecretFileError as error:
        raise Failure(f"{error}.") from None


def tables_for(profile: Profile, files: Sequence[TableFile]) -> Tables:
    """Returns the tables that a profile looks patients up in, and the lists that it names.

    Raises:
        Failure: a table that the profile needs is not there, or not as it needs it.
    """
    columns_of = _columns_of(profile)
    named = dict(files)
    if len(named) < len(files) or named.keys() - columns_of.keys():
        odd = min(named.keys() - columns_of.keys(), default="")
        raise Failure(
            f"the profile looks nothing up in a table {odd}." if odd else "a table is named twice."
        )
    if missing := sorted(columns_of.keys() - named.keys()):
        raise Failure(
            f"the profile needs the table {missing[0]}: name its file with "
            f"--table {missing[0]}=FILE."
        )
    ignores_case = profile.settings.pseudonyms.ignore_case
    read = {name: _read(profile, columns_of[name], path) for name, path in sorted(named.items())}
    tables = [(columns_of[name], rows) for name, (rows, _) in read.items()]
    lists = profile.settings.words.lists
    said_by_lists = {
        column: [value for row in rows.values() if (value := row.values[columns.index(column)])]
        for columns, rows in tables
        for column in columns
        if column in lists
    }
    if sum(map(len, said_by_lists.values())) > MAX_LISTED:
        raise Failure(f"the lists have more than {MAX_LISTED} words together.")

    def given(known_by: str) -> Given:
        said: dict[Column, str] = {}
        for columns, rows in tables:
            listed = rows.get(folded(known_by))
            if listed is not None and (ignores_case or listed.known_by == known_by):
                said.update(zip(columns, listed.values, strict=True))
        return Given(said={column: value for column, value in said.items() if value})

    names = tuple(f"{name}@sha256:{digest}" for name, (_, digest) in read.items())
    return Tables(given, lambda plan: plan.listed(said_by_lists), names)


def _columns_of(profile: Profile) -> dict[str, tuple[Column, ...]]:
    """Returns what a profile needs of tables, by their names."""
    needed = sorted({*profile.columns, *profile.settings.words.lists})
    names = {column.table for column in needed}
    return {name: tuple(each for each in needed if each.table == name) for name in names}


def _read(profile: Profile, needed: Sequence[Column], path: Path) -> tuple[dict[str, _Listed], str]:
    """Reads a table as far as a profile needs it; returns its digest, too, in hex."""
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                yield chunk

    wanted = [column.name for column in needed]
    try:
        sheet = Sheet(chunks(), uses_of(profile, needed[0].table))
        if absent := [column for column in wanted if column not in sheet.columns]:
            raise Failure(f"{path} has no column {absent[0]}, which the profile needs.")
        places = [sheet.columns.index(column) for column in wanted]
        rows = rows_by_patient(
            sheet,
            lambda row: _Listed(row.known_by, tuple(row.values[place] for place in places)),
        )
        return rows, digest.hexdigest()
    except SheetInvalidError as error:
        print_violations(path, error.violations)
        raise Failure(f"{path} is not a valid table.") from None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}.") from None


def print_violations(path: Path, violations: Sequence[Violation]) -> None:
    """Prints on standard error what is wrong with a table, each with its line."""
    for line in _lines(path, violations):
        click.echo(printable(line), err=True)


def _lines(path: Path, violations: Sequence[Violation]) -> Iterator[str]:
    for each in violations:
        place = f"{path}:{each.line}" if each.line else f"{path}"
        column = f" column {each.path}:" if each.path else ""
        yield f"{place}:{column} {each.code}: {each.message}"
