"""Command line, environment and defaults of ProfileService."""

from __future__ import annotations

import pytest

from profile_service.config import Config, parse
from profile_service.serving.cpus import cores


def test_the_defaults() -> None:
    """Nothing need be said: one worker per core, and libpq's own variables."""
    assert parse([], {}) == Config(listen="127.0.0.1:50051", database="", workers=min(cores(), 40))


def test_arguments_come_before_the_environment() -> None:
    """Each option has a variable, and the command line wins."""
    variables = {
        "DEIDCASCADE_PROFILE_LISTEN": "0.0.0.0:1",
        "DEIDCASCADE_DATABASE": "host=a",
        "DEIDCASCADE_PROFILE_WORKERS": "3",
    }

    assert parse([], variables) == Config(listen="0.0.0.0:1", database="host=a", workers=3)
    assert parse(["--workers=5", "--database=host=b"], variables) == Config(
        listen="0.0.0.0:1", database="host=b", workers=5
    )


@pytest.mark.parametrize("workers", range(1, 41))
def test_workers_share_what_postgresql_has(workers: int) -> None:
    """Each worker has a connection of each kind, and by default all fit twice into 100."""
    config = parse([f"--workers={workers}"], {})

    assert 1 <= config.writers <= config.readers <= 4
    assert workers * (config.readers + config.writers) <= max(40, 2 * workers)


@pytest.mark.parametrize("option", ["--workers=0", "--workers=41", "--workers=x", "--unknown=1"])
def test_what_makes_no_sense_is_misuse(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be is refused with the option's name and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parse([option], {})

    assert ended.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err


def test_help_tells_no_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """A connection string of the environment may hold a password, which help does not print."""
    with pytest.raises(SystemExit):
        parse(["--help"], {"DEIDCASCADE_DATABASE": "password=secret"})

    assert "secret" not in capsys.readouterr().out


def test_a_variable_that_makes_no_sense_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in the environment is refused with the variable's name and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parse([], {"DEIDCASCADE_PROFILE_WORKERS": "many"})

    assert ended.value.code == 2
    assert "DEIDCASCADE_PROFILE_WORKERS" in capsys.readouterr().err
