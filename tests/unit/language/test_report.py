"""Problems, printed the way a compiler does."""

from __future__ import annotations

from profile_service.language import Violation, check_profile
from profile_service.language.report import render


def violation(line: int, column: int, suggestion: str = "") -> Violation:
    """A violation at a place."""
    return Violation("SOME_CODE", "dicom.fields[0]", line, column, "It is wrong.", suggestion)


def test_block() -> None:
    """A problem is its place, path and code, its sentence, the line and a caret."""
    source = "dicom:\n  fields:\n    - name: PatientNme\n      remove: true\n"

    checked = check_profile(source)

    expected = """\
profile.yaml: line 3, column 13  dicom.fields[0].name  UNKNOWN_KEYWORD
  'PatientNme' is not a DICOM keyword. Did you mean 'PatientName'?
  3 |     - name: PatientNme
    |             ^"""
    assert expected == render(source, checked.violations, checked.warnings, name="profile.yaml")


def test_nothing_to_say() -> None:
    """Without problems there is no text."""
    assert render("dicom: {}", (), ()) == ""


def test_warnings_follow() -> None:
    """Warnings stand after the violations, and say that they are warnings."""
    rendered = render("a\nb\n", [violation(2, 1)], [violation(1, 1)])

    headings = [line for line in rendered.splitlines() if "SOME_CODE" in line]
    assert headings == [
        "line 2, column 1  dicom.fields[0]  SOME_CODE",
        "line 1, column 1  dicom.fields[0]  warning SOME_CODE",
    ]


def test_no_place() -> None:
    """A problem of the document as a whole has no line."""
    assert render("a", [violation(0, 0)], ()).splitlines() == [
        "document  dicom.fields[0]  SOME_CODE",
        "  It is wrong.",
    ]


def test_caret_in_a_long_line() -> None:
    """A long line is cut around the place, and the caret stays under it."""
    source = "x" * 200 + "HERE" + "y" * 200

    line, caret = render(source, [violation(1, 201)], ()).splitlines()[-2:]

    assert len(line) < 110
    assert line[caret.index("^") :].startswith("HERE")


def test_caret_after_a_tab() -> None:
    """A tab is one column wide, so that the caret stands right."""
    line, caret = render("\t\tHERE", [violation(1, 3)], ()).splitlines()[-2:]

    assert line[caret.index("^") :] == "HERE"


def test_nothing_that_a_terminal_obeys() -> None:
    """Control characters of the text are not printed."""
    rendered = render("a\x1b[2Jb\u202ec", [violation(1, 1)], ())

    assert all(char.isprintable() or char == "\n" for char in rendered)


def test_lines_are_those_of_yaml() -> None:
    """Lines are counted as YAML counts them, whatever ends them."""
    source = "dicom:\r\n  fields:\r    - name: PatientNme\x85      remove: true\u2028"

    found = check_profile(source).violations[0]

    assert (found.line, found.column) == (3, 13)
    assert "  3 |     - name: PatientNme" in render(source, [found], ())
