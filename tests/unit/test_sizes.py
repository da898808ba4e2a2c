"""Classes and functions stay small enough to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("profile_service", "deid_service")

METHODS = 25
LINES = 80

# How the comment right above a longer function begins, which gives the reason as measured.
REASON = "# Long"

LINE = "    pass\n"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def oversized(source: str) -> Iterator[str]:
    """Finds classes with too many methods, and functions that are long without a reason."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(each, Function) for each in node.body)
            if methods >= METHODS:
                yield f"{node.name}: {methods} methods"
        if isinstance(node, Function):
            begin = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            length = (node.end_lineno or begin) + 1 - node.lineno
            if length >= LINES and not _comment_above(lines, begin).startswith(REASON):
                yield f"{node.name}: {length} lines"


def _comment_above(lines: list[str], number: int) -> str:
    """Returns the comment that ends above a line; empty where there is none."""
    found: list[str] = []
    for line in reversed(lines[: number - 1]):
        if not line.lstrip().startswith("#"):
            break
        found.insert(0, line.strip())
    return "\n".join(found)


def test_what_is_too_large_is_found() -> None:
    """A class of 25 methods and a function of 80 lines are too large, unless a reason is given."""
    methods = "".join(f"    def f{number}(self): ...\n" for number in range(METHODS))
    body = (LINES - 1) * LINE
    text = (
        f"class Large:\n{methods}"
        f"def long():\n{body}"
        f"@cache\nasync def also():\n{body}"
        f"# Long, because two are slower by a tenth.\n@cache\ndef measured():\n{body}"
        f"def short():\n{(LINES - 2) * LINE}"
    )
    assert list(oversized(text)) == ["Large: 25 methods", "long: 80 lines", "also: 80 lines"]
    assert list(oversized(text.replace("def f0(self)", "f0 = lambda self"))) == [
        "long: 80 lines",
        "also: 80 lines",
    ]


def test_nothing_of_the_product_is_too_large() -> None:
    """Each class has less than 25 methods; each function 80 lines, or a reason to be longer."""
    found = [
        f"{file.relative_to(ROOT)}: {each}"
        for folder in PRODUCT
        for file in sorted((ROOT / folder).rglob("*.py"))
        for each in oversized(file.read_text("utf-8"))
    ]
    assert found == []
