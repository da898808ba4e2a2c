"""Options of a service: command line, else environment, else default."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Infinity is larger.
_LARGEST = sys.float_info.max


class Number:
    """Reads a number that must be within bounds."""

    def __init__(
        self, kind: type[int] | type[float], minimum: float, maximum: float = _LARGEST
    ) -> None:
        """Takes the bounds.

        Args:
            kind: whole numbers, or all that are finite.
            minimum: the smallest.
            maximum: the largest.
        """
        self._kind = kind
        self._minimum = minimum
        self._maximum = maximum

    def __call__(self, text: str) -> float:
        """Returns the number; raises ArgumentTypeError when it is none, or out of bounds."""
        try:
            number = self._kind(text)
        except ValueError:
            number = None
        # What is not a number is not out of bounds either: compare for what is wanted.
        if number is None or not self._minimum <= number <= self._maximum:
            bound = f" and at most {self._maximum:g}" if self._maximum < _LARGEST else ""
            raise argparse.ArgumentTypeError(
                f"must be a number of at least {self._minimum:g}{bound}"
            )
        return number


class Options:
    """Collects the options of a service, each with an environment variable, and reads them."""

    def __init__(
        self, module: str, description: str, environment: Mapping[str, str], prefix: str
    ) -> None:
        """Begins with --help alone.

        Args:
            module: what `python -m` runs.
            description: what the service does, in a sentence.
            environment: the variables.
            prefix: what their names begin with.
        """
        self._environment = environment
        self._prefix = prefix
        self._parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)

    def add(
        self, name: str, kind: type[str] | Number, default: str, text: str, *, variable: str = ""
    ) -> None:
        """Adds an option.

        Args:
            name: as on the command line.
            kind: what reads its text.
            default: its text when nothing is said.
            text: what it is, for --help.
            variable: its environment variable, where that is not named after it.
        """
        variable = variable or self._prefix + name.removeprefix("--").replace("-", "_").upper()
        self._parser.add_argument(
            name,
            type=kind,
            # A default in text goes through `type` like an argument, with its errors.
            default=self._environment.get(variable, default),
            help=f"{text} (default: {default or 'none'}, or {variable})",
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Reads the command line.

        Raises:
            SystemExit: something is wrong (2), or help was asked for (0).
        """
        return self._parser.parse_args(arguments)


def cores() -> int:
    """Returns how many cores there are, at least 1."""
    return os.cpu_count() or 1
