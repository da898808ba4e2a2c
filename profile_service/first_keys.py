"""The keys that there are before anybody could have granted any.

They are in files, of which an operator says where they are: that of an administrator, and
that of DeidService. Who can write there can also reach the database.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from profile_service.access.actor import Actor, Credential
from profile_service.access.credentials import ApiKey, new_key, read_key
from profile_service.access.permissions import SERVICE, SITE_ADMIN
from profile_service.errors import KeyFileError
from profile_service.logs import LOG
from profile_service.serving.keyfile import read_or_make

if TYPE_CHECKING:
    from profile_service.config import Config
    from profile_service.store.access import AccessStore

KEY_FILE = Actor("key-file", Credential.COMMAND)


class FirstKeys:
    """Reads the files, and makes the keys in them ones that are in force."""

    def __init__(self, config: Config) -> None:
        """Reads the files; makes those that are not there.

        Raises:
            KeyFileError: one cannot be read or made, or holds no API key.
        """
        self._keys = [
            (_read(Path(path)), role, name)
            for path, role, name in (
                (config.admin_key, SITE_ADMIN, "administrator"),
                (config.service_key, SERVICE, "DeidService"),
            )
            if path
        ]

    def adopt(self, store: AccessStore) -> None:
        """Makes them ones with their roles, but for those that were revoked since."""
        for key, role, name in self._keys:
            if not store.adopt_key(key, role, name, KEY_FILE):
                LOG.write("key_file", level=logging.ERROR, role=role, cause="it was revoked")


def _read(path: Path) -> ApiKey:
    try:
        key = read_key(read_or_make(path, lambda: new_key().text))
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "it is no text"
        raise KeyFileError(str(path), cause) from None
    if key is None:
        raise KeyFileError(str(path), "it holds no API key")
    return key
