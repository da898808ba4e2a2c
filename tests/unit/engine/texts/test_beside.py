"""Initials and names of two letters are told by what stands beside them, and stay elsewhere."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import clean, sweep
from deid_service.engine.texts.identity import Identity
from profile_service.language.standard import vocabulary


def named(name: str) -> Identity:
    """Returns what identifies somebody of a name."""
    identity = Identity()
    identity.harmless = vocabulary().terms
    identity.add_name(name)
    return identity


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        # Behind who they are of, with points whatever they mean, in capitals where it is not.
        ("Roe^Mary", "pt. M.R. knee", ". knee"), ("Roe^Mary", "initials M. R., knee", "., knee"),
        ("Arnold^Lee", "pt LA knee", "knee"), ("Arnold^Lee", "PT LA KNEE", "PT LA KNEE"),
        ("Arnold^Lee", "pt la knee", "pt la knee"), ("Roe^Mary", "pt MR knee", "pt MR knee"),
        ("Cole^Tim", "reviewed TC, knee", "knee"), ("Roe^Mary", "reviewed MR", "reviewed MR"),
        ("Strand^Cleo", "Technologist S.C.. Knee", ". Knee"), ("Roe^Fay", "init RF", ""),
        # Before a genitive or an age, and of who is asked for.
        ("Roe^Mary", "MR's mother", "mother"), ("Arnold^Lee", "LA's knee", "knee"),
        ("Thoma^Cy", "CT's of the knee", "CT's of the knee"), ("Ito^Tom", "it's", "it's"),
        ("Roe^Mary", "MR, 45M knee", "45M knee"), ("Roe^Mary", "MR (45 y/o)", "(45 y/o)"),
        ("Arnold^Lee", "LA 45 years", "45 years"), ("Roe^Mary", "MR 2 years ago", "MR 2 years ago"),
        ("Arnold^Lee", "LA 45 mm, LA 3 m", "LA 45 mm, LA 3 m"), ("Roe^Mary", "MR 3M", "MR 3M"),
        ("Nolan^May", "Study for NM, a man", "Study for , a man"),
        ("Nolan^May", "ready for NM, CT", "ready for NM, CT"),
        # All of three, whichever stands first; a hyphen in a given name.
        ("Zyx-Yxy^Ann", "AZY knee", "knee"), ("Roe^Jean-Pierre", "J.-P. R. knee", ". knee"),
        # Words of sentences, and where nothing tells them.
        ("Yu^Mia", "MY L MLO", "L MLO"),
        ("Arnold^Lee", "CINE LA, (LA)", "CINE LA, (LA)"), ("Roe^Fay", "W&WO RF", "W&WO RF"),
    ],
)  # fmt: skip
def test_initials(name: str, text: str, left: str) -> None:
    """They are somebody's behind who is announced, and before a genitive or an age."""
    assert sweep(text, named(name)) == left


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        # With an initial and a point or comma, or as names are written.
        ("Li^Wei", "W. Li knee", "knee"), ("Li^Wei", "Li, W knee", "knee"),
        ("Li^Wei", "LI, W.; LI^W", "."), ("Ng^Mary", "Ng M, M. NG", ""),
        ("Le^Thi", "T. Le, Le, T", ""), ("Ho^Kim", "Ho K knee", "knee"),
        # Behind a title, or who is announced; before a genitive.
        ("Li^Wei", "Ms Li, Tech Li, by LI", "Tech , by"),
        ("Ng^Mary", "Patient: Ng. Ng's knee", "Patient: knee"),
        ("Do^Huy", "per Do", "per"),
        # By itself where it is no word.
        ("Wu^Xiao", "Wu CT, XU", "CT, XU"), ("Xu^Ping", "XU_knee", "knee"),
        # In small letters, with other letters, of a code, of a unit, and by itself.
        ("Li^Wei", "li w/o, an axial li", "li w/o, an axial li"),
        ("Li^Wei", "Li, W/O; Li Z, Z. Li", "Li, W/O; Li Z, Z. Li"),
        ("Li^Wei", "Li Knie", "Li Knie"),
        ("Ma^Lin", "100 mA, L", "100 mA, L"), ("Hu^Pia", "40 HU, P", "40 HU, P"),
        ("Do^Huy", "DO NOT move", "DO NOT move"), ("He^Pia", "He has pain", "He has pain"),
        ("He^Pia", "he's", "he's"), ("Ng^Mary", "NG tube", "NG tube"),
        ("Le^Thi", "Le foie", "Le foie"), ("Wu^Xiao", "wu CT, Wuz", "wu CT, Wuz"),
        ("de la Zyx^Ana", "La, Z, De A", "La, Z, De A"),
    ],
)  # fmt: skip
def test_names_of_two_letters(name: str, text: str, left: str) -> None:
    """They are told by an initial, a title or a genitive, with a capital."""
    assert sweep(text, named(name)) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CAD SR ZYXEL", "CAD SR"), ("KNEE MR Zyxel_Ann", "KNEE MR"), ("ZYXEL MR knee", "MR knee"),
        ("MR ZYXEL knee", "knee"), ("knee, Mr Zyxel", "knee"), ("knee Dr. Zyxel", "knee"),
        ("knee ZYXEL MR", "knee"),
    ],
)  # fmt: skip
def test_titles_that_are_kinds_of_images(text: str, left: str) -> None:
    """In capitals among other words they are no title."""
    assert sweep(text, named("Zyxel^Ann")) == left


def test_cleaned() -> None:
    """A cleaned text keeps no initial beside them."""
    assert clean("knee W. Li; Li, W", vocabulary(), named("Li^Wei")) == "knee"
    assert clean("CAD SR ZYXEL", vocabulary(), named("Zyxel^Ann")) == "CAD SR"
    assert clean("pt M.R. knee", vocabulary(), named("Roe^Mary")) == "knee"
