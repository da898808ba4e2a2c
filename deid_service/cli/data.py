"""Where the embedded mode keeps its data."""

from __future__ import annotations

from pathlib import Path

import click
import platformdirs


def default_data_folder() -> Path:
    """Returns the folder that keeps the data of this user.

    Raises:
        UsageError: there is none: the user has no home.
    """
    try:
        return Path(platformdirs.user_data_dir("deid-cascade", appauthor=False))
    except RuntimeError:
        raise click.UsageError("This user has no home: give a folder with --data.") from None


def shown_data_folder() -> str:
    """Returns the same for --help, which shows something to everybody."""
    try:
        return str(default_data_folder())
    except click.UsageError:
        return "in the home of the user"
