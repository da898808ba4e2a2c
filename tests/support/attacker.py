"""Who has all but the master key: what came out, all that is written about it, and a dump.

Whoever knows what an identifier looks like tries all that there are. What is needed for that is
the key: so the attacker takes for one whatever is at hand, and whatever can be made of it.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import logging
import re
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from deidcascade.v1 import profile_service_pb2 as pb
from deidcascade.v1 import table_service_pb2 as table_pb
from deidcascade.v1.profile_service_pb2_grpc import ProfileServiceStub
from deidcascade.v1.table_service_pb2_grpc import TableServiceStub
from psycopg import sql

from deid_service.embedded import programs
from profile_service.keys.derivation import derived, stream_keys
from profile_service.keys.sealing import MasterKey, Sealed, of_site, of_table
from profile_service.keys.tables import TableKey
from profile_service.language.model import KeyPurpose
from tests.support import callers
from tests.support.deid_service import Caller, opened, running_deid_service, whole_file
from tests.support.engine.build import dicom, el
from tests.support.engine.every_way import values_of
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

GROUP = "sites/a/groups/g"
HASHED, CODED, LISTED = (f"{GROUP}/projects/{name}" for name in ("hashed", "coded", "listed"))
PROFILES: Final = {
    HASHED: "pseudonyms: {scope: project, shift-days: [-3650, -30]}\n"
    "  fields:\n    - {name: PatientID, keyed-hash: true}\n"
    "    - {name: StudyDate, keyed-shift: true}\n"
    "    - {name: StudyInstanceUID, keyed-uid: true}",
    CODED: "fields:\n    - {name: PatientID, assign: 'LUNG-{0000}'}\n"
    "    - {name: StudyInstanceUID, keyed-uid: true}",
    LISTED: "fields:\n    - {name: PatientID, lookup: {table: trial, column: code}}\n"
    "    - {name: StudyInstanceUID, keyed-uid: true}",
}

PATIENT_ID, STUDY_UID = 0x00100020, 0x0020000D

# A pseudonym has 16 digits to base 32, the lowest first: the last 10 bytes of an HMAC.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
TAIL: Final = 10

# A UID is the first 16 bytes, but for what says that it is a UUID.
_UID_ROOT: Final = "2.25."

# Of this many bytes are the keys; in what is longer they may stand anywhere.
KEY_BYTES: Final = 32


@dataclass
class Loot:
    """All that the attacker has.

    Attributes:
        pseudonyms: the ends of the HMACs that stand in the files that came out.
        uids: the same of their UIDs, but for what all UUIDs have in common.
        digests: what is as long as one in the dump.
        texts: profiles, receipts, logs, and the dump as a text.
        values: each value in the dump, and each word in the texts.
        sealed: what is encrypted in the dump.
        containers: their numbers in the dump.
    """

    pseudonyms: set[bytes] = field(default_factory=set)
    uids: set[bytes] = field(default_factory=set)
    digests: set[bytes] = field(default_factory=set)
    texts: list[bytes] = field(default_factory=list)
    values: dict[bytes, None] = field(default_factory=dict)
    sealed: list[bytes] = field(default_factory=list)
    containers: list[int] = field(default_factory=list)

    def links(self, digest: bytes) -> bool:
        """Whether a digest of an identifier stands in what was taken."""
        return (
            digest in self.digests
            or digest[-TAIL:] in self.pseudonyms
            or _uid_part(digest) in self.uids
        )


def _uid_part(digest: bytes) -> bytes:
    return digest[:6] + digest[9:16]


def plunder(database: str, master_key: Path, patients: Sequence[str]) -> Loot:
    """Makes pseudonyms of each kind, and takes all that there is but the keys."""
    loot = Loot()
    with _logged() as log:
        with (
            running_profile_service(database, master_key_file=str(master_key)) as address,
            running_deid_service(address) as deid,
            callers.channel(address) as channel,
        ):
            service = ProfileServiceStub(channel)
            for name in ("sites/a", GROUP, *PROFILES):
                container = pb.Container(name=name)
                service.CreateContainer(pb.CreateContainerRequest(container=container))
            rows = [f"{each},TRIAL-{number}" for number, each in enumerate(patients)]
            table = table_pb.SetTableRequest(
                container="sites/a",
                table="trial",
                text="\n".join(["original,code", *rows]).encode(),
            )
            TableServiceStub(channel).SetTable(iter([table]))
            for name, source in PROFILES.items():
                source = f"dicom:\n  {source}\n"
                service.SetProfile(pb.SetProfileRequest(container=name, source=source))
                loot.texts.append(source.encode())
                with callers.channel(deid.address) as stream:
                    _upload(Caller(stream, opened(name)), patients, loot)
        said = log.getvalue()
        assert said.count("event=stream ") == len(PROFILES)
        loot.texts.append(said.encode())
    _read(database, loot)
    return loot


def _upload(caller: Caller, patients: Sequence[str], loot: Loot) -> None:
    loot.texts.append(str(caller.receive()).encode())
    for patient in patients:
        parts = [el("StudyDate", "20200601"), el("PatientID", patient)]
        study = el("StudyInstanceUID", f"1.2.{patient}")
        caller.send(*whole_file(dicom(el("SOPInstanceUID", "1.2"), *parts, study)))
        output, result = caller.receive_result()
        assert result.HasField("receipt")
        loot.texts.append(str(result.receipt).encode())
        values = values_of(output)
        loot.values.update(dict.fromkeys(values.values()))
        word = values[PATIENT_ID].decode().strip()
        if set(word) <= set(_ALPHABET):
            number = sum(_ALPHABET.index(digit) << 5 * at for at, digit in enumerate(word))
            loot.pseudonyms.add(number.to_bytes(TAIL, "big"))
        uid = values[STUDY_UID].rstrip(b"\0").decode()
        if uid.startswith(_UID_ROOT):
            loot.uids.add(_uid_part(int(uid.removeprefix(_UID_ROOT)).to_bytes(16, "big")))
    caller.half_close()


def _read(database: str, loot: Loot) -> None:
    """Takes a dump, and reads each value of each row in it."""
    loot.texts.append(dumped(database))
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        for (name,) in tables:
            every = sql.SQL("SELECT * FROM {}").format(sql.Identifier(name))
            for row in connection.execute(every):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    loot.values[data] = None
                    if isinstance(value, bytes) and len(value) == KEY_BYTES:
                        loot.digests.add(value)
                    elif isinstance(value, bytes) and len(value) > KEY_BYTES:
                        loot.sealed.append(value)
        found = connection.execute("SELECT id FROM container").fetchall()
        loot.containers = [number for (number,) in found]
    for text in loot.texts:
        loot.values.update(dict.fromkeys(re.findall(rb"[^\s\"'=:,{}\[\]]{6,100}", text)))


def guesses(loot: Loot) -> list[bytes]:
    """Returns what could be a secret: all values at hand, and what is written in them."""
    named = (b"", bytes(KEY_BYTES), b"deidcascade", socket.gethostname().encode())
    found = dict.fromkeys((*named, *loot.texts, *loot.values))
    for value in list(found):
        if re.fullmatch(rb"(?:[0-9a-f]{2}){8,}", value):
            found[bytes.fromhex(value.decode())] = None
    return list(found)


def pieces(values: Iterable[bytes]) -> list[bytes]:
    """Returns all that is as long as a key in values; and their digests, which are as well."""
    found: dict[bytes, None] = {}
    for value in values:
        found[hashlib.sha256(value).digest()] = None
        if KEY_BYTES < len(value) <= 200:
            starts = range(len(value) - KEY_BYTES + 1)
            found.update(dict.fromkeys(value[at : at + KEY_BYTES] for at in starts))
    return list(found)


def keys_of(secret: bytes, loot: Loot) -> Iterator[bytes]:
    """Yields what is derived of the key of a site, for each purpose and scope; and of a table."""
    for scope in ("site", *(f"container {number}" for number in loot.containers)):
        yield from stream_keys(secret, scope, get_args(KeyPurpose)).keys.values()
    yield TableKey(secret).finding


def unlocks(guess: bytes, loot: Loot) -> bool:
    """Whether what is encrypted can be read with a guess, as it is or as a master key."""
    names = [b"", *(of_site(number, 1).encode() for number in loot.containers)]
    for key in (guess, derived(guess, "master", length=KEY_BYTES)):
        if len(key) != KEY_BYTES:
            continue
        for sealed in loot.sealed:
            for name in names:
                try:
                    AESGCM(key).decrypt(sealed[:12], sealed[12:], name)
                except (InvalidTag, ValueError):
                    continue
                return True
    return False


def plain_ways() -> list[Callable[[bytes], bytes]]:
    """Returns the digests that need no key."""
    return [partial(_plain, name) for name in ("md5", "sha1", "sha256", "sha512")]


def keyed_way(key: bytes) -> Callable[[bytes], bytes]:
    """Returns the HMAC under a key."""
    return partial(_keyed, key)


def _plain(name: str, number: bytes) -> bytes:
    return hashlib.new(name, number, usedforsecurity=False).digest()


def _keyed(key: bytes, number: bytes) -> bytes:
    return hmac.digest(key, number, "sha256")


def linked(
    numbers: Iterable[bytes], ways: Sequence[Callable[[bytes], bytes]], loot: Loot
) -> set[bytes]:
    """Returns the identifiers that lead to anything that was taken."""
    return {number for number in numbers for way in ways if loot.links(way(number))}


def with_master_key(database: str, master: MasterKey, loot: Loot) -> Mapping[str, list[bytes]]:
    """Returns the keys that the dump has for who has the master key: of the site and of tables."""
    with psycopg.connect(database) as connection:
        sites = connection.execute("SELECT site_id, generation, master_key, sealed FROM site_key")
        secrets = [
            master.open(Sealed(key, sealed), of_site(site, generation))
            for site, generation, key, sealed in sites
        ]
        tables = connection.execute(
            "SELECT container_id, name, master_key, sealed FROM patient_table"
        )
        of_tables = [
            TableKey(master.open(Sealed(key, sealed), of_table(container, name))).finding
            for container, name, key, sealed in tables
        ]
    return {
        "secrets": secrets,
        "site": [key for secret in secrets for key in keys_of(secret, loot)],
        "tables": of_tables,
    }


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(name) for name in ("profile_service", "deid_service")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield text
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)


def dumped(database: str) -> bytes:
    """Returns a dump of a database."""
    command = [str(programs.program("pg_dump")), "--no-owner", "--no-privileges", database]
    return subprocess.run(command, check=True, capture_output=True).stdout
