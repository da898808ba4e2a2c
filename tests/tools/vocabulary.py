"""Makes the words that a cleaned text may keep.

Of three sources: code meanings of PS3.16 and names of PS3.6, as pydicom has them;
descriptions of ICD-10-CM, as simple-icd-10-cm has them; and `sources/imaging.txt`. A
word that is a name of people in the census of the United States, as the package `names`
has it, is left out unless ICD-10-CM has it in lower case or imaging.txt has it.

Usage: python -m tests.tools.vocabulary FOLDER      where these packages are installed
"""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from typing import Final, cast

from pydicom._dicom_dict import DicomDictionary
from pydicom.sr._concepts_dict import concepts

from tests.tools.standard import PACKAGE, SOURCES

VOCABULARY: Final = PACKAGE / "vocabulary.tsv"

# Words of letters; what has digits is told by its form.
WORD: Final = re.compile(r"[^\W\d_]{2,}")

# What tells that an address or a person follows.
NEVER: Final = frozenset(
    {
        "street", "road", "avenue", "drive", "lane", "boulevard", "square", "doctor", "dr",
        "prof", "professor", "mr", "mrs", "ms", "miss", "patient", "name", "named",
        "physician", "nurse", "hospital", "clinic", "university", "born", "birth", "phone",
        "tel", "fax",
    }
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    if len(arguments) != 1:
        print("Usage: python -m tests.tools.vocabulary FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    people = {
        line.split()[0].casefold()
        for name in ("dist.all.last", "dist.female.first", "dist.male.first")
        for line in (folder / "names" / name).read_text("ascii").splitlines()
    }
    described = "\n".join(
        re.findall(
            r"<(?:desc|note)>([^<]*)",
            next((folder / "simple_icd_10_cm/data").glob("*.xml")).read_text("utf-8"),
        )
    )
    plain = {word for word in WORD.findall(described) if word.islower()}
    meanings = [
        meaning
        for codes in concepts.values()
        for each in cast("dict[str, dict[str, tuple[str, object]]]", codes).values()
        for meaning, _ in each.values()
    ]
    named = [entry[2] for entry in DicomDictionary.values()]
    standard = {word.casefold() for text in (*meanings, *named) for word in WORD.findall(text)}
    imaging = {
        word.casefold()
        for line in (SOURCES / "imaging.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
        for word in line.partition(":")[2].split()
    }
    # A word that begins with a capital where no sentence does is that of a person or place.
    eponyms = {word.casefold() for word in re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", described)}
    others = {word for word in standard if folded(word) not in people | eponyms}
    words = imaging | ((plain | others) - NEVER)
    VOCABULARY.write_text("\n".join(["word", *sorted(words)]) + "\n", "utf-8")
    return 0


def folded(word: str) -> str:
    """Returns a word without accents."""
    return unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
