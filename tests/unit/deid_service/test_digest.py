"""The digest of what is sent, whatever part of it is hashed beside the event loop."""

from __future__ import annotations

import hashlib
import random
import threading

import pytest

from deid_service.contract.wire import Buffer
from deid_service.serving import digest as digest_module
from deid_service.serving.digest import ASIDE_BYTES, TOGETHER_BYTES, Digest, NoDigest, Together

SIZES = (0, 1, 64 * 1024, ASIDE_BYTES - 1, ASIDE_BYTES, 2 * 1024 * 1024)


def test_nothing_has_the_digest_of_nothing() -> None:
    """A receipt has one in any case."""
    assert Digest().hexdigest() == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("seed", range(20))
def test_digests_that_share_the_thread_are_those_of_their_chunks(seed: int) -> None:
    """Chunks of all sizes, of several streams in turns, caught up with at any time."""
    draw = random.Random(seed)  # noqa: S311 - the same chunks in each run, no secret
    digests = [Digest() for _ in range(3)]
    sent = [hashlib.sha256() for _ in digests]
    for _ in range(40):
        number = draw.randrange(len(digests))
        chunk = draw.randbytes(draw.choice(SIZES))
        digests[number].take(memoryview(chunk))
        sent[number].update(chunk)
        if draw.random() < 0.3:
            digests[draw.randrange(len(digests))].catch_up()
    assert [one.hexdigest() for one in digests] == [one.hexdigest() for one in sent]


def test_what_fails_in_the_thread_fails_the_digest() -> None:
    """A receipt with another digest would be worse than none."""
    every_second = memoryview(bytes(2 * ASIDE_BYTES))[::2]
    digest = Digest()
    digest.take(every_second)

    with pytest.raises(BufferError):
        digest.hexdigest()

    with pytest.raises(BufferError):
        digest.hexdigest()


@pytest.mark.parametrize("seed", range(20))
def test_digests_of_files_that_are_answered_together_are_those_of_their_chunks(seed: int) -> None:
    """Whatever they are long, however they are cut, and whenever they are settled."""
    draw = random.Random(seed)  # noqa: S311 - the same chunks in each run, no secret
    together = Together()
    expected: list[str] = []
    places: list[bytes | bytearray] = []
    for _ in range(30):
        digest, sent = Digest(), hashlib.sha256()
        for _ in range(draw.randrange(4)):
            size = draw.choice((0, 1, 32 * 1024, TOGETHER_BYTES - 1, TOGETHER_BYTES, ASIDE_BYTES))
            parts: list[Buffer] = [
                draw.randbytes(size),
                memoryview(draw.randbytes(draw.randrange(100))),
            ]
            # Some of it may have come as messages of their own.
            if draw.random() < 0.2:
                for part in parts:
                    digest.take(memoryview(part))
            else:
                together.take(digest, parts, sum(map(len, parts)))
            for part in parts:
                sent.update(part)
            if draw.random() < 0.1:
                together.settle()
        places.append(together.hex_of(digest))
        expected.append(sent.hexdigest())
    together.settle()
    assert [bytes(place).decode() for place in places] == expected


def test_of_files_without_a_digest_nothing_is_put() -> None:
    """A caller can do without it, and then receipts have no such field."""
    together, digest = Together(), NoDigest()
    together.take(digest, [bytes(ASIDE_BYTES)], ASIDE_BYTES)
    together.settle()
    assert together.hex_of(digest) == b""


def test_what_fails_while_files_are_settled_fails_for_good() -> None:
    """A file whose digest failed has no other one later."""
    every_second = memoryview(bytes(2 * ASIDE_BYTES))[::2]
    together, digest = Together(), Digest()
    together.take(digest, [every_second], ASIDE_BYTES)
    together.hex_of(digest)

    with pytest.raises(BufferError):
        together.settle()
    with pytest.raises(BufferError):
        digest.hexdigest()


def test_what_the_thread_has_not_begun_is_taken_back() -> None:
    """Where no core is free for the thread, nobody waits for it to get one."""
    let_go = threading.Event()
    held = digest_module._ASIDE._thread.submit(let_go.wait, 30)
    chunk = bytes(TOGETHER_BYTES)
    together, digests = Together(), [Digest(), Digest()]
    for digest in digests:
        together.take(digest, [chunk], len(chunk))
    together.settle()

    assert not held.done()
    let_go.set()
    assert [one.hexdigest() for one in digests] == [hashlib.sha256(chunk).hexdigest()] * 2
