"""People are told by who announces them and what they are, whatever their names mean."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean, sweep
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary

NAMED = [
    # Relatives and staff: in small letters, or at the begin of a sentence.
    ("son RAYMOND LONG, knee", "son , knee"), ("wife Art with knee", "wife with knee"),
    ("daughter Head in knee", "daughter in knee"), ("Mother, Art Long, knee", "Mother, , knee"),
    ("Nurse Head at knee", "Nurse at knee"), ("knee c/o Short Long", "knee c/o"),
    # With an initial.
    ("knee by W. Short", "knee by"), ("Contact W. SHORT: knee", "Contact : knee"),
    ("knee per A. B. Limb", "knee per"), ("Attn: D. Limb", "Attn"),
    ("knee by DR HAND of", "knee by DR of"), ("ordering: Head, Limb", "ordering"),
    ("医生\uff1aBone 头颅", "医生\uff1a 头颅"),
    # Before who or what somebody is.
    ("SHORT LONG (daughter), knee", "(daughter), knee"),
    ("Limb Long, PA-C knee", "PA-C knee"), ("Limb Head M.D. knee", "M.D. knee"),
    ("knee: Limb, Long, DO", "knee: , DO"), ("Head, Limb NP: knee", "NP: knee"),
    ("knee D. Limb MD", "knee MD"), ("M. Limb MD knee", "MD knee"),
    ("by ART LONG RN, knee", "by RN, knee"),
    ("Long Limb, RT(R) knee", "RT(R) knee"),
    # Parts of a name, before it.
    ("wife Ana da Costa, knee", "wife , knee"), ("nurse da Costa knee", "nurse knee"),
    ("resident Head Limb da Costa, knee", "resident , knee"), ('goes by "SHORT"', 'goes by " "'),
    ("edited 20120516 ARM", "edited 20120516"),
    ("knee by de la Costa", "knee by"), ("Dr da Costa: knee", "Dr : knee"),
    ("Mr van der Head, knee", "Mr , knee"), ("son VAN DER LIMB, knee", "son , knee"),
    # Whose patient she is, and who prescribed.
    ("patient of LIMB T SHORT", "patient of"), ("pt of Head B. Long, knee", "pt of , knee"),
    ("rx by SHORT", "rx by"), ("replan per Long.", "replan per ."),
    # Two letters of who took the images.
    ("tech RM knee", "tech knee"), ("Technologist S.C.: knee", "Technologist : knee"),
    ("Tech: PH / DB, knee", "knee"),
    ("techs PH P.C. knee", "techs knee"), ("tech PH/DB knee", "tech / knee"),
    ("GTV L.P.", "GTV"),
    # And of who contoured, wrote or looked at something.
    ("contoured by EL", "contoured by"), ("edited by ACT, knee", "edited by , knee"),
    ("contours A.R. 12/28/19", "contours"), ("QA RS 08-06-2017", "QA"),
    ("QA PC Dec 31 2019", "QA"), ("Transcribed by BD 20131024", "Transcribed by 20131024"),
    ("edited 19-06-2018 A.L.", "edited"), ("Physics check PC 1 Dec 2019", "Physics check"),
    ("contoured by EL and MD", "contoured by and MD"),
    # Who is called, wrote, or was spoken with.
    ("On call: L. HEAD, knee", "On call: , knee"), ("dense, Sincerely, Head", "dense, Sincerely"),
    ("fax 467-875-7169 attn Head", "attn"), ("avis du Pr Art Head", "avis du Pr"),
    ("discussed with HEAD at night", "discussed with at night"),
    ("consultant mr head. CT", "consultant mr . CT"), ("DR HEAD'S LIST", "DR 'S LIST"),
    ("radiographer: Head, knee", "radiographer: , knee"),
    ("dosimetrist HEAD. knee", "dosimetrist . knee"),
    ("comentado con Head; TC", "comentado con ; TC"),
    ("DISCUSSED WITH DR HEAD IN CT", "DISCUSSED WITH DR IN CT"), ("signed DR HEAD", "signed DR"),
    ("Mr Head is in pain", "Mr is in pain"), ("SISTER HEAD AWARE", "SISTER AWARE"),
    ("RESULTS CALLED TO HEAD", "RESULTS CALLED TO"), ("copy to Head, knee", "copy to , knee"),
    ("pathologist HEAD", "pathologist"), ("PATHOLOGIST POWELL", "PATHOLOGIST"),
    ("formerly Art Head. CT", "formerly . CT"),
    ("escorted by HEAD, knee", "escorted by , knee"), ("Head & Co", "& Co"),
    # Streets and practices.
    ("Pharmacy on Old Mill Ave has", "Pharmacy on has"), ("at 7729 Old Mill Dr", "at Dr"),
    ("Little Rock Radiology Associates", "Radiology Associates"),
    ("Long & Sharp Orthopedics", "& Orthopedics"),
    ("Sharp Family Imaging, knee", "Family Imaging, knee"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "left"), NAMED)
def test_who_is_called_by_words(text: str, left: str) -> None:
    """Their names go from texts that stay, and nothing else does; no cleaned text keeps them."""
    identity = Identity()
    identity.harmless = vocabulary().terms

    assert sweep(text, identity) == left
    kept = clean(text, vocabulary(), identity)
    assert (
        clean("Dr Zyx Bone age, Dr Zyx Head requested", vocabulary(), identity)
        == "Bone age, requested"
    )
    assert clean("seen by Dr Zyx Head", vocabulary(), identity) == "seen by"
    assert not {"long", "art", "head", "limb", "short", "sharp", "mill", "old", "costa"} & {
        word.lower() for word in kept.replace(",", " ").split()
    }


@pytest.mark.parametrize(
    "text",
    [
        # No name stands there, or not as one is written.
        "Tech Left pa", "tech CT knee", "wife with knee pain", "MOTHER WITH BREAST CANCER",
        "sister CT normal", "Mother Infant", "son of knee", "Nurse Report of knee",
        "by Long axis", "PERFORMED BY MR", "contact: skin, bone", "knee DR Chest",
        # Maps of diffusion, and what is not to be done.
        "FA MD ADC", "Brain MD map", "ADC FA, MD, RD", "Chest, DO NOT repeat", "Liver RN scan",
        # Soft tissue, and what is imaged.
        "5 Axial Dr", "on Axial", "Chest Imaging", "Radiology Group", "Head and Neck Imaging",
        "Hand and Foot Orthopedics", "CT Family history",
        "rx by Radiology", "rx by mouth", "replan per protocol", "patient of age 50",
        "by da Vinci robot", "TC de la Costa", "with von Willebrand disease", "sister de novo",
        # No initials: what did something, and what it did it on.
        "edited by AI", "contoured by MRI", "contours CT 5.1.2", "segmented by CAD, edited",
        "drawn by RT", "tech CT / MR", "contours LN 5", "QA IO 5", "techs IV start",
        "edited by hand",
    ],
)  # fmt: skip
def test_what_is_not_called_so(text: str) -> None:
    """Words of images and of medicine stay."""
    identity = Identity()
    identity.harmless = vocabulary().terms

    assert sweep(text, identity) == text


def test_what_is_beside_a_name_of_the_file() -> None:
    """Of somebody who is announced, a name that stands in the file is one of several."""
    identity = Identity()
    identity.harmless = vocabulary().terms
    identity.add_name("Baker^Christopher")

    for text in ("adjuster Head Christopher Long", "attorney Christopher Long"):
        assert clean(text, vocabulary(), identity) == text.split()[0]
    assert clean("Christopher Long axis", vocabulary(), identity) == "Long axis"
    identity.add_date("20150209")
    for day in ("09 Feb 2015", "02/09/2015", "20150209"):
        assert clean(f"contours LR {day}", vocabulary(), identity) == "contours"
