"""What the command shows on a terminal: tables for people.

Apart from what else is printed: the library takes longer to load than most commands take, and
those that show no table do without.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deid_service.cli.console import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# A pipe has no width; this one is wide enough that names are not folded in it.
PIPE_WIDTH = 200


def console(*, stderr: bool = False) -> Console:
    """Returns a console on the standard output (or error) of this moment."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        file=stream, highlight=False, emoji=False, width=None if stream.isatty() else PIPE_WIDTH
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
