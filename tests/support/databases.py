"""Databases for tests: clones of one that is migrated once."""

from __future__ import annotations

import itertools
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from profile_service.config import Config
from profile_service.first_keys import FirstKeys
from profile_service.store import Store
from profile_service.store.migrate import migrate
from tests.support.environment import ADMIN_KEY_FILE, SERVICE_KEY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = "migrated"

# Databases are dropped some tests later. PostgreSQL pauses for a tenth of a second when
# it finds a connection to one that is just ending.
KEPT = 3


class Databases:
    """The databases of one server."""

    def __init__(self, conninfo: str) -> None:
        """Makes the template.

        Args:
            conninfo: how to connect to the server.
        """
        self._conninfo = conninfo
        self._numbers = itertools.count(1)
        self._used: deque[str] = deque()
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        migrate(self.of(TEMPLATE))
        store = Store(self.of(TEMPLATE), readers=1, writers=1)
        store.database.open()
        settings = Config(
            "", "", 1, admin_key=str(ADMIN_KEY_FILE), service_key=str(SERVICE_KEY_FILE)
        )
        FirstKeys(settings).adopt(store.access)
        store.database.close()

    @contextmanager
    def clone(self, template: str = TEMPLATE) -> Iterator[str]:
        """Gives the conninfo of a database of its own; `template0` makes an empty one."""
        name = f"test_{next(self._numbers)}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            yield self.of(name)
        finally:
            self._used.append(name)
            if len(self._used) > KEPT:
                oldest = sql.Identifier(self._used.popleft())
                self._execute(sql.SQL("DROP DATABASE {} (FORCE)").format(oldest))

    def of(self, name: str) -> str:
        """Returns how its owner connects to a database."""
        return make_conninfo(self._conninfo, dbname=name)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._conninfo, autocommit=True) as connection:
            connection.execute(statement)
