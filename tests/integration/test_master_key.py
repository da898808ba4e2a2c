"""Another master key: all that the one before has encrypted stays what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from deidcascade.v1 import profile_service_pb2 as pb

from profile_service.errors import StoreFaultError
from profile_service.keys.files import read_secret, write_secret
from profile_service.keys.sealing import MasterKey, Sealed
from profile_service.store import resealing
from profile_service.store.resealing import seal_again
from tests.integration import test_codes, test_keys, test_tables
from tests.integration.test_keys import pair, project
from tests.integration.test_tables import Services

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.test_keys import Pair

HASHED_PROJECT, CODED_PROJECT = project("a", "g", "1"), project("a", "g", "2")
LISTED_PROJECT = project("b", "g", "1")


class _Broken(MasterKey):
    """Breaks off when it has encrypted one secret."""

    __slots__ = ("_count",)

    def seal(self, secret: bytes, what: str) -> Sealed:
        self._count = getattr(self, "_count", 0) + 1
        if self._count > 1:
            raise InterruptedError
        return super().seal(secret, what)


def what_it_makes(both: Pair) -> list[object]:
    """Returns what depends on secrets of each kind."""
    services = Services(both)
    return [
        both.upload(HASHED_PROJECT).patient,
        test_codes.codes(both.deid_address, CODED_PROJECT, ["p", "q"]),
        services.codes(LISTED_PROJECT, "p", "q"),
        services.rows("sites/b"),
        test_codes.subjects(both, CODED_PROJECT),
    ]


def under(database: str) -> dict[bytes, int]:
    """Returns how many secrets are encrypted with which master key."""
    query = (
        "SELECT master_key, count(*) FROM (SELECT master_key FROM site_key UNION ALL"
        " SELECT master_key FROM patient_table UNION ALL"
        " SELECT master_key FROM subject_code) AS sealed GROUP BY 1"
    )
    with psycopg.connect(database) as connection:
        return dict(connection.execute(query).fetchall())


def test_another_master_key(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the place of the one before, at once or when it was broken off; nothing changes."""
    old, new, third = (tmp_path / f"{name}.key" for name in ("old", "new", "third"))
    for each in (old, new, third):
        write_secret(each)
    with pair(database, tmp_path, master="old") as both:
        both.make_containers()
        both.set(HASHED_PROJECT, test_keys.profile("project"))
        both.set(CODED_PROJECT, test_codes.profile("LUNG-{0000}"))
        both.set(LISTED_PROJECT, test_tables.profile())
        Services(both).set("sites/b", test_tables.TRIAL)
        before = what_it_makes(both)
    with pair(database, tmp_path, master="new") as both:
        refused = both.refusal(HASHED_PROJECT)[0]
    with pair(database, tmp_path, master="new", previous="old") as both:
        meanwhile = what_it_makes(both)
        rotated = both.service.RotateSiteKey(pb.RotateSiteKeyRequest(site="sites/b")).key
    old_id, new_id = (MasterKey(read_secret(each)).id for each in (old, new))
    olds = under(database)[old_id]

    monkeypatch.setattr(resealing, "AT_ONCE", 1)
    with pytest.raises(InterruptedError):
        seal_again(database, _Broken(read_secret(new), read_secret(old)))
    broken_off = under(database)
    with pytest.raises(StoreFaultError):
        seal_again(database, MasterKey(read_secret(new), read_secret(third)))
    count = seal_again(database, MasterKey(read_secret(new), read_secret(old)))
    with pair(database, tmp_path, master="new") as both:
        after = what_it_makes(both)
    with pair(database, tmp_path, master="old") as both:
        useless = both.refusal(LISTED_PROJECT)[0]

    assert before == meanwhile == after
    assert refused == useless == "PROFILE_NOT_SUPPORTED"
    assert rotated.generation == 1
    assert broken_off[old_id] == olds - 1 == count
    assert under(database).keys() == {new_id}
