"""Lines of the log."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta

import pytest

from profile_service.serving import logs
from profile_service.serving.logs import GATHERED_LINES, Log, origin
from tests.support.processes import child


def test_a_line_is_an_event_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    """Fields come in order, seconds to the microsecond, and the empty text not at all."""
    with caplog.at_level(logging.INFO, "some_service"):
        Log("some_service").write("call", code="OK", reason="", count=3, seconds=0.25)

    assert caplog.record_tuples == [
        ("some_service", logging.INFO, "event=call code=OK count=3 seconds=0.250000")
    ]


def test_a_percent_sign_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """Fields are text, not a format."""
    with caplog.at_level(logging.INFO, "some_service"):
        Log("some_service").write("call", level=logging.ERROR, cause="100%s")

    assert caplog.messages == ["event=call cause=100%s"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a\nevent=forged", '"a\\nevent=forged"'),
        ("a code=OK", '"a code=OK"'),
        ('say "x"', '"say \\"x\\""'),
        ("\u2028\x1b[2J", '"\\u2028\\u001b[2J"'),
        ("sites/s", "sites/s"),
    ],
)
def test_what_is_logged_is_escaped(caplog: pytest.LogCaptureFixture, name: str, told: str) -> None:
    """A name from outside makes neither a line nor a field of its own."""
    with caplog.at_level(logging.INFO, "some_service"):
        Log("some_service").write("call", profile=name)

    assert caplog.messages == [f"event=call profile={told}"]


def test_lines_below_the_level_are_not_written(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens nothing is written."""
    with caplog.at_level(logging.ERROR, "some_service"):
        Log("some_service").write("call")

    assert caplog.messages == []


_BOTH = """
from profile_service.serving.logs import Log
log = Log("some_service")
log.set_up(as_json=%s)
log.write("call", code="OK", reason="", count=3, seconds=0.25, name="a b\\u2028")
"""


def written(*, as_json: bool) -> list[str]:
    """Returns what a process writes with one of the formats, in a time zone west of Greenwich."""
    done = subprocess.run(
        [sys.executable, "-c", _BOTH % as_json],
        env=os.environ | {"TZ": "XXX+03:30"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()


def test_a_line_has_a_moment_that_is_one_everywhere() -> None:
    """The time of a line has its distance from UTC."""
    (line,) = written(as_json=False)

    moment, level, name, text = line.split(" ", 3)
    assert datetime.fromisoformat(moment).utcoffset() == timedelta(hours=-3, minutes=-30)
    assert (level, name.partition("[")[0]) == ("INFO", "some_service")
    assert text == 'event=call code=OK count=3 seconds=0.250000 name="a b\\u2028"'


def test_lines_as_json() -> None:
    """Each line is an object with the same fields; numbers are numbers."""
    (line,) = written(as_json=True)

    said = json.loads(line)
    assert datetime.fromisoformat(said.pop("time")).utcoffset() is not None
    assert isinstance(said.pop("process"), int)
    assert said == {
        "level": "INFO",
        "service": "some_service",
        "event": "call",
        "code": "OK",
        "count": 3,
        "seconds": 0.25,
        "name": "a b\u2028",
    }


# Writes lines as a service does, and ends as told.
_SERVICE = """
import logging, os, sys
from profile_service.serving import logs
log = logs.Log("some_service")
log.set_up()
exec(sys.argv[1])
"""


def lines_of(code: str) -> list[str]:
    """Returns the lines that a process has written when it is gone."""
    finished = subprocess.run(
        [sys.executable, "-c", _SERVICE, code], capture_output=True, text=True, check=True
    )
    return [line.partition("event=")[2] for line in finished.stderr.splitlines()]


def test_the_end_of_a_process_loses_no_line() -> None:
    """What was gathered is written before the process ends."""
    assert lines_of("for n in range(3): log.write_soon('call', count=n)") == [
        "call count=0",
        "call count=1",
        "call count=2",
    ]


def test_an_error_is_written_at_once() -> None:
    """With it comes what was gathered before, in order, whatever happens to the process next."""
    code = "log.write_soon('call'); log.write_soon('fault', level=logging.ERROR); os._exit(0)"

    assert lines_of(code) == ["call", "fault"]


def test_a_line_brings_those_before_it() -> None:
    """What is written at once comes after what was gathered."""
    assert lines_of("log.write_soon('call'); log.write('drain'); os._exit(0)") == ["call", "drain"]


def test_lines_that_nobody_takes_do_not_pile_up() -> None:
    """When many wait, a line is written at once, and all before it."""
    code = "logs.GATHER_SECONDS = 60.0\n"
    code += "for n in range(logs.GATHERED_LINES + 1): log.write_soon('call')\nos._exit(0)"

    assert lines_of(code) == ["call"] * (GATHERED_LINES + 1)


# Writes lines while nobody reads standard error, then what it says on standard output.
_UNREAD = """
for n in range(logs.MAX_WAITING_LINES + 5000): log.write_soon('call', count=n)
log.write('drain')
print('served', flush=True)
sys.stdin.read()
"""


def test_a_log_that_nobody_reads_stops_nobody() -> None:
    """Lines beyond the bound are left out, which is said where the log is read again."""
    with child(
        subprocess.Popen(
            [sys.executable, "-c", _SERVICE, _UNREAD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "served\n"
        assert process.stderr is not None
        lines, dropped = 0, 0
        for line in process.stderr:
            lines += "event=call" in line
            dropped = int(line.partition("event=log_dropped lines=")[2] or dropped)
            if lines + dropped >= logs.MAX_WAITING_LINES + 5000:
                break
        process.communicate()

    assert dropped > 0


def test_a_closed_standard_error_stops_nobody() -> None:
    """A service whose standard error is closed goes on."""
    code = "os.close(2); log.write('call'); log.write('call'); print('served')"
    finished = subprocess.run(
        [sys.executable, "-c", _SERVICE, code], capture_output=True, text=True, check=True
    )

    assert finished.stdout == "served\n"


def test_a_line_is_written_soon() -> None:
    """Lines come without an end of the process, and with the time at which they were told."""
    code = "log.write_soon('call'); sys.stdin.read()"
    with child(
        subprocess.Popen(
            [sys.executable, "-c", _SERVICE, code],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.communicate()

    assert line.endswith(f"INFO some_service[{process.pid}] event=call\n")


def test_the_origin_of_an_error_is_its_place() -> None:
    """An exception is told by type and place, never by its text, which may hold a value."""
    try:
        int("Jane Doe")
    except ValueError as error:
        told = origin(error)

    assert told.startswith("ValueError@test_serving_logs.py:")
    assert "Jane" not in told
    assert origin(KeyError("Jane")) == "KeyError"
