"""Tokens of an identity provider: those that count, and those that somebody made up."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from deidcascade.v1 import access_service_pb2 as access_pb

from profile_service import tokens
from profile_service.config import parse
from profile_service.errors import TokenSettingsError, UnauthenticatedError
from profile_service.provider import Provider
from profile_service.tokens import Tokens
from tests.contract.access.conftest import OTHER_SITE, SITE, Gateway
from tests.support.audit import told
from tests.support.certificates import Authority
from tests.support.deid_service import status_of
from tests.support.identities import AUDIENCE, ISSUER, Identities
from tests.support.services import running_profile_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.databases import Databases

VIEWER = ["containers.view", "profiles.view"]


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    """The identity provider of the hospital."""
    return Identities(tmp_path_factory.mktemp("identities") / "jwks.json")


@pytest.fixture(scope="module")
def hospital(databases: Databases, identities: Identities) -> Iterator[Gateway]:
    """A ProfileService that trusts it; jo, and whoever is in a group, may view a site."""
    with ExitStack() as running:
        database = running.enter_context(databases.clone())
        address = running.enter_context(
            running_profile_service(database, provider=identities.provider)
        )
        made = Gateway(address, None, database, running)  # type: ignore[arg-type]
        for name in (SITE, OTHER_SITE):
            made.create(name)
        made.grant("user:jo", "viewer", SITE)
        made.grant("group:radiology staff", "viewer", OTHER_SITE)
        yield made


def status(hospital: Gateway, token: str) -> str:
    """Shows a token; returns the status of the call."""
    request = access_pb.TestPermissionsRequest(container=SITE)
    return status_of(lambda: hospital.access(token).TestPermissions(request))[0]


def test_users_and_groups(hospital: Gateway, identities: Identities) -> None:
    """A token is who it is about, and every group that it names; each gives what it has."""
    jo = identities.token("jo")
    al = identities.token("al", "others", "radiology staff")

    assert hospital.permissions(jo, SITE) == VIEWER
    assert hospital.permissions(jo, OTHER_SITE) == []
    assert hospital.permissions(al, SITE) == []
    assert hospital.permissions(al, OTHER_SITE) == VIEWER
    asked = hospital.access(al).TestPermissions(access_pb.TestPermissionsRequest())
    assert asked.principal == "user:al"


def test_what_a_user_does_is_told(hospital: Gateway, identities: Identities) -> None:
    """The audit names the subject of the token, and nothing else of it."""
    hospital.grant("user:boss", "site-admin", SITE)
    boss = identities.token("boss")
    hospital.grant("user:new", "viewer", SITE, by=boss)

    (event,) = told(hospital.profiles(), SITE, subject="boss")

    assert (event.credential, event.key_id) == ("token", "")
    assert boss not in str(event)


def test_times(hospital: Gateway, identities: Identities) -> None:
    """Expired, and not yet valid, it does not count; a clock may be off by half a minute."""
    now = int(time.time())
    for times, expected in (
        ({"exp": now - 10}, "OK"),
        ({"exp": now - 40}, "UNAUTHENTICATED"),
        ({"nbf": now + 10}, "OK"),
        ({"nbf": now + 60}, "UNAUTHENTICATED"),
        ({"exp": None}, "UNAUTHENTICATED"),
        ({"exp": "later"}, "UNAUTHENTICATED"),
    ):
        assert status(hospital, identities.token(**times)) == expected, times


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example/"},
        {"iss": ISSUER.rstrip("/")},
        {"iss": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 5},
        {"sub": "jo\n"},
        {"sub": "jo\tsite-admin"},
        {"sub": "x" * 300},
    ],
)
def test_claims(hospital: Gateway, identities: Identities, claims: dict[str, object]) -> None:
    """Of another issuer, for somebody else, or about nobody, it does not count."""
    assert status(hospital, identities.token(**claims)) == "UNAUTHENTICATED"  # type: ignore[arg-type]


def test_groups_that_are_none(hospital: Gateway, identities: Identities) -> None:
    """What cannot be the name of a group gives nothing, whatever it is."""
    for groups in ("radiology staff\n", ["x\nradiology staff"], {"radiology staff": 1}, 5, [None]):
        token = identities.token("al", groups=groups)
        assert hospital.permissions(token, OTHER_SITE) == []
    token = identities.token("al", groups="radiology staff")
    assert hospital.permissions(token, OTHER_SITE) == VIEWER


def part(said: object) -> str:
    """Returns a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(said).encode()).rstrip(b"=").decode()


def forged(identities: Identities) -> dict[str, str]:
    """Returns tokens that somebody made who has the public key and tokens of others."""
    right = identities.token()
    header, payload, signature = right.split(".")
    said = jwt.decode(right, options={"verify_signature": False})
    key = identities.keys["one"]
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    own = rsa.generate_private_key(65537, 2048)
    hmac_header = part({"alg": "HS256", "kid": "one", "typ": "JWT"})
    signed = (
        jwt.api_jws.PyJWS()._algorithms["HS256"].sign(f"{hmac_header}.{payload}".encode(), public)
    )
    mac = base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
    return {
        "none": f"{part({'alg': 'none', 'kid': 'one'})}.{payload}.",
        "None": f"{part({'alg': 'None', 'kid': 'one'})}.{payload}.{signature}",
        "no algorithm": f"{part({'kid': 'one'})}.{payload}.{signature}",
        "HS256 with the public key": f"{hmac_header}.{payload}.{mac}",
        "another algorithm": jwt.encode(said, key, "RS512", headers={"kid": "one"}),
        "of another kind": f"{part({'alg': 'ES256', 'kid': 'one'})}.{payload}.{signature}",
        "another subject": f"{header}.{part(said | {'sub': 'boss'})}.{signature}",
        "no signature": f"{header}.{payload}.",
        "a cut signature": right[:-4],
        "signed by somebody": jwt.encode(said, own, "RS256", headers={"kid": "one"}),
        "a key that comes along": jwt.encode(
            said,
            own,
            "RS256",
            headers={"jwk": jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key(), as_dict=True)},
        ),
        "a URL that comes along": jwt.encode(
            said, own, "RS256", headers={"jku": "https://evil.example/", "kid": "two"}
        ),
        "a path as the id": jwt.encode(said, own, "RS256", headers={"kid": "../../dev/null"}),
        "what must be understood": jwt.encode(
            said, key, "RS256", headers={"kid": "one", "crit": ["x"], "x": 1}
        ),
        "no JSON": f"{header}.{base64.urlsafe_b64encode(b'jo').decode()}.{signature}",
        "four parts": f"{right}.x",
        "nothing": "..",
    }


def test_forgeries(hospital: Gateway, identities: Identities) -> None:
    """No token counts that the provider has not signed, as it stands, by a pinned algorithm."""
    made = forged(identities)

    assert status(hospital, identities.token()) == "OK"
    assert {name: status(hospital, token) for name, token in made.items()} == dict.fromkeys(
        made, "UNAUTHENTICATED"
    )


def test_keys_rotate(hospital: Gateway, identities: Identities) -> None:
    """A key that is new counts at once, and so does that one is gone; ids may collide."""
    early = identities.token()
    assert status(hospital, early) == "OK"

    identities.new_key("two", elliptic=True)
    late = identities.token(key="two")
    assert (status(hospital, early), status(hospital, late)) == ("OK", "OK")

    other = Identities(identities._file.with_name("other.json"))
    stranger = jwt.algorithms.RSAAlgorithm.to_jwk(
        rsa.generate_private_key(65537, 2048).public_key(), as_dict=True
    )
    identities.publish(stranger | {"kid": "one"})
    assert status(hospital, early) == "OK"
    assert status(hospital, other.token()) == "UNAUTHENTICATED"

    withdrawn = identities.keys.pop("one")
    identities.publish()
    assert (status(hospital, early), status(hospital, late)) == ("UNAUTHENTICATED", "OK")
    identities.keys["one"] = withdrawn
    identities.publish()


def test_what_is_no_key(identities: Identities, tmp_path: Path) -> None:
    """A secret key, a short one, one that signs, and one for encryption verify nothing."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 -- that is the point
    to_jwk: Callable[..., dict[str, object]] = jwt.algorithms.RSAAlgorithm.to_jwk
    one = identities.keys["one"]
    for key in (
        {"kty": "oct", "k": "c2VjcmV0"},
        to_jwk(short.public_key(), as_dict=True),
        to_jwk(one, as_dict=True),
        to_jwk(one.public_key(), as_dict=True) | {"use": "enc"},
        {"kty": "RSA", "n": "x"},
        "no key",
    ):
        file = tmp_path / "jwks.json"
        file.write_text(json.dumps({"keys": [key]}))
        with pytest.raises(TokenSettingsError, match="holds no key that can be used"):
            Tokens(Provider(ISSUER, AUDIENCE, str(file)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token-issuer", ISSUER],
        ["--token-keys", "http://login.example/"],
        ["--token-algorithms", "HS256"],
        ["--token-algorithms", "none"],
        ["--token-algorithms", "RS256,HS256"],
        ["--token-leeway-seconds", "3600"],
    ],
)
def test_settings_that_cannot_be(arguments: list[str]) -> None:
    """What would let others make tokens is refused at the start, and what is missing named."""
    most = ["--token-issuer", ISSUER, "--token-audience", "a", "--token-keys", "https://k"]
    given = arguments if "--token-issuer" in arguments else [*most, *arguments]
    with pytest.raises(SystemExit) as ended:
        parse(given, {})
    assert ended.value.code == 2


# --- Keys from a URL ------------------------------------------------------------------------


class Publisher:
    """A web server with the keys of an identity provider.

    Attributes:
        url: where they are.
        asked: how often somebody has asked.
        answer: what it answers: a status, headers and a body.
    """

    def __init__(self, authority: Authority) -> None:
        self.asked = 0
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked += 1
                status, headers, body = publisher.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*authority.certificate("localhost"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}/jwks"

    def publish(self, identities: Identities) -> None:
        """Answers with the keys that there are."""
        self.answer = (200, {}, identities._file.read_bytes())


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A web server that this machine trusts, whose keys are asked for without a pause."""
    with Authority() as authority:
        monkeypatch.setenv("SSL_CERT_FILE", authority.ca)
        monkeypatch.setattr(tokens, "UNKNOWN_KEY_SECONDS", 0.0)
        made = Publisher(authority)
        thread = threading.Thread(target=made.server.serve_forever)
        thread.start()
        yield made
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def counts(reader: Tokens, token: str) -> bool:
    """Tells whether a token counts."""
    try:
        reader.claims(token)
    except UnauthenticatedError:
        return False
    return True


def test_keys_from_a_url(publisher: Publisher, tmp_path: Path) -> None:
    """They are asked for when a token names one that is not known; a failure keeps those known."""
    identities = Identities(tmp_path / "jwks.json")
    publisher.publish(identities)
    reader = Tokens(Provider(ISSUER, AUDIENCE, publisher.url, ("RS256", "ES256")))

    assert counts(reader, identities.token())
    assert counts(reader, identities.token())
    assert publisher.asked == 1
    identities.new_key("two", elliptic=True)
    publisher.publish(identities)
    assert counts(reader, identities.token(key="two"))
    assert publisher.asked == 2

    identities.new_key("three")
    for answer in (
        (500, {}, b""),
        (302, {"Location": publisher.url}, b""),
        (200, {}, b"no keys"),
        (200, {}, b'{"keys": []}'),
        (200, {}, b" " * (tokens.MAX_KEYS_BYTES + 1)),
    ):
        publisher.answer = answer
        assert not counts(reader, identities.token(key="three"))
        assert counts(reader, identities.token(key="two"))
    publisher.publish(identities)
    assert counts(reader, identities.token(key="three"))


def test_keys_that_are_old(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that could not be asked for again in a day verify nothing."""
    identities = Identities(tmp_path / "jwks.json")
    publisher.publish(identities)
    reader = Tokens(Provider(ISSUER, AUDIENCE, publisher.url))
    assert counts(reader, identities.token())

    monkeypatch.setattr(tokens, "MAX_AGE_SECONDS", 0.0)
    publisher.answer = (500, {}, b"")

    assert not counts(reader, identities.token())


def test_a_stranger_has_no_keys(publisher: Publisher, tmp_path: Path) -> None:
    """A server whose certificate is not trusted is not believed."""
    identities = Identities(tmp_path / "jwks.json")
    publisher.publish(identities)
    elsewhere = publisher.url.replace("localhost", "127.0.0.1")

    assert not counts(Tokens(Provider(ISSUER, AUDIENCE, elsewhere)), identities.token())
    assert publisher.asked == 0
