"""What tells somebody by its form alone: e-mail addresses, URLs, phone numbers, addresses.

Nobody needs to be known for that. In texts that are cleaned more goes by its form than in
those that stay: in these stand numbers of protocols, sizes and versions, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Final

_MONTH: Final = (
    "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|j[aä]nner|m[aä]rz|mai|okt|dez)[a-z]*"
)

# Two words and more of the name of a machine; its country, or what it is for.
_HOST: Final = (
    r"(?:[a-z0-9-]{1,63}\.){1,5}(?:com|org|net|edu|gov|mil|info|eu|local|lan|intranet|de|at|ch|fr|"
    r"it|es|pt|nl|be|uk|ie|dk|se|no|fi|pl|cz|sk|hu|gr|ru|ua|tr|il|jp|kr|cn|tw|in|au|nz|ca|br|mx|us)"
)
_STREET: Final = r"street|st|road|rd|avenue|ave|drive|lane|way|blvd|boulevard|court|crescent|pkwy"

# Who is said before a colon.
_ROLE: Final = (
    r"att(?:ending)?|rad(?:iologist)?|tech(?:nologist|nician)?|operator|reader|resident|fellow|"
    r"nurse|physician|surgeon|sonographer|physicist|referrer|mtr?a|(?:ober|haus|chef)?arzt|"
    r"zuweiser|pfleger|schwester|m[ée]decin|manip|medico|m[ée]dico|t[ée]c|врач"
)

# Behind these, a word that no vocabulary has is somebody's name; so is one joined to a title.
_ANNOUNCES: Final = (
    r"dr|prof|cc|ca|oa|o[äa]e?|nurse|tech|врач|\u0434-\u0440"
    r"|(?:read|reported|seen|requested|ordered|reviewed|signed|performed|scanned|sent) by"
    r"|(?:envoyé|adressé|demandé|prescrit) par|(?:überwiesen|befundet|angefordert) (?:von|durch)"
)
_ANNOUNCED: Final = re.compile(
    rf"\b(?:{_ANNOUNCES})\.? {{1,2}}([^\W\d_]{{3,40}})(?:[ .-]{{1,2}}([^\W\d_]{{3,40}}))?"
    r"|\bdr([^\W\d_]{4,40})\b",
    re.IGNORECASE,
)

# Groups of letters and digits, in turns within them, as numbers of insurances have them.
_GROUP: Final = r"(?=[a-z]{0,7}\d)(?=\d{0,7}[a-z])[a-z\d]{3,8}"

# Parts of a day without its year, behind what says that there is one.
_SAYS_DAY: Final = (
    r"lmp|edd|since|seit|vom|am|on|le|il|dal|el|desde|depuis|"
    r"mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs)?(?:day)?|fri(?:day)?|sat(?:urday)?|"
    r"sun(?:day)?"
)

# Each looks no further from where it begins than a bound, or goes on behind what it has found.
_ANYWHERE: Final = (
    r"[^\s@]{1,64}@\S{1,255}",
    r"\b(?:https?|ftp|file)://\S*|\bwww\.\S*|\\\\\S*",
    rf"(?<![\w.-]){_HOST}(?:/\S*|:\d{{2,5}}\b)",
    r"\b(?:p\.? ?o\.? ?box|postfach|apartado|casella postale)\b:? {0,2}\d{1,6}",
    # In the languages in which the kind of the street stands first.
    r"\b(?:rue|calle|avda\.?|avenida|viale|piazza|corso|rua|plaza|paseo|all[ée]e)"
    r" (?:(?:de|del|della|des|du|da|do|la|las|los|el) ){0,2}[^\W\d_]{2,40},? \d{1,4}(?!\d)",
    r"(?<!\d)\d{1,4},? (?:rue|avenue|boulevard|chemin|impasse)"
    r" (?:(?:de|des|du|la) ){0,2}[^\W\d_]{2,40}",
    r"(?-i:\b[Vv]ia [A-Z]\w{2,40},? \d{1,4})(?!\d)",
    r"\b(?:(?:dr|mr)\.|(?:prof|mrs|herr|frau|mme|sra)\b\.?) {0,3}(?:[^\W\d_]\. ?){0,2}"
    r"[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
    rf"\b(?:{_ROLE})[:=] {{0,3}}(?:[^\W\d_]\. ?){{0,2}}[^\W\d_]{{2,40}}",
)


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    """Returns patterns for which capitals say nothing, unless one says so itself."""
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


# Where a text stays: with a capital, and a number.
_IN_ANY_TEXT: Final = _compiled(
    *_ANYWHERE,
    rf"\b\d{{1,5}}[a-z]? {{1,3}}(?:(?-i:[A-Z][a-z])[^\W\d_]{{1,40}} {{1,3}}){{1,2}}"
    rf"(?:{_STREET})\b\.?",
    r"(?-i:\b[^\W\d_a-z])[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse) {0,3}\d{1,4}\b",
)

# In cleaned texts, in which it is no loss.
_IN_CLEANED: Final = _compiled(
    *_ANYWHERE,
    r"\b[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse)(?![^\W\d_]) {0,3}\d{0,5}",
    r"(?-i:\b(?:Dr|Hr|Fr) [A-Z][^\W\d_A-Z]{1,40})",
    # Institutions that are called by words: Sacred Heart Hospital.
    r"(?-i:\b(?:[A-Z][a-z'\u2019]{2,40} ){1,3}(?:Hospital|Clinic|Hospice|Medical Cent(?:er|re)"
    r"|Nursing|Manor|Care Home|Assisted Living|Klinikum|Krankenhaus)\b)",
    r"\b(?:ms|hr|fr|sr)\. {0,3}[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
)

# In those of them that have digits.
_WITH_DIGITS: Final = _compiled(
    # Dates: with a year of four digits or of two, with month names, and as in DICOM.
    r"(?<!\d)\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)",
    rf"(?<!\d)\d{{1,2}}\.?[ -]?{_MONTH}\.?,?[ -]?\d{{2,4}}(?!\d)",
    rf"\b{_MONTH}\.?[ -]?\d{{1,2}}(?:st|nd|rd|th)?(?:,?[ -]{{1,3}}\d{{4}}|-\d{{2}})(?!\d)",
    r"(?<!\d)(?:19|20)\d{2}[-./]\d{1,3}(?!\d)",
    r"(?<!\d)(?:19|20)\d{2}(?!\d)",
    # Without a year: with a zero that no fraction has, as in German, and behind a weekday.
    r"(?<![\d./])(?:0[1-9]/[0-3]?\d|(?:[12]?\d|3[01])/0[1-9])(?![\d/])",
    r"(?<![\d.])(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.(?!\d)",
    rf"\b(?:{_SAYS_DAY}):? \d{{1,2}}([-./])\d{{1,2}}(?!\d)",
    r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)",
    # Phone numbers, and addresses of machines, in groups of digits with points.
    r"(?<![\d.])\d{2,5}(?:\.\d{2,5}){2,6}(?![\d.])",
    rf"\b\d{{1,5}}[a-z]? {{1,3}}(?:[^\W\d_]{{1,40}} {{1,3}}){{1,2}}(?:{_STREET})\b\.?",
    # Extensions and pagers, and what is in groups as a number of somebody.
    r"\b(?:tel|phone|fax|pager|beeper|bleep|ext|extension|durchwahl)\b[.:#]{0,2} ?\d{3,6}"
    r"(?![ ()/.-]{0,2}\d)",
    rf"(?<![\w-])(?=[a-z\d-]{{0,20}}\d[a-z]+\d)(?:{_GROUP}-){{2,4}}{_GROUP}(?![\w-])",
)
_DIGIT: Final = re.compile(r"\d")

# Digits in groups, seven and more together; where a text stays, as nothing else is written.
_PHONE: Final = re.compile(r"\+?\d[\d()/ -]{5,40}\d")
_CERTAIN_PHONE: Final = re.compile(
    r"(?<![\w+])\+\d{1,3}[ ()/.-]{1,2}\d[\d ()/.-]{5,20}\d"
    r"|\(0?\d{2,5}\) ?\d{3,4}[ -]?\d{3,5}"
    r"|(?<![\d.-])(?:1[-. ])?\d{3}([-.])\d{3}\1\d{4}(?![\d.-])"
    r"|\b(?:tel|telephone|telefon|phone|ph|fax|cell|mobile|handy|pager|call)"
    r"\b[.:]? {0,2}[+(]?\d[\d ()/.-]{5,20}\d",
    re.IGNORECASE,
)
_MIN_PHONE: Final = 7

# PS3.5 9.1. Those of the standard say what something is.
_UID: Final = re.compile(
    r"(?<![\d.])(?!1\.2\.840\.10008\.)(?=[\d.]{16})[0-2](?:\.\d{1,39}){4,31}(?![\d.])"
)

# Without any of these there is nothing in a text that stays.
_MAY_TELL: Final = re.compile(r"[@\\\d.:=]|\b(?:herr|frau|mme|sra|prof|mrs)\b", re.IGNORECASE)


def spans(
    text: str, *, with_uids: bool, harmless: AbstractSet[str] = frozenset()
) -> Iterator[tuple[int, int]]:
    """Yields where a text that stays tells somebody by its form.

    Args:
        text: one value.
        with_uids: UIDs do, too: elsewhere they become others.
        harmless: words that say nothing by themselves; none where they are not known.
    """
    for found in _ANNOUNCED.finditer(text) if harmless else ():
        if found[0].lower() not in harmless:
            yield from (
                found.span(group)
                for group in (1, 2, 3)
                if found[group] and found[group].lower() not in harmless
            )
    if _MAY_TELL.search(text) is None:
        return
    for pattern in _IN_ANY_TEXT:
        yield from (found.span() for found in pattern.finditer(text))
    yield from (
        found.span() for found in _CERTAIN_PHONE.finditer(text) if _has_digits_of_phone(found[0])
    )
    if with_uids:
        yield from (found.span() for found in _UID.finditer(text))


def without(text: str, instead: str) -> str:
    """Returns a text that is cleaned, with something else for what tells somebody by its form."""
    for pattern in _IN_CLEANED:
        text = pattern.sub(instead, text)
    if _DIGIT.search(text) is None:
        return text
    for pattern in (_UID, *_WITH_DIGITS):
        text = pattern.sub(instead, text)
    text = _CERTAIN_PHONE.sub(
        lambda found: instead if _has_digits_of_phone(found[0]) else found[0], text
    )
    return _PHONE.sub(lambda found: instead if _is_phone(found[0]) else found[0], text)


def _has_digits_of_phone(text: str) -> bool:
    return sum(char.isdecimal() for char in text) >= _MIN_PHONE


def _is_phone(text: str) -> bool:
    """Whether somebody may be called by a number: b-values are in steps."""
    groups = re.findall(r"\d+", text)
    return _has_digits_of_phone(text) and any(
        int(group) % 50 or group.startswith("00") for group in groups
    )
