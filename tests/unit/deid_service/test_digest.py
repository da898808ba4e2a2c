"""The digest of what is sent, whatever part of it is hashed beside the event loop."""

from __future__ import annotations

import hashlib
import random

import pytest

from deid_service.serving.digest import ASIDE_BYTES, Digest

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
