"""The image is made of what pyproject.toml asks for, in versions that were tried."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def test_pins_are_what_the_project_allows() -> None:
    """Each dependency is pinned, in a version within its bounds: `./dev pin` renews them."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    pins = dict(
        re.findall(r"^([^#=]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    )
    wanted = [Requirement(each) for each in pyproject["project"]["dependencies"]]

    allowed = [each.name for each in wanted if each.specifier.contains(pins.get(each.name, ""))]

    assert [each.name for each in wanted] == allowed


def test_image_installs_the_pins() -> None:
    """The image is given the file of pins, and pip is told to hold to it."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")

    assert re.search(r"^COPY .*constraints\.txt", dockerfile, re.MULTILINE)
    assert "--constraint constraints.txt" in dockerfile
    assert "!constraints.txt" in (ROOT / ".dockerignore").read_text("utf-8")
