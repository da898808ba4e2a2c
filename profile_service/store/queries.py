"""The statements of `queries.sql`, by name."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "-- name: "


def _load() -> Mapping[str, str]:
    """Reads the file; lines that are comments as a whole are not sent."""
    queries: dict[str, list[str]] = {}
    lines: list[str] = []
    text = resources.files("profile_service.store").joinpath("queries.sql").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith(_NAME):
            lines = queries.setdefault(line.removeprefix(_NAME), [])
        elif not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(lines).strip() for name, lines in queries.items()}


QUERIES = _load()
