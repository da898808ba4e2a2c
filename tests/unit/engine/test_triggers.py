"""Patterns are tried wherever they find something, and all of them find something."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_service.engine.rules import by_form, signs
from deid_service.engine.rules.triggers import Form, Forms, either, said, sign, words_in

ALL: Final = {name: forms for name, forms in vars(signs).items() if isinstance(forms, Forms)}
TRIED_BY_WORD: Final = [
    pytest.param(forms, form, id=f"{name}-{at}")
    for name, forms in ALL.items()
    for at, form in enumerate(forms.written)
    if isinstance(form, Form)
]

# With one of the words of each form in place of braces, small or with a capital.
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
    *("12{} of May", "03{}12", "13{}03", "12{}3.", "{} 3/12", "10{}45", "10{}20.30", "3rd {}"),
    *("{}: 1234", "{} phys Ann", "{}-\u0440 Ann", "{} richiedente Ann", "{} an Ann", "{} in Ann"),
    *("seen {} Ann", "envoyé {} Ann", "befundet {} Ann", "Ann {}", "Ann {}.d", "Ann {}-c"),
    *("Ann {}(r)", "Ann's {}", "Ann{} B.", "Ann{}B", "Ann{} Bell"),
)


@pytest.mark.parametrize(("forms", "form"), TRIED_BY_WORD)
def test_each_word_of_a_pattern_is_found(forms: Forms, form: Form) -> None:
    """There is an example of each, in which the pattern is tried, and finds something."""
    pattern = re.compile(form.pattern, re.IGNORECASE)
    found = {
        word
        for word in form.words
        for written in (word, word.capitalize())
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
    ["93歳男性", "101세여자", "97-летняя", "95 yaş\u0131ndaki", "95 YAŞLI", "95-jährigem"],
)
def test_years_of_an_age_that_go_on(text: str) -> None:
    """With nothing between them and the next word, and in other cases."""
    assert "9" not in by_form.without(text, " ")
    assert "1" not in by_form.without(text, " ")


def test_a_path_alone() -> None:
    """Nothing else needs to stand in a text that tells somebody."""
    assert list(by_form.spans("see /home/smith", with_uids=False)) == [(4, 15)]
