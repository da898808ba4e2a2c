"""Options of a service: command line, else environment, else default."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

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

    def read(self, text: str) -> float:
        """Returns the number; raises BadParameter when it is none, or out of bounds."""
        try:
            number = self._kind(text)
        except ValueError:
            number = None
        # What is not a number is not out of bounds either: compare for what is wanted.
        if number is None or not self._minimum <= number <= self._maximum:
            bound = f" and at most {self._maximum:g}" if self._maximum < _LARGEST else ""
            raise click.BadParameter(f"must be a number of at least {self._minimum:g}{bound}")
        return number


class _Option(click.Option):
    """An option whose variable is looked up in the environment that `parse` was given."""

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Returns the text of the variable, or None when it says nothing."""
        environment: Mapping[str, str] = ctx.obj
        return environment.get(str(self.envvar)) or None


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
        self._prefix = prefix
        self._program = f"python -m {module}"
        self._command = click.Command(
            self._program,
            help=description,
            params=[],
            context_settings={"help_option_names": ["-h", "--help"], "obj": environment},
        )

    def add(
        self,
        name: str,
        text: str,
        *,
        default: str = "",
        number: Number | None = None,
        variable: str = "",
    ) -> None:
        """Adds an option.

        Args:
            name: as on the command line.
            text: what it is, for --help.
            default: its text when nothing is said.
            number: reads its text, where that is one.
            variable: its environment variable, where that is not named after it.
        """
        self._append(
            name,
            f"{text} (default: {default or 'none'})",
            variable,
            type=number.read if number else str,
            metavar="NUMBER" if number else "TEXT",
            default=default,
        )

    def add_switch(self, name: str, text: str, *, on: bool) -> None:
        """Adds an option that is 1 or 0.

        Args:
            name: as on the command line.
            text: what either does, for --help.
            on: what it is when nothing is said.
        """
        default = "1" if on else "0"
        self._append(
            name,
            f"{text} (default: {default})",
            type=lambda said: bool(Number(int, 0, 1).read(said)),
            metavar="NUMBER",
            default=default,
        )

    def add_choice(self, name: str, choices: Sequence[str], text: str) -> None:
        """Adds an option that is one of a few words, the first where nothing is said.

        Args:
            name: as on the command line.
            choices: the words.
            text: what they are, for --help.
        """
        self._append(
            name,
            f"{text} (default: {choices[0]})",
            type=click.Choice(choices),
            default=choices[0],
        )

    def add_flag(self, name: str, text: str) -> None:
        """Adds an option that is said or not; its environment variable is 1 for the former.

        Args:
            name: as on the command line.
            text: what it does, for --help.
        """
        self._append(name, text, is_flag=True)

    def _append(self, name: str, text: str, variable: str = "", **how: Any) -> None:
        named = self._prefix + name.removeprefix("--").replace("-", "_").upper()
        # An error about what the variable says names it, too.
        option = _Option([name], help=text, envvar=variable or named, show_envvar=True, **how)
        self._command.params.append(option)

    def parse(self, arguments: Sequence[str]) -> SimpleNamespace:
        """Reads the command line.

        Raises:
            SystemExit: something is wrong (2), or help was asked for (0).
        """
        try:
            with self._command.make_context(self._program, list(arguments)) as context:
                return SimpleNamespace(**context.params)
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except click.exceptions.Exit as ended:
            raise SystemExit(ended.exit_code) from None
