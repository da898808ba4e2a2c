"""What the command prints: tables for people, JSON for programs, failures in a sentence."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TextIO

import click
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from google.protobuf.message import Message

# A pipe has no width; this one is wide enough that names are not folded in it.
PIPE_WIDTH = 200

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class Failure(click.ClickException):
    """The command could not do what was asked; the message says why in a sentence.

    The exit code is 1; misuse of the command line is click's UsageError, with 2.
    """

    exit_code = 1

    def show(self, file: TextIO | None = None) -> None:  # type: ignore[override]
        """Prints the message on standard error."""
        click.echo(f"deidcascade: {printable(self.message)}", file=file or sys.stderr)


def console(*, stderr: bool = False) -> Console:
    """Returns a console on the standard output (or error) of this moment."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, highlight=False, emoji=False, width=None if stream.isatty() else PIPE_WIDTH
    )


def printable(text: str) -> str:
    """Returns a text that cannot steer a terminal: control characters are written as escapes.

    Line feeds stay. Texts from files and from servers go through this.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def cell(text: object, style: str = "") -> Text:
    """Returns a cell of a table, with no markup in it."""
    return Text(printable(str(text)), style=style)


def table(headings: Sequence[str], rows: Iterable[Sequence[Text | str]]) -> Table:
    """Returns a table in the one style that all commands have."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(item if isinstance(item, Text) else cell(item) for item in row))
    return made


def print_json(value: object) -> None:
    """Prints a value as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def as_json_value(message: Message) -> dict[str, object]:
    """Returns a message in the JSON mapping of proto3, with every field there."""
    value: dict[str, object] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return value


def enum_word(name: str, prefix: str) -> str:
    """Returns an enum value as a word for people: `absent` for VERDICT_ABSENT."""
    return name.removeprefix(f"{prefix}_").replace("_", " ").lower()
