"""What is written without spaces is made of known words, or of something else."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.unspaced import is_made_of, runs_of, words_in

JOINTS = frozenset(["x", "yx", "d"])
WORDS = frozenset(["ab", "abc", "cd", "def"]) | JOINTS


@pytest.mark.parametrize(
    "run", ["abcd", "abcdef", "abxcd", "xab", "abx", "abyxcd", "x", "abcddef", "abcdabx"]
)
def test_made_of_words(run: str) -> None:
    """All ways of cutting are tried: a short word may be right, and a long one wrong."""
    assert is_made_of(run, WORDS, JOINTS)


@pytest.mark.parametrize("run", ["abxxcd", "abxyxcd", "xyx", "abq", "qab", "", "abdx", "a" * 99])
def test_not_made_of_words(run: str) -> None:
    """Nothing of a run is left over, and no two joints stand beside each other."""
    assert not is_made_of(run, WORDS, JOINTS)


@pytest.mark.parametrize(
    ("run", "is_made"),
    [("abxcd", True), ("ab", True), ("xab", False), ("abx", False), ("x", False)],
)
def test_joints_at_ends(run: str, is_made: bool) -> None:
    """Where joints are links between words none stands at the begin or at the end."""
    assert is_made_of(run, WORDS, JOINTS, at_ends=False) == is_made


def test_words_in() -> None:
    """Each word that stands anywhere in a run is found, and those within others, too."""
    assert list(words_in("xabcd", WORDS)) == ["x", "ab", "abc", "cd", "d"]


def test_runs() -> None:
    """Kana, Han and Hangul are runs; letters and digits between them are not."""
    assert runs_of("胸部ct2複部t1") == (["胸部", "複部"], ["ct2", "t1"])
    assert runs_of("knee") == ([], ["knee"])
