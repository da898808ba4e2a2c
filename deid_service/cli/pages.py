"""Pages for a browser: one file that holds all it needs, and asks no network for anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deid_service.cli.console import Failure, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATE = "page.html"

# What is no longer than a tag, a date or an outcome stays on one line, however narrow it gets.
SHORT = 14

html_option = click.option(
    "--html",
    "page",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write a page for a browser into FILE; the values of the files are in it.",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is in it.
        kind: how it looks: "old", "new", "bad", "dim" or as the rest.
    """

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page.

    Attributes:
        heading: above it.
        columns: of its table.
        rows: of its table.
        pictures: data URIs of pictures beside each other, each with what it shows.
    """

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    pictures: Sequence[tuple[str, str]] = field(default=())


def page_of(title: str, sections: Sequence[Section]) -> str:
    """Returns a page."""
    template = files(__package__).joinpath(TEMPLATE).read_text("utf-8")
    body = "\n".join(map(_section, sections))
    before, after = template.split("{body}")
    return before.replace("{title}", _text(title)) + body + after


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Writes a page.

    Raises:
        Failure: it cannot be written.
    """
    try:
        path.write_text(page_of(title, sections), encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}.") from error


def _section(section: Section) -> str:
    pictures = "".join(
        f'<figure><img src="{escape(uri)}" alt="{_text(what)}"><figcaption>{_text(what)}'
        "</figcaption></figure>"
        for uri, what in section.pictures
    )
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in section.columns)
    rows = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return (
        f"<section><h2>{_text(section.heading)} <span class=count>{len(section.rows)}</span></h2>"
        f"{pictures}{table if section.rows else ''}</section>"
    )


def _cell(cell: str | Cell) -> str:
    shown = cell if isinstance(cell, Cell) else Cell(cell)
    text = _text(shown.text)
    short = "short" if len(text) <= SHORT else ""
    kinds = " ".join(filter(None, (shown.kind, short)))
    return f'<td class="{kinds}">{text}</td>' if kinds else f"<td>{text}</td>"


def _text(text: str) -> str:
    return escape(printable(text))
