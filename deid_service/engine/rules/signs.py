"""The forms in which people write addresses, phone numbers and the like, as patterns.

A pattern is looked for in a text only where one of its words or signs stands there: so most
of a text is passed by one look at its words, however many patterns there are.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

# Words of letters, and the signs without which some forms are none.
_WORD: Final = re.compile(r"[^\W\d_]+|[@\\:.,^/]")


def words_in(text: str) -> set[str]:
    """Returns the words of a text, in lower case, and the signs that patterns need."""
    return set(_WORD.findall(text.lower()))


class Forms:
    """Patterns, in their order, each with the words of which one stands in what it finds."""

    def __init__(self, *forms: tuple[str, str]) -> None:
        """Takes the words of each, between spaces, and its pattern; no words for any text.

        Capitals say nothing, unless a pattern says so itself.
        """
        self._written = [pattern for _, pattern in forms]
        self._by_word: dict[str, list[int]] = {}
        for at, (words, _) in enumerate(forms):
            for word in words.split():
                self._by_word.setdefault(word, []).append(at)
        self._words = frozenset(self._by_word)
        self._anywhere = [at for at, (words, _) in enumerate(forms) if not words]

    # When the first text is searched: few profiles search any, and all commands would compile them.

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern, re.IGNORECASE) for pattern in self._written]

    @cached_property
    def _in_any_text(self) -> list[re.Pattern[str]]:
        return [self._patterns[at] for at in self._anywhere]

    def of(self, words: set[str]) -> list[re.Pattern[str]]:
        """Returns the patterns that may find something in a text of some words."""
        if self._words.isdisjoint(words):
            return self._in_any_text
        told = {at for word in self._words & words for at in self._by_word[word]}
        return [self._patterns[at] for at in sorted(told.union(self._anywhere))]


_MONTH: Final = (
    "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|j[aä]nner|m[aä]rz|mai|okt|dez)[a-z]*"
)

# Two words and more of the name of a machine; its country, or what it is for.
_HOST: Final = (
    r"(?:[a-z0-9-]{1,63}\.){1,5}(?:com|org|net|edu|gov|mil|info|eu|local|lan|intranet|de|at|ch|fr|"
    r"it|es|pt|nl|be|uk|ie|dk|se|no|fi|pl|cz|sk|hu|gr|ru|ua|tr|il|jp|kr|cn|tw|in|au|nz|ca|br|mx|us)"
)
_STREET: Final = (
    "street|st|road|rd|avenue|ave|drive|lane|way|blvd|boulevard|court|crescent|pkwy|parkway|"
    "gardens|gdns|terrace|mews|grove|highway|hwy"
)
_STREETS: Final = _STREET.replace("|", " ")

# Who is said before a colon.
_ROLE: Final = (
    r"att(?:ending)?|rad(?:iologist)?|tech(?:nologist|nician)?|operator|reader|resident|fellow|"
    r"nurse|physician|surgeon|sonographer|physicist|referrer|mtr?a|(?:ober|haus|chef)?arzt|"
    r"zuweiser|pfleger|schwester|m[ée]decin|manip|medico|m[ée]dico|t[ée]c|врач"
)
_ROLES: Final = (
    "att attending rad radiologist tech technologist technician operator reader resident fellow "
    "nurse physician surgeon sonographer physicist referrer mta mtra arzt oberarzt hausarzt "
    "chefarzt zuweiser pfleger schwester médecin medecin manip medico médico téc tec врач"
)

# Groups of letters and digits, in turns within them, as numbers of insurances have them.
_GROUP: Final = r"(?=[a-z]{0,7}\d)(?=\d{0,7}[a-z])[a-z\d]{3,8}"

# Parts of a day without its year, behind what says that there is one.
_SAYS_DAY: Final = (
    r"lmp|edd|since|seit|vom|am|on|le|il|dal|el|desde|depuis|"
    r"mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs)?(?:day)?|fri(?:day)?|sat(?:urday)?|"
    r"sun(?:day)?"
)
_DAYS: Final = (
    "lmp edd since seit vom am on le il dal el desde depuis mon monday tue tues tuesday wed "
    "wednesday thu thurs thursday fri friday sat saturday sun sunday"
)

# Of whom or of what a number is; that it is one; and what stands for one.
_OF: Final = (
    "subj subject subjekt proband probandin policy claim member badge passport licence license "
    "room rm zi zimmer bed bett chambre lit kamer habitación habitacion stanza palata aet "
    "host hostname workstation lot udi"
)
_NUMBER_SIGN: Final = r"(?:(?:n[or]|num(?:ber|mer|éro|ero)?|número)\b[.:]?|n[°º]|№|#|id\b)"
_CODE: Final = r"(?=[a-z._/-]{0,8}\d)[a-z\d]{1,16}(?:[./_-][a-z\d]{1,16}){0,4}"

# Groups that number their trials: RTOG 0617.
_NO_TRIAL: Final = "".join(
    rf"(?<!\b{group}[ -])" for group in ("rtog", "ecog", "swog", "acrin", "calgb", "nsabp", "nrg")
)

# Of ages below, nobody is told; of those above, the law asks that none is said.
_OLD: Final = r"(?<![\d.,/])(?:9\d|1[0-2]\d)"
_AGED: Final = "age aged alter âge edad età idade leeftijd alder ålder wiek возраст 年齢 年龄 나이"
_YEARS: Final = (
    "y yo o yr yrs year years j jahre jahren jährig jährige jähriger jähriges jährigen an ans años "
    "anos anni jaar år vuotta lat let лет год года ετών yaş 歳 才 岁 歲 세 살"
)

# Each looks no further from where it begins than a bound, or goes on behind what it has found.
_ANYWHERE: Final = (
    ("@", r"[^\s@]{1,64}@\S{1,255}"),
    (
        ": \\ www",
        r"\b(?:https?|s?ftp|file|smb)://\S*|\bwww\.\S*|\\\\\S*|(?<![^\W_])[a-z]:\\\S*",
    ),
    ("/", r"(?<![\w/])/(?:home|users|data|mnt|export|srv|var|media)/\S*"),
    (".", rf"(?<![\w.-]){_HOST}(?:/\S*|:\d{{2,5}}\b)"),
    (
        "box pobox postfach apartado casella",
        r"\b(?:p\.? ?o\.? ?box|postfach|apartado|casella postale)\b:? {0,2}\d{1,6}",
    ),
    # In the languages in which the kind of the street stands first.
    (
        "rue calle avda avenida viale piazza corso rua plaza paseo allee allée",
        r"\b(?:rue|calle|avda\.?|avenida|viale|piazza|corso|rua|plaza|paseo|all[ée]e)"
        r" (?:(?:de|del|della|des|du|da|do|la|las|los|el) ){0,2}[^\W\d_]{2,40},? \d{1,4}(?!\d)",
    ),
    (
        "rue avenue boulevard chemin impasse",
        r"(?<!\d)\d{1,4},? (?:rue|avenue|boulevard|chemin|impasse)"
        r" (?:(?:de|des|du|la) ){0,2}[^\W\d_]{2,40}",
    ),
    ("via", r"(?-i:\b[Vv]ia [A-Z]\w{2,40},? \d{1,4})(?!\d)"),
    (
        "dr mr prof mrs herr frau mme sra",
        r"\b(?:(?:dr|mr)\.|(?:prof|mrs|herr|frau|mme|sra)\b\.?) {0,3}(?:[^\W\d_]\. ?){0,2}"
        r"[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?",
    ),
    (_ROLES, rf"\b(?:{_ROLE})[:=] {{0,3}}(?:[^\W\d_]\. ?){{0,2}}[^\W\d_]{{2,40}}"),
)

# Where a text stays: with a capital, and a number.
IN_ANY_TEXT: Final = Forms(
    *_ANYWHERE,
    (
        _STREETS,
        rf"\b\d{{1,5}}[a-z]? {{1,3}}(?:(?-i:[A-Z][a-z])[^\W\d_]{{1,40}} {{1,3}}){{1,2}}"
        rf"(?:{_STREET})\b\.?",
    ),
    (
        "",
        r"(?-i:\b[^\W\d_a-z])[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse) {0,3}\d{1,4}\b",
    ),
)

# In cleaned texts, in which it is no loss.
IN_CLEANED: Final = Forms(
    *_ANYWHERE,
    ("", r"\b[^\W\d_]{1,40}(?:stra(?:ss|ß)e|str\.|weg|platz|gasse)(?![^\W\d_]) {0,3}\d{0,5}"),
    ("dr hr fr", r"(?-i:\b(?:Dr|Hr|Fr) [A-Z][^\W\d_A-Z]{1,40})"),
    # Institutions that are called by words: Sacred Heart Hospital.
    (
        "hospital clinic hospice medical nursing manor care assisted klinikum krankenhaus",
        r"(?-i:\b(?:[A-Z][a-z'\u2019]{2,40} ){1,3}(?:Hospital|Clinic|Hospice|Medical Cent(?:er|re)"
        r"|Nursing|Manor|Care Home|Assisted Living|Klinikum|Krankenhaus)\b)",
    ),
    ("ms hr fr sr", r"\b(?:ms|hr|fr|sr)\. {0,3}[^\W\d_]{1,40}(?:[ -](?-i:[A-Z])[^\W\d_]{1,40})?"),
    # E-mail addresses in words.
    (
        "at",
        r"\b[\w.+-]{1,64} ?[\[({<]at[\])}>] ?[\w.-]{1,255}"
        r"|\b[\w.+-]{1,64} at [\w-]{1,64}(?: ?[\[({<]?dot[\])}>]? ?[a-z\d-]{2,40}){1,4}",
    ),
)

# In those of them that have digits.
WITH_DIGITS: Final = Forms(
    # Numbers of somebody, behind what says so.
    (
        _OF,
        rf"\b(?:{_OF.replace(' ', '|')})\b[ .:#=_-]{{0,3}}"
        rf"(?:{_NUMBER_SIGN}[ .:#=-]{{0,3}})?{_CODE}",
    ),
    (
        "plate",
        r"\b(?:licen[cs]e|number) plate:? (?:[a-z]{1,3}[ -])?(?=[a-z]{0,3} ?\d)[a-z\d]{1,8}"
        r"(?: \d{1,4})?",
    ),
    ("last", r"\blast[ -]?4\b\D{0,3}\d{4}(?!\d)"),
    ("pt pat patient", rf"\b(?:pt|pat|patient)\b[ .:]{{0,2}}{_NUMBER_SIGN}[ .:#=-]{{0,3}}{_CODE}"),
    # Addresses of machines in hexadecimal digits.
    (":", r"(?<![\w:])(?:[0-9a-f]{1,4}:{1,2}){3,7}[0-9a-f]{1,4}(?![\w:])"),
    (
        _YEARS,
        rf"{_OLD} ?-? ?(?:y\.? ?/?o\b\.?|yrs?\b|years?\b|j(?:\.|ahren?\b|ährig\w{{0,2}})"
        r"|ans?\b|años|anos|anni\b|jaar|år\b|vuotta|lat\b|let\b|лет|года?\b|ετών|yaş|[歳才岁歲세살])"
        r"(?:-old\b)?",
    ),
    (_AGED, rf"(?<![^\W_])(?:{_AGED.replace(' ', '|')})[ :=]{{0,3}}{_OLD}(?!\d)"),
    ("m f w h", r"(?<![^\W_])[mfwh]/ ?(?:9\d|1[0-2]\d)(?!\d)"),
    # Postal codes of the United Kingdom and Canada, and behind the sign of a country.
    (
        "",
        r"(?-i:(?<![^\W_])(?:(?:[A-Z]{2}\d[A-Z\d]?|[BEGMNW]\d{1,2}[A-Z]?) \d[ABD-HJLNP-UW-Z]{2}"
        r"|[ABCEGHJ-NPRSTVXY]\d[A-Z] \d[A-Z]\d|(?:A|D|CH|F|I|DK|PL|CZ|SK|FIN)-\d{4,5})(?![^\W_]))",
    ),
    (
        "flat apt apartment whg wohnung appt piso",
        r"\b(?:flat|apt|apartment|whg|wohnung|appt|piso) ?#?\d{1,4}[a-z]?\b",
    ),
    # Dates: with a year of four digits or of two, with month names, and as in DICOM.
    ("", r"(?<!\d)\d{1,4}([-./])\d{1,2}\1\d{1,4}(?!\d)"),
    ("", rf"(?<!\d)\d{{1,2}}\.?[ -]?{_MONTH}\.?,?[ -]?\d{{2,4}}(?!\d)"),
    ("", rf"\b{_MONTH}\.?[ -]?\d{{1,2}}(?:st|nd|rd|th)?(?:,?[ -]{{1,3}}\d{{4}}|-\d{{2}})(?!\d)"),
    ("st nd rd th", rf"(?<!\d)\d{{1,2}}(?:st|nd|rd|th) (?:of )?{_MONTH}\b"),
    ("", r"(?<!\d)(?:19|20)\d{2}[-./]\d{1,3}(?!\d)"),
    ("", r"(?<!\d)(?:19|20)\d{2}(?!\d)"),
    # Without a year: with a zero that no fraction has, as in German, and behind a weekday.
    ("/", r"(?<![\d./])(?:0[1-9]/[0-3]?\d|(?:[12]?\d|3[01])/0[1-9])(?![\d/])"),
    (".", r"(?<![\d.])(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.(?!\d)"),
    (_DAYS, rf"\b(?:{_SAYS_DAY}):? \d{{1,2}}([-./])\d{{1,2}}(?!\d)"),
    (":", r"(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)"),
    # Phone numbers, and addresses of machines, in groups of digits with points.
    (".", r"(?<![\d.])\d{2,5}(?:\.\d{2,5}){2,6}(?![\d.])"),
    (
        _STREETS,
        r"\b\d{1,5}[a-z]? {1,3}(?:(?:[^\W\d_]{1,40}|\d{1,3}(?:st|nd|rd|th)) {1,3}){1,2}"
        rf"(?:{_STREET})\b\.?|\b\d{{1,3}}(?:st|nd|rd|th) (?:{_STREET})\b\.?",
    ),
    # Extensions and pagers, and what is in groups as a number of somebody.
    (
        "tel tél phone fax pager pgr beeper bleep ext extension durchwahl dect poste nst klappe "
        "anexo interno toestel tlf доб вн 内線 内线 分机 내선",
        r"\b(?:t[eé]l|phone|fax|pager|pgr|beeper|bleep|ext|extension|durchwahl|dect|poste|nst|klappe|"
        r"anexo|interno|toestel|tlf|доб|вн|内線|内线|分机|내선)\b[ .:#-]{0,4}\d{3,6}"
        r"(?![ ()/.-]{0,2}\d)",
    ),
    # Not the values of a diffusion.
    ("dw", r"\bdw[ .:-]{1,3}(?!\d{1,3}[05]0\b)\d{3,5}\b"),
    ("", rf"(?<![\w-])(?=[a-z\d-]{{0,20}}\d[a-z]+\d)(?:{_GROUP}-){{2,4}}{_GROUP}(?![\w-])"),
)

# What is left of numbers where dates and phone numbers are gone: with zeros before them, as no
# size has, and as those of people in trials are.
NUMBER: Final = re.compile(
    rf"(?<![^\W_])(?<!\d[-.,/])(?:{_NO_TRIAL}0\d{{3,}}(?![.,]\d)|"
    r"(?:0\d{1,3}[-/]\d{3,6}|\d{2,5}-0\d{2,5}"
    r"|\d{2,4}[_-](?-i:[A-Z])[_-]\d{3,5})(?![^\W_]|-\d)|\d{3} 0\d(?![\d.,]))",
    re.IGNORECASE,
)

_NAME: Final = r"(?:[^\W\d_]['\u2019])?[^\W\d_]{3,40}"
_ALONE: Final = r"(?<![^\W_])"

# Where a word that no vocabulary has is somebody's name: behind what says who somebody is or what
# she did, joined to a title, before what somebody is, and before an initial.
ANNOUNCED: Final = Forms(
    (
        "dr drs doctor prof cc ca oa oä oae oaä fa pcp gp ref phys ordering op oper operator "
        "operador operateur opérateur operatore surg surgeon oncologist nurse tech technologist "
        "врач \u0440 arts læge lege laege läkare lakare lääkäri laakari lekarz lek medico "
        "medica médico médica médecin medecin prescripteur demandeur solicita anf vidiert gez "
        "befund rückspr rücksprache attn signed cosigned paged notified user username login "
        "logged by par von durch",
        r"\b(?:drs?|doctor|prof|cc|ca|oa|o[äa]e?|fa|pcp|gp|ref(?:[. ]phys)?|ordering|"
        r"op|oper(?:ator|ador|ateur)?|opérateur|operatore|surg(?:eon)?|oncologist|nurse|"
        r"tech(?:nologist)?|врач|\u0434-\u0440|arts|l(?:æ|ae|e)ge|l[äa]kare|l[äa]{2}k[äa]ri|"
        r"lek(?:arz)?|m[ée]dic[oa](?: richiedente)?|m[ée]decin|prescripteur|demandeur|solicita|anf|"
        r"vidiert|gez|befund an|rückspr(?:ache|\.)?(?: mit)?|attn|(?:co)?signed|paged|notified|"
        r"user(?:name)?|log(?:in|ged in)"
        r"|(?:read|reported|seen|requested|ordered|reviewed|signed|performed|scanned|sent) by"
        r"|(?:envoyé|adressé|demandé|prescrit) par"
        r"|(?:überwiesen|befundet|angefordert) (?:von|durch))"
        rf"[.:=]{{0,2}} {{0,2}}{_ALONE}({_NAME})(?:[ .-]{{1,2}}({_NAME}))?",
    ),
    ("", r"\bdr([^\W\d_]{4,40})\b"),
    (
        "md m phd ph rn np pa facr frcr mbbs rdms cnmt rt",
        rf"{_ALONE}({_NAME}),? "
        r"(?:m\.?d|ph\.?d|rn|np|pa-c|facr|frcr|mbbs|rdms|cnmt|rt\(r\))(?![^\W_])",
    ),
    (
        "pt pat patient clinic proto protocol preset list",
        rf"{_ALONE}({_NAME})"
        r"(?: proto\b|['\u2019]s? (?:pt|pat|patient|clinic|proto(?:col)?|preset|list)\b)",
    ),
    (", ^", rf"{_ALONE}({_NAME})(?:, ?[^\W\d_](?:\.|$)|\^(?=[^\W\d_]))"),
)

# All of a text: two words, neither of which any vocabulary has.
LISTED: Final = Forms((",", rf"^\s*({_NAME}), ?({_NAME})\s*$"))
