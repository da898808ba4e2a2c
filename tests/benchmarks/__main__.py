"""Runs benchmarks by name: each module of this package is one.

Usage: python -m tests.benchmarks [NAME...]

A benchmark is a module with a docstring, whose first line says what it
measures, and a function `main() -> int` that prints its result and returns an
exit code.
"""

from __future__ import annotations

import tests.support.environment  # isort: skip  # noqa: F401
import ast
import importlib
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def benchmarks() -> dict[str, str]:
    """Returns the first line of each benchmark's docstring, by its name."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        if not path.name.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = text.partition("\n")[0]
    return found


def main(names: list[str]) -> int:
    """Runs the named benchmarks, or lists all when none is named."""
    known = benchmarks()
    if not names or names[0] in {"help", "-h", "--help"}:
        print("Usage: ./dev bench NAME...\n")
        for name, text in known.items():
            print(f"  {name:<10} {text}")
        return 0
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"No benchmark '{unknown[0]}'. There are: {', '.join(known)}.", file=sys.stderr)
        return 2
    codes: list[int] = [
        importlib.import_module(f"tests.benchmarks.{name}").main() for name in names
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
