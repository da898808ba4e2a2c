"""Names in kana as they are written in Latin letters (Hepburn): people have them so, too."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ROWS: Final = (
    "a あいうえお", "k かきくけこ", "g がぎぐげご", "s さしすせそ", "z ざじずぜぞ", "t たちつてと",
    "d だぢづでど", "n なにぬねの", "h はひふへほ", "b ばびぶべぼ", "p ぱぴぷぺぽ", "m まみむめも",
    "r らりるれろ",
)  # fmt: skip
_OTHERS: Final = {
    "し": "shi", "じ": "ji", "ち": "chi", "ぢ": "ji", "つ": "tsu", "づ": "zu", "ふ": "fu",
    "や": "ya", "ゆ": "yu", "よ": "yo", "わ": "wa", "を": "o", "ん": "n", "ゔ": "vu",
}  # fmt: skip
_LETTERS: Final = {
    kana: row[0].replace("a", "") + vowel
    for row in _ROWS
    for kana, vowel in zip(row[2:], "aiueo", strict=True)
} | _OTHERS
_SMALL: Final = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo"}

# Katakana stand as far behind hiragana.
_HIRAGANA: Final = {code: code - 0x60 for code in range(0x30A1, 0x30F5)}
_KANA: Final = re.compile("[\u3041-\u3094ー]+")


def in_latin(word: str) -> str:
    """Returns a word of kana in Latin letters; "" for what is none."""
    word = unicodedata.normalize("NFKC", word).translate(_HIRAGANA)
    if not _KANA.fullmatch(word):
        return ""
    latin, doubles = "", False
    for kana in word:
        if kana in _SMALL and latin.endswith("i"):
            # Behind sh, ch and j without a y.
            is_soft = latin.endswith(("shi", "chi", "ji"))
            latin = latin[:-1] + _SMALL[kana][is_soft:]
        elif kana == "っ":
            doubles = True
        else:
            letters = _LETTERS.get(kana, "")
            first = "t" if letters.startswith("ch") else letters[:1]
            latin += first * doubles + letters
            doubles = False
    return latin
