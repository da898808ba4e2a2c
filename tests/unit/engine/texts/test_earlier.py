"""What earlier files of a patient have shown is looked for in later ones, on the same stream."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from deid_service.engine import Plan, compile_plan
from deid_service.engine.texts import earlier
from deid_service.engine.texts.identity import Identity
from profile_service.language import parse_profile
from tests.support.engine.build import El, Sq, dicom, el, sq
from tests.support.engine.every_way import Outcome, at_once, cut, run
from tests.unit.engine.test_base import profile, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

ON = "  earlier-files: true\n"
SWEPT, CLEANED = 0x00080070, 0x00081030


def plan_of(more: str = ON, *, learn: bool = True) -> Plan:
    """Returns a plan, before there is a stream."""
    return compile_plan(parse_profile(profile("clean-descriptors", more=more)), learn=learn)


def file_of(
    *shows: El | Sq, text: str = "chest", patient: str = "P1", study: str = "1.2.1"
) -> bytes:
    """Returns a file of a patient that shows something, with a text that stays, twice."""
    elements = {
        each.tag: each
        for each in (
            El(SWEPT, "LO", text.encode() + b" " * (len(text) % 2)),
            El(CLEANED, "LO", text.encode() + b" " * (len(text) % 2)),
            el("PatientName", "Roe^Rita"),
            el("PatientID", patient),
            el("StudyInstanceUID", study),
            el("PixelData", bytes(2), "OW"),
            *shows,
        )
    }
    return dicom(*(elements[tag] for tag in sorted(elements)))


def left(data: bytes, plan: Plan) -> str:
    """De-identifies a file; returns what is left of its text."""
    outcome = run(plan, [data])
    assert outcome.error is None
    return texts(outcome.output, SWEPT)[0].decode().strip()


NAMED = el("PatientName", "Gruber^Anna")
LATER = file_of(text="chest of GRUBER")


@pytest.mark.parametrize(
    ("shown", "text", "swept"),
    [
        (NAMED, "chest of A. Gruber", "chest of"),
        (el("OperatorsName", "Gruber^Anna"), "AnnaGruber chest", "chest"),
        (el("AccessionNumber", "ZZC-77812"), "chest zzc 77812", "chest"),
        (el("PatientID", "P1"), "chest P1", "chest P1"),
        (el("PatientTelephoneNumbers", "+49 30 1234567"), "at 030-1234567 chest", "at chest"),
        (el("PatientAddress", "Lindenhof 5, Bad Aibling"), "in Bad Aibling", "in"),
        (el("PatientBirthDate", "19610203"), "born 19610203", "born"),
        (el("StudyDate", "20190504"), "as on 20190504", "as on"),
        (sq("OtherPatientIDsSequence", [el("PatientID", "RIDX-448812")]), "RIDX448812 a", "a"),
    ],
)
def test_what_is_found(shown: El | Sq, text: str, swept: str) -> None:
    """All that is looked for in a file itself is looked for in later ones of the patient."""
    plan = plan_of().for_stream()
    later = file_of(text=text)
    alone = left(later, plan_of().for_stream())

    first = left(file_of(shown), plan)

    assert (first, alone) == ("chest", text)
    assert left(later, plan) == swept


def test_cleaned() -> None:
    """A cleaned text does not keep a word of the vocabulary that is a name of earlier files."""
    plan = plan_of().for_stream()
    later = file_of(text="chest brain")

    before = texts(run(plan, [later]).output, CLEANED)[0].strip()
    left(file_of(el("PatientName", "Brain^Anna")), plan)

    assert before == b"chest brain"
    assert texts(run(plan, [later]).output, CLEANED)[0].strip() == b"chest"


@pytest.mark.parametrize(
    ("between", "patient", "study", "is_same"),
    [
        ((), "P1", "1.2.9", True),
        ((), " p1", "1.2.9", True),
        ((), "", "1.2.1", True),
        ((), "P2", "1.2.1", True),
        ((), "P2", "1.2.9", False),
        ((), "", "", False),
        ((file_of(patient="P2"),), "P2", "1.2.9", True),
        ((file_of(patient="P2", study="1.2.9"), file_of(patient="P2")), "", "1.2.9", True),
    ],
)
def test_whose_files(between: Sequence[bytes], patient: str, study: str, is_same: bool) -> None:
    """Files are of one patient that have PatientID or study in common, if need be by others."""
    plan = plan_of().for_stream()
    for each in (file_of(NAMED), *between):
        left(each, plan)

    found = left(file_of(text="chest of GRUBER", patient=patient, study=study), plan)

    assert found == ("chest of" if is_same else "chest of GRUBER")


def test_an_item_says_nothing_of_the_patient() -> None:
    """Whose file it is stands at the top level: items are about others, too."""
    plan = plan_of().for_stream()
    other = sq("ReferencedStudySequence", [el("StudyInstanceUID", "1.2.1")])
    also = sq("OtherPatientIDsSequence", [el("PatientID", "P1")])
    left(file_of(NAMED), plan)

    later = file_of(other, also, text="chest of GRUBER", patient="P2", study="1.2.2")

    assert left(later, plan) == "chest of GRUBER"


def test_a_patient_id_that_stays() -> None:
    """An ID that a rule keeps is no secret, and tells whose file it is all the same."""
    text = profile(
        "clean-descriptors",
        more=f"{ON}  provenance: false\n",
        fields="{name: PatientID, keep: true}",
    )
    plan = compile_plan(parse_profile(text)).for_stream()
    left(file_of(NAMED, patient="P-4711"), plan)

    later = file_of(text="P-4711 of GRUBER", patient="P-4711", study="1.2.9")

    assert left(later, plan) == "P-4711 of"


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (plan_of("").for_stream(), "the profile does not ask"),
        (plan_of(), "there is no stream"),
    ],
)
def test_nothing_is_remembered(plan: Plan, why: str) -> None:
    """Without the setting, and without a stream, each file is by itself."""
    left(file_of(NAMED), plan)

    assert left(LATER, plan) == "chest of GRUBER", why


def test_another_stream() -> None:
    """What a stream remembers goes with it."""
    plan = plan_of()
    first, second = plan.for_stream(), plan.for_stream()
    left(file_of(NAMED), first)

    assert (left(LATER, second), left(LATER, first)) == ("chest of GRUBER", "chest of")


def test_rejected_files_show_nothing() -> None:
    """How much of a rejected file was seen hangs on how it was cut: nothing of it is remembered."""
    plan = plan_of().for_stream()

    assert run(plan, [file_of(NAMED, el("PixelData", bytes(64), "OW"))[:-1]]).error is not None
    assert left(LATER, plan) == "chest of GRUBER"


@pytest.mark.parametrize(("mode", "ends"), [("count", "leftover"), ("reject", "")])
def test_leftovers(mode: str, ends: str) -> None:
    """What becomes of such a text is for `leftovers` to say."""
    plan = plan_of(f"{ON}  leftovers: {mode}\n").for_stream()
    left(file_of(NAMED), plan)

    outcome = run(plan, [LATER])

    assert "".join(name for name, _ in outcome.actions if name == "leftover") == ends
    assert (outcome.error is not None) == (mode == "reject")


MORE = "earlier files show more of the patient than is remembered: not all of it was looked for"


def test_bound_of_a_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a patient nothing is added beyond a bound, and receipts say so; what came first stays."""
    monkeypatch.setattr(earlier, "MAX_OF_PATIENT", 8)
    plan = plan_of().for_stream()
    # The ID, the study, a name; then as many names as there is room for.
    outcomes = [
        run(plan, [file_of(el("PatientName", f"Gruber{letter}^Anna"))]) for letter in "abcdefghi"
    ]

    assert [outcome.warnings for outcome in outcomes] == [()] * 7 + [(MORE,)] * 2
    later = run(plan, [file_of(text="GRUBERA GRUBERF GRUBERG")])
    assert texts(later.output, SWEPT)[0].strip() == b"GRUBERG"
    other = run(plan, [file_of(text="GRUBERA", patient="P2", study="1.2.2")])
    assert (texts(other.output, SWEPT)[0].strip(), other.warnings) == (b"GRUBERA", ())
    run(plan, [file_of(study="1.2.3")])
    assert run(plan, [file_of(patient="", study="1.2.3")]).warnings == (MORE,)


def test_long_values_count_as_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is one of bytes, too."""
    monkeypatch.setattr(earlier, "MAX_OF_PATIENT", 8)
    plan = plan_of().for_stream()
    left(file_of(el("PatientName", "^".join(["Gruber" * 4] * 20))), plan)

    assert run(plan, [LATER]).warnings == (MORE,)


def test_bound_of_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many patients those are forgotten that were met least lately, and receipts say so."""
    monkeypatch.setattr(earlier, "MAX_OF_STREAM", 33)
    plan = plan_of().for_stream()
    for number in (1, 2, 3, 1, 4):
        left(file_of(NAMED, patient=f"P{number}", study=f"1.2.{number}"), plan)

    found = {}
    for number in (1, 3, 4, 2):
        same = {"patient": f"P{number}", "study": f"1.2.{number}"}
        outcome = run(plan, [file_of(el("PatientName", ""), text="of GRUBER", **same)])
        found[number] = texts(outcome.output, SWEPT)[0].strip(), outcome.warnings

    assert found == {
        1: (b"of", ()),
        3: (b"of", ()),
        4: (b"of", ()),
        2: (b"of GRUBER", (MORE,)),
    }


def series(rng: random.Random) -> list[bytes]:
    """Returns files of some patients, in any order; some are broken."""
    names = ["Gruber", "Novak", "Xaver", "Unger"]
    files = []
    for _ in range(rng.randrange(2, 14)):
        data = file_of(
            el("PatientName", f"{rng.choice(names)}^Anna"),
            el("AccessionNumber", f"A{rng.choice([77812, 66123])}"),
            text=" ".join(["chest", *rng.sample(names, 2), "A66123"]),
            patient=rng.choice(["P1", "P2", ""]),
            study=rng.choice(["1.2.1", "1.2.2", "1.2.3"]),
        )
        files.append(data[:-1] if rng.random() < 0.1 else data)
    return files


@pytest.mark.parametrize("seed", range(12))
def test_however_they_are_cut(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files in the same order have the same outputs: cut anywhere, learned from or not."""
    rng = random.Random(seed)  # noqa: S311
    if seed % 3 == 0:
        monkeypatch.setattr(earlier, "MAX_OF_PATIENT", 7)
        monkeypatch.setattr(earlier, "MAX_OF_STREAM", 26)
    files = series(rng)
    untaught = plan_of(learn=False).for_stream()
    expected = [run(untaught, [data]) for data in files]
    taught = plan_of()

    def outcomes() -> list[Outcome]:
        plan = taught.for_stream()
        return [
            (at_once(plan, data) if rng.random() < 0.5 else None)
            or run(plan, [data] if rng.random() < 0.5 else cut(data, rng, []))
            for data in files
        ]

    assert [outcomes() for _ in range(6)] == [expected] * 6
    assert any(outcome.output for outcome in expected)


def test_files_along_a_trail() -> None:
    """A file that is as one before it is treated by what has been shown since."""
    plan = plan_of().for_stream()
    for _ in range(8):
        assert left(LATER, plan) == "chest of GRUBER"
    left(file_of(NAMED), plan)

    assert left(LATER, plan) == "chest of"


def test_patients_that_turn_out_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is known twice is one from then on, within the bound of one; receipts still say so."""
    monkeypatch.setattr(earlier, "MAX_OF_PATIENT", 7)
    plan = plan_of().for_stream()
    for letter in "abcdef":
        run(plan, [file_of(el("PatientName", f"Novak{letter}^Anna"), patient="P2", study="1.2.2")])
    left(file_of(NAMED), plan)

    first = run(plan, [file_of(el("PatientName", ""), patient="P1", study="1.2.2")])
    later = file_of(el("PatientName", ""), text="NOVAKA NOVAKB NOVAKC GRUBER")
    second = run(plan, [later])

    assert (first.warnings, second.warnings) == ((MORE,), (MORE,))
    assert texts(second.output, SWEPT)[0].strip() == b"NOVAKC"


def test_same_for_every_hash_seed() -> None:
    """What there is room for is chosen by what it is: two processes choose alike."""
    names = [(f"name{number}", "anna") for number in range(2 * earlier.MAX_OF_PATIENT)]
    identity = Identity()
    identity.names.update(names)
    identity.add_patient("p1")
    remembered = earlier.Earlier()
    remembered.remember(identity)

    found = Identity()
    found.add_patient("P1")
    remembered.join(found)

    assert found.names == set(sorted(names)[: earlier.MAX_OF_PATIENT - 1])
