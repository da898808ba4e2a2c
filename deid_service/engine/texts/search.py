"""What identifies somebody, found in a text.

A text is taken for what it is in: words, and runs of digits. What stands between them makes
no difference, nor do case, accents, width and script (see `spelling`):

    of           is found
    -----------  ---------------------------------------------------------------------
    a name       each of its words, also cut off behind six letters, and letter by letter;
                 two of them, or an initial and one, in any order, with anything between
                 them or nothing; with it, the initials, titles and other words of the
                 name that stand beside it
    a number     its digits and letters, however they are grouped, with and without
                 zeros before them; of a phone number the last seven digits and more
    a phrase     its words; of an address or institution also its parts between commas,
                 and each word that is not known to be harmless; of a department not one
                 word that is
    a date       see `calendar`

Words are too short to tell anybody below `MIN_NAME` letters, and numbers below
`MIN_NUMBER` digits: looked for, they would be found everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from deid_service.engine.texts.abbreviations import AT
from deid_service.engine.texts.beside import Beside
from deid_service.engine.texts.forms import (
    APOSTROPHES,
    LONG_NUMBER,
    MAX_PARTS,
    MAX_WORDS_OF_FORM,
    MIN_NAME,
    TOKEN,
)
from deid_service.engine.texts.in_order import are_cut
from deid_service.engine.texts.listed import Listed
from deid_service.engine.texts.sought import DAY, Sought
from deid_service.engine.texts.spelling import located, plain
from deid_service.engine.texts.tokens import (
    MAX_BETWEEN,
    Token,
    are_one,
    ends_a_code,
    is_before,
    is_of_a_code,
    is_of_images,
    literally,
    stands_at,
    tokens_of,
    touches,
    touches_letter,
)

# What stands before initials at the end of a text: of who wrote it.
_SIGNS: Final = frozenset("-\u2013\u2014/~")
_SIGNED: Final = re.compile(r"[.;!?)] *[-\u2013\u2014/~]([^\W\d_]{2})$")

# The same behind a sentence that has no point, of so many words; and what it may be without.
_SIGNED_BARE: Final = re.compile(r"[^\W\d_]{3} [-\u2013\u2014~]([^\W\d_]{2})$")
_MIN_SIGNED: Final = 4
_MAX_SIGNED: Final = 8
_WITHOUT: Final = frozenset(["cm", "fs", "gd", "km", "mc", "fc"])

# Letters of a name that stand each by itself; more than a name in DICOM has (PS3.5 6.2: PN).
_MAX_SPELLED: Final = 64

# At these, a short number is an identifier.
_NUMBER_OF: Final = frozenset(["sn", "id", "pid", "mrn", "acc", "pat", "no", "nr"])


class Search:
    """Finds in texts what is looked for."""

    def __init__(self, sought: Sought, listed: Listed, harmless: AbstractSet[str]) -> None:
        """Takes what is looked for of a file, and of any.

        Args:
            sought: of whom the file is about.
            listed: what no text says, whoever a file is about.
            harmless: words that say nothing by themselves, in lower case.
        """
        self._sought = sought
        self._listed = listed
        self._harmless = harmless

    def spans(self, text: str, *, with_initials: bool = True) -> list[tuple[int, int]]:
        """Returns where a text says anything of it, as words of their own, in their order.

        Takes time in proportion to the length of the text.

        Args:
            text: one value.
            with_initials: initials alone do, too.
        """
        compared, origins = located(text)
        written = text if origins is None else "".join([text[at] for at in origins])
        found = [
            *self._in_words(compared, written, with_initials=with_initials),
            *self._in_unspaced(compared),
            *self._sought.calendar.spans(compared),
        ]
        if origins is None or not found:
            return sorted(found)
        origins.append(len(text))
        return sorted(
            (origins[start], max(origins[end - 1] + 1, _behind(text, origins[end - 1] + 1)))
            for start, end in found
        )

    def is_in(self, text: str) -> bool:
        """Whether anything of it stands in a text, but for initials alone."""
        text = _lower(text)
        ways = (self._in_words(text), self._in_unspaced(text), self._sought.calendar.spans(text))
        return any(next(way, None) is not None for way in ways)

    def _in_words(
        self, text: str, written: str = "", *, with_initials: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Yields where it stands in a text as it is compared, from the left to the right."""
        found = list(TOKEN.finditer(text))
        beside = Beside(self._sought, text, written, found) if with_initials else None
        heads = self._sought.heads_and_initials if with_initials else self._sought.heads
        listed = self._listed.follow
        dates = self._sought.calendar
        months = dates.months
        joins, harmless = self._sought.is_joined, self._harmless
        at = reached = 0
        while at < len(found):
            token = found[at][0]
            length = 0
            # Most of a text is passed here.
            if (
                token in heads
                or token in listed
                or token[0] == "0"
                or (len(token) > DAY and token.isdecimal())
                or (len(token) >= LONG_NUMBER and token not in harmless and joins(text, found[at]))
                or not token.isalnum()
            ):
                length = self._length(text, found, at, beside)
            if length:
                before = max(reached, at - MAX_PARTS)
                tokens = tokens_of(text, found[before : at + length + MAX_PARTS], written)
                first = at - before
                start, stop = self._with_what_is_beside(tokens, first, first + length)
                at = reached = before + stop
                yield found[before + start].start(), found[at - 1].end()
            else:
                if token in months and (span := dates.around(found, at)):
                    yield span
                at += 1
        signed = _SIGNED.search(text) if with_initials and text[-3:-2] in _SIGNS else None
        if signed is None and with_initials and len(found) >= _MIN_SIGNED:
            signed = _SIGNED_BARE.search(text, max(len(text) - _MAX_SIGNED, 0))
            signed = None if signed and signed[1] in _WITHOUT else signed
        if signed and reached < len(found) and signed[1] in self._sought.initials:
            yield signed.span(1)

    def _length(self, text: str, found: list[re.Match[str]], at: int, beside: Beside | None) -> int:
        """Returns how many tokens belong to what begins with one of them; 0 for nothing."""
        token = found[at]
        word = token[0].translate(APOSTROPHES)
        is_of_a_code = len(word) == 1 and ends_a_code(text, token.start())
        if not is_of_a_code and self._may_begin(word, found, at):
            # One is behind the longest form.
            most = MAX_WORDS_OF_FORM
            if word not in self._listed.follow:
                most = min(self._sought.longest[word] + 1, most)
            length = self._form_length(tokens_of(text, found[at : at + most]))
            if length:
                return length
        if len(word) >= LONG_NUMBER and word not in self._harmless:
            if self._sought.is_joined(text, token):
                return 1
        elif (word,) in self._sought.short and stands_at(_NUMBER_OF, text, found, at):
            return 1
        if at == 0 and are_cut([each[0] for each in found[:MAX_WORDS_OF_FORM]], self._sought.whole):
            return min(len(found), MAX_WORDS_OF_FORM)
        is_number = word.lstrip("0") in self._sought.number_heads
        if is_number and (length := self._number_length(found, at)):
            return length
        if word.isdecimal() and self._sought.calendar.are(word):
            # Of eight digits it is none by chance: DOB19700203.
            is_told = len(word) >= DAY or stands_at(self._sought.called, text, found, at)
            return int(is_told or not touches(text, token))
        if beside is None:
            return 0
        if word in self._sought.told_initials and not touches(text, token):
            return 1
        # Machines are numbered: MGH1.
        if word in self._sought.told_institutions and not touches_letter(text, token):
            return 1
        if word == AT and at + 1 < len(found) and found[at + 1][0] in self._sought.institutions:
            is_behind = text[token.end() : found[at + 1].start()] == " "
            return 2 * int(is_behind and not touches(text, found[at + 1]))
        if word in self._sought.initials and is_before(
            self._sought.calendar.years, text, found, at
        ):
            return 2
        if told := beside.length(at):
            return told
        # Initials, and names letter by letter, have another letter behind the first.
        is_alone = at + 1 == len(found) or len(found[at + 1][0]) > 1
        if len(word) > 1 or is_alone or word.isdecimal():
            return 0
        if length := self._spelled_length(found, at):
            return length
        return self._dotted_end(tokens_of(text, found[at : at + MAX_WORDS_OF_FORM]))

    def _may_begin(self, word: str, found: list[re.Match[str]], at: int) -> bool:
        """Whether a form begins with a word, and goes on with the next if it goes on."""
        behind = found[at + 1][0] if at + 1 < len(found) else ""
        for follow in (self._sought.follow.get(word), self._listed.follow.get(word)):
            if follow and ("" in follow or behind in follow or not behind.isalnum()):
                return True
        return False

    def _form_length(self, tokens: list[Token]) -> int:
        sought, listed = self._sought, self._listed.forms
        words = tuple([token.text for token in tokens])
        for length in range(len(words), 0, -1):
            some = words[:length]
            if length > 1 and is_of_a_code(tokens[length - 1 : length + 1], self._harmless):
                continue
            if (some in sought.forms or some in listed) and are_one(tokens[:length]):
                return length
            if some in sought.short and literally(tokens[:length]) in sought.short[some]:
                return length
        return 0

    def _spelled_length(self, found: list[re.Match[str]], at: int) -> int:
        """Returns how many tokens are a form letter by letter: S F O R Z I N I, S.F.O.R.Z.I.N.I."""
        head = "".join([each[0] for each in found[at : at + MIN_NAME]])
        if head not in self._sought.spelled_heads:
            return 0
        letters, end = "", found[at].start() - 1
        for token in found[at : at + _MAX_SPELLED]:
            letter = token[0].translate(APOSTROPHES)
            if len(letter) > 1 or not 0 < token.start() - end <= MAX_BETWEEN:
                break
            letters, end = letters + letter, token.end()
        lengths = range(len(letters), MIN_NAME - 1, -1)
        return next((each for each in lengths if (letters[:each],) in self._sought.right_forms), 0)

    def _number_length(self, found: list[re.Match[str]], at: int) -> int:
        joined, length, end = "", 0, found[at].start()
        for place in range(at, min(at + MAX_WORDS_OF_FORM, len(found))):
            token = found[place]
            if token.start() - end > MAX_BETWEEN // 2:
                break
            end = token.end()
            joined = (joined + token[0]).lstrip("0")
            if joined in self._sought.long_numbers:
                length = place + 1 - at
            elif joined not in self._sought.number_heads:
                break
        return length

    def _dotted_end(self, tokens: list[Token]) -> int:
        """Returns how many tokens are initials, with points or spaces between them."""
        letters, told = "", 0
        for length, token in enumerate(tokens, 1):
            if len(token.text) > 1 or (length > 1 and token.before not in {".", ". ", " ", ".-"}):
                break
            if told:
                # Of more names, those that nobody has seen in an order of their own.
                if "." not in token.before or token.text not in self._sought.letters:
                    break
                told = length
                continue
            letters += token.text
            # With points they are no word, whatever the vocabulary has.
            with_points = length > 1 and all("." in each.before for each in tokens[1:length])
            known = self._sought.with_points if with_points else self._sought.told_initials
            if letters in known:
                told = length
        return told

    def _with_what_is_beside(self, tokens: list[Token], first: int, end: int) -> tuple[int, int]:
        """Returns a range of tokens with initials, titles and words of the name around it."""
        words = [token.text for token in tokens[first:end]]
        of_file = not self._sought.in_names.isdisjoint(words) or (
            len(words) > 1
            and all(len(word) == 1 for word in words)
            # Letter by letter, it is a name, and the next may begin another.
            and "".join(words) not in self._sought.in_names
        )
        of_list = self._listed.beside(words)
        if of_file or of_list:
            for _ in range(MAX_PARTS):
                if first and self._belongs(tokens[first - 1], tokens[first].before, of_list):
                    # Of B30f and W/O no letter is an initial.
                    if len(tokens[first - 1].text) == 1 and (
                        tokens[first - 1].touches or tokens[first - 1].before == "/"
                    ):
                        break
                    if first > 1 and is_of_images(tokens[first - 1]):
                        break
                    first -= 1
                if end < len(tokens) and self._belongs(tokens[end], tokens[end].before, of_list):
                    if is_of_a_code(tokens[end : end + 2], self._harmless):
                        break
                    if end + 1 < len(tokens) and is_of_images(tokens[end]):
                        break
                    end += 1
        return first, end

    def _belongs(self, token: Token, between: str, of_list: AbstractSet[str]) -> bool:
        word = token.text
        if len(between) > MAX_BETWEEN // 2 or "\n" in between:
            return False
        if word == "s" and between in {"'", "\u2019"}:
            return True
        if len(word) == 1:
            is_initial = word in self._sought.letters or word in of_list
            return (is_initial and "/" not in between) or word in self._sought.told_initials
        return word in of_list or word in self._sought.beside or word in self._sought.told_initials

    def _in_unspaced(self, text: str) -> Iterator[tuple[int, int]]:
        for form in self._sought.unspaced if not text.isascii() else ():
            at = text.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = text.find(form, at + len(form))
        if not text.isascii():
            yield from self._listed.unspaced(text)


def _behind(text: str, at: int) -> int:
    """Returns where what belongs to a character ends: its combining marks."""
    while at < len(text) and not plain(text[at]):
        at += 1
    return at


def _lower(text: str) -> str:
    """Returns a text in lower case, character by character."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)
