"""The statements of `queries.sql`, by name."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = "-- name: "
_PART = "-- part: "


def _load() -> Mapping[str, str]:
    """Reads the file; lines that are comments as a whole are not sent."""
    queries: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    lines: list[str] = []
    text = resources.files("profile_service.store").joinpath("queries.sql").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith(_NAME):
            lines = queries.setdefault(line.removeprefix(_NAME), [])
        elif line.startswith(_PART):
            lines = parts.setdefault(line.removeprefix(_PART), [])
        elif not line.startswith("--"):
            lines.append(line)
    said = {name: "\n".join(lines).strip() for name, lines in queries.items()}
    for name, lines in parts.items():
        part = "\n".join(lines).strip()
        said = {query: text.replace(f"{{{name}}}", part) for query, text in said.items()}
    return said


QUERIES = _load()
