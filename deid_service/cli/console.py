"""What the command prints: texts that steer no terminal, JSON for programs, failures."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

import click
from google.protobuf.json_format import MessageToDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class EnumOfMessages(Protocol):
    """What the generated code has for an enum."""

    def items(self) -> Sequence[tuple[str, int]]:
        """Returns names and numbers."""
        ...


class Failure(click.ClickException):
    """The command could not do what was asked; the message says why in a sentence.

    The exit code is 1; misuse of the command line is click's UsageError, with 2.
    """

    exit_code = 1

    def show(self, file: TextIO | None = None) -> None:  # type: ignore[override]
        """Prints the message on standard error."""
        click.echo(f"deidcascade: {printable(self.message)}", file=file or sys.stderr)


def printable(text: str) -> str:
    """Returns a text that cannot steer a terminal: control characters are written as escapes.

    Line feeds stay. Texts from files and from servers go through this.
    """
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in readable(text)
    )


def readable(text: str) -> str:
    """Returns a text that is UTF-8: bytes of file names that are not are written as escapes."""
    if text.isascii():
        return text
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def print_json(value: object) -> None:
    """Prints a value as JSON."""
    # As bytes: JSON is UTF-8, whatever the terminal has (RFC 8259, 8.1).
    click.echo(json.dumps(value, indent=2, ensure_ascii=False).encode())


def as_json_value(message: Message) -> dict[str, object]:
    """Returns a message in the JSON mapping of proto3, with every field there."""
    value: dict[str, object] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return value


def enum_name(kind: EnumOfMessages, number: int) -> str:
    """Returns the name of an enum value without the name of the enum: `ABSENT`.

    A value that a newer service has added is there by its number.
    """
    names = {value: name for name, value in kind.items()}
    # The names of all values begin with that of the enum, as the one for 0 does.
    prefix, unspecified, _ = names[0].rpartition("UNSPECIFIED")
    name = names.get(number, f"UNKNOWN_{number}")
    return name.removeprefix(prefix) if unspecified else name


def enum_word(kind: EnumOfMessages, number: int) -> str:
    """Returns an enum value as a word for people: `absent` for VERDICT_ABSENT."""
    return enum_name(kind, number).replace("_", " ").lower()
