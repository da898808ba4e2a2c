"""Command line, environment and defaults."""

from __future__ import annotations

import pytest

from deid_service.serving.config import Config, parse
from deid_service.serving.limits import Limits
from profile_service.serving.cpus import cores


def test_the_defaults() -> None:
    """Nothing need be said: one worker per core, and the limits' own defaults."""
    assert parse([], {}) == Config(
        listen="127.0.0.1:50052",
        profile_service="127.0.0.1:50051",
        workers=cores(),
        drain_seconds=30,
        limits=Limits(),
    )


def test_arguments_come_before_the_environment() -> None:
    """Each option has a variable, and the command line wins."""
    variables = {
        "DEIDCASCADE_DEID_LISTEN": "0.0.0.0:1",
        "DEIDCASCADE_PROFILE_SERVICE": "profiles:2",
        "DEIDCASCADE_DEID_WORKERS": "3",
        "DEIDCASCADE_DEID_IDLE_SECONDS": "4.5",
    }

    config = parse(["--workers", "5"], variables)

    assert (config.listen, config.profile_service) == ("0.0.0.0:1", "profiles:2")
    assert (config.workers, config.limits.idle_seconds) == (5, 4.5)


@pytest.mark.parametrize(
    "option",
    ["--workers=0", "--workers=x", "--idle-seconds=0", "--idle-seconds=nan", "--max-streams=1.5",
     "--drain-seconds=inf", "--max-file-bytes=-1", "--unknown=1"],
)  # fmt: skip
def test_what_makes_no_sense_is_misuse(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be is refused with the option's name and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parse([option], {})

    assert ended.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err


def test_a_variable_that_makes_no_sense_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in the environment is refused with the variable's name and exit code 2."""
    with pytest.raises(SystemExit) as ended:
        parse([], {"DEIDCASCADE_DEID_WORKERS": "many"})

    assert ended.value.code == 2
    assert "DEIDCASCADE_DEID_WORKERS" in capsys.readouterr().err
