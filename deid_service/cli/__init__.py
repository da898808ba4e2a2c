"""The `deidcascade` command.

Exit codes: 0 all went well; 1 a file was rejected, a profile is invalid, or a
service refused or did not answer; 2 the command line was wrong.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from collections.abc import Callable

# gRPC's list of hosts that it reaches without a proxy; it hides `no_proxy`.
NOT_THROUGH_PROXY = "no_grpc_proxy"

# Where each command is, in the order in which help lists them.
COMMANDS = {
    "up": ("up", "up"),
    "demo": ("demo", "demo"),
    "container": ("containers", "container_group"),
    "profile": ("profiles", "profile_group"),
    "change": ("changes", "change_group"),
    "audit": ("audit", "audit_group"),
    "access": ("access", "access_group"),
    "upload": ("upload", "upload"),
    "apply": ("apply", "apply"),
    "preview": ("preview", "preview"),
    "keys": ("keys", "keys_group"),
    "subjects": ("subjects", "subjects_group"),
    "table": ("tables", "table_group"),
    "health": ("health", "health"),
    "doctor": ("doctor", "doctor"),
}


class CommandsOnDemand(click.Group):
    """Loads the command that is used and no other.

    `health` is run every few seconds in a container, and needs neither the engine
    nor pydicom, which take longer to load than it takes to ask.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Returns the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Returns a command, or None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name]
        # All that is loaded stays: to look for garbage in it takes a seventh of the time.
        gc.disable()
        try:
            command: click.Command = getattr(import_module(f"deid_service.cli.{module}"), name)
        finally:
            gc.freeze()
            gc.enable()
        return command


@click.group(
    "deidcascade", cls=CommandsOnDemand, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda context, _, wanted: _tell_version(context) if wanted else None,
    help="Show which engine this is, as receipts name it, and exit.",
)
def command() -> None:
    """De-identifies DICOM by the profile that the cascade selects."""
    keep_proxies_from_local_services()


def keep_proxies_from_local_services() -> None:
    """Makes gRPC reach services of this machine directly.

    gRPC sends plain-text calls through the machine's web proxy when one is set,
    the calls to localhost too.
    """
    excepted = os.environ.get(NOT_THROUGH_PROXY) or os.environ.get("no_proxy") or ""
    local = "localhost,127.0.0.1,::1"
    os.environ[NOT_THROUGH_PROXY] = f"{excepted},{local}" if excepted else local


def _tell_version(context: click.Context) -> NoReturn:
    # Not above: it takes longer to load than most commands take.
    from deid_service.engine import ENGINE_VERSION

    click.echo(f"deidcascade {ENGINE_VERSION}")
    context.exit()


class Done(SystemExit):
    """The command has ended, and nothing is left of it but memory.

    The system takes that back in a third of the time that Python takes, which looks at all.
    """


def main() -> None:
    """Runs the command; whatever its surroundings lack is said in a sentence."""
    open_standard_streams()
    end: Callable[[int], NoReturn] = sys.exit
    try:
        command(standalone_mode=False)
        code = 0
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except SystemExit as ended:
        code = int(ended.code or 0)
        end = os._exit if isinstance(ended, Done) else end
    except OSError as error:
        code = cannot_write(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = cannot_write(error)
    end(code)


def open_standard_streams() -> None:
    """Puts something in the place of standard streams that are closed.

    What is opened first would get their numbers otherwise, and what is printed would
    go into an output file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # It gets the smallest number that is free.
            os.open(os.devnull, os.O_RDWR)
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows its escape.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def cannot_write(error: OSError) -> int:
    """Says that standard output takes nothing more, and returns the exit code."""
    # What is still held back would be tried again at the end of the program.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    # Who reads a part and closes the pipe wants no more, and no complaint.
    if error.errno != errno.EPIPE:
        sys.stderr.write(f"deidcascade: the output cannot be written: {error.strerror}.\n")
    return 1
