"""Words and names that a site lists: gone from all texts, whoever a file is about."""

from __future__ import annotations

import pytest

from deid_service.engine import DicomError, Plan, compile_plan, deidentify
from profile_service.language import parse_profile
from profile_service.language.model import Column
from tests.support.engine.build import El, dicom, el
from tests.support.engine.every_way import every_way
from tests.unit.engine.test_base import profile, texts

WORDS, NAMES = Column("towns", "word"), Column("staff", "name")
NAMES_LISTED = (
    "Müller^Hans",
    "Zabel, Bo",
    "Ito, Ken",
    "Yamada^Tarou=山田^太郎",
    "A^B",
    # Of several of the same name, what stands beside it is that of any.
    "Ames^Ann",
    "Ames^Eva",
    "Ames^Uwe^Karl^Bo",
)
LISTS = "  words: {remove-from: [towns], remove-names-from: [staff]}\n"


def stream(words: tuple[str, ...] = (), names: tuple[str, ...] = (), more: str = LISTS) -> Plan:
    """Returns the plan of a stream for which words and names are listed."""
    plan = compile_plan(parse_profile(profile("clean-descriptors", more=more)))
    return plan.for_stream(listed=plan.listed({WORDS: words, NAMES: names}))


def left(text: str, plan: Plan, charset: str = "ISO_IR 192") -> tuple[bytes, bytes]:
    """Returns what is left of a text that stays, and of one that is cleaned."""
    encoded = text.encode()
    data = dicom(
        el("SpecificCharacterSet", charset),
        El(0x00080070, "LO", encoded + b" " * (len(encoded) % 2)),
        El(0x00081030, "LO", encoded + b" " * (len(encoded) % 2)),
        el("PatientName", "ROE^RICHARD"),
    )
    output = every_way(data, plan, byte_by_byte=False).output
    (swept,) = texts(output, 0x00080070)
    (cleaned,) = texts(output, 0x00081030)
    return swept.rstrip(), cleaned.rstrip()


@pytest.mark.parametrize(
    ("listed", "text", "swept"),
    [
        ("Bad Homburg", "CT in BAD-HOMBURG chest", "CT in chest"),
        ("Bad Homburg", "bad chest", "bad chest"),
        ("Köln", "from Koeln to KOLN", "from to"),
        ("Ro", "Ro and Rotation", "and Rotation"),
        ("東京病院", "胸部東京病院にて", "胸部 にて"),
        ("Main St 5", "at main st. 5, rear", "at , rear"),
        ("--", "chest -- a", "chest -- a"),
    ],
)
def test_words(listed: str, text: str, swept: str) -> None:
    """Words and phrases go in the forms in which people write them, and not their parts."""
    assert left(text, stream(words=(listed,)))[0].decode() == swept


@pytest.mark.parametrize(
    ("text", "swept"),
    [
        ("read by Mueller", "read by"),
        ("read by Dr. H. MÜLLER", "read by"),
        ("read by Müller, Hans / chest", "read by / chest"),
        ("HansMuller 5", "5"),
        ("hmueller 5", "5"),
        ("Müller's chest", "chest"),
        ("Hanson or Mull", "Hanson or Mull"),
        ("Müller B", "B"),
        ("seen by Itoh", "seen by"),
        ("胸部 山田太郎", "胸部"),
        ("A. B. seen", "A. B. seen"),
        ("read by Ames Bo", "read by"),
    ],
)
def test_names(text: str, swept: str) -> None:
    """Names of people go as those of the file do: their parts, and what stands beside them."""
    plan = stream(names=NAMES_LISTED)

    assert left(text, plan)[0].decode().strip(" /,") == swept


def test_cleaned_texts() -> None:
    """No cleaned text keeps a word that is listed, though the vocabulary has it."""
    plan = stream(words=("Thorax",), names=("Head, Ann",))

    found = [left(each, plan)[1] for each in ("CT thorax axial", "HeadCoil axial", "Coil head")]

    assert found == [b"CT axial", b"axial", b"Coil"]


def test_phrases_in_cleaned_texts() -> None:
    """Of a phrase that is listed, cleaned texts keep the words where they stand alone."""
    plan = stream(words=("Thorax Zentrum",))

    assert left("CT thorax axial", plan)[1] == b"CT thorax axial"
    assert left("CT thorax zentrum axial", plan)[1] == b"CT axial"


def test_the_longest() -> None:
    """Of words without spaces between them, the longest that is listed goes."""
    assert left("東京病院にて", stream(words=("東京", "東京病院")))[0].decode() == "にて"


@pytest.mark.parametrize(
    ("word", "text", "swept"),
    [
        ("Xy", "in XY, chest", "in , chest"),
        ("A-B", "at A-B chest", "at chest"),
        ("Aeb", "AB of aeb", "AB of"),
    ],
)
def test_short_words_of_the_profile(word: str, text: str, swept: str) -> None:
    """Words of the profile go however short they are; not so what may be another way to write."""
    more = LISTS.replace("{", f"{{remove: [{word}], ")

    assert left(text, stream(more=more))[0].decode() == swept


def test_what_is_listed_elsewhere() -> None:
    """What is listed for one stream is not looked for on another of the same profile."""
    plan = compile_plan(parse_profile(profile("clean-descriptors", more=LISTS)))

    def on(*words: str) -> bytes:
        listed = plan.listed({WORDS: words, NAMES: ()})
        return left("SEEN IN MAYO, ULM", plan.for_stream(listed=listed))[0]

    assert [on("Mayo"), on("Ulm"), on(), on("Mayo")] == [
        b"SEEN IN , ULM",
        b"SEEN IN MAYO",
        b"SEEN IN MAYO, ULM",
        b"SEEN IN , ULM",
    ]


def test_beside_the_profile_itself() -> None:
    """Words of the profile itself go as well as those that are listed."""
    more = LISTS.replace("{", "{remove: [Basel], ")

    assert left("BASEL, ULM, BONN", stream(words=("Ulm",), more=more))[0] == b"BONN"


def test_no_list() -> None:
    """No file is taken without the lists that the profile names."""
    plan = compile_plan(parse_profile(profile(more=LISTS)))

    with pytest.raises(ValueError, match="lists"):
        deidentify(dicom(el("PatientName", "ROE")), plan)
    with pytest.raises(ValueError, match="lists"):
        plan.for_stream()
    with pytest.raises(ValueError, match="lists"):
        plan.listed({WORDS: ()})


@pytest.mark.parametrize("leftovers", ["reject", "count"])
def test_leftovers(leftovers: str) -> None:
    """What is listed rejects a file, or is counted, as what the file itself says."""
    more = f"{LISTS}  leftovers: {leftovers}\n"
    plan = stream(words=("Ulm",), more=more)
    data = dicom(el("Manufacturer", "IN ULM"), el("PatientName", "ROE^RICHARD"))

    if leftovers == "reject":
        with pytest.raises(DicomError, match="somebody"):
            deidentify(data, plan)
    else:
        done = every_way(data, plan, byte_by_byte=False)
        assert texts(done.output, 0x00080070) == [b"IN ULM"]
        assert dict(done.actions).get("leftover") == 1
