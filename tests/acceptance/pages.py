"""What pages of the documentation hold that can be run, and a person who runs it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tests.acceptance.conftest import PATIENCE_SECONDS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Installation, Up

PAGES = sorted(
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)


def text_of(page: str) -> str:
    """Returns the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Returns the code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def commands(page: str, name: str) -> list[str]:
    """Returns the commands of a program that stand in the text of a page."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    # What a line says of its command stands apart from it.
    lines = [line.partition("  ")[0] for line in re.findall(r"^    (\S.*)$", prose, re.MULTILINE)]
    return [each for each in spans + lines if each.startswith(f"{name} ")]


def shell(
    installation: Installation, up: Up, folder: Path, script: str, programs: Path | None = None
) -> str:
    """Runs a script as a person would, in a folder, and returns what it printed."""
    return shell_with(installation, up.addresses, folder, script, programs)


def shell_with(
    installation: Installation,
    variables: dict[str, str],
    folder: Path,
    script: str,
    programs: Path | None = None,
) -> str:
    """Runs a script with some environment variables; see `shell`."""
    environment = installation.environment(**variables)
    path = [str(installation.site / "bin"), *([str(programs)] if programs else [])]
    environment["PATH"] = ":".join([*path, environment["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        # Whoever is asked says so.
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout
