"""Numbers and days behind what says of what they are go from cleaned texts; the words stay."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("pain began 1/19", "pain began"), ("onset 11/27, fever", "onset , fever"),
        ("onset of pain 3/14", "onset of pain"), ("injury 19/3", "injury"),
        ("surgery started on 3/14.", "surgery started on"), ("last seen 3/14", "last seen"),
    ],
)  # fmt: skip
def test_days_without_a_year(text: str, left: str) -> None:
    """The day on which something began goes."""
    assert clean(text, vocabulary(), Identity()) == left


@pytest.mark.parametrize(
    "text",
    [
        # Of fractions, of sizes and of spans; no month, and a value.
        "started 1/2 dose", "surgery 1/3 cm", "surgery 3/4 mm", "onset 3-4 days ago",
        "injury 4/5 strength", "surgery 2/3 nodes",
        "onset 2.5 weeks", "onset 13/14", "surgery 3/14.5", "began 3/14/7",
    ],
)  # fmt: skip
def test_no_days(text: str) -> None:
    """What only looks like one stays."""
    assert clean(text, vocabulary(), Identity()) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # Rooms, and the bed in one.
        ("bedside 639", "bedside"), ("bedside 250B, knee", "bedside , knee"),
        ("bedside 4W-55A", "bedside"), ("pt in 412", "pt in"),
        ("patient is in 9W-36B", "patient is in"),
        ("690 bed 2", "bed"), ("knee 467B, bed A", "knee , bed"), ("ward: 412 knee", "ward: knee"),
        ("hab. 616-A, rodilla", "rodilla"), ("camera C-259: ginocchio", "camera : ginocchio"),
        ("bed Stn. C3 ICU", "bed Stn. ICU"), ("patient in c-177 CT", "patient in CT"),
        ("knee, ph53 0js", "knee"), ("knee, e6 4js", "knee"), ("Unit no. 65831", "Unit no"),
        ("barcode 58982", "barcode"),
        ("bay 326-b, knee", "bay , knee"), ("LOCATION: C-134", "LOCATION"),
        ("transport to 214-B", "transport to"), ("knee C-481", "knee"), ("818-B knee", "knee"),
        # Specimens, with or without what says so.
        ("pathology S13-9984", "pathology"), ("path # S13-99841, carcinoma", "path # , carcinoma"),
        ("5W-49 bed 4", "bed"), ("path # S9-8304, knee", "path # , knee"),
        ("biopsy 22-S-1234", "biopsy"), ("cytology: C21-123", "cytology"),
        ("knee S13-9984", "knee"), ("carcinoma (SP22-12345)", "carcinoma"),
    ],
)  # fmt: skip
def test_rooms_and_specimens(text: str, left: str) -> None:
    """Their numbers go."""
    assert clean(text, vocabulary(), Identity()) == left


@pytest.mark.parametrize(
    "text",
    [
        "I-131 scan, I-123", "DWI B-800", "S1 2ND screw", "CA-125",
        "CXR bedside 1 view", "bedside 120 kV", "patient in 512 matrix", "pt in 512x512",
        "ICU 2 days", "floor 3", "pathology T11-12", "biopsy 12-14 gauge", "pathology 10-15 mm",
        "S10-120", "Ser S1-1000", "tumor bed 50 Gy", "tumour bed 2 cm",
        "slice s10-1200", "ICU 120 mmHg", "ICU 100 % O2", "patient in 120 degrees",
    ],
)  # fmt: skip
def test_no_rooms_and_specimens(text: str) -> None:
    """Sizes, doses, counts, levels of the spine and slices stay."""
    assert clean(text, vocabulary(), Identity()) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        # For whom somebody works, and who speaks for her.
        ("works for UPS, knee", "works for , knee"), ("engineer at IBM", "engineer at"),
        ("retired, UPS", "retired"), ("injured at work, UPS", "injured at work"),
        ("Employer: Head Motor, knee", "Employer: , knee"),
        ("Law firm Stone, Hall and Head: knee", "knee"), ("exposed at Long Ltd", "exposed at Ltd"),
        ("cleaner at Amazon", "cleaner at"), ("CLEANER AT AMAZON, KNEE", "CLEANER AT , KNEE"),
        ("Employed at US Postal Service.", "Employed at"),
        ("EMPLOYER: CHEVRON", "EMPLOYER"), ("injured at work, Amazon", "injured at work"),
        ("imaged at KAS", "imaged at"),
        ("ex Greyhound worker; knee", "ex worker; knee"),
        ("driver for Greyhound - knee", "driver for - knee"),
        ("arbeitet bei Target, Knie", "arbeitet bei , Knie"),
        ("travaille chez Orange; genou", "genou"),
        ("trabaja en Amazon", "trabaja en"), ("lavora presso Amazon", "lavora presso"),
        ("knie, werkt bij Amazon", "knie, werkt"),
        # Where she comes from or goes to.
        ("travel to Mobile, fever", "travel to , fever"),
        ("immigrant from Cross", "immigrant from"),
        ("Transfer from Mobile for care", "Transfer from for care"),
        ("farmer in Bath", "farmer in"),
        ("from Mobile, CA with knee", "from , CA with knee"), ("Mobile, OH: knee", "knee"),
        ("at Mobile VA Medical Center", "at"), ("at Long Hastanesi, knee", "at , knee"),
        # Institutions.
        ("KNEE, TAMARACK COUNTY HOSPITAL", "KNEE"), ("Orange General Hospital MRI", "MRI"),
        ("prior RT at Ospedale San Raffaele", "prior RT at"),
        ("RT at Clínica Lima", "RT at"),
        ("at Hospital de la Head, knee", "at , knee"),
        ("from Autumn Ridge Senior Living", "from"), ("Mobile Community Health MRI", "MRI"),
    ],
)  # fmt: skip
def test_employers_places_and_institutions(text: str, left: str) -> None:
    """What they are called goes, although it means something else."""
    assert clean(text, vocabulary(), Identity()) == left


@pytest.mark.parametrize(
    "text",
    [
        # Wards, machines and makers; no place, no state, and no employer.
        "Transfer from Emergency Department", "nerve transfer to Biceps", "transfer from Outside",
        "transfer to CT", "Siemens Ltd", "Imaging Systems, Ltd", "works at ER", "retired, HTN",
        "engineer for MRI", "Mobile, AP", "Breast, CA", "mass in Left Lung, CA 125",
        "Chest, PA view", "Knee Ltd", "Flexion Ltd", "at work, GE junction",
        "Transfer from Angio Suite",
        "guard at home", "works at home", "former construction worker",
        "student for MRI", "gamma camera head 2", "Technician for Injection",
        "performed at outside general clinics", "lavora in fabbrica",
        "WORKED AT NIGHT", "by Breast, CA 125", "trip and fall", "Lung, IL 6",
    ],
)  # fmt: skip
def test_no_employers_places_and_institutions(text: str) -> None:
    """They stay."""
    assert clean(text, vocabulary(), Identity()) == text
