"""Files and variables that hold one secret: 32 random bytes, with what they are before them."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from profile_service.keys.errors import SecretFileError

SECRET_BYTES: Final = 32

# What a secret begins with where it is text: scanners of repositories find it by that.
_PREFIX: Final = "deidcascade-key-1:"

# Longer than any secret: a file that was named by mistake is not read whole.
_MOST: Final = 1024


def new_secret() -> bytes:
    """Returns 32 bytes that nobody can guess."""
    return secrets.token_bytes(SECRET_BYTES)


def write_secret(path: Path, secret: bytes | None = None) -> None:
    """Writes a secret, a new one where none is given, that its owner alone can read.

    Raises:
        FileExistsError: there is something already, which stays as it is.
        OSError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(written(new_secret() if secret is None else secret) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> bytes:
    """Reads the secret in a file.

    Raises:
        SecretFileError: there is none, or everybody may read it. That its group may is for
            systems that hand out secrets so.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MOST)
    except OSError as error:
        raise SecretFileError(f"{path} cannot be read: {error.strerror}") from None
    if os.name == "posix" and mode & stat.S_IRWXO:
        raise SecretFileError(f"{path} can be read by everybody: chmod 600 {path}")
    return parse_secret(text.decode("ascii", "replace"), str(path))


def parse_secret(text: str, where: str) -> bytes:
    """Reads a secret that was written as text.

    Args:
        text: as `written` gives it.
        where: it stands, for the error.

    Raises:
        SecretFileError: it is none.
    """
    text = text.strip()
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) != SECRET_BYTES:
        raise SecretFileError(f"{where} holds no key: 'deidcascade keys create FILE' makes one")
    return secret


def secret_from(path: str, text: str, variable: str) -> bytes | None:
    """Returns the secret that a service was given; None where it was given none.

    Args:
        path: of its file; empty where none is named.
        text: it itself, from the environment; empty where it is not there.
        variable: the name of that variable, for the error.

    Raises:
        SecretFileError: it is none.
    """
    if path:
        return read_secret(Path(path))
    return parse_secret(text, variable) if text else None


def kept_secret(path: Path) -> Path:
    """Makes a file with a new secret where there is none; returns it.

    Raises:
        OSError: it cannot be written.
    """
    with suppress(FileExistsError):
        write_secret(path)
    return path


def written(secret: bytes) -> str:
    """Returns a secret as text."""
    return _PREFIX + base64.b64encode(secret).decode("ascii")
