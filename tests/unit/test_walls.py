"""The walls between rooms stand everywhere: pyproject.toml has a line for each package."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
OURS = ("profile_service", "deid_service", "deidcascade")

# Names of types that come with the type checker.
PYTHONS = {*sys.stdlib_module_names, "_typeshed"}


def test_every_package_from_elsewhere_has_a_wall() -> None:
    """Who may import a package that is neither ours nor Python's is said for each of them."""
    graph = grimp.build_graph(*OURS, include_external_packages=True)
    used = {name.partition(".")[0] for name in graph.modules} - {*OURS, *PYTHONS}
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    walled = {
        name
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract["type"] == "protected"
        for name in contract["protected_modules"]
    }

    assert used - walled == set()
