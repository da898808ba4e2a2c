"""The texts that resolutions remember."""

from __future__ import annotations

from hashlib import sha256

from profile_service.store.texts import MAX_BYTES, Texts

MEBIBYTE = 1 << 20


def keep(texts: Texts, container: str, text: str) -> bytes:
    """Keeps a text and returns its digest."""
    digest = sha256(text.encode()).digest()
    texts.keep(container, digest, text)
    return digest


def test_texts_are_found_by_the_names_of_their_containers() -> None:
    """Of containers that nothing is known of there is nothing."""
    texts = Texts()
    first, second = keep(texts, "sites/a", "one"), keep(texts, "sites/b", "two")
    keep(texts, "sites/c", "three")

    assert texts.of(["sites/a", "sites/none", "sites/b"]) == {first: "one", second: "two"}


def test_the_last_text_of_a_container_counts() -> None:
    """A text that was replaced is forgotten."""
    texts = Texts()
    keep(texts, "sites/a", "one")
    last = keep(texts, "sites/a", "two")

    assert texts.of(["sites/a"]) == {last: "two"}


def test_they_take_no_more_than_their_memory() -> None:
    """The ones that were not asked for longest go, and replacing one costs nothing."""
    texts = Texts()
    names = [f"sites/s{number}" for number in range(MAX_BYTES // MEBIBYTE - 2)]
    for name in names:
        keep(texts, name, "x" * MEBIBYTE)
    for _ in range(100):
        keep(texts, names[0], "y" * MEBIBYTE)
    assert all(texts.of([name]) for name in names)

    keep(texts, "sites/new", "x" * MEBIBYTE)
    keep(texts, "sites/newer", "x" * MEBIBYTE)

    assert [name for name in names if not texts.of([name])] == [names[0]]
    assert texts.of(["sites/new"])
