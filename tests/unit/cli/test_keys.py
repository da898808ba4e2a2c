"""Keys in files: made once, read by their owner alone, shown by id only."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pydicom
import pytest
from click.testing import CliRunner
from pydicom.data import get_testdata_file

from deid_service.cli import command
from profile_service.keys.derivation import stream_keys
from profile_service.keys.errors import SecretFileError
from profile_service.keys.files import read_secret, write_secret, written

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = """\
dicom:
  pseudonyms: {shift-days: [-365, -30]}
  fields:
    - {name: PatientID, keyed-hash: true}
    - {name: PatientName, pseudonym: true}
    - {regex: '.*Date$', keyed-shift: true}
    - {regex: '.*UID$', keyed-uid: true}
"""
CT = str(get_testdata_file("CT_small.dcm"))


def run(*arguments: str | Path) -> tuple[int, str]:
    """Runs a command; returns its exit code and all that it printed."""
    result = CliRunner().invoke(command, [str(each) for each in arguments])
    return result.exit_code, result.output


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A profile that needs a key."""
    path = tmp_path / "profile.yaml"
    path.write_text(PROFILE)
    return path


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A key is the owner's alone, no two are alike, and none is written over."""
    path = tmp_path / "a.key"
    code, told = run("keys", "create", path)
    run("keys", "create", tmp_path / "b.key")
    secret = read_secret(path)

    assert code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret != read_secret(tmp_path / "b.key")
    assert run("keys", "create", path)[0] == 1
    assert read_secret(path) == secret
    key_id = run("keys", "show", path)[1].strip()
    assert key_id in told
    assert written(secret) not in told


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """What others can read is no secret."""
    path = tmp_path / "a.key"
    write_secret(path)
    path.chmod(mode)

    with pytest.raises(SecretFileError, match="by everybody"):
        read_secret(path)


@pytest.mark.parametrize("text", ["", "deidcascade-key-1:", "deidcascade-key-1:AAAA", "A" * 44])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    """The message says so, and not what stands there."""
    path = tmp_path / "a.key"
    path.touch(0o600)
    path.write_text(text)

    with pytest.raises(SecretFileError, match="holds no key: ") as error:
        read_secret(path)
    assert not text or text not in str(error.value)


def test_keys_differ_by_purpose_scope_and_secret() -> None:
    """No key is another's, nor says anything about it; the same is derived again."""
    made = [
        stream_keys(secret, scope, ("hash", "uid", "shift"))
        for secret in (b"a" * 32, b"b" * 32)
        for scope in ("project 1", "project 2")
    ]

    keys = [key for each in made for key in each.keys.values()]
    assert len(set(keys)) == len(keys) == 12
    assert len({each.id for each in made}) == 4
    assert stream_keys(b"a" * 32, "project 1", ("hash", "uid", "shift")) == made[0]
    assert stream_keys(b"a" * 32, "project 1", ("uid",)).keys == {"uid": made[0].keys["uid"]}
    assert repr(made[0]) == f"StreamKeys({made[0].id!r})"


def test_apply(tmp_path: Path, profile: Path) -> None:
    """Files have the same pseudonyms with the same key, and others with another."""
    ids = []
    for number, key in enumerate(("a", "a", "b")):
        path, out = tmp_path / f"{key}.key", tmp_path / str(number)
        run("keys", "create", path)
        code, told = run("apply", "--profile", profile, "--key-file", path, CT, "--out", out)
        (output,) = out.glob("*.dcm")
        ids.append(pydicom.dcmread(output).PatientID)
        assert code == 0
        assert f"key {run('keys', 'show', path)[1].strip()}" in told

    assert ids[0] == ids[1] != ids[2]
    assert pydicom.dcmread(output).PatientName == ids[2]


def test_without_a_key_nothing_is_written(tmp_path: Path, profile: Path) -> None:
    """A profile that needs a key says so; a preview makes one and throws it away."""
    code, told = run("apply", "--profile", profile, CT, "--out", tmp_path / "out")

    assert (code, "--key-file" in told) == (1, True)
    assert not (tmp_path / "out").exists()
    shown = [run("preview", "--profile", profile, CT) for _ in range(2)]
    assert [code for code, _ in shown] == [0, 0]
    assert shown[0] != shown[1]
    assert "thrown away" in shown[0][1]
