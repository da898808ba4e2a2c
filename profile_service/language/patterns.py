"""Regular expressions of authors, guarded: none can hold a worker, whatever it is run on.

The syntax is that of Python's `re`, which decides whether a pattern compiles.
It runs in the `regex` module, which can stop a match after a time. The two
modules read some texts differently, and `regex` unrolls nested repetitions when
it compiles; both are refused by looking at the pattern first.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from profile_service.language.codes import Code
from profile_service.language.model import PatternTimeoutError

if TYPE_CHECKING:
    import regex

# Seconds that one match may take. An honest pattern needs microseconds on a path
# or a value, and who serves several files has a turn after some tens of milliseconds.
MATCH_SECONDS = 0.05

# Steps of a match, and the seconds that they take at the most. To watch a match costs ten
# times what an ordinary one does, so those that cannot take more are not watched.
_UNWATCHED_STEPS = 500_000
_UNWATCHED_SECONDS = 0.01

# The clock is looked at between the steps of a match, and a step may take as long
# as the text: so texts have a limit. The longest value that a VR bounds is LT's.
MAX_TEXT_CHARACTERS = 10_240

# Room for an alternation of a hundred keywords.
MAX_PATTERN_CHARACTERS = 4096

# Nesting costs the compilers stack.
MAX_GROUP_DEPTH = 40

# What a pattern may unroll to, in atoms: up to ten microseconds each to compile.
MAX_PATTERN_WEIGHT = 10_000

# What all patterns of a profile may weigh together, so that a text full of them
# is answered within a second. The fixed part is what the smallest pattern costs.
MAX_TOTAL_WEIGHT = 40_000
_FIXED_WEIGHT = 20

# A class with characters outside Latin-1 makes `re` build a table of all of
# Unicode: about as much work as so many atoms.
_WIDE_CLASS_WEIGHT = 400

# What `re` says about an error may repeat a name of the pattern.
_MAX_REASON = 100

_REPEAT = re.compile(r"\{([0-9]*)(?:,[0-9]*)?\}")
_LEADING_FLAGS = re.compile(r"(?:\(\?[aimsux]+\))+")

# Says that spaces and comments count for nothing: they may stand between a group and what
# repeats it.
_VERBOSE = re.compile(r"\(\?[a-zA-Z-]*x")

_WIDE_ESCAPE = re.compile(r"\\[uUN]")

# In a class, `re` reserves these for set operations that `regex` may know.
_SET_OPERATORS = ("--", "&&", "||", "~~")


class PatternError(Exception):
    """A pattern cannot be used.

    Attributes:
        code: why, as a stable code.
        message: why, in a sentence.
    """

    def __init__(self, code: Code, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class GuardedPattern:
    """A regular expression with a bound on the time of each match.

    Attributes:
        source: as its author wrote it.
        group_names: its named groups.
        unwatched_characters: a text of so many cannot take long, and needs no clock.
    """

    source: str
    group_names: frozenset[str] = field(compare=False, repr=False)
    _compiled: regex.Pattern[str] = field(compare=False, repr=False)
    unwatched_characters: int = field(compare=False, repr=False)

    def most_seconds(self, text: str) -> float:
        """How long a match on a text can take at the most, in seconds of computing."""
        return MATCH_SECONDS if len(text) > self.unwatched_characters else _UNWATCHED_SECONDS

    def match(self, text: str) -> dict[str, str | None] | None:
        """Match from the start, not necessarily to the end, of the text.

        Returns:
            The named groups (None for one that took no part), or None where the
            text does not match.

        Raises:
            PatternTimeoutError: the match took longer than MATCH_SECONDS or more memory
                than there is, or the text is longer than MAX_TEXT_CHARACTERS.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise PatternTimeoutError
        seconds = MATCH_SECONDS if len(text) > self.unwatched_characters else None
        try:
            found = self._compiled.match(text, timeout=seconds)
        except (TimeoutError, MemoryError):
            raise PatternTimeoutError from None
        return None if found is None else found.groupdict()

    def found_in(self, text: str, seconds: float) -> bool:
        """Whether the pattern matches anywhere in the text.

        Args:
            text: what is searched.
            seconds: the bound on time.

        Raises:
            PatternTimeoutError: the bound was reached.
        """
        try:
            return self._compiled.search(text, timeout=seconds) is not None
        except (TimeoutError, MemoryError):
            raise PatternTimeoutError from None


def match_anywhere(source: str) -> str:
    """Writes a pattern so that it matches anywhere, not only from the start."""
    return preceded(".*", source)


def preceded(by: str, source: str) -> str:
    """Writes a pattern with another one before all of it."""
    flags = _LEADING_FLAGS.match(source)
    cut = 0 if flags is None else flags.end()
    rest = source[cut:]
    return source[:cut] + by + (f"(?:{rest})" if "|" in rest else rest)


class PatternCompiler:
    """Compiles the patterns of one profile, within a bound for all of them."""

    def __init__(self) -> None:
        self._compiled: dict[str, GuardedPattern] = {}
        self._weight = 0

    def compile(self, source: str) -> GuardedPattern:
        """Compiles a pattern.

        Raises:
            PatternError: it cannot be used.
        """
        if source not in self._compiled:
            self._compiled[source] = self._compile(source)
        return self._compiled[source]

    def _compile(self, source: str) -> GuardedPattern:
        # Not above: most profiles have no pattern, and it takes longer to load than they do.
        import regex

        if len(source) > MAX_PATTERN_CHARACTERS:
            raise PatternError(
                Code.REGEX_UNGUARDED,
                f"The pattern is longer than {MAX_PATTERN_CHARACTERS} characters.",
            )
        reading = _Reading(source)
        reading.read()
        self._weight += _FIXED_WEIGHT + reading.weight
        if reading.weight > MAX_PATTERN_WEIGHT:
            raise PatternError(
                Code.REGEX_UNGUARDED, "The nested repetitions of the pattern multiply to too many."
            )
        if self._weight > MAX_TOTAL_WEIGHT:
            raise PatternError(
                Code.REGEX_UNGUARDED, "The patterns of the profile are too many or too large."
            )
        # First, because `re` warns about some of what is ambiguous.
        if reading.ambiguity:
            raise PatternError(Code.REGEX_AMBIGUOUS, reading.ambiguity)
        try:
            reference = re.compile(source)
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternError(Code.REGEX_INVALID, _explain(error)) from None
        try:
            # Version 0 is the behaviour of `re`. The module's own cache is slow once
            # it is full, and the patterns of a profile differ.
            compiled = regex.compile(source, regex.VERSION0, cache_pattern=False)
        except (regex.error, ValueError, RecursionError, MemoryError):
            raise PatternError(
                Code.REGEX_UNGUARDED, "The pattern uses what cannot be run within bounds."
            ) from None
        return GuardedPattern(
            source, frozenset(reference.groupindex), compiled, reading.unwatched_characters
        )


def _explain(error: Exception) -> str:
    if isinstance(error, re.error) and error.pos is not None:
        reason = error.msg[:_MAX_REASON]
        return f"The pattern is not a regular expression: {reason} (character {error.pos + 1})."
    if isinstance(error, re.error):
        return f"The pattern is not a regular expression: {error.msg[:_MAX_REASON]}."
    return "The pattern is nested or repeated beyond what can be compiled."


class _Reading:
    """Looks at a pattern: what it unrolls to, and what could be read differently.

    Attributes:
        weight: the atoms that the pattern unrolls to, at least.
        ambiguity: a sentence about the first text that the two modules could read
            differently, or the empty text.
    """

    def __init__(self, source: str) -> None:
        self.weight = 0
        self.ambiguity = ""
        self._repeats = 0
        self._branches = 1
        self._repeats_groups = _VERBOSE.search(source) is not None
        self._source = source
        self._at = 0

    def read(self) -> None:
        """Reads the whole pattern.

        Raises:
            PatternError: it is nested too deeply.
        """
        groups = [0]
        branches = [1]
        last = 0  # the weight of the atom before the place
        while self._at < len(self._source):
            char, before = self._source[self._at], self._source[self._at - 1]
            if char == "(":
                if len(groups) > MAX_GROUP_DEPTH:
                    raise PatternError(
                        Code.REGEX_UNGUARDED,
                        f"The groups of the pattern are nested deeper than {MAX_GROUP_DEPTH}.",
                    )
                groups.append(1)
                branches.append(1)
                last = 0
                self._at += 1
                continue
            if char == ")" and len(groups) > 1:
                last = groups.pop()
                self._branches *= branches.pop()
                self._at += 1
            elif char in "*+?{" and (times := self._quantifier()) is not None:
                self._repeats += before != "("
                self._repeats_groups |= before == ")"
                # The atom is counted once already; a repetition copies it.
                groups[-1] += last * (times - 1)
                last = 0
                continue
            else:
                branches[-1] += char == "|"
                last = self._atom(char)
            groups[-1] += last
        self.weight = sum(groups)
        self._branches *= math.prod(branches)

    @property
    def unwatched_characters(self) -> int:
        """How long a text may be so that a match takes no more than `_UNWATCHED_STEPS`.

        Where no group is repeated, each repetition ends in one of as many ways as the text
        has places, each branch is taken or not, and each way through the pattern looks at
        its atoms, and by a reference to a group perhaps at all of the text, for each place.
        0 where that bound does not hold, or may not.
        """
        if self._repeats_groups:
            return 0
        length = 0
        for longer in (8, 16, 32, 64, 128, 256):
            ways = (longer + 1) ** self._repeats * self._branches
            if ways * (self.weight + 1) * longer > _UNWATCHED_STEPS:
                break
            length = longer
        return length

    def _quantifier(self) -> int | None:
        """Reads a quantifier: how many copies of the atom `regex` makes of it."""
        char = self._source[self._at]
        if char != "{":
            self._at += 1
            return 2 if char == "+" else 1
        found = _REPEAT.match(self._source, self._at)
        if found is None or found.group() in {"{}", "{,}"}:
            return None
        self._at = found.end()
        # Digits beyond the bound say no more than the bound itself.
        return min(int(found[1][:9] or "0"), MAX_PATTERN_WEIGHT) + 1

    def _atom(self, char: str) -> int:
        if char == "\\":
            named = self._source.startswith("\\N{", self._at)
            closing = self._source.find("}", self._at) if named else -1
            self._at = closing + 1 if closing > 0 else self._at + 2
            return 1
        if char == "[":
            return self._character_class()
        if char == "{":
            self._note("A brace that repeats nothing must be written as \\{.")
        self._at += 1
        return 1

    def _character_class(self) -> int:
        start = self._at
        self._at += 2 if self._source.startswith("[^", start) else 1
        first = self._at
        while self._at < len(self._source):
            char = self._source[self._at]
            if char == "]" and self._at > first:
                break
            if char == "[":
                self._note("A bracket within a character class must be written as \\[.")
            if self._source.startswith(_SET_OPERATORS, self._at):
                self._note("A doubled -, &, | or ~ within a character class must be escaped.")
            self._at += 2 if char == "\\" else 1
        self._at += 1
        text = self._source[start : self._at]
        wide = not text.isascii() or _WIDE_ESCAPE.search(text) is not None
        return _WIDE_CLASS_WEIGHT if wide else 1

    def _note(self, ambiguity: str) -> None:
        self.ambiguity = self.ambiguity or ambiguity
