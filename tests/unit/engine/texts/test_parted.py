"""Names are found in one word and in parts, and families of one letter beside what tells them."""

from __future__ import annotations

import pytest

from deid_service.engine.texts.cleaner import sweep
from tests.unit.engine.texts.test_beside import named

FORMS = {
    "Van-Zyx^Ann": ["Van Zyx", "VanZyx", "van_zyx", "V. Zyx", "VZYX", "Zyx", "A. Van Zyx", "AVZ"],
    "VanHorn^Ann": ["Van Horn", "Van-Horn", "V. Horn", "HORN", "vanhorn", "AVanHorn"],
    "Vanzyxel^Ann": ["Van Zyxel", "van-zyxel"],
    "SmithJones^Eve": ["Smith", "Smith-Jones", "Jones Smith", "ESmith"],
    "Vanderzyx^Eve": ["van der Zyx", "Van Der Zyx", "Vander Zyx", "v.d. Zyx", "vd Zyx"],
    "van der Zyx^Eve": ["Vanderzyx", "VDZYX", "v d Zyx", "Vander-Zyx"],
    "De La Zyx^Ana": ["Dela Zyx", "DelaZyx", "d.l. Zyx", "de-la-zyx"],
    "Delazyx^Ana": ["De La Zyx", "Dela Zyx"],
    "McZyxel^Eve": ["Mc Zyxel", "MacZyxel", "Mac-Zyxel", "MCZYXEL"],
    "MacZyxel^Eve": ["McZyxel", "Mc. Zyxel", "Mac Zyxel"],
    "OZyxel^Sean": ["O'Zyxel", "O Zyxel", "O-Zyxel", "O.Zyxel"],
    "O'Zyxel^Sean": ["OZyxel", "o zyxel", "O\u2019Zyxel", "O`Zyxel"],
    "Al-Zyxel^Omar": ["El Zyxel", "ElZyxel", "AlZyxel", "al zyxel"],
    "Alzyxel^Omar": ["Al-Zyxel", "El-Zyxel"],
    "St. Zyx^Eve": ["Saint Zyx", "SaintZyx", "St-Zyx", "StZyx"],
    "Fitzzyxel^Eve": ["Fitz Zyxel", "Fitz-Zyxel"],
    "李^伟": ["李伟", "李 伟", "伟李", "李医生", "患者李", "李某", "老李", "李**", "李, 伟"],
    "森^澄": ["森先生", "森さん", "森様", "森医師"],
    "Kim^Min=金^民=김^민준": ["김씨", "김**", "김OO", "김교수", "金先生"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name, forms in FORMS.items() for form in forms]
)
def test_ways_of_parting(name: str, form: str) -> None:
    """Whichever way it stands in its own element, it is found the other way as well."""
    assert sweep(f"CT {form}, 5", named(name)) == "CT , 5"


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        # What only begins alike, and what a word means.
        ("Vance^Eve", "a van, ce", "a van, ce"), ("Laporte^Eve", "la porte", "la porte"),
        ("Delage^Eve", "de lage 3", "de lage 3"), ("Olive^Eve", "w/o live view", "w/o live view"),
        ("Alpine^Eve", "el pine, al", "al"), ("Macro^Eve", "mac ro", "mac ro"),
        ("Albright^Eve", "al bright", "al bright"), ("Stern^Eve", "st ern", "st ern"),
        ("Zyx\u0103nescu^Eve", "RA, E.Z., \u0103nescu", "RA, ., \u0103nescu"),
        ("McZyxel^Eve", "MC knee, zyxel", "MC knee, zyxel"),
        # A family of one letter by itself, where it is no word, and within one.
        ("李^伟", "李 CT, CT_李", "CT, CT"), ("李^伟", "桃李満", "桃李満"),
        ("김^민준", "김 급성 충수염", "급성 충수염"), ("左^明", "左 CT, 左肺", "左 CT, 左肺"),
        ("李^伟", "伟 CT", "伟 CT"),
    ],
)  # fmt: skip
def test_looks_alike(name: str, text: str, left: str) -> None:
    """What is no name, or that of somebody else, stays."""
    assert sweep(text, named(name)) == left
