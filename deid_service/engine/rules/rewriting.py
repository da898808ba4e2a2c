"""Values rewritten: the steps of an op on the value of one element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from deid_service.engine.encoding.charsets import (
    CHARSET_VRS,
    DEFAULT_CHARACTER_SETS,
    CharacterSetError,
    CharacterSets,
    UndefinedTermError,
)
from deid_service.engine.encoding.dummies import WITHOUT_TEXT, dummy_bytes, dummy_text
from deid_service.engine.encoding.headers import HEADER, LONG_HEADER, SHORT_VRS, Encoding
from deid_service.engine.encoding.tags import PIXEL_DATA, SPECIFIC_CHARACTER_SET
from deid_service.engine.encoding.values import (
    OPAQUE_VRS,
    SINGLE_VALUED,
    count_values,
    read_value,
    write_value,
)
from deid_service.engine.errors import DicomError, Reason
from deid_service.engine.limits import (
    MAX_ACTIONS_ON_ELEMENT,
    MAX_GROWTH,
    MAX_VALUE_CHARACTERS,
    MAX_VALUES,
)
from deid_service.engine.rules.actions import KeyedStep, ValueStep, step_of
from deid_service.engine.rules.budget import begin_element, match, may_grow
from deid_service.engine.rules.errors import NotTransformableError
from deid_service.engine.rules.fits import MAX_NUMBERS, is_vouched_for
from deid_service.engine.rules.in_bytes import blanked, may_stay
from deid_service.engine.rules.memo import MAX_MEMO_ELEMENT, Became, Memo
from deid_service.engine.rules.ops import (
    ANY_VALUE,
    AnyStep,
    Dropped,
    Kept,
    RegexSubStep,
    Rewritten,
)
from deid_service.engine.rules.pseudonyms import Pseudonyms
from deid_service.engine.texts.cleaner import Cleaner, TextStep
from profile_service.language.model import (
    Capture,
    Element,
    ElementValue,
    Leftovers,
    PatternTimeoutError,
    RegexSubCase,
    Settings,
    SimpleAction,
)
from profile_service.language.vr import problem

# The original values of top-level elements by tag; None for an absent one.
Originals = Mapping[int, str | None]

# Of constants, which are a profile's.
_cached_problem = lru_cache(maxsize=4096)(problem)
_cached_step = lru_cache(maxsize=4096)(step_of)


# Of a text about nobody, where none is cleaned.
_NOBODY: Final = Cleaner()

# Of no character set (PS3.5 6.1.2.2), and texts all the same.
_IN_ASCII: Final = frozenset({"AE", "CS", "UR"})
_READ_IN_SETS: Final = CHARSET_VRS | _IN_ASCII


class Place:
    """The element that is rewritten, for what an error says about it.

    Attributes:
        tag: of the element.
        vr: that its value is read and written with.
        offset: of the element in the input, in bytes.
    """

    __slots__ = ("offset", "tag", "vr")

    def __init__(self, tag: int, vr: str, offset: int) -> None:
        self.tag = tag
        self.vr = vr
        self.offset = offset

    def error(self, reason: Reason, message: str) -> DicomError:
        """Returns an error about the element."""
        return DicomError(reason, message, tag=self.tag, vr=self.vr, offset=self.offset)


def texts_of(place: Place, value: bytes, charsets: CharacterSets, *, big: bool) -> list[str]:
    """Returns the values of an element as texts.

    Raises:
        DicomError: they cannot be read, or are too many.
    """
    if place.vr in OPAQUE_VRS:
        raise place.error(
            Reason.VALUE_NOT_TRANSFORMABLE, f"a value of the VR {place.vr} cannot be read as text"
        )
    if len(value) > MAX_VALUES and count_values(place.vr, value) > MAX_VALUES:
        raise place.error(
            Reason.LIMIT_EXCEEDED, f"an element that a rule needs has more than {MAX_VALUES} values"
        )
    try:
        return read_value(place.vr, value, charsets, big=big)
    except UndefinedTermError as error:
        raise _undefined_term(error) from None
    except CharacterSetError:
        raise place.error(
            Reason.VALUE_NOT_TRANSFORMABLE, "the value is not in the specific character set"
        ) from None
    except ValueError as error:
        raise place.error(Reason.VALUE_NOT_TRANSFORMABLE, str(error)) from None


def constant_texts(place: Place, text: str) -> list[str]:
    """Returns the values that a constant stands for.

    Raises:
        DicomError: the VR cannot hold it.
    """
    if not text:
        return []
    if text == ANY_VALUE:
        return [text]
    is_short = len(text) <= MAX_MEMO_ELEMENT
    reason = _cached_problem(place.vr, text) if is_short else problem(place.vr, text)
    if reason is not None:
        raise place.error(Reason.VALUE_NOT_ENCODABLE, f"the new value does not fit: {reason}")
    return [text] if place.vr in SINGLE_VALUED else text.split("\\")


def bytes_of(place: Place, texts: list[str], charsets: CharacterSets, *, big: bool) -> bytes:
    """Returns texts as the value of an element.

    Raises:
        DicomError: the VR or the character sets cannot hold them.
    """
    if not texts:
        return b""
    try:
        return write_value(place.vr, texts, charsets, big=big)
    except UndefinedTermError as error:
        raise _undefined_term(error) from None
    except CharacterSetError:
        raise place.error(
            Reason.VALUE_NOT_ENCODABLE, "the specific character set cannot hold the new value"
        ) from None
    except ValueError as error:
        raise place.error(Reason.VALUE_NOT_ENCODABLE, str(error)) from None


def _undefined_term(error: UndefinedTermError) -> DicomError:
    return DicomError(
        Reason.NOT_SUPPORTED,
        "the specific character set is not a defined term",
        tag=SPECIFIC_CHARACTER_SET,
        vr="CS",
        offset=error.offset,
    )


def element_of(encoding: Encoding, place: Place, found_vr: str | None, value: bytes) -> bytes:
    """Returns an element with a new value.

    Args:
        encoding: of the element.
        place: the element.
        found_vr: the VR that stood in its header; None in implicit VR, and for a new
            element, which has that of its place.
        value: the new value.

    Raises:
        DicomError: the VR cannot hold so long a value.
    """
    try:
        header = encoding.header(place.tag, found_vr or place.vr, len(value))
    except ValueError:
        raise place.error(
            Reason.VALUE_NOT_ENCODABLE, "the new value is too long for the VR"
        ) from None
    return header + value


def count_growth(place: Place, element: bytes, former_size: int) -> None:
    """Takes note of how much longer a new element makes the file.

    Args:
        place: the element.
        element: the new one.
        former_size: of the element that it stands for, in bytes; 0 for none.

    Raises:
        DicomError: new values make it longer by more than MAX_GROWTH.
    """
    # What is remembered is not made again, and would count for the first file only.
    if len(element) > MAX_MEMO_ELEMENT and not may_grow(len(element) - former_size):
        raise place.error(
            Reason.LIMIT_EXCEEDED,
            f"new values make the file longer by more than {MAX_GROWTH} bytes",
        )


def becomes_zeros(op: Kept | Dropped | Rewritten, vr: str) -> bool:
    """Whether a value of a VR becomes zeros, without a look at it."""
    return isinstance(op, Rewritten) and op.dummy and vr in WITHOUT_TEXT


def zeros_of(place: Place, length: int) -> bytes:
    """Returns the zeros that stand for a value of so many bytes.

    Raises:
        DicomError: it is pixel data.
    """
    if place.tag == PIXEL_DATA:
        raise place.error(Reason.VALUE_NOT_TRANSFORMABLE, "there is no dummy of pixel data")
    return dummy_bytes(place.vr, length)


def dummy_of(place: Place, length: int, encoding: Encoding) -> bytes:
    """Returns the dummy that stands for a value of so many bytes that cannot be read."""
    if place.vr in WITHOUT_TEXT:
        return zeros_of(place, length)
    text = "2.25.0" if place.vr == "UI" else dummy_text(place.vr)
    return write_value(place.vr, [text], DEFAULT_CHARACTER_SETS, big=encoding.big)


def readable_texts(
    place: Place, value: bytes, charsets: CharacterSets, *, big: bool
) -> list[str] | None:
    """Returns the values of an element; None of what cannot be read, or is no text.

    Raises:
        DicomError: they are too many.
    """
    if place.vr in OPAQUE_VRS:
        return None
    try:
        return texts_of(place, value, charsets, big=big)
    except DicomError as error:
        if error.reason is Reason.LIMIT_EXCEEDED:
            raise
    return None


def _texts_among_bytes(value: bytes, charsets: CharacterSets) -> list[str]:
    """Returns what bytes say that are nothing but a short text, as in implicit VR; or nothing."""
    value = value.rstrip(b" \0")
    try:
        text = charsets.decode(value, "LT") if len(value) <= MAX_NUMBERS else ""
    except CharacterSetError:
        return []
    return [text] if text and "".join(text.split()).isprintable() else []


def allow_leftover(place: Place, leftovers: Leftovers) -> None:
    """Allows that an element stays as it came, although it says who somebody is.

    Raises:
        DicomError: what it says had to be taken out of it, or rejects the file.
    """
    if leftovers == "reject":
        raise place.error(Reason.REJECTED_BY_PROFILE, "a text that stays identifies somebody")
    if leftovers == "remove":
        raise place.error(
            Reason.VALUE_NOT_TRANSFORMABLE, "what identifies somebody cannot be taken out of it"
        )


class Around(NamedTuple):
    """What the new value of an element depends on, beside the element and its op.

    Attributes:
        encoding: of the element.
        charsets: in force for it.
        settings: of the profile.
        memo: what became of elements before.
    """

    encoding: Encoding
    charsets: CharacterSets
    settings: Settings
    memo: Memo


_UNCHANGED: Final[Became] = (None, (), "")


def became(
    op: Kept | Rewritten, place: Place, found_vr: str | None, element: bytes, around: Around
) -> Became:
    """Returns what becomes of an element whose op is repeatable, and remembers it.

    Args:
        op: what is done to it.
        place: the element.
        found_vr: the VR as it stands in the header; None in implicit VR.
        element: the element; its value is the rest behind the header.
        around: what else the result depends on.

    Raises:
        DicomError: it cannot be changed.
    """
    encoding, charsets, settings, memo = around
    big = encoding.big and found_vr != "UN"
    start = HEADER if found_vr is None or found_vr in SHORT_VRS else LONG_HEADER
    constant = op.constant if isinstance(op, Rewritten) else None
    steps = op.steps if isinstance(op, Rewritten) else ()
    texts: list[str] = []
    pseudonyms = memo.pseudonyms
    if op.patient:
        check_patient(place, element[start:], pseudonyms)
    if isinstance(op, Rewritten) and becomes_zeros(op, place.vr):
        if len(element) == start:
            return _UNCHANGED
        zeros = zeros_of(place, len(element) - start)
        return element_of(encoding, place, found_vr, zeros), op.names, ""
    if constant is not None:
        texts = constant_texts(place, constant)
    elif isinstance(op, Rewritten) and op.sweeps:
        value = element[start:]
        if op.is_whole:
            return _looked_at(op, place, found_vr, element, start, around)
        readable = readable_texts(place, value, charsets, big=big)
        if place.vr in _IN_ASCII and not value.isascii():
            # No code has such letters: they are those of the other texts.
            readable = _texts_among_bytes(value, charsets) or readable
        if readable is None or settings.leftovers != "remove":
            texts = readable or []
            told = texts if readable is not None else _texts_among_bytes(value, charsets)
            says = memo.cleaner.finds(told, place.vr, op.sweep)
            if says or (readable is None and memo.cleaner.identity.may_be_in(value)):
                allow_leftover(place, settings.leftovers)
                # Put in its own place, it is counted.
                return element, op.names, "\\".join(texts)
            return None, (), "\\".join(texts)
        texts = readable
    elif op.final or steps:
        texts = texts_of(place, element[start:], charsets, big=big)
    result: Became = (None, (), "\\".join(texts))
    if isinstance(op, Rewritten) and (constant is not None or (texts and steps)):
        before = texts
        texts = apply_steps(place, texts, steps, settings, {}, pseudonyms, memo.cleaner)
        # What a key, or cleaning, leaves as it was, is left as it came.
        if constant is not None or texts != before or not (op.cleans or _may_leave(steps)):
            value = bytes_of(place, texts, charsets, big=big)
            new = element_of(encoding, place, found_vr, value)
            count_growth(place, new, len(element))
            result = (new, op.names, "\\".join(texts))
    if place.vr not in _READ_IN_SETS or (element[8:].isascii() and b"\x1b" not in element):
        memo.remember(op, encoding, element, result)
    return result


def _looked_at(
    op: Rewritten, place: Place, found_vr: str | None, element: bytes, start: int, around: Around
) -> Became:
    """Returns what becomes of a value that stays as it is, or goes: numbers, times, and bytes.

    Raises:
        DicomError: it goes.
    """
    cleaner, leftovers = around.memo.cleaner, around.settings.leftovers
    value = element[start:]
    text = ""
    if place.vr in OPAQUE_VRS:
        new = blanked(value, cleaner.identity, around.charsets.codec)
        if new == value:
            return _UNCHANGED
        if leftovers == "remove":
            return element[:start] + new, op.names, ""
    else:
        big = around.encoding.big and found_vr != "UN"
        text = "\\".join(readable_texts(place, value, around.charsets, big=big) or [])
        is_said = is_vouched_for(place.tag, found_vr)
        if may_stay(value, place.vr, around.charsets, cleaner, is_said=is_said):
            stays: Became = (None, (), text)
            if element[8:].isascii() and b"\x1b" not in element:
                around.memo.remember(op, around.encoding, element, stays)
            return stays
    allow_leftover(place, leftovers)
    return element, op.names, text


def _may_leave(steps: Sequence[AnyStep]) -> bool:
    """Whether steps leave some values as they are: UIDs of the standard, and times."""
    return all(isinstance(step, KeyedStep) for step in steps)


def check_patient(place: Place, value: bytes, pseudonyms: Pseudonyms | None) -> None:
    """Refuses a value that says otherwise who the patient is than the first one.

    Args:
        place: the element.
        value: of it, as it stands in the file.
        pseudonyms: those that are made in the file.

    Raises:
        DicomError: it does.
    """
    patient = None if pseudonyms is None else pseudonyms.patient
    if patient is not None and patient.values.get(place.tag) != value:
        raise place.error(
            Reason.MALFORMED, "an element that says who the patient is stands out of order"
        )


def weight_of(steps: Sequence[AnyStep], texts: list[str]) -> int:
    """Returns as how many actions all steps on all of some values count."""
    return len(texts) * sum([step.weight for step in steps])


def apply_steps(
    place: Place,
    texts: list[str],
    steps: Sequence[AnyStep],
    settings: Settings,
    originals: Originals,
    pseudonyms: Pseudonyms | None,
    cleaner: Cleaner = _NOBODY,
) -> list[str]:
    """Puts values through steps; empty ones stay empty.

    Args:
        place: the element.
        texts: its values.
        steps: in their order; what a RegexSubStep needs is in `originals`.
        settings: of the profile.
        originals: see there.
        pseudonyms: what is done by a key; None where there is none.
        cleaner: of the texts of the file.

    Raises:
        DicomError: a step cannot transform a value.
    """
    vr = place.vr
    if weight_of(steps, texts) > MAX_ACTIONS_ON_ELEMENT:
        raise place.error(
            Reason.LIMIT_EXCEEDED,
            f"the rules do more than {MAX_ACTIONS_ON_ELEMENT} actions on the element",
        )
    try:
        for step in steps:
            if isinstance(step, ValueStep):
                apply = step.apply
                texts = [apply(text, vr) if text else text for text in texts]
            elif isinstance(step, KeyedStep):
                texts = [_put_through_keyed(step, text, vr, pseudonyms) for text in texts]
            elif isinstance(step, TextStep):
                texts = cleaner.texts(step, texts, vr)
            else:
                begin_element()
                sources = Sources(settings, originals, pseudonyms)
                texts = [_substitute(place, step, text, sources) for text in texts]
    except NotTransformableError as error:
        raise place.error(error.reason, f"{_name(step)}: {error}") from None
    return texts


def _name(step: AnyStep) -> str:
    return step.name


def _put_through_keyed(step: KeyedStep, text: str, vr: str, pseudonyms: Pseudonyms | None) -> str:
    if not text:
        return text
    if pseudonyms is None:
        raise NotTransformableError("there is no key for it")
    return step.apply(text, vr, pseudonyms)


class Sources(NamedTuple):
    """What the output of a regex-sub is made of, beside what it has captured.

    Attributes:
        settings: of the profile.
        originals: see there.
        pseudonyms: as for `apply_steps`.
    """

    settings: Settings
    originals: Originals
    pseudonyms: Pseudonyms | None


def _substitute(place: Place, step: RegexSubStep, text: str, sources: Sources) -> str:
    if not text:
        return text
    for case in step.action.cases:
        try:
            captured = match(case.pattern, text)
        except PatternTimeoutError:
            raise place.error(
                Reason.LIMIT_EXCEEDED, "a regular expression took too long on the value"
            ) from None
        if captured is not None:
            result = _fill_in(case, captured, place, sources)
            if result and (reason := problem(place.vr, result)) is not None:
                raise place.error(
                    Reason.VALUE_NOT_ENCODABLE, f"the new value does not fit: {reason}"
                )
            return result
    raise NotTransformableError("no input-regex matches the value")


def _fill_in(
    case: RegexSubCase,
    captured: Mapping[str, str | None],
    place: Place,
    sources: Sources,
) -> str:
    settings, originals, pseudonyms = sources
    filled = []
    length = 0
    for part in case.output:
        if isinstance(part, str):
            text = part
        elif isinstance(part, Capture):
            text = captured[part.name] or ""
        else:
            text = _original(part, originals)
        if not isinstance(part, str):
            text = put_through(text, part.action, place.vr, settings, pseudonyms)
        filled.append(text)
        length += len(text)
        if length > MAX_VALUE_CHARACTERS:
            raise place.error(
                Reason.LIMIT_EXCEEDED,
                f"regex-sub: the new value has more than {MAX_VALUE_CHARACTERS} characters",
            )
    return "".join(filled)


def _original(part: ElementValue, originals: Originals) -> str:
    tag = part.element.tag if isinstance(part.element, Element) else None
    return "" if tag is None else originals.get(tag) or ""


def put_through(
    text: str,
    action: SimpleAction | None,
    vr: str,
    settings: Settings,
    pseudonyms: Pseudonyms | None,
) -> str:
    """Puts one text through one action; an empty one stays empty.

    Raises:
        NotTransformableError: the action cannot transform it.
    """
    if action is None or not text:
        return text
    step = _cached_step(action, settings)
    if isinstance(step, KeyedStep):
        return _put_through_keyed(step, text, vr, pseudonyms)
    return step.apply(text, vr)
