"""What comes from files and servers cannot steer a terminal."""

from __future__ import annotations

import os

import pytest
from deidcascade.v1 import profile_service_pb2 as pb
from grpc_health.v1.health_pb2 import HealthCheckResponse

from deid_service.cli.console import enum_name, enum_word, printable, readable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ünïcode 名前", "Ünïcode 名前"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
    ],
)
def test_control_characters_are_escaped(text: str, expected: str) -> None:
    """Control characters and direction marks are written as escapes, all else as it is."""
    assert printable(text) == expected


def test_enum_values_become_words() -> None:
    """An enum value loses its prefix and its underscores."""
    assert enum_word(pb.Verdict, pb.VERDICT_NOT_CONSULTED) == "not consulted"


def test_enum_values_of_a_newer_service_are_numbers() -> None:
    """A value that this build does not know is shown by its number."""
    assert enum_name(pb.Verdict, 99) == "UNKNOWN_99"
    assert enum_name(HealthCheckResponse.ServingStatus, 1) == "SERVING"


def test_names_that_are_not_utf8_can_be_read() -> None:
    """A byte of a file name that is not UTF-8 is written as an escape, and the rest as it is."""
    name = os.fsdecode("é".encode() + b"-\xe9.dcm")

    assert readable(name) == "é-\\xe9.dcm"
    assert printable(name) == readable(name)
