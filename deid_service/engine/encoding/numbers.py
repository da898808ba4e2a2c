"""Numbers in values: how each VR writes them, and the random amounts that jitter adds."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import isfinite
from random import SystemRandom
from struct import Struct, calcsize, error
from typing import Final

from profile_service.language.model import Jitter

# PS3.5 6.2: the VRs that hold binary numbers, as struct writes them.
BINARY_FORMATS: Final = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
}  # fmt: skip

# How long each is in bytes, and an attribute tag.
NUMBER_SIZES: Final = {vr: calcsize(f"={code}") for vr, code in BINARY_FORMATS.items()} | {"AT": 4}

# The integer VRs, with the smallest and the largest number that each holds.
INTEGER_RANGES: Final = {
    "IS": (-(2**31), 2**31 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
    "UV": (0, 2**64 - 1),
}

# PS3.5 6.2: a Decimal String has at most 16 characters.
MAX_DECIMAL_STRING: Final = 16

# The power of ten that no double reaches (IEEE 754). PS3.5 6.2 lets a Decimal String say
# greater ones, and smaller ones than any computer has room for when it writes them out.
_MAX_POWER: Final = 308

# Of the longest double, written out: what is longer is no number that was measured.
_MAX_NUMBER_CHARACTERS: Final = 400

_RANDOM: Final = SystemRandom()


def read_numbers(vr: str, value: bytes, *, big: bool) -> list[str]:
    """Reads binary numbers, or attribute tags, as text.

    Raises:
        ValueError: the length of the value is no multiple of the number's.
    """
    if vr == "AT":
        halves = _unpack("H", value, big=big)
        if len(halves) % 2:
            raise ValueError("the value has a wrong length")
        return [f"{halves[i]:04X}{halves[i + 1]:04X}" for i in range(0, len(halves), 2)]
    # 17 and 9 significant digits bring a double and a single back.
    digits = {"FD": 17, "FL": 9}.get(vr)
    numbers = _unpack(BINARY_FORMATS[vr], value, big=big)
    return [str(number) if digits is None else f"{number:.{digits}g}" for number in numbers]


def write_numbers(vr: str, texts: list[str], *, big: bool) -> bytes:
    """Writes numbers, or attribute tags, in binary.

    Raises:
        ValueError: a text is no number, or the VR cannot hold it.
    """
    order = ">" if big else "<"
    try:
        if vr == "AT":
            tags = [int(text.strip("() ").replace(",", "").replace(" ", ""), 16) for text in texts]
            return b"".join(Struct(order + "HH").pack(tag >> 16, tag & 0xFFFF) for tag in tags)
        convert = int if vr in INTEGER_RANGES else float
        numbers = [convert(text) for text in texts]
        return Struct(f"{order}{len(numbers)}{BINARY_FORMATS[vr]}").pack(*numbers)
    except (error, ValueError, OverflowError):
        raise ValueError("the VR cannot hold the number") from None


def jitter(text: str, vr: str, action: Jitter) -> str:
    """Adds a random non-zero amount to a number, and writes it as the VR holds it.

    Raises:
        ValueError: the text is no number that a double can hold.
    """
    number = _read_number(text.strip())
    if action.whole or (vr in INTEGER_RANGES and action.reach >= 1):
        # Less than one would leave an integer what it was.
        amount = Decimal(_RANDOM.randint(1, int(action.reach)))
    else:
        # 1 - random() is above 0, so the amount is never nothing.
        amount = Decimal((1 - _RANDOM.random()) * action.reach)
    result = number + amount if _RANDOM.getrandbits(1) else number - amount
    if action.minimum is not None:
        result = max(result, Decimal(action.minimum))
    if action.maximum is not None:
        result = min(result, Decimal(action.maximum))
    if not isfinite(float(result)):
        raise ValueError("the moved number is too large")
    if vr in INTEGER_RANGES:
        smallest, largest = INTEGER_RANGES[vr]
        return str(min(max(int(result), smallest), largest))
    return _decimal_string(result) if vr == "DS" else repr(float(result))


def _read_number(text: str) -> Decimal:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise ValueError("not a number")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if not number.is_finite():
        raise ValueError("not a finite number")
    if abs(number.adjusted()) <= _MAX_POWER and isfinite(float(number)):
        return number
    if not number or number.adjusted() < 0:
        # Too small to tell from nothing beside what is added.
        return Decimal(0)
    raise ValueError("the number is too large")


def _decimal_string(number: Decimal) -> str:
    """Writes a number in at most 16 characters, as exactly as they allow."""
    if number == number.to_integral_value() and abs(number) < Decimal(10) ** 15:
        return str(int(number))
    for digits in range(MAX_DECIMAL_STRING, 0, -1):
        text = f"{float(number):.{digits}g}"
        if len(text) <= MAX_DECIMAL_STRING:
            return text
    raise ValueError("the number does not fit a Decimal String")


def _unpack(code: str, value: bytes, *, big: bool) -> tuple[int | float, ...]:
    single = Struct(code)
    if len(value) % single.size:
        raise ValueError("the value has a wrong length")
    count = len(value) // single.size
    unpacked: tuple[int | float, ...] = Struct(f"{'>' if big else '<'}{count}{code}").unpack(value)
    return unpacked
