"""Patterns are tried wherever they find something, and all of them find something."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_service.engine.texts import by_form, called, labelled, signs
from deid_service.engine.texts.triggers import Form, Forms, either, said, sign, words_in

ALL: Final = {
    name: forms
    for name, forms in {**vars(signs), **vars(called), **vars(labelled)}.items()
    if isinstance(forms, Forms)
}
TRIED_BY_WORD: Final = [
    pytest.param(forms, form, id=f"{name}-{at}")
    for name, forms in ALL.items()
    for at, form in enumerate(forms.written)
    if isinstance(form, Form)
]

# With one of the words of each form in place of braces, small, in capitals, or with one.
EXAMPLES: Final = (
    *("ann{}example.org", "http{}//pacs", "{}.example", r"{}\pacs\new", r"c{}\new", "x {}home/ann"),
    *(
        "pacs{}example.org/x",
        "p.o. {} 12",
        "{} 12",
        "{} postale 12",
        "{} Mayor 5",
        "12 {} Vivienne",
    ),
    *("{}. Ann", "{} Ann", "{}: Ann", "12 Oak {}", "Oak {} Home", "Oak {} Center", "Oak {} Living"),
    *("Oak {}", "ann {} example dot org", "ann[{}]example", "{} 4711", "number {} 4711"),
    *("{} 4 1234", "{} no 4711", "00{}11:22:33", "93 {}", "93 {}.", "93 {}/o", "{}: 93", "{}/93"),
    *(
        "93 {}. ż",
        "93{}f",
        "93 {}",
        "{} 93",
        "93F {}",
        "90Y {}",
        "{} Cross Health",
        "93{}",
        "93F s{}p",
        "{} name Gray",
        "goes {} Gray",
    ),
    # Words without spaces are tried where their first letter stands.
    *(
        "{}齢93",
        "{}龄93",
        "{}齡93",
        "{}이93",
        "{}령93",
        "{}線4711",
        "{}线4711",
        "{}机4711",
        "{}선4711",
        "{}イナンバー 4711234",
        "{}份证号 4711234",
        "{}份證號 4711234",
        "{}민번호 4711234",
    ),
    *(
        "12{} of May",
        "{} name from Gray",
        "{} changed from Gray",
        "{} 4711234",
        "3{}12/16",
        "4 {} 2007",
        "03{}12",
        "13{}03",
        "2019{}3月",
        "12{}3.",
        "{} 3/12",
        "10{}45",
        "10{}20.30",
        "3rd {}",
    ),
    *(
        "{} 402b",
        "vu {} Ann",
        "to be {} Ann",
        "{}.f. abcdef12g34h567i",
        "{}.ז 1234567",
        "{}° ss 1234567890123",
        "{} de Ann",
        "{} from Ann",
        "{}: ab",
        "{} {} {} {} {} {} {}",
        "{}#926;",
        "{}: 1234",
        "{} phys Ann",
        "{}-\u0440 Ann",
        "{} richiedente Ann",
        "{} an Ann",
        "{} in Ann",
    ),
    *("seen {} Ann", "envoyé {} Ann", "befundet {} Ann", "Ann {}", "Ann {}.d", "Ann {}-c"),
    *(
        "{}険証番号 4711234",
        "{}保険者番号 4711234",
        "{}和3年2月",
        "{}成3年2月",
        "{}正3年2月",
        "{}國3年2月",
    ),
    *(
        "青葉{}院",
        "青葉{}リニック",
        "青葉{}療所",
        "青葉{}所",
        "새빛{}원",
        "새빛{}료원",
        "{} af Ann",
    ),
    *(
        "{}. č. 1203161234",
        "{}. c. 11.222.333",
        "04{}2009",
        "23{}4.7.19",
        "{} 1.2.03",
        "{} May 3",
        "{} in Oak",
    ),
    *("{} Ann ab", "{} الهوية 4711234", "{} البطاقة 4711234"),
    *("{} clinic", "{} hopkins", "{}-kettering", "{} farber", "{} sinai", "{} anderson", "{} gen"),
    *(
        "{} \0 Ann",
        "{} A. Ann",
        "{} DR Ann",
        "{}: Ann, Bob",
        "{} Ann went",
        "Ann ({})",
        "Ann {}.D.",
        "Ann {}-C",
    ),
    *("Ann {}(R)", "Ann, {}", "A. Ann {}", "{} Ann RN", "{}/o Ann", "{} AB", "{} Oak Ave"),
    *(
        "little {}",
        "long {}",
        "cherry {}",
        "{} lake",
        "{} rock",
        "{} beach",
        "{} hill",
        "{} forest",
    ),
    *(
        "{} park",
        "{} falls",
        "{} spring",
        "{} river",
        "{} wing",
        "{} mesa",
        "{} ridge",
        "{} harbor",
    ),
    *("{} green", "{} junction", "{} fork", "{} lawn", "{}历号 12345", "{}歷號 12345"),
    *("{}院号 12345", "{}院號 12345", "{}诊号 12345", "{}案号 12345", "{}録番号 12345"),
    *("{}者番号 12345", "{}ルテ番号 12345", "{}록번호 12345", "{}자번호 12345"),
    "A. Ann {} knee",
    *("Oak {} Group", "Oak & Elm {}", "Oak {} Health", "{}生Ann", "{}사 Ann"),
    *("Annika, {}", "95 {}", "{}/o Ann"),
    *("{} AB CD", "{} \0/CD", "{} by AB", "{} AB 12/28/2019", "{} 12/28/2019 AB"),
    *("{} for ABC", "{}, UPS", "{} firm Ann", "Ann {}", "{} from Oak", "{} to Oak", "{} of Oak"),
    *("{} Oak, CA", "Oak, {}", "{} de Oak", "\0{}AB", "{} A.B.", "Oak Rehab {}"),
    *("{} of Ann B Bell", "{} by Ann"),
    "at Oak {}",
    *("{} at Oakley", "{} Oakley worker", "{} bei Oakley", "{} chez Oakley", "{} en Oakley"),
    *("{} presso Oakley", "{} bij Oakley", "Oakley {} Hospital", "OAKLEY {} HOSPITAL"),
    *("{} DR Ann", "{} Annika is", "{} Ann aware", "{} by Ann", "Ann & {}", "{} at work, Oakley"),
    *("{} no 48616", "{} 48616", "{}: Oakley", "{} to Ann"),
    *("{} at KAS", "{}. C3", "{} mr nail", "{} ANN'S", "{}: Ann", "{} con Ann", "{} to 616-A"),
    *("{} 616-A", "{}: A. Ann", "{}, Ann", "{} 555 attn Annika", "{} Annika", "{} with Ann at"),
    *("103{} fall", "{} 3/14", "{} seen 3/14"),
    *("{} 412", "{} in 412", "412 {} 2", "{} S13-9984", "{}13-9984"),
    *("Ann {}(r)", "Ann's {}", "Ann{} B.", "Ann{}B", "Ann{} Bell"),
)


@pytest.mark.parametrize(("forms", "form"), TRIED_BY_WORD)
def test_each_word_of_a_pattern_is_found(forms: Forms, form: Form) -> None:
    """There is an example of each, in which the pattern is tried, and finds something."""
    pattern = re.compile(form.pattern, re.IGNORECASE)
    found = {
        word
        for word in form.words
        for written in (word, word.capitalize(), word.upper())
        for text in (example.replace("{}", written) for example in EXAMPLES)
        if pattern in forms.of(words_in(text)) and pattern.search(text)
    }
    assert found == form.words


@pytest.mark.parametrize(("forms", "form"), TRIED_BY_WORD)
@given(data=st.data())
@settings(max_examples=60, derandomize=True)
def test_what_a_pattern_finds_has_one_of_its_words(
    forms: Forms, form: Form, data: st.DataObject
) -> None:
    """Also where something with alternatives is added to it: it is tried in each of them."""
    pattern = re.compile(form.pattern, re.IGNORECASE)
    text = data.draw(st.from_regex(pattern))
    assert pattern in forms.of(words_in(text))


@pytest.mark.parametrize("words", ["dr.", "pa-c", "a1", "a_b", "99", ".", "95 歳"])
def test_a_word_has_letters_alone(words: str) -> None:
    """Others are none of the words of a text, and would never be found there."""
    with pytest.raises(ValueError, match="letters alone"):
        said(words)


@pytest.mark.parametrize("signs_of_one", ["%", "a", "./%", "@ "])
def test_a_sign_is_one_that_texts_are_searched_for(signs_of_one: str) -> None:
    """Others would never be found."""
    with pytest.raises(ValueError, match="looked for"):
        sign(signs_of_one)


@pytest.mark.parametrize("glued", ["3dr smith", "dr_x"])
def test_a_word_ends_at_a_digit(glued: str) -> None:
    """As the words of a text do; but not at a letter."""
    form = either(said("dr"), said("prof"))
    assert re.search(form.pattern, glued)
    assert not form.words.isdisjoint(words_in(glued))
    assert not re.search(form.pattern, "drs sdr profs")


@pytest.mark.parametrize(
    "text",
    [
        *("93歳男性", "101세여자", "97-летняя", "95 yaş\u0131ndaki", "95 YAŞLI", "95-jährigem"),
        *("lat 92 upadek", "92-letnia", "92 r.ż.", "anni 94 caduta", "94enne", "בן 97 נפילה"),
        *("בת 97", "גיל 97", "العمر 92 سنة", "العمر ٩٢ سنة", "عمرها 101", "سن ۹۲ سال", "věk 93"),
        *("93 let", "93letá", "93 éves", "93 de ani, 93 ani", "92-årig", "92 års", "ålder: 95"),
        *(
            "92-vuotias",
            "92 χρονών",
            "92 ΧΡΟΝΩΝ",
            "ΗΛΙΚΙΑΣ 92 ΕΤΩΝ",
            "91 YAŞINDA",
            "95 yaş\u0131nda",
            "ηλικίας 92 ετών",
            "92 років",
            "92 години",
            "92 godine",
        ),
        *("im Alter von 92 Jahren", "at the age of 92", "a la edad de 92 años", "92 anys"),
        *("患者93歳", "年齢93", "男性92岁", "98 лет", "92 y", "92F fall", "M 92/F", "92 tahun"),
    ],
)
def test_years_of_an_age_that_go_on(text: str) -> None:
    """With nothing between them and the next word, and in other cases."""
    assert "9" not in by_form.without(text, " ")
    assert "1" not in by_form.without(text, " ")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Y 90, 90Y SIRT", "Y 90, 90Y SIRT"), ("TC99M, 99M Tc", "TC99M, 99M Tc"),
        ("year 9, let 900", "year 9, let 900"), ("LAO 95", "LAO 95"), ("95 mm lat", "95 mm lat"),
    ],
)  # fmt: skip
def test_no_years(text: str, left: str) -> None:
    """Isotopes, angles and sizes are no ages."""
    assert by_form.without(text, " ") == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("subj_001 knee", "knee"), ("CT_subj_001 knee", "CT_  knee"), ("内線123", ""),
        ("CT内線123", "CT"), ("担当tel 1234", "担当"), ("knee_Mar-12-20", "knee_"),
        ("knee_2020_03_12", "knee_"), ("t2_4_2_1", "t2_4_2_1"), ("ct_12MAR2020_x", "ct_ _x"),
        ("x_NW1 6XE", "x_"), ("x_pager_4471", "x_"), ("x_+49 89 1234567", "x_"),
        ("x_1EG4-TE5-MK73_y", "x_ _y"), ("x_Flat_3", "x_"), ("pt_id_4711", ""),
        ("extra 123, hotel 4711", "extra 123, hotel 4711"),
    ],
)  # fmt: skip
def test_words_end_at_what_joins_them(text: str, left: str) -> None:
    """At `_`, at digits, and where letters of another script begin."""
    assert by_form.without(text, " ").strip() == left


def test_a_path_alone() -> None:
    """Nothing else needs to stand in a text that tells somebody."""
    assert list(by_form.spans("see /home/smith", with_uids=False)) == [(4, 15)]
